package workflowrun

import (
	"errors"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/gate"
)

func TestHeadline(t *testing.T) {
	ended := func(status metav1.ConditionStatus, reason string, edits ...func(*v1alpha1.WorkflowRun)) *v1alpha1.WorkflowRun {
		run := &v1alpha1.WorkflowRun{}
		set(run, v1alpha1.Succeeded, status, verdict(reason, ""))
		for _, edit := range edits {
			edit(run)
		}
		return run
	}
	changed := func(r *v1alpha1.WorkflowRun) {
		r.Status.Steps = []v1alpha1.StepStatus{step("a", v1alpha1.StepFailed, done)}
	}
	unsure := func(r *v1alpha1.WorkflowRun) {
		r.Status.Steps = []v1alpha1.StepStatus{step("a", v1alpha1.StepFailed, claimed)}
	}
	rolledBack := func(r *v1alpha1.WorkflowRun) {
		set(r, v1alpha1.RolledBack, metav1.ConditionTrue, verdict(v1alpha1.ReasonRolledBack, ""))
	}
	undoing := func(r *v1alpha1.WorkflowRun) { r.Spec.Undoes = "ar-1-run-1" }
	rows := map[string]struct {
		run  *v1alpha1.WorkflowRun
		want string
	}{
		"that it runs is no news":                  {&v1alpha1.WorkflowRun{}, " "},
		"what it waits for is told":                {ended(metav1.ConditionUnknown, v1alpha1.ReasonTargetBusy), "Normal TargetBusy"},
		"that it did all it should":                {ended(metav1.ConditionTrue, v1alpha1.ReasonCompleted, changed), "Normal Completed"},
		"that it took another back":                {ended(metav1.ConditionTrue, v1alpha1.ReasonCompleted, changed, undoing), "Normal RolledBack"},
		"a no with nothing changed is a refusal":   {ended(metav1.ConditionFalse, v1alpha1.ReasonForbidden), "Warning Refused"},
		"a no with something changed is a failure": {ended(metav1.ConditionFalse, v1alpha1.ReasonStepFailed, changed), "Warning Failed"},
		"nor is one where nobody knows":            {ended(metav1.ConditionFalse, v1alpha1.ReasonChangedMeanwhile, unsure), "Warning Failed"},
		"cancelled and taken back":                 {ended(metav1.ConditionFalse, v1alpha1.ReasonCancelled, rolledBack), "Normal RolledBack"},
		"cancelled and not taken back":             {ended(metav1.ConditionFalse, v1alpha1.ReasonCancelled, changed), "Warning Cancelled"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if kind, reason := headline(row.run); kind+" "+reason != row.want {
				t.Errorf("headline is %s %s, want %s", kind, reason, row.want)
			}
		})
	}
}

func TestNewsIsWhatChanged(t *testing.T) {
	before := &v1alpha1.WorkflowRun{Status: v1alpha1.WorkflowRunStatus{Steps: []v1alpha1.StepStatus{
		step("a", v1alpha1.StepRunning, done, claimed, unclaimed),
	}}}
	after := &v1alpha1.WorkflowRun{Status: v1alpha1.WorkflowRunStatus{Steps: []v1alpha1.StepStatus{
		step("a", v1alpha1.StepRunning, done, done, unclaimed), step("b", v1alpha1.StepRunning, rejected),
	}}}
	var states []v1alpha1.OperationState
	for _, op := range news(before, after) {
		states = append(states, op.State)
	}
	if got, want := fmt.Sprint(states), fmt.Sprint([]v1alpha1.OperationState{done, rejected}); got != want {
		t.Errorf("news is %s, want %s", got, want)
	}
	if first := news(&v1alpha1.WorkflowRun{}, before); len(first) != 2 {
		t.Errorf("of a run that was just begun, %d operations are news, want 2", len(first))
	}
}

func TestAnswer(t *testing.T) {
	rows := map[string]struct {
		err    error
		reason string
	}{
		"a right is lacking":     {fmt.Errorf("patching: %w", &gate.Denied{}), v1alpha1.ReasonForbidden},
		"the object is another":  {&gate.Failed{}, v1alpha1.ReasonPreconditionFailed},
		"admission says no":      {&gate.Rejected{}, v1alpha1.ReasonStepFailed},
		"no answer is not a no":  {errors.New("connection reset"), ""},
		"a deadline is not a no": {fmt.Errorf("sending: %w", errors.New("deadline exceeded")), ""},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got, no := answer(row.err); got.Reason != row.reason || no != (row.reason != "") {
				t.Errorf("answer is %q (%t), want %q", got.Reason, no, row.reason)
			}
		})
	}
}
