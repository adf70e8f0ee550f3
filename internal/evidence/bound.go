package evidence

import (
	"cmp"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

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
	slices.SortStableFunc(s.Pods, func(a, b corev1.Pod) int {
		// Since when a target is well is said by the pod to which something happened last.
		return cmp.Or(cmp.Compare(trouble(&b), trouble(&a)), vitals.ReadySince(&b).Compare(vitals.ReadySince(&a)))
	})
	s.Pods = first(s.Pods, maxPods)
	slices.SortStableFunc(s.ReplicaSets, byWeight)
	s.ReplicaSets = first(s.ReplicaSets, maxReplicaSets)
	s.Revisions = first(s.Revisions, maxRevisions)
	s.Events = first(s.Events, maxEvents)
	s.EndpointSlices = first(s.EndpointSlices, maxSlices)
	for i := range s.EndpointSlices {
		s.EndpointSlices[i].Endpoints = someEndpoints(s.EndpointSlices[i].Endpoints)
	}
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

// trouble weighs how much a pod has to tell.
func trouble(p *corev1.Pod) int {
	weight := 0
	if p.Status.Phase != corev1.PodRunning {
		weight++
	}
	for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		if c.RestartCount > 0 {
			weight += 2
		}
		if !c.Ready {
			weight += 2
		}
	}
	return weight
}

// byWeight puts ReplicaSets with pods first, then the newest revisions.
func byWeight(a, b appsv1.ReplicaSet) int {
	return cmp.Or(
		cmp.Compare(min(b.Status.Replicas, 1), min(a.Status.Replicas, 1)),
		cmp.Compare(vitals.RevisionNumber(&b), vitals.RevisionNumber(&a)),
	)
}

// someEndpoints keeps some of the ready ones and some of the others.
func someEndpoints(all []discoveryv1.Endpoint) []discoveryv1.Endpoint {
	isReady := func(e *discoveryv1.Endpoint) bool { return e.Conditions.Ready == nil || *e.Conditions.Ready }
	ready := keep(all, isReady)
	other := keep(all, func(e *discoveryv1.Endpoint) bool { return !isReady(e) })
	return append(first(ready, maxEndpoints/2), first(other, maxEndpoints/2)...)
}
