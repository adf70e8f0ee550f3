package image

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// nonRoot is the user of images that hold one static program.
const nonRoot = "65532:65532"

// Static is an image that holds nothing but one program, run as nobody in particular.
// The same program always makes the same image.
func Static(binary string) (v1.Image, error) {
	content, err := os.ReadFile(binary)
	if err != nil {
		return nil, fmt.Errorf("reading program: %w", err)
	}
	if err := checkStatic(content); err != nil {
		return nil, fmt.Errorf("program %s: %w", binary, err)
	}
	program := "/" + filepath.Base(binary)
	tree := Tree{}
	tree.File(program, 0o755, content)
	tree.File("etc/passwd", 0o644, []byte("nonroot:x:65532:65532::/:/sbin/nologin\n"))
	tree.File("etc/group", 0o644, []byte("nonroot:x:65532:\n"))
	tree.Dir("tmp", 0o1777)
	return assemble(v1.Config{Entrypoint: []string{program}, User: nonRoot, WorkingDir: "/"}, tree)
}

// checkStatic refuses a program that needs a loader: the image has none, and the kernel's
// own message for that ("no such file or directory") has cost many an hour.
func checkStatic(content []byte) error {
	f, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("not a Linux program: %w", err)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("dynamically linked; build it with CGO_ENABLED=0")
		}
	}
	return nil
}

// assemble stacks the trees, the first at the bottom.
func assemble(config v1.Config, trees ...Tree) (v1.Image, error) {
	img := empty.Image
	for _, t := range trees {
		layer, err := t.Layer()
		if err != nil {
			return nil, err
		}
		if img, err = mutate.AppendLayers(img, layer); err != nil {
			return nil, fmt.Errorf("adding layer: %w", err)
		}
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("reading image configuration: %w", err)
	}
	file = file.DeepCopy()
	file.OS, file.Architecture = "linux", runtime.GOARCH
	file.Config = config
	if img, err = mutate.ConfigFile(img, file); err != nil {
		return nil, fmt.Errorf("writing image configuration: %w", err)
	}
	return img, nil
}

// WriteTar writes the image under the reference into a file that `load` and docker understand.
func WriteTar(path, reference string, img v1.Image) error {
	tag, err := name.NewTag(reference, name.StrictValidation)
	if err != nil {
		return fmt.Errorf("image reference: %w", err)
	}
	partial := path + ".partial"
	if err := tarball.WriteToFile(partial, tag, img); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return os.Rename(partial, path)
}
