package alertremediation

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/phase"
	"github.com/kubernaut/kubernaut/internal/plan"
	"github.com/kubernaut/kubernaut/internal/policy"
)

// execute ensures that one WorkflowRun carries the approved plan out, and learns
// from it how that ended.
func (r *Reconciler) execute(ctx context.Context, p *pass) (phase.Outcome, error) {
	if settled(p.Obj, v1alpha1.Executed) {
		return phase.Continue, nil
	}
	if p.Obj.Status.RunRef == "" {
		held, err := r.book(ctx, p)
		if no, refused := unmade(err); refused {
			return r.withoutRun(p, no)
		}
		if held || err != nil {
			return phase.Wait(phase.Rarely(gateRetry, undecidedFor(p.Obj, r.Clock.Now()))), err
		}
	}
	run, err := r.ensureRun(ctx, p, plan.Run(p.Obj, p.Obj.Status.Runs))
	if no, refused := unmade(err); refused {
		return r.withoutRun(p, no)
	}
	if run == nil || err != nil {
		return phase.Finish(), err
	}
	if !run.Finished() {
		set(p.Obj, v1alpha1.Executed, metav1.ConditionUnknown, v1alpha1.ReasonRunMade, "WorkflowRun "+run.Name+" carries the plan out")
		return r.askAgain(ctx, p, run)
	}
	return r.executed(p, run)
}

// askAgain records under which guards the plan is shown, while its run has not begun: they
// may have been replaced after the approval, which then has to be given again. The run itself
// writes nothing into the status of its remediation.
func (r *Reconciler) askAgain(ctx context.Context, p *pass, run *v1alpha1.WorkflowRun) (phase.Outcome, error) {
	held := meta.FindStatusCondition(run.Status.Conditions, v1alpha1.Succeeded)
	if !run.Status.StartedAt.IsZero() || held == nil || held.Reason != v1alpha1.ReasonGuardMissing && held.Reason != v1alpha1.ReasonAwaitingApproval {
		return phase.Wait(0), nil // the run's changes wake us
	}
	made, err := r.propose(ctx, p.Obj)
	_, refused := refusal(err)
	_, notYet := tooEarly(err)
	switch {
	case refused, notYet, err == nil && made.empty():
		return phase.Wait(gateRetry), nil // the run plans for itself, and says so
	case err != nil:
		return phase.Continue, err
	}
	shown := p.Obj.Status.Plan.DeepCopy()
	shown.Guards, shown.VoidedApproval = made.judgement.Guards, made.judgement.VoidedApproval
	p.Obj.Status.Plan = shown
	return phase.Wait(gateRetry), nil
}

// book takes the number of the next run, and with it a place in the policy's
// budget. It reports true while the budget holds the plan back.
func (r *Reconciler) book(ctx context.Context, p *pass) (bool, error) {
	if err := r.current(ctx, p.Obj); err != nil {
		return false, err
	}
	n, err := r.nextRun(ctx, p.Obj)
	if err != nil {
		return false, err
	}
	step := p.Obj.Status.Plan.Steps[0]
	err = r.Desk.Reserve(ctx, p.Obj.Status.Plan.Policy, v1alpha1.Reservation{
		Run:       p.Obj.Namespace + "/" + plan.RunName(p.Obj.Name, n),
		UID:       p.Obj.UID,
		TargetUID: step.Target.UID,
		Action:    step.Action,
		At:        metav1.NewTime(r.Clock.Now()),
	})
	var refused *policy.RefusedError
	switch {
	case errors.As(err, &refused):
		set(p.Obj, v1alpha1.Approved, metav1.ConditionUnknown, refused.Reason, refused.Message)
		return true, nil
	case apierrors.IsNotFound(err): // the policy that allowed it is gone: the gates say what holds now
		set(p.Obj, v1alpha1.Approved, metav1.ConditionUnknown, v1alpha1.ReasonUnreadable, err.Error())
		return true, nil
	case err != nil:
		return false, fmt.Errorf("reserving a place in the budget: %w", err)
	}
	p.Obj.Status.Runs, p.Obj.Status.Attempts = n, p.Obj.Status.Attempts+1
	p.Obj.Status.RunRef = plan.RunName(p.Obj.Name, n)
	return false, r.save(ctx, p)
}

// current returns phase.ErrStale if somebody wrote since the pass read: no place
// in a budget is taken on the strength of what may have changed, for a run that
// would not be made.
func (r *Reconciler) current(ctx context.Context, ar *v1alpha1.AlertRemediation) error {
	var stored v1alpha1.AlertRemediation
	err := r.Live.Get(ctx, client.ObjectKeyFromObject(ar), &stored)
	switch {
	case apierrors.IsNotFound(err), err == nil && stored.ResourceVersion != ar.ResourceVersion:
		return phase.ErrStale
	case err != nil:
		return fmt.Errorf("reading AlertRemediation %s/%s again: %w", ar.Namespace, ar.Name, err)
	}
	return nil
}

// maxNames is how many names are tried for one run: a user who may make runs in the
// namespace could otherwise take every one of them.
const maxNames = 8

// errNamesTaken means that other runs have the names that one of ours could have.
var errNamesTaken = errors.New("the names that its run could have are taken")

// nextRun returns the first number whose name is free. The number is saved before a
// run is made, so what exists under a later one was made by another user, whatever
// owner it names; it is left alone, and never begins.
func (r *Reconciler) nextRun(ctx context.Context, ar *v1alpha1.AlertRemediation) (int32, error) {
	var others []*v1alpha1.WorkflowRun
	for n := ar.Status.Runs + 1; len(others) < maxNames; n++ {
		run, _, err := r.numbered(ctx, ar, n)
		if err != nil {
			return 0, err
		}
		if run == nil {
			for _, other := range others {
				r.Events.Eventf(ar, other, "Warning", v1alpha1.ReasonNameTaken, "MakeRun", "WorkflowRun %s exists, and this remediation did not make it; it is left alone", other.Name)
			}
			return n, nil
		}
		others = append(others, run)
	}
	return 0, fmt.Errorf("%w: delete the WorkflowRuns %s to %s, which AlertRemediation %s did not make",
		errNamesTaken, others[0].Name, others[len(others)-1].Name, ar.Name)
}

// numbered reads the run that has the n-th name, and whether the remediation made it.
// The run is nil if it does not exist.
func (r *Reconciler) numbered(ctx context.Context, ar *v1alpha1.AlertRemediation, n int32) (run *v1alpha1.WorkflowRun, ours bool, err error) {
	run = &v1alpha1.WorkflowRun{}
	err = r.Live.Get(ctx, types.NamespacedName{Namespace: ar.Namespace, Name: plan.RunName(ar.Name, n)}, run)
	if apierrors.IsNotFound(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("reading WorkflowRun %s: %w", plan.RunName(ar.Name, n), err)
	}
	owner := run.Remediation()
	return run, owner != nil && owner.UID == ar.UID, nil
}

// ensureRun makes the run, or finds the one that was made before. It returns nil
// once it has ended the remediation.
func (r *Reconciler) ensureRun(ctx context.Context, p *pass, wanted *v1alpha1.WorkflowRun) (*v1alpha1.WorkflowRun, error) {
	var run v1alpha1.WorkflowRun
	err := r.Live.Get(ctx, client.ObjectKeyFromObject(wanted), &run)
	if apierrors.IsNotFound(err) {
		if wasMade(p.Obj, wanted) {
			set(p.Obj, v1alpha1.Executed, metav1.ConditionFalse, v1alpha1.ReasonTargetGone, "WorkflowRun "+wanted.Name+" was deleted")
			_, err := finish(p.Obj, v1alpha1.OutcomeEscalated, "WorkflowRun %s was deleted before it ended; whether its change is in place is not known", wanted.Name)
			return nil, err
		}
		err = r.Client.Create(ctx, wanted)
		run = *wanted
	}
	if err != nil {
		return nil, fmt.Errorf("making WorkflowRun %s: %w", wanted.Name, err)
	}
	if err := plan.Ours(&run, wanted); err != nil {
		_, done := finish(p.Obj, v1alpha1.OutcomeEscalated, "%s", err)
		return nil, done
	}
	return &run, nil
}

// wasMade reports whether a run was seen before.
func wasMade(ar *v1alpha1.AlertRemediation, run *v1alpha1.WorkflowRun) bool {
	executed := meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Executed)
	return executed != nil && executed.Reason == v1alpha1.ReasonRunMade && ar.Status.RunRef == run.Name
}

// executed takes over how a run ended.
func (r *Reconciler) executed(p *pass, run *v1alpha1.WorkflowRun) (phase.Outcome, error) {
	ended := endOf(run)
	set(p.Obj, v1alpha1.Executed, ended.status, ended.reason, ended.message)
	if ended.outcome == "" {
		return phase.Continue, nil
	}
	if ended.outcome == v1alpha1.OutcomeRefused || ended.outcome == v1alpha1.OutcomeEscalated && unplannable(ended.reason) {
		set(p.Obj, v1alpha1.Approved, metav1.ConditionFalse, ended.reason, ended.message)
	}
	if unplannable(ended.reason) && ended.outcome == v1alpha1.OutcomeEscalated {
		return finish(p.Obj, ended.outcome, "%s", unplanned(p.Obj, ended.message))
	}
	return finish(p.Obj, ended.outcome, "%s", ended.message)
}

// unplannable reports whether a reason is an action's own no, rather than a gate's.
func unplannable(reason string) bool {
	return reason == v1alpha1.ReasonNotApplicable || reason == v1alpha1.ReasonUnknownAction || reason == v1alpha1.ReasonInvalidParameters
}

// limited reports whether a run waited for something that could not be read, until its deadline.
func limited(reason string) bool {
	_, ok := policy.Help(reason)
	return ok
}

// ending is what a finished run means for its remediation; no outcome: go on and verify.
type ending struct {
	status          metav1.ConditionStatus
	reason, message string
	outcome         v1alpha1.Outcome
}

// endOf reads a finished run. It is pure.
func endOf(run *v1alpha1.WorkflowRun) ending {
	succeeded := meta.FindStatusCondition(run.Status.Conditions, v1alpha1.Succeeded)
	end := ending{status: metav1.ConditionFalse, reason: succeeded.Reason, message: succeeded.Message}
	switch {
	case succeeded.Status == metav1.ConditionTrue:
		end.status = metav1.ConditionTrue
	case succeeded.Reason == v1alpha1.ReasonCancelled && meta.IsStatusConditionTrue(run.Status.Conditions, v1alpha1.RolledBack):
		end.outcome = v1alpha1.OutcomeRolledBack
	case succeeded.Reason == v1alpha1.ReasonCancelled:
		end.outcome = v1alpha1.OutcomeEscalated
	case len(inState(run, v1alpha1.OperationClaimed)) > 0, leftPods(run):
		// Whether a claimed operation was done is not known: this is no success, and no refusal either, which would say that it was not done.
		// While pods of the old template are left, a target that is not well says nothing against the
		// change that is in place: it stays, and no verification takes it back.
		end.outcome = v1alpha1.OutcomeEscalated
	case len(applied(run)) > 0:
		// Something is in place: whether it helps is for the verification to say.
	default:
		end.outcome = withoutChange(succeeded.Reason)
	}
	return end
}

// withoutChange is what a run that changed nothing means, by the reason it ended with.
func withoutChange(reason string) v1alpha1.Outcome {
	switch {
	case reason == v1alpha1.ReasonAlertResolved:
		return v1alpha1.OutcomeResolvedItself
	case reason == v1alpha1.ReasonDeadlineExceeded:
		return v1alpha1.OutcomeExpired
	case reason == v1alpha1.ReasonStepFailed || reason == v1alpha1.ReasonPreconditionFailed || unplannable(reason), limited(reason):
		return v1alpha1.OutcomeEscalated
	}
	return v1alpha1.OutcomeRefused
}

// leftPods reports whether a run that changed something ended before every pod that
// it should have evicted is gone, or had its turn and was skipped.
func leftPods(run *v1alpha1.WorkflowRun) bool {
	succeeded := meta.FindStatusCondition(run.Status.Conditions, v1alpha1.Succeeded)
	if succeeded != nil && succeeded.Reason == v1alpha1.ReasonPodsLeft {
		return true
	}
	return len(applied(run)) > 0 && slices.ContainsFunc(slices.Concat(inState(run, ""), inState(run, v1alpha1.OperationRefused)), func(op v1alpha1.OperationStatus) bool {
		return op.Precondition.Unready
	})
}

// applied returns the operations of a run that are in place as far as it knows.
func applied(run *v1alpha1.WorkflowRun) []v1alpha1.OperationStatus {
	return inState(run, v1alpha1.OperationApplied)
}

func inState(run *v1alpha1.WorkflowRun, state v1alpha1.OperationState) []v1alpha1.OperationStatus {
	var ops []v1alpha1.OperationStatus
	for _, step := range run.Status.Steps {
		for _, op := range step.Operations {
			if op.State == state {
				ops = append(ops, op)
			}
		}
	}
	return ops
}
