package alertremediation

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/evidence"
	"github.com/kubernaut/kubernaut/internal/phase"
)

// admit ensures that the alert's object is known, with its owner at the top, and
// that no other remediation lives for it.
func (r *Reconciler) admit(ctx context.Context, p *pass) (phase.Outcome, error) {
	if settled(p.Obj, v1alpha1.Admitted) {
		return phase.Continue, nil
	}
	found, err := r.find(ctx, p.Obj)
	if errors.Is(err, evidence.ErrNoTarget) {
		set(p.Obj, v1alpha1.Admitted, metav1.ConditionTrue, v1alpha1.ReasonNoTarget, "the alert names nothing that is in this cluster: "+err.Error())
		return phase.Continue, nil
	}
	if err != nil {
		return phase.Continue, fmt.Errorf("finding the target of alert %s: %w", p.Obj.Spec.Alert.Name, err)
	}
	r.admission.LockKey(string(found.UID))
	defer func() { _ = r.admission.UnlockKey(string(found.UID)) }() // its error is always nil
	first, err := r.living(ctx, p.Obj, found)
	if err != nil {
		return phase.Continue, err
	}
	p.Obj.Status.Target = &found
	if first != nil {
		p.Obj.Status.DuplicateOf = first.Name
		set(p.Obj, v1alpha1.Admitted, metav1.ConditionFalse, v1alpha1.ReasonDuplicate, "")
		return finish(p.Obj, v1alpha1.OutcomeDuplicate, "%s in %s is remediated by AlertRemediation %s", found, found.Namespace, first.Name)
	}
	set(p.Obj, v1alpha1.Admitted, metav1.ConditionTrue, v1alpha1.ReasonTargetFound, fmt.Sprintf("the alert is about %s", found))
	if err := r.save(ctx, p); err != nil { // while the lock is held: the next one must see it
		return phase.Continue, err
	}
	r.admitted.Add(found.UID, client.ObjectKeyFromObject(p.Obj))
	return phase.Continue, nil
}

// find returns the object the alert is about: the one that is named, or else the
// one its labels lead to.
func (r *Reconciler) find(ctx context.Context, ar *v1alpha1.AlertRemediation) (v1alpha1.TargetReference, error) {
	if ar.Spec.Target == nil {
		found, err := r.Resolver.Resolve(ctx, ar.Namespace, ar.Spec.Alert)
		if err != nil {
			return v1alpha1.TargetReference{}, err
		}
		return found.Target, r.ownPlace(ar, found.Target)
	}
	if err := r.ownPlace(ar, v1alpha1.TargetReference{ObjectReference: *ar.Spec.Target}); err != nil {
		return v1alpha1.TargetReference{}, err
	}
	return r.Resolver.Climb(ctx, *ar.Spec.Target)
}

// ownPlace refuses a target outside the remediation's own namespace, but in the
// operator's. A guard says the same; here it holds without one.
func (r *Reconciler) ownPlace(ar *v1alpha1.AlertRemediation, target v1alpha1.TargetReference) error {
	if target.Namespace == ar.Namespace || ar.Namespace == r.config.Namespace {
		return nil
	}
	return fmt.Errorf("%s is not in namespace %s: %w", target, ar.Namespace, evidence.ErrNoTarget)
}

// targetUID is the field that remediations are found by, in the cache and in the API server.
const targetUID = "status.target.uid"

// living returns the remediation that was admitted for the target and has not
// ended, the first of them where there are several. The cache knows them all but
// those this process admitted a moment ago, and those it remembers; whichever is
// found is read as it is now. (A list past the cache would wait for the API
// server's own cache, up to a tenth of a second, with the lock held.)
func (r *Reconciler) living(ctx context.Context, ar *v1alpha1.AlertRemediation, target v1alpha1.TargetReference) (*v1alpha1.AlertRemediation, error) {
	var list v1alpha1.AlertRemediationList
	if err := r.Client.List(ctx, &list, client.MatchingFields{targetUID: string(target.UID)}); err != nil {
		return nil, fmt.Errorf("listing the remediations of %s: %w", target, err)
	}
	names := map[types.NamespacedName]bool{}
	for i := range list.Items {
		if !list.Items[i].Finished() {
			names[client.ObjectKeyFromObject(&list.Items[i])] = true
		}
	}
	if last, ok := r.admitted.Get(target.UID); ok {
		names[last.(types.NamespacedName)] = true
	}
	var found []v1alpha1.AlertRemediation
	for name := range names {
		var other v1alpha1.AlertRemediation
		err := r.Live.Get(ctx, name, &other)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading AlertRemediation %s, which may be about %s too: %w", name, target, err)
		}
		found = append(found, other)
	}
	return firstFor(ar, target, found), nil
}

// firstFor picks the oldest of the remediations that live for a target.
func firstFor(ar *v1alpha1.AlertRemediation, target v1alpha1.TargetReference, all []v1alpha1.AlertRemediation) *v1alpha1.AlertRemediation {
	var first *v1alpha1.AlertRemediation
	for i := range all {
		other := &all[i]
		if other.UID == ar.UID || other.Finished() || !holds(other, v1alpha1.Admitted) ||
			other.Status.Target == nil || other.Status.Target.UID != target.UID {
			continue
		}
		if first == nil || other.CreationTimestamp.Before(&first.CreationTimestamp) {
			first = other
		}
	}
	return first
}
