package actions

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/jsonpatch"
	"github.com/kubernaut/kubernaut/pkg/action"
)

const (
	// raise is the factor from the old limit to the new where none is given.
	raise = 2
	// ceiling is the factor that no raise, nor several together, goes beyond.
	ceiling = 4
)

// adjustResources raises the memory limit of a container, within bounds.
type adjustResources struct{}

// Spec says what the action is.
func (adjustResources) Spec() action.Spec {
	return action.Spec{
		Name:    "AdjustResources",
		Summary: "Raises a container's memory limit: twice the old one, and never beyond four times what the oldest kept revision had.",
		Kinds:   []schema.GroupKind{deployments, statefulSets, daemonSets},
		Parameters: []action.Parameter{
			{Name: "container", Type: action.TypeString, Required: true, Description: "The container whose limit is raised."},
			{Name: "resource", Type: action.TypeString, Enum: []string{string(corev1.ResourceMemory)}, Description: "What is raised; memory unless something else is said."},
			{Name: "limit", Type: action.TypeQuantity, Description: "The new limit; by default twice the old one, as far as the ceiling lets it."},
			{Name: "factor", Type: action.TypeInteger, Min: raise, Max: ceiling, Description: "How many times the old limit the new one is, as far as the ceiling lets it; this or limit."},
		},
		Risk:  v1alpha1.RiskMedium,
		Level: action.LevelFull,
		Rules: mayPatch("apps", "deployments", "statefulsets", "daemonsets"),
	}
}

// Enlarged asks for the largest raise there is, where the default one did not help.
// What a limit or a factor asks for is no step of this action's own choice.
func (adjustResources) Enlarged(params action.Params) (action.Params, bool) {
	if params["limit"] != "" || params["factor"] != "" {
		return nil, false
	}
	larger := action.Params{"factor": strconv.Itoa(ceiling)}
	maps.Copy(larger, params)
	return larger, true
}

// Plan returns the patch of the limit, and of the request if that equalled it.
func (a adjustResources) Plan(ctx context.Context, world action.World, target action.Target, params action.Params) (action.Plan, error) {
	if err := a.Spec().Validate(params); err != nil {
		return action.Plan{}, err
	}
	w, raw, err := readRollable(ctx, world, target, a.Spec().Kinds...)
	if err != nil {
		return action.Plan{}, err
	}
	if w.unseen {
		return action.Plan{}, fmt.Errorf("planning AdjustResources: the controller of %s has not seen its latest change yet", target)
	}
	revisions, err := world.History.Revisions(ctx, w.object)
	if err != nil {
		return action.Plan{}, err
	}
	shown, err := siblingLimit(ctx, world.Objects, target, imageAsked(w.template, params))
	if err != nil {
		return action.Plan{}, err
	}
	limit, err := newLimit(target, w.template, revisions, wish{params, shown})
	if err != nil {
		return action.Plan{}, err
	}
	after, err := withLimit(raw, params["container"], limit)
	if err != nil {
		return action.Plan{}, err
	}
	template, err := decodeTemplate(after)
	if err != nil {
		return action.Plan{}, err
	}
	live := &liveWorkload{world: world, target: target, object: w.object, revisions: revisions}
	if err := live.canChangeTo(ctx, template.Spec); err != nil {
		return action.Plan{}, err
	}
	before, _ := jsonpatch.Lookup(raw.Object, podTemplate)
	wanted, _ := jsonpatch.Lookup(after.Object, podTemplate)
	op, err := patch(target, jsonpatch.Diff(podTemplate, before, wanted), true)
	if err != nil {
		return action.Plan{}, err
	}
	return action.Plan{Operations: []action.Operation{op}, Pods: w.pods}, nil
}

// Settled reports whether every pod has the new limit and is available.
func (adjustResources) Settled(ctx context.Context, world action.World, target action.Target, _ action.Plan) (action.Progress, error) {
	return rolledOut(ctx, world, target)
}

// wish is what a limit is asked to become.
type wish struct {
	params action.Params
	shown  resource.Quantity // the largest that a ready workload has for the same image; zero: not known
}

// newLimit decides the limit. It is pure.
func newLimit(target action.Target, now corev1.PodTemplateSpec, revisions []action.Revision, asked wish) (resource.Quantity, error) {
	none := resource.Quantity{}
	name := asked.params["container"]
	old, found := memoryLimit(now, name)
	switch {
	case !found:
		return none, action.NotApplicable("%s has no container %q", target, name)
	case old.Sign() <= 0:
		return none, action.NotApplicable("container %s of %s has no memory limit: nothing to raise", name, target)
	case old.Value() > math.MaxInt64/(raise*ceiling):
		return none, action.NotApplicable("the memory limit %s of container %s is no plausible one", old.String(), name)
	}
	first, err := firstLimit(target, revisions, name)
	if err != nil {
		return none, err
	}
	most := times(first, ceiling)
	wanted, err := wantedLimit(old, most, asked.params)
	if err != nil {
		return none, err
	}
	if asked.params["limit"] != "" {
		// What a revision had already, or the same program has elsewhere, is not given unseen.
		most = larger(most, larger(asked.shown, largestLimit(revisions, name)))
	}
	switch {
	case wanted.Cmp(most) > 0 || most.Cmp(old) <= 0:
		return none, action.NotApplicable("container %s of %s has %s; its oldest kept revision had %s, and no more than %d times that is given unseen",
			name, target, old.String(), first.String(), ceiling)
	case wanted.Cmp(old) <= 0:
		return none, action.NotApplicable("container %s of %s has %s: %s would not raise it", name, target, old.String(), wanted.String())
	}
	return wanted, nil
}

// wantedLimit returns the limit that the parameters ask for: a figure, or so many
// times the old one, as far as the ceiling lets it. It is pure.
func wantedLimit(old, most resource.Quantity, params action.Params) (resource.Quantity, error) {
	limit, factor := params["limit"], params["factor"]
	switch {
	case limit != "" && factor != "":
		return resource.Quantity{}, fmt.Errorf("%w: one of limit and factor is given, not both", action.ErrInvalidParameters)
	case limit != "":
		wanted, err := resource.ParseQuantity(limit)
		if err != nil {
			return wanted, fmt.Errorf("%w: limit: %w", action.ErrInvalidParameters, err)
		}
		return wanted, nil
	}
	by := int64(raise)
	if factor != "" {
		var err error
		if by, err = strconv.ParseInt(factor, 10, 64); err != nil {
			return resource.Quantity{}, fmt.Errorf("%w: factor: %w", action.ErrInvalidParameters, err)
		}
	}
	if wanted := times(old, by); wanted.Cmp(most) < 0 {
		return wanted, nil
	}
	return most, nil
}

// firstLimit returns the limit in the oldest revision that has one: what was
// there before Kubernaut's first change, as far as the cluster remembers.
func firstLimit(target action.Target, revisions []action.Revision, container string) (resource.Quantity, error) {
	now := current(revisions)
	if now == nil {
		return resource.Quantity{}, action.NotApplicable("no revision of %s keeps the template it asks for now", target)
	}
	if len(revisions) == 1 && now.Number > 1 {
		return resource.Quantity{}, action.NotApplicable("%s keeps no revision before %d: nobody knows how often its limit was raised", target, now.Number)
	}
	// A raise that was taken back leaves a lower number than the template it was taken
	// back to, which was there before: the time tells which is the oldest.
	oldest := slices.SortedStableFunc(slices.Values(revisions), func(a, b action.Revision) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.Number, b.Number))
	})
	for _, r := range oldest {
		if limit, _ := memoryLimit(r.Template, container); limit.Sign() > 0 {
			return limit, nil
		}
	}
	return resource.Quantity{}, action.NotApplicable("no revision of %s has a memory limit for container %s", target, container)
}

// largestLimit returns the largest limit that any kept revision has.
func largestLimit(revisions []action.Revision, container string) resource.Quantity {
	var most resource.Quantity
	for _, r := range revisions {
		limit, _ := memoryLimit(r.Template, container)
		most = larger(most, limit)
	}
	return most
}

func larger(a, b resource.Quantity) resource.Quantity {
	if a.Cmp(b) < 0 {
		return b
	}
	return a
}

// memoryLimit of a container, zero if it has none; false if there is no such container.
func memoryLimit(template corev1.PodTemplateSpec, container string) (resource.Quantity, bool) {
	for _, c := range slices.Concat(template.Spec.Containers, template.Spec.InitContainers) {
		if c.Name == container {
			return c.Resources.Limits[corev1.ResourceMemory], true
		}
	}
	return resource.Quantity{}, false
}

func times(q resource.Quantity, factor int64) resource.Quantity {
	return *resource.NewQuantity(q.Value()*factor, q.Format)
}

// withLimit returns the object with the new limit in its template.
func withLimit(raw *unstructured.Unstructured, container string, limit resource.Quantity) (*unstructured.Unstructured, error) {
	after := raw.DeepCopy()
	for _, list := range []string{"containers", "initContainers"} {
		elements, _ := jsonpatch.Lookup(after.Object, podTemplate.To("spec", list))
		all, _ := elements.([]any)
		for i := range all {
			at := podTemplate.To("spec", list, strconv.Itoa(i))
			if name, _ := jsonpatch.Lookup(after.Object, at.To("name")); name != container {
				continue
			}
			resources, _ := jsonpatch.Lookup(after.Object, at.To("resources"))
			if fields, ok := resources.(map[string]any); ok {
				return after, setMemory(fields, limit)
			}
		}
	}
	return nil, fmt.Errorf("setting the memory limit: container %s is not in the template", container)
}

// setMemory sets the limit, and the request where that was the same.
func setMemory(resources map[string]any, limit resource.Quantity) error {
	memory := string(corev1.ResourceMemory)
	old, _, _ := unstructured.NestedString(resources, "limits", memory)
	request, asked, _ := unstructured.NestedString(resources, "requests", memory)
	if asked && sameQuantity(old, request) {
		if err := unstructured.SetNestedField(resources, limit.String(), "requests", memory); err != nil {
			return fmt.Errorf("setting the memory request: %w", err)
		}
	}
	if err := unstructured.SetNestedField(resources, limit.String(), "limits", memory); err != nil {
		return fmt.Errorf("setting the memory limit: %w", err)
	}
	return nil
}

func sameQuantity(a, b string) bool {
	x, err := resource.ParseQuantity(a)
	y, alsoErr := resource.ParseQuantity(b)
	return err == nil && alsoErr == nil && x.Cmp(y) == 0
}
