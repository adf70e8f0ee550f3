package actions

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/jsonpatch"
	owner "github.com/kubernaut/kubernaut/internal/taint"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// untaintNode takes a taint off a node.
type untaintNode struct{}

// Spec says what the action is.
func (untaintNode) Spec() action.Spec {
	return action.Spec{
		Name:    "UntaintNode",
		Summary: "Takes a taint off a node, if it came after the workload last ran there and no pod on the node names it in a toleration.",
		Kinds:   []schema.GroupKind{nodes},
		Parameters: []action.Parameter{
			{Name: "key", Type: action.TypeString, Required: true, Description: "Key of the taint; never one of Kubernetes' own."},
			{Name: "value", Type: action.TypeString, Description: "Its value; none: the taint has none."},
			{Name: "effect", Type: action.TypeString, Required: true, Enum: []string{"NoSchedule", "NoExecute"}, Description: "Its effect."},
			{Name: "workload", Type: action.TypeString, Required: true, Description: "The workload that finds no place, as namespace/kind/name; a pod of it must run on the node since before the taint."},
		},
		Risk:  v1alpha1.RiskMedium,
		Level: action.LevelNode,
		Rules: mayPatch("", "nodes"),
	}
}

// Plan returns the patch of the node's taints as a whole, so that any other
// change of them stops it.
func (a untaintNode) Plan(ctx context.Context, world action.World, target action.Target, params action.Params) (action.Plan, error) {
	if err := a.Spec().Validate(params); err != nil {
		return action.Plan{}, err
	}
	w, err := parseTenant(params["workload"])
	if err != nil {
		return action.Plan{}, err
	}
	node, raw, err := readNode(ctx, world, target)
	if err != nil {
		return action.Plan{}, err
	}
	wanted := taintOf(params)
	at := slices.IndexFunc(node.Spec.Taints, func(t corev1.Taint) bool { return same(t, wanted) })
	if at < 0 {
		return action.Plan{}, action.NotApplicable("%s carries no taint %s", target, wanted.ToString())
	}
	var list corev1.PodList
	onNode := client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("spec.nodeName", target.Name)}
	if err := world.Objects.List(ctx, &list, onNode); err != nil {
		return action.Plan{}, fmt.Errorf("listing the pods on %s: %w", target, err)
	}
	ours, err := w.pods(ctx, world.Objects, list.Items)
	if err != nil {
		return action.Plan{}, err
	}
	if why := meant(node.Spec.Taints[at], list.Items, ours); why != "" {
		return action.Plan{}, action.NotApplicable("taint %s stays on %s: %s", wanted.ToString(), target, why)
	}
	var left any
	found, _ := jsonpatch.Lookup(raw.Object, jsonpatch.Pointer{"spec", "taints"})
	if taints, _ := found.([]any); len(taints) > 1 {
		left = slices.Delete(slices.Clone(taints), at, at+1)
	}
	return rewrite(target, raw, left, "spec", "taints")
}

// Settled reports whether the taint is off the node.
func (untaintNode) Settled(ctx context.Context, world action.World, target action.Target, plan action.Plan) (action.Progress, error) {
	node, _, err := readNode(ctx, world, target)
	if err != nil {
		return lost(err)
	}
	off, err := takenOff(plan.Operations[0].Operation)
	if err != nil {
		return action.Progress{}, fmt.Errorf("reading which taint of %s was taken off: %w", target, err)
	}
	back := slices.ContainsFunc(off, func(taint corev1.Taint) bool { return carries(node.Spec.Taints, taint) })
	return arrived(!back, "the taint is off the node", "somebody put the taint back"), nil
}

// takenOff returns the taints that were there before an operation and not after it.
func takenOff(op v1alpha1.Operation) ([]corev1.Taint, error) {
	var before, after []corev1.Taint
	for _, field := range op.Precondition.Fields {
		if err := json.Unmarshal(field.Value.Raw, &before); err != nil {
			return nil, err
		}
	}
	entries, err := jsonpatch.Parse(op.Body.Raw)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if entry.Op != jsonpatch.Replace {
			continue // what is tested is what was before; a list that is removed leaves none
		}
		left, err := json.Marshal(entry.Value)
		if err == nil {
			err = json.Unmarshal(left, &after)
		}
		if err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(before, func(taint corev1.Taint) bool { return carries(after, taint) }), nil
}

func carries(taints []corev1.Taint, wanted corev1.Taint) bool {
	return slices.ContainsFunc(taints, func(t corev1.Taint) bool { return same(t, wanted) })
}

func taintOf(params action.Params) corev1.Taint {
	return corev1.Taint{Key: params["key"], Value: params["value"], Effect: corev1.TaintEffect(params["effect"])}
}

func same(a, b corev1.Taint) bool {
	return a.Key == b.Key && a.Value == b.Value && a.Effect == b.Effect
}

// meant says why a taint was set on purpose, as far as anything shows, or
// nothing. The scheduler places no pod on a node whose taint it does not
// tolerate: that one of the workload's runs there shows that the taint came
// later. A toleration of everything says nothing of this taint. It is pure.
func meant(set corev1.Taint, pods, ours []corev1.Pod) string {
	switch owner.OwnerOf(set.Key) {
	case owner.Kubernetes, owner.Role, owner.Lifecycle:
		return "it is a program's, which takes it off itself"
	case owner.Reserved:
		return "its key is in a domain of Kubernetes or of the cloud, whose taints no action takes off; a person has to"
	}
	for i := range pods {
		if names(&pods[i], set.Key) && active(&pods[i]) {
			return fmt.Sprintf("pod %s/%s on the node tolerates it by name, so the node is kept for such pods", pods[i].Namespace, pods[i].Name)
		}
	}
	for i := range ours {
		p := &ours[i]
		before := set.TimeAdded == nil || p.CreationTimestamp.Before(set.TimeAdded)
		if before && !names(p, "") && !names(p, set.Key) {
			return ""
		}
	}
	return "no pod of the workload has run there since before the taint came"
}

// names reports whether a pod has a toleration of this key; the empty key is all of them.
func names(p *corev1.Pod, key string) bool {
	return slices.ContainsFunc(p.Spec.Tolerations, func(t corev1.Toleration) bool { return t.Key == key })
}

func active(p *corev1.Pod) bool {
	return p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed
}

// tenant is a workload as a parameter names it.
type tenant struct{ namespace, kind, name string }

func parseTenant(text string) (tenant, error) {
	parts := strings.Split(text, "/")
	if len(parts) != 3 || slices.Contains(parts, "") {
		return tenant{}, fmt.Errorf("%w: workload has the form namespace/kind/name", action.ErrInvalidParameters)
	}
	w := tenant{parts[0], parts[1], parts[2]}
	if kind := (schema.GroupKind{Group: "apps", Kind: w.kind}); kind != deployments && kind != statefulSets && kind != replicaSets {
		return tenant{}, fmt.Errorf("%w: workload is a Deployment, StatefulSet or ReplicaSet", action.ErrInvalidParameters)
	}
	return w, nil
}

// pods returns those that belong to the workload.
func (w tenant) pods(ctx context.Context, reader client.Reader, all []corev1.Pod) ([]corev1.Pod, error) {
	var ours []corev1.Pod
	for i := range all {
		owner := metav1.GetControllerOf(&all[i])
		if owner == nil || all[i].Namespace != w.namespace {
			continue
		}
		if owner.Kind == "ReplicaSet" && w.kind == "Deployment" {
			rs := &metav1.PartialObjectMetadata{}
			rs.SetGroupVersionKind(schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "ReplicaSet"})
			err := reader.Get(ctx, types.NamespacedName{Namespace: w.namespace, Name: owner.Name}, rs)
			if client.IgnoreNotFound(err) != nil {
				return nil, fmt.Errorf("reading the owner of pod %s/%s: %w", w.namespace, all[i].Name, err)
			}
			if owner = metav1.GetControllerOf(rs); owner == nil { // or it is gone
				continue
			}
		}
		if owner.Kind == w.kind && owner.Name == w.name {
			ours = append(ours, all[i])
		}
	}
	return ours, nil
}
