package workflowrun

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/lease"
	"github.com/kubernaut/kubernaut/internal/phase"
)

// protect ensures that a run has its finalizer before it can claim anything.
func (r *Reconciler) protect(ctx context.Context, run *v1alpha1.WorkflowRun) error {
	if run.Finished() || controllerutil.ContainsFinalizer(run, v1alpha1.RunFinalizer) {
		return nil
	}
	base := run.DeepCopy()
	controllerutil.AddFinalizer(run, v1alpha1.RunFinalizer)
	return r.saveFinalizers(ctx, base, run)
}

// release ensures that a finished run gives its leases back once the verdict
// over its change has fallen, and then lets itself be deleted.
func (r *Reconciler) release(ctx context.Context, p *pass) (phase.Outcome, error) {
	if !p.Obj.Finished() {
		return phase.Continue, nil
	}
	if !controllerutil.ContainsFinalizer(p.Obj, v1alpha1.RunFinalizer) {
		return phase.Finish(), nil
	}
	claimed := meta.IsStatusConditionTrue(p.Obj.Status.Conditions, v1alpha1.Claimed)
	if claimed {
		ar, err := lease.Owner(ctx, r.Live, p.Obj)
		if err != nil {
			return phase.Continue, err
		}
		if ar != nil && !ar.Finished() {
			return r.awaitVerdict(ctx, p.Obj)
		}
	}
	if err := r.Leases.Release(ctx, p.Obj); err != nil {
		return phase.Continue, err
	}
	if claimed {
		set(p.Obj, v1alpha1.Claimed, metav1.ConditionFalse, verdict(v1alpha1.ReasonReleased, ""))
	}
	if err := p.Save(ctx); err != nil {
		return phase.Continue, err
	}
	return phase.Finish(), r.unprotect(ctx, p.Obj)
}

// awaitVerdict keeps the leases until then: the remediation's changes wake us. Leases on nodes
// have to be renewed meanwhile, but no longer than any lease on a target lasts; what
// another remediator does once one ran out is for the verification to see.
func (r *Reconciler) awaitVerdict(ctx context.Context, run *v1alpha1.WorkflowRun) (phase.Outcome, error) {
	nodes := lease.Nodes(run)
	if len(nodes) == 0 || !r.Clock.Now().Before(run.Status.StartedAt.Add(lease.LongestTerm)) {
		return phase.Finish(), nil
	}
	if _, _, err := r.Leases.AcquireNodes(ctx, run, nodes...); err != nil {
		return phase.Continue, err
	}
	return phase.Wait(lease.NodeRenewal), nil
}

// unprotect lets the API server delete the run.
func (r *Reconciler) unprotect(ctx context.Context, run *v1alpha1.WorkflowRun) error {
	base := run.DeepCopy()
	controllerutil.RemoveFinalizer(run, v1alpha1.RunFinalizer)
	return r.saveFinalizers(ctx, base, run)
}

// saveFinalizers patches the list as it was read: somebody else's finalizer that
// came meanwhile must not get lost.
func (r *Reconciler) saveFinalizers(ctx context.Context, base, run *v1alpha1.WorkflowRun) error {
	patch := client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{})
	err := r.Client.Patch(ctx, run, patch)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return phase.ErrStale
	}
	if err != nil {
		return fmt.Errorf("saving the finalizers of run %s: %w", run.Name, err)
	}
	return nil
}
