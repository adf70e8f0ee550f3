package cluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kubernaut/kubernaut/hack/localcluster/internal/topology"
)

func TestMissingPackages(t *testing.T) {
	have := func(programs ...string) func(string) (string, error) {
		return func(p string) (string, error) {
			if slices.Contains(programs, p) {
				return p, nil
			}
			return "", errors.New("not found")
		}
	}
	rows := map[string]struct {
		have func(string) (string, error)
		want []string
	}{
		"a package is named once for two programs": {have: have("runc"), want: []string{"containerd", "iproute2"}},
		"nothing is missing":                       {have: have("runc", "containerd", "ctr", "ip")},
	}
	needs := []need{{"containerd", "containerd"}, {"ctr", "containerd"}, {"runc", "runc"}, {"ip", "iproute2"}}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := missingPackages(needs, row.have); !slices.Equal(got, row.want) {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}

func TestMountPoint(t *testing.T) {
	rows := map[string]struct{ line, want string }{
		"a usual mount":    {"36 35 98:0 / /var/lib/x/node1/netns rw shared:1 - nsfs nsfs rw", "/var/lib/x/node1/netns"},
		"one with a space": {`36 35 98:0 / /var/lib/x/a\040b rw - tmpfs tmpfs rw`, "/var/lib/x/a b"},
		"half a line":      {"36 35 98:0", ""},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := mountPoint(row.line); got != row.want {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestHealthy(t *testing.T) {
	alive, dead := ProcessStatus{Alive: true}, ProcessStatus{}
	rows := map[string]struct {
		status Status
		want   bool
	}{
		"complete, and everybody lives":  {Status{Complete: true, Processes: []ProcessStatus{alive, alive}}, true},
		"complete, and one died since":   {Status{Complete: true, Processes: []ProcessStatus{alive, dead}}, false},
		"killed before it was complete":  {Status{Processes: []ProcessStatus{alive}}, false},
		"complete, and nothing recorded": {Status{Complete: true}, false},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := row.status.Healthy(); got != row.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

func TestPlace(t *testing.T) {
	root := t.TempDir()
	for name, index := range map[string]int{"one": 1, "three": 3} {
		if err := (journal{Spec: Spec{Name: name, Nodes: 1}, Index: index}).write(root); err != nil {
			t.Fatal(err)
		}
	}
	free := func(context.Context, topology.Cluster) (string, error) { return "", nil }
	taken := func(_ context.Context, c topology.Cluster) (string, error) { return c.NodeCIDR(), nil }
	rows := map[string]struct {
		name     string
		conflict func(context.Context, topology.Cluster) (string, error)
		want     int
		err      string
	}{
		"the default cluster has the first place":         {name: "kubernaut", conflict: free, want: 0},
		"another takes the first that is free":            {name: "lab", conflict: free, want: 2},
		"one that comes again does not block itself":      {name: "one", conflict: free, want: 1},
		"nobody is placed over a network of this machine": {name: "lab", conflict: taken, err: "172.31.86.0/24"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			c, err := place(context.Background(), root, Spec{Name: row.name, Nodes: 1}, row.conflict)
			if row.err != "" {
				if err == nil || !strings.Contains(err.Error(), row.err) {
					t.Fatalf("got %v", err)
				}
				return
			}
			if err != nil || c.Index != row.want {
				t.Fatalf("got index %d, %v", c.Index, err)
			}
		})
	}
}

func TestRemoveOfWhatWasNeverMade(t *testing.T) {
	root := t.TempDir()
	there, err := Down(context.Background(), root, "lab")
	if there || err != nil {
		t.Errorf("nothing there: got %t, %v", there, err)
	}
	// A crash before the journal leaves at most a directory.
	if err := os.MkdirAll(filepath.Join(root, "lab"), 0o700); err != nil {
		t.Fatal(err)
	}
	if there, err = Down(context.Background(), root, "lab"); there || err != nil {
		t.Errorf("an empty directory: got %t, %v", there, err)
	}
	if _, err := os.Stat(filepath.Join(root, "lab")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory: %v", err)
	}
}

func TestOneCommandAtATime(t *testing.T) {
	root := t.TempDir()
	unlock, err := claim(root, "lab")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Down(context.Background(), root, "lab"); err == nil || !strings.Contains(err.Error(), "another localcluster command") {
		t.Errorf("got %v", err)
	}
	unlock()
	if _, err := Down(context.Background(), root, "lab"); err != nil {
		t.Error(err)
	}
}
