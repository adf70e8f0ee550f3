package workflowrun

import (
	"testing"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/gate"
)

// step with operations in these states.
func step(name string, state v1alpha1.StepState, ops ...v1alpha1.OperationState) v1alpha1.StepStatus {
	s := v1alpha1.StepStatus{Name: name, State: state}
	for _, op := range ops {
		s.Operations = append(s.Operations, v1alpha1.OperationStatus{State: op})
	}
	return s
}

const (
	unclaimed = v1alpha1.OperationState("")
	claimed   = v1alpha1.OperationClaimed
	done      = v1alpha1.OperationApplied
	rejected  = v1alpha1.OperationRefused
	skipped1  = v1alpha1.OperationSkipped
	undone    = v1alpha1.OperationUndone
)

func TestNext(t *testing.T) {
	rows := map[string]struct {
		steps []v1alpha1.StepStatus
		want  task
	}{
		"a run without steps needs nothing":                {nil, task{do: nothing}},
		"the first operation comes first":                  {[]v1alpha1.StepStatus{step("a", v1alpha1.StepPending, unclaimed, unclaimed)}, task{do: act}},
		"a claimed operation is looked at before the next": {[]v1alpha1.StepStatus{step("a", v1alpha1.StepRunning, claimed, unclaimed)}, task{do: act}},
		"after an applied operation comes the next":        {[]v1alpha1.StepStatus{step("a", v1alpha1.StepRunning, done, unclaimed)}, task{do: act, op: 1}},
		"after a skipped operation comes the next":         {[]v1alpha1.StepStatus{step("a", v1alpha1.StepRunning, done, skipped1, unclaimed)}, task{do: act, op: 2}},
		"a skipped operation whose turn comes again":       {[]v1alpha1.StepStatus{step("a", v1alpha1.StepRunning, done, unclaimed, done)}, task{do: act, op: 1}},
		"a step whose last operation is skipped settles":   {[]v1alpha1.StepStatus{step("a", v1alpha1.StepRunning, done, skipped1)}, task{do: settle}},
		"a step whose operations are in place must settle": {[]v1alpha1.StepStatus{step("a", v1alpha1.StepRunning, done, done)}, task{do: settle}},
		"a step without operations must settle too":        {[]v1alpha1.StepStatus{step("a", v1alpha1.StepPending)}, task{do: settle}},
		"the next step begins when the one before has ended": {
			[]v1alpha1.StepStatus{step("a", v1alpha1.StepSucceeded, done), step("b", v1alpha1.StepPending, unclaimed)}, task{do: act, step: 1},
		},
		"a step that has not settled keeps the next one back": {
			[]v1alpha1.StepStatus{step("a", v1alpha1.StepRunning, done), step("b", v1alpha1.StepPending, unclaimed)}, task{do: settle},
		},
		"when all have ended nothing is left": {[]v1alpha1.StepStatus{step("a", v1alpha1.StepSucceeded, done)}, task{do: nothing}},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := next(row.steps); got != row.want {
				t.Errorf("next is %+v, want %+v", got, row.want)
			}
		})
	}
}

func TestNextUndo(t *testing.T) {
	rows := map[string]struct {
		steps []v1alpha1.StepStatus
		want  task
		left  bool
	}{
		"nothing was done":                   {[]v1alpha1.StepStatus{step("a", v1alpha1.StepPending, unclaimed)}, task{}, false},
		"the last operation is undone first": {[]v1alpha1.StepStatus{step("a", v1alpha1.StepSucceeded, done, done), step("b", v1alpha1.StepRunning, done, done)}, task{do: act, step: 1, op: 1}, true},
		"what was undone is passed over":     {[]v1alpha1.StepStatus{step("a", v1alpha1.StepSucceeded, done), step("b", v1alpha1.StepRunning, undone)}, task{do: act}, true},
		"what was refused is passed over":    {[]v1alpha1.StepStatus{step("a", v1alpha1.StepRunning, done, rejected)}, task{do: act}, true},
		"what was skipped is passed over":    {[]v1alpha1.StepStatus{step("a", v1alpha1.StepRunning, done, skipped1)}, task{do: act}, true},
		"what was claimed may be in place":   {[]v1alpha1.StepStatus{step("a", v1alpha1.StepRunning, done, claimed)}, task{do: act, op: 1}, true},
		"when all is undone nothing is left": {[]v1alpha1.StepStatus{step("a", v1alpha1.StepRunning, undone, rejected, unclaimed)}, task{}, false},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			got, left := nextUndo(row.steps)
			if got != row.want || left != row.left {
				t.Errorf("next undo is %+v (%t), want %+v (%t)", got, left, row.want, row.left)
			}
		})
	}
}

func TestDecide(t *testing.T) {
	rows := map[string]struct {
		state v1alpha1.OperationState
		seen  gate.SeenState
		undo  bool
		want  move
	}{
		"before the claim, the old value is there: claim it":                  {unclaimed, gate.SeenBefore, false, claimIt},
		"after a crash, the old value is there: claim it again":               {claimed, gate.SeenBefore, false, claimIt},
		"after a crash, the wanted value is there: it was us":                 {claimed, gate.SeenApplied, false, recordIt},
		"after a crash, another value is there: stop":                         {claimed, gate.SeenOther, false, stopIt},
		"before the claim, another value is there: stop":                      {unclaimed, gate.SeenOther, false, stopIt},
		"before the claim, the wanted value is there: it was somebody else":   {unclaimed, gate.SeenApplied, false, stopIt},
		"before the claim of a removal, the pod is gone: all is well":         {unclaimed, gate.SeenApplied, true, recordIt},
		"before the claim of an eviction, the pod is ready: skip it":          {unclaimed, gate.SeenUnneeded, true, skipIt},
		"after a crash, the pod that was to be evicted is ready: skip it":     {claimed, gate.SeenUnneeded, true, skipIt},
		"before the claim of an undo, the wanted value is there: all is well": {unclaimed, gate.SeenApplied, true, recordIt},
		"an undo finds our value: claim it":                                   {unclaimed, gate.SeenBefore, true, claimIt},
		"an undo finds somebody's edit: leave it":                             {unclaimed, gate.SeenOther, true, stopIt},
		"an undo after a crash finds the old value back":                      {claimed, gate.SeenApplied, true, recordIt},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := decide(row.state, row.seen, row.undo); got != row.want {
				t.Errorf("decided to %s, want %s", got, row.want)
			}
		})
	}
}
