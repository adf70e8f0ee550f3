package evidence

import (
	"cmp"
	"context"
	"fmt"
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
// stay until a user or the garbage collector deletes them, hundreds at times: a list of which they make more
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
// left out. Those that are not ready come first, then those that the Service which is
// the target selects, and then the one to which something happened last: it says since
// when a target is well. Those of each revision, ready or not, are kept in turn, so that
// neither old pods that fail nor a revision that serves are hidden by the other pods.
func boundPods(s *analysis.Snapshot) {
	wanted := selectedBy(s)
	active := keep(s.Pods, vitals.Active)
	slices.SortStableFunc(active, func(a, b corev1.Pod) int {
		return cmp.Or(
			compareBool(!vitals.Ready(&a), !vitals.Ready(&b)),
			compareBool(wanted(&a), wanted(&b)),
			cmp.Compare(unreadiness(&b), unreadiness(&a)),
			vitals.ReadySince(&b).Compare(vitals.ReadySince(&a)),
		)
	})
	kept := inTurn(active, maxPods, func(p *corev1.Pod) string {
		return fmt.Sprint(cmp.Or(p.Labels[appsv1.DefaultDeploymentUniqueLabelKey], p.Labels[appsv1.ControllerRevisionHashLabelKey]), vitals.Ready(p))
	})
	s.PodsOmitted = len(active) - len(kept)
	ended := endedLast(s.Pods)[len(active):]
	s.Pods = append(kept, first(ended, maxPods-len(kept))...)
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
