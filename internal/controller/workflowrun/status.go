package workflowrun

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/policy"
)

// maxMessage is how long a message of a condition or a step may be, in bytes.
const maxMessage = 1024

// defaultTimeout of a run whose spec came past the schema's default.
const defaultTimeout = 10 * time.Minute

// set writes a condition.
func set(run *v1alpha1.WorkflowRun, condition string, status metav1.ConditionStatus, why v1alpha1.Refusal) {
	meta.SetStatusCondition(&run.Status.Conditions, metav1.Condition{
		Type: condition, Status: status, Reason: why.Reason, Message: cut(why.Message), ObservedGeneration: run.Generation,
	})
}

// begun reports whether an operation was claimed: from then on the recorded
// operations are carried out, and nothing is planned again.
func begun(run *v1alpha1.WorkflowRun) bool { return !run.Status.StartedAt.IsZero() }

// hold records what the run waits for.
func hold(run *v1alpha1.WorkflowRun, why v1alpha1.Refusal) {
	set(run, v1alpha1.Succeeded, metav1.ConditionUnknown, why)
}

// running records that nothing holds the run.
func running(run *v1alpha1.WorkflowRun) {
	set(run, v1alpha1.Succeeded, metav1.ConditionUnknown, verdict(v1alpha1.ReasonRunning, ""))
}

// end records how the run ended. What was never begun is skipped.
func end(run *v1alpha1.WorkflowRun, now time.Time, why v1alpha1.Refusal) {
	status := metav1.ConditionFalse
	if why.Reason == v1alpha1.ReasonCompleted {
		status = metav1.ConditionTrue
	}
	for i := range run.Status.Steps {
		if run.Status.Steps[i].State == v1alpha1.StepPending {
			run.Status.Steps[i].State = v1alpha1.StepSkipped
		}
	}
	run.Status.FinishedAt = metav1.NewMicroTime(now)
	run.Status.Progress = progress(run)
	set(run, v1alpha1.Succeeded, status, why)
}

// fail ends the run at one step.
func fail(run *v1alpha1.WorkflowRun, step *v1alpha1.StepStatus, now time.Time, why v1alpha1.Refusal) {
	step.State = v1alpha1.StepFailed
	step.Message = cut(why.Message)
	step.FinishedAt = metav1.NewMicroTime(now)
	end(run, now, why)
}

// verdict is a reason with a formatted message.
func verdict(reason, format string, args ...any) v1alpha1.Refusal {
	return v1alpha1.Refusal{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// ends is a no of the run's own, which ends it.
func ends(reason, format string, args ...any) error {
	return &policy.RefusedError{Refusal: policy.Refusal{Refusal: verdict(reason, format, args...), Kind: policy.Ends}}
}

// progress is how many steps have ended of how many.
func progress(run *v1alpha1.WorkflowRun) string {
	ended := 0
	for _, step := range run.Status.Steps {
		switch step.State {
		case v1alpha1.StepSucceeded, v1alpha1.StepFailed, v1alpha1.StepRolledBack:
			ended++
		case v1alpha1.StepPending, v1alpha1.StepRunning, v1alpha1.StepSkipped:
		}
	}
	return fmt.Sprintf("%d/%d", ended, len(run.Status.Steps))
}

// expired reports whether the run has used up its time.
func expired(run *v1alpha1.WorkflowRun, now time.Time) bool {
	return begun(run) && !now.Before(run.Status.StartedAt.Add(timeout(run)))
}

func timeout(run *v1alpha1.WorkflowRun) time.Duration {
	if run.Spec.Timeout == nil {
		return defaultTimeout
	}
	return run.Spec.Timeout.Duration
}

// cut shortens a message to what a status may hold, at the end of a character.
func cut(message string) string { return shorten(message, maxMessage) }

// shorten cuts a message to so many bytes.
func shorten(message string, limit int) string {
	if len(message) <= limit {
		return message
	}
	at := limit - len("…")
	for at > 0 && message[at]&0xC0 == 0x80 {
		at--
	}
	return message[:at] + "…"
}
