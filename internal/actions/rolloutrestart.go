package actions

import (
	"context"
	"errors"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/jsonpatch"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// rolloutRestart replaces the pods of a workload by new ones of the same template.
type rolloutRestart struct{}

// Spec says what the action is.
func (rolloutRestart) Spec() action.Spec {
	return action.Spec{
		Name:         "RolloutRestart",
		Summary:      "Replaces the pods, as the workload's update strategy allows, by new ones of the same template.",
		Kinds:        []schema.GroupKind{deployments, statefulSets, daemonSets},
		Risk:         v1alpha1.RiskLow,
		Level:        action.LevelRestart,
		Rules:        mayPatch("apps", "deployments", "statefulsets", "daemonsets"),
		Irreversible: "The old pods can't be brought back; the annotation " + v1alpha1.RestartAnnotation + " stays in the template.",
	}
}

// Plan returns the patch of the template's annotation. Its value is the step's
// stamp, so that doing it twice is doing it once.
func (a rolloutRestart) Plan(ctx context.Context, world action.World, target action.Target, params action.Params) (action.Plan, error) {
	if err := a.Spec().Validate(params); err != nil {
		return action.Plan{}, err
	}
	if world.Stamp == "" {
		return action.Plan{}, errors.New("planning RolloutRestart: there is no stamp to tell this restart from another")
	}
	w, raw, err := readRollable(ctx, world, target, a.Spec().Kinds...)
	if err != nil {
		return action.Plan{}, err
	}
	if w.pods == 0 {
		return action.Plan{}, action.NotApplicable("%s has no pods to restart", target)
	}
	before, _ := jsonpatch.Lookup(raw.Object, podTemplate)
	after := raw.DeepCopy()
	if err := unstructured.SetNestedField(after.Object, world.Stamp, "spec", "template", "metadata", "annotations", v1alpha1.RestartAnnotation); err != nil {
		return action.Plan{}, err
	}
	wanted, _ := jsonpatch.Lookup(after.Object, podTemplate)
	op, err := patch(target, jsonpatch.Diff(podTemplate, before, wanted), false)
	if err != nil {
		return action.Plan{}, err
	}
	live := &liveWorkload{world: world, target: target, object: w.object}
	if err := live.canChangeTo(ctx, w.template.Spec); err != nil {
		return action.Plan{}, err
	}
	plan := action.Plan{Operations: []action.Operation{op}, Pods: w.pods}
	if w.recreates {
		plan.Risk = v1alpha1.RiskHigh // nothing serves between the old pods and the new
	}
	return plan, nil
}

// Settled reports whether every pod is a new one and available.
func (rolloutRestart) Settled(ctx context.Context, world action.World, target action.Target, _ action.Plan) (action.Progress, error) {
	return rolledOut(ctx, world, target)
}
