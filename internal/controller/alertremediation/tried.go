package alertremediation

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/plan"
)

// failed returns the changes that were made in the namespace for the cause of a
// remediation, and did not help. The cache holds the remediations that have ended for
// as long as the retention keeps them; one that it shows at work is read as it is now.
func (r *Reconciler) failed(ctx context.Context, ar *v1alpha1.AlertRemediation) ([]plan.Attempt, error) {
	var remediations v1alpha1.AlertRemediationList
	var runs v1alpha1.WorkflowRunList
	for _, list := range []client.ObjectList{&remediations, &runs} {
		// Nothing of them is changed, and there may be hundreds.
		if err := r.Client.List(ctx, list, client.InNamespace(ar.Namespace), client.UnsafeDisableDeepCopy); err != nil {
			return nil, fmt.Errorf("listing what was tried in namespace %s: %w", ar.Namespace, err)
		}
	}
	for i := range remediations.Items {
		other := &remediations.Items[i]
		if other.UID == ar.UID || other.Finished() || other.Status.RunRef == "" || !sameTrouble(ar, other) {
			continue
		}
		var now v1alpha1.AlertRemediation
		err := r.Live.Get(ctx, client.ObjectKeyFromObject(other), &now)
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("reading what AlertRemediation %s tried: %w", other.Name, err)
		}
		if err == nil {
			remediations.Items[i] = now
		}
	}
	return plan.FailedAttempts(ar.Status.Diagnosis.Cause, remediations.Items, runs.Items), nil
}

// sameTrouble reports whether two remediations have the same cause and an object in
// common. A change of any other object is never the same change: while a hundred
// workloads of a namespace fail for one cause, none is read for another.
func sameTrouble(a, b *v1alpha1.AlertRemediation) bool {
	if b.Status.Diagnosis == nil || b.Status.Diagnosis.Cause != a.Status.Diagnosis.Cause {
		return false
	}
	for _, one := range []*v1alpha1.TargetReference{a.Status.Target, a.Status.Diagnosis.Target} {
		for _, other := range []*v1alpha1.TargetReference{b.Status.Target, b.Status.Diagnosis.Target} {
			if one != nil && other != nil && one.UID == other.UID {
				return true
			}
		}
	}
	return false
}

// fingerprint names the change of a step, by the spec that it is made to.
func (r *Reconciler) fingerprint(ctx context.Context, ar *v1alpha1.AlertRemediation, step plan.Step) (string, error) {
	subject := plan.Subject(ar, step.Target)
	var spec map[string]any
	if plan.HasSpec(subject) {
		var found unstructured.Unstructured
		found.SetGroupVersionKind(subject.GroupVersionKind())
		err := r.Live.Get(ctx, subject.NamespacedName(), &found)
		if apierrors.IsNotFound(err) {
			return "", refuse(v1alpha1.ReasonNotApplicable, "%s: %s is gone", step.Spec.Name, subject)
		}
		if err != nil {
			return "", fmt.Errorf("reading the spec that %s would change: %w", step.Spec.Name, err)
		}
		spec, _, _ = unstructured.NestedMap(found.Object, "spec")
	}
	return plan.Fingerprint(subject, spec, step)
}
