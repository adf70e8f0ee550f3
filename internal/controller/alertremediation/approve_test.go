package alertremediation

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/policy"
)

func TestRule(t *testing.T) {
	const digest = "v1:sha256:this"
	no := func(kind policy.Kind, reason string) policy.Refusal {
		return policy.Refusal{Kind: kind, Refusal: v1alpha1.Refusal{Reason: reason, Message: "because"}}
	}
	awaiting := no(policy.Waits, v1alpha1.ReasonAwaitingApproval)
	word := func(d v1alpha1.Decision, digest string) *v1alpha1.Approval {
		return &v1alpha1.Approval{Decision: d, By: "jane", PlanDigest: digest}
	}
	rows := map[string]struct {
		mode     v1alpha1.Mode
		refusals []policy.Refusal
		word     *v1alpha1.Approval
		late     bool
		reason   string
		outcome  v1alpha1.Outcome
		waits    bool
	}{
		"Auto with nothing against it goes on":                       {mode: v1alpha1.ModeAuto, reason: v1alpha1.ReasonPolicyAllows},
		"Approve with the person's word goes on":                     {mode: v1alpha1.ModeApprove, word: word(v1alpha1.DecisionApproved, digest), reason: v1alpha1.ReasonPersonApproved},
		"Approve without a word waits":                               {mode: v1alpha1.ModeApprove, refusals: []policy.Refusal{awaiting}, reason: v1alpha1.ReasonAwaitingApproval, waits: true},
		"Approve without a word at the deadline expires":             {mode: v1alpha1.ModeApprove, refusals: []policy.Refusal{awaiting}, late: true, reason: v1alpha1.ReasonDeadlineExceeded, outcome: v1alpha1.OutcomeExpired},
		"a word about another plan is no answer at the deadline":     {mode: v1alpha1.ModeApprove, refusals: []policy.Refusal{awaiting}, word: word(v1alpha1.DecisionApproved, "v1:sha256:other"), late: true, reason: v1alpha1.ReasonDeadlineExceeded, outcome: v1alpha1.OutcomeExpired},
		"a rejection of this plan ends it":                           {mode: v1alpha1.ModeApprove, refusals: []policy.Refusal{awaiting}, word: word(v1alpha1.DecisionRejected, digest), reason: v1alpha1.ReasonRejected, outcome: v1alpha1.OutcomeRejected},
		"a rejection of another plan does not":                       {mode: v1alpha1.ModeApprove, refusals: []policy.Refusal{awaiting}, word: word(v1alpha1.DecisionRejected, "v1:sha256:other"), reason: v1alpha1.ReasonAwaitingApproval, waits: true},
		"an approved plan waits behind a pause, and does not expire": {mode: v1alpha1.ModeApprove, refusals: []policy.Refusal{no(policy.Waits, v1alpha1.ReasonPaused)}, word: word(v1alpha1.DecisionApproved, digest), late: true, reason: v1alpha1.ReasonPaused, waits: true},
		"Observe ends observed whatever the gates say":               {mode: v1alpha1.ModeObserve, refusals: []policy.Refusal{no(policy.Ends, v1alpha1.ReasonForbidden)}, reason: v1alpha1.ReasonModeRecommends, outcome: v1alpha1.OutcomeObserved},
		"Recommend ends recommended whatever the gates say":          {mode: v1alpha1.ModeRecommend, refusals: []policy.Refusal{no(policy.Waits, v1alpha1.ReasonPaused)}, reason: v1alpha1.ReasonModeRecommends, outcome: v1alpha1.OutcomeRecommended},
		"a no that ends is a refusal, before any that waits":         {mode: v1alpha1.ModeAuto, refusals: []policy.Refusal{no(policy.Waits, v1alpha1.ReasonPaused), no(policy.Ends, v1alpha1.ReasonForbidden)}, reason: v1alpha1.ReasonForbidden, outcome: v1alpha1.OutcomeRefused},
		"a person's no ends as rejected in Auto too":                 {mode: v1alpha1.ModeAuto, refusals: []policy.Refusal{no(policy.Ends, v1alpha1.ReasonRejected)}, reason: v1alpha1.ReasonRejected, outcome: v1alpha1.OutcomeRejected},
		"an alert that resolved ends well, before all else":          {mode: v1alpha1.ModeAuto, refusals: []policy.Refusal{no(policy.Ends, v1alpha1.ReasonForbidden), no(policy.Resolved, v1alpha1.ReasonAlertResolved)}, reason: v1alpha1.ReasonAlertResolved, outcome: v1alpha1.OutcomeResolvedItself},
		"Auto behind a gate that waits waits":                        {mode: v1alpha1.ModeAuto, refusals: []policy.Refusal{no(policy.Waits, v1alpha1.ReasonUnreadable)}, reason: v1alpha1.ReasonUnreadable, waits: true},
		"no known mode never lets anything through":                  {reason: v1alpha1.ReasonUnreadable, waits: true},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			ar := &v1alpha1.AlertRemediation{}
			ar.Spec.Approval = row.word
			ar.Status.Diagnosis = &v1alpha1.Diagnosis{}
			ar.Status.Plan = &v1alpha1.PlanStatus{Digest: digest, Steps: []v1alpha1.PlanStep{{}}, Affected: &v1alpha1.Affected{}}
			ar.Status.Plan.ApproveBefore = metav1.NewTime(noon.Add(time.Hour))
			now := noon
			if row.late {
				now = noon.Add(time.Hour)
			}
			got := rule(ar, policy.Judgement{Mode: row.mode, Refusals: row.refusals}, now)
			if got.reason != row.reason || got.outcome != row.outcome || (got.wait > 0) != row.waits {
				t.Errorf("got %+v", got)
			}
		})
	}
}
