package alert

import (
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
	if has(words, "target", "targets", "instance") && has(words, goneWords...) || has(words, "scrape", "scrapes") {
		return true
	}
	if !has(words, "exporter", "metrics") {
		return false
	}
	joined := strings.Join(words, "")
	return slices.ContainsFunc(exporters, func(e string) bool {
		return strings.Contains(e, "-") && strings.Contains(joined, strings.ReplaceAll(e, "-", ""))
	})
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

// split returns the words of an alert's name in lower case: KubeHPAMaxedOut has
// the words kube, hpa, maxed and out. It is asked about every delivery of every
// alert, so it goes without regular expressions.
func split(name string) []string {
	lower := strings.ToLower(name)
	if len(lower) != len(name) {
		name = lower // a letter whose lower case has another length: no humps then
	}
	words, start := make([]string, 0, 8), -1
	for i := range len(name) {
		if !isLower(name[i]) && !isUpper(name[i]) {
			if start >= 0 {
				words = append(words, lower[start:i])
			}
			start = -1
			continue
		}
		if start >= 0 && isHump(name, i) {
			words, start = append(words, lower[start:i]), i
		}
		if start < 0 {
			start = i
		}
	}
	if start >= 0 {
		words = append(words, lower[start:])
	}
	return words
}

// isHump is true where a word begins at i, behind a letter: at an upper case letter
// that is behind a lower case one, or before one.
func isHump(name string, i int) bool {
	return isUpper(name[i]) && (isLower(name[i-1]) || i+1 < len(name) && name[i+1] >= 'a' && name[i+1] <= 'z')
}

func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }

func isLower(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }
