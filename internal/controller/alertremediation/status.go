package alertremediation

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/phase"
)

// maxMessage bounds the message of a condition, in bytes.
const maxMessage = 1024

// set writes a condition, its message cut to what an object may carry.
func set(ar *v1alpha1.AlertRemediation, condition string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&ar.Status.Conditions, metav1.Condition{
		Type:               condition,
		Status:             status,
		ObservedGeneration: ar.Generation,
		Reason:             reason,
		Message:            cut(message, maxMessage),
	})
}

// settled reports whether a phase has decided.
func settled(ar *v1alpha1.AlertRemediation, condition string) bool {
	c := meta.FindStatusCondition(ar.Status.Conditions, condition)
	return c != nil && c.Status != metav1.ConditionUnknown
}

// holds reports whether a condition is True.
func holds(ar *v1alpha1.AlertRemediation, condition string) bool {
	return meta.IsStatusConditionTrue(ar.Status.Conditions, condition)
}

// finish ends the remediation.
func finish(ar *v1alpha1.AlertRemediation, outcome v1alpha1.Outcome, format string, args ...any) (phase.Outcome, error) {
	status := metav1.ConditionFalse
	if outcome.Good() {
		status = metav1.ConditionTrue
	}
	ar.Status.Outcome = outcome
	set(ar, v1alpha1.Succeeded, status, string(outcome), fmt.Sprintf(format, args...))
	return phase.Finish(), nil
}

// derive fills in what follows from the rest of the status.
func derive(ar *v1alpha1.AlertRemediation, identity string, now time.Time) {
	ar.Status.ObservedGeneration = ar.Generation
	ar.Status.ObservedBy = identity
	if meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Succeeded) == nil {
		set(ar, v1alpha1.Succeeded, metav1.ConditionUnknown, v1alpha1.ReasonRunning, "")
	}
	ar.Status.Phase = phaseOf(ar)
	for _, entered := range ar.Status.PhaseTimes {
		if entered.Phase == ar.Status.Phase {
			return
		}
	}
	ar.Status.PhaseTimes = append(ar.Status.PhaseTimes, v1alpha1.PhaseTime{Phase: ar.Status.Phase, At: metav1.NewMicroTime(now)})
}

// phaseOf sums the conditions up, for printing only.
func phaseOf(ar *v1alpha1.AlertRemediation) v1alpha1.Phase {
	switch {
	case ar.Finished():
		return v1alpha1.PhaseDone
	case settled(ar, v1alpha1.Executed):
		return v1alpha1.PhaseVerifying
	case holds(ar, v1alpha1.Approved):
		return v1alpha1.PhaseExecuting
	case settled(ar, v1alpha1.Planned):
		return waitingPhase(ar)
	case settled(ar, v1alpha1.Diagnosed):
		return v1alpha1.PhasePlanning
	case settled(ar, v1alpha1.Admitted):
		return v1alpha1.PhaseDiagnosing
	}
	return v1alpha1.PhasePending
}

// waitingPhase tells a plan that a gate holds back from one that waits for a person's
// answer: in mode Auto no answer is asked for.
func waitingPhase(ar *v1alpha1.AlertRemediation) v1alpha1.Phase {
	if approved := meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Approved); approved != nil && approved.Reason != v1alpha1.ReasonAwaitingApproval {
		return v1alpha1.PhaseWaiting
	}
	return v1alpha1.PhaseAwaitingApproval
}

// cut shortens a message without breaking a character.
func cut(message string, limit int) string {
	if len(message) <= limit {
		return message
	}
	end := limit - len("…")
	for end > 0 && message[end]&0xC0 == 0x80 {
		end--
	}
	return message[:end] + "…"
}
