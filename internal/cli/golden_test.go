package cli

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
)

var update = flag.Bool("update", false, "write what is printed into testdata instead of comparing it")

// golden compares what was printed with what a person has read and found good.
func golden(t testing.TB, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got:\n%s\nwant:\n%s", path, got, want)
	}
}

// Golden is for the tests that are outside of the package.
var Golden = golden

// at is so many minutes after the alert began to fire.
func at(minutes int) metav1.Time {
	return metav1.NewTime(build.Started.Add(time.Duration(minutes) * time.Minute))
}

// waiting is a remediation that has got as far as a person.
func waiting() *v1alpha1.AlertRemediation {
	target := build.DeploymentTarget("shop", "checkout", "u")
	return build.Remediation("shop", "ar-0123456789abcdef").FromAlertmanager("f00d").With(func(ar *v1alpha1.AlertRemediation) {
		ar.CreationTimestamp = at(1)
		ar.Spec.Alert.Labels = map[string]string{"namespace": "shop", "deployment": "checkout"}
		ar.Spec.Alert.Annotations = map[string]string{"summary": "Pod is crash looping."}
		ar.Status.Phase = v1alpha1.PhaseAwaitingApproval
		ar.Status.Target = &target
		ar.Status.Diagnosis = &v1alpha1.Diagnosis{
			Cause: v1alpha1.CauseCrashBadRelease, Confidence: 95, Source: v1alpha1.SourceRules,
			Summary:  "revision 2 crashes with exit code 1, revision 1 ran",
			Evidence: []v1alpha1.Evidence{{Kind: v1alpha1.EvidenceLog, Object: &target.ObjectReference, Says: "panic: no such flag"}},
			Skipped:  []v1alpha1.SkippedSource{{Source: "holmes", Reason: "BreakerOpen"}},
		}
		ar.Status.Plan = &v1alpha1.PlanStatus{
			Digest: build.Digest, Mode: v1alpha1.ModeApprove, Policy: "shop/phase-1-approve", ApproveBefore: at(240),
			Affected: &v1alpha1.Affected{Objects: 1, Pods: 2},
			Steps: []v1alpha1.PlanStep{{
				Name: "remedy", Action: "RolloutUndo", Target: target, Risk: v1alpha1.RiskMedium,
				Diff: "  Deployment/checkout\n-   image: checkout:2\n+   image: checkout:1\n",
				Undo: "  Deployment/checkout\n-   image: checkout:1\n+   image: checkout:2\n",
			}},
			Refusals: []v1alpha1.Refusal{
				{Reason: v1alpha1.ReasonEmergencyStop, Message: "Everything is stopped."},
				{Reason: v1alpha1.ReasonAwaitingApproval, Message: "The plan waits for a person."},
			},
		}
		ar.Status.Conditions = []metav1.Condition{
			{Type: v1alpha1.Succeeded, Status: metav1.ConditionUnknown, Reason: "Running", LastTransitionTime: at(1)},
			{Type: v1alpha1.Admitted, Status: metav1.ConditionTrue, Reason: "TargetFound", Message: "the alert is about Deployment/checkout", LastTransitionTime: at(1)},
			{Type: v1alpha1.Diagnosed, Status: metav1.ConditionTrue, Reason: "CauseFound", Message: "CrashBadRelease", LastTransitionTime: at(2)},
			{Type: v1alpha1.Planned, Status: metav1.ConditionTrue, Reason: "PlanReady", Message: "RolloutUndo of Deployment/checkout", LastTransitionTime: at(2)},
			{Type: v1alpha1.Approved, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonAwaitingApproval, Message: "The plan waits for a person.", LastTransitionTime: at(2)},
		}
	}).Obj()
}

// ended is the story of that remediation to its end, with everything that can be told.
func ended() story {
	ar := waiting()
	ar.Spec.Approval = &v1alpha1.Approval{Decision: v1alpha1.DecisionApproved, By: "anna", At: at(10), Reason: "seen it before", PlanDigest: build.Digest}
	ar.Status.Phase, ar.Status.Outcome, ar.Status.RunRef = v1alpha1.PhaseDone, v1alpha1.OutcomeRemediated, ar.Name+"-run-1"
	ar.Status.Plan.Refusals = nil
	ar.Status.Alert = &v1alpha1.AlertStatus{State: v1alpha1.AlertResolved, ResolvedAt: at(14)}
	ar.Status.Verification = &v1alpha1.Verification{Alert: v1alpha1.AlertResolved, Health: v1alpha1.HealthHealthy, Since: at(12)}
	ar.Status.Conditions = append(ar.Status.Conditions[1:4:4], []metav1.Condition{
		{Type: v1alpha1.Approved, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonPersonApproved, Message: "approved by anna", LastTransitionTime: at(11)},
		{Type: v1alpha1.Executed, Status: metav1.ConditionTrue, Reason: "Completed", Message: "everything was done", LastTransitionTime: at(12)},
		{Type: v1alpha1.Verified, Status: metav1.ConditionTrue, Reason: "Healthy", Message: "the alert resolved and the target has been healthy for 5m0s", LastTransitionTime: at(17)},
		{Type: v1alpha1.Succeeded, Status: metav1.ConditionTrue, Reason: "Remediated", Message: "the alert resolved and the target has been healthy for 5m0s", LastTransitionTime: at(17)},
	}...)
	target := *ar.Status.Target
	run := build.Run("shop", ar.Status.RunRef, target).Step("remedy", "RolloutUndo", nil).With(func(run *v1alpha1.WorkflowRun) {
		run.Status.Actor = "system:serviceaccount:shop:kubernaut-remediator"
		run.Status.Steps = []v1alpha1.StepStatus{{Name: "remedy", State: v1alpha1.StepSucceeded, Operations: []v1alpha1.OperationStatus{{
			Operation: v1alpha1.Operation{Verb: v1alpha1.VerbPatch, Object: target.ObjectReference},
			State:     v1alpha1.OperationApplied, AppliedAt: metav1.NewMicroTime(at(11).Time),
		}}}}
	}).Obj()
	also := build.Remediation("shop", "ar-fedcba9876543210").Alert("KubeDeploymentReplicasMismatch", nil).With(func(other *v1alpha1.AlertRemediation) {
		other.Spec.Alert.StartsAt, other.Status.DuplicateOf = at(5), ar.Name
	}).Obj()
	event := func(minutes int, kind, reason, message string) corev1.Event {
		return corev1.Event{Action: v1alpha1.Approved, Type: kind, Reason: reason, Message: message, EventTime: metav1.NewMicroTime(at(minutes).Time)}
	}
	return story{
		ar: ar, runs: []v1alpha1.WorkflowRun{*run}, also: []v1alpha1.AlertRemediation{*also},
		events: []corev1.Event{
			event(2, "Normal", v1alpha1.ReasonAwaitingApproval, "Approved: The plan waits for a person."),
			event(8, "Normal", v1alpha1.ReasonPaused, "Approved: ben paused RemediationPolicy shop/phase-1-approve: moving the database"),
			event(11, "Normal", v1alpha1.ReasonPersonApproved, "Approved: approved by anna"),
		},
		edits:  []edit{{object: target.ObjectReference, by: "kubectl-edit", at: at(13).Time}},
		untold: []string{"who else wrote to Service/checkout, since you may not read it"},
	}
}

func TestWhatIsPrintedOfOneRemediationIsGolden(t *testing.T) {
	prints := map[string]func(p *printer){
		"describe.txt":          func(p *printer) { p.describe(ended().ar) },
		"describe-waiting.txt":  func(p *printer) { p.describe(waiting()) },
		"describe-new.txt":      func(p *printer) { p.describe(build.Remediation("shop", "a").Obj()) },
		"timeline.txt":          func(p *printer) { p.tell(ended()) },
		"timeline-waiting.txt":  func(p *printer) { p.tell(story{ar: waiting()}) },
		"timeline-markdown.md":  func(p *printer) { p.postMortem(ended()) },
		"markdown-waiting.md":   func(p *printer) { p.postMortem(story{ar: waiting()}) },
		"diff.txt":              func(p *printer) { p.plan("", waiting().Status.Plan); p.next(waiting()) },
		"diff-coloured.txt":     func(p *printer) { p.Colours = true; p.plan("", waiting().Status.Plan) },
		"describe-coloured.txt": func(p *printer) { p.Colours = true; p.describe(ended().ar) },
	}
	for name, print := range prints {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			p := printer{Screen: Screen{Writer: &got}}
			print(&p)
			if p.err != nil {
				t.Fatal(p.err)
			}
			golden(t, name, got.String())
		})
	}
}

func TestTheTableIsGolden(t *testing.T) {
	items := func() []v1alpha1.AlertRemediation {
		foreign := build.Remediation("shop", "b").Alert("Zahlungsverzögerung", nil).With(func(ar *v1alpha1.AlertRemediation) {
			ar.CreationTimestamp, ar.Status.Outcome = at(3), v1alpha1.OutcomeFailed
			ar.Status.Conditions = []metav1.Condition{{Type: v1alpha1.Succeeded, Status: metav1.ConditionFalse, Message: "a-run-1 did not help and could not be taken back: the API server said no"}}
		}).Obj()
		return []v1alpha1.AlertRemediation{*foreign, *ended().ar, *waiting()}
	}
	screens := map[string]Screen{
		"get.txt": {}, "get-coloured.txt": {Colours: true}, "get-120.txt": {Colours: true, Width: 120}, "get-80.txt": {Width: 80}, "get-40.txt": {Width: 40},
	}
	for name, screen := range screens {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			screen.Writer = &got
			if err := (table{items: items(), everywhere: name == "get.txt", now: at(30).Time}).print(screen); err != nil {
				t.Fatal(err)
			}
			golden(t, name, got.String())
		})
	}
}
