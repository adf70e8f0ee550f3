package app

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/yaml"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/config/policies"
)

// shipDefaultPolicy gives an installation the policy default when the leader
// starts and there is none. It can't come with the manifests: kubectl takes no
// object of a kind that the same apply defines. One that is there is never
// touched; the operator has no right to change it.
func shipDefaultPolicy(mgr ctrl.Manager, namespace string) error {
	return mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		return createDefaultPolicy(ctx, mgr.GetClient(), namespace)
	}))
}

func createDefaultPolicy(ctx context.Context, c client.Client, namespace string) error {
	shipped := &v1alpha1.RemediationPolicy{}
	if err := yaml.UnmarshalStrict(policies.Default, shipped); err != nil {
		return fmt.Errorf("reading the shipped policy: %w", err)
	}
	shipped.Namespace = namespace
	err := c.Create(ctx, shipped)
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("creating policy %s/%s: %w", namespace, shipped.Name, err)
	}
	ctrl.LoggerFrom(ctx).Info("created the shipped policy", "remediationPolicy", client.ObjectKeyFromObject(shipped))
	return nil
}
