// Package node says how a node's containerd, kubelet and kube-proxy are started,
// and writes what they read.
package node

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"text/template"

	"golang.org/x/sys/unix"

	"github.com/kubernaut/kubernaut/hack/localcluster/internal/cgroup"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/controlplane"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/image"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/process"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/topology"
)

//go:embed files
var files embed.FS

var templates = template.Must(template.ParseFS(files, "files/*"))

// values are what the files' templates see.
type values struct {
	Cluster  topology.Cluster
	Node     topology.Node
	Pause    string
	CgroupV1 bool
}

// PrepareAll writes what the nodes have in common.
func PrepareAll(c topology.Cluster) error {
	if err := render("hosts.toml", c.Path("registries", "_default", "hosts.toml"), values{Cluster: c}); err != nil {
		return err
	}
	// Pods that want the node's own resolver get the cluster's: the node knows no other.
	if err := os.WriteFile(c.Path("resolv.conf"), []byte("nameserver "+c.DNS()+"\n"), 0o600); err != nil {
		return fmt.Errorf("writing resolver configuration: %w", err)
	}
	return controlplane.WriteCertConfig(c, c.Path("pki", "kube-proxy.kubeconfig"), "kube-proxy")
}

// Prepare writes a node's files and makes its control group.
func Prepare(c topology.Cluster, n topology.Node) error {
	version, err := cgroup.Version()
	if err != nil {
		return err
	}
	v := values{Cluster: c, Node: n, Pause: image.Pause, CgroupV1: version == cgroup.V1}
	for file, path := range map[string]string{
		"containerd.toml": n.Path("containerd.toml"),
		"cni.conflist":    n.Path("cni", "10-pods.conflist"),
		"kubelet.yaml":    n.Path("kubelet.yaml"),
		"kube-proxy.yaml": n.Path("kube-proxy.yaml"),
	} {
		if err := render(file, path, v); err != nil {
			return err
		}
	}
	if err := controlplane.WriteCertConfig(c, n.Path("kubeconfig"), "kubelet-"+n.Name); err != nil {
		return err
	}
	return cgroup.Create(n.ID)
}

func render(file, path string, v values) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() { _ = f.Close() }()
	if err := templates.ExecuteTemplate(f, file, v); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return f.Close()
}

func containerd(n topology.Node) string { return "containerd-" + n.Name }

// privateMounts gives the node directories of its own where containerd, CNI and kubelet write without asking.
// The kubelet's cAdvisor, too, looks for containerd at one place only, and names no container if it is not there.
func privateMounts(n topology.Node) error {
	const run = "/run/containerd"
	for _, dir := range []string{run, "/var/lib/cni", "/var/log/containers", "/var/lib/kubelet/device-plugins"} {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return fmt.Errorf("making %s: %w", dir, err)
		}
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
			return fmt.Errorf("giving %s its own %s: %w", n.Name, dir, err)
		}
	}
	if err := os.Symlink(n.ContainerdSocket(), run+"/containerd.sock"); err != nil {
		return fmt.Errorf("leading cAdvisor to containerd: %w", err)
	}
	return nil
}

// Containerd runs the node's containers, in a mount namespace that the kubelet shares.
func Containerd(n topology.Node) process.Command {
	return process.Command{
		Name: containerd(n), Path: "containerd", Netns: n.Netns(),
		Mounts: func() error { return privateMounts(n) },
		Args:   []string{"--config=" + n.Path("containerd.toml"), "--log-level=info"},
	}
}

// Kubelet is the node as the API server knows it.
func Kubelet(n topology.Node, bin string) process.Command {
	return process.Command{
		Name: "kubelet-" + n.Name, Path: bin + "/kubelet", Netns: n.Netns(), MountsOf: containerd(n),
		Args: []string{
			"--config=" + n.Path("kubelet.yaml"), "--kubeconfig=" + n.Path("kubeconfig"),
			"--root-dir=" + n.Path("kubelet"), "--cert-dir=" + n.Path("pki"),
			"--hostname-override=" + n.Name, "--node-ip=" + n.Address,
		},
	}
}

// Proxy makes Services work in the node's network namespace.
func Proxy(n topology.Node, bin string) process.Command {
	return process.Command{
		Name: "kube-proxy-" + n.Name, Path: bin + "/kube-proxy", Netns: n.Netns(),
		Args: []string{"--config=" + n.Path("kube-proxy.yaml")},
	}
}
