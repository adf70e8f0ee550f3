package controlplane

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/kubernaut/kubernaut/hack/localcluster/internal/pki"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/topology"
)

// User is a person of the test cluster. All but the admin may do only what somebody grants them.
type User struct {
	Name   string
	Groups []string
}

// Users are the people that every cluster has.
var Users = []User{
	{Name: "admin", Groups: []string{"system:masters"}},
	{Name: "approver", Groups: []string{"approvers"}},
	{Name: "viewer", Groups: []string{"viewers"}},
	{Name: "tenant-editor", Groups: []string{"tenant-editors"}},
	// These two belong to --monitoring, which grants them what they read.
	{Name: "prometheus", Groups: []string{"monitoring"}},
	{Name: "kube-state-metrics", Groups: []string{"monitoring"}},
	// And this one to --storage.
	{Name: "storage-provisioner", Groups: []string{"storage"}},
}

// issueAll makes three authorities, so that a certificate of one kind never passes for another.
func issueAll(c topology.Cluster) error {
	ca, err := pki.NewAuthority(c.Path("pki"), "ca")
	if err != nil {
		return err
	}
	etcd, err := pki.NewAuthority(c.Path("pki"), "etcd-ca")
	if err != nil {
		return err
	}
	front, err := pki.NewAuthority(c.Path("pki"), "front-proxy-ca")
	if err != nil {
		return err
	}
	if err := etcd.Issue(pki.Leaf{File: "etcd", User: "etcd", IPs: []string{"127.0.0.1"}}); err != nil {
		return err
	}
	if err := etcd.Issue(pki.Leaf{File: "etcd-client", User: "kube-apiserver"}); err != nil {
		return err
	}
	if err := front.Issue(pki.Leaf{File: "front-proxy-client", User: "front-proxy-client"}); err != nil {
		return err
	}
	for _, leaf := range leaves(c) {
		if err := ca.Issue(leaf); err != nil {
			return err
		}
	}
	_, err = pki.NewKey(c.Path("pki", "sa.key"))
	return err
}

func leaves(c topology.Cluster) []pki.Leaf {
	all := []pki.Leaf{
		{
			File: "apiserver", User: "kube-apiserver", IPs: []string{c.HostAddress(), c.FirstService()},
			DNS: []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
		},
		// As in kubeadm: the API server reaches every kubelet completely.
		{File: "apiserver-kubelet", User: "kube-apiserver-kubelet-client", Groups: []string{"system:masters"}},
		{File: "controller-manager", User: "system:kube-controller-manager"},
		{File: "scheduler", User: "system:kube-scheduler"},
		{File: "kube-proxy", User: "system:kube-proxy"},
		{File: "metrics-server", User: "metrics-server", DNS: []string{"metrics-server.kube-system.svc"}},
	}
	for _, n := range c.Nodes {
		all = append(all,
			pki.Leaf{File: "kubelet-" + n.Name, User: "system:node:" + n.Name, Groups: []string{"system:nodes"}, IPs: []string{n.Address}, DNS: []string{n.Name}})
	}
	return all
}

// writeUsers gives each user a token that no other cluster has.
func writeUsers(c topology.Cluster) error {
	var tokens strings.Builder
	for _, u := range Users {
		token, err := newToken()
		if err != nil {
			return err
		}
		fmt.Fprintf(&tokens, "%s,%s,%s,%q\n", token, u.Name, u.Name, strings.Join(u.Groups, ","))
		if err := writeConfig(c, c.Kubeconfig(u.Name), map[string]any{"token": token}); err != nil {
			return err
		}
	}
	if err := os.WriteFile(c.Path("pki", "tokens.csv"), []byte(tokens.String()), 0o600); err != nil {
		return fmt.Errorf("writing users: %w", err)
	}
	return nil
}

func newToken() (string, error) {
	b := make([]byte, 24)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("making token: %w", err)
	}
	return hex.EncodeToString(b), nil
}

func componentConfig(c topology.Cluster, component string) string {
	return c.Path("pki", component+".kubeconfig")
}

func writeComponentConfig(c topology.Cluster, component string) error {
	return WriteCertConfig(c, componentConfig(c, component), component)
}

// WriteCertConfig writes a kubeconfig that uses the named certificate of the cluster's authority.
func WriteCertConfig(c topology.Cluster, path, leaf string) error {
	return writeConfig(c, path, map[string]any{
		"client-certificate": c.Path("pki", leaf+".crt"), "client-key": c.Path("pki", leaf+".key"),
	})
}

// writeConfig writes a kubeconfig as JSON, which is YAML, so that no value can break out of its place.
func writeConfig(c topology.Cluster, path string, user map[string]any) error {
	ca, err := os.ReadFile(c.Path("pki", "ca.crt"))
	if err != nil {
		return fmt.Errorf("writing kubeconfig: %w", err)
	}
	named := func(kind string, value any) []any { return []any{map[string]any{"name": c.Name, kind: value}} }
	b, err := json.MarshalIndent(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": c.Name,
		"clusters": named("cluster", map[string]any{"server": c.APIServer(), "certificate-authority-data": ca}),
		"users":    named("user", user),
		"contexts": named("context", map[string]any{"cluster": c.Name, "user": c.Name}),
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("writing kubeconfig: %w", err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		return fmt.Errorf("writing kubeconfig: %w", err)
	}
	return nil
}
