// Package binaries builds the programs of a cluster from the Go modules that pin
// them, once, and keeps them in a cache outside the repository.
package binaries

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

type program struct {
	name, pkg string
	// static programs run in an image without a C library.
	static bool
}

// ofKubernetes is true of what must be of the cluster's version; all else serves every version.
func (p program) ofKubernetes() bool { return strings.HasPrefix(p.pkg, "k8s.io/kubernetes/") }

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
	{name: "metrics-server", pkg: "sigs.k8s.io/metrics-server/cmd/metrics-server"},
	{name: "coredns", pkg: "./coredns"},
	{name: "storage-provisioner", pkg: "./storage-provisioner"},
	{name: "pause", pkg: "./pause", static: true},
}

// Names are those of all programs.
func Names() []string { return names(programs) }

func names(ps []program) []string {
	all := make([]string, len(ps))
	for i, p := range ps {
		all[i] = p.name
	}
	return all
}

// Set is what a cluster of one version is made of: Kubernetes from the module
// that pins the version, all else from the first module.
type Set struct{ kubernetes, others module }

// Open finds the modules below a directory, and refuses a Kubernetes that none of them pins.
func Open(ctx context.Context, dir, kubernetes string) (Set, error) {
	pinned, err := modules(dir)
	if err != nil {
		return Set{}, err
	}
	var versions []string
	for _, m := range pinned {
		versions = append(versions, m.kubernetes)
	}
	at := slices.Index(versions, strings.TrimPrefix(kubernetes, "v"))
	if at < 0 {
		return Set{}, fmt.Errorf("kubernetes %s: what is pinned here is %s", kubernetes, strings.Join(versions, " and "))
	}
	s := Set{kubernetes: pinned[at], others: pinned[0]}
	for _, m := range []*module{&s.kubernetes, &s.others} {
		if m.key, err = m.hash(ctx); err != nil {
			return Set{}, err
		}
	}
	return s, nil
}

// Shared names what serves every version of Kubernetes.
func (s Set) Shared() string { return s.others.kubernetes + "-" + s.others.key }

// Dir is where all programs of the set are found.
func (s Set) Dir(cache string) string {
	if s.kubernetes == s.others {
		return s.others.bin(cache)
	}
	return filepath.Join(cache, s.kubernetes.kubernetes+"-"+s.kubernetes.key+"-"+s.others.key, "bin")
}

// Ensure builds what is missing of the named programs. Without names it is all of them.
func (s Set) Ensure(ctx context.Context, cache string, only []string, progress io.Writer) error {
	wanted, err := choose(only)
	if err != nil {
		return err
	}
	if s.kubernetes == s.others {
		return s.others.ensure(ctx, cache, wanted, progress)
	}
	others := slices.DeleteFunc(slices.Clone(wanted), program.ofKubernetes)
	kubernetes := slices.DeleteFunc(slices.Clone(wanted), func(p program) bool { return !p.ofKubernetes() })
	if err := s.kubernetes.ensure(ctx, cache, kubernetes, progress); err != nil {
		return err
	}
	if err := s.others.ensure(ctx, cache, others, progress); err != nil {
		return err
	}
	return errors.Join(link(s.kubernetes.bin(cache), s.Dir(cache), kubernetes), link(s.others.bin(cache), s.Dir(cache), others))
}

// choose returns the programs of the names, in the order in which they are built.
func choose(only []string) ([]program, error) {
	for _, name := range only {
		if !slices.Contains(Names(), name) {
			return nil, fmt.Errorf("program %q: want one of %s", name, strings.Join(Names(), ", "))
		}
	}
	return slices.DeleteFunc(slices.Clone(programs), func(p program) bool {
		return len(only) > 0 && !slices.Contains(only, p.name)
	}), nil
}

// link puts the programs of one directory into another.
func link(from, to string, ps []program) error {
	if err := os.MkdirAll(to, 0o750); err != nil {
		return fmt.Errorf("collecting programs: %w", err)
	}
	for _, p := range ps {
		err := os.Symlink(filepath.Join(from, p.name), filepath.Join(to, p.name))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("collecting programs: %w", err)
		}
	}
	return nil
}
