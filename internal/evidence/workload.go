package evidence

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/atonce"
	"github.com/kubernaut/kubernaut/internal/vitals"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// deployment gathers a Deployment, its ReplicaSets, their pods and what was said
// about them.
func (l *look) deployment(ctx context.Context) {
	var d appsv1.Deployment
	if !l.target(ctx, &d) || !l.room(ctx, d.Status.Replicas) {
		return
	}
	l.changed(&d, "spec", "template")
	var replicaSets appsv1.ReplicaSetList
	var pods corev1.PodList
	var events []corev1.Event
	atonce.Do(
		func() { l.selected(ctx, "ReplicaSets of "+l.snapshot.Target.String(), &replicaSets, d.Spec.Selector) },
		func() { l.selectedPods(ctx, &pods, d.Spec.Selector) },
		func() { events = l.warnings(ctx) },
	)
	s := l.snapshot
	s.Deployments = []appsv1.Deployment{d}
	s.ReplicaSets = ownedBy(replicaSets.Items, map[types.UID]bool{d.UID: true})
	s.Pods = ownedBy(pods.Items, uids(s.ReplicaSets))
	l.told(events)
}

// scaledUp reads when the ReplicaSets of a Deployment in trouble were last scaled up from
// nothing, where one of them is used again: its creation does not say when it was rolled out.
func (l *look) scaledUp(ctx context.Context) {
	s := l.snapshot
	reused := slices.ContainsFunc(s.ReplicaSets, func(set appsv1.ReplicaSet) bool { return set.Annotations[reusedAnnotation] != "" })
	if len(s.Deployments) != 1 || !reused || !l.isTroubled() {
		return
	}
	var list corev1.EventList
	err := l.reader.List(ctx, &list, client.InNamespace(s.Target.Namespace), client.Limit(pageSize), client.MatchingFieldsSelector{Selector: fields.AndSelectors(
		fields.OneTermEqualSelector("involvedObject.uid", string(s.Deployments[0].UID)), fields.OneTermEqualSelector("reason", vitals.ScalingReason))})
	if err != nil {
		l.unread("when the revisions of "+s.Target.String()+" were rolled out", err, true)
		return
	}
	s.ScaledUp = vitals.ScaledUp(list.Items)
}

func (l *look) statefulSet(ctx context.Context) {
	var set appsv1.StatefulSet
	if !l.target(ctx, &set) || !l.room(ctx, set.Status.Replicas) {
		return
	}
	l.snapshot.StatefulSets = []appsv1.StatefulSet{set}
	l.changed(&set, "spec", "template")
	l.podsOf(ctx, set.UID, set.Spec.Selector)
}

func (l *look) daemonSet(ctx context.Context) {
	var set appsv1.DaemonSet
	if !l.target(ctx, &set) || !l.room(ctx, set.Status.CurrentNumberScheduled) {
		return
	}
	l.snapshot.DaemonSets = []appsv1.DaemonSet{set}
	l.changed(&set, "spec", "template")
	l.podsOf(ctx, set.UID, set.Spec.Selector)
}

func (l *look) replicaSet(ctx context.Context) {
	var set appsv1.ReplicaSet
	if !l.target(ctx, &set) || !l.room(ctx, set.Status.Replicas) {
		return
	}
	l.snapshot.ReplicaSets = []appsv1.ReplicaSet{set}
	l.changed(&set, "spec", "template")
	l.podsOf(ctx, set.UID, set.Spec.Selector)
}

// podsOf gathers the pods that a workload owns directly.
func (l *look) podsOf(ctx context.Context, owner types.UID, selector *metav1.LabelSelector) {
	var pods corev1.PodList
	var kept appsv1.ControllerRevisionList
	var events []corev1.Event
	atonce.Do(
		func() { l.selectedPods(ctx, &pods, selector) },
		func() { l.selected(ctx, "revisions of "+l.snapshot.Target.String(), &kept, selector) },
		func() { events = l.warnings(ctx) },
	)
	l.snapshot.Revisions = revisions(ownedBy(kept.Items, map[types.UID]bool{owner: true}))
	l.snapshot.Pods = ownedBy(pods.Items, map[types.UID]bool{owner: true})
	l.told(events)
}

// revisions decodes what ControllerRevisions keep. One that can't be decoded is
// none that could be returned to.
func revisions(kept []appsv1.ControllerRevision) []analysis.Revision {
	var all []analysis.Revision
	for i := range kept {
		var data struct {
			Spec struct {
				Template corev1.PodTemplateSpec `json:"template"`
			} `json:"spec"`
		}
		owner := metav1.GetControllerOf(&kept[i])
		if owner == nil || json.Unmarshal(kept[i].Data.Raw, &data) != nil {
			continue
		}
		all = append(all, analysis.Revision{
			Owner: owner.UID, Name: kept[i].Name, Number: kept[i].Revision,
			CreatedAt: kept[i].CreationTimestamp.Time, Template: data.Spec.Template,
		})
	}
	slices.SortFunc(all, func(a, b analysis.Revision) int { return cmp.Compare(b.Number, a.Number) })
	return all
}

func (l *look) pod(ctx context.Context) {
	var pod corev1.Pod
	var events []corev1.Event
	if !l.room(ctx, 1) {
		return
	}
	atonce.Do(
		func() {
			if l.target(ctx, &pod) {
				l.snapshot.Pods = []corev1.Pod{pod}
			}
		},
		func() { events = l.warnings(ctx) },
	)
	l.told(events)
}
