package evidence

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubernaut/kubernaut/internal/vitals"
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
	slices.SortStableFunc(events, func(a, b corev1.Event) int { return vitals.LastSeen(&b).Compare(vitals.LastSeen(&a)) })
	return events
}

// maxElsewhere is how many others are noted that can't get an image either.
const maxElsewhere = 4

// told sorts what was said into what is about the target, and what says that
// others fare alike.
func (l *look) told(events []corev1.Event) {
	l.said = events
	l.snapshot.Events = about(l.snapshot, events)
	l.snapshot.Elsewhere = elsewhere(l.snapshot, events)
}

// elsewhere keeps, for each owner of pods that are not the target's, the newest
// warning that an image could not be pulled.
func elsewhere(s *analysis.Snapshot, events []corev1.Event) []corev1.Event {
	kept := aboutOthers(s, events, func(e *corev1.Event) bool { return strings.HasPrefix(e.Message, "Failed to pull image ") })
	return first(onePerOwner(s, newestFirst(kept)), maxElsewhere)
}

// aboutOthers keeps the events about pods that are not the target's.
func aboutOthers(s *analysis.Snapshot, events []corev1.Event, wanted func(*corev1.Event) bool) []corev1.Event {
	ours := map[types.UID]bool{}
	for i := range s.Pods {
		ours[s.Pods[i].UID] = true
	}
	for i := range s.Events {
		ours[s.Events[i].InvolvedObject.UID] = true
	}
	return keep(events, func(e *corev1.Event) bool {
		return e.InvolvedObject.Kind == "Pod" && !ours[e.InvolvedObject.UID] && wanted(e)
	})
}

// onePerOwner keeps the first event about the pods of each owner, which the pods' names
// tell; the target's own pods that are gone are known by nothing else.
func onePerOwner(s *analysis.Snapshot, events []corev1.Event) []corev1.Event {
	owners := map[string]bool{s.Target.Name: true}
	for i := range s.ReplicaSets {
		owners[s.ReplicaSets[i].Name] = true
	}
	return keep(events, func(e *corev1.Event) bool {
		owner := e.InvolvedObject.Name
		if cut := strings.LastIndexByte(owner, '-'); cut > 0 {
			owner = owner[:cut]
		}
		seen := owners[owner]
		owners[owner] = true
		return !seen
	})
}
