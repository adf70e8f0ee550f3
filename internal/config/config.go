// Package config reads the operator's one configuration file: strictly, with
// defaults, and with every fault at once.
package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// accountNamespace is where the kubelet tells a pod its namespace.
const accountNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// maxFile is the largest configuration file; a larger one is some other file.
const maxFile = 1 << 20

// Config is all there is to configure. It is a value: nobody changes it after Load.
type Config struct {
	// Namespace of the operator. In a pod it is found; elsewhere it must be said.
	Namespace string `json:"namespace"`
	// Cluster is the name of this cluster. With it, alerts that name another one
	// are not for us.
	Cluster string `json:"cluster"`
	// ClusterLabel is the label in which alerts name their cluster.
	ClusterLabel string `json:"clusterLabel"`
	// Intake is where Alertmanager posts.
	Intake Intake `json:"intake"`
	// Alertmanager is asked whether alerts still fire.
	Alertmanager Alertmanager `json:"alertmanager"`
	// Metrics are served here; address "0" switches them off.
	Metrics Endpoint `json:"metrics"`
	// Health is served here; address "0" switches it off.
	Health Endpoint `json:"health"`
	// LeaderElection among replicas.
	LeaderElection LeaderElection `json:"leaderElection"`
	// Diagnosis is the work of finding causes.
	Diagnosis Diagnosis `json:"diagnosis"`
	// Remediation is the work of taking alerts from admission to an end.
	Remediation Remediation `json:"remediation"`
	// Triggers is where the operator may look for trouble by itself.
	Triggers Triggers `json:"triggers"`
	// Nodes is how remediators of nodes keep out of each other's way.
	Nodes Nodes `json:"nodes"`
	// Protected is never touched, whatever a policy says.
	Protected Protected `json:"protected"`
}

// Intake is where Alertmanager posts.
type Intake struct {
	// Address to listen at.
	Address string `json:"address"`
	// Ignore names alerts that say nothing about a workload.
	Ignore []string `json:"ignore"`
	// TLS is what it serves HTTPS with.
	TLS TLS `json:"tls"`
	// Authentication of whoever posts: Token, or None for everybody who reaches the address.
	Authentication Authentication `json:"authentication"`
	// Audience that tokens must be meant for.
	Audience string `json:"audience"`
	// Signature lets Grafana sign its messages instead of sending a token.
	Signature Signature `json:"signature"`
	// MaxPerNamespace is how many AlertRemediations a namespace may hold for an alert
	// to add another one.
	MaxPerNamespace int `json:"maxPerNamespace"`
}

// TLS is where the intake's certificate is.
type TLS struct {
	// SecretName is a Secret of the operator's namespace, with tls.crt and tls.key.
	// If it is empty or not there, the operator issues a certificate and keeps it
	// there. No name: plain HTTP. The operator's Role names the Secret too.
	SecretName string `json:"secretName"`
	// Service that Alertmanager posts to. Empty: it is named like the operator's ServiceAccount.
	Service string `json:"service"`
	// Names that a certificate the operator issues is for, beside the Service's.
	Names []string `json:"names"`
}

// Authentication is how the intake finds out who posts.
type Authentication string

const (
	// AuthenticationToken asks the API server about a bearer token, and whether its
	// owner may create AlertRemediations in the namespace of each alert.
	AuthenticationToken Authentication = "Token"
	// AuthenticationNone takes alerts of everybody.
	AuthenticationNone Authentication = "None"
)

// Signature is how Grafana signs a message: HMAC-SHA256, in hex, of the
// timestamp, a colon and the body.
type Signature struct {
	// SecretFile holds the secret; empty: signatures are not believed.
	SecretFile string `json:"secretFile"`
	// Header that the signature is in.
	Header string `json:"header"`
	// TimestampHeader that the time of the signature is in; empty: old messages are
	// believed too.
	TimestampHeader string `json:"timestampHeader"`
}

// Alertmanager is asked whether alerts still fire. Without it, the webhook's
// last word counts.
type Alertmanager struct {
	// URL of its API, for example http://alertmanager.monitoring:9093.
	URL string `json:"url"`
}

// Endpoint is an address to listen at.
type Endpoint struct {
	// Address as host:port; "0" for none.
	Address string `json:"address"`
}

// LeaderElection among replicas.
type LeaderElection struct {
	// Enabled is needed as soon as there are two replicas.
	Enabled bool `json:"enabled"`
}

// Diagnosis is the work of finding causes.
type Diagnosis struct {
	// Concurrency is how many causes are looked for at once, beside the first looks
	// that remediations begin with; at most a quarter of them for one namespace.
	Concurrency int `json:"concurrency"`
	// Timeout of one diagnosis; a first look has ten seconds.
	Timeout Duration `json:"timeout"`
}

// Remediation is the work of taking alerts from admission to an end.
type Remediation struct {
	// Concurrency is how many remediations, and how many runs, are driven at once; at
	// most a quarter of them in one namespace.
	Concurrency int `json:"concurrency"`
}

// Triggers is where the operator may look for trouble by itself. It keeps every pod
// and Deployment of these namespaces in memory, so their users must not decide it.
type Triggers struct {
	// Namespaces whose triggers count, beside the operator's own; "*" alone: all.
	Namespaces []string `json:"namespaces"`
}

// Nodes is how remediators of nodes keep out of each other's way.
type Nodes struct {
	// LeaseNamespace is where each keeps a Lease node-<name> while it is at work.
	LeaseNamespace string `json:"leaseNamespace"`
}

// Protected is never touched.
type Protected struct {
	// Namespaces beside the built-in ones.
	Namespaces []string `json:"namespaces"`
}

// Default returns the configuration of an empty file.
func Default() Config {
	return Config{
		ClusterLabel: "cluster",
		Intake: Intake{
			Address: ":9094", Ignore: []string{"Watchdog", "InfoInhibitor"},
			TLS:            TLS{SecretName: "kubernaut-intake-tls"}, //nolint:gosec // its name
			Authentication: AuthenticationToken, Audience: "kubernaut",
			Signature:       Signature{Header: "X-Grafana-Alerting-Signature", TimestampHeader: "X-Grafana-Alerting-Timestamp"},
			MaxPerNamespace: 1500,
		},
		Metrics:     Endpoint{Address: ":8080"},
		Health:      Endpoint{Address: ":8081"},
		Diagnosis:   Diagnosis{Concurrency: 32, Timeout: Duration{Duration: 30 * time.Second}},
		Remediation: Remediation{Concurrency: 64},
		Nodes:       Nodes{LeaseNamespace: "medik8s-leases"},
	}
}

// Load reads the file at path, or takes the defaults if path is empty. The
// error joins every fault, each with its path in the file.
func Load(path string) (Config, error) {
	return load(path, accountNamespace)
}

func load(path, namespaceFile string) (Config, error) {
	cfg := Default()
	if path != "" {
		data, err := read(path)
		if err != nil {
			return Config{}, err
		}
		if err := decode(data, &cfg); err != nil {
			return Config{}, fmt.Errorf("reading configuration %s: %w", path, err)
		}
	}
	if err := cfg.locate(namespaceFile); err != nil {
		return Config{}, err
	}
	if err := cfg.Validate(); err != nil {
		return Config{}, fmt.Errorf("checking configuration %s: %w", path, err)
	}
	return cfg, nil
}

func read(path string) ([]byte, error) {
	data, err := os.ReadFile(path) //nolint:gosec // the file that whoever starts the program names
	if err != nil {
		return nil, fmt.Errorf("reading configuration: %w", err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("reading configuration %s: more than %d bytes", path, maxFile)
	}
	return data, nil
}

// decode refuses unknown and repeated fields, and names all of them.
func decode(data []byte, into *Config) error {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil
	}
	asJSON, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		return err
	}
	faults, err := kjson.UnmarshalStrict(asJSON, into)
	return errors.Join(append(faults, err)...)
}

// locate fills in the namespace from where a pod finds it.
func (c *Config) locate(namespaceFile string) error {
	if c.Namespace != "" {
		return nil
	}
	data, err := os.ReadFile(namespaceFile) //nolint:gosec // a constant, but in tests
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("checking configuration: namespace: required outside a cluster: the namespace of the operator's ServiceAccount")
	}
	if err != nil {
		return fmt.Errorf("finding the operator's namespace: %w", err)
	}
	c.Namespace = strings.TrimSpace(string(data))
	return nil
}

// Duration is written as in Go: 30s, 2m.
type Duration struct {
	time.Duration
	unreadable string // what was written; Validate knows the path and complains
}

// UnmarshalJSON reads a duration and remembers what is none for Validate.
func (d *Duration) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		text = string(data)
	}
	parsed, err := time.ParseDuration(text)
	if err != nil {
		d.unreadable = text
	}
	d.Duration = parsed
	return nil
}
