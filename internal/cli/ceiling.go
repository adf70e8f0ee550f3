package cli

import (
	"context"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// missingGates is why the shipped ceiling is Approve: what no gate holds back yet.
const missingGates = "who owns a field, storms of alerts, the blast radius, concurrent runs and time windows"

// shippedPolicy looks at the policy that holds the ceiling for all namespaces.
func (d Doctor) shippedPolicy(ctx context.Context, c Cluster) []finding {
	found := c.defaultPolicy(ctx, d.Operator)
	switch {
	case found.Err != nil:
		return []finding{unread("the policy default", found.Err)}
	case found.Value == nil:
		return []finding{fail("kubectl -n "+d.Operator.Namespace+" rollout restart deployment "+byLabel,
			"there is no policy default: every namespace is in mode Observe; the operator makes it when it starts, with the shipped ceiling Approve, whatever ceiling was set before")}
	case found.Value.Spec.Ceiling == "":
		return []finding{fail(d.setCeiling(v1alpha1.ModeApprove), "the policy default has no ceiling: every namespace is in mode Observe")}
	}
	return append([]finding{ok("namespaces without a policy are in mode %s, none is above %s", found.Value.Spec.Mode, found.Value.Spec.Ceiling)},
		d.ceiling(found.Value.Spec.Ceiling)...)
}

// ceiling says what the highest mode of all namespaces means, and how to change it.
// It is pure.
func (d Doctor) ceiling(mode v1alpha1.Mode) []finding {
	switch mode {
	case v1alpha1.ModeAuto:
		return []finding{note(d.setCeiling(v1alpha1.ModeApprove),
			"the ceiling was raised to Auto: plans run without a person where a policy says so, although no gate looks yet at %s; to have a person let each plan through again:", missingGates)}
	case v1alpha1.ModeApprove:
		return []finding{note(d.setCeiling(v1alpha1.ModeAuto),
			"the ceiling is Approve: a person lets each plan through, also where a policy says Auto, since no gate looks yet at %s; to raise it all the same:", missingGates)}
	}
	return []finding{note(d.setCeiling(v1alpha1.ModeApprove), "the ceiling is %s: nothing runs in any namespace; to let people approve plans:", mode)}
}

// setCeiling is the command that sets the highest mode of all namespaces.
func (d Doctor) setCeiling(mode v1alpha1.Mode) string {
	return "kubectl -n " + d.Operator.Namespace + " patch rp " + v1alpha1.DefaultPolicyName + ` --type merge -p '{"spec":{"ceiling":"` + string(mode) + `"}}'`
}
