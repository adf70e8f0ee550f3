package workflowrun

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// Reasons of events that are no reasons of conditions.
const (
	eventApplied = "OperationApplied"
	eventSkipped = "OperationSkipped"
	eventUndone  = "OperationUndone"
	eventRefused = "Refused"
	eventFailed  = "Failed"
)

// announce tells what the pass did and how the run ended. It is called only
// when the status was saved.
func (r *Reconciler) announce(p *pass) {
	for _, op := range news(p.Before(), p.Obj) {
		r.metrics.operations.WithLabelValues(string(op.Verb), string(op.State)).Inc()
		switch op.State {
		case v1alpha1.OperationApplied:
			r.Events.Eventf(p.Obj, nil, corev1.EventTypeNormal, eventApplied, "Operate", "%s of %s, as %s", op.Verb, op.Object, p.Obj.Status.Actor)
		case v1alpha1.OperationSkipped:
			r.Events.Eventf(p.Obj, nil, corev1.EventTypeNormal, eventSkipped, "Operate", "%s of %s was not needed: the pod is ready, gone or replaced", op.Verb, op.Object)
		case v1alpha1.OperationUndone:
			r.Events.Eventf(p.Obj, nil, corev1.EventTypeNormal, eventUndone, "Undo", "%s of %s was taken back, as %s", op.Verb, op.Object, p.Obj.Status.Actor)
		case v1alpha1.OperationClaimed, v1alpha1.OperationRefused:
			// A claim is no news; a refusal is the end of the run, which is told below.
		}
	}
	before, after := root(p.Before()), root(p.Obj)
	if before.Status == after.Status && before.Reason == after.Reason {
		return
	}
	if p.Obj.Finished() {
		r.metrics.ended.WithLabelValues(string(after.Status), after.Reason).Inc()
	}
	if kind, reason := headline(p.Obj); reason != "" {
		r.Events.Eventf(p.Obj, nil, kind, reason, "Run", "%s: %s", after.Reason, after.Message)
	}
}

// news returns the operations whose state the pass changed.
func news(before, after *v1alpha1.WorkflowRun) []v1alpha1.OperationStatus {
	was := map[task]v1alpha1.OperationState{}
	for i, step := range before.Status.Steps {
		for j, op := range step.Operations {
			was[task{step: i, op: j}] = op.State
		}
	}
	var changed []v1alpha1.OperationStatus
	for i, step := range after.Status.Steps {
		for j, op := range step.Operations {
			if op.State != "" && op.State != was[task{step: i, op: j}] {
				changed = append(changed, op)
			}
		}
	}
	return changed
}

// headline says what event the state of a run is worth; no reason: none.
func headline(run *v1alpha1.WorkflowRun) (kind, reason string) {
	switch c := root(run); {
	case c.Status == metav1.ConditionTrue && run.Spec.Undoes != "":
		return corev1.EventTypeNormal, v1alpha1.ReasonRolledBack
	case c.Status == metav1.ConditionTrue:
		return corev1.EventTypeNormal, v1alpha1.ReasonCompleted
	case c.Status == metav1.ConditionUnknown && c.Reason == v1alpha1.ReasonRunning:
		return "", ""
	case c.Status == metav1.ConditionUnknown:
		return corev1.EventTypeNormal, c.Reason
	case c.Reason == v1alpha1.ReasonCancelled && meta.IsStatusConditionTrue(run.Status.Conditions, v1alpha1.RolledBack):
		return corev1.EventTypeNormal, v1alpha1.ReasonRolledBack
	case c.Reason == v1alpha1.ReasonCancelled:
		return corev1.EventTypeWarning, v1alpha1.ReasonCancelled
	case count(run, v1alpha1.OperationApplied)+count(run, v1alpha1.OperationClaimed) == 0:
		return corev1.EventTypeWarning, eventRefused
	}
	return corev1.EventTypeWarning, eventFailed
}

// root is the condition Succeeded, empty where there is none yet.
func root(run *v1alpha1.WorkflowRun) metav1.Condition {
	if c := meta.FindStatusCondition(run.Status.Conditions, v1alpha1.Succeeded); c != nil {
		return *c
	}
	return metav1.Condition{Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonRunning}
}
