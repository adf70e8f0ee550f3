package workflowrun

import (
	"slices"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/gate"
)

// task is the next thing a run needs.
type task struct {
	do   deed
	step int
	op   int
}

// deed is what is to be done about a step or an operation.
type deed string

const (
	// act: look at the operation's object, then do it or record that it is done.
	act deed = "act"
	// settle: all operations of the step are in place; has the effect arrived?
	settle deed = "settle"
	// nothing: every step has ended.
	nothing deed = "nothing"
)

// next returns what a run needs next: its steps in order, their operations in order.
func next(steps []v1alpha1.StepStatus) task {
	for i, step := range steps {
		if step.State != v1alpha1.StepPending && step.State != v1alpha1.StepRunning {
			continue
		}
		for j, op := range step.Operations {
			if op.State == "" || op.State == v1alpha1.OperationClaimed {
				return task{do: act, step: i, op: j}
			}
		}
		return task{do: settle, step: i}
	}
	return task{do: nothing}
}

// nextUndo returns the operation that is to be taken back next: the last one
// that is in place, or that may be.
func nextUndo(steps []v1alpha1.StepStatus) (task, bool) {
	for i, step := range slices.Backward(steps) {
		for j, op := range slices.Backward(step.Operations) {
			if op.State == v1alpha1.OperationClaimed || op.State == v1alpha1.OperationApplied {
				return task{do: act, step: i, op: j}, true
			}
		}
	}
	return task{}, false
}

// move is what follows from a look at an operation's object.
type move string

const (
	// claimIt: the operation is still to be done: claim it, then do it.
	claimIt move = "claim"
	// recordIt: it is in place: record that.
	recordIt move = "record"
	// skipIt: nothing has to be done about a pod that is ready.
	skipIt move = "skip"
	// stopIt: neither; somebody else was here.
	stopIt move = "stop"
)

// decide says what to do about an operation whose object was seen like this.
// Before its claim, a value that is there already is somebody else's work, which
// we must never take back as if it were ours. What an undo wants may well be
// there already, and a pod may be gone: neither is ever taken back.
func decide(state v1alpha1.OperationState, seen gate.SeenState, mayBeThere bool) move {
	switch {
	case seen == gate.SeenBefore:
		return claimIt
	case seen == gate.SeenUnneeded:
		return skipIt
	case seen == gate.SeenApplied && (mayBeThere || state == v1alpha1.OperationClaimed):
		return recordIt
	}
	return stopIt
}
