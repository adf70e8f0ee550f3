// Package topology decides every name, address and directory of a cluster from
// its name and its index, so that whatever exists can be found again, and
// removed, by a program that knows nothing else about it.
package topology

import (
	"fmt"
	"path/filepath"
	"regexp"
)

// MaxIndex is the number of clusters that fit beside each other on a machine.
const MaxIndex = 9

// MaxNodes is the number of nodes that a cluster may have.
const MaxNodes = 20

// Port numbers that are the same in every cluster, for each has addresses of its own.
const (
	APIServerPort = 6443
	RegistryPort  = 5000
	KubeletPort   = 10250
)

// DefaultName is the name of a cluster that was given none. It always has index 0.
const DefaultName = "kubernaut"

// name is short because it becomes part of socket paths, which the kernel limits to 107 bytes.
var name = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$`)

// Cluster is one cluster's place on this machine.
type Cluster struct {
	Name  string
	Index int
	// Root holds the directories of all clusters.
	Root  string
	Nodes []Node
}

// Node is one node's place within its cluster.
type Node struct {
	Name string
	// ID is unique on the machine. Cgroup, CNI network and veth are named after it.
	ID      string
	Veth    string
	Address string
	PodCIDR string
	Dir     string
}

// New places a cluster, or says why it can not exist.
func New(root, clusterName string, index, nodes int) (Cluster, error) {
	switch {
	case !name.MatchString(clusterName):
		return Cluster{}, fmt.Errorf("cluster name %q: want at most 20 lower-case letters, digits and dashes", clusterName)
	case index < 0 || index > MaxIndex:
		return Cluster{}, fmt.Errorf("cluster index %d: want 0 to %d", index, MaxIndex)
	case nodes < 1 || nodes > MaxNodes:
		return Cluster{}, fmt.Errorf("%d nodes: want 1 to %d", nodes, MaxNodes)
	}
	c := Cluster{Name: clusterName, Index: index, Root: root}
	for i := 1; i <= nodes; i++ {
		c.Nodes = append(c.Nodes, Node{
			Name:    fmt.Sprintf("node%d", i),
			ID:      fmt.Sprintf("%s-node%d", c.ID(), i),
			Veth:    fmt.Sprintf("%sv%d", c.ID(), i),
			Address: fmt.Sprintf("172.31.%d.%d", 77+index, 10+i),
			PodCIDR: fmt.Sprintf("10.%d.%d.0/24", 200+index, i),
			Dir:     filepath.Join(c.Dir(), fmt.Sprintf("node%d", i)),
		})
	}
	if sock := c.Nodes[nodes-1].ContainerdSocket() + ".ttrpc"; len(sock) > 107 {
		return Cluster{}, fmt.Errorf("runtime directory %s: socket paths below it would exceed the kernel's 107 bytes", root)
	}
	return c, nil
}

// ID prefixes the names of the cluster's links, cgroups and CNI networks.
func (c Cluster) ID() string { return fmt.Sprintf("kn%d", c.Index) }

// Dir holds everything that the cluster writes.
func (c Cluster) Dir() string { return filepath.Join(c.Root, c.Name) }

// Path joins names to the cluster's directory.
func (c Cluster) Path(elem ...string) string {
	return filepath.Join(append([]string{c.Dir()}, elem...)...)
}

// Bridge is the host's link to the nodes.
func (c Cluster) Bridge() string { return c.ID() + "br" }

// HostAddress is the host's address on the bridge: API server and registry listen there.
func (c Cluster) HostAddress() string { return fmt.Sprintf("172.31.%d.1", 77+c.Index) }

// NodeCIDR holds the addresses of the host and the nodes.
func (c Cluster) NodeCIDR() string { return fmt.Sprintf("172.31.%d.0/24", 77+c.Index) }

// PodCIDR holds the pod ranges of all nodes.
func (c Cluster) PodCIDR() string { return fmt.Sprintf("10.%d.0.0/16", 200+c.Index) }

// ServiceCIDR holds the addresses of Services.
func (c Cluster) ServiceCIDR() string { return fmt.Sprintf("10.%d.0.0/16", 96+c.Index) }

// FirstService is the address of the Service "kubernetes".
func (c Cluster) FirstService() string { return fmt.Sprintf("10.%d.0.1", 96+c.Index) }

// DNS is the address of the Service "kube-dns".
func (c Cluster) DNS() string { return fmt.Sprintf("10.%d.0.10", 96+c.Index) }

// APIServer is the address that nodes, pods and people use.
func (c Cluster) APIServer() string {
	return fmt.Sprintf("https://%s:%d", c.HostAddress(), APIServerPort)
}

// Registry is the host and port that nodes pull images from.
func (c Cluster) Registry() string { return fmt.Sprintf("%s:%d", c.HostAddress(), RegistryPort) }

// AuditLog is the API server's record of who did what.
func (c Cluster) AuditLog() string { return c.Path("audit", "audit.log") }

// Kubeconfig is the file of one of the cluster's users; the empty name is the admin's.
func (c Cluster) Kubeconfig(user string) string {
	if user == "" || user == "admin" {
		return c.Path("kubeconfig")
	}
	return c.Path("kubeconfig-" + user)
}

// Marker is in the environment of each process that the cluster starts, so that
// one whose pid was never written down is found as well.
func (c Cluster) Marker() string { return "KUBERNAUT_LOCALCLUSTER=" + c.Dir() }

// Path joins names to the node's directory.
func (n Node) Path(elem ...string) string {
	return filepath.Join(append([]string{n.Dir}, elem...)...)
}

// Netns is the file that keeps the node's network namespace. It is not below
// /run/netns, because the first namespace there leaves a mount behind for good.
func (n Node) Netns() string { return n.Path("netns") }

// ContainerdSocket is where the node's containerd listens.
func (n Node) ContainerdSocket() string { return n.Path("c.sock") }
