package actions

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/jsonpatch"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// setImage gives one container an image that it was healthy with before.
type setImage struct{}

// Spec says what the action is.
func (setImage) Spec() action.Spec {
	return action.Spec{
		Name:    "SetImage",
		Summary: "Gives one container an image with which a revision of the workload was healthy.",
		Kinds:   []schema.GroupKind{deployments, statefulSets, daemonSets},
		Parameters: []action.Parameter{
			{Name: "container", Type: action.TypeString, Required: true, Description: "The container, or init container, of the pod template."},
			{Name: "image", Type: action.TypeString, Required: true, Description: "The image: exactly as a healthy revision names it for this container."},
		},
		Risk:  v1alpha1.RiskMedium,
		Level: action.LevelFull,
		Rules: append(mayPatch("apps", "deployments", "statefulsets", "daemonsets"), mayEvictPods),
	}
}

// Plan returns the patch of the one image.
func (a setImage) Plan(ctx context.Context, world action.World, target action.Target, params action.Params) (action.Plan, error) {
	if err := a.Spec().Validate(params); err != nil {
		return action.Plan{}, err
	}
	w, raw, err := readRollable(ctx, world, target, a.Spec().Kinds...)
	if err != nil {
		return action.Plan{}, err
	}
	if w.unseen {
		return action.Plan{}, fmt.Errorf("planning SetImage: the controller of %s has not seen its latest change yet", target)
	}
	revisions, err := world.History.Revisions(ctx, w.object)
	if err != nil {
		return action.Plan{}, err
	}
	if err := allowImage(target, revisions, params); err != nil {
		return action.Plan{}, err
	}
	at, found := imageAt(&w.template.Spec, params["container"])
	if !found {
		return action.Plan{}, action.NotApplicable("%s has no container %s", target, params["container"])
	}
	before, _ := jsonpatch.Lookup(raw.Object, podTemplate)
	after := raw.DeepCopy()
	changed, err := jsonpatch.Apply(after.Object, []jsonpatch.Entry{{Op: jsonpatch.Replace, Path: at.String(), Value: params["image"]}})
	if err != nil {
		return action.Plan{}, fmt.Errorf("planning SetImage of %s: %w", target, err)
	}
	wanted, _ := jsonpatch.Lookup(changed, podTemplate)
	op, err := patch(target, jsonpatch.Diff(podTemplate, before, wanted), true)
	if err != nil {
		return action.Plan{}, err
	}
	removals, err := evictions(ctx, world, w, withImage(revisions, params))
	if err != nil {
		return action.Plan{}, err
	}
	live := &liveWorkload{world: world, target: target, object: w.object, revisions: revisions}
	if err := live.canChangeTo(ctx, w.template.Spec); err != nil {
		return action.Plan{}, err
	}
	return action.Plan{Operations: append([]action.Operation{op}, removals...), Pods: w.pods}, nil
}

// Settled reports whether the rollout of the image is complete.
func (setImage) Settled(ctx context.Context, world action.World, target action.Target, _ action.Plan) (action.Progress, error) {
	return rolledOut(ctx, world, target)
}

// allowImage refuses an image that no healthy revision gave this container. It is pure.
func allowImage(target action.Target, revisions []action.Revision, params action.Params) error {
	for _, r := range revisions {
		if r.Current || !r.Healthy() {
			continue
		}
		if hasImage(r, params) {
			return nil
		}
	}
	return action.NotApplicable("nothing shows that a revision of %s was healthy with image %s in container %s", target, params["image"], params["container"])
}

// withImage returns the names of the revisions whose pods have the image already.
func withImage(revisions []action.Revision, params action.Params) []string {
	var names []string
	for _, r := range revisions {
		if hasImage(r, params) {
			names = append(names, r.Name)
		}
	}
	return names
}

// hasImage reports whether a revision gives the container the image.
func hasImage(r action.Revision, params action.Params) bool {
	return slices.ContainsFunc(slices.Concat(r.Template.Spec.InitContainers, r.Template.Spec.Containers), func(c corev1.Container) bool {
		return c.Name == params["container"] && c.Image == params["image"]
	})
}

// imageAt returns where a pod template keeps the image of a container.
func imageAt(spec *corev1.PodSpec, name string) (jsonpatch.Pointer, bool) {
	for list, all := range map[string][]corev1.Container{"initContainers": spec.InitContainers, "containers": spec.Containers} {
		for i := range all {
			if all[i].Name == name {
				return jsonpatch.Pointer{"spec", "template", "spec", list, fmt.Sprint(i), "image"}, true
			}
		}
	}
	return nil, false
}
