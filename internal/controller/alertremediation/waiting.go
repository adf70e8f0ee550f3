package alertremediation

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// A plan that waits is made again after replanAfter though nothing changed that is
// looked at: it depends on more, which only planning reads. A place in a budget and the
// end of a cooldown depend on other remediations too, so those are asked for sooner.
const (
	replanAfter       = 10 * time.Minute
	replanBudgetAfter = 2 * time.Minute
)

// maxWaiting is how many waiting plans are remembered. One that is not is made again
// each time it is looked at.
const maxWaiting = 1 << 14

// madePlan is when a plan was made, and the fingerprint of what it depends on.
type madePlan struct {
	fingerprint string
	at          time.Time
}

// unchanged returns how long a waiting plan waits before it is looked at again;
// 0: it must be made again now.
func (r *Reconciler) unchanged(ar *v1alpha1.AlertRemediation, fingerprint string, now time.Time) time.Duration {
	made, known := r.planned.Get(ar.UID)
	if !known || made.(madePlan).fingerprint != fingerprint {
		return 0
	}
	return keepsWaiting(ar, now.Sub(made.(madePlan).at), now)
}

// keepsWaiting returns how long a plan that was made so long ago, and depends on
// nothing that changed since, waits before it is looked at again; 0: it must be made
// again now. It is pure.
func keepsWaiting(ar *v1alpha1.AlertRemediation, age time.Duration, now time.Time) time.Duration {
	approved := meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Approved)
	if ar.Status.Plan == nil || approved == nil || approved.Status != metav1.ConditionUnknown {
		return 0
	}
	if deadline := ar.Status.Plan.ApproveBefore; !deadline.IsZero() && !now.Before(deadline.Time) {
		return 0
	}
	left := keptFor(ar, approved.Reason) - age
	if age < 0 || left <= 0 {
		return 0
	}
	return min(patience(ar, approved.Reason, now), left)
}

// keptFor is how long a plan is not made again while the reason why it waits is known
// to be the same; 0 for a reason that only planning can see the end of.
func keptFor(ar *v1alpha1.AlertRemediation, reason string) time.Duration {
	switch reason {
	case v1alpha1.ReasonAwaitingApproval, v1alpha1.ReasonPaused, v1alpha1.ReasonEmergencyStop:
		return replanAfter
	case v1alpha1.ReasonGuardMissing:
		if ar.Spec.Approval == nil && ar.Status.Plan.Mode == v1alpha1.ModeApprove {
			return replanAfter
		}
	case v1alpha1.ReasonCooldown, v1alpha1.ReasonBudgetSpent:
		return replanBudgetAfter
	}
	return 0
}
