package alertremediation

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/phase"
	"github.com/kubernaut/kubernaut/internal/plan"
)

// rollBack ensures that a change that did not help, or contained a fault that is
// over, is taken back, in a run of its own.
func (r *Reconciler) rollBack(ctx context.Context, p *pass) (phase.Outcome, error) {
	run, err := r.forward(ctx, p.Obj)
	if errors.Is(err, errRunDeleted) {
		return bereft(p.Obj)
	}
	if err != nil {
		return phase.Continue, err
	}
	undo, err := r.ensureUndo(ctx, p, run)
	if no, refused := unmade(err); refused {
		return r.withoutUndo(p, no, r.whyBack(p.Obj))
	}
	if undo == nil || err != nil {
		return phase.Finish(), err
	}
	return r.undone(p.Obj, run, undo)
}

// ensureUndo makes the run that takes another back, under a number of its own, or
// finds the one that was made before.
func (r *Reconciler) ensureUndo(ctx context.Context, p *pass, undone *v1alpha1.WorkflowRun) (*v1alpha1.WorkflowRun, error) {
	if p.Obj.Status.RunRef == undone.Name {
		if err := r.current(ctx, p.Obj); err != nil {
			return nil, err
		}
		n, err := r.nextRun(ctx, p.Obj)
		if err != nil {
			return nil, err
		}
		p.Obj.Status.Runs, p.Obj.Status.RunRef = n, plan.RunName(p.Obj.Name, n)
		if err := r.save(ctx, p); err != nil {
			return nil, err
		}
	}
	return r.ensureRun(ctx, p, plan.UndoRun(p.Obj, p.Obj.Status.Runs, undone))
}

// undone takes over how far an undo has come, and ends the remediation once it has ended. No
// message says that a change was taken back before it was: until then it is still in place.
func (r *Reconciler) undone(ar *v1alpha1.AlertRemediation, run, undo *v1alpha1.WorkflowRun) (phase.Outcome, error) {
	back, root := r.whyBack(ar), meta.FindStatusCondition(undo.Status.Conditions, v1alpha1.Succeeded)
	change := fmt.Sprintf("the change of WorkflowRun %s %s", run.Name, back.why)
	var says string
	var outcome v1alpha1.Outcome
	switch {
	case undo.Finished() && root.Status == metav1.ConditionTrue:
		says, outcome = fmt.Sprintf("%s; WorkflowRun %s: %s", change, undo.Name, root.Message), back.done
	case undo.Finished() && len(applied(undo)) > 0:
		says, outcome = fmt.Sprintf("%s and was taken back in part only: %s", change, root.Message), back.stuck
	case undo.Finished():
		says, outcome = fmt.Sprintf("%s and could not be taken back: %s", change, root.Message), back.stuck
	case root != nil && root.Reason != v1alpha1.ReasonRunning:
		says = fmt.Sprintf("%s and is still in place: WorkflowRun %s is to take it back, and waits (%s): %s", change, undo.Name, root.Reason, root.Message)
	case undo.Status.StartedAt.IsZero():
		says = fmt.Sprintf("%s and is still in place: WorkflowRun %s is to take it back", change, undo.Name)
	default:
		says = fmt.Sprintf("%s: WorkflowRun %s is taking it back", change, undo.Name)
	}
	set(ar, v1alpha1.Verified, back.verified, back.reason, says)
	if outcome == "" {
		return phase.Finish(), nil // the undo's changes wake us
	}
	return finish(ar, outcome, "%s", says)
}

// backing is why a change is taken back, what the verification says of the target, and what
// it comes to where the change is taken back and where it can't be.
type backing struct {
	why, reason string
	verified    metav1.ConditionStatus
	done, stuck v1alpha1.Outcome
}

func (r *Reconciler) whyBack(ar *v1alpha1.AlertRemediation) backing {
	if r.contains(ar) {
		return backing{why: "contained a fault that is over", reason: v1alpha1.ReasonHealthy, verified: metav1.ConditionTrue,
			done: v1alpha1.OutcomeResolvedItself, stuck: v1alpha1.OutcomeEscalated}
	}
	return backing{why: "did not help", reason: v1alpha1.ReasonUnhealthy, verified: metav1.ConditionFalse,
		done: v1alpha1.OutcomeRolledBack, stuck: v1alpha1.OutcomeFailed}
}
