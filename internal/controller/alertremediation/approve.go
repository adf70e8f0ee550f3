package alertremediation

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/phase"
	"github.com/kubernaut/kubernaut/internal/policy"
)

// approve ensures that every gate lets exactly this plan through, and a person
// too where the policy asks one. The plan is made again from the live objects before
// anything is approved, so that what is approved is what is there. While it waits and
// nothing changed that it depends on, it is not made again.
func (r *Reconciler) approve(ctx context.Context, p *pass) (phase.Outcome, error) {
	if settled(p.Obj, v1alpha1.Approved) {
		return phase.Continue, nil
	}
	now := r.Clock.Now()
	fingerprint, err := r.Changes.Fingerprint(ctx, p.Obj) // before the plan is made: what changes meanwhile shows the next time
	if err == nil {
		if wait := r.unchanged(p.Obj, fingerprint, now); wait > 0 {
			return phase.Wait(wait), nil
		}
	}
	r.planned.Remove(p.Obj.UID)
	outcome, failed := r.approveAnew(ctx, p)
	if err == nil && failed == nil {
		r.planned.Add(p.Obj.UID, madePlan{fingerprint: fingerprint, at: now})
	}
	return outcome, failed
}

// approveAnew makes the plan and asks the gates about it.
func (r *Reconciler) approveAnew(ctx context.Context, p *pass) (phase.Outcome, error) {
	made, err := r.propose(ctx, p.Obj)
	if refused, ok := refusal(err); ok {
		mark(p.Obj, refused.refused)
		return nothingLeft(p.Obj, refused.refused)
	}
	if notYet, ok := tooEarly(err); ok {
		return r.approveLater(ctx, p, notYet)
	}
	if no, ok := unread("what the remedy changes", err); ok {
		return r.holdUnread(p.Obj, v1alpha1.Approved, no)
	}
	if err != nil {
		return phase.Continue, err
	}
	mark(p.Obj, made.refused)
	if made.empty() {
		return nothingLeft(p.Obj, made.refused)
	}
	r.show(p.Obj, made)
	return r.answer(ctx, p, made)
}

// nothingLeft ends a remediation whose plan can no longer be made. Where a remedy is
// refused by now, a person is called with the cause and why.
func nothingLeft(ar *v1alpha1.AlertRemediation, refused []v1alpha1.Refusal) (phase.Outcome, error) {
	if len(refused) == 0 {
		set(ar, v1alpha1.Approved, metav1.ConditionFalse, v1alpha1.ReasonChangedMeanwhile, "nothing is left to be changed")
		return finish(ar, v1alpha1.OutcomeRefused, "the cluster changed since the plan was made: nothing is left to be changed")
	}
	why := whyNot(refused)
	if shown := ar.Status.Plan; shown != nil { // it stays as what people were asked about
		shown = shown.DeepCopy()
		shown.Refusals = refused
		ar.Status.Plan = shown
	}
	set(ar, v1alpha1.Approved, metav1.ConditionFalse, refused[0].Reason, why)
	return finish(ar, v1alpha1.OutcomeEscalated, "%s", unplanned(ar, why))
}

// answer decides about the plan that is shown, by what the gates just said to it.
func (r *Reconciler) answer(ctx context.Context, p *pass, made proposal) (phase.Outcome, error) {
	ruling := rule(p.Obj, made.judgement, r.Clock.Now())
	if _, limited := policy.Help(ruling.reason); limited {
		return r.holdUnread(p.Obj, v1alpha1.Approved, v1alpha1.Refusal{Reason: ruling.reason, Message: ruling.message})
	}
	if ruling.wait > 0 {
		set(p.Obj, v1alpha1.Approved, metav1.ConditionUnknown, ruling.reason, ruling.message)
		return phase.Wait(ruling.wait), nil
	}
	if ruling.outcome != "" {
		set(p.Obj, v1alpha1.Approved, metav1.ConditionFalse, ruling.reason, ruling.message)
		return finish(p.Obj, ruling.outcome, "%s", ruling.message)
	}
	if !settled(p.Before(), v1alpha1.Planned) { // the first effect is next: by then it must be known who is at the target, and for what
		if err := r.save(ctx, p); err != nil {
			return phase.Continue, err
		}
	}
	set(p.Obj, v1alpha1.Approved, metav1.ConditionTrue, ruling.reason, ruling.message)
	return phase.Continue, nil
}

// ruling is what the approve phase does next: wait, end with an outcome, or go on.
type ruling struct {
	reason, message string
	outcome         v1alpha1.Outcome
	wait            time.Duration
}

// rule decides about a plan from the mode in force, the gates' words and the
// person's. It is pure.
func rule(ar *v1alpha1.AlertRemediation, judgement policy.Judgement, now time.Time) ruling {
	if refused, ok := first(judgement.Refusals, policy.Resolved); ok {
		return ruling{reason: refused.Reason, message: refused.Message, outcome: v1alpha1.OutcomeResolvedItself}
	}
	switch judgement.Mode {
	case v1alpha1.ModeObserve:
		return ruling{reason: v1alpha1.ReasonModeRecommends, message: "the mode in force is Observe: " + ar.Status.Diagnosis.Summary, outcome: v1alpha1.OutcomeObserved}
	case v1alpha1.ModeRecommend:
		return ruling{reason: v1alpha1.ReasonModeRecommends, message: "the mode in force is Recommend: " + planned(ar), outcome: v1alpha1.OutcomeRecommended}
	}
	if refused, ok := first(judgement.Refusals, policy.Ends); ok {
		return ruling{reason: refused.Reason, message: refused.Message, outcome: refusedAs(refused.Reason)}
	}
	if judgement.Mode == v1alpha1.ModeApprove {
		if decided, ok := person(ar, now); ok {
			return decided
		}
	}
	if refused, ok := first(judgement.Refusals, policy.Waits); ok {
		return ruling{reason: refused.Reason, message: refused.Message, wait: patience(ar, refused.Reason, now)}
	}
	switch judgement.Mode {
	case v1alpha1.ModeApprove:
		return ruling{reason: v1alpha1.ReasonPersonApproved, message: "approved by " + ar.Spec.Approval.By}
	case v1alpha1.ModeAuto:
		return ruling{reason: v1alpha1.ReasonPolicyAllows, message: "policy " + judgement.Policy + " allows it"}
	}
	return ruling{reason: v1alpha1.ReasonUnreadable, message: "which mode is in force is not known", wait: unreadableRetry}
}

// refusedAs tells a person's no from a gate's.
func refusedAs(reason string) v1alpha1.Outcome {
	if reason == v1alpha1.ReasonRejected {
		return v1alpha1.OutcomeRejected
	}
	return v1alpha1.OutcomeRefused
}

// person reports what a person, or their silence, has already decided against.
func person(ar *v1alpha1.AlertRemediation, now time.Time) (ruling, bool) {
	word, deadline := ar.Spec.Approval, ar.Status.Plan.ApproveBefore
	if word != nil && word.Decision == v1alpha1.DecisionRejected && word.PlanDigest == ar.Status.Plan.Digest {
		message := "rejected by " + word.By
		if word.Reason != "" {
			message += ": " + word.Reason
		}
		return ruling{reason: v1alpha1.ReasonRejected, message: message, outcome: v1alpha1.OutcomeRejected}, true
	}
	answered := word != nil && word.Decision == v1alpha1.DecisionApproved && word.PlanDigest == ar.Status.Plan.Digest && !policy.Voided(ar)
	if !answered && !deadline.IsZero() && !now.Before(deadline.Time) {
		message := fmt.Sprintf("nobody approved the plan before %s", deadline.UTC().Format(time.RFC3339))
		return ruling{reason: v1alpha1.ReasonDeadlineExceeded, message: message, outcome: v1alpha1.OutcomeExpired}, true
	}
	return ruling{}, false
}

// patience is how long to wait until a gate is asked again.
func patience(ar *v1alpha1.AlertRemediation, reason string, now time.Time) time.Duration {
	switch reason {
	case v1alpha1.ReasonUnreadable:
		return phase.Rarely(unreadableRetry, undecidedFor(ar, now))
	case v1alpha1.ReasonAwaitingApproval: // the approval itself wakes us
		left := ar.Status.Plan.ApproveBefore.Sub(now)
		return min(max(left, time.Second), 30*time.Second)
	}
	return phase.Rarely(gateRetry, undecidedFor(ar, now))
}

// undecidedFor is how long something has kept a plan from being approved or refused.
func undecidedFor(ar *v1alpha1.AlertRemediation, now time.Time) time.Duration {
	c := meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Approved)
	if c == nil || c.Status != metav1.ConditionUnknown {
		return 0
	}
	return now.Sub(c.LastTransitionTime.Time)
}

// first returns the first refusal of a kind.
func first(refusals []policy.Refusal, kind policy.Kind) (policy.Refusal, bool) {
	for _, refused := range refusals {
		if refused.Kind == kind {
			return refused, true
		}
	}
	return policy.Refusal{}, false
}
