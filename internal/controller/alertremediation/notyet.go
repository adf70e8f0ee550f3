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
	"github.com/kubernaut/kubernaut/internal/policy"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// tooEarly returns the error by which an action says that it can't be planned yet.
func tooEarly(err error) (*action.NotYetError, bool) {
	var notYet *action.NotYetError
	return notYet, errors.As(err, &notYet)
}

// longestPlanWait is how long a remedy that can't be planned yet is waited for. No target
// takes as long to settle, unless its minReadySeconds say so, and a right that the operator
// lacks may never be given: then a person has to know.
const longestPlanWait = 15 * time.Minute

// planLater waits until the remedy can be planned or is known not to apply, while the
// alert fires and for at most longestPlanWait. Then a person is called.
func (r *Reconciler) planLater(ctx context.Context, p *pass, notYet *action.NotYetError) (phase.Outcome, error) {
	judgement, err := r.judgeUnplanned(ctx, p.Obj, notYet)
	if err != nil {
		return phase.Continue, err
	}
	if refused, ok := first(judgement.Refusals, policy.Resolved); ok {
		set(p.Obj, v1alpha1.Planned, metav1.ConditionFalse, refused.Reason, refused.Message)
		return finish(p.Obj, v1alpha1.OutcomeResolvedItself, "%s", refused.Message)
	}
	set(p.Obj, v1alpha1.Planned, metav1.ConditionUnknown, v1alpha1.ReasonNotYet, notYet.Why)
	var waited time.Duration
	since := lastTransition(p.Obj, v1alpha1.Planned)
	if !since.IsZero() {
		waited = r.Clock.Now().Sub(since)
	}
	if waited >= longestPlanWait {
		set(p.Obj, v1alpha1.Planned, metav1.ConditionFalse, v1alpha1.ReasonNotYet, notYet.Why)
		return finish(p.Obj, v1alpha1.OutcomeEscalated, "%s", unplanned(p.Obj, fmt.Sprintf("not yet, since %s: %s", since.UTC().Format(time.RFC3339), notYet.Why)))
	}
	return phase.Wait(untilNextPlan(notYet.After, waited)), nil
}

// approveLater holds a plan back that was shown and can't be made at the moment.
// What the gates and a person say meanwhile counts.
func (r *Reconciler) approveLater(ctx context.Context, p *pass, notYet *action.NotYetError) (phase.Outcome, error) {
	judgement, err := r.judgeUnplanned(ctx, p.Obj, notYet)
	if err != nil {
		return phase.Continue, err
	}
	// Whatever else the gates say, nothing goes on with a plan that can't be made.
	judgement.Refusals = append(judgement.Refusals, policy.Unplannable(notYet))
	return r.answer(ctx, p, proposal{judgement: judgement})
}

// judgeUnplanned asks the gates about a remediation whose remedy can't be planned yet.
func (r *Reconciler) judgeUnplanned(ctx context.Context, ar *v1alpha1.AlertRemediation, notYet *action.NotYetError) (policy.Judgement, error) {
	c := clearance.Case{Remediation: ar, Unplanned: notYet}
	if ar.Status.Plan != nil {
		c.Digest = ar.Status.Plan.Digest
	}
	judgement, err := r.Desk.Judge(ctx, c)
	if err != nil {
		return policy.Judgement{}, fmt.Errorf("asking the gates: %w", err)
	}
	return judgement, nil
}

// untilNextPlan is when to plan again: more rarely the longer it was waited for,
// and not much later than the action expects another answer.
func untilNextPlan(after, waited time.Duration) time.Duration {
	wait := phase.Rarely(unreadableRetry, waited)
	if after > 0 {
		wait = min(wait, max(after, time.Second))
	}
	return wait
}
