// Package controlplane says how etcd, API server, controller manager and scheduler
// are started, and makes the certificates and credentials of all who talk to them.
package controlplane

import (
	_ "embed"
	"fmt"
	"os"
	"strconv"

	"github.com/kubernaut/kubernaut/hack/localcluster/internal/process"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/topology"
)

//go:embed files/audit-policy.yaml
var auditPolicy []byte

// Ports are those on loopback, chosen when the cluster is made.
type Ports struct {
	Etcd       int `json:"etcd"`
	EtcdPeer   int `json:"etcdPeer"`
	Controller int `json:"controllerManager"`
	Scheduler  int `json:"scheduler"`
}

// Prepare writes what the programs read: certificates, users, kubeconfigs and the audit policy.
func Prepare(c topology.Cluster) error {
	if err := issueAll(c); err != nil {
		return err
	}
	if err := writeUsers(c); err != nil {
		return err
	}
	for _, component := range []string{"controller-manager", "scheduler"} {
		if err := writeComponentConfig(c, component); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(c.Path("audit"), 0o700); err != nil {
		return fmt.Errorf("making audit directory: %w", err)
	}
	if err := os.WriteFile(c.Path("audit", "policy.yaml"), auditPolicy, 0o600); err != nil {
		return fmt.Errorf("writing audit policy: %w", err)
	}
	return nil
}

// Etcd keeps nothing that must outlive the machine, so it does not wait for the disk.
func Etcd(c topology.Cluster, bin string, p Ports) process.Command {
	peer := fmt.Sprintf("https://127.0.0.1:%d", p.EtcdPeer)
	return process.Command{Name: "etcd", Path: bin + "/etcd", Args: []string{
		"--name=" + c.Name,
		"--data-dir=" + c.Path("etcd"),
		"--listen-client-urls=" + etcdURL(p), "--advertise-client-urls=" + etcdURL(p),
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=" + c.Name + "=" + peer,
		"--client-cert-auth", "--trusted-ca-file=" + c.Path("pki", "etcd-ca.crt"),
		"--cert-file=" + c.Path("pki", "etcd.crt"), "--key-file=" + c.Path("pki", "etcd.key"),
		"--peer-client-cert-auth", "--peer-trusted-ca-file=" + c.Path("pki", "etcd-ca.crt"),
		"--peer-cert-file=" + c.Path("pki", "etcd.crt"), "--peer-key-file=" + c.Path("pki", "etcd.key"),
		"--unsafe-no-fsync",
		"--log-level=warn",
	}}
}

func etcdURL(p Ports) string { return fmt.Sprintf("https://127.0.0.1:%d", p.Etcd) }

// APIServer listens on the bridge only, where the host and the nodes reach it and nobody else does.
func APIServer(c topology.Cluster, bin string, p Ports) process.Command {
	pki := func(file string) string { return c.Path("pki", file) }
	return process.Command{Name: "kube-apiserver", Path: bin + "/kube-apiserver", Args: []string{
		"--bind-address=" + c.HostAddress(), "--advertise-address=" + c.HostAddress(),
		"--secure-port=" + strconv.Itoa(topology.APIServerPort),
		"--tls-cert-file=" + pki("apiserver.crt"), "--tls-private-key-file=" + pki("apiserver.key"),
		"--client-ca-file=" + pki("ca.crt"),
		"--token-auth-file=" + pki("tokens.csv"),
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
		"--etcd-servers=" + etcdURL(p), "--etcd-cafile=" + pki("etcd-ca.crt"),
		"--etcd-certfile=" + pki("etcd-client.crt"), "--etcd-keyfile=" + pki("etcd-client.key"),
		"--kubelet-certificate-authority=" + pki("ca.crt"), "--kubelet-preferred-address-types=InternalIP",
		"--kubelet-client-certificate=" + pki("apiserver-kubelet.crt"), "--kubelet-client-key=" + pki("apiserver-kubelet.key"),
		"--enable-aggregator-routing=true",
		"--requestheader-client-ca-file=" + pki("front-proxy-ca.crt"), "--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + pki("front-proxy-client.crt"), "--proxy-client-key-file=" + pki("front-proxy-client.key"),
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + pki("sa.key"), "--service-account-signing-key-file=" + pki("sa.key"),
		"--service-cluster-ip-range=" + c.ServiceCIDR(),
		"--allow-privileged=true", "--profiling=false",
		"--audit-policy-file=" + c.Path("audit", "policy.yaml"), "--audit-log-path=" + c.AuditLog(), "--audit-log-maxsize=1024",
	}}
}

// ControllerManager keeps its port on loopback; nothing but a person debugging it asks there.
func ControllerManager(c topology.Cluster, bin string, p Ports) process.Command {
	config := componentConfig(c, "controller-manager")
	return process.Command{Name: "kube-controller-manager", Path: bin + "/kube-controller-manager", Args: []string{
		"--kubeconfig=" + config, "--authentication-kubeconfig=" + config, "--authorization-kubeconfig=" + config,
		"--bind-address=127.0.0.1", "--secure-port=" + strconv.Itoa(p.Controller),
		"--cert-dir=" + c.Path("pki", "controller-manager"),
		"--service-account-private-key-file=" + c.Path("pki", "sa.key"), "--root-ca-file=" + c.Path("pki", "ca.crt"),
		"--cluster-signing-cert-file=" + c.Path("pki", "ca.crt"), "--cluster-signing-key-file=" + c.Path("pki", "ca.key"),
		"--use-service-account-credentials=true", "--leader-elect=false",
	}}
}

// Scheduler is alone, so it elects nobody.
func Scheduler(c topology.Cluster, bin string, p Ports) process.Command {
	config := componentConfig(c, "scheduler")
	return process.Command{Name: "kube-scheduler", Path: bin + "/kube-scheduler", Args: []string{
		"--kubeconfig=" + config, "--authentication-kubeconfig=" + config, "--authorization-kubeconfig=" + config,
		"--bind-address=127.0.0.1", "--secure-port=" + strconv.Itoa(p.Scheduler),
		"--cert-dir=" + c.Path("pki", "scheduler"),
		"--leader-elect=false",
	}}
}
