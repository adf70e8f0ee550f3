// Package workflowrun carries out one plan with the rights of the tenant, or
// takes one back. Every operation is claimed in the status before it is done, so
// that a crash at any point leaves a run that can be continued by looking.
package workflowrun

import (
	"cmp"
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/clearance"
	"github.com/kubernaut/kubernaut/internal/gate"
	"github.com/kubernaut/kubernaut/internal/lease"
	"github.com/kubernaut/kubernaut/internal/phase"
	"github.com/kubernaut/kubernaut/internal/plan"
	"github.com/kubernaut/kubernaut/internal/policy"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// desk knows what the gates say.
type desk interface {
	Judge(ctx context.Context, c clearance.Case) (policy.Judgement, error)
	JudgeEach(ctx context.Context, c clearance.Case) []policy.Refusal
	Reserve(ctx context.Context, policy string, reservation v1alpha1.Reservation) error
}

// Needs are the parts of the house this controller works with.
type Needs struct {
	Client  client.Client
	Live    client.Reader // past the cache: what an effect rests on is never stale
	Clock   clock.PassiveClock
	Desk    desk
	Gate    *gate.Gate
	Leases  *lease.Keeper
	Catalog action.Catalog
	History action.History
	Events  events.EventRecorder
}

// Reconciler drives WorkflowRuns.
type Reconciler struct {
	Needs
	metrics metrics
}

// New returns a reconciler.
func New(needs Needs, reg prometheus.Registerer) *Reconciler {
	return &Reconciler{Needs: needs, metrics: newMetrics(reg)}
}

// SetupWithManager registers the reconciler. A run follows its remediation too:
// a suspension and an approval hold or free it, and the verdict frees its lease.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, workers int) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("workflowrun").
		For(&v1alpha1.WorkflowRun{}).
		Watches(&v1alpha1.AlertRemediation{}, handler.EnqueueRequestsFromMapFunc(r.runsOf)).
		WithOptions(phase.Workers(workers, phase.Namespace)).
		Complete(phase.Reconciler(mgr.GetClient(), r.Live, r))
}

// Reconcile drives one run from its first plan to its last effect.
func (r *Reconciler) Reconcile(ctx context.Context, run *v1alpha1.WorkflowRun) (ctrl.Result, error) {
	if !run.DeletionTimestamp.IsZero() {
		return phase.Result(r.finalize(ctx, run))
	}
	if err := r.protect(ctx, run); err != nil {
		return phase.Result(phase.Continue, err)
	}
	pass := phase.Begin(r.Client, run)
	if controllerutil.ContainsFinalizer(run, v1alpha1.RunFinalizer) {
		run.RecordOwner() // a change of the metadata after the first reconcile has no effect
	}
	outcome, err := phase.Run(ctx, pass, r.release, r.cancel, r.begin, r.carryOut, r.finish)
	run.Status.ObservedGeneration = run.Generation
	if saved := pass.Save(ctx); saved != nil {
		return phase.Result(outcome, cmp.Or(err, saved)) // what broke first; a stale save alone is retried soon
	}
	r.announce(pass) // events and counters: only what was saved
	return phase.Result(outcome, err)
}

// pass is one reconcile of one run.
type pass = phase.Pass[*v1alpha1.WorkflowRun]

// runsOf returns the runs of a remediation, by the names that it gives them: at
// every write of a remediation no other run is read.
func (r *Reconciler) runsOf(_ context.Context, obj client.Object) []reconcile.Request {
	ar, ok := obj.(*v1alpha1.AlertRemediation)
	if !ok {
		return nil
	}
	var requests []reconcile.Request
	for n := int32(1); n <= ar.Status.Runs; n++ {
		name := types.NamespacedName{Namespace: ar.Namespace, Name: plan.RunName(ar.Name, n)}
		requests = append(requests, reconcile.Request{NamespacedName: name})
	}
	return requests
}

// later comes back to a run that something holds, the more rarely the older it is.
func (r *Reconciler) later(run *v1alpha1.WorkflowRun) phase.Outcome {
	return phase.Wait(phase.Rarely(gateRetry, r.Clock.Now().Sub(root(run).LastTransitionTime.Time)))
}

// How long a pass waits before it looks again, where nothing that is watched would wake it.
const (
	gateRetry   = 2 * time.Second
	settleRetry = time.Second
	letGoRetry  = 5 * time.Second
)
