package actions

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// uncordon lets a node take new pods again.
type uncordon struct{}

// Spec says what the action is.
func (uncordon) Spec() action.Spec {
	return action.Spec{
		Name:    "Uncordon",
		Summary: "Lets a cordoned node that is ready take new pods again.",
		Kinds:   []schema.GroupKind{nodes},
		Risk:    v1alpha1.RiskMedium,
		Level:   action.LevelNode,
		Rules:   mayPatch("", "nodes"),
	}
}

// Plan returns the patch that makes the node schedulable.
func (a uncordon) Plan(ctx context.Context, world action.World, target action.Target, params action.Params) (action.Plan, error) {
	if err := a.Spec().Validate(params); err != nil {
		return action.Plan{}, err
	}
	node, raw, err := readNode(ctx, world, target)
	switch {
	case err != nil:
		return action.Plan{}, err
	case !node.Spec.Unschedulable:
		return action.Plan{}, action.NotApplicable("%s is not cordoned", target)
	case !nodeReady(node):
		return action.Plan{}, action.NotApplicable("%s is not ready: it could not run a pod", target)
	}
	return rewrite(target, raw, nil, "spec", "unschedulable")
}

func nodeReady(node *corev1.Node) bool {
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// Settled reports whether the node is schedulable.
func (uncordon) Settled(ctx context.Context, world action.World, target action.Target, _ action.Plan) (action.Progress, error) {
	node, _, err := readNode(ctx, world, target)
	if err != nil {
		return lost(err)
	}
	return arrived(!node.Spec.Unschedulable, "the node takes new pods", "somebody cordoned the node again"), nil
}
