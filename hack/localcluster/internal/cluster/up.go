// Package cluster brings a whole cluster up, tells how it is, and takes it down.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/kubernaut/kubernaut/hack/localcluster/internal/addon"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/binaries"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/controlplane"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/dns"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/image"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/monitoring"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/network"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/node"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/process"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/topology"
)

// Options is all that `up` is told.
type Options struct {
	Spec
	// Root holds the directories of all clusters, Cache what is built, Module the source of that.
	Root, Cache, Module string
	Pipeline            monitoring.Config
	Progress            io.Writer
}

// lift is one cluster on its way up.
type lift struct {
	Options
	at       topology.Cluster
	journal  journal
	sets     []string
	client   *client
	children []*process.Process
}

// Up makes the cluster that is asked for. One that is there already is left alone, what a
// crash left is removed first.
func Up(ctx context.Context, o Options) error {
	if err := check(o.Spec); err != nil {
		return err
	}
	if _, err := topology.New(o.Root, o.Name, 0, o.Nodes); err != nil {
		return err
	}
	var err error
	if o.Pipeline, err = o.Pipeline.Absolute(); err != nil {
		return err
	}
	unlock, err := claim(o.Root, o.Name)
	if err != nil {
		return err
	}
	defer unlock()
	running, err := alreadyUp(ctx, o)
	if running || err != nil {
		return err
	}
	l := &lift{Options: o}
	if err := l.build(ctx); err != nil {
		return err
	}
	start := time.Now()
	if err := l.start(ctx); err != nil {
		return fmt.Errorf("bringing up %s (logs: %s; `localcluster down --name %s` removes it): %w",
			o.Name, processes(l.at).Dir, o.Name, err)
	}
	fmt.Fprintf(o.Progress, "cluster %s is up after %.1f s: KUBECONFIG=%s\n", o.Name, time.Since(start).Seconds(), l.at.Kubeconfig("admin"))
	return nil
}

// alreadyUp looks at what is there under the name, and removes it unless it is what was asked for.
func alreadyUp(ctx context.Context, o Options) (bool, error) {
	now, err := Look(ctx, o.Root, o.Name)
	if errors.Is(err, ErrNotUp) {
		_, err := remove(ctx, o.Root, o.Name)
		return false, err
	}
	if err != nil {
		return false, err
	}
	if now.Healthy() && now.Spec == o.Spec {
		fmt.Fprintf(o.Progress, "cluster %s is up already: KUBECONFIG=%s\n", o.Name, now.Kubeconfig)
		if o.Monitoring && now.pipeline.With(o.Pipeline) != now.pipeline {
			return true, reload(ctx, o.Root, o.Name, o.Pipeline)
		}
		return true, nil
	}
	if now.Healthy() {
		return false, fmt.Errorf("cluster %s is up with kubernetes %s, %d nodes, monitoring %t, metrics %t, storage %t: `localcluster down --name %s` first",
			o.Name, now.Kubernetes, now.Nodes, now.Monitoring, now.Metrics, now.Storage, o.Name)
	}
	fmt.Fprintf(o.Progress, "cluster %s is incomplete: removing what is left of it\n", o.Name)
	_, err = remove(ctx, o.Root, o.Name)
	return false, err
}

// build makes, or finds, the programs and images.
func (l *lift) build(ctx context.Context) error {
	set, err := binaries.Open(ctx, l.Module, l.Kubernetes)
	if err != nil {
		return err
	}
	if err := set.Ensure(ctx, l.Cache, l.programs(), l.Progress); err != nil {
		return err
	}
	l.journal = journal{Spec: l.Spec, Binaries: set.Dir(l.Cache)}
	store := image.Store{Dir: l.Cache}
	fromDebian, err := image.EnsureDebian(ctx, store, l.Progress)
	if err != nil {
		return err
	}
	l.sets = []string{fromDebian}
	for _, program := range l.pods() {
		own, err := image.EnsureOwn(ctx, store, set.Shared(), filepath.Join(set.Dir(l.Cache), program))
		if err != nil {
			return err
		}
		l.sets = append(l.sets, own)
	}
	return nil
}

// start writes down what it is about to make, and makes it.
func (l *lift) start(ctx context.Context) error {
	if err := l.plan(ctx); err != nil {
		return err
	}
	for _, step := range []struct {
		does string
		f    func(context.Context) error
	}{
		{"certificates and configuration", l.prepare},
		{"network", func(ctx context.Context) error { return network.Create(ctx, l.at) }},
		{"control plane", l.startControlPlane},
		{"nodes", l.startNodes},
		{"name service", l.startDNS},
		{"metrics and storage", l.startAddons},
		{"monitoring", l.startMonitoring},
		{"everything ready", l.awaitReady},
	} {
		begin := time.Now()
		if err := step.f(ctx); err != nil {
			return err
		}
		fmt.Fprintf(l.Progress, "%s: %.1f s\n", step.does, time.Since(begin).Seconds())
	}
	l.journal.Complete = true
	return l.journal.write(l.Root)
}

func (l *lift) plan(ctx context.Context) error {
	unlock, err := claimShared(ctx, l.Root)
	if err != nil {
		return err
	}
	defer unlock()
	if l.at, err = place(ctx, l.Root, l.Spec, network.Conflict); err != nil {
		return err
	}
	l.journal.Index = l.at.Index
	ports, err := network.FreePorts(8)
	if err != nil {
		return err
	}
	l.journal.Ports = controlplane.Ports{Etcd: ports[0], EtcdPeer: ports[1], Controller: ports[2], Scheduler: ports[3]}
	l.journal.Pipeline = monitoring.State{Config: l.Pipeline, Ports: monitoring.Ports{
		Prometheus: ports[4], Alertmanager: ports[5], StateMetrics: ports[6], StateMetricsTelemetry: ports[7],
	}}
	if err := l.journal.write(l.Root); err != nil {
		return err
	}
	if err := rememberSettings(l.Root); err != nil {
		return err
	}
	return raiseInstances()
}

func (l *lift) prepare(context.Context) error {
	if err := controlplane.Prepare(l.at); err != nil {
		return err
	}
	var err error
	if l.client, err = newClient(l.at); err != nil {
		return err
	}
	return node.PrepareAll(l.at)
}

func (l *lift) run(commands ...process.Command) error {
	for _, c := range commands {
		child, err := processes(l.at).Start(c)
		if err != nil {
			return err
		}
		l.children = append(l.children, child)
	}
	return nil
}

// startControlPlane starts containerd as well: it needs nobody, and its first second is not waited for.
func (l *lift) startControlPlane(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding myself: %w", err)
	}
	registry := []string{"registry", "--address=" + l.at.Registry(), "--cache=" + l.Cache}
	for _, set := range l.sets {
		registry = append(registry, "--set="+set)
	}
	bin := l.journal.Binaries
	err = l.run(controlplane.Etcd(l.at, bin, l.journal.Ports), controlplane.APIServer(l.at, bin, l.journal.Ports),
		process.Command{Name: "registry", Path: self, Args: registry})
	if err != nil {
		return err
	}
	for _, n := range l.at.Nodes {
		if err := node.Prepare(l.at, n); err != nil {
			return err
		}
		if err := l.run(node.Containerd(n)); err != nil {
			return err
		}
	}
	return l.await(ctx, time.Minute, "the API server", func(ctx context.Context) error {
		_, err := l.client.get(ctx, "/readyz")
		return err
	})
}

func (l *lift) startNodes(ctx context.Context) error {
	bin := l.journal.Binaries
	err := l.run(controlplane.ControllerManager(l.at, bin, l.journal.Ports), controlplane.Scheduler(l.at, bin, l.journal.Ports))
	if err != nil {
		return err
	}
	for _, n := range l.at.Nodes {
		err := l.await(ctx, 30*time.Second, "containerd of "+n.Name, func(context.Context) error {
			_, err := os.Stat(n.ContainerdSocket())
			return err
		})
		if err != nil {
			return err
		}
		if err := l.run(node.Kubelet(n, bin), node.Proxy(n, bin)); err != nil {
			return err
		}
	}
	return nil
}

func (l *lift) startDNS(ctx context.Context) error {
	manifest, err := dns.Manifest(l.at)
	if err != nil {
		return err
	}
	return apply(ctx, l.at, l.journal.Binaries, manifest)
}

// startAddons waits for nobody: metrics come half a minute later, volumes when somebody claims one.
func (l *lift) startAddons(ctx context.Context) error {
	if l.Metrics {
		manifest, err := addon.MetricsServer(l.at)
		if err != nil {
			return err
		}
		if err := apply(ctx, l.at, l.journal.Binaries, manifest); err != nil {
			return err
		}
	}
	if !l.Storage {
		return nil
	}
	manifest, err := addon.Storage()
	if err != nil {
		return err
	}
	if err := apply(ctx, l.at, l.journal.Binaries, manifest); err != nil {
		return err
	}
	return l.run(addon.Provisioner(l.at, l.journal.Binaries))
}

func (l *lift) startMonitoring(ctx context.Context) error {
	if !l.Monitoring {
		return nil
	}
	manifest, err := monitoring.Manifest()
	if err != nil {
		return err
	}
	if err := apply(ctx, l.at, l.journal.Binaries, manifest); err != nil {
		return err
	}
	s := l.journal.Pipeline
	if err := monitoring.Prepare(l.at, s); err != nil {
		return err
	}
	err = l.run(monitoring.StateMetrics(l.at, l.journal.Binaries, s), monitoring.Prometheus(l.at, s), monitoring.Alertmanager(l.at, s))
	if err != nil {
		return err
	}
	urls := s.Ports.URLs()
	for name, url := range map[string]string{
		"prometheus": urls["prometheus"] + "/-/ready", "alertmanager": urls["alertmanager"] + "/-/ready", "kube-state-metrics": urls["kubeStateMetrics"] + "/healthz",
	} {
		err := l.await(ctx, 30*time.Second, name, func(ctx context.Context) error { return monitoring.Ready(ctx, url) })
		if err != nil {
			return err
		}
	}
	return nil
}

// awaitReady waits for the nodes and for names to be found, which is what a test can build on.
func (l *lift) awaitReady(ctx context.Context) error {
	err := l.await(ctx, time.Minute, "the nodes", func(ctx context.Context) error {
		ready, err := l.client.readyNodes(ctx)
		if err != nil {
			return err
		}
		for _, n := range l.at.Nodes {
			if !ready[n.Name] {
				return fmt.Errorf("%s is not ready", n.Name)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return l.await(ctx, time.Minute, "the name service", func(ctx context.Context) error {
		ok, err := l.client.available(ctx, "kube-system", "coredns")
		if err == nil && !ok {
			err = errors.New("not all replicas are ready")
		}
		return err
	})
}

func (l *lift) await(ctx context.Context, limit time.Duration, what string, ask func(context.Context) error) error {
	return patience{limit: limit, what: what, children: l.children}.await(ctx, ask)
}
