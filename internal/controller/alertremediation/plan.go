package alertremediation

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/clearance"
	"github.com/kubernaut/kubernaut/internal/phase"
	"github.com/kubernaut/kubernaut/internal/plan"
	"github.com/kubernaut/kubernaut/internal/policy"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// plan ensures that the operations that would help are known, and what the
// gates say to them now: their words are fresh enough to decide by.
func (r *Reconciler) plan(ctx context.Context, p *pass) (phase.Outcome, error) {
	if settled(p.Obj, v1alpha1.Planned) {
		return phase.Continue, nil
	}
	proposal, err := r.propose(ctx, p.Obj)
	if refused, ok := refusal(err); ok {
		set(p.Obj, v1alpha1.Planned, metav1.ConditionFalse, refused.Reason, refused.Message)
		return finish(p.Obj, v1alpha1.OutcomeRefused, "no remedy of %s can be planned: %s", p.Obj.Status.Diagnosis.Cause, refused.Message)
	}
	if notYet, ok := tooEarly(err); ok {
		return r.planLater(ctx, p, notYet)
	}
	if err != nil {
		return phase.Continue, err
	}
	if proposal.empty() {
		set(p.Obj, v1alpha1.Planned, metav1.ConditionTrue, v1alpha1.ReasonNothingToDo, "the remedy is a person")
		return finish(p.Obj, v1alpha1.OutcomeEscalated, "%s", p.Obj.Status.Diagnosis.Summary)
	}
	r.show(p.Obj, proposal)
	set(p.Obj, v1alpha1.Planned, metav1.ConditionTrue, v1alpha1.ReasonPlanReady, planned(proposal.Status))
	return r.answer(ctx, p, proposal)
}

// proposal is a plan and what the gates say to it.
type proposal struct {
	plan.Proposal
	judgement policy.Judgement
}

// empty reports whether nothing in the cluster would change.
func (p proposal) empty() bool {
	return p.Status.Affected == nil || p.Status.Affected.Objects == 0
}

// propose plans the first remedy that can be planned, from the live objects, and
// asks the gates about it.
func (r *Reconciler) propose(ctx context.Context, ar *v1alpha1.AlertRemediation) (proposal, error) {
	step, err := r.remedy(ctx, ar)
	if err != nil {
		return proposal{}, err
	}
	made, err := plan.New(step)
	if err != nil || made.Status.Affected.Objects == 0 {
		return proposal{Proposal: made}, err
	}
	judgement, err := r.Desk.Judge(ctx, clearance.Case{
		Remediation: ar,
		Steps:       []clearance.Step{{Name: step.Name, Action: step.Spec, Target: step.Target, Plan: step.Plan}},
		Digest:      made.Status.Digest,
		DiffBytes:   made.DiffBytes,
	})
	if err != nil {
		return proposal{}, fmt.Errorf("asking the gates: %w", err)
	}
	return proposal{Proposal: made, judgement: judgement}, nil
}

// remedy plans the remedies of the diagnosis in their order and returns the
// first that can be; where none can, it says why the first can't. One that can't
// be planned yet is waited for: what is well needs none of the others either.
func (r *Reconciler) remedy(ctx context.Context, ar *v1alpha1.AlertRemediation) (plan.Step, error) {
	var first error = &refusedError{v1alpha1.Refusal{Reason: v1alpha1.ReasonNoRemedy, Message: "the diagnosis names no remedy"}}
	for i, remedy := range ar.Status.Diagnosis.Remedies {
		step, err := r.step(ctx, ar, remedy)
		if _, refused := refusal(err); err != nil && !refused {
			return plan.Step{}, err
		}
		if err == nil {
			return step, nil
		}
		if i == 0 {
			first = err
		}
	}
	return plan.Step{}, first
}

// step plans one remedy. Gate 8 is here: an action that is not in the catalogue,
// parameters that do not fit, or a precondition of its own that does not hold.
func (r *Reconciler) step(ctx context.Context, ar *v1alpha1.AlertRemediation, remedy v1alpha1.Remedy) (plan.Step, error) {
	act, err := r.Catalog.Find(remedy.Action)
	if err != nil {
		return plan.Step{}, &refusedError{v1alpha1.Refusal{Reason: v1alpha1.ReasonUnknownAction, Message: err.Error()}}
	}
	spec, params := act.Spec(), action.Params(remedy.Parameters)
	if err := spec.Validate(params); err != nil {
		return plan.Step{}, &refusedError{v1alpha1.Refusal{Reason: v1alpha1.ReasonInvalidParameters, Message: spec.Name + ": " + err.Error()}}
	}
	step := plan.Step{Name: stepName, Spec: spec, Params: params}
	if ar.Status.Diagnosis.Target != nil {
		step.Target = *ar.Status.Diagnosis.Target
	}
	world := r.world(fmt.Sprintf("%s/%d/%s", ar.Name, ar.Status.Runs+1, step.Name))
	step.Plan, err = act.Plan(ctx, world, step.Target, params)
	var unfit *action.NotApplicableError
	if errors.As(err, &unfit) {
		return plan.Step{}, &refusedError{v1alpha1.Refusal{Reason: v1alpha1.ReasonNotApplicable, Message: spec.Name + ": " + unfit.Why}}
	}
	if err != nil {
		return plan.Step{}, fmt.Errorf("planning %s of %s: %w", spec.Name, step.Target, err)
	}
	return step, nil
}

// stepName is the name of the one step of a plan that no template gave.
const stepName = "remedy"

// refusedError carries a refusal of gate 8 out of planning.
type refusedError struct{ v1alpha1.Refusal }

func (e *refusedError) Error() string { return e.Message }

// refusal returns the refusal an error carries.
func refusal(err error) (v1alpha1.Refusal, bool) {
	var refused *refusedError
	if !errors.As(err, &refused) {
		return v1alpha1.Refusal{}, false
	}
	return refused.Refusal, true
}

// show writes the plan and what the gates said into the status. Another plan
// than the one that was shown gets a new deadline: it is a new question.
func (r *Reconciler) show(ar *v1alpha1.AlertRemediation, made proposal) {
	shown := made.Status
	shown.Policy, shown.Mode, shown.Guards = made.judgement.Policy, made.judgement.Mode, made.judgement.Guards
	for _, refused := range made.judgement.Refusals {
		shown.Refusals = append(shown.Refusals, v1alpha1.Refusal{Reason: refused.Reason, Message: cut(refused.Message, maxMessage)})
	}
	if shown.Mode == v1alpha1.ModeApprove {
		shown.ApproveBefore = metav1.NewTime(r.Clock.Now().Add(made.judgement.ApprovalDeadline).Truncate(time.Second))
		if before := ar.Status.Plan; before != nil && before.Digest == shown.Digest && !before.ApproveBefore.IsZero() {
			shown.ApproveBefore = before.ApproveBefore
		}
	}
	ar.Status.Plan = &shown
}

// planned says in one sentence what the plan would do.
func planned(status v1alpha1.PlanStatus) string {
	step := status.Steps[0]
	return fmt.Sprintf("%s of %s (risk %s): objects written %d, pods replaced %d", step.Action, step.Target, step.Risk, status.Affected.Objects, status.Affected.Pods)
}
