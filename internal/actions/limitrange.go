package actions

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	resourcehelper "k8s.io/component-helpers/resource"

	"github.com/kubernaut/kubernaut/internal/jsonpatch"
	"github.com/kubernaut/kubernaut/pkg/action"
)

func decodeTemplate(obj *unstructured.Unstructured) (corev1.PodTemplateSpec, error) {
	var template corev1.PodTemplateSpec
	tree, _ := jsonpatch.Lookup(obj.Object, podTemplate)
	content, _ := tree.(map[string]any)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, &template); err != nil {
		return template, fmt.Errorf("decoding the template of %s/%s: %w", obj.GetKind(), obj.GetName(), err)
	}
	return template, nil
}

// admitted returns a pod of a template as the API server would store it: a container
// without a request requests its limit, and what is missing then comes from the
// LimitRanges. It is pure.
func admitted(spec corev1.PodSpec, ranges []corev1.LimitRange) corev1.PodSpec {
	spec = *spec.DeepCopy()
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			r := &containers[i].Resources
			r.Requests = withDefaults(r.Requests, r.Limits)
			for _, lr := range ranges {
				for _, item := range lr.Spec.Limits {
					if item.Type == corev1.LimitTypeContainer {
						r.Limits = withDefaults(r.Limits, item.Default)
						r.Requests = withDefaults(r.Requests, item.DefaultRequest)
					}
				}
			}
		}
	}
	return spec
}

// withDefaults returns a list with what it does not have from another.
func withDefaults(list, defaults corev1.ResourceList) corev1.ResourceList {
	for name, quantity := range defaults {
		if _, given := list[name]; given {
			continue
		}
		if list == nil {
			list = corev1.ResourceList{}
		}
		list[name] = quantity
	}
	return list
}

// withinLimitRanges refuses a pod that the namespace's LimitRanges would not let in.
// It gets the pod as it is admitted.
func withinLimitRanges(ranges []corev1.LimitRange, pod corev1.PodSpec) error {
	for _, lr := range ranges {
		for _, item := range lr.Spec.Limits {
			if why := beyond(item, pod); why != "" {
				return action.NotApplicable("LimitRange/%s lets %s", lr.Name, why)
			}
		}
	}
	return nil
}

// beyond says what a LimitRange's item allows where the pod asks for more of a resource,
// or for less; else nothing.
func beyond(item corev1.LimitRangeItem, pod corev1.PodSpec) string {
	switch item.Type {
	case corev1.LimitTypeContainer:
		for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
			if why := outside(item, c.Resources.Limits, c.Resources.Requests); why != "" {
				return "a container " + why + " (" + c.Name + ")"
			}
		}
	case corev1.LimitTypePod:
		whole := &corev1.Pod{Spec: pod}
		limits := resourcehelper.PodLimits(whole, resourcehelper.PodResourcesOptions{})
		requests := resourcehelper.PodRequests(whole, resourcehelper.PodResourcesOptions{})
		if why := outside(item, limits, requests); why != "" {
			return "a pod " + why
		}
	}
	return ""
}

// outside says which bound of an item limits and requests are beyond, or nothing.
func outside(item corev1.LimitRangeItem, limits, requests corev1.ResourceList) string {
	for _, name := range slices.Sorted(maps.Keys(item.Max)) {
		most, limit, request := item.Max[name], limits[name], requests[name]
		switch {
		case limit.Cmp(most) > 0:
			return fmt.Sprintf("have %s of %s, and it would have %s", most.String(), name, limit.String())
		case request.Cmp(most) > 0:
			return fmt.Sprintf("have %s of %s, and it would request %s", most.String(), name, request.String())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(item.Min)) {
		if least, request := item.Min[name], requests[name]; request.Sign() > 0 && request.Cmp(least) < 0 {
			return fmt.Sprintf("request no less than %s of %s, and it would request %s", least.String(), name, request.String())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(item.MaxLimitRequestRatio)) {
		if ratio, limit, request := item.MaxLimitRequestRatio[name], limits[name], requests[name]; apart(limit, request, ratio) {
			return fmt.Sprintf("have a %s limit of %s times its request, and it would have %s and request %s", name, ratio.String(), limit.String(), request.String())
		}
	}
	return ""
}

// apart reports whether the limit is more than ratio times the request.
func apart(limit, request, ratio resource.Quantity) bool {
	return request.Sign() > 0 && limit.AsApproximateFloat64() > ratio.AsApproximateFloat64()*request.AsApproximateFloat64()
}
