package evidence

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// about keeps the events about the target, its ReplicaSets and their pods, the
// newest first. A pod that is gone is known by its name: its ReplicaSet's, and
// five characters.
func about(s *analysis.Snapshot, events []corev1.Event) []corev1.Event {
	known := map[types.UID]bool{s.Target.UID: true}
	prefixes := map[string]bool{}
	for i := range s.Deployments {
		known[s.Deployments[i].UID] = true
	}
	for i := range s.ReplicaSets {
		known[s.ReplicaSets[i].UID] = true
		prefixes[s.ReplicaSets[i].Name] = true
	}
	for i := range s.Pods {
		known[s.Pods[i].UID] = true
	}
	kept := keep(events, func(e *corev1.Event) bool {
		if e.InvolvedObject.Kind == "Pod" {
			if cut := strings.LastIndexByte(e.InvolvedObject.Name, '-'); cut > 0 && prefixes[e.InvolvedObject.Name[:cut]] {
				return true
			}
		}
		return known[e.InvolvedObject.UID]
	})
	return newestFirst(kept)
}

func newestFirst(events []corev1.Event) []corev1.Event {
	slices.SortStableFunc(events, func(a, b corev1.Event) int { return lastSeen(&b).Compare(lastSeen(&a)) })
	return events
}

// lastSeen is when an event was last observed, whichever way its writer says so.
func lastSeen(e *corev1.Event) time.Time {
	last := e.LastTimestamp.Time
	if e.Series != nil && e.Series.LastObservedTime.After(last) {
		last = e.Series.LastObservedTime.Time
	}
	if e.EventTime.After(last) {
		last = e.EventTime.Time
	}
	return last
}
