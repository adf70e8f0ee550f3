package alert

import (
	"regexp"
	"slices"
	"strings"
)

// family is what the name of an alert says about the kind of its subject.
type family struct {
	// kind that the name begins with; empty if it begins with none.
	kind string
	// only: the name begins with Kube and the kind, so nothing else is the subject
	// where a label of that kind is present.
	only bool
	// scrape: the alert is about what Prometheus scraped.
	scrape bool
	// requests: the alert is about errors, latency or the number of requests.
	requests bool
}

// kindWords are the words that alert names begin with, by kind.
var kindWords = map[string]string{
	"deployment": "Deployment", "statefulset": "StatefulSet", "daemonset": "DaemonSet", "replicaset": "ReplicaSet",
	"job": "Job", "cronjob": "CronJob", "hpa": "HorizontalPodAutoscaler", "horizontalpodautoscaler": "HorizontalPodAutoscaler",
	"persistentvolume": "PersistentVolumeClaim", "persistentvolumeclaim": "PersistentVolumeClaim", "pvc": "PersistentVolumeClaim",
	"pod": "Pod", "container": "Pod", "node": "Node", "host": "Node", "kubelet": "Node", "service": "Service",
}

// requestWords are the words of alerts about requests.
var requestWords = []string{
	"latency", "error", "errors", "http", "https", "grpc", "request", "requests", "response", "responses", "traffic",
	"availability", "slo", "sli", "budget", "burn", "slow", "success", "failures", "timeout", "timeouts",
}

// goneWords: with instance or target, they say that Prometheus does not reach something.
var goneWords = []string{"down", "up", "missing", "absent", "lost", "empty", "unreachable", "unhealthy", "disappeared"}

func familyOf(name string) family {
	words := split(name)
	if aboutScrape(words) {
		return family{scrape: true}
	}
	kube := len(words) > 1 && slices.Contains([]string{"kube", "kubernetes", "k8s"}, words[0])
	if kube {
		words = words[1:]
	}
	kind, rest := beginning(words)
	switch {
	case kind == "Node" && len(rest) > 0 && rest[0] == "js": // Node.js is a runtime
	case kind == "Service" && !kube: // ServiceErrorRate may be about one pod of it
		return family{requests: true}
	case kind != "":
		return family{kind: kind, only: kube}
	}
	return family{requests: aboutRequests(words)}
}

func aboutRequests(words []string) bool {
	joined := strings.Join(words, "")
	return has(words, requestWords...) || strings.Contains(joined, "5xx") || strings.Contains(joined, "4xx")
}

// aboutScrape is true for alerts such as TargetDown, and for those that name an
// exporter, such as KubeStateMetricsListErrors.
func aboutScrape(words []string) bool {
	joined := strings.Join(words, "")
	named := func(e string) bool {
		return strings.Contains(e, "-") && strings.Contains(joined, strings.ReplaceAll(e, "-", ""))
	}
	return has(words, "target", "targets", "instance") && has(words, goneWords...) ||
		has(words, "scrape", "scrapes") || slices.ContainsFunc(exporters, named)
}

// beginning returns the kind that words begin with, and the words after it.
func beginning(words []string) (kind string, rest []string) {
	for n := min(3, len(words)); n > 0; n-- {
		if kind := kindWords[strings.Join(words[:n], "")]; kind != "" {
			return kind, words[n:]
		}
	}
	return "", nil
}

func has(words []string, wanted ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(wanted, w) })
}

var (
	humpAfterLower = regexp.MustCompile(`([a-z0-9])([A-Z])`)
	humpAfterUpper = regexp.MustCompile(`([A-Z])([A-Z][a-z])`)
	notWord        = regexp.MustCompile(`[^A-Za-z0-9]+`)
)

// split returns the words of an alert's name in lower case: KubeHPAMaxedOut has
// the words kube, hpa, maxed and out.
func split(name string) []string {
	name = humpAfterLower.ReplaceAllString(name, "$1 $2")
	name = humpAfterUpper.ReplaceAllString(name, "$1 $2")
	return strings.Fields(strings.ToLower(notWord.ReplaceAllString(name, " ")))
}
