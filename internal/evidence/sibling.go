package evidence

import (
	"context"
	"errors"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/atonce"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// maxSiblings is how many containers of other workloads are noted.
const maxSiblings = 8

// siblings notes, where the runtime says that a memory limit is too low to begin with,
// what containers of other workloads have that run the same image.
func (l *look) siblings(ctx context.Context) {
	if images := l.tooLow(); len(images) > 0 {
		l.runElsewhere(ctx, images)
	}
}

// runElsewhere notes the containers of other workloads that run one of the images.
func (l *look) runElsewhere(ctx context.Context, images map[string]bool) {
	var ds appsv1.DeploymentList
	var ss appsv1.StatefulSetList
	var dss appsv1.DaemonSetList
	within := []client.ListOption{client.InNamespace(l.snapshot.Target.Namespace), client.Limit(pageSize)}
	errs := make([]error, 3)
	atonce.Do(
		func() { errs[0] = l.reader.List(ctx, &ds, within...) },
		func() { errs[1] = l.reader.List(ctx, &ss, within...) },
		func() { errs[2] = l.reader.List(ctx, &dss, within...) },
	)
	if err := errors.Join(errs...); err != nil {
		l.unread("other workloads of the same image", err, true)
		return
	}
	for i := range ds.Items {
		d := &ds.Items[i]
		if d.Status.ObservedGeneration >= d.Generation && steady(d.Status.ReadyReplicas, d.Status.UpdatedReplicas, d.Status.Replicas) {
			l.sibling("Deployment/"+d.Name, &d.Spec.Template.Spec, images)
		}
	}
	for i := range ss.Items {
		s := &ss.Items[i]
		if s.Status.ObservedGeneration >= s.Generation && steady(s.Status.ReadyReplicas, s.Status.UpdatedReplicas, s.Status.Replicas) {
			l.sibling("StatefulSet/"+s.Name, &s.Spec.Template.Spec, images)
		}
	}
	for i := range dss.Items {
		d := &dss.Items[i]
		if d.Status.ObservedGeneration >= d.Generation && steady(d.Status.NumberReady, d.Status.UpdatedNumberScheduled, d.Status.CurrentNumberScheduled) {
			l.sibling("DaemonSet/"+d.Name, &d.Spec.Template.Spec, images)
		}
	}
}

// steady reports whether a workload's pods are all of its template, and some are ready:
// then what the template has is enough for them.
func steady(ready, updated, all int32) bool { return ready > 0 && updated == all }

// tooLow returns the images of pods of which a runtime says that a memory limit is too low.
func (l *look) tooLow() map[string]bool {
	said := map[string]bool{} // by the name of the pod
	for i := range l.snapshot.Events {
		if e := &l.snapshot.Events[i]; saysTooLow(e.Message) {
			said[e.InvolvedObject.Name] = true
		}
	}
	images := map[string]bool{}
	for i := range l.snapshot.Pods {
		p := &l.snapshot.Pods[i]
		if !said[p.Name] && !slices.ContainsFunc(slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses), isTooLow) {
			continue
		}
		for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
			images[c.Image] = true
		}
	}
	return images
}

func isTooLow(c corev1.ContainerStatus) bool {
	for _, state := range []corev1.ContainerState{c.State, c.LastTerminationState} {
		if state.Waiting != nil && saysTooLow(state.Waiting.Message) || state.Terminated != nil && saysTooLow(state.Terminated.Message) {
			return true
		}
	}
	return false
}

func saysTooLow(message string) bool {
	return strings.Contains(message, "memory limit") && strings.Contains(message, "too low")
}

// sibling notes the containers of a workload that run one of the images under a limit.
func (l *look) sibling(name string, spec *corev1.PodSpec, images map[string]bool) {
	s := l.snapshot
	if name == s.Target.String() {
		return
	}
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		if limit, limited := c.Resources.Limits[corev1.ResourceMemory]; limited && images[c.Image] && len(s.Siblings) < maxSiblings {
			s.Siblings = append(s.Siblings, analysis.Sibling{Workload: name, Image: c.Image, MemoryLimit: limit})
		}
	}
}
