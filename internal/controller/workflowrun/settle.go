package workflowrun

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/phase"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// settle waits until the effect of a step's operations has arrived. What an undo
// puts back need not be well again: that the value is there is all of it.
func (r *Reconciler) settle(ctx context.Context, p *pass, t task) (phase.Outcome, error) {
	step := &p.Obj.Status.Steps[t.step]
	seen := action.Progress{Done: true}
	var err error
	if p.Obj.Spec.Undoes == "" {
		seen, err = r.arrived(ctx, p.Obj, *step)
	}
	switch now := r.Clock.Now(); {
	case err == nil && seen.Done:
		step.State, step.Message = v1alpha1.StepSucceeded, cut(seen.Message)
		step.FinishedAt = metav1.NewMicroTime(now)
		p.Obj.Status.Progress = progress(p.Obj)
		return phase.Continue, nil
	case err == nil && seen.Failed:
		return r.failed(p, t, verdict(v1alpha1.ReasonStepFailed, "%s", seen.Message))
	case err == nil && r.reopened(ctx, p, t):
		return phase.Continue, nil
	case expired(p.Obj, now):
		return r.failed(p, t, r.unsettled(ctx, p.Obj, *step, lastSeen(seen, err)))
	case err != nil:
		return phase.Continue, err
	}
	step.Message = cut(seen.Message)
	return phase.Wait(settleRetry), nil
}

// arrived asks the action of a step how far its effect has come.
func (r *Reconciler) arrived(ctx context.Context, run *v1alpha1.WorkflowRun, step v1alpha1.StepStatus) (action.Progress, error) {
	for _, wanted := range run.Spec.Steps {
		if wanted.Name != step.Name {
			continue
		}
		act, err := r.Catalog.Find(wanted.Action.Name)
		if err != nil {
			return action.Progress{}, err
		}
		seen, err := act.Settled(ctx, r.world(run, step.Name), run.StepTarget(wanted), planned(step))
		if err != nil {
			return action.Progress{}, fmt.Errorf("asking whether step %s has settled: %w", step.Name, err)
		}
		return seen, nil
	}
	return action.Progress{}, fmt.Errorf("asking whether step %s has settled: the run has no such step", step.Name)
}

func lastSeen(seen action.Progress, err error) string {
	if err != nil {
		return err.Error()
	}
	return seen.Message
}
