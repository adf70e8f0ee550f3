package workflowrun

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/gate"
	"github.com/kubernaut/kubernaut/internal/phase"
)

// unreadyAgain is how long a pod that was ready at its turn must not have been
// ready before its turn comes again. A pod that crashes in a loop is ready for a
// moment at each start; one that serves may miss a probe.
const unreadyAgain = 30 * time.Second

// awaitTurn keeps an eviction that depends on readiness back until its turn comes:
// the controller has seen the change before it, and every pod listed before it is
// ready, itself or its successor. It reports true while it is kept back. Where a pod
// listed before it has lost its readiness, that one's turn comes first.
func (r *Reconciler) awaitTurn(ctx context.Context, p *pass, t task, todo move) (phase.Outcome, bool, error) {
	before := p.Obj.Status.Steps[t.step].Operations[:t.op]
	says, err := r.unobserved(ctx, before)
	for i := 0; i < len(before) && says == "" && err == nil; i++ {
		if !before[i].Precondition.Unready {
			continue
		}
		var state readiness
		if state, says, err = r.readiness(ctx, before[i]); state == podDue {
			before[i].State = ""
			return phase.Continue, true, nil
		}
	}
	switch {
	case err != nil:
		out, err := r.unlooked(p, t, err)
		return out, true, err
	case says == "", todo == skipIt && expired(p.Obj, r.Clock.Now()):
		return phase.Continue, false, nil
	case expired(p.Obj, r.Clock.Now()):
		out, err := r.notEvicted(p, t, says)
		return out, true, err
	}
	p.Obj.Status.Steps[t.step].Message = cut("waiting: " + says)
	return phase.Wait(settleRetry), true, nil
}

// unobserved says which changed object's controller has not seen the change yet, or
// nothing: a pod that is removed before may be made again from the old template.
func (r *Reconciler) unobserved(ctx context.Context, ops []v1alpha1.OperationStatus) (string, error) {
	for _, op := range ops {
		if op.Verb != v1alpha1.VerbPatch {
			continue
		}
		obj := &unstructured.Unstructured{}
		obj.SetGroupVersionKind(op.Object.GroupVersionKind())
		err := r.Live.Get(ctx, op.Object.NamespacedName(), obj)
		if apierrors.IsNotFound(err) {
			continue // then there is no controller to wait for; settling says that it is gone
		}
		if err != nil {
			return "", fmt.Errorf("reading whether the change of %s was observed: %w", op.Object, err)
		}
		observed, found, err := unstructured.NestedInt64(obj.Object, "status", "observedGeneration")
		if err == nil && found && observed < obj.GetGeneration() {
			return fmt.Sprintf("the controller of %s has not seen the change yet", op.Object), nil
		}
	}
	return "", nil
}

// readiness is what has become of a pod that is listed for eviction, once its turn came.
type readiness string

const (
	// podReady: the pod of that name is ready, be it the one that was there or its successor.
	podReady readiness = "ready"
	// podAwaited: it is not, but may become ready.
	podAwaited readiness = "awaited"
	// podDue: it was skipped and has not been ready for some time: its turn comes again.
	podDue readiness = "due"
)

// readiness reads what has become of a listed pod, and says what is awaited.
func (r *Reconciler) readiness(ctx context.Context, op v1alpha1.OperationStatus) (readiness, string, error) {
	pod, err := r.podOf(ctx, op)
	if err != nil {
		return podAwaited, "", err
	}
	state, says := judgeReadiness(op, pod, r.Clock.Now())
	return state, says, nil
}

// podOf reads the pod of an operation; nil when none of that name exists.
func (r *Reconciler) podOf(ctx context.Context, op v1alpha1.OperationStatus) (*corev1.Pod, error) {
	pod := &corev1.Pod{}
	err := r.Live.Get(ctx, op.Object.NamespacedName(), pod)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading whether %s is ready: %w", op.Object, err)
	}
	return pod, nil
}

// judgeReadiness is the table of readiness; no pod: none of that name exists. It is pure.
func judgeReadiness(op v1alpha1.OperationStatus, pod *corev1.Pod, now time.Time) (readiness, string) {
	switch {
	case pod == nil:
		return podAwaited, fmt.Sprintf("%s was removed and its successor does not exist yet", op.Object)
	case pod.DeletionTimestamp != nil:
		return podAwaited, fmt.Sprintf("%s is being deleted since %s%s", op.Object, pod.DeletionTimestamp.UTC().Format(time.RFC3339), onNode(pod))
	case gate.PodReady(pod):
		return podReady, ""
	case pod.UID != op.Precondition.UID:
		return podAwaited, fmt.Sprintf("the successor of %s is not ready yet%s", op.Object, onNode(pod))
	case op.State == v1alpha1.OperationSkipped && !now.Before(unreadySince(pod).Add(unreadyAgain)):
		return podDue, ""
	}
	return podAwaited, fmt.Sprintf("%s is not ready any more%s", op.Object, onNode(pod))
}

func onNode(pod *corev1.Pod) string {
	if pod.Spec.NodeName == "" {
		return ", on no node"
	}
	return ", on Node/" + pod.Spec.NodeName
}

// unreadySince is when a pod that is not ready ceased to be; one without the
// condition never was.
func unreadySince(pod *corev1.Pod) time.Time {
	at := slices.IndexFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodReady })
	if at < 0 {
		return pod.CreationTimestamp.Time
	}
	return pod.Status.Conditions[at].LastTransitionTime.Time
}

// reopened reports whether a pod that was ready at its turn has not been ready for
// some time, while the step has not settled; then its turn comes again. What can't
// be read is read at the next pass.
func (r *Reconciler) reopened(ctx context.Context, p *pass, t task) bool {
	ops := p.Obj.Status.Steps[t.step].Operations
	for i := range ops {
		if ops[i].State != v1alpha1.OperationSkipped {
			continue
		}
		if state, _, err := r.readiness(ctx, ops[i]); err == nil && state == podDue {
			ops[i].State = ""
			return true
		}
	}
	return false
}

// notEvicted ends a run whose time is over before the turn of an eviction, or while
// a PodDisruptionBudget holds it back. What was changed before stays in place.
func (r *Reconciler) notEvicted(p *pass, t task, says string) (phase.Outcome, error) {
	pod := operation(p.Obj, t).Object
	if says = strings.TrimPrefix(says, "waiting: "); says == "" {
		says = "the run was held back"
	}
	return r.refused(p, t, verdict(v1alpha1.ReasonPodsLeft,
		"the run's time of %s was over before %s was evicted: %s. What the run changed before stays in place. "+
			"See to what holds the eviction back, then delete the pod if it is still not ready: kubectl -n %s delete pod %s",
		timeout(p.Obj), pod, shorten(says, maxMessage/2), pod.Namespace, pod.Name))
}

// unsettled says why a step has not settled in time: a pod that was evicted and does
// not go, of a lost node for example, is the reason where there is one.
func (r *Reconciler) unsettled(ctx context.Context, run *v1alpha1.WorkflowRun, step v1alpha1.StepStatus, says string) v1alpha1.Refusal {
	for _, op := range step.Operations {
		if !op.Precondition.Unready || op.State != v1alpha1.OperationApplied {
			continue
		}
		pod, err := r.podOf(ctx, op)
		if err == nil && pod != nil && pod.UID == op.Precondition.UID {
			return verdict(v1alpha1.ReasonPodsLeft,
				"%s was evicted, and after %s it is still there%s. What the run changed before stays in place. See to the node and to the pod's finalizers: kubectl -n %s describe pod %s",
				op.Object, timeout(run), onNode(pod), op.Object.Namespace, op.Object.Name)
		}
	}
	return verdict(v1alpha1.ReasonStepFailed, "the effect had not arrived after %s: %s", timeout(run), says)
}
