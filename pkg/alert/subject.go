package alert

import (
	"regexp"
	"strings"
)

// Object names what an alert is about.
type Object struct {
	// Kind as Kubernetes writes it, for example Deployment.
	Kind string
	// Namespace of the object; empty for a Node.
	Namespace string
	// Name of the object.
	Name string
}

// named are the labels that may name the subject, in the order in which they
// are believed: first what no scrape adds by itself, then the pod, which every
// scrape adds, then what a namespaced alert merely mentions.
var named = []struct{ label, kind string }{
	{"deployment", "Deployment"},
	{"statefulset", "StatefulSet"},
	{"daemonset", "DaemonSet"},
	{"job_name", "Job"},
	{"replicaset", "ReplicaSet"},
	{"persistentvolumeclaim", "PersistentVolumeClaim"},
	{"pod", "Pod"},
	{"node", "Node"},
	{"service", "Service"},
}

// Subject tells from the labels which object an alert is about.
//
//  1. Where exported_namespace, exported_pod or exported_node is present, an
//     exporter spoke about somebody else, and Prometheus put the exporter's own
//     namespace, pod and service in place of theirs: then exported_<kind> is
//     believed before <kind>, and pod and service are not believed at all.
//  2. The first of deployment, statefulset, daemonset, job_name, replicaset,
//     persistentvolumeclaim, pod, node, service that names something wins. All
//     but node need a namespace.
//  3. A pod that is the exporter's own (kube-state-metrics also adds its pod to
//     what it says about deployments and nodes) is not the subject.
//  4. A service is the subject only if nothing else is and it is not the one the
//     scrape went through, which is named like job.
//  5. instance, job, container and endpoint never name a subject.
//
// A value that can't be the name of an object is as good as none.
func Subject(labels map[string]string) (Object, bool) {
	namespace := Namespace(labels)
	for _, n := range named {
		name, ok := nameFrom(labels, n.label)
		switch {
		case !ok:
			continue
		case n.kind == "Node":
			return Object{Kind: n.kind, Name: name}, true
		case namespace != "":
			return Object{Kind: n.kind, Namespace: namespace, Name: name}, true
		}
	}
	return Object{}, false
}

// NamesObject is true for the labels that Subject and Namespace believe, if
// the value is the name of an object.
func NamesObject(label, value string) bool {
	label = strings.TrimPrefix(label, "exported_")
	for _, n := range named {
		if label == n.label || label == "namespace" {
			_, ok := valid(value)
			return ok
		}
	}
	return false
}

// Namespace returns the namespace an alert speaks of, or nothing. Where a scrape
// renamed it, the one that is left is the exporter's.
func Namespace(labels map[string]string) string {
	v := labels["exported_namespace"]
	if v == "" {
		v = labels["namespace"]
	}
	if len(v) > 63 || strings.Contains(v, ".") || !objectName.MatchString(v) {
		return ""
	}
	return v
}

// objectName is the form of names in Kubernetes (RFC 1123, subdomain).
var objectName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`)

func nameFrom(labels map[string]string, label string) (string, bool) {
	if name := labels["exported_"+label]; name != "" && exporterSpeaks(labels) {
		return valid(name)
	}
	name := labels[label]
	switch label {
	case "pod":
		if exporterSpeaks(labels) || ownPod(labels) {
			return "", false
		}
	case "service":
		if exporterSpeaks(labels) || scraped(labels) {
			return "", false
		}
	}
	return valid(name)
}

func valid(name string) (string, bool) {
	return name, len(name) <= 253 && objectName.MatchString(name)
}

// exporterSpeaks is true where a scrape renamed the labels that say where the
// subject is. A service or job that was renamed is no such sign: applications
// have these words for things of their own.
func exporterSpeaks(labels map[string]string) bool {
	return labels["exported_namespace"] != "" || labels["exported_pod"] != "" || labels["exported_node"] != ""
}

// exporter is the form of the names of jobs that tell about others.
var exporter = regexp.MustCompile(`(?:^|-)(?:kube-state-metrics|exporter)$`)

// ownPod is true where the pod is the exporter that was scraped.
func ownPod(labels map[string]string) bool {
	job := labels["job"]
	return exporter.MatchString(job) && strings.Contains(labels["pod"], job)
}

// scraped is true where the service is the one that Prometheus found its target
// through: the job has its name, at most without the prefix of a release.
func scraped(labels map[string]string) bool {
	job, service := labels["job"], labels["service"]
	return job != "" && (service == job || strings.HasSuffix(service, "-"+job))
}
