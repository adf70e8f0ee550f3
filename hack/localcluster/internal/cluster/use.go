package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/kubernaut/kubernaut/hack/localcluster/internal/monitoring"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/process"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/topology"
)

// find returns a cluster that is there.
func find(root, name string) (journal, topology.Cluster, error) {
	j, err := readJournal(root, name)
	if err != nil {
		return j, topology.Cluster{}, err
	}
	c, err := j.topology(root)
	return j, c, err
}

// Kubeconfig returns the path of a user's kubeconfig.
func Kubeconfig(root, name, user string) (string, error) {
	_, c, err := find(root, name)
	if err != nil {
		return "", err
	}
	path := c.Kubeconfig(user)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("looking for user %s of cluster %s: %w", user, name, err)
	}
	return path, nil
}

// Load imports an image into every node.
func Load(ctx context.Context, root, name, tarball string) error {
	_, c, err := find(root, name)
	if err != nil {
		return err
	}
	errs := make([]error, len(c.Nodes))
	var wait sync.WaitGroup
	for i, n := range c.Nodes {
		wait.Go(func() {
			_, errs[i] = process.Run(ctx, "ctr", "--address="+n.ContainerdSocket(), "--namespace=k8s.io", "images", "import", tarball)
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// Reload makes Prometheus and Alertmanager read their configuration again; what the change leaves empty stays.
func Reload(ctx context.Context, root, name string, change monitoring.Config) error {
	unlock, err := claim(root, name)
	if err != nil {
		return err
	}
	defer unlock()
	return reload(ctx, root, name, change)
}

func reload(ctx context.Context, root, name string, change monitoring.Config) error {
	j, c, err := find(root, name)
	if err != nil {
		return err
	}
	if !j.Monitoring {
		return fmt.Errorf("cluster %s: it was brought up without --monitoring", name)
	}
	if change, err = change.Absolute(); err != nil {
		return err
	}
	before := j.Pipeline.Alertmanager
	j.Pipeline.Config = j.Pipeline.With(change)
	if err := j.write(root); err != nil {
		return err
	}
	if err := monitoring.Prepare(c, j.Pipeline); err != nil {
		return err
	}
	urls := j.Pipeline.Ports.URLs()
	if err := monitoring.Reload(ctx, urls["prometheus"]); err != nil {
		return fmt.Errorf("%w; why is in %s", err, c.Path("log", "prometheus.log"))
	}
	if before != j.Pipeline.Alertmanager {
		return restartAlertmanager(ctx, c, j.Pipeline)
	}
	if err := monitoring.Reload(ctx, urls["alertmanager"]); err != nil {
		return fmt.Errorf("%w; why is in %s", err, c.Path("log", "alertmanager.log"))
	}
	return nil
}

// restartAlertmanager is how it comes to read another file.
func restartAlertmanager(ctx context.Context, c topology.Cluster, s monitoring.State) error {
	if err := processes(c).Stop("alertmanager"); err != nil {
		return err
	}
	child, err := processes(c).Start(monitoring.Alertmanager(c, s))
	if err != nil {
		return err
	}
	url := s.Ports.URLs()["alertmanager"] + "/-/ready"
	wait := patience{limit: 10 * time.Second, what: "alertmanager", children: []*process.Process{child}}
	return wait.await(ctx, func(ctx context.Context) error { return monitoring.Ready(ctx, url) })
}
