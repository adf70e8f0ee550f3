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
		var stands standing
		if stands, says, err = r.stands(ctx, before[i]); stands == due {
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

// standing is how it stands with an eviction whose turn came.
type standing string

const (
	// ready: the pod of that name is ready, be it the one that was there or its successor.
	ready standing = "ready"
	// awaited: it is not, but may become ready.
	awaited standing = "awaited"
	// due: it was skipped and has not been ready for some time: its turn comes again.
	due standing = "due"
)

// stands reads how it stands with an eviction, and says what is awaited.
func (r *Reconciler) stands(ctx context.Context, op v1alpha1.OperationStatus) (standing, string, error) {
	pod := &corev1.Pod{}
	err := r.Live.Get(ctx, op.Object.NamespacedName(), pod)
	switch {
	case apierrors.IsNotFound(err):
		pod = nil
	case err != nil:
		return awaited, "", fmt.Errorf("reading whether %s is ready: %w", op.Object, err)
	}
	stands, says := judgeStanding(op, pod, r.Clock.Now())
	return stands, says, nil
}

// judgeStanding is the table of stands; no pod: none of that name exists. It is pure.
func judgeStanding(op v1alpha1.OperationStatus, pod *corev1.Pod, now time.Time) (standing, string) {
	switch {
	case pod == nil:
		return awaited, fmt.Sprintf("%s was removed and its successor does not exist yet", op.Object)
	case pod.DeletionTimestamp != nil:
		return awaited, fmt.Sprintf("%s is being deleted since %s%s", op.Object, pod.DeletionTimestamp.UTC().Format(time.RFC3339), onNode(pod))
	case gate.PodReady(pod):
		return ready, ""
	case pod.UID != op.Precondition.UID:
		return awaited, fmt.Sprintf("the successor of %s is not ready yet%s", op.Object, onNode(pod))
	case op.State == v1alpha1.OperationSkipped && !now.Before(unreadySince(pod).Add(unreadyAgain)):
		return due, ""
	}
	return awaited, fmt.Sprintf("%s is not ready any more%s", op.Object, onNode(pod))
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
		if stands, _, err := r.stands(ctx, ops[i]); err == nil && stands == due {
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
	return r.refused(p, t, verdict(v1alpha1.ReasonStepFailed,
		"the run's time of %s was over before %s was evicted: %s. What the run changed before stays in place. "+
			"See to what holds the eviction back, then delete the pod if it is still not ready: kubectl -n %s delete pod %s",
		timeout(p.Obj), pod, shorten(says, maxMessage/2), pod.Namespace, pod.Name))
}
