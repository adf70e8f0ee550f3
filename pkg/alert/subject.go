package alert

import (
	"regexp"
	"slices"
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

// Candidate is an object that an alert may be about.
type Candidate struct {
	Object
	// Scraped: every scrape adds a label of this kind, so the object may be the
	// exporter that reported the metric. An exporter is then not the subject.
	Scraped bool
}

// named are the labels that may name the subject. Without a word of the alert's
// name, they are tried in this order: the pod is the most specific, and an
// application uses the words deployment, job_name and service for its own things.
var named = []struct{ label, kind string }{
	{"pod", "Pod"},
	{"deployment", "Deployment"},
	{"statefulset", "StatefulSet"},
	{"daemonset", "DaemonSet"},
	{"job_name", "Job"},
	{"cronjob", "CronJob"},
	{"replicaset", "ReplicaSet"},
	{"horizontalpodautoscaler", "HorizontalPodAutoscaler"},
	{"persistentvolumeclaim", "PersistentVolumeClaim"},
	{"service", "Service"},
	{"node", "Node"},
}

// Candidates returns the objects that an alert may be about, the likeliest first.
// Labels alone do not tell which of them exist: the first that exists, and is not
// the exporter that was scraped, is the subject.
//
//  1. Where exported_namespace, exported_pod or exported_node is present, Prometheus
//     renamed labels of the metric and put those of what was scraped in their place:
//     exported_<kind> is tried before <kind>. The metric may be an exporter's, or an
//     application's that uses these words for its own things.
//  2. An alert whose name begins with a kind (JobFailed) is about the object of that
//     kind first; one that begins with Kube and a kind (KubeJobFailed) about no other.
//  3. An alert about a scrape (TargetDown) is about what was scraped, exporter or not.
//  4. An alert about requests (errors, latency) is about the pod, then the Service.
//  5. Any other is about the pod, then a workload, then the Service.
//  6. A Node is a candidate only where the alert's name speaks of nodes, or where
//     nothing else is named, or only a service: scrapes add the label node to
//     everything, and applications have services of their own. All other
//     candidates are in the namespace that Namespace returns, or, where nothing is
//     named in it, in the one that was scraped.
//  7. instance, job, container and endpoint never name a subject.
//
// A value that is not a valid object name is skipped.
func Candidates(name string, labels map[string]string) []Candidate {
	family := familyOf(name)
	all := namedBy(labels, family)
	if at := slices.IndexFunc(all, func(c Candidate) bool { return c.Kind == family.kind }); at >= 0 {
		first := all[at]
		if family.only {
			return []Candidate{first}
		}
		all = slices.Insert(slices.Delete(all, at, at+1), 0, first)
	}
	all = withScraped(all, labels)
	if family.requests {
		// The sort is stable: within a rank the order stays.
		slices.SortStableFunc(all, func(a, b Candidate) int { return requestRank(a) - requestRank(b) })
	}
	other := func(c Candidate) bool { return c.Kind != "Node" && c.Kind != "Service" }
	if len(all) > 0 && all[0].Kind != "Node" && (family.requests || family.scrape || slices.ContainsFunc(all, other)) {
		all = slices.DeleteFunc(all, func(c Candidate) bool { return c.Kind == "Node" })
	}
	return all
}

func requestRank(c Candidate) int {
	switch c.Kind {
	case "Pod":
		return 0
	case "Service":
		return 1
	}
	return 2
}

// namedBy returns what the labels name, in the order of named.
func namedBy(labels map[string]string, f family) []Candidate {
	namespace := Namespace(labels)
	var all []Candidate
	for _, n := range named {
		name, ok := nameFrom(labels, n.label)
		object := Object{Kind: n.kind, Namespace: namespace, Name: name}
		if n.kind == "Node" {
			object.Namespace = ""
		}
		if !ok || object.Namespace == "" && n.kind != "Node" || n.kind == "Node" && scrapedNode(labels, f) {
			continue
		}
		scraped := maybeScraped(labels, n.label, f)
		if scraped && exporterByName(object) {
			continue
		}
		all = append(all, Candidate{Object: object, Scraped: scraped})
	}
	return all
}

// scrapedNode is true for a node that is the one of what was scraped: beside labels
// of the metric that were renamed, it was not.
func scrapedNode(labels map[string]string, f family) bool {
	return f.kind != "Node" && renamed(labels) && labels["exported_node"] == ""
}

// maybeScraped is true where a label may name the exporter that reported the metric,
// and the alert is not about it.
func maybeScraped(labels map[string]string, label string, f family) bool {
	switch {
	case label != "pod" && label != "service", renamed(labels):
		return false // from a renamed label, or none that a scrape adds
	case label == "pod" && f.kind == "Pod", label == "service" && f.kind == "Service":
		return false
	case !f.scrape:
		return true
	}
	// A probe reports on what it was sent to, and the kubelet's Service stands for nodes.
	return strings.Contains(labels["instance"], "://") || strings.HasSuffix(labels[label], "kubelet")
}

// withScraped adds the pod and the Service that were scraped to what renamed labels
// name. If the metric is an exporter's, they are not the subject; if it is an
// application's, what was renamed may name nothing, and they are.
func withScraped(all []Candidate, labels map[string]string) []Candidate {
	namespace := validNamespace(labels["namespace"])
	if !renamed(labels) || namespace == "" || namespace != Namespace(labels) && len(all) > 0 {
		return all
	}
	for _, n := range named {
		name, ok := valid(labels[n.label])
		object := Object{Kind: n.kind, Namespace: namespace, Name: name}
		known := slices.ContainsFunc(all, func(c Candidate) bool { return c.Object == object })
		if ok && (n.kind == "Pod" || n.kind == "Service") && !known && !exporterByName(object) {
			all = append(all, Candidate{Object: object, Scraped: true})
		}
	}
	return all
}

// Subject returns the likeliest candidate of an alert: a Node, or an object in the
// namespace that Namespace returns.
func Subject(labels map[string]string) (Object, bool) {
	all := Candidates(labels["alertname"], labels)
	if len(all) > 0 && (all[0].Kind == "Node" || all[0].Namespace == Namespace(labels)) {
		return all[0].Object, true
	}
	return Object{}, false
}

// NamesObject is true for the labels that Candidates and Namespace read, if the
// value is a valid object name.
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
	return validNamespace(v)
}

func validNamespace(v string) string {
	if len(v) > 63 || strings.Contains(v, ".") || !objectName.MatchString(v) {
		return ""
	}
	return v
}

// objectName is the form of names in Kubernetes (RFC 1123, subdomain).
var objectName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`)

func nameFrom(labels map[string]string, label string) (string, bool) {
	renamed := renamed(labels)
	if name := labels["exported_"+label]; name != "" && renamed {
		return valid(name)
	}
	if renamed && (label == "pod" || label == "service") {
		return "", false
	}
	return valid(labels[label])
}

func valid(name string) (string, bool) {
	return name, len(name) <= 253 && objectName.MatchString(name)
}

// renamed is true where a scrape renamed the labels that say where the subject is. A
// service or job that was renamed is no such sign: applications have these words for
// things of their own. Nor is a node that is the one of what was scraped.
func renamed(labels map[string]string) bool {
	return labels["exported_namespace"] != "" || labels["exported_pod"] != "" ||
		labels["exported_node"] != "" && labels["exported_node"] != labels["node"]
}
