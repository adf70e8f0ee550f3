package retention

import (
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

var now = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

func remediation(name string, ago time.Duration, change ...func(*v1alpha1.AlertRemediation)) v1alpha1.AlertRemediation {
	ar := v1alpha1.AlertRemediation{ObjectMeta: metav1.ObjectMeta{Name: name}}
	ar.Spec.Alert.Source = v1alpha1.SourceAlertmanager
	ar.Status.Alert = &v1alpha1.AlertStatus{State: v1alpha1.AlertResolved}
	ar.Status.Conditions = []metav1.Condition{{Type: v1alpha1.Succeeded, Status: metav1.ConditionTrue, LastTransitionTime: metav1.NewTime(now.Add(-ago))}}
	for _, c := range change {
		c(&ar)
	}
	return ar
}

func firing(ar *v1alpha1.AlertRemediation)  { ar.Status.Alert = nil }
func living(ar *v1alpha1.AlertRemediation)  { ar.Status.Conditions[0].Status = metav1.ConditionUnknown }
func byWatch(ar *v1alpha1.AlertRemediation) { ar.Spec.Alert.Source = v1alpha1.SourceWatch }
func going(ar *v1alpha1.AlertRemediation)   { ar.DeletionTimestamp = new(metav1.NewTime(now)) }

func many(n int, change ...func(*v1alpha1.AlertRemediation)) []v1alpha1.AlertRemediation {
	var all []v1alpha1.AlertRemediation
	for i := range n {
		all = append(all, remediation(fmt.Sprintf("n%d", i), time.Duration(i)*time.Minute, change...))
	}
	slices.Reverse(all) // in no order that would help
	return all
}

func TestOutdated(t *testing.T) {
	owned := v1alpha1.WorkflowRun{ObjectMeta: metav1.ObjectMeta{Name: "owned", OwnerReferences: []metav1.OwnerReference{{Name: "a", Controller: new(true)}}}}
	owned.Status.Conditions = remediation("", 30*day).Status.Conditions
	byHand := v1alpha1.WorkflowRun{ObjectMeta: metav1.ObjectMeta{Name: "by-hand"}}
	byHand.Status.Conditions = owned.Status.Conditions
	lately := v1alpha1.WorkflowRun{ObjectMeta: metav1.ObjectMeta{Name: "lately"}}
	lately.Status.Conditions = remediation("", -time.Minute).Status.Conditions
	rows := map[string]struct {
		remediations []v1alpha1.AlertRemediation
		runs         []v1alpha1.WorkflowRun
		gone         []string
		next         time.Duration
	}{
		"what ended a week ago goes, what ended later stays until it is a week": {
			remediations: []v1alpha1.AlertRemediation{remediation("old", 7*day), remediation("young", 6*day)}, gone: []string{"old"}, next: day},
		"what has not ended stays":                              {remediations: []v1alpha1.AlertRemediation{remediation("a", 30*day, living)}},
		"what is being deleted is let go":                       {remediations: []v1alpha1.AlertRemediation{remediation("a", 30*day, going)}},
		"what still fires is the memory that it was dealt with": {remediations: []v1alpha1.AlertRemediation{remediation("a", 8*day, firing)}, next: 20 * day},
		"but not for ever":                                      {remediations: []v1alpha1.AlertRemediation{remediation("a", 28*day, firing)}, gone: []string{"a"}},
		"nobody sends again what a trigger saw":                 {remediations: []v1alpha1.AlertRemediation{remediation("a", 8*day, firing, byWatch)}, gone: []string{"a"}},
		"a run goes with its remediation, one by hand alone":    {runs: []v1alpha1.WorkflowRun{owned, byHand}, gone: []string{"by-hand"}},
		"of many the youngest stay":                             {remediations: many(12), gone: []string{"n10", "n11"}, next: 7*day - 9*time.Minute},
		"what still fires counts, and keeps its place before what does not": {
			remediations: append(many(10), remediation("f", 6*day, firing)), gone: []string{"n9"}, next: 7*day - 8*time.Minute},
		"alerts that are never said to be over leave no more than others": {
			remediations: many(12, firing), gone: []string{"n10", "n11"}, next: 28*day - 9*time.Minute},
		"alerts that are never said to be over leave places to what ended later": {
			remediations: append(many(10, firing), remediation("a", -time.Minute)), runs: []v1alpha1.WorkflowRun{lately},
			gone: []string{"n8", "n9"}, next: 7*day + time.Minute},
		"no more than half of the places are kept for what fires": {
			remediations: append(many(10), remediation("f1", day, firing), remediation("f2", day, firing), remediation("f3", day, firing),
				remediation("f4", day, firing), remediation("f5", day, firing), remediation("f6", day, firing)),
			gone: []string{"f6", "n5", "n6", "n7", "n8", "n9"}, next: 7*day - 4*time.Minute},
		"what fires and has not ended counts for nothing": {
			remediations: append(many(10), remediation("a", 0, firing, living)), next: 7*day - 9*time.Minute},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			gone, next := outdated(endings(row.remediations, row.runs), 7*day, 10, now)
			var names []string
			for _, obj := range gone {
				names = append(names, obj.GetName())
			}
			slices.Sort(names)
			if !slices.Equal(names, row.gone) || next != row.next {
				t.Errorf("got %v and %s, want %v and %s", names, next, row.gone, row.next)
			}
		})
	}
}

func TestWanted(t *testing.T) {
	policy := func(name string, r *v1alpha1.PolicyRetention) v1alpha1.RemediationPolicy {
		return v1alpha1.RemediationPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.RemediationPolicySpec{Retention: r}}
	}
	two := &v1alpha1.PolicyRetention{Keep: &metav1.Duration{Duration: 2 * day}, Most: 20}
	three := &v1alpha1.PolicyRetention{Keep: &metav1.Duration{Duration: 3 * day}}
	shipped := policy("default", three)
	rows := map[string]struct {
		policies []v1alpha1.RemediationPolicy
		shipped  *v1alpha1.RemediationPolicy
		keep     time.Duration
		most     int
	}{
		"nobody says anything":                  {keep: shippedKeep, most: shippedMost},
		"a policy says it":                      {policies: []v1alpha1.RemediationPolicy{policy("p", two)}, shipped: &shipped, keep: 2 * day, most: 20},
		"the first by name that says it counts": {policies: []v1alpha1.RemediationPolicy{policy("c", three), policy("b", two), policy("a", nil)}, keep: 2 * day, most: 20},
		"the operator's default says it":        {policies: []v1alpha1.RemediationPolicy{policy("p", nil)}, shipped: &shipped, keep: 3 * day, most: shippedMost},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if keep, most := wanted(row.policies, row.shipped); keep != row.keep || most != row.most {
				t.Errorf("got %s and %d, want %s and %d", keep, most, row.keep, row.most)
			}
		})
	}
}
