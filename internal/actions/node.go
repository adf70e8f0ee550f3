package actions

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubernaut/kubernaut/internal/jsonpatch"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// readNode returns the node, raw and decoded.
func readNode(ctx context.Context, world action.World, target action.Target) (*corev1.Node, *unstructured.Unstructured, error) {
	if err := known(target, nodes); err != nil {
		return nil, nil, err
	}
	node := &corev1.Node{}
	raw, err := read(ctx, world.Objects, target, node)
	return node, raw, err
}

// rewrite returns the plan that gives one field of a node another value, nil for
// none, and takes that back.
func rewrite(target action.Target, raw *unstructured.Unstructured, after any, field ...string) (action.Plan, error) {
	before, _ := jsonpatch.Lookup(raw.Object, field)
	op, err := patch(target, jsonpatch.Difference{Changes: []jsonpatch.Change{{At: field, Before: before, After: after}}}, true)
	if err != nil {
		return action.Plan{}, err
	}
	return action.Plan{Operations: []action.Operation{op}}, nil
}

// arrived is what an applied plan comes to: it is done, or somebody took it back.
func arrived(done bool, says, back string) action.Progress {
	if done {
		return action.Progress{Done: true, Message: says}
	}
	return action.Progress{Failed: true, Message: back}
}
