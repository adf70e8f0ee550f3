package topology

import (
	"net/netip"
	"strings"
	"testing"
)

func TestNew(t *testing.T) {
	rows := map[string]struct {
		root, name   string
		index, nodes int
		want         string // part of the error; empty is none
	}{
		"a usual cluster":                           {root: "/var/lib/x", name: "kubernaut", nodes: 2},
		"the longest name, the last index":          {root: "/var/lib/x", name: strings.Repeat("a", 20), index: MaxIndex, nodes: MaxNodes},
		"a name that is a path":                     {root: "/var/lib/x", name: "../etc", nodes: 1, want: "cluster name"},
		"a name that ends in a dash":                {root: "/var/lib/x", name: "a-", nodes: 1, want: "cluster name"},
		"no name":                                   {root: "/var/lib/x", nodes: 1, want: "cluster name"},
		"an index beyond the last address range":    {root: "/var/lib/x", name: "a", index: MaxIndex + 1, nodes: 1, want: "cluster index"},
		"no nodes":                                  {root: "/var/lib/x", name: "a", want: "0 nodes"},
		"a directory too deep for unix sockets":     {root: "/" + strings.Repeat("d", 90), name: "a", nodes: 1, want: "107 bytes"},
		"more nodes than the addresses are set for": {root: "/var/lib/x", name: "a", nodes: MaxNodes + 1, want: "21 nodes"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			_, err := New(row.root, row.name, row.index, row.nodes)
			if row.want == "" && err != nil {
				t.Fatal(err)
			}
			if row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
				t.Fatalf("got %v, want an error with %q", err, row.want)
			}
		})
	}
}

// TestClustersDoNotMeet takes the largest clusters of all indices: no range may overlap another.
func TestClustersDoNotMeet(t *testing.T) {
	owner := map[netip.Prefix]string{}
	claim := func(cidr, who string) {
		p := netip.MustParsePrefix(cidr)
		for other, whose := range owner {
			if p.Overlaps(other) {
				t.Errorf("%s of %s overlaps %s of %s", p, who, other, whose)
			}
		}
		owner[p] = who
	}
	for index := range MaxIndex + 1 {
		c, err := New("/var/lib/x", "a", index, MaxNodes)
		if err != nil {
			t.Fatal(err)
		}
		claim(c.NodeCIDR(), c.ID()+" nodes")
		claim(c.ServiceCIDR(), c.ID()+" services")
		claim(c.PodCIDR(), c.ID()+" pods")
	}
}

func TestAddressesLieInTheirRanges(t *testing.T) {
	c, err := New("/var/lib/x", "a", 3, MaxNodes)
	if err != nil {
		t.Fatal(err)
	}
	inside := map[string]string{c.HostAddress(): c.NodeCIDR(), c.DNS(): c.ServiceCIDR(), c.FirstService(): c.ServiceCIDR()}
	for _, n := range c.Nodes {
		inside[n.Address] = c.NodeCIDR()
		inside[strings.TrimSuffix(n.PodCIDR, "/24")] = c.PodCIDR()
		if len(n.Veth) > 15 || len(c.Bridge()) > 15 {
			t.Errorf("link names %s and %s: the kernel takes 15 bytes", n.Veth, c.Bridge())
		}
	}
	for address, cidr := range inside {
		if !netip.MustParsePrefix(cidr).Contains(netip.MustParseAddr(address)) {
			t.Errorf("%s is not in %s", address, cidr)
		}
	}
}
