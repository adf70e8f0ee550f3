package alert

import (
	"path"
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

// exporters are the names of known exporters: of their images, of their charts, and
// of the Services that kubelets are scraped through.
var exporters = []string{
	"kube-state-metrics", "node-exporter", "blackbox-exporter", "cadvisor", "kubelet", "pushgateway",
	"cloudwatch-exporter", "consul-exporter", "dcgm-exporter", "elasticsearch-exporter", "haproxy-exporter", "ipmi-exporter",
	"jmx-exporter", "json-exporter", "kafka-exporter", "memcached-exporter", "mongodb-exporter", "mysql-exporter",
	"mysqld-exporter", "nginx-exporter", "nginx-prometheus-exporter", "oracledb-exporter", "postgres-exporter",
	"process-exporter", "rabbitmq-exporter", "redis-exporter", "smartctl-exporter", "snmp-exporter", "ssl-exporter",
	"stackdriver-exporter", "statsd-exporter", "systemd-exporter", "windows-exporter", "x509-certificate-exporter",
}

// ExportingByName judges the name of an image, of a workload or of a Service. It may
// have the prefix of a release.
func ExportingByName(name string) Exporting {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	switch {
	case slices.ContainsFunc(exporters, func(e string) bool { return name == e || strings.HasSuffix(name, "-"+e) }):
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

// exporterByName is true for an object that has the name of a known exporter. The
// name of a pod has one or two generated parts behind that of its workload.
func exporterByName(o Object) bool {
	name := o.Name
	for range 3 {
		if ExportingByName(name) == IsExporting {
			return true
		}
		at := strings.LastIndex(name, "-")
		if o.Kind != "Pod" || at < 0 {
			return false
		}
		name = name[:at]
	}
	return false
}
