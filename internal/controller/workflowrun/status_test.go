package workflowrun

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

var moment = time.Date(2026, time.March, 1, 3, 0, 0, 0, time.UTC)

func TestProgress(t *testing.T) {
	rows := map[string]struct {
		steps []v1alpha1.StepStatus
		want  string
	}{
		"nothing has ended":             {[]v1alpha1.StepStatus{step("a", v1alpha1.StepRunning), step("b", v1alpha1.StepPending)}, "0/2"},
		"a success and a failure ended": {[]v1alpha1.StepStatus{step("a", v1alpha1.StepSucceeded), step("b", v1alpha1.StepFailed)}, "2/2"},
		"what was skipped never ended":  {[]v1alpha1.StepStatus{step("a", v1alpha1.StepFailed), step("b", v1alpha1.StepSkipped)}, "1/2"},
		"what was taken back has ended": {[]v1alpha1.StepStatus{step("a", v1alpha1.StepRolledBack)}, "1/1"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			run := &v1alpha1.WorkflowRun{Status: v1alpha1.WorkflowRunStatus{Steps: row.steps}}
			if got := progress(run); got != row.want {
				t.Errorf("progress is %s, want %s", got, row.want)
			}
		})
	}
}

func TestEndSkipsWhatNeverBegan(t *testing.T) {
	run := &v1alpha1.WorkflowRun{Status: v1alpha1.WorkflowRunStatus{Steps: []v1alpha1.StepStatus{
		step("a", v1alpha1.StepRunning, rejected), step("b", v1alpha1.StepPending, unclaimed),
	}}}
	fail(run, &run.Status.Steps[0], moment, verdict(v1alpha1.ReasonForbidden, "may not"))
	if a, b := run.Status.Steps[0], run.Status.Steps[1]; a.State != v1alpha1.StepFailed || a.Message != "may not" || b.State != v1alpha1.StepSkipped {
		t.Errorf("steps ended as %s (%s) and %s", a.State, a.Message, b.State)
	}
	if !run.Finished() || root(run).Reason != v1alpha1.ReasonForbidden || run.Status.Progress != "1/2" {
		t.Errorf("the run ended as %+v, %s", root(run), run.Status.Progress)
	}
}

func TestExpired(t *testing.T) {
	begunAt := func(at time.Time, limit *metav1.Duration) *v1alpha1.WorkflowRun {
		run := &v1alpha1.WorkflowRun{Spec: v1alpha1.WorkflowRunSpec{Timeout: limit}}
		if !at.IsZero() {
			run.Status.StartedAt = metav1.NewMicroTime(at)
		}
		return run
	}
	minute := &metav1.Duration{Duration: time.Minute}
	rows := map[string]struct {
		run  *v1alpha1.WorkflowRun
		want bool
	}{
		"a run that waits to begin has no end":  {begunAt(time.Time{}, minute), false},
		"within its time":                       {begunAt(moment.Add(-59*time.Second), minute), false},
		"its time is over":                      {begunAt(moment.Add(-time.Minute), minute), true},
		"without a time-out it has ten minutes": {begunAt(moment.Add(-10*time.Minute), nil), true},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := expired(row.run, moment); got != row.want {
				t.Errorf("expired is %t, want %t", got, row.want)
			}
		})
	}
}

func TestCutKeepsCharactersWhole(t *testing.T) {
	long := strings.Repeat("é", maxMessage)
	if got := cut(long); len(got) > maxMessage || !utf8.ValidString(got) || !strings.HasSuffix(got, "…") {
		t.Errorf("cut to %d bytes, valid %t", len(got), utf8.ValidString(got))
	}
	if got := cut("short"); got != "short" {
		t.Errorf("a short message became %q", got)
	}
}

func TestEveryClaimIsAWrite(t *testing.T) {
	earlier := metav1.NewMicroTime(moment)
	if got := after(moment, earlier); !got.After(earlier.Time) {
		t.Error("a claim in the same microsecond must still differ from the one before")
	}
	if got := after(moment.Add(-time.Hour), earlier); !got.After(earlier.Time) {
		t.Error("a claim by a slow clock must still differ from the one before")
	}
	if got := after(moment.Add(time.Second), earlier); !got.Time.Equal(moment.Add(time.Second)) {
		t.Errorf("a later claim keeps its own time, not %s", got)
	}
}
