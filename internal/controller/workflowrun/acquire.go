package workflowrun

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/plan"
	"github.com/kubernaut/kubernaut/internal/policy"
)

// acquire takes the leases on the targets of the run and of every step, those
// of an undone run included, or waits for whoever holds one.
func (r *Reconciler) acquire(ctx context.Context, run *v1alpha1.WorkflowRun, steps []plan.Step) error {
	uids := []types.UID{run.Spec.Target.UID}
	for _, step := range steps {
		uids = append(uids, step.Target.UID)
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
	set(run, v1alpha1.Claimed, metav1.ConditionTrue, verdict(v1alpha1.ReasonHeld, ""))
	return nil
}
