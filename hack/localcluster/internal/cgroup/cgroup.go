// Package cgroup makes and removes the control group that a node's pods live in.
//
// The v1 hierarchies are tried. The unified hierarchy (v2) is written after the
// kernel's documentation and has not been tried: the machine this was made on has none.
package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const mount = "/sys/fs/cgroup"

// The two ways in which a kernel offers control groups.
const (
	V1 = "v1"
	V2 = "v2"
)

// Version says which control groups this machine has.
func Version() (string, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(mount, &fs); err != nil {
		return "", fmt.Errorf("looking at %s: %w", mount, err)
	}
	if fs.Type == unix.CGROUP2_SUPER_MAGIC {
		return V2, nil
	}
	return V1, nil
}

// Create makes the group in every hierarchy. It is safe to repeat.
func Create(group string) error {
	version, err := Version()
	if err != nil {
		return err
	}
	if version == V2 {
		return createUnified(group)
	}
	hierarchies, err := v1Hierarchies()
	if err != nil {
		return err
	}
	for _, h := range hierarchies {
		if err := os.MkdirAll(filepath.Join(h, group), 0o750); err != nil {
			return fmt.Errorf("making control group: %w", err)
		}
	}
	return inheritCPUSet(group)
}

// v1Hierarchies lists the mounted hierarchies; links such as cpu,cpuacct are the same ones again.
func v1Hierarchies() ([]string, error) {
	entries, err := os.ReadDir(mount)
	if err != nil {
		return nil, fmt.Errorf("listing control groups: %w", err)
	}
	var found []string
	for _, e := range entries {
		if e.IsDir() && e.Name() != "unified" {
			found = append(found, filepath.Join(mount, e.Name()))
		}
	}
	return found, nil
}

// inheritCPUSet gives the group its parent's CPUs: a new v1 cpuset is empty and takes no process.
func inheritCPUSet(group string) error {
	hierarchy, err := os.OpenRoot(filepath.Join(mount, "cpuset"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening control groups: %w", err)
	}
	defer func() { _ = hierarchy.Close() }()
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		b, err := hierarchy.ReadFile(file)
		if err != nil {
			return fmt.Errorf("reading control group: %w", err)
		}
		if err := hierarchy.WriteFile(filepath.Join(group, file), b, 0o600); err != nil {
			return fmt.Errorf("preparing control group: %w", err)
		}
	}
	return nil
}

// createUnified is untried, see the package comment.
func createUnified(group string) error {
	const controllers = "+cpu +cpuset +memory +pids +io"
	if err := os.MkdirAll(filepath.Join(mount, group), 0o750); err != nil {
		return fmt.Errorf("making control group: %w", err)
	}
	for _, dir := range []string{mount, filepath.Join(mount, group)} {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte(controllers), 0o600); err != nil {
			return fmt.Errorf("enabling controllers: %w", err)
		}
	}
	return nil
}

// Members lists the processes in the group and all groups below it.
func Members(group string) ([]int, error) {
	found := map[int]bool{}
	err := walk(group, func(dir string) error {
		b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		if err != nil {
			return nil //nolint:nilerr // the group went away, or is threaded
		}
		for _, line := range strings.Fields(string(b)) {
			if pid, err := strconv.Atoi(line); err == nil && pid > 0 {
				found[pid] = true
			}
		}
		return nil
	})
	pids := make([]int, 0, len(found))
	for pid := range found {
		pids = append(pids, pid)
	}
	return pids, err
}

// Remove removes the group from every hierarchy. Its processes must have ended.
func Remove(group string) error {
	return walk(group, func(dir string) error {
		deadline := time.Now().Add(5 * time.Second)
		for {
			err := unix.Rmdir(dir)
			switch {
			case err == nil, errors.Is(err, syscall.ENOENT):
				return nil
			case !errors.Is(err, syscall.EBUSY) || time.Now().After(deadline):
				return fmt.Errorf("removing control group %s: %w", dir, err)
			}
			<-time.After(20 * time.Millisecond) // the dead are buried a moment later
		}
	})
}

// walk visits the group's directories in every hierarchy, the deepest first.
func walk(group string, visit func(dir string) error) error {
	roots := []string{filepath.Join(mount, group)}
	nested, err := filepath.Glob(filepath.Join(mount, "*", group))
	if err != nil {
		return fmt.Errorf("listing control groups: %w", err)
	}
	for _, root := range append(roots, nested...) {
		if err := walkDir(root, visit); err != nil {
			return err
		}
	}
	return nil
}

func walkDir(dir string, visit func(dir string) error) error {
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() {
		return nil //nolint:nilerr // nothing there to visit
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil //nolint:nilerr // it went away
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := walkDir(filepath.Join(dir, e.Name()), visit); err != nil {
				return err
			}
		}
	}
	return visit(dir)
}
