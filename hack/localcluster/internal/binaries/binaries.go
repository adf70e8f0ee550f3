// Package binaries builds the programs of a cluster from the Go module that pins
// them, once, and keeps them in a cache outside the repository.
package binaries

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
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

type program struct {
	name, pkg string
	// static programs run in an image without a C library.
	static bool
}

// programs are in the order in which they are built: those that tests without nodes need come first.
var programs = []program{
	{name: "kube-apiserver", pkg: "k8s.io/kubernetes/cmd/kube-apiserver"},
	{name: "etcd", pkg: "go.etcd.io/etcd/server/v3"},
	{name: "kubectl", pkg: "k8s.io/kubernetes/cmd/kubectl"},
	{name: "kube-controller-manager", pkg: "k8s.io/kubernetes/cmd/kube-controller-manager"},
	{name: "kube-scheduler", pkg: "k8s.io/kubernetes/cmd/kube-scheduler"},
	{name: "kubelet", pkg: "k8s.io/kubernetes/cmd/kubelet"},
	{name: "kube-proxy", pkg: "k8s.io/kubernetes/cmd/kube-proxy"},
	{name: "kube-state-metrics", pkg: "k8s.io/kube-state-metrics/v2"},
	{name: "coredns", pkg: "./coredns"},
	{name: "pause", pkg: "./pause", static: true},
}

// Module is the Go module that pins what is built.
type Module struct {
	dir        string
	kubernetes string
	key        string
}

// Open reads the module and refuses to build another Kubernetes than it pins.
func Open(ctx context.Context, dir, kubernetes string) (Module, error) {
	m := Module{dir: dir, kubernetes: strings.TrimPrefix(kubernetes, "v")}
	pinned, err := pinnedKubernetes(filepath.Join(dir, "go.mod"))
	if err != nil {
		return Module{}, err
	}
	if pinned != "v"+m.kubernetes {
		return Module{}, fmt.Errorf("kubernetes %s: %s pins %s", m.kubernetes, dir, pinned)
	}
	m.key, err = m.hash(ctx)
	return m, err
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
func (m Module) hash(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "env", "GOVERSION", "GOARCH", "CGO_ENABLED")
	cmd.Dir = m.dir
	compiler, err := process.RunWith(ctx, cmd)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	sum.Write(compiler)
	for _, file := range []string{"go.mod", "go.sum", "coredns/main.go", "pause/main.go"} {
		f, err := os.Open(filepath.Join(m.dir, file))
		if err != nil {
			return "", fmt.Errorf("reading what is pinned: %w", err)
		}
		_, err = io.Copy(sum, f)
		_ = f.Close()
		if err != nil {
			return "", fmt.Errorf("reading what is pinned: %w", err)
		}
	}
	return hex.EncodeToString(sum.Sum(nil))[:12], nil
}

// Key names the set of binaries that the module makes.
func (m Module) Key() string { return m.kubernetes + "-" + m.key }

// Dir is where the binaries are kept.
func (m Module) Dir(cache string) string { return filepath.Join(cache, m.Key(), "bin") }

// Ensure builds what is missing, one after another, and reports progress. Without names it builds all.
func (m Module) Ensure(ctx context.Context, cache string, only []string, progress io.Writer) error {
	dir := m.Dir(cache)
	unlock, err := lock.Wait(ctx, filepath.Join(dir, ".lock"))
	if err != nil {
		return err
	}
	defer unlock()
	todo, err := missing(dir, only)
	if err != nil || len(todo) == 0 {
		return err
	}
	fmt.Fprintf(progress, "building %d programs into %s, once: %s\n", len(todo), dir, strings.Join(names(todo), ", "))
	fmt.Fprintf(progress, "(all ten take about ten minutes on two idle cores when nothing of them is in Go's build cache)\n")
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

func missing(dir string, only []string) ([]program, error) {
	for _, name := range only {
		if !slices.Contains(names(programs), name) {
			return nil, fmt.Errorf("program %q: want one of %s", name, strings.Join(names(programs), ", "))
		}
	}
	var todo []program
	for _, p := range programs {
		if len(only) > 0 && !slices.Contains(only, p.name) {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, p.name)); errors.Is(err, os.ErrNotExist) {
			todo = append(todo, p)
		}
	}
	return todo, nil
}

func names(ps []program) []string {
	all := make([]string, len(ps))
	for i, p := range ps {
		all[i] = p.name
	}
	return all
}

// build writes beside the final name and renames, so that a half-written program is never run.
func (m Module) build(ctx context.Context, dir string, p program) error {
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

func (m Module) ldflags() string {
	const variable = " -X k8s.io/component-base/version."
	part := strings.SplitN(m.kubernetes, ".", 3)
	return "-s -w" + variable + "gitVersion=v" + m.kubernetes + variable + "gitMajor=" + part[0] + variable + "gitMinor=" + part[1]
}
