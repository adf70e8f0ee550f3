package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// raiseCeiling lets the policies of the tenants act without a person, where their
// mode is Auto: the shipped ceiling does not.
func (t *tour) raiseCeiling(ctx context.Context) error {
	var shipped v1alpha1.RemediationPolicy
	key := client.ObjectKey{Namespace: operatorNamespace, Name: v1alpha1.DefaultPolicyName}
	// The operator creates the policy when it begins to lead, a moment after its pods are available.
	if err := t.eventually(ctx, time.Minute, func() error { return t.Get(ctx, key, &shipped) }); err != nil {
		return t.explain(ctx, operatorNamespace, fmt.Errorf("waiting for the policy %s: %w", key, err))
	}
	if shipped.Spec.Ceiling == v1alpha1.ModeAuto {
		return nil
	}
	say("The ceiling is %s: as shipped, a person lets each plan through (kubectl kubernaut doctor says why). The demo raises it, since most of its incidents are cured without one:", shipped.Spec.Ceiling)
	t.lowered = &shipped.Spec.Ceiling
	return t.setCeiling(ctx, v1alpha1.ModeAuto)
}

// setCeiling sets the highest mode of all namespaces; an empty one takes it away.
func (c *cluster) setCeiling(ctx context.Context, mode v1alpha1.Mode) error {
	var ceiling any
	if mode != "" {
		ceiling = mode
	}
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"ceiling": ceiling}})
	if err != nil {
		return err
	}
	return c.show(ctx, "-n", operatorNamespace, "patch", "rp", v1alpha1.DefaultPolicyName, "--type", "merge", "-p", string(patch))
}
