// Package retention deletes remediations and runs that have ended, as long ago and
// as many as the policy of their namespace says. What they did stays in the audit
// lines; what a budget or a cooldown needs to remember is in the policy's status.
package retention

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// A namespace is cleared in small lots, so that a thousand outdated objects do not
// become a thousand deletions at once.
const (
	lot   = 50
	pause = time.Second
)

// Reconciler clears namespaces of what has ended.
type Reconciler struct {
	client   client.Client
	clock    clock.PassiveClock
	operator string
}

// New returns a reconciler; operator is the namespace of the default policy.
func New(c client.Client, clk clock.PassiveClock, operator string) *Reconciler {
	return &Reconciler{client: c, clock: clk, operator: operator}
}

// SetupWithManager registers the reconciler. Its requests are namespaces.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	space := handler.EnqueueRequestsFromMapFunc(func(_ context.Context, obj client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: obj.GetNamespace()}}}
	})
	finished := builder.WithPredicates(predicate.NewPredicateFuncs(func(obj client.Object) bool {
		ends, ok := obj.(interface{ Finished() bool })
		return ok && ends.Finished()
	}))
	return ctrl.NewControllerManagedBy(mgr).
		Named("retention").
		Watches(&v1alpha1.AlertRemediation{}, space, finished).
		Watches(&v1alpha1.WorkflowRun{}, space, finished).
		Watches(&v1alpha1.RemediationPolicy{}, space, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(options).
		Complete(r)
}

// Reconcile clears one namespace, and comes back when the next object is outdated.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (ctrl.Result, error) {
	var remediations v1alpha1.AlertRemediationList
	var runs v1alpha1.WorkflowRunList
	var policies v1alpha1.RemediationPolicyList
	for _, list := range []client.ObjectList{&remediations, &runs, &policies} {
		// Nobody changes what is listed here, and it is all that a namespace has.
		if err := r.client.List(ctx, list, client.InNamespace(req.Name), client.UnsafeDisableDeepCopy); err != nil {
			return ctrl.Result{}, fmt.Errorf("listing what is in namespace %s: %w", req.Name, err)
		}
	}
	shipped := &v1alpha1.RemediationPolicy{}
	err := r.client.Get(ctx, types.NamespacedName{Namespace: r.operator, Name: v1alpha1.DefaultPolicyName}, shipped)
	if client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("reading RemediationPolicy %s/%s: %w", r.operator, v1alpha1.DefaultPolicyName, err)
	}
	keep, most := wanted(policies.Items, shipped)
	gone, next := outdated(endings(remediations.Items, runs.Items), keep, most, r.clock.Now())
	if len(gone) > lot {
		gone, next = gone[:lot], pause
	}
	return ctrl.Result{RequeueAfter: next}, r.remove(ctx, gone)
}

// remove deletes objects as they were seen: one that was written meanwhile stays
// until the next look.
func (r *Reconciler) remove(ctx context.Context, gone []client.Object) error {
	var faults []error
	for _, obj := range gone {
		uid, version := obj.GetUID(), obj.GetResourceVersion()
		err := r.client.Delete(ctx, obj, client.Preconditions{UID: &uid, ResourceVersion: &version})
		if client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
			faults = append(faults, fmt.Errorf("deleting %s/%s, which has ended: %w", obj.GetNamespace(), obj.GetName(), err))
		}
	}
	return errors.Join(faults...)
}
