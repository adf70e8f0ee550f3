package binaries

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/modfile"

	"github.com/kubernaut/kubernaut/hack/localcluster/internal/lock"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/process"
)

// module is a Go module that pins some of the programs.
type module struct {
	dir        string
	kubernetes string
	key        string // of what it makes
}

// modules finds the first module, which pins all programs, and those below it, which pin another Kubernetes each.
func modules(dir string) ([]module, error) {
	below, err := filepath.Glob(filepath.Join(dir, "*", "go.mod"))
	if err != nil {
		return nil, fmt.Errorf("reading what is pinned: %w", err)
	}
	var found []module
	for _, file := range append([]string{filepath.Join(dir, "go.mod")}, below...) {
		version, err := pinnedKubernetes(file)
		if err != nil {
			return nil, err
		}
		found = append(found, module{dir: filepath.Dir(file), kubernetes: strings.TrimPrefix(version, "v")})
	}
	return found, nil
}

func pinnedKubernetes(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("reading what is pinned: %w", err)
	}
	mod, err := modfile.ParseLax(path, b, nil)
	if err != nil {
		return "", fmt.Errorf("reading what is pinned: %w", err)
	}
	for _, r := range mod.Require {
		if r.Mod.Path == "k8s.io/kubernetes" {
			return r.Mod.Version, nil
		}
	}
	return "", fmt.Errorf("reading what is pinned: %s does not require k8s.io/kubernetes", path)
}

// hash covers all that a binary is made from.
func (m module) hash(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "env", "GOVERSION", "GOARCH", "CGO_ENABLED")
	cmd.Dir = m.dir
	compiler, err := process.RunWith(ctx, cmd)
	if err != nil {
		return "", err
	}
	own, err := filepath.Glob(filepath.Join(m.dir, "*", "main.go"))
	if err != nil {
		return "", fmt.Errorf("reading what is pinned: %w", err)
	}
	sum := sha256.New()
	sum.Write(compiler)
	for _, file := range append([]string{filepath.Join(m.dir, "go.mod"), filepath.Join(m.dir, "go.sum")}, own...) {
		b, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("reading what is pinned: %w", err)
		}
		sum.Write(b)
	}
	return hex.EncodeToString(sum.Sum(nil))[:12], nil
}

// bin is where what the module makes is kept.
func (m module) bin(cache string) string { return filepath.Join(cache, m.kubernetes+"-"+m.key, "bin") }

// ensure builds what is missing, one after another, and reports progress.
func (m module) ensure(ctx context.Context, cache string, wanted []program, progress io.Writer) error {
	dir := m.bin(cache)
	unlock, err := lock.Wait(ctx, filepath.Join(dir, ".lock"))
	if err != nil {
		return err
	}
	defer unlock()
	todo := missing(dir, wanted)
	if len(todo) == 0 {
		return nil
	}
	fmt.Fprintf(progress, "building %d programs into %s, once: %s\n", len(todo), dir, strings.Join(names(todo), ", "))
	fmt.Fprintf(progress, "(all take about ten minutes on two idle cores when nothing of them is in Go's build cache)\n")
	for i, p := range todo {
		start := time.Now()
		fmt.Fprintf(progress, "[%d/%d] %s …", i+1, len(todo), p.name)
		if err := m.build(ctx, dir, p); err != nil {
			fmt.Fprintln(progress)
			return err
		}
		fmt.Fprintf(progress, " %.0f s\n", time.Since(start).Seconds())
	}
	return nil
}

func missing(dir string, wanted []program) []program {
	return slices.DeleteFunc(slices.Clone(wanted), func(p program) bool {
		_, err := os.Stat(filepath.Join(dir, p.name))
		return err == nil
	})
}

// build writes beside the final name and renames, so that a half-written program is never run.
func (m module) build(ctx context.Context, dir string, p program) error {
	partial := filepath.Join(dir, "."+p.name+".partial")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", m.ldflags(), "-o", partial, p.pkg)
	cmd.Dir = m.dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if p.static {
		cmd.Env = append(cmd.Env, "CGO_ENABLED=0")
	}
	if _, err := process.RunWith(ctx, cmd); err != nil {
		return fmt.Errorf("building %s: %w", p.name, err)
	}
	if err := os.Rename(partial, filepath.Join(dir, p.name)); err != nil {
		return fmt.Errorf("building %s: %w", p.name, err)
	}
	return nil
}

func (m module) ldflags() string {
	const variable = " -X k8s.io/component-base/version."
	part := strings.SplitN(m.kubernetes, ".", 3)
	return "-s -w" + variable + "gitVersion=v" + m.kubernetes + variable + "gitMajor=" + part[0] + variable + "gitMinor=" + part[1]
}
