// Package vitals judges from a snapshot whether a workload, a Service or a node is well.
// It is pure: the rules and the verification after a change see alike.
package vitals

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// Vitals of a target.
type Vitals struct {
	// Health of the target.
	Health v1alpha1.Health
	// Since when it has been healthy without interruption; zero unless it is.
	Since time.Time
	// Why in one sentence with figures.
	Why string
}

// Judge says whether the target of a snapshot is well. What could not be read
// makes it Unknown, never unhealthy and never healthy; so does a target that is
// scaled to nothing, for there is nothing to be seen of it.
func Judge(s *analysis.Snapshot) Vitals {
	for _, m := range s.Missing {
		if !m.Detail {
			return unknown("%s could not be read: %s", m.What, m.Why)
		}
	}
	judge, known := judges[s.Target.APIVersion+" "+s.Target.Kind]
	if !known {
		return unknown("the health of a %s is not judged", s.Target.Kind)
	}
	return judge(s)
}

var judges = map[string]func(*analysis.Snapshot) Vitals{
	"apps/v1 Deployment":  deployment,
	"apps/v1 StatefulSet": statefulSet,
	"apps/v1 DaemonSet":   daemonSet,
	"apps/v1 ReplicaSet":  replicaSet,
	"v1 Pod":              pod,
	"v1 Service":          service,
	"v1 Node":             machine,
}

func unknown(format string, args ...any) Vitals {
	return Vitals{Health: v1alpha1.HealthUnknown, Why: fmt.Sprintf(format, args...)}
}

func unhealthy(format string, args ...any) Vitals {
	return Vitals{Health: v1alpha1.HealthUnhealthy, Why: fmt.Sprintf(format, args...)}
}

func healthy(since time.Time, format string, args ...any) Vitals {
	return Vitals{Health: v1alpha1.HealthHealthy, Since: since, Why: fmt.Sprintf(format, args...)}
}

// Active reports whether a pod counts: it has not ended, and is not on its way out.
func Active(p *corev1.Pod) bool {
	return p.DeletionTimestamp == nil && p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed
}

// Ready reports whether a pod is ready.
func Ready(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// ReadySince is the latest moment at which something happened to a ready pod:
// it became ready, a container began or ended.
func ReadySince(p *corev1.Pod) time.Time {
	var since time.Time
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			since = later(since, c.LastTransitionTime.Time)
		}
	}
	for _, statuses := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for _, c := range statuses {
			if c.State.Running != nil {
				since = later(since, c.State.Running.StartedAt.Time)
			}
			for _, ended := range []*corev1.ContainerStateTerminated{c.State.Terminated, c.LastTerminationState.Terminated} {
				if ended != nil {
					since = later(since, ended.FinishedAt.Time)
				}
			}
		}
	}
	return since
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func pod(s *analysis.Snapshot) Vitals {
	for i := range s.Pods {
		p := &s.Pods[i]
		switch {
		case p.Name != s.Target.Name:
			continue
		case !Active(p):
			return unhealthy("pod %s has ended, or is being deleted", p.Name)
		case !Ready(p):
			return unhealthy("pod %s is not ready", p.Name)
		}
		return healthy(ReadySince(p), "pod %s is ready", p.Name)
	}
	return unknown("%s was not seen", s.Target)
}
