package ledger

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
)

var now = build.Started.Add(time.Hour)

func remediated(change ...func(*v1alpha1.AlertRemediation)) *v1alpha1.AlertRemediation {
	ar := build.Remediation("shop", "a").FromAlertmanager("f00d").With(func(ar *v1alpha1.AlertRemediation) {
		ar.UID = "u"
		ar.CreationTimestamp = metav1.NewTime(build.Started)
	}).Obj()
	for _, c := range change {
		c(ar)
	}
	return ar
}

func holds(kind string, status metav1.ConditionStatus, reason string) func(*v1alpha1.AlertRemediation) {
	return func(ar *v1alpha1.AlertRemediation) {
		ar.Status.Conditions = append(ar.Status.Conditions, metav1.Condition{Type: kind, Status: status, Reason: reason, Message: "because"})
	}
}

func answered(by string) func(*v1alpha1.AlertRemediation) {
	return func(ar *v1alpha1.AlertRemediation) {
		ar.Spec.Approval = &v1alpha1.Approval{Decision: v1alpha1.DecisionApproved, By: by, Reason: "seen\nit\x1b[2J", PlanDigest: "v1:sha256:1"}
	}
}

func resolved(ar *v1alpha1.AlertRemediation) {
	ar.Status.Alert = &v1alpha1.AlertStatus{State: v1alpha1.AlertResolved}
}

func fires(ar *v1alpha1.AlertRemediation) {
	ar.Status.Alert = &v1alpha1.AlertStatus{State: v1alpha1.AlertFiring}
}

func seventh(ar *v1alpha1.AlertRemediation) { ar.ResourceVersion = "7" }

func carriedOut(states ...v1alpha1.OperationState) *v1alpha1.WorkflowRun {
	target := build.DeploymentTarget("shop", "web", "d")
	run := build.Run("shop", "a-run-1", target).Step("one", "RolloutUndo", nil).Digest("v1:sha256:1").Obj()
	run.UID, run.Status.Actor = "r", "system:serviceaccount:shop:kubernaut-remediator"
	step := v1alpha1.StepStatus{Name: "one"}
	for _, state := range states {
		step.Operations = append(step.Operations, v1alpha1.OperationStatus{Operation: v1alpha1.Operation{Verb: v1alpha1.VerbPatch, Object: target.ObjectReference}, State: state})
	}
	run.Status.Steps = []v1alpha1.StepStatus{step}
	return run
}

func paused(requests ...v1alpha1.PauseRequest) *v1alpha1.RemediationPolicy {
	p := build.Policy("shop", "own", v1alpha1.ModeAuto).Obj()
	p.UID, p.Spec.PauseRequests = "p", requests
	return p
}

// identity is the id in a line.
var identity = regexp.MustCompile(`"id":"[0-9a-f]{16}",`)

func TestEachTransitionIsOneLine(t *testing.T) {
	const head = `{"time":"2026-03-01T04:00:00Z","kind":"AlertRemediation","namespace":"shop","name":"a","uid":"u",`
	const runs = `{"time":"2026-03-01T04:00:00Z","kind":"WorkflowRun","namespace":"shop","name":"a-run-1","uid":"r",`
	const rules = `{"time":"2026-03-01T04:00:00Z","kind":"RemediationPolicy","namespace":"shop","name":"own","uid":"p",`
	anna := v1alpha1.PauseRequest{By: "anna", Reason: "moving"}
	rows := map[string]struct {
		before, after any
		want          []string
	}{
		"a remediation is new": {nil, remediated(), []string{head + `"what":"AlertRemediation","to":"Created","message":"Alertmanager: KubePodCrashLooping"}`}},
		"nothing changed":      {remediated(), remediated(), nil},
		"a condition comes": {remediated(), remediated(holds(v1alpha1.Admitted, "True", "TargetFound")), []string{
			head + `"what":"Admitted","to":"True/TargetFound","message":"because"}`}},
		"several come in one write, in their order": {remediated(), remediated(holds(v1alpha1.Planned, "True", "PlanReady"), holds(v1alpha1.Diagnosed, "True", "CauseFound")), []string{
			head + `"what":"Diagnosed","to":"True/CauseFound","message":"because"}`,
			head + `"what":"Planned","to":"True/PlanReady","message":"because"}`}},
		"a condition changes": {remediated(holds(v1alpha1.Approved, "Unknown", "AwaitingApproval")), remediated(holds(v1alpha1.Approved, "True", "PersonApproved")), []string{
			head + `"what":"Approved","from":"Unknown/AwaitingApproval","to":"True/PersonApproved","message":"because"}`}},
		"a person answers, and nothing of it reaches a terminal raw": {remediated(), remediated(answered("anna")), []string{
			head + `"what":"Approval","to":"Approved","message":"seen it","actor":"anna","digest":"v1:sha256:1"}`}},
		"the alert stops": {remediated(), remediated(resolved), []string{head + `"what":"Alert","from":"Firing","to":"Resolved"}`}},
		"an alert that was heard of already fires": {nil, remediated(fires, seventh), []string{
			strings.Replace(head, `"kind"`, `"version":"7","kind"`, 1) + `"what":"AlertRemediation","to":"Created","message":"Alertmanager: KubePodCrashLooping"}`,
			strings.Replace(head, `"kind"`, `"version":"7","kind"`, 1) + `"what":"Alert","to":"Firing"}`}},
		"an operation is claimed": {carriedOut(""), carriedOut(v1alpha1.OperationClaimed), []string{
			runs + `"what":"Operation","to":"Claimed","actor":"system:serviceaccount:shop:kubernaut-remediator","operation":"patch Deployment/web","place":"0/0","digest":"v1:sha256:1"}`}},
		"an operation is in place": {carriedOut(v1alpha1.OperationClaimed, ""), carriedOut(v1alpha1.OperationApplied, ""), []string{
			runs + `"what":"Operation","from":"Claimed","to":"Applied","actor":"system:serviceaccount:shop:kubernaut-remediator","operation":"patch Deployment/web","place":"0/0","digest":"v1:sha256:1"}`}},
		"somebody pauses a policy":       {paused(), paused(anna), []string{rules + `"what":"Pause","to":"Requested","message":"moving","actor":"anna"}`}},
		"somebody takes that back":       {paused(anna), paused(), []string{rules + `"what":"Pause","to":"Withdrawn","message":"moving","actor":"anna"}`}},
		"a policy is new, with its mode": {nil, paused(), []string{rules + `"what":"Mode","to":"Auto"}`}},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			New(&got, clocktesting.NewFakePassiveClock(now), prometheus.NewRegistry()).enter(row.before, row.after)
			want := strings.Join(append(row.want, ""), "\n")
			if said := identity.ReplaceAllString(got.String(), ""); said != want {
				t.Errorf("got:\n%s\nwant:\n%s", said, want)
			}
			if ids := identity.FindAllString(got.String(), -1); len(ids) != len(row.want) {
				t.Errorf("of %d lines %d have an id", len(row.want), len(ids))
			}
		})
	}
}

func TestEachTransitionIsCountedOnce(t *testing.T) {
	registry := prometheus.NewRegistry()
	counts := New(&bytes.Buffer{}, clocktesting.NewFakePassiveClock(now), registry).counting(nil).handler
	counts.OnAdd(remediated(), true) // by somebody else, before
	entered := func(phases ...v1alpha1.Phase) func(*v1alpha1.AlertRemediation) {
		return func(ar *v1alpha1.AlertRemediation) {
			for i, phase := range phases {
				ar.Status.PhaseTimes = append(ar.Status.PhaseTimes, v1alpha1.PhaseTime{Phase: phase, At: metav1.NewMicroTime(build.Started.Add(time.Duration(i) * time.Second))})
			}
		}
	}
	found := func(ar *v1alpha1.AlertRemediation) {
		ar.Status.Diagnosis = &v1alpha1.Diagnosis{Source: v1alpha1.SourceRules, Cause: v1alpha1.CauseOOMKilled}
	}
	outcome := func(ar *v1alpha1.AlertRemediation) { ar.Status.Outcome = v1alpha1.OutcomeRemediated }
	history := []*v1alpha1.AlertRemediation{
		remediated(),
		remediated(entered(v1alpha1.PhasePending)),
		remediated(entered(v1alpha1.PhasePending, v1alpha1.PhaseAwaitingApproval), holds(v1alpha1.Approved, "Unknown", v1alpha1.ReasonPaused), found),
		remediated(entered(v1alpha1.PhasePending, v1alpha1.PhaseAwaitingApproval), holds(v1alpha1.Approved, "Unknown", v1alpha1.ReasonPaused), found), // written again, nothing new
		remediated(entered(v1alpha1.PhasePending, v1alpha1.PhaseAwaitingApproval), holds(v1alpha1.Approved, "Unknown", v1alpha1.ReasonAwaitingApproval), found),
		remediated(entered(v1alpha1.PhasePending, v1alpha1.PhaseAwaitingApproval, v1alpha1.PhaseDone), holds(v1alpha1.Succeeded, "True", "Remediated"), found, outcome),
	}
	counts.OnAdd(history[0], false)
	for i := 1; i < len(history); i++ {
		counts.OnUpdate(history[i-1], history[i])
	}
	err := testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP kubernaut_remediations_created_total AlertRemediations created, by who noticed the trouble.
# TYPE kubernaut_remediations_created_total counter
kubernaut_remediations_created_total{source="Alertmanager"} 1
kubernaut_remediations_created_total{source="Manual"} 0
kubernaut_remediations_created_total{source="Watch"} 0
# HELP kubernaut_diagnosed_total Diagnoses written, by the source that gave them and the cause they name.
# TYPE kubernaut_diagnosed_total counter
kubernaut_diagnosed_total{cause="OOMKilled",source="Rules"} 1
# HELP kubernaut_refusals_total Times a plan was held back or refused, by the reason that decided.
# TYPE kubernaut_refusals_total counter
kubernaut_refusals_total{reason="Paused"} 1
# HELP kubernaut_remediations_ended_total AlertRemediations that ended, by outcome.
# TYPE kubernaut_remediations_ended_total counter
kubernaut_remediations_ended_total{outcome="Escalated"} 0
kubernaut_remediations_ended_total{outcome="Failed"} 0
kubernaut_remediations_ended_total{outcome="Remediated"} 1
kubernaut_remediations_ended_total{outcome="RolledBack"} 0
`), "kubernaut_remediations_created_total", "kubernaut_diagnosed_total", "kubernaut_refusals_total", "kubernaut_remediations_ended_total")
	if err != nil {
		t.Error(err)
	}
	for phase, want := range map[string]float64{"Pending": 1, "AwaitingApproval": 1} {
		if got := sumOf(t, registry, "kubernaut_phase_duration_seconds", phase); got != want {
			t.Errorf("phase %s took %v s, want %v", phase, got, want)
		}
	}
	if got := sumOf(t, registry, "kubernaut_remediation_duration_seconds", "Remediated"); got != 2 {
		t.Errorf("the whole took %v s, want 2", got)
	}
}

// sumOf is the sum of a histogram's one series with this value of its label.
func sumOf(t *testing.T, registry *prometheus.Registry, name, label string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name && m.GetLabel()[0].GetValue() == label && m.GetHistogram().GetSampleCount() == 1 {
				return m.GetHistogram().GetSampleSum()
			}
		}
	}
	t.Fatalf("%s{%s} was not observed once", name, label)
	return 0
}
