package alertremediation

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/phase"
	"github.com/kubernaut/kubernaut/internal/policy"
)

// A remediation that has not begun ends after longestWait, whatever holds it up. While
// a person may still approve its plan it has a day more than the longest
// approval.deadline of a policy: a plan that changes is asked about anew, each time
// with a new deadline. Both are counted by the operator's own clock.
const (
	longestWait       = 24 * time.Hour
	longestUnapproved = longestWait + 168*time.Hour
)

// untilExpiry is how long a remediation may still wait to begin; false: it has
// begun, or has ended.
func (r *Reconciler) untilExpiry(ar *v1alpha1.AlertRemediation) (time.Duration, bool) {
	executed := meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Executed)
	begun := executed != nil && (executed.Status != metav1.ConditionUnknown || executed.Reason == v1alpha1.ReasonRunMade)
	if begun || ar.Finished() || len(ar.Status.PhaseTimes) == 0 {
		return 0, false
	}
	now, longest := r.Clock.Now(), longestWait
	if ar.Status.Plan != nil && ar.Status.Plan.ApproveBefore.After(now) {
		longest = longestUnapproved
	}
	return ar.Status.PhaseTimes[0].At.Add(longest).Sub(now), true
}

// expire ends a remediation that has waited for too long to begin, with what held it
// up last: a phase that waits, or the error that the pass ended with.
func (r *Reconciler) expire(ar *v1alpha1.AlertRemediation, out phase.Outcome, err error) (phase.Outcome, error) {
	if left, waits := r.untilExpiry(ar); !waits || left > 0 {
		return out, err
	}
	last := ""
	if err != nil {
		last = ": " + err.Error()
	}
	for _, condition := range []string{v1alpha1.Admitted, v1alpha1.Diagnosed, v1alpha1.Planned, v1alpha1.Approved, v1alpha1.Executed} {
		if c := meta.FindStatusCondition(ar.Status.Conditions, condition); c != nil && c.Status == metav1.ConditionUnknown {
			last = fmt.Sprintf(": %s: %s", c.Reason, c.Message)
			set(ar, condition, metav1.ConditionFalse, v1alpha1.ReasonDeadlineExceeded, c.Message)
		}
	}
	return finish(ar, v1alpha1.OutcomeExpired, "nothing was changed: for %s it could not begin%s. To have the alert planned again when it is sent next: kubectl -n %s delete ar %s",
		longestWait, cut(last, maxMessage/2), ar.Namespace, ar.Name)
}

// comeBack makes sure that a remediation which waits for a write, or for another
// controller, is looked at when its time is over.
func (r *Reconciler) comeBack(ar *v1alpha1.AlertRemediation, result ctrl.Result, err error) (ctrl.Result, error) {
	if left, waits := r.untilExpiry(ar); err == nil && waits && result.RequeueAfter == 0 {
		result.RequeueAfter = max(left, time.Second)
	}
	return result, err
}

// unread returns what is said of an error by which only a person can help: a kind
// that the cluster does not serve, or a right to read that the operator lacks.
func unread(what string, err error) (v1alpha1.Refusal, bool) {
	if err == nil {
		return v1alpha1.Refusal{}, false
	}
	no := policy.Unreadable(what, err).Refusal
	_, limited := policy.Help(no.Reason)
	return no, limited
}

// holdUnread waits in a phase for what can't be read until a person helps, and ends
// the remediation at the deadline. That begins with the reason, whatever the phase
// waited for before.
func (r *Reconciler) holdUnread(ar *v1alpha1.AlertRemediation, condition string, no v1alpha1.Refusal) (phase.Outcome, error) {
	if c := meta.FindStatusCondition(ar.Status.Conditions, condition); c != nil && c.Reason != no.Reason {
		meta.RemoveStatusCondition(&ar.Status.Conditions, condition)
	}
	now := r.Clock.Now()
	meta.SetStatusCondition(&ar.Status.Conditions, metav1.Condition{
		Type: condition, Status: metav1.ConditionUnknown, Reason: no.Reason, Message: cut(no.Message, maxMessage),
		ObservedGeneration: ar.Generation, LastTransitionTime: metav1.NewTime(now),
	})
	waited := now.Sub(lastTransition(ar, condition))
	if waited < policy.UnreadableDeadline {
		return phase.Wait(phase.Rarely(unreadableRetry, waited)), nil
	}
	set(ar, condition, metav1.ConditionFalse, no.Reason, no.Message)
	return finish(ar, v1alpha1.OutcomeEscalated, "%s", policy.GaveUp(no))
}
