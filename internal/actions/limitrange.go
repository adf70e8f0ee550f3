package actions

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubernaut/kubernaut/internal/jsonpatch"
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

// beyond says what a LimitRange's item allows where the pod asks for more memory; else nothing.
func beyond(item corev1.LimitRangeItem, pod corev1.PodSpec) string {
	most, bounded := item.Max[corev1.ResourceMemory]
	ratio, inProportion := item.MaxLimitRequestRatio[corev1.ResourceMemory]
	switch item.Type {
	case corev1.LimitTypeContainer:
		for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
			limit := c.Resources.Limits[corev1.ResourceMemory]
			if bounded && limit.Cmp(most) > 0 {
				return fmt.Sprintf("a container have %s of memory, and %s would have %s", most.String(), c.Name, limit.String())
			}
			if request := c.Resources.Requests[corev1.ResourceMemory]; inProportion && apart(limit, request, ratio) {
				return fmt.Sprintf("a container's memory limit be %s times its request, and that of %s would be more", ratio.String(), c.Name)
			}
		}
	case corev1.LimitTypePod:
		if sum := podLimit(pod); bounded && sum.Cmp(most) > 0 {
			return fmt.Sprintf("a pod have %s of memory, and this one would have %s", most.String(), sum.String())
		}
	}
	return ""
}

// apart reports whether the limit is more than ratio times the request.
func apart(limit, request, ratio resource.Quantity) bool {
	return request.Sign() > 0 && limit.AsApproximateFloat64() > ratio.AsApproximateFloat64()*request.AsApproximateFloat64()
}

// podLimit is the sum over the containers that run together, or one that runs
// before them if that has more. Containers without a limit count nothing.
func podLimit(pod corev1.PodSpec) resource.Quantity {
	var sum, before resource.Quantity
	for _, c := range pod.InitContainers {
		limit := c.Resources.Limits[corev1.ResourceMemory]
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			sum.Add(limit)
		} else if limit.Cmp(before) > 0 {
			before = limit
		}
	}
	for _, c := range pod.Containers {
		sum.Add(c.Resources.Limits[corev1.ResourceMemory])
	}
	if before.Cmp(sum) > 0 {
		return before
	}
	return sum
}
