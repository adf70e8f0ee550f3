package rules

import (
	"cmp"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubernaut/kubernaut/internal/vitals"
)

// startsLate is how long after the start of its pod a container's readiness must have
// changed to say that it was ready before: the first thing a kubelet says of a pod is
// that it is not.
const startsLate = 3 * time.Second

// answered reports whether a probe that is refused was answered by the same revision:
// in another pod of it now, or in this one before. Then its port is right.
func (sc *scene) answered(w *workload, p probed) bool {
	number := w.revisionOf[p.pod]
	if p.kind == "Readiness" && w.wasReady(number) {
		return true
	}
	for _, pod := range w.pods {
		status := statusOf(pod, p.container.Name)
		if status != nil && w.revisionOf[pod] == number && sameProbe(pod, p) && sc.passed(pod, status, p) {
			return true
		}
	}
	return w.unseen() && w.counts.ready > 0
}

// wasReady reports whether a pod of a revision is or was ready, as the controllers count
// them: the pods at hand may be some of them only.
func (w *workload) wasReady(number int64) bool {
	for _, r := range w.revisions {
		if r.number == number {
			return r.ready > 0 || r.current && w.completed(r)
		}
	}
	return false
}

// sameProbe reports whether a pod's container is probed at the same port.
func sameProbe(pod *corev1.Pod, p probed) bool {
	c, found := containerOf(&pod.Spec, p.container.Name)
	if !found {
		return false
	}
	port, asked := portOf(c, probesOf(c)[p.kind])
	return asked && port == p.port
}

// passed reports whether a container passes, or once passed, the probe. A liveness probe
// is passed by what has outlived it.
func (sc *scene) passed(pod *corev1.Pod, status *corev1.ContainerStatus, p probed) bool {
	switch p.kind {
	case "Startup":
		return status.Started != nil && *status.Started
	case "Liveness":
		runs := status.State.Running
		return status.Ready && status.RestartCount == 0 && runs != nil &&
			sc.TakenAt.Sub(runs.StartedAt.Time) > 2*patience(probesOf(p.container)[p.kind])
	}
	return status.Ready || wasReady(pod)
}

// wasReady reports whether a pod that is not ready was so before. Its condition keeps
// the time at which that changed, which is else that of the pod's start.
func wasReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady && p.Status.StartTime != nil {
			return c.LastTransitionTime.Sub(p.Status.StartTime.Time) > startsLate
		}
	}
	return vitals.Ready(p)
}

// completed reports whether a Deployment says that every pod of its current revision
// was available: the rollout of it ended, and later than with no pod at all.
func (w *workload) completed(current revision) bool {
	if w.deployment == nil || !w.counts.seen {
		return false
	}
	progressing := condition(w.deployment, appsv1.DeploymentProgressing)
	return progressing.Reason == "NewReplicaSetAvailable" && progressing.LastUpdateTime.Sub(current.came.Latest) > startsLate
}

// unseen reports whether a workload has pods that are not at hand, and no controller
// counts how many of each revision are ready.
func (w *workload) unseen() bool {
	return w.deployment == nil && int(w.counts.total) > len(w.pods)
}

// startLeft is how much of the time that its own probes give a container is left: until
// it has passed, the container may only be slow to start. One that a probe has ended
// already has had its time.
func (sc *scene) startLeft(p probed) time.Duration {
	status := statusOf(p.pod, p.container.Name)
	if status == nil || status.State.Running == nil || status.LastTerminationState.Terminated != nil {
		return 0
	}
	given := leastAsked
	for kind, probe := range probesOf(p.container) {
		if over := kind == "Startup" && status.Started != nil && *status.Started; !over {
			given = max(given, patience(probe))
		}
	}
	left := given - sc.TakenAt.Sub(status.State.Running.StartedAt.Time)
	if left <= 0 {
		return 0
	}
	return min(max(left, time.Second), nextLook)
}

// patience is how long a probe may fail before anything comes of it.
func patience(p *corev1.Probe) time.Duration {
	if p == nil {
		return 0
	}
	tries := cmp.Or(p.FailureThreshold, 3) * cmp.Or(p.PeriodSeconds, 10) // the API server's defaults
	return time.Duration(p.InitialDelaySeconds+tries) * time.Second
}
