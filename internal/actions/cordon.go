package actions

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// cordon keeps new pods off a node.
type cordon struct{}

// Spec says what the action is.
func (cordon) Spec() action.Spec {
	return action.Spec{
		Name:     "Cordon",
		Summary:  "Keeps new pods off a node; those that run there stay.",
		Kinds:    []schema.GroupKind{nodes},
		Risk:     v1alpha1.RiskMedium,
		Level:    action.LevelNode,
		Rules:    mayPatch("", "nodes"),
		Contains: true,
	}
}

// Plan returns the patch that makes the node unschedulable.
func (a cordon) Plan(ctx context.Context, world action.World, target action.Target, params action.Params) (action.Plan, error) {
	if err := a.Spec().Validate(params); err != nil {
		return action.Plan{}, err
	}
	node, raw, err := readNode(ctx, world, target)
	switch {
	case err != nil:
		return action.Plan{}, err
	case node.Spec.Unschedulable:
		return action.Plan{}, action.NotApplicable("%s is cordoned already", target)
	}
	return rewrite(target, raw, true, "spec", "unschedulable")
}

// Settled reports whether the node is unschedulable, which the scheduler heeds at once.
func (cordon) Settled(ctx context.Context, world action.World, target action.Target, _ action.Plan) (action.Progress, error) {
	node, _, err := readNode(ctx, world, target)
	if err != nil {
		return lost(err)
	}
	return arrived(node.Spec.Unschedulable, "the node takes no new pods", "somebody uncordoned the node again"), nil
}
