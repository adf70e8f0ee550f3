package main

import (
	"context"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// workload of a tenant.
type workload struct {
	Name     string
	Release  string
	Replicas int
}

// incident is one thing that goes wrong, and how it should end.
type incident struct {
	name      string
	story     string
	namespace string
	mode      v1alpha1.Mode
	workload  string // what breaks, and the name of its Service
	beside    []workload
	kind      string // of the remediation's target
	cause     v1alpha1.Cause
	outcome   v1alpha1.Outcome
	untouched bool // nothing may be changed
	sick      func(ctx context.Context, c *cluster) error
}

// incidents are the five of the demo, in the order in which they are told.
var incidents = []incident{
	{
		name: "bad-release", story: "a release that crashes is rolled out",
		namespace: "shop-release", mode: v1alpha1.ModeAuto, workload: "checkout", kind: "Deployment",
		cause: v1alpha1.CauseCrashBadRelease, outcome: v1alpha1.OutcomeRemediated, sick: release("shop-release", "checkout"),
	},
	{
		name: "memory-limit", story: "customers arrive, and the memory limit is too low for them",
		namespace: "shop-memory", mode: v1alpha1.ModeAuto, workload: "orders", kind: "Deployment",
		cause: v1alpha1.CauseOOMKilled, outcome: v1alpha1.OutcomeRemediated,
		sick: func(ctx context.Context, c *cluster) error {
			return c.show(ctx, "-n", "shop-memory", "scale", "deployment/customers", "--replicas=1")
		},
	},
	{
		name: "service-selector", story: "somebody breaks the selector of a Service",
		namespace: "shop-service", mode: v1alpha1.ModeAuto, workload: "cart", kind: "Service",
		cause: v1alpha1.CauseServiceSelectorMismatch, outcome: v1alpha1.OutcomeRemediated,
		sick: func(ctx context.Context, c *cluster) error {
			return c.show(ctx, "-n", "shop-service", "patch", "service/cart", "--type=merge", "-p", `{"spec":{"selector":{"app":"crat"}}}`)
		},
	},
	{
		name: "recovered", story: "a pod crashes twice and recovers; its alert fires on, beside a neighbour that crashes",
		namespace: "shop-recovered", mode: v1alpha1.ModeAuto, workload: "ledger", kind: "Deployment",
		beside: []workload{{Name: "reports", Release: "2.0.0", Replicas: 0}},
		cause:  v1alpha1.CauseHealthy, outcome: v1alpha1.OutcomeNoActionNeeded, untouched: true,
		sick: func(ctx context.Context, c *cluster) error {
			_ = c.get(ctx, "shop-recovered", "ledger", "crash") // the answer never comes: that is the crash
			return c.show(ctx, "-n", "shop-recovered", "scale", "deployment/reports", "--replicas=1")
		},
	},
	{
		name: "approval", story: "the same bad release where a person is asked first",
		namespace: "shop-approve", mode: v1alpha1.ModeApprove, workload: "billing", kind: "Deployment",
		cause: v1alpha1.CauseCrashBadRelease, outcome: v1alpha1.OutcomeRemediated, sick: release("shop-approve", "billing"),
	},
}

// release rolls out the release that ends at once.
func release(namespace, name string) func(context.Context, *cluster) error {
	return func(ctx context.Context, c *cluster) error {
		return c.show(ctx, "-n", namespace, "patch", "deployment/"+name, "--type=json",
			"-p", `[{"op":"replace","path":"/spec/template/spec/containers/0/args","value":["--release=2.0.0"]}]`)
	}
}

// chosen returns the incident of that name, or all.
func chosen(name string) []incident {
	for _, i := range incidents {
		if i.name == name {
			return []incident{i}
		}
	}
	return incidents
}
