package workflowrun

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/lease"
	"github.com/kubernaut/kubernaut/internal/plan"
	"github.com/kubernaut/kubernaut/internal/policy"
)

// acquire takes the leases on the targets of the run and of every step, those
// of an undone run included, or waits for whoever holds one.
func (r *Reconciler) acquire(ctx context.Context, run *v1alpha1.WorkflowRun, steps []plan.Step) error {
	targets := []v1alpha1.TargetReference{run.Spec.Target}
	for _, step := range steps {
		targets = append(targets, step.Target)
	}
	var uids []types.UID
	for _, target := range targets {
		uids = append(uids, target.UID)
	}
	busy, err := r.Leases.Acquire(ctx, run, uids...)
	if err != nil {
		return err
	}
	if busy != "" {
		return &policy.RefusedError{Refusal: policy.Refusal{
			Kind:    policy.Waits,
			Refusal: verdict(v1alpha1.ReasonTargetBusy, "run %s holds the target until its verdict has fallen; this one comes after it", busy),
		}}
	}
	if err := r.keepNodes(ctx, run, lease.NodesOf(targets...)); err != nil {
		return err
	}
	set(run, v1alpha1.Claimed, metav1.ConditionTrue, verdict(v1alpha1.ReasonHeld, ""))
	return nil
}

// keepNodes takes, and later renews, the leases by which other remediators of
// nodes know that one is at work.
func (r *Reconciler) keepNodes(ctx context.Context, run *v1alpha1.WorkflowRun, nodes []v1alpha1.TargetReference) error {
	node, holder, err := r.Leases.AcquireNodes(ctx, run, nodes...)
	if err != nil {
		return err
	}
	if holder != "" {
		return ends(v1alpha1.ReasonOwnedByOther, "%s is at work on Node/%s; this run leaves it alone", holder, node)
	}
	return nil
}
