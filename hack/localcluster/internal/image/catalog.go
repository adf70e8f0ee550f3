package image

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kubernaut/kubernaut/hack/localcluster/internal/debian"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/lock"
)

// Images that the cluster itself runs. The domain can not exist, so nobody mistakes them for published ones.
const (
	Pause         = own + "pause:1"
	CoreDNS       = own + "coredns:1"
	MetricsServer = own + "metrics-server:1"

	own = "localcluster.invalid/"
)

// recipe makes one image from Debian packages. Its tags are names that people's manifests use;
// the version inside is Debian's.
type recipe struct {
	Repository string
	Tags       []string
	Packages   []string
	Files      map[string]string
	Links      map[string]string
	// Writable directories are open to every user, so that the image runs as any.
	Writable []string
	Config   v1.Config
}

//go:embed files/entrypoint.sh
var entrypoint string

//go:embed files/redis.sh
var redisServer string

//go:embed files/nginx.conf
var nginxConf string

//go:embed files/nginx-80.conf
var nginx80 string

//go:embed files/nginx-8080.conf
var nginx8080 string

const searchPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// recipes are the images that manifests may name. Every other name and tag fails to pull.
func recipes() []recipe {
	nginx := recipe{
		Repository: "docker.io/library/nginx",
		Tags:       []string{"latest", "stable", "1.27", "1.26"},
		Packages:   []string{"nginx"},
		Files:      map[string]string{"etc/nginx/nginx.conf": nginxConf, "etc/nginx/conf.d/default.conf": nginx80, "usr/share/nginx/html/index.html": "Welcome to nginx!\n"},
		Links:      map[string]string{"var/log/nginx/access.log": "/dev/stdout", "var/log/nginx/error.log": "/dev/stderr"},
		Writable:   []string{"run", "var/cache/nginx", "var/lib/nginx"},
		Config:     v1.Config{Env: []string{searchPath}, Cmd: []string{"nginx", "-g", "daemon off;"}, StopSignal: "SIGQUIT"},
	}
	unprivileged := nginx
	unprivileged.Repository, unprivileged.Tags = "docker.io/nginxinc/nginx-unprivileged", []string{"latest", "1.27"}
	unprivileged.Files = map[string]string{"etc/nginx/nginx.conf": nginxConf, "etc/nginx/conf.d/default.conf": nginx8080, "usr/share/nginx/html/index.html": "Welcome to nginx!\n"}
	unprivileged.Config.User = "101"
	return []recipe{
		{
			Repository: "docker.io/library/busybox",
			Tags:       []string{"latest", "stable", "1.36", "1.36.1"},
			Config:     v1.Config{Env: []string{searchPath}, Cmd: []string{"sh"}},
		},
		nginx,
		unprivileged,
		{
			Repository: "docker.io/library/python",
			Tags:       []string{"3.12-slim", "3.12"},
			Packages:   []string{"python3"},
			Links:      map[string]string{"usr/local/bin/python": "/usr/bin/python3", "usr/local/bin/python3": "/usr/bin/python3"},
			Config:     v1.Config{Env: []string{searchPath}, Cmd: []string{"python3"}},
		},
		{
			Repository: "docker.io/library/redis",
			Tags:       []string{"latest", "7"},
			Packages:   []string{"redis-server"},
			Files:      map[string]string{"entrypoint.sh": strings.ReplaceAll(entrypoint, "PROGRAM", "redis-server"), "usr/local/bin/redis-server": redisServer},
			Writable:   []string{"data"},
			Config:     v1.Config{Env: []string{searchPath}, Entrypoint: []string{"/entrypoint.sh"}, WorkingDir: "/data"},
		},
		{
			Repository: "docker.io/curlimages/curl",
			Tags:       []string{"latest", "8.10.1"},
			Packages:   []string{"curl", "ca-certificates"},
			Files:      map[string]string{"entrypoint.sh": strings.ReplaceAll(entrypoint, "PROGRAM", "curl")},
			Config:     v1.Config{Env: []string{searchPath}, Entrypoint: []string{"/entrypoint.sh"}, User: "101"},
		},
	}
}

// DebianSet names the set of images made from Debian packages, by all that goes into them.
func DebianSet() (string, error) {
	b, err := json.Marshal(struct {
		Recipes []recipe
		Applets string
		Wget    string
		Files   map[string]string
	}{recipes(), applets, wget, baseFiles})
	if err != nil {
		return "", fmt.Errorf("naming image set: %w", err)
	}
	sum := sha256.Sum256(b)
	return "debian-" + hex.EncodeToString(sum[:])[:12], nil
}

// EnsureDebian makes the images from Debian packages, unless the cache has them.
func EnsureDebian(ctx context.Context, store Store, progress io.Writer) (string, error) {
	set, err := DebianSet()
	if err != nil {
		return "", err
	}
	unlock, err := lock.Wait(ctx, store.lockFile())
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, ok, err := store.References(set); ok || err != nil {
		return set, err
	}
	fmt.Fprintln(progress, "making images from Debian packages, once")
	if err := store.removeScratch(); err != nil {
		return "", err
	}
	refs := map[string]v1.Hash{}
	base, err := baseTree(ctx, store)
	if err != nil {
		return "", err
	}
	for _, r := range recipes() {
		start := time.Now()
		img, err := r.make(ctx, store, base)
		if err != nil {
			return "", fmt.Errorf("making image %s: %w", r.Repository, err)
		}
		digest, err := store.add(img)
		if err != nil {
			return "", fmt.Errorf("making image %s: %w", r.Repository, err)
		}
		for _, tag := range r.Tags {
			refs[r.Repository+":"+tag] = digest
		}
		fmt.Fprintf(progress, "%s %.0f s\n", r.Repository, time.Since(start).Seconds())
	}
	return set, store.save(set, refs)
}

// EnsureOwn makes the image of one of the cluster's own pods from its freshly built program, unless the cache has it.
func EnsureOwn(ctx context.Context, store Store, key, program string) (string, error) {
	set := "own-" + filepath.Base(program) + "-" + key
	unlock, err := lock.Wait(ctx, store.lockFile())
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, ok, err := store.References(set); ok || err != nil {
		return set, err
	}
	ref := own + filepath.Base(program) + ":1"
	img, err := ownImage(ctx, store, ref, program)
	if err != nil {
		return "", fmt.Errorf("making image %s: %w", ref, err)
	}
	digest, err := store.add(img)
	if err != nil {
		return "", fmt.Errorf("making image %s: %w", ref, err)
	}
	return set, store.save(set, map[string]v1.Hash{ref: digest})
}

// ownImage brings the C library: all programs but pause are linked with it, like everything that shares compiled packages with Kubernetes.
func ownImage(ctx context.Context, store Store, ref, program string) (v1.Image, error) {
	if ref == Pause {
		return Static(program)
	}
	content, err := os.ReadFile(program)
	if err != nil {
		return nil, fmt.Errorf("reading program: %w", err)
	}
	base, err := baseTree(ctx, store)
	if err != nil {
		return nil, err
	}
	name, top := filepath.Base(program), Tree{}
	top.File(name, 0o755, content)
	return assemble(v1.Config{Entrypoint: []string{"/" + name}, User: nonRoot}, base, top)
}

func (r recipe) make(ctx context.Context, store Store, base Tree) (v1.Image, error) {
	if len(r.Packages) == 0 {
		return assemble(r.Config, base)
	}
	tree, err := fromPackages(ctx, store, r.Packages...)
	if err != nil {
		return nil, err
	}
	for name, content := range r.Files {
		mode := int64(0o644)
		if strings.HasPrefix(content, "#!") {
			mode = 0o755
		}
		tree.File(name, mode, []byte(content))
	}
	for name, target := range r.Links {
		tree.Link(name, target)
	}
	for _, name := range r.Writable {
		tree.Dir(name, 0o1777)
	}
	return assemble(r.Config, base, tree.Without(base))
}

func fromPackages(ctx context.Context, store Store, packages ...string) (Tree, error) {
	scratch, err := os.MkdirTemp(store.Dir, scratchPrefix)
	if err != nil {
		return nil, fmt.Errorf("making cache: %w", err)
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	debs, err := debian.Fetch(ctx, scratch, packages...)
	if err != nil {
		return nil, err
	}
	tree := Tree{}
	for _, deb := range debs {
		if err := debian.Walk(ctx, deb, tree.Unpack); err != nil {
			return nil, err
		}
	}
	return tree, nil
}
