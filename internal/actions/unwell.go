package actions

import (
	"context"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/vitals"
	"github.com/kubernaut/kubernaut/pkg/action"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// liveWorkload is a workload that is about to be changed, with its pods as they are now.
type liveWorkload struct {
	world  action.World
	target action.Target
	object client.Object
	// revisions tell the pods of a Deployment from those of another that its selector
	// matches. They are read with the pods unless they are given.
	revisions []action.Revision
	// pods that have not ended, those that are being deleted included; see readPods.
	pods     []corev1.Pod
	podsRead bool
	// ranges and quotas of the namespace; see readBounds.
	ranges []corev1.LimitRange
	quotas []corev1.ResourceQuota
}

// canChangeTo refuses a change of the pods' template that there is no room for, or that
// cures nothing.
func (l *liveWorkload) canChangeTo(ctx context.Context, after corev1.PodSpec) error {
	if err := l.readBounds(ctx); err != nil {
		return err
	}
	if err := l.hasRoom(ctx, demandOf(l.object, after, l.pods)); err != nil {
		return err
	}
	return l.unwell(ctx)
}

// canReturnTo refuses in addition trouble that did not follow the release, and a
// revision that needs what is not there, and names what could not be checked of it.
// Where all pods of the revision are ready already, no room is needed.
func (l *liveWorkload) canReturnTo(ctx context.Context, to action.Revision) ([]string, error) {
	if !l.world.ByHand {
		if err := followsRelease(l.target, l.object, l.revisions, to); err != nil {
			return nil, err
		}
	}
	unchecked, err := l.haveReferences(ctx, to)
	if err != nil {
		return nil, err
	}
	if to.ReadyPods < demandOf(l.object, to.Template.Spec, nil).pods {
		if err := l.readBounds(ctx); err != nil {
			return nil, err
		}
		d := demandOf(l.object, to.Template.Spec, l.pods)
		d.begun = to.ReadyPods > 0
		if err := l.hasRoom(ctx, d); err != nil {
			return nil, err
		}
	}
	return unchecked, l.unwell(ctx)
}

// unwell refuses to cure a workload that is well. What diagnosed it may be wrong, or
// out of date, so the action judges by itself, from the live objects. A workload that
// has been well for less than its settling time is waited for. A user who asks for the
// change by hand knows what it is for.
func (l *liveWorkload) unwell(ctx context.Context) error {
	if l.world.ByHand {
		return nil
	}
	if complete, lag := statusOf(l.object); !complete && !lag {
		return nil // no pod has to be looked at: in a storm each list counts
	}
	if err := l.readPods(ctx); err != nil {
		return err
	}
	return judgeWell(l.target, l.object, l.pods, l.world.Time())
}

// judgeWell is the pure half of unwell. It gets the pods of the workload that have not ended.
func judgeWell(target action.Target, obj client.Object, pods []corev1.Pod, now time.Time) error {
	complete, lag := statusOf(obj)
	snapshot := &analysis.Snapshot{TakenAt: now, Target: target, Pods: pods}
	settling := max(vitals.Settling(pods), withoutAvailability(snapshot, obj))
	found := vitals.Judge(snapshot)
	seen, wanted := countActive(pods), demandOf(obj, corev1.PodSpec{}, nil).pods
	switch {
	case lag:
		return action.NotYet(time.Second, "the controller of %s has not acted on its last change yet", target)
	case slices.ContainsFunc(pods, backsOff):
		return nil
	case found.Health == v1alpha1.HealthUnknown:
		return action.NotApplicable("nothing shows that %s needs a cure: %s", target, found.Why)
	case complete && seen < wanted && (seen == 0 || found.Health == v1alpha1.HealthHealthy):
		return action.NotYet(time.Second, "the status of %s says that all of its %d pods are ready, and %d were found", target, wanted, seen)
	case found.Health == v1alpha1.HealthUnhealthy:
		return nil
	}
	return settled(target, found.Since, settling, now)
}

func countActive(pods []corev1.Pod) int32 {
	var n int32
	for i := range pods {
		if vitals.Active(&pods[i]) {
			n++
		}
	}
	return n
}

// backsOff reports whether a kubelet waits before it starts a container of a pod again:
// the pod's own condition may lag behind.
func backsOff(p corev1.Pod) bool {
	return slices.ContainsFunc(slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses), func(c corev1.ContainerStatus) bool {
		return c.State.Waiting != nil && strings.HasSuffix(c.State.Waiting.Reason, "BackOff")
	})
}

// settled says what follows from being well since a moment.
func settled(target action.Target, since time.Time, settling time.Duration, now time.Time) error {
	if since.IsZero() {
		return action.NotApplicable("%s is well: there is nothing to cure", target)
	}
	well := now.Sub(since)
	if well < settling {
		until := since.Add(settling)
		// Points in time and no durations: a message that changes with each look is a write with each look.
		return action.NotYet(until.Sub(now), "%s has been ready since %s; if it is still ready at %s, there is nothing to cure",
			target, since.UTC().Format(time.RFC3339), until.UTC().Format(time.RFC3339))
	}
	return action.NotApplicable("%s has been well for %s: there is nothing to cure", target, well.Round(time.Second))
}

// withoutAvailability puts the workload into a snapshot, and takes ready pods for
// available ones: that they have to be ready for minReadySeconds before they count
// as available is part of the settling time, which it returns.
func withoutAvailability(s *analysis.Snapshot, obj client.Object) time.Duration {
	var seconds int32
	switch w := obj.DeepCopyObject().(type) {
	case *appsv1.Deployment:
		seconds, w.Status.AvailableReplicas = w.Spec.MinReadySeconds, w.Status.ReadyReplicas
		s.Deployments = []appsv1.Deployment{*w}
	case *appsv1.StatefulSet:
		seconds, w.Status.AvailableReplicas = w.Spec.MinReadySeconds, w.Status.ReadyReplicas
		s.StatefulSets = []appsv1.StatefulSet{*w}
	case *appsv1.DaemonSet:
		seconds, w.Status.NumberAvailable = w.Spec.MinReadySeconds, w.Status.NumberReady
		s.DaemonSets = []appsv1.DaemonSet{*w}
	case *appsv1.ReplicaSet:
		seconds, w.Status.AvailableReplicas = w.Spec.MinReadySeconds, w.Status.ReadyReplicas
		s.ReplicaSets = []appsv1.ReplicaSet{*w}
	}
	return time.Duration(seconds) * time.Second
}

// statusOf reports whether a workload's status counts as many ready pods as are wanted,
// for a Deployment all of its current revision, and whether that status is about an
// earlier generation.
func statusOf(obj client.Object) (complete, lag bool) {
	switch w := obj.(type) {
	case *appsv1.Deployment:
		wanted := replicas(w.Spec.Replicas)
		rolledOut := w.Status.UpdatedReplicas >= wanted && w.Status.Replicas <= w.Status.UpdatedReplicas
		return rolledOut && w.Status.ReadyReplicas >= wanted, w.Status.ObservedGeneration < w.Generation
	case *appsv1.StatefulSet:
		return w.Status.ReadyReplicas >= replicas(w.Spec.Replicas), w.Status.ObservedGeneration < w.Generation
	case *appsv1.DaemonSet:
		return w.Status.NumberReady >= w.Status.DesiredNumberScheduled, w.Status.ObservedGeneration < w.Generation
	case *appsv1.ReplicaSet:
		return w.Status.ReadyReplicas >= replicas(w.Spec.Replicas), w.Status.ObservedGeneration < w.Generation
	}
	return false, false
}

// unwellPod refuses to restart a pod that is well.
func unwellPod(world action.World, target action.Target, pod *corev1.Pod) error {
	if world.ByHand {
		return nil
	}
	now, pods := world.Time(), []corev1.Pod{*pod}
	found := vitals.Judge(&analysis.Snapshot{TakenAt: now, Target: target, Pods: pods})
	if found.Health != v1alpha1.HealthHealthy || backsOff(*pod) {
		return nil
	}
	return settled(target, found.Since, vitals.Settling(pods), now)
}

// readBounds reads what bounds the namespace of the workload, and its pods, side by
// side: each list waits until the API server's cache has caught up.
func (l *liveWorkload) readBounds(ctx context.Context) error {
	ns := l.target.Namespace
	ranges, quotas := &corev1.LimitRangeList{}, &corev1.ResourceQuotaList{}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return l.readPods(ctx) })
	group.Go(func() error {
		err := l.world.Objects.List(ctx, ranges, client.InNamespace(ns))
		return unreadable(err, "list limitranges in namespace "+ns, "reading the LimitRanges of namespace "+ns)
	})
	group.Go(func() error {
		err := l.world.Objects.List(ctx, quotas, client.InNamespace(ns))
		return unreadable(err, "list resourcequotas in namespace "+ns, "reading the ResourceQuotas of namespace "+ns)
	})
	err := group.Wait()
	l.ranges, l.quotas = ranges.Items, quotas.Items
	return err
}

// readPods reads the pods of the workload that have not ended, once.
func (l *liveWorkload) readPods(ctx context.Context) error {
	if l.podsRead {
		return nil
	}
	if _, deployment := l.object.(*appsv1.Deployment); deployment && l.revisions == nil {
		var err error
		if l.revisions, err = l.world.History.Revisions(ctx, l.object); err != nil {
			return err
		}
	}
	pods, err := selectedPods(ctx, l.world.Objects, l.target.Namespace, podSelector(l.object))
	if err != nil {
		return unreadable(err, "list pods in namespace "+l.target.Namespace, "reading the pods of "+l.target.String())
	}
	l.podsRead = true
	l.pods = slices.DeleteFunc(pods, func(p corev1.Pod) bool { return !active(&p) || !l.owns(&p) })
	return nil
}

func podSelector(obj client.Object) *metav1.LabelSelector {
	switch w := obj.(type) {
	case *appsv1.Deployment:
		return w.Spec.Selector
	case *appsv1.StatefulSet:
		return w.Spec.Selector
	case *appsv1.DaemonSet:
		return w.Spec.Selector
	case *appsv1.ReplicaSet:
		return w.Spec.Selector
	}
	return nil // selects nothing
}

// owns reports whether the controller of a pod is the workload, or a ReplicaSet of it.
func (l *liveWorkload) owns(p *corev1.Pod) bool {
	owner := metav1.GetControllerOf(p)
	if owner == nil {
		return false
	}
	if _, deployment := l.object.(*appsv1.Deployment); !deployment {
		return owner.UID == l.object.GetUID()
	}
	return owner.Kind == replicaSets.Kind && slices.ContainsFunc(l.revisions, func(r action.Revision) bool { return r.Name == owner.Name })
}
