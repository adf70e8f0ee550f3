package actions

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/kubeclient"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// known refuses a target of another kind.
func known(target action.Target, kinds ...schema.GroupKind) error {
	if !slices.Contains(kinds, target.GroupVersionKind().GroupKind()) {
		return action.NotApplicable("it is not done to a %s", target.Kind)
	}
	return nil
}

// read returns the target as the API server serves it, so that fields newer than
// this program survive, and decodes it into obj, which decisions are made from.
// It refuses another incarnation, and what is going or not its own master.
func read(ctx context.Context, reader client.Reader, target action.Target, obj client.Object) (*unstructured.Unstructured, error) {
	raw, err := get(ctx, reader, target, obj)
	if apierrors.IsNotFound(err) {
		return nil, action.NotApplicable("%s is gone", target)
	}
	if err != nil {
		return nil, err
	}
	owner := metav1.GetControllerOf(obj)
	switch {
	case target.UID == "" || obj.GetUID() != target.UID:
		return nil, action.NotApplicable("%s is not the one that was diagnosed: its uid is %s, not %q", target, obj.GetUID(), target.UID)
	case obj.GetDeletionTimestamp() != nil:
		return nil, action.NotApplicable("%s is being deleted", target)
	case owner != nil:
		return nil, action.NotApplicable("%s is controlled by %s/%s, which would take the change back", target, owner.Kind, owner.Name)
	}
	return raw, nil
}

// decode reads what a program needs to know off an object of any kind.
func decode(raw *unstructured.Unstructured, into any) error {
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw.Object, into); err != nil {
		return fmt.Errorf("decoding %s/%s: %w", raw.GetKind(), raw.GetName(), err)
	}
	return nil
}

func get(ctx context.Context, reader client.Reader, target action.Target, obj client.Object) (*unstructured.Unstructured, error) {
	raw := &unstructured.Unstructured{}
	raw.SetGroupVersionKind(target.GroupVersionKind())
	err := reader.Get(ctx, target.NamespacedName(), raw)
	switch {
	case kubeclient.IsScopeError(err):
		return nil, action.NotApplicable("%v", err)
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", target, err)
	case raw.GetNamespace() != target.Namespace: // not every reader checks it
		return nil, action.NotApplicable("%s is not in namespace %s", target, target.Namespace)
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw.Object, obj); err != nil {
		return nil, fmt.Errorf("decoding %s: %w", target, err)
	}
	return raw, nil
}
