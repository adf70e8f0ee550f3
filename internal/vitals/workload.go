package vitals

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// count is what a workload says of its own pods.
type count struct {
	seen                      bool // the controller has acted on the current generation
	wanted                    int32
	updated, ready, available int32
	total                     int32 // old ones included
}

// judgeCount compares what a workload says of its pods, and the pods themselves.
func judgeCount(s *analysis.Snapshot, c count, since time.Time) Vitals {
	switch {
	case !c.seen:
		return unhealthy("the controller of %s has not acted on its last change yet", s.Target)
	case c.wanted == 0:
		return unknown("%s is scaled to 0, so there is nothing to judge", s.Target)
	case c.updated < c.wanted:
		return unhealthy("%d of %d pods of %s are of the current revision", c.updated, c.wanted, s.Target)
	case c.total > c.updated:
		return unhealthy("%d pods of an old revision of %s are left", c.total-c.updated, s.Target)
	case c.ready < c.wanted:
		return unhealthy("%d of %d pods of %s are ready", c.ready, c.wanted, s.Target)
	case c.available < c.wanted:
		return unhealthy("%d of %d pods of %s are available", c.available, c.wanted, s.Target)
	}
	return judgePods(s, s.Pods, since)
}

// judgePods looks at the pods themselves: the counts of a workload lag behind.
func judgePods(s *analysis.Snapshot, pods []corev1.Pod, since time.Time) Vitals {
	ready := 0
	for i := range pods {
		p := &pods[i]
		if !Active(p) {
			continue
		}
		if !Ready(p) {
			return unhealthy("pod %s is not ready", p.Name)
		}
		ready++
		since = later(since, ReadySince(p))
	}
	if ready == 0 && s.PodsOmitted > 0 {
		return unknown("none of the pods of %s that were kept counts, and %d were left out", s.Target, s.PodsOmitted)
	}
	if ready == 0 {
		return unhealthy("no pod of %s exists", s.Target)
	}
	return healthy(since, "all pods of %s are ready, %s", s.Target, duration(s.TakenAt, since))
}

// duration says for how long, in words.
func duration(now, since time.Time) string {
	return fmt.Sprintf("for %s", now.Sub(since).Round(time.Second))
}

func deployment(s *analysis.Snapshot) Vitals {
	d := find(s.Deployments, s.Target.Name)
	if d == nil {
		return unknown("%s was not seen", s.Target)
	}
	var since time.Time
	for _, c := range d.Status.Conditions {
		switch c.Type {
		case appsv1.DeploymentProgressing:
			since = later(since, c.LastUpdateTime.Time) // the end of the last rollout
		case appsv1.DeploymentAvailable:
			since = later(since, c.LastTransitionTime.Time)
		}
	}
	return judgeCount(s, count{
		seen:   d.Status.ObservedGeneration >= d.Generation,
		wanted: wanted(d.Spec.Replicas), updated: d.Status.UpdatedReplicas, total: d.Status.Replicas,
		ready: d.Status.ReadyReplicas, available: d.Status.AvailableReplicas,
	}, since)
}

func statefulSet(s *analysis.Snapshot) Vitals {
	set := find(s.StatefulSets, s.Target.Name)
	if set == nil {
		return unknown("%s was not seen", s.Target)
	}
	c := count{
		seen:   set.Status.ObservedGeneration >= set.Generation,
		wanted: wanted(set.Spec.Replicas), updated: set.Status.UpdatedReplicas, total: set.Status.Replicas,
		ready: set.Status.ReadyReplicas, available: set.Status.AvailableReplicas,
	}
	if partitioned(set) {
		c.updated = c.total // old pods are what was asked for
	}
	return judgeCount(s, c, time.Time{})
}

// partitioned reports whether a StatefulSet keeps pods of an old revision on purpose.
func partitioned(set *appsv1.StatefulSet) bool {
	rolling := set.Spec.UpdateStrategy.RollingUpdate
	return set.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType ||
		rolling != nil && rolling.Partition != nil && *rolling.Partition > 0
}

func daemonSet(s *analysis.Snapshot) Vitals {
	set := find(s.DaemonSets, s.Target.Name)
	if set == nil {
		return unknown("%s was not seen", s.Target)
	}
	c := count{
		seen:   set.Status.ObservedGeneration >= set.Generation,
		wanted: set.Status.DesiredNumberScheduled, updated: set.Status.UpdatedNumberScheduled, total: set.Status.CurrentNumberScheduled,
		ready: set.Status.NumberReady, available: set.Status.NumberAvailable,
	}
	if set.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType {
		c.updated = c.total
	}
	return judgeCount(s, c, time.Time{})
}

func replicaSet(s *analysis.Snapshot) Vitals {
	set := find(s.ReplicaSets, s.Target.Name)
	if set == nil {
		return unknown("%s was not seen", s.Target)
	}
	return judgeCount(s, count{
		seen:   set.Status.ObservedGeneration >= set.Generation,
		wanted: wanted(set.Spec.Replicas), updated: set.Status.Replicas, total: set.Status.Replicas,
		ready: set.Status.ReadyReplicas, available: set.Status.AvailableReplicas,
	}, time.Time{})
}

// wanted is how many replicas are asked for; one, where nobody says.
func wanted(replicas *int32) int32 {
	if replicas == nil {
		return 1
	}
	return *replicas
}

func find[T any, O interface {
	*T
	metav1.Object
}](all []T, name string) *T {
	for i := range all {
		if O(&all[i]).GetName() == name {
			return &all[i]
		}
	}
	return nil
}
