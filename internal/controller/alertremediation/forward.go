package alertremediation

import (
	"context"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/phase"
)

// forward returns the latest run of a remediation that is no undo: the one whose
// change is verified, and taken back if it does not help.
func (r *Reconciler) forward(ctx context.Context, ar *v1alpha1.AlertRemediation) (*v1alpha1.WorkflowRun, error) {
	for n := ar.Status.Runs; n > 0; n-- {
		run, ours, err := r.numbered(ctx, ar, n)
		if err != nil {
			return nil, err
		}
		if ours && run.Spec.Undoes == "" {
			return run, nil
		}
	}
	return nil, fmt.Errorf("finding the run of %s: %w", ar.Name, errRunDeleted)
}

// errRunDeleted means that somebody deleted the run that a remediation rests on.
// With it went the record of what was changed: nothing can be compared any more,
// or taken back.
var errRunDeleted = errors.New("it was deleted")

// bereft ends a remediation whose run was deleted before the verdict.
func bereft(ar *v1alpha1.AlertRemediation) (phase.Outcome, error) {
	set(ar, v1alpha1.Verified, metav1.ConditionFalse, v1alpha1.ReasonTargetGone, "the WorkflowRun was deleted, and with it the record of what it changed")
	return finish(ar, v1alpha1.OutcomeEscalated, "the WorkflowRun was deleted before it was known whether its change helped; the change may be in place, and its undo is in the plan")
}
