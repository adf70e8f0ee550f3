package rules_test

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/diagnose/rules"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// oldestSet returns the ReplicaSet of the first revision.
func oldestSet(s *analysis.Snapshot) *appsv1.ReplicaSet {
	for i := range s.ReplicaSets {
		if s.ReplicaSets[i].Annotations["deployment.kubernetes.io/revision"] == "1" {
			return &s.ReplicaSets[i]
		}
	}
	return nil
}

// unready is what the kubelet says of a pod of the oldest revision, asking it every
// second: first and last so long after the newest came, and so often in all.
func unready(s *analysis.Snapshot, first, last time.Duration, count int32) corev1.Event {
	oldestSet(s).Spec.Template.Spec.Containers[0].ReadinessProbe = &corev1.Probe{PeriodSeconds: 1}
	came := s.ReplicaSets[0].CreationTimestamp
	return corev1.Event{
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: oldestSet(s).Name + "-x7k2p"}, Type: corev1.EventTypeWarning, Reason: "Unhealthy",
		FirstTimestamp: metav1.NewTime(came.Add(first)), LastTimestamp: metav1.NewTime(came.Add(last)), Count: count,
	}
}

func progressing(s *analysis.Snapshot) *appsv1.DeploymentCondition {
	conditions := s.Deployments[0].Status.Conditions
	for i := range conditions {
		if conditions[i].Type == appsv1.DeploymentProgressing {
			return &conditions[i]
		}
	}
	return nil
}

// TestDiagnoseTellsNeighboursApart changes one thing in a recorded scene.
func TestDiagnoseTellsNeighboursApart(t *testing.T) {
	rows := map[string]struct {
		file   string
		change func(*analysis.Snapshot)
		cause  v1alpha1.Cause
	}{
		"a container without a limit was not killed by it": {
			file: "memory-first-revision", cause: unknown,
			change: func(s *analysis.Snapshot) {
				for i := range s.Pods {
					s.Pods[i].Spec.Containers[0].Resources.Limits = nil
				}
			},
		},
		"pods of the old revision that are gone, and were backed off before the release came": {
			file: "release-all-at-once", cause: unknown,
			change: func(s *analysis.Snapshot) {
				s.Events = append(s.Events, corev1.Event{
					InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: oldestSet(s).Name + "-x7k2p"}, Reason: "BackOff",
					LastTimestamp: metav1.NewTime(s.TakenAt.Add(-time.Minute)),
				})
			},
		},
		"a warning about pods of another workload with a longer name says nothing": {
			file: "release-all-at-once", cause: badRelease,
			change: func(s *analysis.Snapshot) {
				s.Events = append(s.Events, corev1.Event{
					InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: oldestSet(s).Name + "-worker-x7k2p"}, Reason: "BackOff",
					LastTimestamp: metav1.NewTime(s.TakenAt.Add(-time.Minute)),
				})
			},
		},
		"pods of the old revision whose probes fail while they are ended": {
			file: "release-all-at-once", cause: badRelease,
			change: func(s *analysis.Snapshot) { s.Events = append(s.Events, unready(s, 0, 2*time.Second, 2)) },
		},
		"pods of the old revision whose probes failed as they began, and while they are ended": {
			file: "release-all-at-once", cause: badRelease,
			change: func(s *analysis.Snapshot) { s.Events = append(s.Events, unready(s, -24*time.Second, 2*time.Second, 4)) },
		},
		"pods of the old revision whose probes failed until they were ended": {
			file: "release-all-at-once", cause: unknown,
			change: func(s *analysis.Snapshot) { s.Events = append(s.Events, unready(s, -24*time.Second, -time.Second, 4)) },
		},
		"pods of the old revision whose probes failed all the time": {
			file: "release-all-at-once", cause: unknown,
			change: func(s *analysis.Snapshot) {
				s.Events = append(s.Events, unready(s, -24*time.Second, 2*time.Second, 25))
			},
		},
		"without events nobody knows that the old pods were well": {
			file: "release-all-at-once", cause: unknown,
			change: func(s *analysis.Snapshot) {
				s.Missing = []analysis.Missing{{What: "events", Why: "forbidden", Forbidden: true, Detail: true}}
			},
		},
		"an old revision that had hardly begun is not proven": {
			file: "release-all-at-once", cause: unknown,
			change: func(s *analysis.Snapshot) {
				oldestSet(s).CreationTimestamp = metav1.NewTime(s.ReplicaSets[0].CreationTimestamp.Add(-5 * time.Second))
			},
		},
		"an old revision whose own rollout ran into its deadline was not well": {
			file: "release-all-at-once", cause: unknown,
			change: func(s *analysis.Snapshot) {
				progressing(s).Status, progressing(s).LastTransitionTime = corev1.ConditionTrue, metav1.NewTime(s.TakenAt)
			},
		},
		"a Deployment that was unavailable long before the release": {
			file: "release-all-at-once", cause: unknown,
			change: func(s *analysis.Snapshot) {
				d := &s.Deployments[0]
				d.Spec.Strategy.RollingUpdate.MaxUnavailable = new(intstr.FromInt32(1))
				for i := range d.Status.Conditions {
					if d.Status.Conditions[i].Type == appsv1.DeploymentAvailable {
						d.Status.Conditions[i].Status = corev1.ConditionFalse
						d.Status.Conditions[i].LastTransitionTime = metav1.NewTime(s.TakenAt.Add(-time.Hour))
					}
				}
			},
		},
		"a template that differs in what the snapshot does not show": {
			file: "restarted-into-crash", cause: badRelease,
			change: func(s *analysis.Snapshot) {
				oldestSet(s).Spec.Template.Annotations[analysis.PodSpecAnnotation] = "[redacted 99]"
			},
		},
		"a Service whose best match is taken by another Service": {
			file: "selector-elsewhere", cause: unknown,
			change: func(s *analysis.Snapshot) {
				other := s.Services[0]
				other.Name, other.Spec.Selector = "shop", s.Deployments[0].Spec.Selector.MatchLabels
				s.Services = append(s.Services, other)
			},
		},
		"a selector that nobody changed is not led to a stranger": {
			file: "selector-elsewhere", cause: unknown,
			change: func(s *analysis.Snapshot) { s.Changes = nil },
		},
		"values that differ in their digits are meant to": {
			file: "selector-elsewhere", cause: unknown,
			change: func(s *analysis.Snapshot) {
				s.Changes = nil
				s.Services[0].Spec.Selector = map[string]string{"app": "shop-2"}
				d := &s.Deployments[0]
				d.Spec.Template.Labels, d.Spec.Selector.MatchLabels = map[string]string{"app": "shop-1"}, map[string]string{"app": "shop-1"}
			},
		},
		"a rollout that is paused can't be stuck": {
			file: "stuck-unready", cause: unknown,
			change: func(s *analysis.Snapshot) { s.Deployments[0].Spec.Paused = true },
		},
		"a stuck rollout with nothing healthy before it": {
			file: "stuck-unready", cause: stuck,
			change: func(s *analysis.Snapshot) {
				oldestSet(s).Status.ReadyReplicas = 0
				oldestSet(s).CreationTimestamp = metav1.NewTime(s.TakenAt)
			},
		},
		"a container that crashed an hour ago and runs": {
			file: "recovering", cause: healthy,
			change: func(s *analysis.Snapshot) { s.TakenAt = s.TakenAt.Add(time.Hour); settle(s) },
		},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			s := load(t, row.file)
			row.change(s)
			if got := rules.Diagnose(v1alpha1.Alert{Name: "Alert"}, s)[0]; got.Code != row.cause {
				t.Errorf("cause is %s, want %s: %s", got.Code, row.cause, got.Message)
			}
		})
	}
}

// settle gives a Deployment the status of one whose pods are all ready.
func settle(s *analysis.Snapshot) {
	d := &s.Deployments[0]
	d.Status.ReadyReplicas, d.Status.AvailableReplicas = *d.Spec.Replicas, *d.Spec.Replicas
	for i := range s.Pods {
		for j := range s.Pods[i].Status.Conditions {
			s.Pods[i].Status.Conditions[j].Status = corev1.ConditionTrue
		}
	}
}
