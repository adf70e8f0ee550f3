package evidence

import (
	"context"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/atonce"
	"github.com/kubernaut/kubernaut/internal/selector"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// neighbourhood is what a namespace holds that a Service could select.
type neighbourhood struct {
	services     corev1.ServiceList
	slices       discoveryv1.EndpointSliceList
	deployments  appsv1.DeploymentList
	statefulSets appsv1.StatefulSetList
	daemonSets   appsv1.DaemonSetList
	replicaSets  appsv1.ReplicaSetList
	pods         corev1.PodList
	events       []corev1.Event
}

// service gathers a Service with its endpoints, and what is behind it. If it
// selects no pod, the workloads it could have meant come instead.
func (l *look) service(ctx context.Context) {
	var svc corev1.Service
	var n neighbourhood
	found := false
	if !l.room(ctx, pageSize) {
		return
	}
	atonce.Do(
		func() { found = l.target(ctx, &svc) },
		func() {
			l.list(ctx, "EndpointSlices of "+l.snapshot.Target.String(), &n.slices, client.MatchingLabels{discoveryv1.LabelServiceName: l.snapshot.Target.Name})
		},
		func() { l.list(ctx, "Services of the namespace", &n.services) },
		func() { l.list(ctx, "Deployments of the namespace", &n.deployments) },
		func() { l.list(ctx, "StatefulSets of the namespace", &n.statefulSets) },
		func() { l.list(ctx, "DaemonSets of the namespace", &n.daemonSets) },
		func() { l.list(ctx, "ReplicaSets of the namespace", &n.replicaSets) },
		func() { l.pods(ctx, "pods of the namespace", &n.pods) },
		func() { n.events = l.warnings(ctx) },
	)
	if !found {
		return
	}
	l.changed(&svc, "spec", "selector")
	s := l.snapshot
	s.Services = []corev1.Service{svc}
	s.EndpointSlices = n.slices.Items
	if len(svc.Spec.Selector) == 0 {
		return // whoever writes its endpoints by hand knows what is behind it
	}
	s.Pods = matching(n.pods.Items, svc.Spec.Selector)
	if len(s.Pods) > 0 {
		n.behind(s)
	} else {
		n.candidates(s, &svc)
	}
	l.told(n.events)
}

// behind keeps the workloads that own the pods a Service selects, with all of
// their pods.
func (n *neighbourhood) behind(s *analysis.Snapshot) {
	owners := map[types.UID]bool{}
	for i := range s.Pods {
		if owner := metav1.GetControllerOf(&s.Pods[i]); owner != nil {
			owners[owner.UID] = true
		}
	}
	for i := range n.replicaSets.Items {
		if owner := metav1.GetControllerOf(&n.replicaSets.Items[i]); owner != nil && owners[n.replicaSets.Items[i].UID] {
			owners[owner.UID] = true
		}
	}
	s.Deployments = keep(n.deployments.Items, func(d *appsv1.Deployment) bool { return owners[d.UID] })
	s.StatefulSets = keep(n.statefulSets.Items, func(d *appsv1.StatefulSet) bool { return owners[d.UID] })
	s.DaemonSets = keep(n.daemonSets.Items, func(d *appsv1.DaemonSet) bool { return owners[d.UID] })
	s.ReplicaSets = ownedBy(n.replicaSets.Items, owners)
	for i := range s.ReplicaSets {
		owners[s.ReplicaSets[i].UID] = true
	}
	selected := s.Pods
	s.Pods = keep(n.pods.Items, func(p *corev1.Pod) bool {
		owner := metav1.GetControllerOf(p)
		return owner != nil && owners[owner.UID] || slices.ContainsFunc(selected, func(q corev1.Pod) bool { return q.UID == p.UID })
	})
}

// candidates keeps the workloads a Service that selects nothing could have
// meant, and the other Services, which may serve them already. A workload that
// the selector does fit, but that has no pods, is kept with its ReplicaSets:
// then the selector is not what is wrong.
func (n *neighbourhood) candidates(s *analysis.Snapshot, svc *corev1.Service) {
	var carried []map[string]string
	for i := range n.pods.Items {
		carried = append(carried, n.pods.Items[i].Labels)
	}
	s.PodLabels = selector.Carried(svc.Spec.Selector, carried)
	related := func(template *corev1.PodTemplateSpec, name string) bool {
		return isRelated(svc, template.Labels, name)
	}
	s.Deployments = keep(n.deployments.Items, func(d *appsv1.Deployment) bool { return related(&d.Spec.Template, d.Name) })
	s.StatefulSets = keep(n.statefulSets.Items, func(d *appsv1.StatefulSet) bool { return related(&d.Spec.Template, d.Name) })
	s.DaemonSets = keep(n.daemonSets.Items, func(d *appsv1.DaemonSet) bool { return related(&d.Spec.Template, d.Name) })
	fits := map[types.UID]bool{}
	for i := range s.Deployments {
		if selects(svc.Spec.Selector, s.Deployments[i].Spec.Template.Labels) {
			fits[s.Deployments[i].UID] = true
		}
	}
	s.ReplicaSets = ownedBy(n.replicaSets.Items, fits)
	s.Services = append(s.Services, keep(n.services.Items, func(other *corev1.Service) bool {
		return other.UID != svc.UID && n.serves(s, other)
	})...)
}

// serves reports whether a Service selects one of the candidates.
func (n *neighbourhood) serves(s *analysis.Snapshot, svc *corev1.Service) bool {
	if len(svc.Spec.Selector) == 0 {
		return false
	}
	return slices.ContainsFunc(s.Deployments, func(d appsv1.Deployment) bool { return selects(svc.Spec.Selector, d.Spec.Template.Labels) }) ||
		slices.ContainsFunc(s.StatefulSets, func(d appsv1.StatefulSet) bool { return selects(svc.Spec.Selector, d.Spec.Template.Labels) }) ||
		slices.ContainsFunc(s.DaemonSets, func(d appsv1.DaemonSet) bool { return selects(svc.Spec.Selector, d.Spec.Template.Labels) })
}

// isRelated reports whether a Service could have meant a workload: they share a
// label's key or value, or the name. Anything else is a stranger.
func isRelated(svc *corev1.Service, template map[string]string, name string) bool {
	if name == svc.Name {
		return true
	}
	for key, value := range template {
		if _, shared := svc.Spec.Selector[key]; shared || value == svc.Name || svc.Labels[key] == value {
			return true
		}
		for _, wanted := range svc.Spec.Selector {
			if wanted == value {
				return true
			}
		}
	}
	return false
}

// selects reports whether a Service's selector selects pods with these labels.
func selects(wanted, podLabels map[string]string) bool {
	return labels.SelectorFromSet(wanted).Matches(labels.Set(podLabels))
}

func matching(pods []corev1.Pod, wanted map[string]string) []corev1.Pod {
	return keep(pods, func(p *corev1.Pod) bool {
		return p.DeletionTimestamp == nil && selects(wanted, p.Labels)
	})
}

func keep[T any](all []T, wanted func(*T) bool) []T {
	var kept []T
	for i := range all {
		if wanted(&all[i]) {
			kept = append(kept, all[i])
		}
	}
	return kept
}
