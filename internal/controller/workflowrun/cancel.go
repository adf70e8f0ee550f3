package workflowrun

import (
	"context"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/clearance"
	"github.com/kubernaut/kubernaut/internal/gate"
	"github.com/kubernaut/kubernaut/internal/lease"
	"github.com/kubernaut/kubernaut/internal/phase"
	"github.com/kubernaut/kubernaut/internal/policy"
)

// cancel ensures that a cancelled run begins nothing new, and that what it did
// is taken back, last operation first, by the undos recorded before they were
// done. The first that can't be taken back ends it: what came before it may
// rest on it.
func (r *Reconciler) cancel(ctx context.Context, p *pass) (phase.Outcome, error) {
	if !p.Obj.Spec.Cancelled {
		return phase.Continue, nil
	}
	if !begun(p.Obj) {
		end(p.Obj, r.Clock.Now(), verdict(v1alpha1.ReasonCancelled, "cancelled before anything was done"))
		return phase.Finish(), nil
	}
	for {
		t, left := nextUndo(p.Obj.Status.Steps)
		if !left {
			return r.cancelled(p, nil)
		}
		out, err := r.takeBack(ctx, p, t)
		var refused *policy.RefusedError
		switch {
		case errors.As(err, &refused) && refused.Kind == policy.Waits:
			hold(p.Obj, refused.Refusal.Refusal)
			return r.later(p.Obj), nil
		case errors.As(err, &refused):
			return r.cancelled(p, &refused.Refusal.Refusal)
		case err != nil || out != phase.Continue:
			return out, err
		}
	}
}

// takeBack undoes one operation, after a look at what is there.
func (r *Reconciler) takeBack(ctx context.Context, p *pass, t task) (phase.Outcome, error) {
	op := operation(p.Obj, t)
	if op.State == v1alpha1.OperationClaimed {
		return phase.Continue, r.settleClaim(ctx, op)
	}
	if op.Undo == nil && regrown(p.Obj.Status.Steps, op.Operation) {
		op.State = v1alpha1.OperationUndone
		return phase.Continue, nil
	}
	if op.Undo == nil {
		return phase.Continue, ends(v1alpha1.ReasonCannotUndo, "the %s of %s in step %s can't be undone", op.Verb, op.Object, p.Obj.Status.Steps[t.step].Name)
	}
	undo := *op.Undo
	seen, err := gate.Look(ctx, r.Live, undo)
	switch {
	case err != nil:
		return phase.Continue, err
	case seen.State == gate.SeenApplied:
		op.State = v1alpha1.OperationUndone
		return phase.Continue, nil
	case seen.State == gate.SeenOther:
		return phase.Continue, ends(v1alpha1.ReasonChangedMeanwhile, "%s", seen.Says)
	}
	if err := r.clearUndo(ctx, p.Obj); err != nil {
		return phase.Continue, err
	}
	if err := r.keepLeases(ctx, p.Obj); err != nil {
		return phase.Continue, err
	}
	return phase.Continue, r.undo(ctx, p, t, undo)
}

// settleClaim finds out by looking whether a claimed operation was done.
func (r *Reconciler) settleClaim(ctx context.Context, op *v1alpha1.OperationStatus) error {
	seen, err := gate.Look(ctx, r.Live, op.Operation)
	switch {
	case err != nil:
		return err
	case seen.State == gate.SeenApplied:
		op.State, op.AppliedAt = v1alpha1.OperationApplied, metav1.NewMicroTime(r.Clock.Now())
	case seen.State == gate.SeenBefore:
		op.State = v1alpha1.OperationRefused
	case seen.State == gate.SeenUnneeded: // the pod that was to be evicted is still there, and ready
		op.State = v1alpha1.OperationSkipped
	default:
		return ends(v1alpha1.ReasonChangedMeanwhile, "%s", seen.Says)
	}
	return nil
}

// clearUndo asks the gates that an undo passes.
func (r *Reconciler) clearUndo(ctx context.Context, run *v1alpha1.WorkflowRun) error {
	c := clearance.Case{Run: run, Undo: true, Steps: cased(r.undoSteps(run))}
	var err error
	if c.Remediation, err = lease.Owner(ctx, r.Live, run); err != nil {
		return err
	}
	judgement, err := r.Desk.Judge(ctx, c)
	if err != nil {
		return fmt.Errorf("asking the gates: %w", err)
	}
	if refused, no := judgement.Decisive(); no {
		return &policy.RefusedError{Refusal: refused}
	}
	return nil
}

// undo claims the operation anew, so that a stale reader stops here, and takes it back.
func (r *Reconciler) undo(ctx context.Context, p *pass, t task, undo v1alpha1.Operation) error {
	tenant, err := r.Gate.Open(p.Obj.Namespace)
	if err != nil {
		return err
	}
	op := operation(p.Obj, t)
	op.ClaimedAt = after(r.Clock.Now(), op.ClaimedAt)
	set(p.Obj, v1alpha1.RolledBack, metav1.ConditionUnknown, verdict(v1alpha1.ReasonRunning, ""))
	if err := p.Save(ctx); err != nil {
		return err
	}
	err = tenant.Apply(ctx, undo)
	if no, ok := answer(err); ok {
		return &policy.RefusedError{Refusal: policy.Refusal{Refusal: no, Kind: policy.Ends}}
	}
	if err == nil {
		operation(p.Obj, t).State = v1alpha1.OperationUndone
	}
	return err
}

// cancelled ends the run: taken back as a whole, or as far as it could be.
func (r *Reconciler) cancelled(p *pass, stuck *v1alpha1.Refusal) (phase.Outcome, error) {
	run, undone := p.Obj, count(p.Obj, v1alpha1.OperationUndone)
	message := "cancelled; nothing had been changed"
	switch {
	case stuck != nil:
		message = "cancelled; not everything could be taken back: " + stuck.Message
		set(run, v1alpha1.RolledBack, metav1.ConditionFalse, *stuck)
	case undone > 0:
		message = fmt.Sprintf("cancelled; %d operations were taken back, as %s", undone, run.Status.Actor)
		set(run, v1alpha1.RolledBack, metav1.ConditionTrue, verdict(v1alpha1.ReasonRolledBack, "%s", message))
	}
	for i := range run.Status.Steps {
		closeStep(&run.Status.Steps[i], metav1.NewMicroTime(r.Clock.Now()))
	}
	end(run, r.Clock.Now(), verdict(v1alpha1.ReasonCancelled, "%s", message))
	return phase.Finish(), nil
}

// closeStep says how a step of a cancelled run ended, by its operations.
func closeStep(step *v1alpha1.StepStatus, now metav1.MicroTime) {
	states := map[v1alpha1.OperationState]bool{}
	for _, op := range step.Operations {
		states[op.State] = true
	}
	switch inPlace := states[v1alpha1.OperationApplied] || states[v1alpha1.OperationClaimed]; {
	case inPlace && step.State == v1alpha1.StepRunning:
		step.State, step.FinishedAt = v1alpha1.StepFailed, now
	case !inPlace && states[v1alpha1.OperationUndone]:
		step.State, step.FinishedAt = v1alpha1.StepRolledBack, now
	case !inPlace && step.State == v1alpha1.StepRunning:
		step.State = v1alpha1.StepSkipped
	}
}
