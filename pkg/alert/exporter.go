package alert

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// Exporting says whether what has a name reports metrics about other things.
type Exporting int

const (
	// NotExporting: an ordinary program.
	NotExporting Exporting = iota
	// MaybeExporting: its name ends in exporter, and it is not a known one. It may
	// be an application of that name.
	MaybeExporting
	// IsExporting: a known exporter. Its metrics are about other things.
	IsExporting
)

// clusterExporters report on the objects and the nodes of the whole cluster. Their
// names are known well enough to tell them by the labels of an alert alone.
var clusterExporters = []string{"kube-state-metrics", "node-exporter", "blackbox-exporter", "cadvisor", "kubelet", "pushgateway"}

// exporters are the names of known exporters: of their images, of their charts, and
// of the Services that kubelets are scraped through. Words that an application may
// well have before exporter, such as json, are left out.
var exporters = append([]string{
	"cloudwatch-exporter", "consul-exporter", "dcgm-exporter", "elasticsearch-exporter", "haproxy-exporter", "ipmi-exporter",
	"jmx-exporter", "kafka-exporter", "memcached-exporter", "mongodb-exporter", "mysql-exporter", "mysqld-exporter",
	"nginx-exporter", "nginx-prometheus-exporter", "oracledb-exporter", "postgres-exporter", "rabbitmq-exporter",
	"redis-exporter", "smartctl-exporter", "snmp-exporter", "stackdriver-exporter", "statsd-exporter", "windows-exporter",
	"x509-certificate-exporter",
}, clusterExporters...)

// ExportingByName judges the name of an image, of a workload or of a Service. It may
// have the prefix of a release.
func ExportingByName(name string) Exporting {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	switch {
	case among(exporters, name):
		return IsExporting
	case name == "exporter" || strings.HasSuffix(name, "-exporter"):
		return MaybeExporting
	}
	return NotExporting
}

// ExportingByLabels judges an object by the labels that say what program it is.
func ExportingByLabels(labels map[string]string) Exporting {
	return max(ExportingByName(labels["app.kubernetes.io/name"]), ExportingByName(labels["app"]), ExportingByName(labels["k8s-app"]))
}

// ExportingPod judges a pod by its labels and by the images of its containers. A pod
// that also runs something else than an exporter is that application, with the
// exporter as a sidecar.
func ExportingPod(labels map[string]string, images []string) Exporting {
	judged := NotExporting
	for _, image := range images {
		name := imageName(image)
		exporting := ExportingByName(name)
		if exporting == NotExporting && !slices.Contains(proxies, name) {
			judged = NotExporting
			break
		}
		judged = max(judged, exporting)
	}
	return max(judged, ExportingByLabels(labels))
}

// proxies are images that only stand before or beside the program of a pod.
var proxies = []string{"kube-rbac-proxy", "oauth2-proxy", "oauth-proxy", "istio-proxy", "proxyv2", "proxy", "envoy", "addon-resizer", "config-reloader"}

// imageName returns the last part of an image's path, without tag and digest.
func imageName(image string) string {
	image, _, _ = strings.Cut(image, "@")
	name, _, _ := strings.Cut(path.Base(image), ":")
	return name
}

// among is true for one of the names, also with the prefix of a release.
func among(names []string, name string) bool {
	return slices.ContainsFunc(names, func(e string) bool { return name == e || strings.HasSuffix(name, "-"+e) })
}

// generated is what controllers put behind the name of a workload for its pods: an
// ordinal, or one or two random parts, the first of which has no vowel.
var generated = regexp.MustCompile(`-[b-df-hj-np-tv-z0-9]+(-[a-z0-9]+)?$`)

// exporterByName is true for an object that has the name of a cluster exporter.
func exporterByName(o Object) bool {
	name := o.Name
	if !slices.ContainsFunc(clusterExporters, func(e string) bool { return strings.Contains(name, e) }) {
		return false // most, without the regular expression
	}
	if o.Kind == "Pod" {
		name = generated.ReplaceAllString(name, "")
	}
	return among(clusterExporters, name) || among(clusterExporters, o.Name)
}
