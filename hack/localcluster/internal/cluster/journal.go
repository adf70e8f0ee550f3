package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/kubernaut/kubernaut/hack/localcluster/internal/binaries"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/controlplane"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/lock"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/monitoring"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/process"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/topology"
)

// Spec is what a user asks for.
type Spec struct {
	Name       string `json:"name"`
	Kubernetes string `json:"kubernetes"`
	Nodes      int    `json:"nodes"`
	Monitoring bool   `json:"monitoring"`
	Metrics    bool   `json:"metrics"`
	Storage    bool   `json:"storage"`
}

// programs are those that the cluster runs.
func (s Spec) programs() []string {
	without := map[string]bool{"kube-state-metrics": !s.Monitoring, "metrics-server": !s.Metrics, "storage-provisioner": !s.Storage}
	return slices.DeleteFunc(binaries.Names(), func(name string) bool { return without[name] })
}

// pods are the programs that run in pods.
func (s Spec) pods() []string {
	pods := []string{"pause", "coredns"}
	if s.Metrics {
		pods = append(pods, "metrics-server")
	}
	return pods
}

// journal is written before anything is made, so that whatever a crash leaves behind can be found and removed.
type journal struct {
	Spec
	Index int `json:"index"`
	// Complete is false until the cluster has been seen to work.
	Complete bool               `json:"complete"`
	Binaries string             `json:"binaries"`
	Ports    controlplane.Ports `json:"ports"`
	Pipeline monitoring.State   `json:"pipeline"`
}

// ErrNotUp means that there is no cluster of that name.
var ErrNotUp = errors.New("no such cluster is up")

func journalFile(root, name string) string { return filepath.Join(root, name, "journal.json") }

func readJournal(root, name string) (journal, error) {
	var j journal
	b, err := os.ReadFile(journalFile(root, name))
	if errors.Is(err, os.ErrNotExist) {
		return j, fmt.Errorf("cluster %s: %w", name, ErrNotUp)
	}
	if err != nil {
		return j, fmt.Errorf("reading journal of %s: %w", name, err)
	}
	if err := json.Unmarshal(b, &j); err != nil {
		return j, fmt.Errorf("reading journal of %s: %w", name, err)
	}
	return j, nil
}

func (j journal) write(root string) error {
	b, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		return fmt.Errorf("writing journal of %s: %w", j.Name, err)
	}
	path := journalFile(root, j.Name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("writing journal of %s: %w", j.Name, err)
	}
	if err := os.WriteFile(path+".partial", b, 0o600); err != nil {
		return fmt.Errorf("writing journal of %s: %w", j.Name, err)
	}
	if err := os.Rename(path+".partial", path); err != nil {
		return fmt.Errorf("writing journal of %s: %w", j.Name, err)
	}
	return nil
}

func (j journal) topology(root string) (topology.Cluster, error) {
	return topology.New(root, j.Name, j.Index, j.Nodes)
}

func processes(c topology.Cluster) process.Table {
	return process.Table{Dir: c.Path("log"), Marker: c.Marker()}
}

// others lists the journals of all clusters but one.
func others(root, name string) ([]journal, error) {
	files, err := filepath.Glob(journalFile(root, "*"))
	if err != nil {
		return nil, fmt.Errorf("listing clusters: %w", err)
	}
	var found []journal
	for _, f := range files {
		j, err := readJournal(root, filepath.Base(filepath.Dir(f)))
		if err != nil {
			return nil, err
		}
		if j.Name != name {
			found = append(found, j)
		}
	}
	return found, nil
}

// conflictFinder names a network of this machine that is in a cluster's way, or returns "".
type conflictFinder func(context.Context, topology.Cluster) (string, error)

// place chooses an index whose addresses nobody uses. The default cluster's is 0, so that its addresses never change.
func place(ctx context.Context, root string, spec Spec, conflict conflictFinder) (topology.Cluster, error) {
	neighbours, err := others(root, spec.Name)
	if err != nil {
		return topology.Cluster{}, err
	}
	taken := map[int]string{}
	for _, n := range neighbours {
		taken[n.Index] = "cluster " + n.Name
	}
	first, last := 1, topology.MaxIndex
	if spec.Name == topology.DefaultName {
		first, last = 0, 0
	}
	reason := ""
	for index := first; index <= last; index++ {
		c, err := topology.New(root, spec.Name, index, spec.Nodes)
		if err != nil {
			return topology.Cluster{}, err
		}
		reason = taken[index]
		if reason == "" {
			if reason, err = conflict(ctx, c); err != nil {
				return topology.Cluster{}, err
			}
		}
		if reason == "" {
			return c, nil
		}
	}
	return topology.Cluster{}, fmt.Errorf("placing cluster %s: every address range is taken, the last one by %s", spec.Name, reason)
}

// claim lets one command at a time work on a cluster.
func claim(root, name string) (func(), error) {
	unlock, err := lock.Try(filepath.Join(root, name+".lock"))
	if errors.Is(err, lock.ErrHeld) {
		return nil, fmt.Errorf("cluster %s: another localcluster command is at work on it", name)
	}
	return unlock, err
}

// claimShared guards what clusters share, for moments only, so that it can be waited for.
func claimShared(ctx context.Context, root string) (func(), error) {
	return lock.Wait(ctx, filepath.Join(root, ".shared.lock"))
}
