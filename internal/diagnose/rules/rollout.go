package rules

import (
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/vitals"
)

// rolloutStuck finds a rollout that passed its progress deadline. What holds it
// up, where a rule knows it, explains this finding. Without that, going back is
// a remedy only if there is a healthy revision to go back to.
func rolloutStuck(sc *scene, w *workload) *Finding {
	d := w.deployment
	if d == nil || d.Spec.Paused || condition(d, appsv1.DeploymentProgressing).Reason != "ProgressDeadlineExceeded" {
		return nil
	}
	current, ok := w.current()
	if !ok {
		return nil
	}
	f := &Finding{
		Code: v1alpha1.CauseRolloutStuck, Object: w.ref.ObjectReference, Target: &w.ref,
		Confidence: percent(70 - 10*sc.details()),
		Message: fmt.Sprintf("rollout of revision %d of %s made no progress for %s: %d of %d pods of it are ready%s",
			current.number, w.ref, deadlineOf(d), current.ready, wanted(d), hindrance(w)),
		Evidence: []v1alpha1.Evidence{
			says(v1alpha1.EvidenceObject, w.ref.ObjectReference, "Progressing is False since %s: ProgressDeadlineExceeded",
				condition(d, appsv1.DeploymentProgressing).LastTransitionTime.UTC().Format("2006-01-02T15:04:05Z")),
		},
	}
	f.Evidence = append(f.Evidence, crashEvidence(sc, w.failures)...)
	if failed := condition(d, appsv1.DeploymentReplicaFailure); failed.Status == corev1.ConditionTrue {
		// No pod can be made at all, of any revision: a quota, for instance.
		f.Message += fmt.Sprintf("; pods can't be created: %s", failed.Message)
		f.Remedies = []v1alpha1.Remedy{toPerson(f.Message)}
		return f
	}
	o, known := lastGood(sc, w, onset{bad: current})
	if !known || len(differ(o.good, current)) == 0 || !sc.ranAny(w, current.number) {
		f.Remedies = []v1alpha1.Remedy{toPerson(f.Message)}
		return f
	}
	unwell := sc.unwell(w, current.number)
	if why := sc.whyNotUndoStuck(w, o, unwell); why != "" {
		if c, complains := sc.complaint(unwell); complains {
			f.Message += fmt.Sprintf("; they can't use %s: %s", c.Name(), c.Line)
		}
		f.Message += fmt.Sprintf("; revision %d is not gone back from: %s", current.number, why)
		f.Remedies = []v1alpha1.Remedy{toPerson(f.Message)}
		return f
	}
	f.Confidence = percent(60 + o.weight - 10*sc.details())
	f.Message += fmt.Sprintf("; revision %d %s", o.good.number, o.proof)
	f.Remedies = []v1alpha1.Remedy{undo(o.good)}
	return f
}

// whyNotUndoStuck says why a release whose rollout is stuck is not to blame for that; empty:
// it may well be.
func (sc *scene) whyNotUndoStuck(w *workload, o onset, unwell []failure) string {
	if why := sc.whyNotUndo(w, o, unwell); why != "" {
		return why
	}
	began := sc.began(w, o, revisionsOf(unwell))
	if began.IsZero() || follows(began, o, w) {
		return ""
	}
	return fmt.Sprintf("its pods began to fail %s, and it was rolled out %s", when(began), when(o.bad.came))
}

// unwell returns the containers of a revision that are not ready, whether they crashed or
// run all the time.
func (sc *scene) unwell(w *workload, number int64) []failure {
	var all []failure
	for _, p := range w.pods {
		if w.revisionOf[p] != number || vitals.Ready(p) {
			continue
		}
		for i := range p.Status.ContainerStatuses {
			if c := &p.Status.ContainerStatuses[i]; !c.Ready {
				all = append(all, failure{pod: p, container: c.Name, revision: number, last: c.LastTerminationState.Terminated})
			}
		}
	}
	return all
}

// ranAny reports whether a program of a revision ran, or could not for its own
// fault: else it is a node, a volume or a registry that holds it up, and going back
// would cure none of them.
func (sc *scene) ranAny(w *workload, number int64) bool {
	for _, p := range w.pods {
		if w.revisionOf[p] != number {
			continue
		}
		for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
			waits := c.State.Waiting
			if c.State.Running != nil || c.State.Terminated != nil || c.LastTerminationState.Terminated != nil || waits != nil && ownFault[waits.Reason] {
				return true
			}
		}
	}
	return false
}

// ownFault are the reasons for which a container waits that lie in its own template.
var ownFault = map[string]bool{
	"CrashLoopBackOff": true, "RunContainerError": true, "CreateContainerError": true, "CreateContainerConfigError": true,
	"InvalidImageName": true, "ErrImageNeverPull": true,
}

// underWay reports whether a rollout goes on and has time left.
func underWay(w *workload) bool {
	d := w.deployment
	if d == nil || d.Spec.Paused || d.Spec.ProgressDeadlineSeconds == nil {
		return false
	}
	progressing := condition(d, appsv1.DeploymentProgressing)
	return d.Status.ObservedGeneration < d.Generation ||
		progressing.Status == corev1.ConditionTrue && progressing.Reason != "NewReplicaSetAvailable"
}

func condition(d *appsv1.Deployment, kind appsv1.DeploymentConditionType) appsv1.DeploymentCondition {
	for _, c := range d.Status.Conditions {
		if c.Type == kind {
			return c
		}
	}
	return appsv1.DeploymentCondition{}
}

func deadlineOf(d *appsv1.Deployment) string {
	if d.Spec.ProgressDeadlineSeconds == nil {
		return "its deadline"
	}
	return fmt.Sprintf("its deadline of %ds", *d.Spec.ProgressDeadlineSeconds)
}

func wanted(d *appsv1.Deployment) int32 {
	if d.Spec.Replicas == nil {
		return 1
	}
	return *d.Spec.Replicas
}

// hindrance says what the pods of a workload wait for, each reason once.
func hindrance(w *workload) string {
	var reasons []string
	for _, p := range w.pods {
		for _, reason := range waitsFor(p) {
			if !slices.Contains(reasons, reason) {
				reasons = append(reasons, reason)
			}
		}
	}
	if len(reasons) == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s)", join(reasons))
}

// waitsFor names the reasons that the kubelet and the scheduler give.
func waitsFor(p *corev1.Pod) []string {
	var reasons []string
	for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		if c.State.Waiting != nil && c.State.Waiting.Reason != "" && c.State.Waiting.Reason != "PodInitializing" {
			reasons = append(reasons, c.State.Waiting.Reason)
		}
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			reasons = append(reasons, c.Reason)
		}
	}
	return reasons
}
