package actions

import (
	"context"
	"fmt"
	"slices"
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
	"github.com/kubernaut/kubernaut/internal/selector"
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
	if err := mendable(ctx, world.Objects, target, selector.Change{From: service.Spec.Selector, To: wanted, Edited: selector.Edited(service)}); err != nil {
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
	found := &discoveryv1.EndpointSliceList{}
	err := reader.List(ctx, found, client.InNamespace(target.Namespace), client.MatchingLabels{discoveryv1.LabelServiceName: target.Name})
	if err != nil {
		return 0, fmt.Errorf("reading the endpoints of %s: %w", target, err)
	}
	ready := 0
	for _, slice := range found.Items {
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

// mendable refuses labels that do not select the pods of exactly one ready workload, and
// a change that makes the selector wider or leads it elsewhere. It reads every pod of the
// namespace: pods carry labels that no template names.
func mendable(ctx context.Context, reader client.Reader, target action.Target, change selector.Change) error {
	all, err := candidates(ctx, reader, target.Namespace)
	if err != nil {
		return err
	}
	pods := &corev1.PodList{}
	if err := reader.List(ctx, pods, client.InNamespace(target.Namespace)); err != nil {
		return fmt.Errorf("reading the pods of namespace %s: %w", target.Namespace, err)
	}
	services := &corev1.ServiceList{}
	if err := reader.List(ctx, services, client.InNamespace(target.Namespace)); err != nil {
		return fmt.Errorf("reading the Services of namespace %s: %w", target.Namespace, err)
	}
	found, err := judgeSelection(all, pods.Items, change.To)
	if err != nil {
		return err
	}
	return judgeChange(change, target, surroundings{all, pods.Items, services.Items, found})
}

// judgeSelection refuses labels that do not select the pods of exactly one ready
// workload, and else returns it. It is pure.
func judgeSelection(all []candidate, pods []corev1.Pod, wanted map[string]string) (candidate, error) {
	matching := labels.SelectorFromSet(wanted)
	var none candidate
	var found []candidate
	var names []string
	for _, c := range all {
		if matching.Matches(labels.Set(c.template.Labels)) {
			found, names = append(found, c), append(names, c.name)
		}
	}
	switch {
	case len(found) == 0:
		return none, action.NotApplicable("no workload has pods labelled %s", matching)
	case len(found) > 1:
		return none, action.NotApplicable("%s selects the pods of several workloads: %s", matching, strings.Join(names[:min(len(names), 5)], ", "))
	case found[0].ready == 0:
		return none, action.NotApplicable("%s selects the pods of %s, and none of them is ready", matching, names[0])
	}
	own, err := metav1.LabelSelectorAsSelector(found[0].selector)
	if err != nil {
		return none, fmt.Errorf("reading the selector of %s: %w", names[0], err)
	}
	for i := range pods {
		if matching.Matches(labels.Set(pods[i].Labels)) && !own.Matches(labels.Set(pods[i].Labels)) {
			return none, action.NotApplicable("%s selects Pod/%s too, which is not of %s", matching, pods[i].Name, names[0])
		}
	}
	return found[0], nil
}

// surroundings are what the namespace holds beside a Service.
type surroundings struct {
	workloads []candidate
	pods      []corev1.Pod
	services  []corev1.Service
	meant     candidate
}

// judgeChange refuses a change of a selector that selects something already, a change
// that drops what pods carry, or that no slip and no edit accounts for, or of a Service
// whose pods another one selects. It is pure.
func judgeChange(change selector.Change, target action.Target, near surroundings) error {
	if name := selected(change.From, near); name != "" && !labels.Equals(change.From, change.To) {
		return action.NotApplicable("the selector of %s stays as it is: it selects %s, which is not ready", target, name)
	}
	_, name, _ := strings.Cut(near.meant.name, "/")
	change.Template, change.Names = near.meant.template.Labels, []string{target.Name, name}
	for _, other := range near.workloads {
		if other.name != near.meant.name {
			change.Others = append(change.Others, other.template.Labels)
		}
	}
	var carried []map[string]string
	served := []map[string]string{near.meant.template.Labels}
	own, err := metav1.LabelSelectorAsSelector(near.meant.selector)
	if err != nil {
		return fmt.Errorf("reading the selector of %s: %w", near.meant.name, err)
	}
	for i := range near.pods {
		has := near.pods[i].Labels
		carried = append(carried, has)
		if own.Matches(labels.Set(has)) && active(&near.pods[i]) {
			served = append(served, has)
		}
	}
	change.Carried = selector.Carried(change.From, carried)
	change.Served = servedBy(near.services, target.Name, served)
	if why := change.Refusal(); why != "" {
		return action.NotApplicable("the selector of %s stays as it is: %s", target, why)
	}
	return nil
}

// selected names a pod or a workload that a selector selects; empty: it selects nothing.
// A workload of that name may be scaled to zero for now.
func selected(from map[string]string, near surroundings) string {
	matches := labels.SelectorFromSet(from).Matches
	for i := range near.pods {
		if active(&near.pods[i]) && matches(labels.Set(near.pods[i].Labels)) {
			return "Pod/" + near.pods[i].Name
		}
	}
	for _, other := range near.workloads {
		if matches(labels.Set(other.template.Labels)) {
			return "the pods of " + other.name
		}
	}
	return ""
}

// servedBy names a Service, but this one, that selects one of the labelled; empty: none does.
func servedBy(services []corev1.Service, but string, labelled []map[string]string) string {
	for _, other := range services {
		if other.Name != but && len(other.Spec.Selector) > 0 && selectsAny(other.Spec.Selector, labelled) {
			return other.Name
		}
	}
	return ""
}

func selectsAny(wanted map[string]string, all []map[string]string) bool {
	matches := labels.SelectorFromSet(wanted).Matches
	return slices.ContainsFunc(all, func(has map[string]string) bool { return matches(labels.Set(has)) })
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
