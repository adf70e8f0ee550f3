package workflowrun

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

func TestTooLate(t *testing.T) {
	const forbidden, unknown = v1alpha1.ReasonReadForbidden, v1alpha1.ReasonUnknownKind
	owner := metav1.OwnerReference{APIVersion: v1alpha1.GroupVersion.String(), Kind: "AlertRemediation", Name: "ar-1", UID: "1", Controller: new(true)}
	rows := map[string]struct {
		age    time.Duration
		held   string        // the reason that holds it now
		before string        // that held it before
		since  time.Duration // for so long
		undo   bool
		owned  bool
		want   string // the reason it ends with; empty: it is held
		says   string
	}{
		"a pause holds it for a day":                               {age: 23 * time.Hour, held: v1alpha1.ReasonPaused, before: v1alpha1.ReasonPaused, since: 23 * time.Hour},
		"a pause does not hold it longer":                          {age: 24 * time.Hour, held: v1alpha1.ReasonPaused, want: v1alpha1.ReasonDeadlineExceeded, says: "Paused: because"},
		"nor does a busy target":                                   {age: 24 * time.Hour, held: v1alpha1.ReasonTargetBusy, owned: true, want: v1alpha1.ReasonDeadlineExceeded, says: "TargetBusy"},
		"nor what holds an undo that a person made":                {age: 24 * time.Hour, held: v1alpha1.ReasonPaused, undo: true, want: v1alpha1.ReasonDeadlineExceeded},
		"nor what holds an undo that is due":                       {age: 24 * time.Hour, held: v1alpha1.ReasonPaused, undo: true, owned: true, want: v1alpha1.ReasonDeadlineExceeded},
		"a forbidden read is tried again":                          {age: time.Hour, held: forbidden, before: forbidden, since: 9 * time.Minute},
		"for ten minutes":                                          {age: time.Hour, held: forbidden, before: forbidden, since: 10 * time.Minute, want: forbidden, says: "kubectl describe clusterrole kubernaut"},
		"as is an unknown kind":                                    {age: time.Hour, held: unknown, before: unknown, since: 10 * time.Minute, want: unknown, says: "kubectl api-resources"},
		"what held it before does not count":                       {age: time.Hour, held: forbidden, before: v1alpha1.ReasonPaused, since: time.Hour},
		"a source that is away for now has no such deadline":       {age: time.Hour, held: v1alpha1.ReasonUnreadable, before: v1alpha1.ReasonUnreadable, since: time.Hour},
		"nor has an undo that is due":                              {age: time.Hour, held: forbidden, before: forbidden, since: time.Hour, undo: true, owned: true},
		"an undo that a person made has":                           {age: time.Hour, held: forbidden, before: forbidden, since: time.Hour, undo: true, want: forbidden},
		"an API server's clock that is ahead does not end it soon": {age: -5 * time.Second, held: v1alpha1.ReasonPaused},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			run := &v1alpha1.WorkflowRun{ObjectMeta: metav1.ObjectMeta{Name: "r", CreationTimestamp: metav1.NewTime(moment.Add(-row.age))}}
			if row.undo {
				run.Spec.Undoes = "other"
			}
			if row.owned {
				run.OwnerReferences = []metav1.OwnerReference{owner}
			}
			if row.before != "" {
				run.Status.Conditions = []metav1.Condition{{
					Type: v1alpha1.Succeeded, Status: metav1.ConditionUnknown, Reason: row.before, LastTransitionTime: metav1.NewTime(moment.Add(-row.since)),
				}}
			}
			r := &Reconciler{Needs: Needs{Clock: clocktesting.NewFakePassiveClock(moment)}}
			why, late := r.tooLate(run, verdict(row.held, "because"))
			if late != (row.want != "") || why.Reason != row.want || !strings.Contains(why.Message, row.says) {
				t.Errorf("got %v: %s: %s", late, why.Reason, why.Message)
			}
		})
	}
}
