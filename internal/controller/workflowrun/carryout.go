package workflowrun

import (
	"context"
	"errors"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/gate"
	"github.com/kubernaut/kubernaut/internal/phase"
	"github.com/kubernaut/kubernaut/internal/policy"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// carryOut ensures that every recorded operation is in place, in order, each
// claimed before it was done, and that the effect of each step has arrived
// before the next begins.
func (r *Reconciler) carryOut(ctx context.Context, p *pass) (phase.Outcome, error) {
	running(p.Obj)
	for {
		var out phase.Outcome
		var err error
		switch t := next(p.Obj.Status.Steps); t.do {
		case nothing:
			return phase.Continue, nil
		case act:
			out, err = r.operate(ctx, p, t)
		case settle:
			out, err = r.settle(ctx, p, t)
		}
		if out != phase.Continue || err != nil {
			return out, err
		}
	}
}

// operate looks at an operation's object, live, and then does the operation, or
// records that it is in place, or stops because somebody else was here.
func (r *Reconciler) operate(ctx context.Context, p *pass, t task) (phase.Outcome, error) {
	op := operation(p.Obj, t)
	seen, err := gate.Look(ctx, r.Live, op.Operation)
	if err != nil {
		return r.unlooked(p, t, err)
	}
	todo := decide(op.State, seen.State, p.Obj.Spec.Undoes != "" || action.Regrows(op.Operation))
	if op.Precondition.Unready && todo != recordIt {
		if out, waits, err := r.awaitTurn(ctx, p, t, todo); waits {
			return out, err
		}
	}
	switch todo {
	case recordIt:
		r.seenInPlace(p.Obj, t)
		return phase.Continue, nil
	case skipIt:
		skipped(p.Obj, t, r.Clock.Now())
		return phase.Continue, nil
	case stopIt:
		return r.failed(p, t, verdict(v1alpha1.ReasonChangedMeanwhile, "%s", seen.Says))
	case claimIt:
	}
	return r.perform(ctx, p, t)
}

// seenInPlace records an operation that was seen to be in place. A pod that was gone
// before its eviction was claimed was removed by another client.
func (r *Reconciler) seenInPlace(run *v1alpha1.WorkflowRun, t task) {
	if op := operation(run, t); op.Precondition.Unready && op.State != v1alpha1.OperationClaimed {
		skipped(run, t, r.Clock.Now())
		return
	}
	applied(run, t, r.Clock.Now())
}

// unlooked gives up on an object that could not be looked at for the whole
// time-out. Whether a claimed operation is in place stays open, and its state says so.
func (r *Reconciler) unlooked(p *pass, t task, err error) (phase.Outcome, error) {
	if !expired(p.Obj, r.Clock.Now()) {
		return phase.Continue, err
	}
	return r.failed(p, t, verdict(v1alpha1.ReasonStepFailed, "the object could not be read for %s: %v", timeout(p.Obj), err))
}

// perform does an operation that is not in place: asks the gates once more,
// claims it, and acts in the same pass.
func (r *Reconciler) perform(ctx context.Context, p *pass, t task) (phase.Outcome, error) {
	if expired(p.Obj, r.Clock.Now()) {
		return r.outOfTime(p, t)
	}
	if err := r.held(ctx, p.Obj); err != nil {
		return r.heldBack(p, t, err)
	}
	tenant, err := r.Gate.Open(p.Obj.Namespace)
	if err != nil {
		return phase.Continue, err
	}
	again := operation(p.Obj, t).State == v1alpha1.OperationClaimed
	claim(p.Obj, t, r.Clock.Now())
	conditional := evictionsIfUnready(p.Obj)
	if err := p.Save(ctx); err != nil {
		return phase.Continue, err // a stale reader stops here, with nothing done
	}
	// A CustomResourceDefinition of an older version drops the field, and pods that are
	// ready would be evicted.
	if evictionsIfUnready(p.Obj) != conditional {
		return r.refused(p, t, verdict(v1alpha1.ReasonStepFailed,
			"the API server did not keep the field precondition.unready of the run's evictions, so pods that are ready would be evicted; "+
				"apply the CustomResourceDefinitions of this version"))
	}
	err = tenant.Apply(ctx, operation(p.Obj, t).Operation)
	// What was sent before a crash may arrive after we had looked, and a pod that
	// is gone is gone, whoever was faster.
	again = again || action.Regrows(operation(p.Obj, t).Operation)
	if again && errors.Is(err, gate.ErrPrecondition) && r.inPlace(ctx, operation(p.Obj, t).Operation) {
		err = nil
	}
	return r.answered(p, t, err)
}

// outOfTime ends a run whose time is over before an operation was done.
func (r *Reconciler) outOfTime(p *pass, t task) (phase.Outcome, error) {
	if operation(p.Obj, t).Precondition.Unready {
		return r.notEvicted(p, t, p.Obj.Status.Steps[t.step].Message)
	}
	return r.refused(p, t, verdict(v1alpha1.ReasonStepFailed, "the run's time of %s was over before it was done", timeout(p.Obj)))
}

// evictionsIfUnready counts the operations that evict a pod only if it is not ready.
func evictionsIfUnready(run *v1alpha1.WorkflowRun) int {
	n := 0
	for _, step := range run.Status.Steps {
		for _, op := range step.Operations {
			if op.Precondition.Unready {
				n++
			}
		}
	}
	return n
}

// inPlace reports whether an operation is seen to be in place.
func (r *Reconciler) inPlace(ctx context.Context, op v1alpha1.Operation) bool {
	seen, err := gate.Look(ctx, r.Live, op)
	return err == nil && seen.State == gate.SeenApplied
}

// heldBack waits where a gate says so; nothing was done.
func (r *Reconciler) heldBack(p *pass, t task, err error) (phase.Outcome, error) {
	var refused *policy.RefusedError
	switch {
	case !errors.As(err, &refused):
		return phase.Continue, err
	case refused.Kind == policy.Waits:
		hold(p.Obj, refused.Refusal.Refusal)
		return r.later(p.Obj), nil
	}
	return r.refused(p, t, refused.Refusal.Refusal)
}

// answered records what the API server said to an operation. What is no answer
// leaves the claim standing: the next pass looks.
func (r *Reconciler) answered(p *pass, t task, err error) (phase.Outcome, error) {
	if err == nil {
		applied(p.Obj, t, r.Clock.Now())
		return phase.Continue, nil
	}
	if no, ok := answer(err); ok {
		return r.refused(p, t, no)
	}
	if operation(p.Obj, t).Verb == v1alpha1.VerbEvict {
		p.Obj.Status.Steps[t.step].Message = cut("waiting: " + withBudgets(err))
		if apierrors.IsTooManyRequests(err) { // a PodDisruptionBudget has nothing to spare
			return r.later(p.Obj), nil
		}
	}
	return phase.Continue, err
}

// withBudgets returns an error's text with what the API server says of each
// PodDisruptionBudget that holds an eviction back: its name is in no other place.
func withBudgets(err error) string {
	text := err.Error()
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return text
	}
	for _, cause := range status.Status().Details.Causes {
		if cause.Type == policyv1.DisruptionBudgetCause {
			text += " " + cause.Message
		}
	}
	return text
}

// answer translates the API server's no; false for what is none.
func answer(err error) (v1alpha1.Refusal, bool) {
	var denied *gate.Denied
	var rejected *gate.Rejected
	switch {
	case errors.As(err, &denied):
		return verdict(v1alpha1.ReasonForbidden, "%s", denied), true
	case errors.Is(err, gate.ErrPrecondition):
		return verdict(v1alpha1.ReasonPreconditionFailed, "%s", err), true
	case errors.As(err, &rejected):
		return verdict(v1alpha1.ReasonStepFailed, "%s", rejected), true
	}
	return v1alpha1.Refusal{}, false
}

// refused ends the run at an operation that changed nothing.
func (r *Reconciler) refused(p *pass, t task, why v1alpha1.Refusal) (phase.Outcome, error) {
	operation(p.Obj, t).State = v1alpha1.OperationRefused
	return r.failed(p, t, why)
}

// failed ends the run at a step.
func (r *Reconciler) failed(p *pass, t task, why v1alpha1.Refusal) (phase.Outcome, error) {
	fail(p.Obj, &p.Obj.Status.Steps[t.step], r.Clock.Now(), why)
	return phase.Finish(), nil
}

// operation returns the operation of a task. A save decodes into the status, so
// it is looked up each time and never kept.
func operation(run *v1alpha1.WorkflowRun, t task) *v1alpha1.OperationStatus {
	return &run.Status.Steps[t.step].Operations[t.op]
}

// claim records that an operation is about to be done. The time always differs
// from that of an earlier claim, so that the save is a write, which a stale
// reader fails at.
func claim(run *v1alpha1.WorkflowRun, t task, now time.Time) {
	step, op := &run.Status.Steps[t.step], operation(run, t)
	step.State = v1alpha1.StepRunning
	if step.StartedAt.IsZero() {
		step.StartedAt = metav1.NewMicroTime(now)
	}
	op.State = v1alpha1.OperationClaimed
	op.ClaimedAt = after(now, op.ClaimedAt)
}

// after returns now, but later than an earlier claim.
func after(now time.Time, earlier metav1.MicroTime) metav1.MicroTime {
	if now.Sub(earlier.Time) < time.Microsecond {
		now = earlier.Add(time.Microsecond)
	}
	return metav1.NewMicroTime(now)
}

// applied records that an operation is in place.
func applied(run *v1alpha1.WorkflowRun, t task, now time.Time) {
	over(run, t, now)
	op := operation(run, t)
	op.State, op.AppliedAt = v1alpha1.OperationApplied, metav1.NewMicroTime(now)
}

// skipped records that nothing had to be done.
func skipped(run *v1alpha1.WorkflowRun, t task, now time.Time) {
	over(run, t, now)
	operation(run, t).State = v1alpha1.OperationSkipped
}

// over records that a step goes on after an operation: what that waited for is past.
func over(run *v1alpha1.WorkflowRun, t task, now time.Time) {
	step := &run.Status.Steps[t.step]
	step.State, step.Message = v1alpha1.StepRunning, ""
	if step.StartedAt.IsZero() {
		step.StartedAt = metav1.NewMicroTime(now)
	}
}
