//go:build record

package rules_test

import (
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// any container of which something is so.
func anyContainer(s *analysis.Snapshot, so func(corev1.ContainerStatus) bool) bool {
	for _, p := range s.Pods {
		if p.DeletionTimestamp == nil && slices.ContainsFunc(p.Status.ContainerStatuses, so) {
			return true
		}
	}
	return false
}

// backedOff: a container is in CrashLoopBackOff after so many restarts, and the
// kubelet's event says so too.
func backedOff(restarts int32) func(*analysis.Snapshot) bool {
	return func(s *analysis.Snapshot) bool {
		return anyContainer(s, func(c corev1.ContainerStatus) bool {
			return c.RestartCount >= restarts && c.State.Waiting != nil && c.State.Waiting.Reason == "CrashLoopBackOff"
		})
	}
}

// backedOffOnce: it crashed twice, and not yet once more.
func backedOffOnce(s *analysis.Snapshot) bool {
	return backedOff(1)(s) && !anyContainer(s, func(c corev1.ContainerStatus) bool { return c.RestartCount > 1 })
}

// running: a container runs that was restarted so often, for at least that long.
func running(restarts int32, atLeast, atMost time.Duration) func(*analysis.Snapshot) bool {
	return func(s *analysis.Snapshot) bool {
		return anyContainer(s, func(c corev1.ContainerStatus) bool {
			if c.RestartCount < restarts || c.State.Running == nil || !c.Ready {
				return false
			}
			ran := s.TakenAt.Sub(c.State.Running.StartedAt.Time)
			return ran >= atLeast && ran <= atMost
		})
	}
}

func rollout(reason string) func(*analysis.Snapshot) bool {
	return func(s *analysis.Snapshot) bool {
		return slices.ContainsFunc(s.Deployments, func(d appsv1.Deployment) bool {
			return slices.ContainsFunc(d.Status.Conditions, func(c appsv1.DeploymentCondition) bool {
				return c.Type == appsv1.DeploymentProgressing && c.Reason == reason
			})
		})
	}
}

// waiting: a container waits for a reason.
func waiting(reason string) func(*analysis.Snapshot) bool {
	return func(s *analysis.Snapshot) bool {
		return anyContainer(s, func(c corev1.ContainerStatus) bool { return c.State.Waiting != nil && c.State.Waiting.Reason == reason })
	}
}

// lacks: a container waits for a reason, and the newest pod is as old as that.
func lacks(reason string, age time.Duration) func(*analysis.Snapshot) bool {
	return both(waiting(reason), olderThan(age))
}

func olderThan(age time.Duration) func(*analysis.Snapshot) bool {
	return func(s *analysis.Snapshot) bool { return len(s.Pods) > 0 && youngest(s) >= age }
}

func youngerThan(age time.Duration) func(*analysis.Snapshot) bool {
	return func(s *analysis.Snapshot) bool { return len(s.Pods) > 0 && youngest(s) < age }
}

func youngest(s *analysis.Snapshot) time.Duration {
	least := time.Hour
	for _, p := range s.Pods {
		least = min(least, s.TakenAt.Sub(p.CreationTimestamp.Time))
	}
	return least
}

// event: a warning of a reason was given that holds a text.
func event(reason, text string) func(*analysis.Snapshot) bool {
	return func(s *analysis.Snapshot) bool {
		return slices.ContainsFunc(s.Events, func(e corev1.Event) bool { return e.Reason == reason && strings.Contains(e.Message, text) })
	}
}

// elsewhere: so many others can't get their images.
func elsewhere(n int) func(*analysis.Snapshot) bool {
	return func(s *analysis.Snapshot) bool { return len(s.Elsewhere) >= n }
}

func both(a, b func(*analysis.Snapshot) bool) func(*analysis.Snapshot) bool {
	return func(s *analysis.Snapshot) bool { return a(s) && b(s) }
}

func readyPods(n int) func(*analysis.Snapshot) bool {
	return func(s *analysis.Snapshot) bool {
		ready := 0
		for _, p := range s.Pods {
			for _, c := range p.Status.Conditions {
				if p.DeletionTimestamp == nil && c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
					ready++
				}
			}
		}
		return ready == n
	}
}

// noEndpoints: the Service's endpoints have been emptied.
func noEndpoints(s *analysis.Snapshot) bool {
	for _, slice := range s.EndpointSlices {
		if len(slice.Endpoints) > 0 {
			return false
		}
	}
	return len(s.Services) > 0
}

func evicted(s *analysis.Snapshot) bool {
	gone := slices.ContainsFunc(s.Pods, func(p corev1.Pod) bool { return p.Status.Reason == "Evicted" })
	return gone && slices.ContainsFunc(s.Pods, func(p corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning })
}

// forbidden: something could not be read for want of a right.
func forbidden(what string) func(*analysis.Snapshot) bool {
	return func(s *analysis.Snapshot) bool {
		return slices.ContainsFunc(s.Missing, func(m analysis.Missing) bool { return m.Forbidden && strings.Contains(m.What, what) })
	}
}

type snapshot = analysis.Snapshot

func always(*analysis.Snapshot) bool { return true }
