package workflowrun

import (
	"context"
	"fmt"
	"slices"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/phase"
)

// finish ensures that a run whose steps have all ended is completed, and that
// the run it took back knows.
func (r *Reconciler) finish(ctx context.Context, p *pass) (phase.Outcome, error) {
	done := fmt.Sprintf("operations in place: %d, done as %s", count(p.Obj, v1alpha1.OperationApplied), p.Obj.Status.Actor)
	if n := count(p.Obj, v1alpha1.OperationSkipped); n > 0 {
		done += fmt.Sprintf("; skipped: %d", n)
	}
	if p.Obj.Spec.Undoes != "" {
		if err := r.markUndone(ctx, p.Obj); err != nil {
			return phase.Continue, err
		}
		done = "took back run " + p.Obj.Spec.Undoes + ", as " + p.Obj.Status.Actor
		if !anyClaimed(p.Obj) {
			done = "what run " + p.Obj.Spec.Undoes + " changed was taken back already; nothing was done"
		}
	}
	end(p.Obj, r.Clock.Now(), verdict(v1alpha1.ReasonCompleted, "%s", done))
	return phase.Finish(), nil
}

// anyClaimed reports whether a run did an operation itself. What it found in place it did not claim.
func anyClaimed(run *v1alpha1.WorkflowRun) bool {
	return slices.ContainsFunc(run.Status.Steps, func(step v1alpha1.StepStatus) bool {
		return slices.ContainsFunc(step.Operations, func(op v1alpha1.OperationStatus) bool { return !op.ClaimedAt.IsZero() })
	})
}

// count counts the operations of a run in a state.
func count(run *v1alpha1.WorkflowRun, state v1alpha1.OperationState) int {
	n := 0
	for _, step := range run.Status.Steps {
		for _, op := range step.Operations {
			if op.State == state {
				n++
			}
		}
	}
	return n
}
