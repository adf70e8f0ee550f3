package network

import (
	"slices"
	"testing"

	"github.com/kubernaut/kubernaut/hack/localcluster/internal/topology"
)

func TestOverlaps(t *testing.T) {
	rows := map[string]struct {
		dst  string
		want bool
	}{
		"the default route counts for nothing": {dst: "default"},
		"nor does it in figures":               {dst: "0.0.0.0/0"},
		"a network beside ours":                {dst: "172.31.78.0/24"},
		"a network around ours":                {dst: "172.16.0.0/12", want: true},
		"a host within ours":                   {dst: "172.31.77.9", want: true},
		"a part of ours":                       {dst: "172.31.77.128/25", want: true},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := overlaps(row.dst, "10.96.0.0/16", "172.31.77.0/24"); got != row.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

// TestNodeIsClosed: whatever a node has no route for is unreachable, and no route leads out of the cluster.
func TestNodeIsClosed(t *testing.T) {
	c, err := topology.New("/var/lib/x", "a", 0, 2)
	if err != nil {
		t.Fatal(err)
	}
	got := nodeCommands(c, c.Nodes[0])
	for _, want := range []string{
		"route add unreachable default",
		"route add unreachable 10.200.0.0/16",
		"route add 10.200.2.0/24 via 172.31.77.12",
		"route add 10.96.0.0/16 via 172.31.77.1",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("missing: %s", want)
		}
	}
	if want := 7; len(got) != want {
		t.Errorf("got %d commands, want %d: %q", len(got), want, got)
	}
}

func TestFreePortsAreDifferent(t *testing.T) {
	ports, err := FreePorts(8)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ports)
	if len(slices.Compact(ports)) != 8 {
		t.Errorf("got %v", ports)
	}
}
