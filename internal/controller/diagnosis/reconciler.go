// Package diagnosis finds the cause of admitted alerts: at once, in the pass that
// admitted one (Look), and where that gives no answer, in a controller of its own
// over the same kind. The first look is a matter of a moment, or else it ends; who
// waits, for time or for a model, does so in the controller, which has its own queue,
// concurrency and deadline (the reconcile time-out), and holds nobody up.
// Both change status.diagnosis and the condition Diagnosed, and nothing else.
package diagnosis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/phase"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// patience is how long a diagnosis may be put off because the sources say that
// it is too early: as long as Kubernetes gives a rollout by default.
const patience = 10 * time.Minute

// lookDeadline ends a first look: it waits for a place on the road, gathers for two
// seconds, and asks the rules.
const lookDeadline = 10 * time.Second

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

	// due is when what Look left to the controller is worth looking at again, by
	// uid. A process that does not know looks at once.
	due *lru.Cache
}

// maxDue is many more than are looked at in the moment before the controller hears of them.
const maxDue = 4096

// New returns a reconciler.
func New(c client.Client, clk clock.PassiveClock, g gatherer, ch chain) *Reconciler {
	return &Reconciler{client: c, clock: clk, gatherer: g, chain: ch, due: lru.New(maxDue)}
}

// SetupWithManager registers the reconciler, with so many workers and a deadline for
// each diagnosis.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, workers int, deadline time.Duration) error {
	options := phase.Workers(workers, phase.Namespace)
	options.ReconciliationTimeout = deadline
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

// wanted reports whether a remediation waits for its diagnosis: the first look gave none.
func wanted(obj client.Object) bool {
	ar, ok := obj.(*v1alpha1.AlertRemediation)
	if !ok || !ar.DeletionTimestamp.IsZero() || ar.Finished() || !meta.IsStatusConditionTrue(ar.Status.Conditions, v1alpha1.Admitted) {
		return false
	}
	condition := meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Diagnosed)
	return condition != nil && condition.Status == metav1.ConditionUnknown
}

// Look is the first look at an admitted alert. What it finds is in the object,
// which the caller saves: the cause, or that it is too early to tell, which leaves
// it to the controller. It has the caller's worker for as long as it lasts, which is
// no place for a source that takes its time.
func (r *Reconciler) Look(ctx context.Context, ar *v1alpha1.AlertRemediation) error {
	ctx, cancel := context.WithTimeout(ctx, lookDeadline)
	defer cancel()
	say, again, err := r.find(ctx, ar)
	if err != nil {
		return err
	}
	say(ar)
	if again > 0 {
		r.due.Add(ar.UID, r.clock.Now().Add(again))
	}
	return nil
}

// Reconcile looks again at one alert.
func (r *Reconciler) Reconcile(ctx context.Context, ar *v1alpha1.AlertRemediation) (ctrl.Result, error) {
	if !wanted(ar) {
		return ctrl.Result{}, nil
	}
	if due, known := r.due.Get(ar.UID); known {
		r.due.Remove(ar.UID)
		if left := due.(time.Time).Sub(r.clock.Now()); left > 0 {
			return ctrl.Result{RequeueAfter: left}, nil
		}
	}
	say, again, err := r.find(ctx, ar)
	if err != nil {
		return ctrl.Result{}, err
	}
	if err := r.write(ctx, ar, say); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: again}, nil
}

// find asks for the cause of an alert. It returns how to say in a status what is
// known, and when to look again; zero: never.
func (r *Reconciler) find(ctx context.Context, ar *v1alpha1.AlertRemediation) (say func(*v1alpha1.AlertRemediation), again time.Duration, err error) {
	answer, err := r.chain.Diagnose(ctx, r.question(ctx, ar))
	now := r.clock.Now()
	if early := new(analysis.UnsettledError); errors.As(err, &early) {
		if now.Sub(waitingSince(ar, now)) < patience {
			return func(ar *v1alpha1.AlertRemediation) { putOff(ar, early.Now.Summary, now) }, early.After, nil
		}
		answer, err = early.Now, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("diagnosing %s/%s: %w", ar.Namespace, ar.Name, err)
	}
	return func(ar *v1alpha1.AlertRemediation) { record(ar, answer, now) }, 0, nil
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
