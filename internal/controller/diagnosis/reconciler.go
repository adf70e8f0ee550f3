// Package diagnosis finds the cause of admitted alerts. It is a controller of its
// own, because a model may take minutes: its own queue, its own concurrency, its
// deadline as the reconcile time-out. It writes status.diagnosis and the
// condition Diagnosed, and nothing else.
package diagnosis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// patience is how long a diagnosis may be put off because the sources say that
// it is too early: as long as Kubernetes gives a rollout by default.
const patience = 10 * time.Minute

// gatherer sees what the cluster shows around a target.
type gatherer interface {
	Gather(ctx context.Context, subject v1alpha1.ObjectReference, target v1alpha1.TargetReference) *analysis.Snapshot
}

// chain asks the sources of a diagnosis.
type chain interface {
	Diagnose(ctx context.Context, req analysis.Request) (v1alpha1.Diagnosis, error)
}

// Reconciler finds the cause of AlertRemediations.
type Reconciler struct {
	client   client.Client
	clock    clock.PassiveClock
	gatherer gatherer
	chain    chain
	metrics  metrics
}

// New returns a reconciler.
func New(c client.Client, clk clock.PassiveClock, g gatherer, ch chain, reg prometheus.Registerer) *Reconciler {
	return &Reconciler{client: c, clock: clk, gatherer: g, chain: ch, metrics: newMetrics(reg)}
}

// SetupWithManager registers the reconciler; the options carry its concurrency
// and its deadline.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("diagnosis").
		For(&v1alpha1.AlertRemediation{}, builder.WithPredicates(newlyAsked)).
		WithOptions(options).
		Complete(reconcile.AsReconciler(mgr.GetClient(), r))
}

// newlyAsked lets an object through when it begins to want a diagnosis; our own
// writes while it waits must not wake us early.
var newlyAsked = predicate.Funcs{
	CreateFunc: func(e event.CreateEvent) bool { return wanted(e.Object) },
	UpdateFunc: func(e event.UpdateEvent) bool { return wanted(e.ObjectNew) && !wanted(e.ObjectOld) },
	DeleteFunc: func(event.DeleteEvent) bool { return false },
}

// wanted reports whether a remediation waits for its diagnosis.
func wanted(obj client.Object) bool {
	ar, ok := obj.(*v1alpha1.AlertRemediation)
	return ok && ar.DeletionTimestamp.IsZero() && !ar.Finished() &&
		meta.IsStatusConditionTrue(ar.Status.Conditions, v1alpha1.Admitted) && !settled(ar)
}

// settled reports whether the cause is known, or known not to be findable.
func settled(ar *v1alpha1.AlertRemediation) bool {
	condition := meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Diagnosed)
	return condition != nil && condition.Status != metav1.ConditionUnknown
}

// Reconcile finds the cause of one alert.
func (r *Reconciler) Reconcile(ctx context.Context, ar *v1alpha1.AlertRemediation) (ctrl.Result, error) {
	if !wanted(ar) {
		return ctrl.Result{}, nil
	}
	answer, err := r.chain.Diagnose(ctx, r.question(ctx, ar))
	now := r.clock.Now()
	if early := new(analysis.UnsettledError); errors.As(err, &early) {
		if now.Sub(waitingSince(ar, now)) < patience {
			return r.putOff(ctx, ar, early)
		}
		answer, err = early.Now, nil
	}
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("diagnosing %s/%s: %w", ar.Namespace, ar.Name, err)
	}
	written, err := r.write(ctx, ar, func(ar *v1alpha1.AlertRemediation) { record(ar, answer, now) })
	if written {
		r.metrics.diagnosed.WithLabelValues(string(answer.Source), string(answer.Cause)).Inc()
	}
	return ctrl.Result{}, err
}

// putOff says that it is too early, and comes back when it is worth looking again.
func (r *Reconciler) putOff(ctx context.Context, ar *v1alpha1.AlertRemediation, early *analysis.UnsettledError) (ctrl.Result, error) {
	now := r.clock.Now()
	_, err := r.write(ctx, ar, func(ar *v1alpha1.AlertRemediation) { putOff(ar, early.Now.Summary, now) })
	if err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: early.After}, nil
}

// question gathers what the sources are to look at. An alert without a target
// is asked about all the same: its own words are all there is.
func (r *Reconciler) question(ctx context.Context, ar *v1alpha1.AlertRemediation) analysis.Request {
	req := analysis.Request{Remediation: ar.Namespace + "/" + ar.Name, Alert: ar.Spec.Alert}
	target := ar.Status.Target
	if target == nil {
		req.Snapshot = &analysis.Snapshot{TakenAt: r.clock.Now()}
		return req
	}
	subject := target.ObjectReference
	if ar.Spec.Target != nil {
		subject = *ar.Spec.Target
	}
	req.Snapshot = r.gatherer.Gather(ctx, subject, *target)
	return req
}

// waitingSince is when a diagnosis was first put off.
func waitingSince(ar *v1alpha1.AlertRemediation, now time.Time) time.Time {
	condition := meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Diagnosed)
	if condition == nil {
		return now
	}
	return condition.LastTransitionTime.Time
}
