package evidence

import (
	"fmt"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// A target of more pods than a snapshot holds is well since the last of them is.
func TestBoundKeepsThePodToWhichSomethingHappenedLast(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ready := func(since time.Time) corev1.Pod {
		pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("web-", since.Unix())}}
		pod.Status.Phase = corev1.PodRunning
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(since)}}
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Ready: true, RestartCount: 1}} // each was restarted once
		return pod
	}
	s := &analysis.Snapshot{TakenAt: noon}
	for i := range 3 * maxPods {
		s.Pods = append(s.Pods, ready(noon.Add(-time.Hour-time.Duration(i)*time.Minute)))
	}
	last := noon.Add(-10 * time.Second)
	s.Pods = append(s.Pods, ready(last))
	bound(s)
	if len(s.Pods) != maxPods {
		t.Fatalf("%d pods are kept, want %d", len(s.Pods), maxPods)
	}
	if got := s.Pods[0].Name; got != fmt.Sprint("web-", last.Unix()) {
		t.Errorf("the first is %s, and not the one that became ready last", got)
	}
}

// drawPod makes a pod of a revision that has been ready since a time, or is not.
func drawPod(name, revision string, ready bool, since time.Time) corev1.Pod {
	p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": "web", appsv1.DefaultDeploymentUniqueLabelKey: revision}}}
	p.Status.Phase = corev1.PodRunning
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: status, LastTransitionTime: metav1.NewTime(since)}}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Ready: ready}}
	return p
}

func TestBoundKeepsThePodsThatDecide(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	many := func(n int, draw func(i int) corev1.Pod) []corev1.Pod {
		var all []corev1.Pod
		for i := range n {
			all = append(all, draw(i))
		}
		return all
	}
	restarted := func(i int) corev1.Pod {
		p := drawPod(fmt.Sprint("old-", i), "1", true, noon.Add(-time.Hour))
		p.Status.ContainerStatuses[0].RestartCount = 3
		return p
	}
	crashing := func(i int) corev1.Pod {
		p := drawPod(fmt.Sprint("bad-", i), "2", false, noon.Add(-time.Minute))
		p.Status.ContainerStatuses[0].RestartCount = 3
		return p
	}
	ended := func(phase corev1.PodPhase) func(i int) corev1.Pod {
		return func(i int) corev1.Pod {
			p := drawPod(fmt.Sprint("ended-", i), "1", false, noon)
			p.Status.Phase, p.CreationTimestamp = phase, metav1.NewTime(noon.Add(time.Duration(i)*time.Second))
			return p
		}
	}
	deleted := func(i int) corev1.Pod {
		p := drawPod(fmt.Sprint("deleted-", i), "1", false, noon)
		p.DeletionTimestamp = &metav1.Time{Time: noon}
		return p
	}
	created := drawPod("created", "1", false, noon)
	created.Status = corev1.PodStatus{Phase: corev1.PodPending}
	gated := drawPod("gated", "1", false, noon) // its containers are ready, a readiness gate is not
	gated.Status.ContainerStatuses[0].Ready = true
	leader := drawPod("leader", "1", true, noon.Add(-24*time.Hour))
	leader.Labels["role"] = "leader"

	rows := map[string]struct {
		pods    []corev1.Pod
		target  string
		keeps   []string // names, wherever
		first   string
		omitted int
		total   int
	}{
		"one that was just created, beside pods that were restarted once": {pods: append(many(20, restarted), created), first: "created", omitted: 9, total: maxPods},
		"one whose readiness gate is not met":                             {pods: append(many(20, restarted), gated), first: "gated", omitted: 9, total: maxPods},
		"the one that became ready last, beside pods that were restarted": {
			pods: append(many(20, restarted), drawPod("new", "1", true, noon.Add(-time.Second))), first: "new", omitted: 9, total: maxPods},
		"a ready one of another revision, beside any number that crash": {
			pods: append(many(30, crashing), drawPod("serves", "1", true, noon.Add(-time.Hour))), keeps: []string{"serves"}, omitted: 19, total: maxPods},
		"a ready one of the same revision, too": {
			pods: append(many(30, crashing), drawPod("serves", "1", true, noon), drawPod("sibling", "2", true, noon)), keeps: []string{"serves", "sibling"}, omitted: 20, total: maxPods},
		"an unready one of an older revision, beside any number that crash": {
			pods: append(many(30, crashing), drawPod("older", "1", false, noon.Add(-time.Hour))), keeps: []string{"older"}, omitted: 19, total: maxPods},
		"a living one beside evicted ones":                 {pods: append(many(14, ended(corev1.PodFailed)), drawPod("alive", "1", true, noon)), first: "alive", keeps: []string{"ended-13", "ended-12"}, total: 1 + maxEnded},
		"a living one beside completed ones":               {pods: append(many(14, ended(corev1.PodSucceeded)), drawPod("alive", "1", true, noon)), first: "alive", total: 1 + maxEnded},
		"a living one beside those that are deleted":       {pods: append(many(14, deleted), drawPod("alive", "1", true, noon)), first: "alive", total: 1 + maxEnded},
		"as many living ones as fit, and no ended one":     {pods: append(many(14, ended(corev1.PodFailed)), many(maxPods, restarted)...), first: "old-0", total: maxPods},
		"the only one that the Service selects":            {pods: append(many(30, restarted), leader), target: "Service", first: "leader", omitted: 19, total: maxPods},
		"the only one it selects, beside those that crash": {pods: append(many(30, crashing), leader), target: "Service", keeps: []string{"leader"}, omitted: 19, total: maxPods},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			s := &analysis.Snapshot{TakenAt: noon, Pods: row.pods}
			s.Target.Kind, s.Target.Name = row.target, "web"
			s.Services = []corev1.Service{{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: corev1.ServiceSpec{Selector: map[string]string{"role": "leader"}}}}
			s.Pods = endedLast(s.Pods)
			bound(s)
			kept := map[string]bool{}
			for i := range s.Pods {
				kept[s.Pods[i].Name] = true
			}
			if len(kept) != row.total || s.PodsOmitted != row.omitted {
				t.Errorf("%d pods are kept and %d omitted, want %d and %d", len(kept), s.PodsOmitted, row.total, row.omitted)
			}
			if row.first != "" && s.Pods[0].Name != row.first {
				t.Errorf("the first is %s, want %s", s.Pods[0].Name, row.first)
			}
			for _, name := range row.keeps {
				if !kept[name] {
					t.Errorf("%s is not kept: %v", name, kept)
				}
			}
		})
	}
}

func TestBoundKeepsReadyEndpoints(t *testing.T) {
	slice := func(ready bool) discoveryv1.EndpointSlice {
		return discoveryv1.EndpointSlice{Endpoints: slices.Repeat([]discoveryv1.Endpoint{{Conditions: discoveryv1.EndpointConditions{Ready: &ready}}}, 100)}
	}
	s := &analysis.Snapshot{}
	for range maxSlices {
		s.EndpointSlices = append(s.EndpointSlices, slice(false))
	}
	s.EndpointSlices = append(s.EndpointSlices, slice(true))
	bound(s)
	if len(s.EndpointSlices) != maxSlices || readyEndpoints(&s.EndpointSlices[0]) != maxEndpoints/2 {
		t.Errorf("of %d EndpointSlices the first has %d ready endpoints", len(s.EndpointSlices), readyEndpoints(&s.EndpointSlices[0]))
	}
}

// Whether an old revision was well is read from the warnings about its pods.
func TestBoundKeepsEventsOfEachRevision(t *testing.T) {
	event := func(pod string, i int) corev1.Event {
		return corev1.Event{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(pod, i)}, InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: pod}}
	}
	s := &analysis.Snapshot{}
	for i := range 100 {
		s.Events = append(s.Events, event(fmt.Sprintf("web-new-%05d", i), i)) // the newest first
	}
	s.Events = append(s.Events, event("web-old-aaaaa", 100), event("web-old-bbbbb", 101))
	bound(s)
	var names []string
	for i := range s.Events {
		names = append(names, s.Events[i].InvolvedObject.Name)
	}
	if len(names) != maxEvents || names[0] != "web-new-00000" || !slices.Contains(names, "web-old-aaaaa") || !slices.Contains(names, "web-old-bbbbb") {
		t.Errorf("%d events are kept: %v", len(names), names)
	}
}

// A revision that has one before it must not pass for the first of its Deployment.
func TestBoundKeepsTheRevisionBefore(t *testing.T) {
	sets := func(deployments, revisions int) []appsv1.ReplicaSet {
		var all []appsv1.ReplicaSet
		for d := range deployments {
			for r := range revisions {
				owner := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web", UID: types.UID(fmt.Sprint(d))}}
				set := appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{
					Name: fmt.Sprintf("web-%d-%d", d, r), Annotations: map[string]string{revisionAnnotation: fmt.Sprint(r + 1 + 100*d)},
					OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(owner, appsv1.SchemeGroupVersion.WithKind("Deployment"))},
				}}
				if r == revisions-1 {
					set.Status.Replicas = 1
				}
				all = append(all, set)
			}
		}
		return all
	}
	rows := map[string]struct {
		deployments, revisions int
		kept                   string // the oldest that has to be
		missing                bool
	}{
		"of one Deployment the newest":           {1, 30, "web-0-29", false},
		"of each of five the one before":         {5, 10, "web-0-8", false},
		"of more the ones before can't all be":   {8, 10, "web-0-9", true},
		"of more that have one revision all are": {8, 1, "web-0-0", false},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			s := &analysis.Snapshot{ReplicaSets: sets(row.deployments, row.revisions)}
			bound(s)
			found := slices.ContainsFunc(s.ReplicaSets, func(set appsv1.ReplicaSet) bool { return set.Name == row.kept })
			if missing := len(s.Missing) > 0; len(s.ReplicaSets) > maxReplicaSets || !found || missing != row.missing {
				t.Errorf("%d are kept, %s among them: %t, missing %v", len(s.ReplicaSets), row.kept, found, s.Missing)
			}
		})
	}
}
