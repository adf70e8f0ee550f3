package alertremediation

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/vitals"
)

// noon is when the run ended in these tables; the deadline is fifteen minutes later.
var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func TestDecide(t *testing.T) {
	const window = 5 * time.Minute
	deadline := noon.Add(15 * time.Minute)
	rows := map[string]struct {
		alert   v1alpha1.AlertState
		health  v1alpha1.Health
		well    time.Duration // healthy since so long
		drift   bool
		fixed   bool // can't be undone
		holds   bool // contains the fault, and cures nothing
		now     time.Time
		outcome v1alpha1.Outcome
		undo    bool
	}{
		"resolved and healthy for the whole window is remediated, before the deadline too": {
			alert: v1alpha1.AlertResolved, health: v1alpha1.HealthHealthy, well: window, now: noon.Add(6 * time.Minute), outcome: v1alpha1.OutcomeRemediated,
		},
		"resolved and healthy a second short of the window waits": {
			alert: v1alpha1.AlertResolved, health: v1alpha1.HealthHealthy, well: window - time.Second, now: noon.Add(6 * time.Minute),
		},
		"resolved but not healthy for a whole window at the deadline is for a person": {
			alert: v1alpha1.AlertResolved, health: v1alpha1.HealthHealthy, well: window - time.Second, now: deadline, outcome: v1alpha1.OutcomeEscalated,
		},
		"unhealthy before the deadline waits": {
			alert: v1alpha1.AlertFiring, health: v1alpha1.HealthUnhealthy, now: deadline.Add(-time.Second),
		},
		"unhealthy at the deadline is taken back": {
			alert: v1alpha1.AlertFiring, health: v1alpha1.HealthUnhealthy, now: deadline, undo: true,
		},
		"unhealthy at the deadline is taken back although the alert resolved": {
			alert: v1alpha1.AlertResolved, health: v1alpha1.HealthUnhealthy, now: deadline, undo: true,
		},
		"unhealthy at the deadline is taken back although nothing is known of the alert": {
			alert: v1alpha1.AlertUnknown, health: v1alpha1.HealthUnhealthy, now: deadline, undo: true,
		},
		"unhealthy at the deadline without an undo is for a person": {
			alert: v1alpha1.AlertFiring, health: v1alpha1.HealthUnhealthy, fixed: true, now: deadline, outcome: v1alpha1.OutcomeEscalated,
		},
		"healthy while the alert fires on is never undone": {
			alert: v1alpha1.AlertFiring, health: v1alpha1.HealthHealthy, well: window, now: deadline, outcome: v1alpha1.OutcomeEscalated,
		},
		"healthy with nothing known of the alert is no success": {
			alert: v1alpha1.AlertUnknown, health: v1alpha1.HealthHealthy, well: window, now: deadline, outcome: v1alpha1.OutcomeEscalated,
		},
		"unknown health at the deadline is for a person, and nothing is undone": {
			alert: v1alpha1.AlertResolved, health: v1alpha1.HealthUnknown, now: deadline, outcome: v1alpha1.OutcomeEscalated,
		},
		"what contains a fault is taken back once the target is well by itself": {
			alert: v1alpha1.AlertResolved, health: v1alpha1.HealthHealthy, well: window, holds: true, now: noon.Add(6 * time.Minute), undo: true,
		},
		"what contains a fault stays where the target is not well": {
			alert: v1alpha1.AlertFiring, health: v1alpha1.HealthUnhealthy, holds: true, now: deadline, outcome: v1alpha1.OutcomeEscalated,
		},
		"what contains a fault stays while the alert fires": {
			alert: v1alpha1.AlertFiring, health: v1alpha1.HealthHealthy, well: window, holds: true, now: deadline, outcome: v1alpha1.OutcomeEscalated,
		},
		"what contains a fault and can't be taken back is for no undo": {
			alert: v1alpha1.AlertResolved, health: v1alpha1.HealthHealthy, well: window, holds: true, fixed: true, now: noon.Add(6 * time.Minute), outcome: v1alpha1.OutcomeRemediated,
		},
		"a remediation that no Alertmanager delivers rests on health alone": {
			health: v1alpha1.HealthHealthy, well: window, now: noon.Add(6 * time.Minute), outcome: v1alpha1.OutcomeRemediated,
		},
		"a change that somebody edited ends at once, and is never undone over the edit": {
			alert: v1alpha1.AlertFiring, health: v1alpha1.HealthUnhealthy, drift: true, now: noon, outcome: v1alpha1.OutcomeEscalated,
		},
		"a change that is gone is no success although all is well": {
			alert: v1alpha1.AlertResolved, health: v1alpha1.HealthHealthy, well: window, drift: true, now: deadline, outcome: v1alpha1.OutcomeEscalated,
		},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			seen := v1alpha1.Verification{
				Alert: row.alert, Health: row.health, Drift: row.drift,
				Window: metav1.Duration{Duration: window}, Deadline: metav1.NewTime(deadline),
			}
			if row.health == v1alpha1.HealthHealthy {
				seen.Since = metav1.NewTime(row.now.Add(-row.well))
			}
			got := decide(seen, change{undoable: !row.fixed, contains: row.holds}, row.now)
			if got.outcome != row.outcome || got.undo != row.undo || (got.wait > 0) != (row.outcome == "" && !row.undo) {
				t.Errorf("got outcome %q, undo %t, wait %s: %s", got.outcome, got.undo, got.wait, got.message)
			}
			if got.message == "" {
				t.Error("a verdict says why")
			}
		})
	}
}

func TestWorse(t *testing.T) {
	healthy := func(d time.Duration) vitals.Vitals {
		return vitals.Vitals{Health: v1alpha1.HealthHealthy, Since: noon.Add(d)}
	}
	unhealthy, unknown := vitals.Vitals{Health: v1alpha1.HealthUnhealthy}, vitals.Vitals{Health: v1alpha1.HealthUnknown}
	rows := map[string]struct{ a, b, want vitals.Vitals }{
		"both healthy: since the later": {healthy(0), healthy(time.Minute), healthy(time.Minute)},
		"one unhealthy: unhealthy":      {healthy(0), unhealthy, unhealthy},
		"one unknown: unknown":          {unknown, healthy(0), unknown},
		"unhealthy beats unknown":       {unknown, unhealthy, unhealthy},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := worse(row.a, row.b); got != row.want {
				t.Errorf("got %+v, want %+v", got, row.want)
			}
		})
	}
}

func TestEndOf(t *testing.T) {
	done := v1alpha1.OperationStatus{State: v1alpha1.OperationApplied}
	evicted := func(state v1alpha1.OperationState) v1alpha1.OperationStatus {
		op := v1alpha1.OperationStatus{State: state}
		op.Precondition.Unready = true
		return op
	}
	rows := map[string]struct {
		status  metav1.ConditionStatus
		reason  string
		ops     []v1alpha1.OperationStatus
		undone  bool
		outcome v1alpha1.Outcome
	}{
		"a completed run goes on to the verification":         {status: metav1.ConditionTrue, reason: v1alpha1.ReasonCompleted, ops: []v1alpha1.OperationStatus{done}},
		"a step that failed after a change goes on to it too": {status: metav1.ConditionFalse, reason: v1alpha1.ReasonStepFailed, ops: []v1alpha1.OperationStatus{done}},
		"a pod that could not be evicted leaves the change in place, for a person": {status: metav1.ConditionFalse, reason: v1alpha1.ReasonStepFailed,
			ops: []v1alpha1.OperationStatus{done, evicted(v1alpha1.OperationRefused)}, outcome: v1alpha1.OutcomeEscalated},
		"so does a pod whose turn did not come": {status: metav1.ConditionFalse, reason: v1alpha1.ReasonStepFailed,
			ops: []v1alpha1.OperationStatus{done, evicted(v1alpha1.OperationApplied), evicted("")}, outcome: v1alpha1.OutcomeEscalated},
		"so does a pod that was evicted and did not go": {status: metav1.ConditionFalse, reason: v1alpha1.ReasonPodsLeft,
			ops: []v1alpha1.OperationStatus{done, evicted(v1alpha1.OperationApplied)}, outcome: v1alpha1.OutcomeEscalated},
		"pods have no turn when nothing was changed before": {status: metav1.ConditionFalse, reason: v1alpha1.ReasonForbidden,
			ops: []v1alpha1.OperationStatus{{State: v1alpha1.OperationRefused}, evicted("")}, outcome: v1alpha1.OutcomeRefused},
		"a change that did not help once every pod had its turn goes on to the verification": {status: metav1.ConditionFalse, reason: v1alpha1.ReasonStepFailed,
			ops: []v1alpha1.OperationStatus{done, evicted(v1alpha1.OperationApplied), evicted(v1alpha1.OperationSkipped)}},
		"a step that failed before any change is for a person":       {status: metav1.ConditionFalse, reason: v1alpha1.ReasonStepFailed, outcome: v1alpha1.OutcomeEscalated},
		"a gate's no before any change is a refusal":                 {status: metav1.ConditionFalse, reason: v1alpha1.ReasonForbidden, outcome: v1alpha1.OutcomeRefused},
		"what could not be read in time is for a person":             {status: metav1.ConditionFalse, reason: v1alpha1.ReasonReadForbidden, outcome: v1alpha1.OutcomeEscalated},
		"what was held back for a day has expired":                   {status: metav1.ConditionFalse, reason: v1alpha1.ReasonDeadlineExceeded, outcome: v1alpha1.OutcomeExpired},
		"another world than was planned for is a refusal":            {status: metav1.ConditionFalse, reason: v1alpha1.ReasonChangedMeanwhile, outcome: v1alpha1.OutcomeRefused},
		"an action's own no before any change is for a person":       {status: metav1.ConditionFalse, reason: v1alpha1.ReasonNotApplicable, outcome: v1alpha1.OutcomeEscalated},
		"so are parameters that no longer fit":                       {status: metav1.ConditionFalse, reason: v1alpha1.ReasonInvalidParameters, outcome: v1alpha1.OutcomeEscalated},
		"so is an action that is no longer there":                    {status: metav1.ConditionFalse, reason: v1alpha1.ReasonUnknownAction, outcome: v1alpha1.OutcomeEscalated},
		"a no of its own after a change goes on to the verification": {status: metav1.ConditionFalse, reason: v1alpha1.ReasonNotApplicable, ops: []v1alpha1.OperationStatus{done}},
		"a change of which nobody can say whether it was made is for a person": {status: metav1.ConditionFalse, reason: v1alpha1.ReasonChangedMeanwhile,
			ops: []v1alpha1.OperationStatus{{State: v1alpha1.OperationClaimed}}, outcome: v1alpha1.OutcomeEscalated},
		"so it is beside one that is in place": {status: metav1.ConditionFalse, reason: v1alpha1.ReasonChangedMeanwhile,
			ops: []v1alpha1.OperationStatus{done, {State: v1alpha1.OperationClaimed}}, outcome: v1alpha1.OutcomeEscalated},
		"an alert that resolved before any change resolved itself":     {status: metav1.ConditionFalse, reason: v1alpha1.ReasonAlertResolved, outcome: v1alpha1.OutcomeResolvedItself},
		"a cancelled run that was taken back is rolled back":           {status: metav1.ConditionFalse, reason: v1alpha1.ReasonCancelled, undone: true, outcome: v1alpha1.OutcomeRolledBack},
		"a cancelled run that could not be taken back is for a person": {status: metav1.ConditionFalse, reason: v1alpha1.ReasonCancelled, ops: []v1alpha1.OperationStatus{done}, outcome: v1alpha1.OutcomeEscalated},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			run := &v1alpha1.WorkflowRun{}
			run.Status.Steps = []v1alpha1.StepStatus{{Name: "remedy", Operations: row.ops}}
			run.Status.Conditions = []metav1.Condition{{Type: v1alpha1.Succeeded, Status: row.status, Reason: row.reason, Message: "why"}}
			if row.undone {
				run.Status.Conditions = append(run.Status.Conditions, metav1.Condition{Type: v1alpha1.RolledBack, Status: metav1.ConditionTrue})
			}
			got := endOf(run)
			if got.outcome != row.outcome || got.status != row.status || got.reason != row.reason {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestCutKeepsCharactersWhole(t *testing.T) {
	got := cut(strings.Repeat("é", 600), 1024)
	if len(got) > 1024 || !strings.HasSuffix(got, "é…") {
		t.Errorf("%d bytes, ends in %q", len(got), got[len(got)-6:])
	}
}
