package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
)

func TestTheTablePutsWhatWaitsForAPersonFirst(t *testing.T) {
	now := build.Started.Add(time.Hour)
	item := func(name string, change func(*v1alpha1.AlertRemediation)) v1alpha1.AlertRemediation {
		return *build.Remediation("shop", name).With(func(ar *v1alpha1.AlertRemediation) {
			ar.CreationTimestamp = metav1.NewTime(build.Started)
			change(ar)
		}).Obj()
	}
	items := []v1alpha1.AlertRemediation{
		item("ended", func(ar *v1alpha1.AlertRemediation) {
			ar.Status.Outcome = v1alpha1.OutcomeRemediated
			ar.Status.Conditions = []metav1.Condition{{Type: v1alpha1.Succeeded, Status: metav1.ConditionTrue, Message: "the target is well"}}
		}),
		item("new", func(*v1alpha1.AlertRemediation) {}),
		item("waiting", func(ar *v1alpha1.AlertRemediation) {
			ar.Status.Phase = v1alpha1.PhaseAwaitingApproval
			ar.Status.Diagnosis = &v1alpha1.Diagnosis{Cause: v1alpha1.CauseOOMKilled}
			ar.Status.Conditions = []metav1.Condition{{Type: v1alpha1.Approved, Status: metav1.ConditionUnknown, Message: "waits for a person"}}
		}),
	}
	var got bytes.Buffer
	if err := printTable(&got, items, now); err != nil {
		t.Fatal(err)
	}
	want := `NAMESPACE  NAME     ALERT                TARGET  IS                CAUSE      ACTION  AGE  WHY
shop       waiting  KubePodCrashLooping  -       AwaitingApproval  OOMKilled  -       60m  waits for a person
shop       new      KubePodCrashLooping  -       Pending           -          -       60m  -
shop       ended    KubePodCrashLooping  -       Remediated        -          -       60m  the target is well
`
	if got.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", got.String(), want)
	}
}

func TestNothingFromOutsideReachesATerminalRaw(t *testing.T) {
	const trick = "\x1b]0;pwned\x07\x1b[2Jno\u202eitcudorp\nDEL"
	ar := build.Remediation("shop", "a").With(func(ar *v1alpha1.AlertRemediation) {
		ar.Spec.Alert.Name = trick
		ar.Spec.Approval = &v1alpha1.Approval{By: trick, Reason: trick, At: metav1.NewTime(build.Started)}
		ar.Status.Diagnosis = &v1alpha1.Diagnosis{Summary: trick, Evidence: []v1alpha1.Evidence{{Says: trick}}}
		ar.Status.Plan = &v1alpha1.PlanStatus{
			Steps:    []v1alpha1.PlanStep{{Action: trick, Diff: trick, Undo: trick}},
			Refusals: []v1alpha1.Refusal{{Reason: "Paused", Message: trick}},
		}
	}).Obj()
	var got bytes.Buffer
	p := printer{to: &got}
	p.describe(ar)
	if err := printTimeline(&got, timeline(ar, nil)); err != nil || p.err != nil {
		t.Fatal(err, p.err)
	}
	if err := printTable(&got, []v1alpha1.AlertRemediation{*ar}, build.Started); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(got.String(), "\x1b\x07\u202e") || strings.Contains(got.String(), "\nDEL") {
		t.Errorf("got:\n%q", got.String())
	}
}

func TestTheTimelineIsInOrder(t *testing.T) {
	ar := build.Remediation("shop", "a").With(func(ar *v1alpha1.AlertRemediation) {
		ar.CreationTimestamp = metav1.NewTime(build.Started.Add(time.Minute))
		ar.Status.Conditions = []metav1.Condition{
			{Type: v1alpha1.Succeeded, Status: metav1.ConditionTrue, Reason: "Remediated", LastTransitionTime: metav1.NewTime(build.Started.Add(9 * time.Minute))},
			{Type: v1alpha1.Admitted, Status: metav1.ConditionTrue, Reason: "TargetFound", LastTransitionTime: metav1.NewTime(build.Started.Add(2 * time.Minute))},
		}
		ar.Spec.Approval = &v1alpha1.Approval{Decision: v1alpha1.DecisionApproved, By: "anna", At: metav1.NewTime(build.Started.Add(3 * time.Minute))}
		ar.Status.Alert = &v1alpha1.AlertStatus{State: v1alpha1.AlertResolved, ResolvedAt: metav1.NewTime(build.Started.Add(8 * time.Minute))}
	}).Obj()
	var got bytes.Buffer
	if err := printTimeline(&got, timeline(ar, nil)); err != nil {
		t.Fatal(err)
	}
	want := `2026-03-01 03:00:00Z  the alert KubePodCrashLooping begins to fire
2026-03-01 03:01:00Z  received, as a
2026-03-01 03:02:00Z  Admitted: TargetFound
2026-03-01 03:03:00Z  Approved by anna
2026-03-01 03:08:00Z  the alert stops
2026-03-01 03:09:00Z  Succeeded: Remediated
`
	if got.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", got.String(), want)
	}
}
