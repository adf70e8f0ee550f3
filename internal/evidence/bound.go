package evidence

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/internal/vitals"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// How many objects of a kind a snapshot holds; no target needs all of them, and
// all together are forty.
const (
	maxWorkloads   = 16
	maxServices    = 8
	maxReplicaSets = 10
	maxRevisions   = 6
	maxPods        = 12
	maxEnded       = 2 // of the pods: they explain, and never count
	maxSlices      = 4
	maxEvents      = 20
	maxEndpoints   = 20
	maxNodes       = 100 // a name and a word each
)

// The Deployment controller's numbers of a ReplicaSet: the present one, and those before.
const (
	revisionAnnotation = vitals.RevisionAnnotation
	reusedAnnotation   = vitals.ReusedAnnotation
)

// bound cuts a snapshot to what fits. What is cut is what says least: pods that
// are as well as the others, revisions without pods. Candidates that are cut are
// named as missing, for which of several is meant can't be told without all.
func bound(s *analysis.Snapshot) {
	boundPods(s)
	boundReplicaSets(s)
	s.Revisions = first(s.Revisions, maxRevisions)
	s.Events = someEvents(s.Events)
	s.EndpointSlices = someSlices(s.EndpointSlices)
	all := len(s.Deployments) + len(s.StatefulSets) + len(s.DaemonSets)
	s.Deployments = first(s.Deployments, maxWorkloads)
	s.StatefulSets = first(s.StatefulSets, maxWorkloads-len(s.Deployments))
	s.DaemonSets = first(s.DaemonSets, maxWorkloads-len(s.Deployments)-len(s.StatefulSets))
	cut(s, "workloads", all-len(s.Deployments)-len(s.StatefulSets)-len(s.DaemonSets))
	all = len(s.Services)
	s.Services = first(s.Services, maxServices)
	cut(s, "Services", all-len(s.Services))
}

func cut(s *analysis.Snapshot, what string, n int) {
	if n > 0 {
		s.Missing = append(s.Missing, analysis.Missing{What: fmt.Sprintf("%d more %s of the namespace", n, what), Why: "there are more than a snapshot holds"})
	}
}

func first[T any](all []T, n int) []T {
	return all[:min(len(all), max(n, 0))]
}

// boundReplicaSets keeps the ReplicaSets of each Deployment in turn. Where one would
// keep less than its last two, they count as missing: a revision that has one before
// it must not pass for the first.
func boundReplicaSets(s *analysis.Snapshot) {
	owner := func(set *appsv1.ReplicaSet) string {
		if controller := metav1.GetControllerOf(set); controller != nil {
			return string(controller.UID)
		}
		return ""
	}
	slices.SortStableFunc(s.ReplicaSets, byWeight)
	all := s.ReplicaSets
	s.ReplicaSets = inTurn(all, maxReplicaSets, owner)
	had, has := map[string]int{}, map[string]int{}
	for i := range all {
		had[owner(&all[i])]++
	}
	for i := range s.ReplicaSets {
		has[owner(&s.ReplicaSets[i])]++
	}
	for key, n := range had {
		if has[key] < min(n, 2) {
			cut(s, "ReplicaSets", len(all)-len(s.ReplicaSets))
			return
		}
	}
}

// byWeight puts ReplicaSets with pods first, then the newest revisions.
func byWeight(a, b appsv1.ReplicaSet) int {
	return cmp.Or(
		cmp.Compare(min(b.Status.Replicas, 1), min(a.Status.Replicas, 1)),
		cmp.Compare(vitals.RevisionNumber(&b), vitals.RevisionNumber(&a)),
	)
}

// someSlices keeps the EndpointSlices with ready endpoints first: that a Service
// has none must not follow from which slices are kept.
func someSlices(all []discoveryv1.EndpointSlice) []discoveryv1.EndpointSlice {
	slices.SortStableFunc(all, func(a, b discoveryv1.EndpointSlice) int {
		return cmp.Compare(min(readyEndpoints(&b), 1), min(readyEndpoints(&a), 1))
	})
	all = first(all, maxSlices)
	for i := range all {
		all[i].Endpoints = someEndpoints(all[i].Endpoints)
	}
	return all
}

func readyEndpoints(slice *discoveryv1.EndpointSlice) int {
	return len(keep(slice.Endpoints, isReadyEndpoint))
}

func isReadyEndpoint(e *discoveryv1.Endpoint) bool {
	return e.Conditions.Ready == nil || *e.Conditions.Ready
}

// someEndpoints keeps some of the ready ones and some of the others.
func someEndpoints(all []discoveryv1.Endpoint) []discoveryv1.Endpoint {
	ready := keep(all, isReadyEndpoint)
	other := keep(all, func(e *discoveryv1.Endpoint) bool { return !isReadyEndpoint(e) })
	return append(first(ready, maxEndpoints/2), first(other, maxEndpoints/2)...)
}

// someEvents keeps, of events with the newest first, in turn the newest about each
// ReplicaSet's pods and about each other object. Rules read from the warnings about an
// old revision whether it was well; a hundred newer ones about the new revision must
// not hide them.
func someEvents(sorted []corev1.Event) []corev1.Event {
	return inTurn(sorted, maxEvents, eventGroup)
}

// inTurn keeps the first of each group, then the second of each, and so on; in the
// order in which they were.
func inTurn[T any](all []T, n int, group func(*T) string) []T {
	if len(all) <= n {
		return all
	}
	counted := map[string]int{}
	turn, order := make([]int, len(all)), make([]int, len(all))
	for i := range all {
		key := group(&all[i])
		order[i], turn[i] = i, counted[key]
		counted[key]++
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(turn[a], turn[b]) })
	order = order[:n]
	slices.Sort(order)
	kept := make([]T, 0, n)
	for _, i := range order {
		kept = append(kept, all[i])
	}
	return kept
}

// eventGroup names the owner of the pod that an event is about, as far as its name
// tells, or else the object.
func eventGroup(e *corev1.Event) string {
	name := e.InvolvedObject.Name
	if at := strings.LastIndexByte(name, '-'); at > 0 && e.InvolvedObject.Kind == "Pod" {
		name = name[:at]
	}
	return e.InvolvedObject.Kind + "/" + name
}
