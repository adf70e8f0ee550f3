package alertremediation

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// escalation is a remediation that called a person for a Deployment that can't start.
func escalation(uid types.UID, age time.Duration) *v1alpha1.AlertRemediation {
	ar := &v1alpha1.AlertRemediation{}
	ar.Namespace, ar.Name, ar.UID = "shop", "ar-"+string(uid), uid
	ar.CreationTimestamp = metav1.NewTime(noon.Add(-age))
	ar.Spec.Alert = v1alpha1.Alert{Source: v1alpha1.SourceAlertmanager, Name: "KubePodCrashLooping", Labels: map[string]string{"pod": "web-x"}}
	target := v1alpha1.TargetReference{ObjectReference: v1alpha1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "web"}, UID: "web-uid", Generation: 2}
	ar.Status.Target = &target
	ar.Status.Diagnosis = &v1alpha1.Diagnosis{
		Source: v1alpha1.SourceRules, Cause: v1alpha1.CauseCrashBadConfig, Target: target.DeepCopy(),
		Remedies: []v1alpha1.Remedy{{Action: "Escalate"}},
		Evidence: []v1alpha1.Evidence{
			{Kind: v1alpha1.EvidenceObject, Object: &v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: "shop", Name: "web-" + string(uid)}, Says: "container web ended 4 times, the last time with exit code 1, at 2026-03-01T12:00:00Z"},
			{Kind: v1alpha1.EvidenceLog, Says: "2026/03/01 12:00:00 missing key DB_HOST"},
		},
	}
	ar.Status.Outcome = v1alpha1.OutcomeEscalated
	ar.Status.Conditions = []metav1.Condition{
		{Type: v1alpha1.Planned, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonNothingToDo},
		{Type: v1alpha1.Succeeded, Status: metav1.ConditionFalse, Reason: string(v1alpha1.OutcomeEscalated)},
	}
	return ar
}

func TestSameEscalation(t *testing.T) {
	rows := map[string]struct {
		change func(ar, other *v1alpha1.AlertRemediation)
		same   bool
	}{
		"another firing of the same, by another pod": {func(_, _ *v1alpha1.AlertRemediation) {}, true},
		"after more restarts, later": {func(ar, _ *v1alpha1.AlertRemediation) {
			ar.Status.Diagnosis.Evidence[0].Says = "container web ended 9 times, the last time with exit code 1, at 2026-03-01T13:00:00Z"
			ar.Status.Diagnosis.Evidence[1].Says = "2026/03/01 13:00:00 missing key DB_HOST"
			ar.Status.Diagnosis.Summary = "another sentence"
		}, true},
		"another alert of the same cause": {func(ar, _ *v1alpha1.AlertRemediation) { ar.Spec.Alert.Name = "KubeDeploymentReplicasMismatch" }, true},
		"an alert that names nothing here": {func(ar, other *v1alpha1.AlertRemediation) {
			ar.Status.Target, other.Status.Target, ar.Status.Diagnosis, other.Status.Diagnosis = nil, nil, nil, nil
		}, true},
		"another alert that names nothing here": {func(ar, other *v1alpha1.AlertRemediation) {
			ar.Status.Target, other.Status.Target, ar.Status.Diagnosis, other.Status.Diagnosis = nil, nil, nil, nil
			ar.Spec.Alert.Labels = map[string]string{"pod": "other"}
		}, false},
		"another cause": {func(ar, _ *v1alpha1.AlertRemediation) { ar.Status.Diagnosis.Cause = v1alpha1.CauseOOMKilled }, false},
		"another exit code": {func(ar, _ *v1alpha1.AlertRemediation) {
			ar.Status.Diagnosis.Evidence[0].Says = "container web ended 4 times, the last time with exit code 2, at 2026-03-01T12:00:00Z"
		}, false},
		"another line of the log": {func(ar, _ *v1alpha1.AlertRemediation) {
			ar.Status.Diagnosis.Evidence[1].Says = "2026/03/01 12:00:00 missing key DB_PORT"
		}, false},
		"less evidence": {func(ar, _ *v1alpha1.AlertRemediation) {
			ar.Status.Diagnosis.Evidence = ar.Status.Diagnosis.Evidence[:1]
		}, false},
		"another remedy": {func(ar, _ *v1alpha1.AlertRemediation) { ar.Status.Diagnosis.Remedies[0].Action = "RolloutUndo" }, false},
		"a remedy that is refused": {func(ar, _ *v1alpha1.AlertRemediation) {
			ar.Status.Diagnosis.Remedies[0].Refused = &v1alpha1.Refusal{Reason: v1alpha1.ReasonIneffective}
		}, false},
		"another reason": {func(ar, _ *v1alpha1.AlertRemediation) { ar.Status.Conditions[0].Reason = v1alpha1.ReasonNotYet }, false},
		"a changed target": {func(ar, _ *v1alpha1.AlertRemediation) {
			ar.Status.Target.Generation, ar.Status.Diagnosis.Target.Generation = 3, 3
		}, false},
		"a target made anew": {func(ar, _ *v1alpha1.AlertRemediation) { ar.Status.Target.UID = "another" }, false},
		"another target": {func(ar, _ *v1alpha1.AlertRemediation) {
			ar.Status.Target.Name, ar.Status.Target.UID = "other", "another"
		}, false},
		"no diagnosis":                      {func(ar, _ *v1alpha1.AlertRemediation) { ar.Status.Diagnosis = nil }, false},
		"one that made a change":            {func(_, other *v1alpha1.AlertRemediation) { other.Status.RunRef = "ar-run-1" }, false},
		"one that was no call for a person": {func(_, other *v1alpha1.AlertRemediation) { other.Status.Outcome = v1alpha1.OutcomeRecommended }, false},
		"one of a later alert": {func(_, other *v1alpha1.AlertRemediation) {
			other.CreationTimestamp = metav1.NewTime(noon.Add(time.Hour))
		}, false},
		"what a tenant wrote by hand": {func(_, other *v1alpha1.AlertRemediation) { other.Spec.Alert.Source = v1alpha1.SourceManual }, false},
		"one of another namespace":    {func(_, other *v1alpha1.AlertRemediation) { other.Namespace = "elsewhere" }, false},
		"one that may do less":        {func(_, other *v1alpha1.AlertRemediation) { other.Spec.Mode = v1alpha1.ModeObserve }, false},
		"itself":                      {func(ar, other *v1alpha1.AlertRemediation) { other.UID = ar.UID }, false},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			ar, other := escalation("b", time.Minute), escalation("a", time.Hour)
			row.change(ar, other)
			if got := sameEscalation(ar, other); got != row.same {
				t.Errorf("got %v, want %v", got, row.same)
			}
		})
	}
}

func TestWithoutMoments(t *testing.T) {
	rows := map[string]string{
		"ended 4 times, the last time 5m30s ago":           "ended # times, the last time # ago",
		"exit code 137; port 8080 of Service/db":           "exit code 137; port 8080 of Service/db",
		"3 of 5 pods of revision 7 are ready (2)":          "# of # pods of revision 7 are ready (#)",
		"at 2026-03-01T12:00:00Z Secret db-2 is not found": "at # Secret db-2 is not found",
		"image example.test/web:2 is not found":            "image example.test/web:2 is not found",
		"pod web-7c9-x2b9k waits":                          "pod # waits",
		"":                                                 "",
	}
	for says, want := range rows {
		if got := withoutMoments(says, []string{"web-7c9-x2b9k"}); got != want {
			t.Errorf("%q: got %q, want %q", says, got, want)
		}
	}
}
