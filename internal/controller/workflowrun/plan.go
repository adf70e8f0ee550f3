package workflowrun

import (
	"context"
	"fmt"
	"strings"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/clearance"
	"github.com/kubernaut/kubernaut/internal/plan"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// planSteps plans every step of a run from the live objects. The error it ends
// with is for the gates to judge: it goes into the case.
func (r *Reconciler) planSteps(ctx context.Context, run *v1alpha1.WorkflowRun) ([]plan.Step, error) {
	steps := make([]plan.Step, 0, len(run.Spec.Steps))
	for _, wanted := range run.Spec.Steps {
		step, err := r.planStep(ctx, run, wanted)
		if err != nil {
			return nil, err
		}
		steps = append(steps, step)
	}
	return steps, nil
}

func (r *Reconciler) planStep(ctx context.Context, run *v1alpha1.WorkflowRun, wanted v1alpha1.Step) (plan.Step, error) {
	act, err := r.Catalog.Find(wanted.Action.Name)
	if err != nil {
		return plan.Step{}, err
	}
	spec, params := act.Spec(), action.Params(wanted.Action.Parameters)
	if err := spec.Validate(params); err != nil {
		return plan.Step{}, fmt.Errorf("checking step %s: %w", wanted.Name, err)
	}
	target := run.StepTarget(wanted)
	made, err := act.Plan(ctx, r.world(run, wanted.Name), target, params)
	if err != nil {
		return plan.Step{}, fmt.Errorf("planning %s of %s: %w", spec.Name, target, err)
	}
	return plan.Step{Name: wanted.Name, Spec: spec, Params: params, Target: target, Plan: made}, nil
}

// world is what an action may see while it works for a step.
func (r *Reconciler) world(run *v1alpha1.WorkflowRun, step string) action.World {
	return action.World{
		Objects: r.Live, History: r.History, Stamp: stamp(run, step),
		Now: r.Clock.Now(), ByHand: run.Remediation() == nil,
	}
}

// stamp names a step's effect as remediation/number/step, the same as when the
// remediation's plan was made; a run made by hand stands for itself.
func stamp(run *v1alpha1.WorkflowRun, step string) string {
	if owner := run.Remediation(); owner != nil {
		number := strings.TrimPrefix(run.Name, owner.Name+"-run-")
		return owner.Name + "/" + number + "/" + step
	}
	return run.Name + "/1/" + step
}

// cased puts planned steps into the case the gates judge.
func cased(steps []plan.Step) []clearance.Step {
	list := make([]clearance.Step, 0, len(steps))
	for _, step := range steps {
		list = append(list, clearance.Step{Name: step.Name, Action: step.Spec, Target: step.Target, Plan: step.Plan})
	}
	return list
}

// What a status can hold of a plan.
const (
	maxOperations = 32
	maxRecorded   = 64 << 10
)

// tooLarge says why a plan can't be recorded, or nothing. What can't be recorded
// could not be continued after a crash, nor taken back.
func tooLarge(steps []plan.Step) string {
	bytes := 0
	for _, step := range steps {
		if n := len(step.Plan.Operations); n > maxOperations {
			return fmt.Sprintf("step %s has %d operations; %d are the most that can be recorded", step.Name, n, maxOperations)
		}
		for _, op := range step.Plan.Operations {
			bytes += size(&op.Operation) + size(op.Undo)
		}
	}
	if bytes > maxRecorded {
		return fmt.Sprintf("the operations and their undos have %d bytes; %d are the most that can be recorded", bytes, maxRecorded)
	}
	return ""
}

func size(op *v1alpha1.Operation) int {
	if op == nil {
		return 0
	}
	n := 0
	if op.Body != nil {
		n += len(op.Body.Raw)
	}
	for _, field := range op.Precondition.Fields {
		n += len(field.Path)
		if field.Value != nil {
			n += len(field.Value.Raw)
		}
	}
	return n
}

// recorded is a step's plan as the status holds it, not yet claimed.
func recorded(steps []plan.Step) []v1alpha1.StepStatus {
	list := make([]v1alpha1.StepStatus, 0, len(steps))
	for _, step := range steps {
		status := v1alpha1.StepStatus{Name: step.Name, State: v1alpha1.StepPending}
		for _, op := range step.Plan.Operations {
			status.Operations = append(status.Operations, v1alpha1.OperationStatus{Operation: op.Operation, Undo: op.Undo})
		}
		list = append(list, status)
	}
	return list
}

// planned is the plan of a step as it was recorded.
func planned(step v1alpha1.StepStatus) action.Plan {
	var made action.Plan
	for _, op := range step.Operations {
		made.Operations = append(made.Operations, action.Operation{Operation: op.Operation, Undo: op.Undo})
	}
	return made
}
