package rules

import (
	"regexp"
	"slices"
	"strings"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// crashEvidence says how containers crash: one line a container, and what the
// last one that ended had to say.
func crashEvidence(sc *scene, failures []failure) []v1alpha1.Evidence {
	var all []v1alpha1.Evidence
	told := map[string]bool{}
	for _, f := range failures {
		if told[f.container] {
			continue // replicas crash alike
		}
		told[f.container] = true
		pod := podRef(f)
		all = append(all, says(v1alpha1.EvidenceObject, pod, "container %s ended %s, the last time %s, and %s", f.container, times(f.crashes), f.ended(), f.now()))
		if line := sc.lastWords(f); line != "" {
			all = append(all, says(v1alpha1.EvidenceLog, pod, "%s", line))
		}
		for i := range sc.Events {
			if e := &sc.Events[i]; e.InvolvedObject.UID == f.pod.UID && e.Reason == "BackOff" {
				all = append(all, says(v1alpha1.EvidenceEvent, pod, "%s: %s", e.Reason, e.Message))
				break
			}
		}
	}
	return all
}

func podRef(f failure) v1alpha1.ObjectReference { return refOf(f.pod) }

var speaksOfError = regexp.MustCompile(`(?i)error|exception|fatal|panic|denied|refused|cannot|can't|no such|not found|not set|missing|invalid`)

// lastWords is the line of a container's log that speaks of an error, the last
// of them; it explains, and decides nothing.
func (sc *scene) lastWords(f failure) string {
	for _, line := range slices.Backward(sc.lastLines(f)) {
		if speaksOfError.MatchString(line) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
