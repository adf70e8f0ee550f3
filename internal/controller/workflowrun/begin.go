package workflowrun

import (
	"context"
	"errors"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/phase"
	"github.com/kubernaut/kubernaut/internal/plan"
	"github.com/kubernaut/kubernaut/internal/policy"
)

// begin ensures that nothing is touched before it was planned from the live
// objects, every gate let exactly that plan through, and the leases on its
// targets are held. What it records is what is carried out.
func (r *Reconciler) begin(ctx context.Context, p *pass) (phase.Outcome, error) {
	if begun(p.Obj) {
		return phase.Continue, nil
	}
	bound, err := r.bind(ctx, p.Obj)
	if err == nil {
		err = r.clear(ctx, &bound)
	}
	if err == nil {
		err = r.acquire(ctx, p.Obj, bound.steps, bound.verdict)
	}
	var refused *policy.RefusedError
	switch {
	case errors.As(err, &refused):
		return r.refuse(p, refused.Refusal), nil
	case err != nil:
		return r.unread(p, err)
	}
	return phase.Continue, r.record(p.Obj, bound.steps)
}

// refuse records a no before anything was touched: a wait is asked again until its
// deadline, anything else ends the run with nothing changed.
func (r *Reconciler) refuse(p *pass, refused policy.Refusal) phase.Outcome {
	why := refused.Refusal
	if refused.Kind == policy.Waits {
		var late bool
		if why, late = r.tooLate(p.Obj, refused.Refusal); !late {
			r.holdUnbegun(p.Obj, refused.Refusal)
			return r.later(p.Obj)
		}
	}
	end(p.Obj, r.Clock.Now(), why)
	return phase.Finish()
}

// record writes down what will be done, and as whom. It is saved together with
// the first claim.
func (r *Reconciler) record(run *v1alpha1.WorkflowRun, steps []plan.Step) error {
	tenant, err := r.Gate.Open(run.Namespace)
	if err != nil {
		return err
	}
	run.Status.Actor = tenant.Actor()
	run.Status.StartedAt = metav1.NewMicroTime(r.Clock.Now())
	run.Status.Steps = recorded(steps)
	run.Status.Progress = progress(run)
	return nil
}
