package evidence

import (
	"cmp"
	"context"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/vitals"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// notEnded selects the pods that have not ended.
var notEnded = client.MatchingFieldsSelector{Selector: fields.AndSelectors(
	fields.OneTermNotEqualSelector("status.phase", string(corev1.PodSucceeded)),
	fields.OneTermNotEqualSelector("status.phase", string(corev1.PodFailed)),
)}

// pods lists pods of the target's namespace. Evicted, rejected and completed ones
// stay until somebody deletes them, hundreds at times: a list of which they make more
// than a page is read again without them, so that a living pod is never beyond the
// page because of them.
func (l *look) pods(ctx context.Context, what string, list *corev1.PodList, opts ...client.ListOption) bool {
	opts = append(opts, client.InNamespace(l.snapshot.Target.Namespace), client.Limit(pageSize))
	err := l.reader.List(ctx, list, opts...)
	if err == nil && list.Continue != "" {
		*list = corev1.PodList{}
		err = l.reader.List(ctx, list, append(opts, notEnded)...)
	}
	return l.complete(what, list, err)
}

// selectedPods lists the pods that a workload's selector selects.
func (l *look) selectedPods(ctx context.Context, list *corev1.PodList, selector *metav1.LabelSelector) bool {
	what := "pods of " + l.snapshot.Target.String()
	matches, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		l.unread(what, err, false)
		return false
	}
	return l.pods(ctx, what, list, client.MatchingLabelsSelector{Selector: matches})
}

// endedLast puts the pods that count before those that ended or are being deleted,
// of which it keeps the newest few.
func endedLast(all []corev1.Pod) []corev1.Pod {
	ended := keep(all, func(p *corev1.Pod) bool { return !vitals.Active(p) })
	slices.SortStableFunc(ended, func(a, b corev1.Pod) int { return b.CreationTimestamp.Compare(a.CreationTimestamp.Time) })
	return append(keep(all, vitals.Active), first(ended, maxEnded)...)
}

// boundPods cuts the pods to what fits, and notes how many of those that count were
// left out. Pods that are not ready come first, so that all are ready if all that are
// kept are. Those that the Service which is the target selects come before others, and
// then the pod to which something happened last: it says since when a target is well.
func boundPods(s *analysis.Snapshot) {
	wanted := selectedBy(s)
	slices.SortStableFunc(s.Pods, func(a, b corev1.Pod) int {
		return cmp.Or(
			compareBool(vitals.Active(&a), vitals.Active(&b)),
			compareBool(!vitals.Ready(&a), !vitals.Ready(&b)),
			compareBool(wanted(&a), wanted(&b)),
			cmp.Compare(unreadiness(&b), unreadiness(&a)),
			vitals.ReadySince(&b).Compare(vitals.ReadySince(&a)),
		)
	})
	active := keep(s.Pods, vitals.Active)
	if len(active) > maxPods {
		witnesses := witnessesOf(active)
		rest := active[maxPods-len(witnesses):]
		slices.SortStableFunc(rest, func(a, b corev1.Pod) int { return compareBool(witnesses[a.Name], witnesses[b.Name]) })
	}
	s.PodsOmitted = max(len(active)-maxPods, 0)
	ended := first(s.Pods[len(active):], maxEnded)
	active = first(active, maxPods)
	s.Pods = append(active, first(ended, maxPods-len(active))...)
}

// witnessesOf names the first ready pods, each of another revision: that a revision
// has ready pods must not be hidden by those of another that are not.
func witnessesOf(sorted []corev1.Pod) map[string]bool {
	names, seen := map[string]bool{}, map[string]bool{}
	for i := range sorted {
		p := &sorted[i]
		revision := cmp.Or(p.Labels[appsv1.DefaultDeploymentUniqueLabelKey], p.Labels[appsv1.ControllerRevisionHashLabelKey])
		if vitals.Ready(p) && !seen[revision] && len(names) < maxWitnesses {
			names[p.Name], seen[revision] = true, true
		}
	}
	return names
}

// selectedBy returns whether the Service that is the target selects a pod.
func selectedBy(s *analysis.Snapshot) func(*corev1.Pod) bool {
	for i := range s.Services {
		if svc := &s.Services[i]; s.Target.Kind == "Service" && svc.Name == s.Target.Name && len(svc.Spec.Selector) > 0 {
			return func(p *corev1.Pod) bool { return selects(svc.Spec.Selector, p.Labels) }
		}
	}
	return func(*corev1.Pod) bool { return false }
}

// compareBool puts what is so first.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// unreadiness weighs what an unready pod has to tell; ready ones tell it by when it
// happened.
func unreadiness(p *corev1.Pod) int {
	if vitals.Ready(p) {
		return 0
	}
	return trouble(p)
}

// trouble weighs how much a pod has to tell.
func trouble(p *corev1.Pod) int {
	weight := 0
	if p.Status.Phase != corev1.PodRunning {
		weight++
	}
	for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		if c.RestartCount > 0 {
			weight += 2
		}
		if !c.Ready {
			weight += 2
		}
	}
	return weight
}
