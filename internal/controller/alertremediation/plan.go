package alertremediation

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/clearance"
	"github.com/kubernaut/kubernaut/internal/phase"
	"github.com/kubernaut/kubernaut/internal/plan"
	"github.com/kubernaut/kubernaut/internal/policy"
)

// plan ensures that the operations that would help are known, and what the
// gates say to them now: their words are fresh enough to decide by.
func (r *Reconciler) plan(ctx context.Context, p *pass) (phase.Outcome, error) {
	if settled(p.Obj, v1alpha1.Planned) {
		return phase.Continue, nil
	}
	proposal, err := r.propose(ctx, p.Obj)
	if refused, ok := refusal(err); ok {
		mark(p.Obj, refused.refused)
		set(p.Obj, v1alpha1.Planned, metav1.ConditionFalse, refused.reason(), refused.Error())
		return finish(p.Obj, v1alpha1.OutcomeEscalated, "%s", unplanned(p.Obj, refused.Error()))
	}
	if notYet, ok := tooEarly(err); ok {
		return r.planLater(ctx, p, notYet)
	}
	if no, ok := unread("what the remedy changes", err); ok {
		return r.holdUnread(p.Obj, v1alpha1.Planned, no)
	}
	if err != nil {
		return phase.Continue, err
	}
	mark(p.Obj, proposal.refused)
	if proposal.empty() {
		set(p.Obj, v1alpha1.Planned, metav1.ConditionTrue, v1alpha1.ReasonNothingToDo, "the remedy is a person"+unplannedBetter(p.Obj))
		return finish(p.Obj, v1alpha1.OutcomeEscalated, "%s", escalated(p.Obj))
	}
	r.show(p.Obj, proposal)
	return r.answer(ctx, p, proposal)
}

// proposal is a plan and what the gates say to it.
type proposal struct {
	plan.Proposal
	// refused are the remedies before the one that is planned.
	refused   []v1alpha1.Refusal
	judgement policy.Judgement
}

// empty reports whether nothing in the cluster would change.
func (p proposal) empty() bool {
	return p.Status.Affected == nil || p.Status.Affected.Objects == 0
}

// propose plans the first remedy that can be planned, from the live objects, and
// asks the gates about it.
func (r *Reconciler) propose(ctx context.Context, ar *v1alpha1.AlertRemediation) (proposal, error) {
	step, refused, err := r.remedy(ctx, ar)
	if err != nil {
		return proposal{}, err
	}
	made, err := plan.New(step)
	if err != nil || made.Status.Affected.Objects == 0 {
		return proposal{Proposal: made, refused: refused}, err
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
	return proposal{Proposal: made, refused: refused, judgement: judgement}, nil
}

// show writes the plan and what the gates said into the status. Another plan
// than the one that was shown gets a new deadline: it is a new question.
func (r *Reconciler) show(ar *v1alpha1.AlertRemediation, made proposal) {
	shown := made.Status
	shown.Policy, shown.Mode = made.judgement.Policy, made.judgement.Mode
	shown.Guards, shown.VoidedApproval = made.judgement.Guards, made.judgement.VoidedApproval
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
	set(ar, v1alpha1.Planned, metav1.ConditionTrue, v1alpha1.ReasonPlanReady, planned(ar))
}

// planned says what the plan would do, what it is the larger step after, and why it
// is not a better remedy that was planned.
func planned(ar *v1alpha1.AlertRemediation) string {
	status := ar.Status.Plan
	step := status.Steps[0]
	note := ""
	if step.Note != "" {
		note = "; " + step.Note
	}
	return fmt.Sprintf("%s of %s (risk %s): objects written %d, pods replaced %d%s%s",
		step.Action, step.Target, step.Risk, status.Affected.Objects, status.Affected.Pods, note, unplannedBetter(ar))
}

// escalated says what is wrong, for the person who is the remedy.
func escalated(ar *v1alpha1.AlertRemediation) string {
	summary, better := ar.Status.Diagnosis.Summary, unplannedBetter(ar)
	if better != "" {
		summary = cut(summary, maxMessage/2)
	}
	return summary + better
}

// unplannedBetter says which remedies that would be better can't be planned, and why.
func unplannedBetter(ar *v1alpha1.AlertRemediation) string {
	refused := refusedRemedies(ar)
	if len(refused) == 0 {
		return ""
	}
	return "; a better remedy can't be planned: " + whyNot(refused)
}
