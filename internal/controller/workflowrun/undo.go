package workflowrun

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/gate"
	"github.com/kubernaut/kubernaut/internal/phase"
	"github.com/kubernaut/kubernaut/internal/plan"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// planUndo returns what takes back the run that this one undoes, and what of it
// is still ahead, or refuses because that can't be.
func (r *Reconciler) planUndo(ctx context.Context, run *v1alpha1.WorkflowRun) (steps, ahead []plan.Step, err error) {
	undone, err := r.undone(ctx, run)
	if err != nil {
		return nil, nil, err
	}
	if why := undoable(run, undone); why != "" {
		return nil, nil, ends(v1alpha1.ReasonCannotUndo, "%s", why)
	}
	steps = r.undoSteps(undone)
	ahead, err = r.ahead(ctx, steps)
	return steps, ahead, err
}

// ahead returns the steps without the operations that somebody has seen to
// already, and refuses where an object is as nobody expects it: an undo never
// goes over somebody's edit. Of each object only the first operation ahead can
// be looked at; the others rest on it.
func (r *Reconciler) ahead(ctx context.Context, steps []plan.Step) ([]plan.Step, error) {
	met := map[v1alpha1.ObjectReference]bool{}
	var left []plan.Step
	for _, step := range steps {
		ops := step.Plan.Operations
		step.Plan.Operations = nil
		for _, op := range ops {
			if !met[op.Object] {
				seen, err := gate.Look(ctx, r.Live, op.Operation)
				if err != nil {
					return nil, err
				}
				if seen.State == gate.SeenOther {
					return nil, ends(v1alpha1.ReasonChangedMeanwhile, "%s", seen.Says)
				}
				if seen.State == gate.SeenApplied {
					continue
				}
			}
			met[op.Object] = true
			step.Plan.Operations = append(step.Plan.Operations, op)
		}
		left = append(left, step)
	}
	return left, nil
}

// undone reads the run that is to be taken back; nil when it is gone.
func (r *Reconciler) undone(ctx context.Context, run *v1alpha1.WorkflowRun) (*v1alpha1.WorkflowRun, error) {
	undone := &v1alpha1.WorkflowRun{}
	err := r.Live.Get(ctx, types.NamespacedName{Namespace: run.Namespace, Name: run.Spec.Undoes}, undone)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading run %s that is to be undone: %w", run.Spec.Undoes, err)
	}
	return undone, nil
}

// undoable says why a run can't take another back, or nothing. A remediation
// takes back its own runs only; a person may take back any, once nobody holds
// its target any more.
func undoable(run, undone *v1alpha1.WorkflowRun) string {
	if undone == nil {
		return fmt.Sprintf("WorkflowRun %s is gone, and with it what would take it back", run.Spec.Undoes)
	}
	asking, made := run.Remediation(), undone.Remediation()
	switch {
	case !undone.Spec.Target.Same(run.Spec.Target):
		return fmt.Sprintf("WorkflowRun %s is about another target: make a run with exactly its spec.target", undone.Name)
	case undone.Spec.Undoes == "" && !actsOn(undone, undone.Spec.Target):
		return fmt.Sprintf("WorkflowRun %s changed another object than its spec.target; take its operations back by hand", undone.Name)
	case asking != nil && (made == nil || made.UID != asking.UID):
		return fmt.Sprintf("WorkflowRun %s is not of the same AlertRemediation", undone.Name)
	case !undone.Finished():
		return fmt.Sprintf("WorkflowRun %s has not ended; set its spec.cancelled instead", undone.Name)
	}
	return irreversible(undone.Status.Steps)
}

// irreversible says why recorded operations can't be taken back, or nothing.
func irreversible(steps []v1alpha1.StepStatus) string {
	found := false
	for _, step := range steps {
		for _, op := range step.Operations {
			if op.State != v1alpha1.OperationApplied {
				continue
			}
			found = true
			if op.Undo == nil && !regrown(steps, op.Operation) {
				return fmt.Sprintf("the %s of %s in step %s can't be undone", op.Verb, op.Object, step.Name)
			}
		}
	}
	if !found {
		return "no operation is recorded as applied: there is nothing to take back"
	}
	return ""
}

// regrown reports whether an operation removed a pod beside a change that can be
// taken back: then the pod is none of what there is to take back.
func regrown(steps []v1alpha1.StepStatus, op v1alpha1.Operation) bool {
	return action.Regrows(op) && slices.ContainsFunc(steps, func(step v1alpha1.StepStatus) bool {
		return slices.ContainsFunc(step.Operations, func(other v1alpha1.OperationStatus) bool { return other.Undo != nil })
	})
}

// undoSteps returns the recorded undos of what is in place, last one first.
func (r *Reconciler) undoSteps(undone *v1alpha1.WorkflowRun) []plan.Step {
	var steps []plan.Step
	for _, status := range slices.Backward(undone.Status.Steps) {
		step := plan.Step{Name: status.Name, Target: undone.Spec.Target}
		for _, wanted := range undone.Spec.Steps {
			if wanted.Name == status.Name {
				step.Target, step.Spec = undone.StepTarget(wanted), r.spec(wanted.Action.Name)
			}
		}
		for _, op := range slices.Backward(status.Operations) {
			if op.State == v1alpha1.OperationApplied && op.Undo != nil {
				step.Plan.Operations = append(step.Plan.Operations, action.Operation{Operation: *op.Undo})
			}
		}
		if len(step.Plan.Operations) > 0 {
			steps = append(steps, step)
		}
	}
	return steps
}

// spec returns what the catalogue says of an action. What it no longer knows can
// still be taken back: the undo is recorded.
func (r *Reconciler) spec(name string) action.Spec {
	act, err := r.Catalog.Find(name)
	if err != nil {
		return action.Spec{Name: name}
	}
	return act.Spec()
}

// markUndone records in the run that was taken back that it was.
func (r *Reconciler) markUndone(ctx context.Context, run *v1alpha1.WorkflowRun) error {
	undone, err := r.undone(ctx, run)
	if undone == nil || err != nil {
		return err
	}
	other := phase.Begin(r.Client, undone)
	for i := range undone.Status.Steps {
		takenBack(&undone.Status.Steps[i])
	}
	set(undone, v1alpha1.RolledBack, metav1.ConditionTrue, verdict(v1alpha1.ReasonRolledBack, "taken back by run %s", run.Name))
	return other.Save(ctx)
}

// takenBack records that every applied operation of a step was taken back.
func takenBack(step *v1alpha1.StepStatus) {
	found := false
	for i := range step.Operations {
		if op := &step.Operations[i]; op.State == v1alpha1.OperationApplied || op.State == v1alpha1.OperationUndone {
			op.State, found = v1alpha1.OperationUndone, true
		}
	}
	if found {
		step.State = v1alpha1.StepRolledBack
	}
}
