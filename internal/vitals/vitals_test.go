package vitals_test

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/vitals"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

var now = time.Date(2026, time.March, 1, 3, 0, 0, 0, time.UTC)

func at(ago time.Duration) metav1.Time { return metav1.NewTime(now.Add(-ago)) }

// shop is a Deployment of two pods that have been ready for an hour, and its Service.
func shop(changes ...func(*analysis.Snapshot)) *analysis.Snapshot {
	d := appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "shop", Generation: 3}}
	d.Spec.Replicas = new(int32(2))
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: 3, Replicas: 2, UpdatedReplicas: 2, ReadyReplicas: 2, AvailableReplicas: 2}
	svc := corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "shop"}, Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "shop"}}}
	slice := discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{discoveryv1.LabelServiceName: "shop"}},
		Endpoints:  []discoveryv1.Endpoint{{}, {}},
	}
	s := &analysis.Snapshot{
		TakenAt: now, Target: target("apps/v1", "Deployment"),
		Deployments: []appsv1.Deployment{d}, Pods: []corev1.Pod{pod("shop-1"), pod("shop-2")},
		Services: []corev1.Service{svc}, EndpointSlices: []discoveryv1.EndpointSlice{slice},
	}
	for _, change := range changes {
		change(s)
	}
	return s
}

func target(apiVersion, kind string) v1alpha1.TargetReference {
	return v1alpha1.TargetReference{ObjectReference: v1alpha1.ObjectReference{APIVersion: apiVersion, Kind: kind, Name: "shop"}}
}

func pod(name string) corev1.Pod {
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": "shop"}},
		Status: corev1.PodStatus{
			Phase:      corev1.PodRunning,
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: at(time.Hour)}},
			ContainerStatuses: []corev1.ContainerStatus{{
				Name: "shop", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at(time.Hour)}},
			}},
		},
	}
}

// ended makes a pod that was ready and is over.
func ended(phase corev1.PodPhase) corev1.Pod {
	p := pod("shop-0")
	p.Status.Phase, p.Status.Reason = phase, "Evicted"
	p.Status.Conditions[0].Status = corev1.ConditionFalse
	return p
}

func deployment(change func(*appsv1.Deployment)) func(*analysis.Snapshot) {
	return func(s *analysis.Snapshot) { change(&s.Deployments[0]) }
}

func asService(s *analysis.Snapshot) { s.Target = target("v1", "Service") }

func unready(s *analysis.Snapshot) { s.Pods[1].Status.Conditions[0].Status = corev1.ConditionFalse }

func asNode(ready corev1.ConditionStatus, renewed time.Duration) func(*analysis.Snapshot) {
	return func(s *analysis.Snapshot) {
		s.Target = target("v1", "Node")
		s.Machine = &analysis.Machine{RenewedAt: now.Add(-renewed), Conditions: []corev1.NodeCondition{
			{Type: corev1.NodeReady, Status: ready, Reason: "KubeletNotReady", LastTransitionTime: at(time.Hour)},
		}}
	}
}

func TestJudge(t *testing.T) {
	rows := map[string]struct {
		snapshot *analysis.Snapshot
		health   v1alpha1.Health
		since    time.Duration // ago
		why      string        // part of it
	}{
		"a node that has been ready for an hour": {snapshot: shop(asNode(corev1.ConditionTrue, 5*time.Second)), health: v1alpha1.HealthHealthy, since: time.Hour},
		"a node whose kubelet is silent, though it is not marked yet": {
			snapshot: shop(asNode(corev1.ConditionTrue, time.Minute)), health: v1alpha1.HealthUnhealthy, why: "silent"},
		"a node that says it is not ready": {snapshot: shop(asNode(corev1.ConditionFalse, 5*time.Second)), health: v1alpha1.HealthUnhealthy, why: "not ready: KubeletNotReady"},
		"a node that is marked, and whose kubelet is heard again": {
			snapshot: shop(asNode(corev1.ConditionUnknown, 5*time.Second)), health: v1alpha1.HealthUnhealthy, why: "not ready"},
		"a node that is ready, and under pressure": {
			snapshot: shop(asNode(corev1.ConditionTrue, 5*time.Second), func(s *analysis.Snapshot) {
				s.Machine.Conditions = append(s.Machine.Conditions, corev1.NodeCondition{Type: corev1.NodeDiskPressure, Status: corev1.ConditionTrue})
			}), health: v1alpha1.HealthUnhealthy, why: "DiskPressure"},
		"a node that was not seen":   {snapshot: shop(func(s *analysis.Snapshot) { s.Target = target("v1", "Node") }), health: v1alpha1.HealthUnknown, why: "not seen"},
		"all pods ready for an hour": {snapshot: shop(), health: v1alpha1.HealthHealthy, since: time.Hour},
		"a container that restarted counts from then": {
			snapshot: shop(func(s *analysis.Snapshot) {
				c := &s.Pods[0].Status.ContainerStatuses[0]
				c.RestartCount = 1
				c.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{FinishedAt: at(3 * time.Minute)}
				c.State.Running.StartedAt = at(2 * time.Minute)
			}),
			health: v1alpha1.HealthHealthy, since: 2 * time.Minute,
		},
		"the end of a rollout counts": {
			snapshot: shop(deployment(func(d *appsv1.Deployment) {
				d.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentProgressing, LastUpdateTime: at(time.Minute)}}
			})),
			health: v1alpha1.HealthHealthy, since: time.Minute,
		},
		"a pod on its way out does not count": {
			snapshot: shop(func(s *analysis.Snapshot) {
				old := pod("shop-0")
				old.DeletionTimestamp = new(at(time.Second))
				old.Status.Conditions[0].Status = corev1.ConditionFalse
				s.Pods = append(s.Pods, old)
			}),
			health: v1alpha1.HealthHealthy, since: time.Hour,
		},
		"a change its controller has not seen": {
			snapshot: shop(deployment(func(d *appsv1.Deployment) { d.Generation++ })), health: v1alpha1.HealthUnhealthy, why: "not acted",
		},
		"a rollout half way": {
			snapshot: shop(deployment(func(d *appsv1.Deployment) { d.Status.UpdatedReplicas = 1 })), health: v1alpha1.HealthUnhealthy, why: "1 of 2",
		},
		"old pods left": {
			snapshot: shop(deployment(func(d *appsv1.Deployment) { d.Status.Replicas = 3 })), health: v1alpha1.HealthUnhealthy, why: "old revision",
		},
		"a pod that is not ready, though the counts lag behind": {snapshot: shop(unready), health: v1alpha1.HealthUnhealthy, why: "shop-2"},
		"no pods, though the counts lag behind": {
			snapshot: shop(func(s *analysis.Snapshot) { s.Pods = nil }), health: v1alpha1.HealthUnhealthy, why: "no pod",
		},
		"no pods among those that were kept, and others that were not": {
			snapshot: shop(func(s *analysis.Snapshot) { s.Pods, s.PodsOmitted = nil, 40 }), health: v1alpha1.HealthUnknown, why: "40 were left out",
		},
		"pods that were evicted beside those that are ready": {
			snapshot: shop(func(s *analysis.Snapshot) {
				for range 14 {
					s.Pods = append([]corev1.Pod{ended(corev1.PodFailed)}, s.Pods...)
				}
			}), health: v1alpha1.HealthHealthy, since: time.Hour,
		},
		"pods that completed beside those that are ready": {
			snapshot: shop(func(s *analysis.Snapshot) { s.Pods = append(s.Pods, ended(corev1.PodSucceeded)) }), health: v1alpha1.HealthHealthy, since: time.Hour,
		},
		"pods that were evicted and no other": {
			snapshot: shop(func(s *analysis.Snapshot) { s.Pods = []corev1.Pod{ended(corev1.PodFailed)} }), health: v1alpha1.HealthUnhealthy, why: "no pod",
		},
		"a Service that selects evicted pods beside ready ones": {
			snapshot: shop(asService, func(s *analysis.Snapshot) { s.Pods = append(s.Pods, ended(corev1.PodFailed)) }), health: v1alpha1.HealthHealthy, since: time.Hour,
		},
		"a Service that selects evicted pods only": {
			snapshot: shop(asService, func(s *analysis.Snapshot) { s.Pods = []corev1.Pod{ended(corev1.PodFailed)} }), health: v1alpha1.HealthUnhealthy, why: "selects no pod",
		},
		"a Service that selects none of the pods that were kept": {
			snapshot: shop(asService, func(s *analysis.Snapshot) {
				s.Services[0].Spec.Selector["app"] = "leader"
				s.PodsOmitted = 40
			}), health: v1alpha1.HealthUnknown, why: "40 were left out",
		},
		"a DaemonSet one of whose pods was rejected by its node, with a ready one beside": {
			snapshot: shop(func(s *analysis.Snapshot) {
				set := appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}
				set.Status = appsv1.DaemonSetStatus{DesiredNumberScheduled: 2, CurrentNumberScheduled: 2, UpdatedNumberScheduled: 2, NumberReady: 2, NumberAvailable: 2}
				s.Target, s.DaemonSets = target("apps/v1", "DaemonSet"), []appsv1.DaemonSet{set}
				s.Pods = append([]corev1.Pod{ended(corev1.PodFailed)}, s.Pods...)
			}), health: v1alpha1.HealthHealthy, since: time.Hour,
		},
		"scaled to nothing is not well": {
			snapshot: shop(deployment(func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32(0)) })), health: v1alpha1.HealthUnknown, why: "scaled to 0",
		},
		"pods that could not be read": {
			snapshot: shop(func(s *analysis.Snapshot) {
				s.Missing = []analysis.Missing{{What: "pods", Why: "forbidden", Forbidden: true}}
			}),
			health: v1alpha1.HealthUnknown, why: "pods could not be read",
		},
		"a log that could not be read": {
			snapshot: shop(func(s *analysis.Snapshot) { s.Missing = []analysis.Missing{{What: "log", Detail: true}} }),
			health:   v1alpha1.HealthHealthy, since: time.Hour,
		},
		"a target that is not in the snapshot": {snapshot: shop(func(s *analysis.Snapshot) { s.Target.Name = "other" }), health: v1alpha1.HealthUnknown},
		"a kind that is not judged":            {snapshot: shop(func(s *analysis.Snapshot) { s.Target = target("v1", "Node") }), health: v1alpha1.HealthUnknown},
		"a Service with ready endpoints":       {snapshot: shop(asService), health: v1alpha1.HealthHealthy, since: time.Hour},
		"a Service has been well no longer than its selector": {
			snapshot: shop(asService, func(s *analysis.Snapshot) {
				s.Changes = []analysis.Change{{Object: s.Target.ObjectReference, Field: "spec.selector", At: now.Add(-5 * time.Second)}}
			}),
			health: v1alpha1.HealthHealthy, since: 5 * time.Second,
		},
		"a Service with a pod that is not ready": {snapshot: shop(asService, unready), health: v1alpha1.HealthUnhealthy},
		"a Service without ready endpoints": {
			snapshot: shop(asService, func(s *analysis.Snapshot) { s.EndpointSlices = nil }), health: v1alpha1.HealthUnhealthy, why: "no ready endpoint",
		},
		"a Service that selects nothing": {
			snapshot: shop(asService, func(s *analysis.Snapshot) { s.Services[0].Spec.Selector["app"] = "pohs" }), health: v1alpha1.HealthUnhealthy, why: "selects no pod",
		},
		"a Service without a selector": {
			snapshot: shop(asService, func(s *analysis.Snapshot) { s.Services[0].Spec.Selector = nil }), health: v1alpha1.HealthUnknown,
		},
		"a StatefulSet held at a partition": {
			snapshot: shop(func(s *analysis.Snapshot) {
				set := appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}
				set.Spec.Replicas = new(int32(2))
				set.Spec.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{Partition: new(int32(1))}
				set.Status = appsv1.StatefulSetStatus{Replicas: 2, UpdatedReplicas: 1, ReadyReplicas: 2, AvailableReplicas: 2}
				s.Target, s.StatefulSets = target("apps/v1", "StatefulSet"), []appsv1.StatefulSet{set}
			}),
			health: v1alpha1.HealthHealthy, since: time.Hour,
		},
		"a DaemonSet that no node wants": {
			snapshot: shop(func(s *analysis.Snapshot) {
				s.Target, s.DaemonSets = target("apps/v1", "DaemonSet"), []appsv1.DaemonSet{{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}}
			}),
			health: v1alpha1.HealthUnknown,
		},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			got := vitals.Judge(row.snapshot)
			if got.Health != row.health || !strings.Contains(got.Why, row.why) || got.Why == "" {
				t.Fatalf("Judge is %s: %s; want %s: %s", got.Health, got.Why, row.health, row.why)
			}
			if row.since > 0 && !got.Since.Equal(now.Add(-row.since)) {
				t.Errorf("since %s ago, want %s", now.Sub(got.Since), row.since)
			}
			if row.since == 0 && !got.Since.IsZero() {
				t.Errorf("since %s, and it is not healthy", got.Since)
			}
		})
	}
}
