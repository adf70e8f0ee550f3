package trigger

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/evidence"
)

// listen ensures that status.alert of a remediation says whether its trouble is
// there: nobody else would ever say that it is over.
func (r *Reconciler) listen(ctx context.Context, ar *v1alpha1.AlertRemediation) (ctrl.Result, error) {
	if target := ar.Spec.Target; !r.concerns(ar) || target == nil || target.Namespace != "" && !r.config.allows(target.Namespace) {
		return ctrl.Result{}, nil
	}
	there, err := r.shows(ctx, ar)
	if err != nil {
		return ctrl.Result{}, err
	}
	state := v1alpha1.AlertResolved
	if there {
		state = v1alpha1.AlertFiring
	}
	if state != ar.AlertState() {
		if err := r.tell(ctx, ar, state); err != nil {
			return ctrl.Result{}, err
		}
	}
	return ctrl.Result{RequeueAfter: often}, nil
}

// shows reports whether anything that belongs to the remediation's target shows
// its trouble now.
func (r *Reconciler) shows(ctx context.Context, ar *v1alpha1.AlertRemediation) (bool, error) {
	for kind, name := range named {
		if name != ar.Spec.Alert.Name {
			continue
		}
		objs, err := r.list(ctx, shownBy[kind], ar.Spec.Target.Namespace)
		if err != nil {
			return false, err
		}
		for _, obj := range objs {
			if mine, err := r.shownFor(ctx, obj, kind, ar); mine || err != nil {
				return mine, err
			}
		}
	}
	return false, nil
}

func (r *Reconciler) shownFor(ctx context.Context, obj client.Object, kind v1alpha1.TriggerKind, ar *v1alpha1.AlertRemediation) (bool, error) {
	for _, shown := range signs(obj, r.Clock.Now()) {
		if shown.kind != kind {
			continue
		}
		top, err := r.Resolver.Climb(ctx, reference(obj, kind))
		if errors.Is(err, evidence.ErrNoTarget) {
			return false, nil
		}
		return err == nil && top.ObjectReference == *ar.Spec.Target, err
	}
	return false, nil
}

// tell writes the state of the trouble. If somebody wrote meanwhile, the cache will
// wake us.
func (r *Reconciler) tell(ctx context.Context, ar *v1alpha1.AlertRemediation, state v1alpha1.AlertState) error {
	now := metav1.NewTime(r.Clock.Now())
	patch := client.MergeFromWithOptions(ar.DeepCopy(), client.MergeFromWithOptimisticLock{})
	if ar.Status.Alert == nil {
		ar.Status.Alert = &v1alpha1.AlertStatus{Occurrences: 1}
	}
	ar.Status.Alert.State, ar.Status.Alert.LastReceivedAt, ar.Status.Alert.ResolvedAt = state, now, metav1.Time{}
	if state == v1alpha1.AlertResolved {
		ar.Status.Alert.ResolvedAt = now
	}
	err := r.Client.Status().Patch(ctx, ar, patch)
	if err == nil || apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil
	}
	return fmt.Errorf("writing status.alert of AlertRemediation %s/%s: %w", ar.Namespace, ar.Name, err)
}
