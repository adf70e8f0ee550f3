package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kubernaut/kubernaut/hack/localcluster/internal/cgroup"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/network"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/topology"
)

// Down removes a cluster, or what a crash left of it. It reports whether there was anything.
func Down(ctx context.Context, root, name string) (bool, error) {
	unlock, err := claim(root, name)
	if err != nil {
		return false, err
	}
	defer unlock()
	return remove(ctx, root, name)
}

func remove(ctx context.Context, root, name string) (bool, error) {
	j, err := readJournal(root, name)
	if errors.Is(err, ErrNotUp) {
		// The journal is the first thing that is written: without one there is at most its half.
		return false, os.RemoveAll(filepath.Join(root, name))
	}
	if err != nil {
		return false, err
	}
	c, err := j.topology(root)
	if err != nil {
		return false, err
	}
	if err := processes(c).EndAll(func() ([]int, error) { return members(c) }); err != nil {
		return true, err
	}
	if err := unmountBelow(c.Dir()); err != nil {
		return true, err
	}
	if err := network.Delete(ctx, c); err != nil {
		return true, err
	}
	for _, n := range c.Nodes {
		if err := cgroup.Remove(n.ID); err != nil {
			return true, err
		}
	}
	if err := forget(ctx, root, name); err != nil {
		return true, err
	}
	return true, nil
}

// forget removes the directory, the journal last, and restores the kernel's settings after the last cluster.
func forget(ctx context.Context, root, name string) error {
	dir := filepath.Join(root, name)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("removing cluster directory: %w", err)
	}
	for _, e := range entries {
		if e.Name() == filepath.Base(journalFile(root, name)) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("removing cluster directory: %w", err)
		}
	}
	unlock, err := claimShared(ctx, root)
	if err != nil {
		return err
	}
	defer unlock()
	left, err := others(root, name)
	if err != nil {
		return err
	}
	if len(left) == 0 {
		if err := restoreSettings(root); err != nil {
			return err
		}
	}
	return os.RemoveAll(dir)
}

// members are the processes in the nodes' control groups: containers do not carry our marker.
func members(c topology.Cluster) ([]int, error) {
	var pids []int
	for _, n := range c.Nodes {
		found, err := cgroup.Members(n.ID)
		if err != nil {
			return nil, err
		}
		pids = append(pids, found...)
	}
	return pids, nil
}

// unmountBelow unmounts everything under the directory. Should anything stay, nothing is
// deleted: a pod may have mounted a directory of the host there.
func unmountBelow(dir string) error {
	for range 5 {
		mounts, err := mountsBelow(dir)
		if err != nil || len(mounts) == 0 {
			return err
		}
		slices.Reverse(mounts)
		for _, m := range mounts {
			if err := unix.Unmount(m, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
				return fmt.Errorf("unmounting %s: %w", m, err)
			}
		}
	}
	return fmt.Errorf("unmounting below %s: mounts stay; nothing was deleted", dir)
}

func mountsBelow(dir string) ([]string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("listing mounts: %w", err)
	}
	defer func() { _ = f.Close() }()
	var mounts []string
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if point := mountPoint(lines.Text()); strings.HasPrefix(point, dir+"/") {
			mounts = append(mounts, point)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("listing mounts: %w", err)
	}
	return mounts, nil
}

var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// mountPoint is the fifth field of a line of mountinfo.
func mountPoint(line string) string {
	fields := strings.Fields(line)
	if len(fields) < 5 {
		return ""
	}
	return unescape.Replace(fields[4])
}
