package cluster

import (
	"context"
	"fmt"

	"github.com/kubernaut/kubernaut/hack/localcluster/internal/cgroup"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/monitoring"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/topology"
)

// Status is what there is to know about a cluster.
type Status struct {
	Spec
	Index      int               `json:"index"`
	Complete   bool              `json:"complete"`
	Dir        string            `json:"dir"`
	APIServer  string            `json:"apiServer"`
	Kubeconfig string            `json:"kubeconfig"`
	AuditLog   string            `json:"auditLog"`
	Binaries   string            `json:"binaries"`
	Registry   string            `json:"registry"`
	HostIP     string            `json:"hostIP"`
	PodCIDR    string            `json:"podCIDR"`
	Services   string            `json:"serviceCIDR"`
	Cgroups    string            `json:"cgroups"`
	NodeList   []NodeStatus      `json:"nodeList"`
	URLs       map[string]string `json:"urls,omitempty"`
	Processes  []ProcessStatus   `json:"processes"`

	pipeline monitoring.Config
}

// NodeStatus is one node, and where a test lays hands on it.
type NodeStatus struct {
	Name       string `json:"name"`
	Address    string `json:"address"`
	PodCIDR    string `json:"podCIDR"`
	Ready      bool   `json:"ready"`
	Netns      string `json:"netns"`
	Veth       string `json:"veth"`
	Containerd string `json:"containerd"`
}

// ProcessStatus is one child.
type ProcessStatus struct {
	Name  string `json:"name"`
	PID   int    `json:"pid"`
	Alive bool   `json:"alive"`
	Log   string `json:"log"`
}

// Healthy is true of a cluster that came up completely and lost no process since.
func (s Status) Healthy() bool {
	for _, p := range s.Processes {
		if !p.Alive {
			return false
		}
	}
	return s.Complete && len(s.Processes) > 0
}

// Look finds out about a cluster; the error is ErrNotUp when there is none.
func Look(ctx context.Context, root, name string) (Status, error) {
	j, err := readJournal(root, name)
	if err != nil {
		return Status{}, err
	}
	c, err := j.topology(root)
	if err != nil {
		return Status{}, err
	}
	s := Status{
		Spec: j.Spec, Index: j.Index, Complete: j.Complete, Dir: c.Dir(),
		APIServer: c.APIServer(), Kubeconfig: c.Kubeconfig("admin"), AuditLog: c.AuditLog(),
		Binaries: j.Binaries, Registry: c.Registry(), HostIP: c.HostAddress(), PodCIDR: c.PodCIDR(), Services: c.ServiceCIDR(),
	}
	if j.Monitoring {
		s.URLs, s.pipeline = j.Pipeline.Ports.URLs(), j.Pipeline.Config
	}
	if s.Cgroups, err = describeCgroups(); err != nil {
		return Status{}, err
	}
	records, err := processes(c).Records()
	if err != nil {
		return Status{}, err
	}
	for _, r := range records {
		s.Processes = append(s.Processes, ProcessStatus{Name: r.Name, PID: r.PID, Alive: r.Alive(), Log: c.Path("log", r.Name+".log")})
	}
	s.NodeList = lookAtNodes(ctx, c)
	return s, nil
}

// lookAtNodes takes a silent API server for nodes that are not ready.
func lookAtNodes(ctx context.Context, c topology.Cluster) []NodeStatus {
	var ready map[string]bool
	if client, err := newClient(c); err == nil {
		ready, _ = client.readyNodes(ctx)
	}
	var nodes []NodeStatus
	for _, n := range c.Nodes {
		nodes = append(nodes, NodeStatus{
			Name: n.Name, Address: n.Address, PodCIDR: n.PodCIDR, Ready: ready[n.Name],
			Netns: n.Netns(), Veth: n.Veth, Containerd: n.ContainerdSocket(),
		})
	}
	return nodes
}

func describeCgroups() (string, error) {
	version, err := cgroup.Version()
	if err != nil {
		return "", fmt.Errorf("looking at control groups: %w", err)
	}
	if version == cgroup.V2 {
		return version + " (untested)", nil
	}
	return version, nil
}
