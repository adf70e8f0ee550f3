package app

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/yaml"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/config/policies"
)

// shipDefaultPolicy gives an installation the policy default when the leader
// starts and there is none. It can't come with the manifests: kubectl takes no
// object of a kind that the same apply defines.
func shipDefaultPolicy(mgr ctrl.Manager, recorder events.EventRecorder, namespace string) error {
	return mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		ticker := time.NewTicker(policyRetry)
		defer ticker.Stop()
		for {
			err := CreateDefaultPolicy(ctx, mgr.GetClient(), recorder, namespace)
			if !apierrors.IsForbidden(err) {
				return err
			}
			// A quota is in the way, full or not counted yet: alerts are observed meanwhile.
			ctrl.LoggerFrom(ctx).Error(err, "the shipped policy can't be created; trying again", "after", policyRetry)
			select {
			case <-ctx.Done():
				return nil
			case <-ticker.C:
			}
		}
	}))
}

// policyRetry is how soon it is tried again to create the policy default.
const policyRetry = 15 * time.Second

// CreateDefaultPolicy creates the policy default as it is shipped. One that exists is
// never touched; the operator has no right to change it. One that was deleted is
// created with the shipped ceiling, also where an administrator had set another: the
// operator keeps no record of it, so an event says that it does not hold any more.
func CreateDefaultPolicy(ctx context.Context, c client.Client, recorder events.EventRecorder, namespace string) error {
	shipped := &v1alpha1.RemediationPolicy{}
	if err := yaml.UnmarshalStrict(policies.Default, shipped); err != nil {
		return fmt.Errorf("reading the shipped policy: %w", err)
	}
	shipped.Namespace = namespace
	// A quota refuses to create also what exists.
	if err := c.Get(ctx, client.ObjectKeyFromObject(shipped), &v1alpha1.RemediationPolicy{}); !apierrors.IsNotFound(err) {
		return err
	}
	err := c.Create(ctx, shipped)
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("creating policy %s/%s: %w", namespace, shipped.Name, err)
	}
	recorder.Eventf(shipped, nil, corev1.EventTypeNormal, "ShippedPolicyCreated", "CreatePolicy",
		"there was no policy %[1]s: it was created as shipped, with mode %[2]s and ceiling %[3]s; if it was deleted before, another ceiling or mode that was set in it no longer holds: kubectl -n %[4]s edit rp %[1]s",
		shipped.Name, shipped.Spec.Mode, shipped.Spec.Ceiling, namespace)
	ctrl.LoggerFrom(ctx).Info("created the shipped policy", "remediationPolicy", client.ObjectKeyFromObject(shipped), "ceiling", shipped.Spec.Ceiling)
	return nil
}
