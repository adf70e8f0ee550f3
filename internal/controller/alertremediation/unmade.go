package alertremediation

import (
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/admission"
	"github.com/kubernaut/kubernaut/internal/phase"
)

// A run that the API server refuses is sent again every unmadeRetry, for
// unmadePatience: somebody may make room. Then it is for a person.
const (
	unmadeRetry    = 15 * time.Second
	unmadePatience = 10 * time.Minute
)

// unmade returns why the API server refuses a run, or why it can have no name;
// false for what is no refusal.
func unmade(err error) (v1alpha1.Refusal, bool) {
	if errors.Is(err, errNamesTaken) {
		return v1alpha1.Refusal{Reason: v1alpha1.ReasonNameTaken, Message: err.Error()}, true
	}
	if err == nil || !admission.Refuses(err) {
		return v1alpha1.Refusal{}, false
	}
	no := v1alpha1.Refusal{Reason: v1alpha1.ReasonRunRefused, Message: admission.Why(err)}
	switch {
	case admission.OverQuota(err):
		no.Reason = v1alpha1.ReasonOverQuota
	case admission.Terminating(err):
		no.Reason = v1alpha1.ReasonNamespaceTerminating
	}
	return no, true
}

// withoutRun says that nothing is carried out, and why.
func (r *Reconciler) withoutRun(p *pass, no v1alpha1.Refusal) (phase.Outcome, error) {
	if since := lastTransition(p.Obj, v1alpha1.Executed); r.gaveUp(since) {
		set(p.Obj, v1alpha1.Executed, metav1.ConditionFalse, no.Reason, no.Message)
		return finish(p.Obj, v1alpha1.OutcomeEscalated, "nothing was changed: for %s there could be no run: %s", unmadePatience, no.Message)
	}
	set(p.Obj, v1alpha1.Executed, metav1.ConditionUnknown, no.Reason, no.Message)
	return phase.Wait(unmadeRetry), nil
}

// withoutUndo says that a change which should be taken back is still in place, and why.
func (r *Reconciler) withoutUndo(p *pass, no v1alpha1.Refusal, back backing) (phase.Outcome, error) {
	if r.gaveUp(lastTransition(p.Obj, v1alpha1.Verified)) {
		return finish(p.Obj, back.stuck, "the change %s and is still in place: for %s there could be no run that takes it back: %s", back.why, unmadePatience, no.Message)
	}
	set(p.Obj, v1alpha1.Verified, metav1.ConditionFalse, no.Reason, "the change "+back.why+", and is still in place: "+no.Message)
	return phase.Wait(unmadeRetry), nil
}

// gaveUp reports whether it has been tried for long enough; the zero time: it just began.
func (r *Reconciler) gaveUp(since time.Time) bool {
	return !since.IsZero() && r.Clock.Now().Sub(since) >= unmadePatience
}

func lastTransition(ar *v1alpha1.AlertRemediation, condition string) time.Time {
	if c := meta.FindStatusCondition(ar.Status.Conditions, condition); c != nil {
		return c.LastTransitionTime.Time
	}
	return time.Time{}
}
