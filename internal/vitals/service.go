package vitals

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// service is well when requests find somebody: an endpoint is ready, and every
// pod it selects is. When the selector itself was changed, it has been well no
// longer than that.
func service(s *analysis.Snapshot) Vitals {
	svc := find(s.Services, s.Target.Name)
	switch {
	case svc == nil:
		return unknown("%s was not seen", s.Target)
	case len(svc.Spec.Selector) == 0:
		return unknown("%s has no selector: whoever writes its endpoints knows whether they are well", s.Target)
	}
	selected := Selected(s, svc)
	if len(selected) == 0 && s.PodsOmitted > 0 {
		return unknown("%s selects none of the pods that were kept, and %d were left out", s.Target, s.PodsOmitted)
	}
	if len(selected) == 0 {
		return unhealthy("%s selects no pod", s.Target)
	}
	if ReadyEndpoints(s, svc.Name) == 0 {
		return unhealthy("%s has no ready endpoint, and selects %d pods", s.Target, len(selected))
	}
	var since time.Time
	for _, c := range s.Changes {
		if c.Object.Kind == s.Target.Kind && c.Object.Name == s.Target.Name {
			since = later(since, c.At)
		}
	}
	return judgePods(s, selected, since)
}

// Selected returns the active pods that a Service selects.
func Selected(s *analysis.Snapshot, svc *corev1.Service) []corev1.Pod {
	if len(svc.Spec.Selector) == 0 {
		return nil
	}
	selector := labels.SelectorFromSet(svc.Spec.Selector)
	var selected []corev1.Pod
	for i := range s.Pods {
		if Active(&s.Pods[i]) && selector.Matches(labels.Set(s.Pods[i].Labels)) {
			selected = append(selected, s.Pods[i])
		}
	}
	return selected
}

// ReadyEndpoints counts the ready endpoints of a Service.
func ReadyEndpoints(s *analysis.Snapshot, service string) int {
	ready := 0
	for i := range s.EndpointSlices {
		if s.EndpointSlices[i].Labels["kubernetes.io/service-name"] != service {
			continue
		}
		for _, e := range s.EndpointSlices[i].Endpoints {
			if e.Conditions.Ready == nil || *e.Conditions.Ready {
				ready++
			}
		}
	}
	return ready
}
