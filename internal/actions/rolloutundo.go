package actions

import (
	"context"
	"fmt"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/jsonpatch"
	"github.com/kubernaut/kubernaut/internal/vitals"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// rolloutUndo puts a workload's template back to a revision that served.
type rolloutUndo struct{}

// Spec says what the action is.
func (rolloutUndo) Spec() action.Spec {
	return action.Spec{
		Name:    "RolloutUndo",
		Summary: "Puts the pod template back to the last revision that was healthy.",
		Kinds:   []schema.GroupKind{deployments, statefulSets, daemonSets},
		Parameters: []action.Parameter{{
			Name: "toRevision", Type: action.TypeInteger, Min: 1, Max: 1 << 31,
			Description: "The revision to return to; by default the last one that was healthy.",
		}},
		Risk:  v1alpha1.RiskMedium,
		Level: action.LevelFull,
		Rules: append(mayPatch("apps", "deployments", "statefulsets", "daemonsets"), mayEvictPods),
	}
}

// Plan returns the patch from the template that is there to the one that the revision keeps.
func (a rolloutUndo) Plan(ctx context.Context, world action.World, target action.Target, params action.Params) (action.Plan, error) {
	if err := a.Spec().Validate(params); err != nil {
		return action.Plan{}, err
	}
	w, raw, err := readRollable(ctx, world, target, a.Spec().Kinds...)
	if err != nil {
		return action.Plan{}, err
	}
	if w.unseen {
		return action.Plan{}, fmt.Errorf("planning RolloutUndo: the controller of %s has not seen its latest change yet", target)
	}
	revisions, err := world.History.Revisions(ctx, w.object)
	if err != nil {
		return action.Plan{}, err
	}
	to, err := chooseRevision(target, revisions, params["toRevision"])
	if err != nil {
		return action.Plan{}, err
	}
	template, err := storedTemplate(ctx, world, target, to)
	if err != nil {
		return action.Plan{}, err
	}
	before, _ := jsonpatch.Lookup(raw.Object, podTemplate)
	op, err := patch(target, jsonpatch.Diff(podTemplate, before, template), true)
	if err != nil {
		return action.Plan{}, err
	}
	removals, err := evictions(ctx, world, w, []string{to.Name})
	if err != nil {
		return action.Plan{}, err
	}
	live := &liveWorkload{world: world, target: target, object: w.object, revisions: revisions}
	unchecked, err := live.canReturnTo(ctx, to)
	if err != nil {
		return action.Plan{}, err
	}
	return action.Plan{Operations: append([]action.Operation{op}, removals...), Pods: max(0, w.pods-to.ReadyPods), NotChecked: unchecked}, nil
}

// Settled reports whether the rollout of the revision is complete.
func (rolloutUndo) Settled(ctx context.Context, world action.World, target action.Target, _ action.Plan) (action.Progress, error) {
	return rolledOut(ctx, world, target)
}

// chooseRevision returns the revision to return to: the newest healthy one before
// the current, or the one that was asked for, if it was healthy. It is pure.
func chooseRevision(target action.Target, revisions []action.Revision, asked string) (action.Revision, error) {
	now := current(revisions)
	switch {
	case now == nil:
		return action.Revision{}, action.NotApplicable("no revision of %s keeps the template it asks for now", target)
	case now.Number <= 1:
		return action.Revision{}, action.NotApplicable("%s is at its first revision: there is none to return to", target)
	}
	for _, r := range revisions {
		if asked != "" && strconv.FormatInt(r.Number, 10) == asked {
			return allowRevision(target, r)
		}
		if asked == "" && r.Number < now.Number && r.Healthy() {
			return r, nil
		}
	}
	if asked != "" {
		return action.Revision{}, action.NotApplicable("%s has no revision %s", target, asked)
	}
	return action.Revision{}, action.NotApplicable("nothing shows that a revision of %s before %d was healthy", target, now.Number)
}

// followsRelease refuses to go back where the trouble of the current revision's pods did
// not follow the releases after the revision to return to: then they are not what broke
// it. The rule that proposed this reads logs as well; this looks at nothing but when what
// began, and at no rule's word.
func followsRelease(target action.Target, workload client.Object, revisions []action.Revision, to action.Revision) error {
	now := current(revisions)
	if now.TroubledBefore.IsZero() {
		return nil // that nothing is wrong with it is refused elsewhere
	}
	release := vitals.Span{Earliest: now.RolledOutAfter, Latest: now.RolledOutBefore}
	for _, r := range revisions {
		if r.Number > to.Number && r.RolledOutAfter.Before(release.Earliest) {
			release.Earliest = r.RolledOutAfter
		}
	}
	began, ahead := vitals.Span{Earliest: now.TroubledAfter, Latest: now.TroubledBefore}, time.Duration(0)
	if d, isDeployment := workload.(*appsv1.Deployment); isDeployment {
		ahead = vitals.Reach(d)
	}
	if vitals.RollsOut(workload, to.ReadyPods > 0) && !now.RanBefore && release.Latest.Before(began.Earliest) {
		began.Earliest = release.Latest // pods that failed from the beginning may have been replaced
	}
	if vitals.Follows(began, release, ahead) {
		return nil
	}
	return action.NotApplicable("the trouble of %s began at %s at the earliest, and revision %d was rolled out at %s: the release is not what broke it",
		target, began.Earliest.UTC().Format(time.RFC3339), now.Number, release.Latest.UTC().Format(time.RFC3339))
}

func allowRevision(target action.Target, r action.Revision) (action.Revision, error) {
	switch {
	case r.Current:
		return r, action.NotApplicable("%s is at revision %d already", target, r.Number)
	case !r.Healthy():
		return r, action.NotApplicable("nothing shows that revision %d of %s was healthy", r.Number, target)
	}
	return r, nil
}

// storedTemplate returns the template that the revision's ReplicaSet or
// ControllerRevision keeps, as the API server serves it, without what its
// controller added.
func storedTemplate(ctx context.Context, world action.World, target action.Target, to action.Revision) (any, error) {
	keeper := target
	if target.Kind != deployments.Kind {
		keeper.Kind, keeper.Name = "ControllerRevision", to.Name
		raw, err := get(ctx, world.Objects, keeper, &appsv1.ControllerRevision{})
		if err != nil {
			return nil, fmt.Errorf("reading revision %d of %s: %w", to.Number, target, err)
		}
		unstructured.RemoveNestedField(raw.Object, "data", "spec", "template", "$patch")
		template, _ := jsonpatch.Lookup(raw.Object, jsonpatch.Pointer{"data", "spec", "template"})
		return template, nil
	}
	keeper.Kind, keeper.Name = "ReplicaSet", to.Name
	rs := &appsv1.ReplicaSet{}
	raw, err := get(ctx, world.Objects, keeper, rs)
	if err != nil {
		return nil, fmt.Errorf("reading revision %d of %s: %w", to.Number, target, err)
	}
	unstructured.RemoveNestedField(raw.Object, "spec", "template", "metadata", "labels", appsv1.DefaultDeploymentUniqueLabelKey)
	template, _ := jsonpatch.Lookup(raw.Object, podTemplate)
	return template, nil
}
