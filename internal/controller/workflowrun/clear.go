package workflowrun

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/clearance"
	"github.com/kubernaut/kubernaut/internal/lease"
	"github.com/kubernaut/kubernaut/internal/policy"
)

// clear asks every gate, and returns the first no as a *policy.RefusedError. A
// run made by hand takes its place in the budget here; a remediation took it
// before it made the run, and an undo needs none.
func (r *Reconciler) clear(ctx context.Context, b *binding) error {
	c := b.Case
	judgement, err := r.Desk.Judge(ctx, c)
	if err != nil {
		return fmt.Errorf("asking the gates: %w", err)
	}
	c.Run.Status.Guards = judgement.Guards
	if refused, no := judgement.Decisive(); no {
		return &policy.RefusedError{Refusal: refused}
	}
	if c.Unplanned != nil {
		return c.Unplanned
	}
	if err := r.shown(ctx, leased(c.Run, b.steps)); err != nil {
		return err
	}
	b.verdict = judgement.Deadline
	if c.Remediation != nil || c.Undo {
		return nil
	}
	return r.Desk.Reserve(ctx, judgement.Policy, v1alpha1.Reservation{
		Run:       c.Run.Namespace + "/" + c.Run.Name,
		UID:       c.Run.UID,
		TargetUID: c.Steps[0].Target.UID,
		Action:    c.Steps[0].Action.Name,
		At:        metav1.NewTime(r.Clock.Now()),
	})
}

// held asks what is asked again before every single operation: the emergency
// stop and the pause. A run whose remediation was deleted goes no further, nor
// does one that lost its lease to another run, or a node to another remediator.
func (r *Reconciler) held(ctx context.Context, run *v1alpha1.WorkflowRun) error {
	c := clearance.Case{Run: run, Undo: run.Spec.Undoes != ""}
	var err error
	if c.Remediation, err = lease.Owner(ctx, r.Live, run); err != nil {
		return err
	}
	if why := abandoned(run, c.Remediation); why != "" {
		return ends(v1alpha1.ReasonCancelled, "%s", why)
	}
	if refusals := r.Desk.JudgeEach(ctx, c); len(refusals) > 0 {
		return &policy.RefusedError{Refusal: refusals[0]}
	}
	if err := r.keepLeases(ctx, run); err != nil {
		return err
	}
	return r.keepNodes(ctx, run, lease.Nodes(run))
}
