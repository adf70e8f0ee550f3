package alertremediation

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

func TestNews(t *testing.T) {
	const plan = "RolloutUndo of Deployment/web (risk medium): objects written 1, pods replaced 1"
	conditions := func(all ...metav1.Condition) *v1alpha1.AlertRemediation {
		return &v1alpha1.AlertRemediation{Status: v1alpha1.AlertRemediationStatus{Conditions: all}}
	}
	condition := func(kind string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
		return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message}
	}
	admitted := condition(v1alpha1.Admitted, metav1.ConditionTrue, v1alpha1.ReasonTargetFound, "the alert is about Deployment/web")
	running := condition(v1alpha1.Succeeded, metav1.ConditionUnknown, v1alpha1.ReasonRunning, "")
	planned := condition(v1alpha1.Planned, metav1.ConditionTrue, v1alpha1.ReasonPlanReady, plan)
	allowed := condition(v1alpha1.Approved, metav1.ConditionTrue, v1alpha1.ReasonPolicyAllows, "policy shop/heal allows it")
	waits := condition(v1alpha1.Approved, metav1.ConditionUnknown, v1alpha1.ReasonAwaitingApproval, "somebody is asked")
	recommends := condition(v1alpha1.Approved, metav1.ConditionFalse, v1alpha1.ReasonModeRecommends, "the mode in force is Recommend: "+plan)
	recommended := condition(v1alpha1.Succeeded, metav1.ConditionTrue, string(v1alpha1.OutcomeRecommended), "the mode in force is Recommend: "+plan)
	duplicate := condition(v1alpha1.Admitted, metav1.ConditionFalse, v1alpha1.ReasonDuplicate, "")
	isDuplicate := condition(v1alpha1.Succeeded, metav1.ConditionTrue, string(v1alpha1.OutcomeDuplicate), "Deployment/web is what AlertRemediation first is about")
	forbidden := condition(v1alpha1.Approved, metav1.ConditionFalse, v1alpha1.ReasonForbidden, "it may not patch deployments")
	refused := condition(v1alpha1.Succeeded, metav1.ConditionFalse, string(v1alpha1.OutcomeRefused), "it may not patch deployments")
	longer := planned
	longer.Message += ", in other words"

	rows := map[string]struct {
		before, after *v1alpha1.AlertRemediation
		want          []string // reasons
	}{
		"nothing changed": {conditions(admitted, planned), conditions(admitted, planned), nil},
		"that it runs and what it is about, is none":   {conditions(), conditions(admitted, running), nil},
		"a plan that waits":                            {conditions(admitted), conditions(admitted, planned, waits), []string{v1alpha1.ReasonPlanReady, v1alpha1.ReasonAwaitingApproval}},
		"a plan that is allowed at once":               {conditions(admitted), conditions(admitted, planned, allowed), []string{v1alpha1.ReasonPlanReady, v1alpha1.ReasonPolicyAllows}},
		"an end that tells the plan, and the refusal":  {conditions(admitted, running), conditions(admitted, planned, recommends, recommended), []string{string(v1alpha1.OutcomeRecommended)}},
		"a refusal, and the end that it is":            {conditions(admitted, running), conditions(admitted, forbidden, refused), []string{v1alpha1.ReasonForbidden, string(v1alpha1.OutcomeRefused)}},
		"an end that tells more than an empty message": {conditions(), conditions(duplicate, isDuplicate), []string{string(v1alpha1.OutcomeDuplicate)}},
		"other words for the same state are none":      {conditions(admitted, planned), conditions(admitted, longer), nil},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, c := range news(row.before, row.after) {
				got = append(got, c.Reason)
			}
			if !slices.Equal(got, row.want) {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}
