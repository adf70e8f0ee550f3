package alertremediation

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

func TestWaitingPhase(t *testing.T) {
	rows := map[string]v1alpha1.Phase{
		v1alpha1.ReasonAwaitingApproval: v1alpha1.PhaseAwaitingApproval,
		v1alpha1.ReasonCooldown:         v1alpha1.PhaseWaiting,
		v1alpha1.ReasonBudgetSpent:      v1alpha1.PhaseWaiting,
		v1alpha1.ReasonPaused:           v1alpha1.PhaseWaiting,
		v1alpha1.ReasonTargetBusy:       v1alpha1.PhaseWaiting,
		v1alpha1.ReasonUnreadable:       v1alpha1.PhaseWaiting,
		"":                              v1alpha1.PhaseAwaitingApproval, // written before anything was said
	}
	for reason, want := range rows {
		ar := &v1alpha1.AlertRemediation{}
		ar.Status.Conditions = []metav1.Condition{{Type: v1alpha1.Planned, Status: metav1.ConditionTrue}}
		if reason != "" {
			ar.Status.Conditions = append(ar.Status.Conditions, metav1.Condition{Type: v1alpha1.Approved, Status: metav1.ConditionUnknown, Reason: reason})
		}
		if got := phaseOf(ar); got != want {
			t.Errorf("%q: got %s, want %s", reason, got, want)
		}
	}
}
