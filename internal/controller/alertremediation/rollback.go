package alertremediation

import (
	"context"
	"errors"

	"k8s.io/apimachinery/pkg/api/meta"

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
	if undo == nil || err != nil || !undo.Finished() {
		return phase.Finish(), err // the run's changes wake us
	}
	back := r.whyBack(p.Obj)
	if meta.IsStatusConditionTrue(undo.Status.Conditions, v1alpha1.Succeeded) {
		return finish(p.Obj, back.done, "%s %s and was taken back by WorkflowRun %s", run.Name, back.why, undo.Name)
	}
	ended := meta.FindStatusCondition(undo.Status.Conditions, v1alpha1.Succeeded)
	return finish(p.Obj, back.stuck, "%s %s and could not be taken back: %s", run.Name, back.why, ended.Message)
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

// backing is why a change is taken back, and what that comes to where it is done
// and where it can't be.
type backing struct {
	why         string
	done, stuck v1alpha1.Outcome
}

func (r *Reconciler) whyBack(ar *v1alpha1.AlertRemediation) backing {
	if r.contains(ar) {
		return backing{why: "contained a fault that is over", done: v1alpha1.OutcomeResolvedItself, stuck: v1alpha1.OutcomeEscalated}
	}
	return backing{why: "did not help", done: v1alpha1.OutcomeRolledBack, stuck: v1alpha1.OutcomeFailed}
}
