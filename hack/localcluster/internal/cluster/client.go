package cluster

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"time"

	"github.com/kubernaut/kubernaut/hack/localcluster/internal/process"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/topology"
)

// client asks the API server the few things that `up` and `status` want to know.
type client struct {
	http  *http.Client
	base  string
	token string
}

func newClient(c topology.Cluster) (*client, error) {
	b, err := os.ReadFile(c.Kubeconfig("admin"))
	if err != nil {
		return nil, fmt.Errorf("reading kubeconfig: %w", err)
	}
	var config struct {
		Clusters []struct {
			Cluster struct {
				CA []byte `json:"certificate-authority-data"`
			} `json:"cluster"`
		} `json:"clusters"`
		Users []struct {
			User struct {
				Token string `json:"token"`
			} `json:"user"`
		} `json:"users"`
	}
	if err := json.Unmarshal(b, &config); err != nil {
		return nil, fmt.Errorf("reading kubeconfig: %w", err)
	}
	if len(config.Clusters) == 0 || len(config.Users) == 0 {
		return nil, errors.New("reading kubeconfig: it names no cluster or no user")
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(config.Clusters[0].Cluster.CA) {
		return nil, errors.New("reading kubeconfig: no certificate authority")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	return &client{
		http:  &http.Client{Transport: transport, Timeout: 5 * time.Second},
		base:  c.APIServer(),
		token: config.Users[0].User.Token,
	}, nil
}

// get returns the body of a successful answer.
func (c *client) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return nil, fmt.Errorf("asking for %s: %w", path, err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking for %s: %w", path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("asking for %s: %w", path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("asking for %s: %s: %.300s", path, resp.Status, body)
	}
	return body, nil
}

// condition is the part of an object's status that says whether it works.
type condition struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Message string `json:"message"`
}

func isTrue(conditions []condition, kind string) bool {
	for _, c := range conditions {
		if c.Type == kind {
			return c.Status == "True"
		}
	}
	return false
}

// readyNodes tells for each registered node whether it is ready.
func (c *client) readyNodes(ctx context.Context) (map[string]bool, error) {
	body, err := c.get(ctx, "/api/v1/nodes")
	if err != nil {
		return nil, err
	}
	var list struct {
		Items []struct {
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
			Status struct {
				Conditions []condition `json:"conditions"`
			} `json:"status"`
		} `json:"items"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("reading nodes: %w", err)
	}
	ready := map[string]bool{}
	for _, n := range list.Items {
		ready[n.Metadata.Name] = isTrue(n.Status.Conditions, "Ready")
	}
	return ready, nil
}

// available tells whether a Deployment has the replicas it needs.
func (c *client) available(ctx context.Context, namespace, name string) (bool, error) {
	body, err := c.get(ctx, "/apis/apps/v1/namespaces/"+namespace+"/deployments/"+name)
	if err != nil {
		return false, err
	}
	var deployment struct {
		Status struct {
			Replicas      int         `json:"replicas"`
			ReadyReplicas int         `json:"readyReplicas"`
			Conditions    []condition `json:"conditions"`
		} `json:"status"`
	}
	if err := json.Unmarshal(body, &deployment); err != nil {
		return false, fmt.Errorf("reading deployment %s: %w", name, err)
	}
	s := deployment.Status
	return isTrue(s.Conditions, "Available") && s.Replicas > 0 && s.ReadyReplicas == s.Replicas, nil
}

// apply hands manifests to the kubectl that was built with the cluster.
func apply(ctx context.Context, c topology.Cluster, bin string, manifest []byte) error {
	cmd := exec.CommandContext(ctx, bin+"/kubectl", "--kubeconfig="+c.Kubeconfig("admin"), "apply", "--server-side", "-f", "-")
	cmd.Stdin = bytes.NewReader(manifest)
	cmd.Env = []string{"HOME=" + c.Dir(), "PATH=" + os.Getenv("PATH"), c.Marker()}
	_, err := process.RunWith(ctx, cmd)
	return err
}
