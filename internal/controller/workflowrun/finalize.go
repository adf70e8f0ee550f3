package workflowrun

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/phase"
	"github.com/kubernaut/kubernaut/internal/policy"
)

// patience is how long a deleted run is kept while its claimed operation can't
// be settled or its lease not be given back.
const patience = 10 * time.Minute

// finalize lets a deleted run go once it is known what it did and its leases are
// given back. Nothing new begins and nothing is undone: that is what cancelling
// is for. It never holds up a namespace, or the deletion of its own kind.
func (r *Reconciler) finalize(ctx context.Context, run *v1alpha1.WorkflowRun) (phase.Outcome, error) {
	if !controllerutil.ContainsFinalizer(run, v1alpha1.RunFinalizer) {
		return phase.Finish(), nil
	}
	if err := r.letGo(ctx, run); err != nil {
		if !r.overdue(ctx, run) {
			ctrl.LoggerFrom(ctx).Error(err, "keeping a deleted run until it is settled")
			return phase.Wait(letGoRetry), nil
		}
		r.Events.Eventf(run, nil, corev1.EventTypeWarning, "LetGo", "Finalize", "deleted without being settled: %s", cut(err.Error()))
	}
	return phase.Finish(), r.unprotect(ctx, run)
}

// letGo settles the claimed operations of a deleted run by looking, and gives its leases back.
func (r *Reconciler) letGo(ctx context.Context, run *v1alpha1.WorkflowRun) error {
	p := phase.Begin(r.Client, run)
	var faults []error
	for i := range run.Status.Steps {
		for j := range run.Status.Steps[i].Operations {
			op := &run.Status.Steps[i].Operations[j]
			if op.State != v1alpha1.OperationClaimed {
				continue
			}
			err := r.settleClaim(ctx, op)
			var changed *policy.RefusedError
			if err != nil && !errors.As(err, &changed) { // somebody else's value is an answer too
				faults = append(faults, err)
			}
		}
	}
	return errors.Join(append(faults, p.Save(ctx), r.Leases.Release(ctx, run))...)
}

// overdue reports whether a deleted run must go whatever is still open.
func (r *Reconciler) overdue(ctx context.Context, run *v1alpha1.WorkflowRun) bool {
	return !r.Clock.Now().Before(run.DeletionTimestamp.Add(patience)) ||
		r.goes(ctx, corev1.SchemeGroupVersion.WithKind("Namespace"), run.Namespace) || r.goes(ctx, definitions, runDefinition)
}

// runDefinition is the CustomResourceDefinition of runs: while it is being deleted,
// it waits for every run, and no new one can be created.
const runDefinition = "workflowruns.kubernaut.io"

var definitions = schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}

// goes reports whether a cluster-scoped object is being deleted or is gone. If it
// can't be read, the run's own patience decides.
func (r *Reconciler) goes(ctx context.Context, kind schema.GroupVersionKind, name string) bool {
	found := &metav1.PartialObjectMetadata{}
	found.SetGroupVersionKind(kind)
	err := r.Live.Get(ctx, types.NamespacedName{Name: name}, found)
	return apierrors.IsNotFound(err) || err == nil && !found.DeletionTimestamp.IsZero()
}
