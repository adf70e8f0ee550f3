package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// Attempt is a change that was made for a cause and did not help.
type Attempt struct {
	// By is the WorkflowRun that made it, or its AlertRemediation where the run is gone.
	By string
	// Remediation it was made for, a unique name within the namespace.
	Remediation string
	// At is when it was begun.
	At time.Time
	// Step as status.plan holds it.
	Step v1alpha1.PlanStep
	// End says how it ended.
	End End
	// made are the operations that the run recorded; none: the run is gone.
	made []action.Operation
}

// End is how a change ended that did not help.
type End int

const (
	// TakenBack: the target was unhealthy at the deadline, and the change was taken back.
	TakenBack End = iota
	// Stuck: the target was unhealthy at the deadline, and the change could not be taken back.
	Stuck
	// Left: the target was unhealthy at the deadline, and nothing takes such a change back.
	Left
	// Withdrawn: a person had the change taken back.
	Withdrawn
)

// String says in words how it ended.
func (e End) String() string {
	return [...]string{
		"did not help and was taken back",
		"did not help and could not be taken back",
		"did not help, and it is a change that can't be taken back",
		"was taken back by a person",
	}[e]
}

// FailedAttempts returns the changes of remediations that have ended, for a cause, that did
// not help; the oldest first. The remediation that asks is still at work, and so
// none of them.
func FailedAttempts(cause v1alpha1.Cause, remediations []v1alpha1.AlertRemediation, runs []v1alpha1.WorkflowRun) []Attempt {
	var failed []Attempt
	for i := range remediations {
		ar := &remediations[i]
		if !ar.Finished() || ar.Status.RunRef == "" || ar.Status.Plan == nil || ar.Status.Diagnosis == nil || ar.Status.Diagnosis.Cause != cause {
			continue
		}
		run := runOf(ar, runs)
		end, counts := endOf(ar, run)
		if !counts {
			continue
		}
		by, at := begun(ar, run)
		for _, step := range ar.Status.Plan.Steps {
			failed = append(failed, Attempt{By: by, Remediation: ar.Name, At: at, Step: step, End: end, made: recorded(run, step.Name)})
		}
	}
	slices.SortStableFunc(failed, func(a, b Attempt) int { return a.At.Compare(b.At) })
	return failed
}

// runOf returns the run that carried the plan of a remediation out; nil: it is gone.
func runOf(ar *v1alpha1.AlertRemediation, runs []v1alpha1.WorkflowRun) *v1alpha1.WorkflowRun {
	for i := range runs {
		if run := &runs[i]; metav1.IsControlledBy(run, ar) && run.Spec.Undoes == "" && run.Spec.PlanDigest == ar.Status.Plan.Digest {
			return run
		}
	}
	return nil
}

// recorded returns the operations of a step as its run recorded them.
func recorded(run *v1alpha1.WorkflowRun, step string) []action.Operation {
	if run == nil {
		return nil
	}
	var made []action.Operation
	for _, s := range run.Status.Steps {
		for _, op := range s.Operations {
			if s.Name == step {
				made = append(made, action.Operation{Operation: op.Operation, Undo: op.Undo})
			}
		}
	}
	return made
}

// begun returns who made a change, and when.
func begun(ar *v1alpha1.AlertRemediation, run *v1alpha1.WorkflowRun) (string, time.Time) {
	if run != nil && !run.Status.StartedAt.IsZero() {
		return "WorkflowRun " + run.Name, run.Status.StartedAt.Time
	}
	for _, entered := range ar.Status.PhaseTimes {
		if entered.Phase == v1alpha1.PhaseExecuting {
			return "AlertRemediation " + ar.Name, entered.At.Time
		}
	}
	return "AlertRemediation " + ar.Name, ar.CreationTimestamp.Time
}

// endOf reports how a remediation that has ended shows that its change did not
// help; false: it does not show that. A change that could not be verified, or was
// edited meanwhile, is not known to have failed.
func endOf(ar *v1alpha1.AlertRemediation, run *v1alpha1.WorkflowRun) (End, bool) {
	executed := meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Executed)
	cancelled := executed != nil && executed.Reason == v1alpha1.ReasonCancelled
	undone := inState(run, v1alpha1.OperationUndone)
	switch ar.Status.Outcome {
	case v1alpha1.OutcomeRolledBack:
		if cancelled {
			return Withdrawn, true
		}
		return TakenBack, true
	case v1alpha1.OutcomeFailed:
		if undone {
			return TakenBack, true
		}
		return Stuck, true
	case v1alpha1.OutcomeEscalated:
		if undone || cancelled && inState(run, v1alpha1.OperationApplied) {
			return Withdrawn, true
		}
		return Left, leftUnhealthy(ar)
	case v1alpha1.OutcomeRemediated:
		return Withdrawn, undone
	}
	return 0, false
}

// leftUnhealthy reports whether the verdict was that the target is unhealthy with
// the change in place.
func leftUnhealthy(ar *v1alpha1.AlertRemediation) bool {
	verified := meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Verified)
	return verified != nil && verified.Status == metav1.ConditionFalse &&
		(verified.Reason == v1alpha1.ReasonCannotUndo || verified.Reason == v1alpha1.ReasonUnhealthy)
}

func inState(run *v1alpha1.WorkflowRun, state v1alpha1.OperationState) bool {
	if run == nil {
		return false
	}
	for _, step := range run.Status.Steps {
		if slices.ContainsFunc(step.Operations, func(op v1alpha1.OperationStatus) bool { return op.State == state }) {
			return true
		}
	}
	return false
}

// Decision is what the attempts that failed mean for a step.
type Decision struct {
	// Same are the attempts that made the same change; none: the step may be carried out.
	Same []Attempt
	// Larger reports whether a larger step may be planned instead. Not against the
	// will of a person who had the same change taken back.
	Larger bool
}

// Decide compares a step with the attempts that failed.
func Decide(step Step, failed []Attempt) Decision {
	d := Decision{Larger: true}
	for _, a := range failed {
		if !same(a, step) {
			continue
		}
		d.Same = append(d.Same, a)
		d.Larger = d.Larger && a.End != Withdrawn
	}
	return d
}

// same reports whether an attempt made the change of a step. A plan from before
// fingerprints were kept is compared by what was asked for, and by what was done.
func same(a Attempt, wanted Step) bool {
	tried := a.Step
	switch {
	case tried.Change != "":
		return tried.Change == wanted.Change
	case tried.Target.UID != wanted.Target.UID:
		return false
	case tried.Action == wanted.Spec.Name && maps.Equal(tried.Parameters, wanted.Params):
		return true
	case len(a.made) == 0:
		return false
	}
	before, known := digestOf(Step{Spec: action.Spec{Name: tried.Action}, Params: tried.Parameters, Target: tried.Target, Plan: action.Plan{Operations: a.made}})
	now, readable := digestOf(wanted)
	return !known || !readable || before == now // what can't be compared is not made again
}

// digestOf is what a step makes of the cluster, in one word.
func digestOf(step Step) (string, bool) {
	made, err := effects(step)
	if err != nil {
		return "", false
	}
	raw, err := json.Marshal(made)
	return string(raw), err == nil
}

// Told says in one sentence what was tried, when and how it ended.
func Told(all []Attempt) string {
	var words []string
	for _, a := range all {
		words = append(words, fmt.Sprintf("%s was tried by %s at %s: it %s", what(a.Step), a.By, a.At.UTC().Format(time.RFC3339), a.End))
	}
	return strings.Join(words, "; ")
}

// most is how many lines of a diff name a change.
const most = 2

// what names a change by the values it sets, as the diff shows them.
func what(step v1alpha1.PlanStep) string {
	var set []string
	for line := range strings.Lines(step.Diff) {
		if value, writes := strings.CutPrefix(line, "+ "); writes {
			value = strings.TrimPrefix(strings.TrimSpace(value), "spec.template.spec.")
			set = append(set, value)
		}
	}
	if len(set) > most {
		set = append(set[:most], fmt.Sprintf("and %d more", len(set)-most))
	}
	if len(set) == 0 {
		return step.Action + " of " + step.Target.String()
	}
	return fmt.Sprintf("%s of %s (%s)", step.Action, step.Target, strings.Join(set, ", "))
}
