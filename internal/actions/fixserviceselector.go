package actions

import (
	"context"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/jsonpatch"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// fixServiceSelector points a Service that selects nothing ready at one ready workload.
type fixServiceSelector struct{}

// Spec says what the action is.
func (fixServiceSelector) Spec() action.Spec {
	return action.Spec{
		Name:    "FixServiceSelector",
		Summary: "Makes a Service without ready endpoints select the pods of exactly one ready workload.",
		Kinds:   []schema.GroupKind{services},
		Parameters: []action.Parameter{{
			Name: "selector", Type: action.TypeLabels, Required: true,
			Description: "The labels to select: those of the pod template of exactly one ready workload in the namespace.",
		}},
		Risk:  v1alpha1.RiskMedium,
		Level: action.LevelFull,
		Rules: mayPatch("", "services"),
	}
}

// Plan returns the patch of the whole selector: its keys mean something together only.
func (a fixServiceSelector) Plan(ctx context.Context, world action.World, target action.Target, params action.Params) (action.Plan, error) {
	if err := a.Spec().Validate(params); err != nil {
		return action.Plan{}, err
	}
	wanted, err := action.ParseLabels(params["selector"])
	if err != nil {
		return action.Plan{}, fmt.Errorf("%w: selector %w", action.ErrInvalidParameters, err)
	}
	if err := known(target, services); err != nil {
		return action.Plan{}, err
	}
	service := &corev1.Service{}
	if _, err := read(ctx, world.Objects, target, service); err != nil {
		return action.Plan{}, err
	}
	if err := fixable(ctx, world, target, service); err != nil {
		return action.Plan{}, err
	}
	if err := selectsOne(ctx, world.Objects, target, wanted); err != nil {
		return action.Plan{}, err
	}
	var d jsonpatch.Difference
	if !labels.Equals(service.Spec.Selector, wanted) {
		d.Changes = []jsonpatch.Change{{At: jsonpatch.Pointer{"spec", "selector"}, Before: service.Spec.Selector, After: wanted}}
	}
	op, err := patch(target, d, true)
	if err != nil {
		return action.Plan{}, err
	}
	return action.Plan{Operations: []action.Operation{op}}, nil
}

// Settled reports whether the Service has a ready endpoint.
func (fixServiceSelector) Settled(ctx context.Context, world action.World, target action.Target, _ action.Plan) (action.Progress, error) {
	if _, err := read(ctx, world.Objects, target, &corev1.Service{}); err != nil {
		return lost(err)
	}
	ready, err := readyEndpoints(ctx, world.Objects, target)
	switch {
	case err != nil:
		return action.Progress{}, err
	case ready == 0:
		return action.Progress{Message: "no endpoint of the Service is ready yet"}, nil
	}
	return action.Progress{Done: true, Message: fmt.Sprintf("the Service has %d ready endpoints", ready)}, nil
}

// fixable refuses a Service that is not broken, or not in the way a selector mends.
func fixable(ctx context.Context, world action.World, target action.Target, service *corev1.Service) error {
	switch {
	case service.Spec.Type == corev1.ServiceTypeExternalName:
		return action.NotApplicable("%s stands for an external name and selects nothing", target)
	case len(service.Spec.Selector) == 0:
		return action.NotApplicable("%s has no selector: its endpoints are somebody else's", target)
	}
	ready, err := readyEndpoints(ctx, world.Objects, target)
	if err == nil && ready > 0 {
		err = action.NotApplicable("%s has %d ready endpoints: its selector is not what is broken", target, ready)
	}
	return err
}

// readyEndpoints counts the endpoints that get the Service's traffic.
func readyEndpoints(ctx context.Context, reader client.Reader, target action.Target) (int, error) {
	slices := &discoveryv1.EndpointSliceList{}
	err := reader.List(ctx, slices, client.InNamespace(target.Namespace), client.MatchingLabels{discoveryv1.LabelServiceName: target.Name})
	if err != nil {
		return 0, fmt.Errorf("reading the endpoints of %s: %w", target, err)
	}
	ready := 0
	for _, slice := range slices.Items {
		for _, endpoint := range slice.Endpoints {
			if endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready { // nil means ready
				ready++
			}
		}
	}
	return ready, nil
}

// candidate is a workload that a Service could select.
type candidate struct {
	name string
	workload
}

// selectsOne refuses labels that do not select the pods of exactly one ready workload.
func selectsOne(ctx context.Context, reader client.Reader, target action.Target, wanted map[string]string) error {
	all, err := candidates(ctx, reader, target.Namespace)
	if err != nil {
		return err
	}
	pods := &corev1.PodList{}
	if err := reader.List(ctx, pods, client.InNamespace(target.Namespace), client.MatchingLabels(wanted)); err != nil {
		return fmt.Errorf("reading the pods that %s would select: %w", target, err)
	}
	return judgeSelection(all, pods.Items, wanted)
}

// judgeSelection is the pure half of selectsOne.
func judgeSelection(all []candidate, pods []corev1.Pod, wanted map[string]string) error {
	selector := labels.SelectorFromSet(wanted)
	var found []candidate
	var names []string
	for _, c := range all {
		if selector.Matches(labels.Set(c.template.Labels)) {
			found, names = append(found, c), append(names, c.name)
		}
	}
	switch {
	case len(found) == 0:
		return action.NotApplicable("no workload has pods labelled %s", selector)
	case len(found) > 1:
		return action.NotApplicable("%s selects the pods of several workloads: %s", selector, strings.Join(names[:min(len(names), 5)], ", "))
	case found[0].ready == 0:
		return action.NotApplicable("%s selects the pods of %s, and none of them is ready", selector, names[0])
	}
	own, err := metav1.LabelSelectorAsSelector(found[0].selector)
	if err != nil {
		return fmt.Errorf("reading the selector of %s: %w", names[0], err)
	}
	for i := range pods {
		if !own.Matches(labels.Set(pods[i].Labels)) {
			return action.NotApplicable("%s selects Pod/%s too, which is not of %s", selector, pods[i].Name, names[0])
		}
	}
	return nil
}

// candidates returns the workloads of a namespace.
func candidates(ctx context.Context, reader client.Reader, namespace string) ([]candidate, error) {
	var found []candidate
	var ds appsv1.DeploymentList
	var ss appsv1.StatefulSetList
	var dss appsv1.DaemonSetList
	for _, list := range []client.ObjectList{&ds, &ss, &dss} {
		if err := reader.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return nil, fmt.Errorf("reading the workloads of namespace %s: %w", namespace, err)
		}
	}
	for i := range ds.Items {
		found = append(found, candidate{"Deployment/" + ds.Items[i].Name, ofDeployment(&ds.Items[i])})
	}
	for i := range ss.Items {
		found = append(found, candidate{"StatefulSet/" + ss.Items[i].Name, ofStatefulSet(&ss.Items[i])})
	}
	for i := range dss.Items {
		found = append(found, candidate{"DaemonSet/" + dss.Items[i].Name, ofDaemonSet(&dss.Items[i])})
	}
	return found, nil
}
