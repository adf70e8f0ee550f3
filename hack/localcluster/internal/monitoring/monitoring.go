// Package monitoring says how kube-state-metrics, Prometheus and Alertmanager are
// started beside the cluster: as processes on the host that listen on loopback.
package monitoring

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/kubernaut/kubernaut/hack/localcluster/internal/process"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/topology"
)

//go:embed files
var files embed.FS

var templates = template.Must(template.ParseFS(files, "files/*"))

// resources are the kinds that alert rules ask about.
const resources = "cronjobs,daemonsets,deployments,endpointslices,horizontalpodautoscalers,jobs,namespaces,nodes," +
	"persistentvolumeclaims,persistentvolumes,poddisruptionbudgets,pods,replicasets,resourcequotas,services,statefulsets"

// Ports are those on loopback, chosen when the cluster is made.
type Ports struct {
	Prometheus            int `json:"prometheus"`
	Alertmanager          int `json:"alertmanager"`
	StateMetrics          int `json:"kubeStateMetrics"`
	StateMetricsTelemetry int `json:"kubeStateMetricsTelemetry"`
}

// Config is what a user may choose.
type Config struct {
	// Rules is a directory of rule files; empty is no rules.
	Rules string `json:"rules,omitempty"`
	// Alertmanager is a configuration file; empty is one that sends to nobody.
	Alertmanager string `json:"alertmanagerConfig,omitempty"`
	// Interval is the time between two scrapes and between two evaluations.
	Interval time.Duration `json:"interval"`
}

// State is what is remembered about a cluster's monitoring.
type State struct {
	Config
	Ports Ports `json:"ports"`
}

// Absolute makes the paths independent of where the command was typed, and refuses those that lead nowhere.
func (c Config) Absolute() (Config, error) {
	for _, p := range []*string{&c.Rules, &c.Alertmanager} {
		if *p == "" {
			continue
		}
		abs, err := filepath.Abs(*p)
		if err == nil {
			_, err = os.Stat(abs)
		}
		if err != nil {
			return c, fmt.Errorf("looking for monitoring configuration: %w", err)
		}
		*p = abs
	}
	return c, nil
}

// With returns the configuration with what the change says; what it leaves empty stays.
func (c Config) With(change Config) Config {
	if change.Rules != "" {
		c.Rules = change.Rules
	}
	if change.Alertmanager != "" {
		c.Alertmanager = change.Alertmanager
	}
	if change.Interval != 0 {
		c.Interval = change.Interval
	}
	return c
}

// URLs are where a person or a test asks.
func (p Ports) URLs() map[string]string {
	url := func(port int) string { return fmt.Sprintf("http://127.0.0.1:%d", port) }
	return map[string]string{"prometheus": url(p.Prometheus), "alertmanager": url(p.Alertmanager), "kubeStateMetrics": url(p.StateMetrics)}
}

// Prepare writes what the programs read. It is repeated when the configuration changes.
func Prepare(c topology.Cluster, s State) error {
	if err := os.MkdirAll(c.Path("monitoring"), 0o700); err != nil {
		return fmt.Errorf("making monitoring directory: %w", err)
	}
	token, err := tokenOf(c, "prometheus")
	if err != nil {
		return err
	}
	var config bytes.Buffer
	err = templates.ExecuteTemplate(&config, "prometheus.yaml", map[string]any{
		"Cluster": c, "Ports": s.Ports, "Rules": s.Rules, "Interval": s.Interval,
		"Token": c.Path("monitoring", "token"), "KubeletPort": topology.KubeletPort,
	})
	if err != nil {
		return fmt.Errorf("writing configuration of prometheus: %w", err)
	}
	silent, err := files.ReadFile("files/alertmanager.yaml")
	if err != nil {
		return fmt.Errorf("writing configuration of alertmanager: %w", err)
	}
	for name, content := range map[string][]byte{"token": []byte(token), "prometheus.yaml": config.Bytes(), "alertmanager.yaml": silent} {
		if err := os.WriteFile(c.Path("monitoring", name), content, 0o600); err != nil {
			return fmt.Errorf("writing monitoring configuration: %w", err)
		}
	}
	return nil
}

// tokenOf finds a user's token in the API server's list.
func tokenOf(c topology.Cluster, user string) (string, error) {
	b, err := os.ReadFile(c.Path("pki", "tokens.csv"))
	if err != nil {
		return "", fmt.Errorf("reading token of %s: %w", user, err)
	}
	for line := range strings.Lines(string(b)) {
		if fields := strings.Split(line, ","); len(fields) > 1 && fields[1] == user {
			return fields[0], nil
		}
	}
	return "", fmt.Errorf("reading token of %s: no such user", user)
}

// Manifest grants the two programs that ask the cluster what they need.
func Manifest() ([]byte, error) {
	b, err := files.ReadFile("files/rbac.yaml")
	if err != nil {
		return nil, fmt.Errorf("reading monitoring's roles: %w", err)
	}
	return b, nil
}

// StateMetrics turns objects into metrics. The name of a slice's Service is a label, which is left out unless asked for.
func StateMetrics(c topology.Cluster, bin string, s State) process.Command {
	return process.Command{Name: "kube-state-metrics", Path: bin + "/kube-state-metrics", Args: []string{
		"--kubeconfig=" + c.Kubeconfig("kube-state-metrics"),
		"--host=127.0.0.1", fmt.Sprintf("--port=%d", s.Ports.StateMetrics),
		"--telemetry-host=127.0.0.1", fmt.Sprintf("--telemetry-port=%d", s.Ports.StateMetricsTelemetry),
		"--resources=" + resources,
		"--metric-labels-allowlist=endpointslices=[kubernetes.io/service-name]",
	}}
}

// Prometheus scrapes and evaluates.
func Prometheus(c topology.Cluster, s State) process.Command {
	return process.Command{Name: "prometheus", Path: "prometheus", Args: []string{
		"--config.file=" + c.Path("monitoring", "prometheus.yaml"),
		"--storage.tsdb.path=" + c.Path("monitoring", "prometheus"), "--storage.tsdb.retention.time=6h",
		fmt.Sprintf("--web.listen-address=127.0.0.1:%d", s.Ports.Prometheus),
		"--web.external-url=" + s.Ports.URLs()["prometheus"],
		"--web.enable-lifecycle",
	}}
}

// Alertmanager reads the user's file where it lies, because paths in it are relative to it.
func Alertmanager(c topology.Cluster, s State) process.Command {
	config := s.Alertmanager
	if config == "" {
		config = c.Path("monitoring", "alertmanager.yaml")
	}
	return process.Command{Name: "alertmanager", Path: "prometheus-alertmanager", Args: []string{
		"--config.file=" + config,
		"--storage.path=" + c.Path("monitoring", "alertmanager"),
		fmt.Sprintf("--web.listen-address=127.0.0.1:%d", s.Ports.Alertmanager),
		"--web.external-url=" + s.Ports.URLs()["alertmanager"],
		"--cluster.listen-address=",
	}}
}

// Reload makes a program read its configuration again, and returns its complaint if it does not like it.
func Reload(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/-/reload", nil)
	if err != nil {
		return fmt.Errorf("reloading %s: %w", url, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("reloading: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	complaint, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return fmt.Errorf("reloading %s: %w", url, err)
	}
	return fmt.Errorf("reloading %s: %s", url, strings.TrimSpace(string(complaint)))
}

// Ready is nil once a program answers.
func Ready(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("asking %s: %w", url, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("asking whether it is ready: %w", err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("asking %s: %s", url, resp.Status)
	}
	return nil
}
