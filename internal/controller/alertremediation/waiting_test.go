package alertremediation

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

func TestKeepsWaiting(t *testing.T) {
	const digest = "v1:sha256:this"
	approved := &v1alpha1.Approval{Decision: v1alpha1.DecisionApproved, By: "jane", PlanDigest: digest}
	rows := map[string]struct {
		reason   string
		status   metav1.ConditionStatus
		mode     v1alpha1.Mode
		answer   *v1alpha1.Approval
		age      time.Duration
		unmade   bool
		deadline time.Duration // from now; 0: none
		want     time.Duration
	}{
		"a plan that waits for a person is not made again":         {reason: v1alpha1.ReasonAwaitingApproval, deadline: time.Hour, want: 30 * time.Second},
		"nor one that is paused":                                   {reason: v1alpha1.ReasonPaused, want: 5 * time.Second},
		"nor one that is stopped":                                  {reason: v1alpha1.ReasonEmergencyStop, want: 5 * time.Second},
		"it is looked at when ten minutes are over":                {reason: v1alpha1.ReasonAwaitingApproval, deadline: time.Hour, age: 10*time.Minute - 4*time.Second, want: 4 * time.Second},
		"and then it is made again":                                {reason: v1alpha1.ReasonAwaitingApproval, deadline: time.Hour, age: 10 * time.Minute},
		"it is looked at when its deadline is over":                {reason: v1alpha1.ReasonAwaitingApproval, deadline: 7 * time.Second, want: 7 * time.Second},
		"and then it is judged":                                    {reason: v1alpha1.ReasonAwaitingApproval, deadline: -time.Second},
		"also behind a pause":                                      {reason: v1alpha1.ReasonPaused, deadline: -time.Second},
		"one made by a clock that was set back is made again":      {reason: v1alpha1.ReasonAwaitingApproval, deadline: time.Hour, age: -time.Second},
		"without a guard nothing is made again that has no answer": {reason: v1alpha1.ReasonGuardMissing, want: 5 * time.Second},
		"without a guard an answered plan is":                      {reason: v1alpha1.ReasonGuardMissing, answer: approved},
		"without a guard a plan is that needs no answer":           {reason: v1alpha1.ReasonGuardMissing, mode: v1alpha1.ModeAuto},
		"a cooldown is waited for":                                 {reason: v1alpha1.ReasonCooldown, mode: v1alpha1.ModeAuto, want: 5 * time.Second},
		"and its plan made again every two minutes":                {reason: v1alpha1.ReasonCooldown, mode: v1alpha1.ModeAuto, age: 2 * time.Minute},
		"a budget too": {reason: v1alpha1.ReasonBudgetSpent, mode: v1alpha1.ModeAuto, age: 2 * time.Minute},
		"whether a target is free only planning tells":                {reason: v1alpha1.ReasonTargetBusy},
		"what could not be read is read again":                        {reason: v1alpha1.ReasonUnreadable},
		"what could not be planned is planned again":                  {reason: v1alpha1.ReasonNotYet},
		"a reason that is not known yet is no reason to wait":         {reason: "OutsideWindow"},
		"what does not wait is judged":                                {reason: v1alpha1.ReasonAwaitingApproval, status: metav1.ConditionTrue, deadline: time.Hour},
		"a remediation without a plan is planned":                     {reason: v1alpha1.ReasonAwaitingApproval, unmade: true},
		"a plan with an answer to another plan waits as one that has": {reason: v1alpha1.ReasonAwaitingApproval, answer: &v1alpha1.Approval{Decision: v1alpha1.DecisionApproved, PlanDigest: "v1:sha256:other"}, deadline: time.Hour, want: 30 * time.Second},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			ar := &v1alpha1.AlertRemediation{}
			ar.Spec.Approval = row.answer
			if !row.unmade {
				ar.Status.Plan = &v1alpha1.PlanStatus{Digest: digest, Mode: v1alpha1.ModeApprove}
				if row.mode != "" {
					ar.Status.Plan.Mode = row.mode
				}
				if row.deadline != 0 {
					ar.Status.Plan.ApproveBefore = metav1.NewTime(noon.Add(row.deadline))
				}
			}
			status := metav1.ConditionUnknown
			if row.status != "" {
				status = row.status
			}
			ar.Status.Conditions = []metav1.Condition{{Type: v1alpha1.Approved, Status: status, Reason: row.reason, LastTransitionTime: metav1.NewTime(noon)}}
			if got := keepsWaiting(ar, row.age, noon); got != row.want {
				t.Errorf("waits %s, want %s", got, row.want)
			}
		})
	}
}
