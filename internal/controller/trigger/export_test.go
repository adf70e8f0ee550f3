package trigger

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Look reconciles one object, as the watch of its kind would.
func (r *Reconciler) Look(ctx context.Context, kind string, obj client.Object) (ctrl.Result, error) {
	return r.Reconcile(ctx, subject{kind, client.ObjectKeyFromObject(obj)})
}

// SecondLook is the least time between the two looks that a remediation needs.
const SecondLook = secondLook

// Watches reports whether objects of a kind are watched, and so cached.
func (r *Reconciler) Watches(kind string) bool { return r.watching[kind] }
