package actions

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"
)

func multiplied(q resource.Quantity, n int32) resource.Quantity {
	product := q.DeepCopy()
	product.Mul(int64(n))
	return product
}

// usageOf is what one pod takes of a ResourceQuota, by the names that quotas use.
func usageOf(spec corev1.PodSpec) corev1.ResourceList {
	pod, one := &corev1.Pod{Spec: spec}, resource.MustParse("1")
	usage := corev1.ResourceList{corev1.ResourcePods: one, "count/pods": one}
	for name, requested := range resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{}) {
		usage[corev1.DefaultResourceRequestsPrefix+name] = requested
		if standard(name) {
			usage[name] = requested
		}
	}
	for name, limit := range resourcehelper.PodLimits(pod, resourcehelper.PodResourcesOptions{}) {
		usage["limits."+name] = limit
	}
	return usage
}

// withoutAmount names a container that does not say how much it needs of a resource, where
// a quota of that resource makes the API server ask each container; else nothing.
func withoutAmount(spec corev1.PodSpec, counted corev1.ResourceName) string {
	name, ofLimits := counted, false
	switch counted {
	case corev1.ResourceCPU, corev1.ResourceMemory:
	case corev1.ResourceRequestsCPU, corev1.ResourceLimitsCPU:
		name, ofLimits = corev1.ResourceCPU, counted == corev1.ResourceLimitsCPU
	case corev1.ResourceRequestsMemory, corev1.ResourceLimitsMemory:
		name, ofLimits = corev1.ResourceMemory, counted == corev1.ResourceLimitsMemory
	default:
		return ""
	}
	says := func(r corev1.ResourceRequirements) bool {
		list := r.Requests
		if ofLimits {
			list = r.Limits
		}
		_, given := list[name]
		return given
	}
	if spec.Resources != nil && says(*spec.Resources) {
		return ""
	}
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		if !says(c.Resources) {
			return c.Name
		}
	}
	return ""
}

// isCounted reports whether a ResourceQuota counts a pod: every scope must match. A scope
// that is not known is taken to match, so that the quota is not overlooked.
func isCounted(quota *corev1.ResourceQuota, spec corev1.PodSpec) bool {
	for _, scope := range quota.Spec.Scopes {
		if !inScope(corev1.ScopedResourceSelectorRequirement{ScopeName: scope, Operator: corev1.ScopeSelectorOpExists}, spec) {
			return false
		}
	}
	if quota.Spec.ScopeSelector == nil {
		return true
	}
	for _, wanted := range quota.Spec.ScopeSelector.MatchExpressions {
		if !inScope(wanted, spec) {
			return false
		}
	}
	return true
}

func inScope(wanted corev1.ScopedResourceSelectorRequirement, spec corev1.PodSpec) bool {
	switch wanted.ScopeName {
	case corev1.ResourceQuotaScopeTerminating:
		return spec.ActiveDeadlineSeconds != nil
	case corev1.ResourceQuotaScopeNotTerminating:
		return spec.ActiveDeadlineSeconds == nil
	case corev1.ResourceQuotaScopeBestEffort:
		return bestEffort(spec)
	case corev1.ResourceQuotaScopeNotBestEffort:
		return !bestEffort(spec)
	case corev1.ResourceQuotaScopePriorityClass:
		return ofPriority(wanted, spec.PriorityClassName)
	case corev1.ResourceQuotaScopeCrossNamespacePodAffinity:
		return acrossNamespaces(spec.Affinity)
	case corev1.ResourceQuotaScopeVolumeAttributesClass:
		return false // counts claims only
	}
	return true
}

func ofPriority(wanted corev1.ScopedResourceSelectorRequirement, class string) bool {
	switch wanted.Operator {
	case corev1.ScopeSelectorOpIn:
		return slices.Contains(wanted.Values, class)
	case corev1.ScopeSelectorOpNotIn:
		return !slices.Contains(wanted.Values, class)
	case corev1.ScopeSelectorOpExists:
		return class != ""
	case corev1.ScopeSelectorOpDoesNotExist:
		return class == ""
	}
	return true
}

// bestEffort reports whether a pod requests and limits neither CPU nor memory.
func bestEffort(spec corev1.PodSpec) bool {
	usage := usageOf(spec)
	for _, name := range []corev1.ResourceName{corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory, corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory} {
		if q := usage[name]; !q.IsZero() {
			return false
		}
	}
	return true
}

func acrossNamespaces(affinity *corev1.Affinity) bool {
	if affinity == nil {
		return false
	}
	var terms []corev1.PodAffinityTerm
	if near := affinity.PodAffinity; near != nil {
		terms = append(terms, near.RequiredDuringSchedulingIgnoredDuringExecution...)
		for _, preferred := range near.PreferredDuringSchedulingIgnoredDuringExecution {
			terms = append(terms, preferred.PodAffinityTerm)
		}
	}
	if far := affinity.PodAntiAffinity; far != nil {
		terms = append(terms, far.RequiredDuringSchedulingIgnoredDuringExecution...)
		for _, preferred := range far.PreferredDuringSchedulingIgnoredDuringExecution {
			terms = append(terms, preferred.PodAffinityTerm)
		}
	}
	return slices.ContainsFunc(terms, func(t corev1.PodAffinityTerm) bool { return len(t.Namespaces) > 0 || t.NamespaceSelector != nil })
}
