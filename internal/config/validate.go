package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	// namespaceForm is RFC 1123, label.
	namespaceForm = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	// hostForm is RFC 1123, subdomain.
	hostForm   = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
	headerForm = regexp.MustCompile(`^[A-Za-z0-9-]{1,128}$`)
	labelForm  = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]{0,127}$`)
)

// AllNamespaces stands for every namespace where a list may name all of them.
const AllNamespaces = "*"

// Validate returns every fault, each with its path.
func (c Config) Validate() error {
	f := &faults{}
	f.check(namespaceForm.MatchString(c.Namespace), "namespace", "%q is no name of a namespace", c.Namespace)
	f.check(len(c.Cluster) <= 253 && c.Cluster == strings.TrimSpace(c.Cluster), "cluster", "at most 253 characters, with no space around them")
	f.check(labelForm.MatchString(c.ClusterLabel), "clusterLabel", "%q is no name of a label", c.ClusterLabel)
	f.address("intake.address", c.Intake.Address, false)
	f.intake(c.Intake)
	f.url("alertmanager.url", c.Alertmanager.URL)
	f.address("metrics.address", c.Metrics.Address, true)
	f.address("health.address", c.Health.Address, true)
	f.distinct(map[string]string{c.Intake.Address: "intake.address"}, "metrics.address", c.Metrics.Address)
	f.distinct(map[string]string{c.Intake.Address: "intake.address", c.Metrics.Address: "metrics.address"}, "health.address", c.Health.Address)
	f.between("diagnosis.concurrency", c.Diagnosis.Concurrency)
	f.duration("diagnosis.timeout", c.Diagnosis.Timeout, time.Second, 10*time.Minute)
	f.between("remediation.concurrency", c.Remediation.Concurrency)
	f.check(namespaceForm.MatchString(c.Nodes.LeaseNamespace), "nodes.leaseNamespace", "%q is no name of a namespace", c.Nodes.LeaseNamespace)
	for i, name := range c.Triggers.Namespaces {
		all := name == AllNamespaces && len(c.Triggers.Namespaces) == 1
		f.check(all || namespaceForm.MatchString(name), fmt.Sprintf("triggers.namespaces[%d]", i), "%q is no name of a namespace, nor is it * alone", name)
	}
	for i, name := range c.Protected.Namespaces {
		f.check(namespaceForm.MatchString(name), fmt.Sprintf("protected.namespaces[%d]", i), "%q is no name of a namespace", name)
	}
	return errors.Join(f.found...)
}

// intake checks who may post, and how.
func (f *faults) intake(in Intake) {
	for i, name := range in.Ignore {
		f.check(name != "", fmt.Sprintf("intake.ignore[%d]", i), "the name of an alert is missing")
	}
	f.check(in.TLS.SecretName == "" || hostForm.MatchString(in.TLS.SecretName), "intake.tls.secretName", "%q is no name of a Secret", in.TLS.SecretName)
	f.check(in.TLS.Service == "" || namespaceForm.MatchString(in.TLS.Service), "intake.tls.service", "%q is no name of a Service", in.TLS.Service)
	for i, name := range in.TLS.Names {
		f.check(hostForm.MatchString(name), fmt.Sprintf("intake.tls.names[%d]", i), "%q is no name of a host", name)
	}
	known := in.Authentication == AuthenticationToken || in.Authentication == AuthenticationNone
	f.check(known, "intake.authentication", "%q is neither Token nor None", in.Authentication)
	f.check(in.MaxPerNamespace >= 1 && in.MaxPerNamespace <= 100_000, "intake.maxPerNamespace", "%d is not between 1 and 100000", in.MaxPerNamespace)
	f.check(in.Audience != "", "intake.audience", "a token for no audience in particular would be one for the API server")
	f.check(in.Signature.SecretFile == "" || headerForm.MatchString(in.Signature.Header), "intake.signature.header", "%q is no name of a header", in.Signature.Header)
	f.check(in.Signature.TimestampHeader == "" || headerForm.MatchString(in.Signature.TimestampHeader),
		"intake.signature.timestampHeader", "%q is no name of a header", in.Signature.TimestampHeader)
}

// faults collects what is wrong.
type faults struct{ found []error }

func (f *faults) check(ok bool, path, format string, args ...any) {
	if !ok {
		f.found = append(f.found, fmt.Errorf("%s: %s", path, fmt.Sprintf(format, args...)))
	}
}

func (f *faults) address(path, address string, mayBeOff bool) {
	if mayBeOff && address == "0" {
		return
	}
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	f.check(err == nil, path, "%q is no address to listen at, like :8080 or 127.0.0.1:8080", address)
}

// distinct lets port 0 be asked for more than once: each gets another one.
func (f *faults) distinct(others map[string]string, path, address string) {
	other, taken := others[address]
	f.check(!taken || address == "0" || strings.HasSuffix(address, ":0"), path, "%s is that of %s", address, other)
}

func (f *faults) url(path, raw string) {
	if raw == "" {
		return
	}
	u, err := url.Parse(raw)
	ok := err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.RawQuery == "" && u.Fragment == ""
	f.check(ok, path, "want http:// or https://, a host and perhaps a path")
	f.check(!ok || u.User == nil, path, "a password does not belong into a ConfigMap")
}

func (f *faults) between(path string, n int) {
	f.check(n >= 1 && n <= 64, path, "%d is not between 1 and 64", n)
}

func (f *faults) duration(path string, d Duration, low, high time.Duration) {
	if d.unreadable != "" {
		f.check(false, path, "%q is no duration, like 30s or 2m", d.unreadable)
		return
	}
	f.check(d.Duration >= low && d.Duration <= high, path, "%s is not between %s and %s", d.Duration, low, high)
}
