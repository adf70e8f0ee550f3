package actions

import (
	"context"
	"fmt"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/jsonpatch"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// mostAtOnce is by how much one step multiplies or divides the replicas.
const mostAtOnce = 2

// scale changes how many pods a workload has.
type scale struct{}

// Spec says what the action is.
func (scale) Spec() action.Spec {
	return action.Spec{
		Name:    "Scale",
		Summary: "Changes the number of replicas, at most to twice or half as many, unless an autoscaler owns it.",
		Kinds:   []schema.GroupKind{deployments, statefulSets, replicaSets},
		Parameters: []action.Parameter{
			{Name: "replicas", Type: action.TypeInteger, Min: 1, Max: 1000, Description: "How many there are to be; this or delta."},
			{Name: "delta", Type: action.TypeInteger, Min: -100, Max: 100, Description: "How many more, or fewer; the plan names the number that comes of it."},
		},
		Risk:  v1alpha1.RiskLow,
		Level: action.LevelScale,
		Rules: mayPatch("apps", "deployments/scale", "statefulsets/scale", "replicasets/scale"),
	}
}

// scaled is what scaling needs to know of a workload.
type scaled struct {
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Replicas *int32 `json:"replicas"`
	} `json:"spec"`
	Status struct {
		ObservedGeneration int64 `json:"observedGeneration"`
		Replicas           int32 `json:"replicas"`
		ReadyReplicas      int32 `json:"readyReplicas"`
	} `json:"status"`
}

// Plan returns the patch of the scale subresource, to a number and never by one.
func (a scale) Plan(ctx context.Context, world action.World, target action.Target, params action.Params) (action.Plan, error) {
	if err := a.Spec().Validate(params); err != nil {
		return action.Plan{}, err
	}
	w, raw, err := readScaled(ctx, world.Objects, target)
	if err != nil {
		return action.Plan{}, err
	}
	if err := unowned(ctx, world.Objects, target); err != nil {
		return action.Plan{}, err
	}
	before := replicas(w.Spec.Replicas)
	after, err := wantedReplicas(target, before, params)
	if err != nil {
		return action.Plan{}, err
	}
	var d jsonpatch.Difference
	if after != before {
		d.Changes = []jsonpatch.Change{{At: jsonpatch.Pointer{"spec", "replicas"}, Before: int64(before), After: int64(after)}}
	}
	op, err := patch(target, d, true)
	if err != nil {
		return action.Plan{}, err
	}
	op.Subresource, op.Undo.Subresource = "scale", "scale"
	live := &liveWorkload{world: world, target: target}
	if err := live.canScale(ctx, raw, after); err != nil {
		return action.Plan{}, err
	}
	plan := action.Plan{Operations: []action.Operation{op}, Pods: max(0, before-after)}
	if after < before {
		plan.Risk = v1alpha1.RiskMedium
	}
	return plan, nil
}

// wantedReplicas returns the number to scale to. It is pure.
func wantedReplicas(target action.Target, before int32, params action.Params) (int32, error) {
	absolute, given := params["replicas"]
	delta, relative := params["delta"]
	if given == relative {
		return 0, fmt.Errorf("%w: one of replicas and delta is required", action.ErrInvalidParameters)
	}
	n, err := strconv.ParseInt(absolute+delta, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", action.ErrInvalidParameters, err)
	}
	after := int32(n)
	if relative {
		after += before
	}
	switch {
	case before == 0:
		return 0, action.NotApplicable("%s is scaled to 0, which somebody meant", target)
	case after < 1:
		return 0, action.NotApplicable("%s would be scaled to %d; a workload is not taken away", target, after)
	case after > mostAtOnce*before || before > mostAtOnce*after:
		return 0, action.NotApplicable("%s would go from %d to %d replicas, more than a factor of %d at once", target, before, after, mostAtOnce)
	}
	return after, nil
}

// Settled reports whether as many are ready as are wanted, and no more are left.
func (scale) Settled(ctx context.Context, world action.World, target action.Target, _ action.Plan) (action.Progress, error) {
	w, _, err := readScaled(ctx, world.Objects, target)
	if err != nil {
		return lost(err)
	}
	wanted := replicas(w.Spec.Replicas)
	switch {
	case w.Status.ObservedGeneration < w.Generation:
		return action.Progress{Message: "its controller has not seen the change yet"}, nil
	case w.Status.Replicas != wanted || w.Status.ReadyReplicas < wanted:
		return action.Progress{Message: fmt.Sprintf("%d pods are there and %d are ready, of %d", w.Status.Replicas, w.Status.ReadyReplicas, wanted)}, nil
	}
	return action.Progress{Done: true, Message: fmt.Sprintf("all %d pods are ready", wanted)}, nil
}

func readScaled(ctx context.Context, reader client.Reader, target action.Target) (scaled, *unstructured.Unstructured, error) {
	if err := known(target, scale{}.Spec().Kinds...); err != nil {
		return scaled{}, nil, err
	}
	raw, err := read(ctx, reader, target, &metav1.PartialObjectMetadata{})
	if err != nil {
		return scaled{}, nil, err
	}
	var w scaled
	return w, raw, decode(raw, &w)
}

// canScale refuses to scale a workload that is well as a remedy, and any to more pods
// than there is room for.
func (l *liveWorkload) canScale(ctx context.Context, raw *unstructured.Unstructured, after int32) error {
	l.object = map[string]client.Object{
		deployments.Kind: &appsv1.Deployment{}, statefulSets.Kind: &appsv1.StatefulSet{}, replicaSets.Kind: &appsv1.ReplicaSet{},
	}[raw.GetKind()]
	if err := decode(raw, l.object); err != nil {
		return err
	}
	if d := demandOf(l.object, corev1.PodSpec{}, nil); after > d.pods {
		if err := l.readBounds(ctx); err != nil {
			return err
		}
		d = demandOf(l.object, d.before, l.pods)
		d.pods, d.surges = after, false
		if err := l.hasRoom(ctx, d); err != nil {
			return err
		}
	}
	return l.unwell(ctx)
}

// unowned refuses a workload whose replicas an autoscaler decides on.
func unowned(ctx context.Context, reader client.Reader, target action.Target) error {
	list := &autoscalingv2.HorizontalPodAutoscalerList{}
	if err := reader.List(ctx, list, client.InNamespace(target.Namespace)); err != nil {
		return fmt.Errorf("reading the autoscalers of %s: %w", target, err)
	}
	for _, hpa := range list.Items {
		if ref := hpa.Spec.ScaleTargetRef; ref.Kind == target.Kind && ref.Name == target.Name {
			return action.NotApplicable("HorizontalPodAutoscaler/%s decides how many replicas %s has", hpa.Name, target)
		}
	}
	return nil
}
