package rules

import (
	"cmp"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/vitals"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// scene is a snapshot, read: who owns which pod, and which of them fail.
type scene struct {
	*analysis.Snapshot
	alert     v1alpha1.Alert
	service   *corev1.Service // the target, if it is one
	workloads []*workload     // that the alert can be about; neighbours are none of them
}

// workload owns pods.
type workload struct {
	ref        v1alpha1.TargetReference
	template   *corev1.PodTemplateSpec
	object     metav1.Object      // itself
	deployment *appsv1.Deployment // nil for other kinds
	revisions  []revision         // newest first
	selector   map[string]string  // labels by which it knows its pods
	counts     counts
	pods       []*corev1.Pod // that count
	failures   []failure
	pulls      []pull                // that do not succeed by themselves; only of what the alert can be about
	revisionOf map[*corev1.Pod]int64 // 0: not known
}

// counts are what a workload says of its pods.
type counts struct {
	seen                          bool // its controller has acted on its last change
	wanted, updated, ready, total int32
}

// revision of a workload.
type revision struct {
	number   int64
	keeper   v1alpha1.ObjectReference // the object that keeps its template
	template *corev1.PodTemplateSpec
	set      *appsv1.ReplicaSet // that keeps it, of a Deployment; nil for other kinds
	came     vitals.Span        // when it was rolled out, the last time
	ready    int32              // pods of it
	current  bool               // it is the one that is asked for
}

func newScene(a v1alpha1.Alert, s *analysis.Snapshot) *scene {
	sc := &scene{Snapshot: s, alert: a}
	if s.Target.Kind == "Service" {
		sc.service = named(s.Services, s.Target.Name)
	}
	for _, w := range sc.all() {
		if sc.concerns(w) {
			w.pulls = sc.pullsOf(w)
			sc.workloads = append(sc.workloads, w)
		}
	}
	return sc
}

// concerns reports whether the alert can be about a workload: it is the target,
// or behind the Service that is.
func (sc *scene) concerns(w *workload) bool {
	if sc.service == nil {
		return w.ref.Kind == sc.Target.Kind && w.ref.Name == sc.Target.Name
	}
	selector := labels.SelectorFromSet(sc.service.Spec.Selector)
	if selector.Empty() {
		return false
	}
	return selector.Matches(labels.Set(w.template.Labels)) ||
		slices.ContainsFunc(w.pods, func(p *corev1.Pod) bool { return selector.Matches(labels.Set(p.Labels)) })
}

// all returns every workload of the snapshot.
func (sc *scene) all() []*workload {
	var all []*workload
	for i := range sc.Deployments {
		all = append(all, sc.ofDeployment(&sc.Deployments[i]))
	}
	for i := range sc.StatefulSets {
		all = append(all, sc.ofStatefulSet(&sc.StatefulSets[i]))
	}
	for i := range sc.DaemonSets {
		all = append(all, sc.ofDaemonSet(&sc.DaemonSets[i]))
	}
	if sc.Target.Kind == "ReplicaSet" {
		for i := range sc.ReplicaSets {
			all = append(all, sc.owning(&sc.ReplicaSets[i], "ReplicaSet", &sc.ReplicaSets[i].Spec.Template))
		}
	}
	if sc.Target.Kind == "Pod" {
		for i := range sc.Pods {
			all = append(all, sc.barePod(&sc.Pods[i]))
		}
	}
	return all
}

func (sc *scene) ofDeployment(d *appsv1.Deployment) *workload {
	w := &workload{ref: sc.ref(d, "apps/v1", "Deployment"), template: &d.Spec.Template, object: d, deployment: d, selector: matchLabels(d.Spec.Selector)}
	w.counts = counts{
		seen: d.Status.ObservedGeneration >= d.Generation, wanted: wanted(d),
		updated: d.Status.UpdatedReplicas, ready: d.Status.ReadyReplicas, total: d.Status.Replicas,
	}
	rollouts := vitals.Rollouts{Deployment: d, Pods: sc.Pods, ScaledUp: sc.ScaledUp, Now: sc.TakenAt}
	if change := sc.changed(w.ref.ObjectReference); change != nil {
		rollouts.Changed = change.At
	}
	for i := range sc.ReplicaSets {
		if metav1.IsControlledBy(&sc.ReplicaSets[i], d) {
			rollouts.Sets = append(rollouts.Sets, sc.ReplicaSets[i])
		}
	}
	owners := map[types.UID]int64{}
	for i := range rollouts.Sets {
		set := &rollouts.Sets[i]
		number := vitals.RevisionNumber(set)
		if number == 0 {
			continue // the controller has not numbered it yet
		}
		w.revisions = append(w.revisions, revision{
			number: number, keeper: sc.ref(set, "apps/v1", "ReplicaSet").ObjectReference, template: &set.Spec.Template,
			set: set, came: rollouts.When(set), ready: set.Status.ReadyReplicas,
			current: set.Annotations[vitals.RevisionAnnotation] == d.Annotations[vitals.RevisionAnnotation],
		})
		owners[set.UID] = number
	}
	slices.SortFunc(w.revisions, func(a, b revision) int { return cmp.Compare(b.number, a.number) })
	sc.take(w, owners, nil)
	return w
}

func (sc *scene) ofStatefulSet(set *appsv1.StatefulSet) *workload {
	w := sc.owning(set, "StatefulSet", &set.Spec.Template)
	w.selector = matchLabels(set.Spec.Selector)
	w.counts = counts{
		seen: set.Status.ObservedGeneration >= set.Generation, wanted: ptr.Deref(set.Spec.Replicas, 1),
		updated: set.Status.UpdatedReplicas, ready: set.Status.ReadyReplicas, total: set.Status.Replicas,
	}
	return w
}

func (sc *scene) ofDaemonSet(set *appsv1.DaemonSet) *workload {
	w := sc.owning(set, "DaemonSet", &set.Spec.Template)
	w.selector = matchLabels(set.Spec.Selector)
	w.counts = counts{
		seen: set.Status.ObservedGeneration >= set.Generation, wanted: set.Status.DesiredNumberScheduled,
		updated: set.Status.UpdatedNumberScheduled, ready: set.Status.NumberReady, total: set.Status.CurrentNumberScheduled,
	}
	return w
}

func matchLabels(selector *metav1.LabelSelector) map[string]string {
	if selector == nil {
		return nil
	}
	return selector.MatchLabels
}

func (sc *scene) owning(obj metav1.Object, kind string, template *corev1.PodTemplateSpec) *workload {
	w := &workload{ref: sc.ref(obj, "apps/v1", kind), template: template, object: obj}
	for i := range sc.Revisions {
		kept := &sc.Revisions[i]
		if kept.Owner != obj.GetUID() {
			continue
		}
		keeper := v1alpha1.ObjectReference{APIVersion: "apps/v1", Kind: "ControllerRevision", Namespace: obj.GetNamespace(), Name: kept.Name}
		w.revisions = append(w.revisions, revision{number: kept.Number, keeper: keeper, template: &kept.Template, came: vitals.Moment(kept.CreatedAt)})
	}
	slices.SortFunc(w.revisions, func(a, b revision) int { return cmp.Compare(b.number, a.number) })
	if len(w.revisions) > 0 {
		w.revisions[0].current = true
	}
	sc.take(w, map[types.UID]int64{obj.GetUID(): 0}, w.labelled)
	created := map[int64]time.Time{}
	for _, r := range w.revisions {
		created[r.number] = r.came.Earliest
	}
	for i := range w.revisions {
		sc.returnedTo(w, &w.revisions[i], created)
	}
	return w
}

// returnedTo corrects when a revision of a StatefulSet or DaemonSet was rolled out. One that
// is returned to keeps its object and gets a new number: then it came after those that have
// lower numbers were created, and before its oldest pod.
func (sc *scene) returnedTo(w *workload, r *revision, created map[int64]time.Time) {
	for number, at := range created {
		if number < r.number && at.After(r.came.Earliest) {
			pods := slices.DeleteFunc(slices.Clone(w.pods), func(p *corev1.Pod) bool { return w.revisionOf[p] != r.number })
			r.came = vitals.Span{Earliest: at, Latest: vitals.OldestOf(pods, sc.TakenAt)}
		}
	}
	if r.came.Latest.Before(r.came.Earliest) {
		r.came.Latest = r.came.Earliest // a pod of an earlier time at which it was rolled out
	}
}

// labelled returns the revision that a pod of a StatefulSet or DaemonSet says it
// is of, and counts it there if it is ready.
func (w *workload) labelled(p *corev1.Pod) int64 {
	hash := p.Labels[appsv1.ControllerRevisionHashLabelKey]
	for i := range w.revisions {
		r := &w.revisions[i]
		if hash == "" || hash != r.keeper.Name && !strings.HasSuffix(r.keeper.Name, "-"+hash) {
			continue
		}
		if vitals.Ready(p) {
			r.ready++
		}
		return r.number
	}
	return 0
}

func (sc *scene) barePod(p *corev1.Pod) *workload {
	w := &workload{ref: sc.ref(p, "v1", "Pod"), template: &corev1.PodTemplateSpec{ObjectMeta: p.ObjectMeta, Spec: p.Spec}}
	if vitals.Active(p) {
		w.pods = []*corev1.Pod{p}
		w.failures = failuresOf(p, 0, sc.TakenAt)
	}
	return w
}

// take gives a workload the pods that one of the owners controls; the numbers
// are the owners' revisions, where the pods don't say their own.
func (sc *scene) take(w *workload, owners map[types.UID]int64, says func(*corev1.Pod) int64) {
	w.revisionOf = map[*corev1.Pod]int64{}
	for i := range sc.Pods {
		p := &sc.Pods[i]
		owner := metav1.GetControllerOf(p)
		if owner == nil || !vitals.Active(p) {
			continue
		}
		if number, ours := owners[owner.UID]; ours {
			if says != nil {
				number = says(p)
			}
			w.pods = append(w.pods, p)
			w.revisionOf[p] = number
			w.failures = append(w.failures, failuresOf(p, number, sc.TakenAt)...)
		}
	}
}

func (sc *scene) ref(obj metav1.Object, apiVersion, kind string) v1alpha1.TargetReference {
	return v1alpha1.TargetReference{
		ObjectReference: v1alpha1.ObjectReference{APIVersion: apiVersion, Kind: kind, Namespace: obj.GetNamespace(), Name: obj.GetName()},
		UID:             obj.GetUID(), Generation: obj.GetGeneration(),
	}
}

// current returns the revision that the workload asks for.
func (w *workload) current() (revision, bool) {
	for _, r := range w.revisions {
		if r.current {
			return r, true
		}
	}
	return revision{}, false
}

// before returns the revisions older than a number, newest first.
func (w *workload) before(number int64) []revision {
	return slices.DeleteFunc(slices.Clone(w.revisions), func(r revision) bool { return r.number >= number })
}

// essential returns what could not be read and may be the cause of everything.
func (sc *scene) essential() []analysis.Missing {
	return slices.DeleteFunc(slices.Clone(sc.Missing), func(m analysis.Missing) bool { return m.Detail })
}

// blind reports whether something essential could not be read.
func (sc *scene) blind() bool { return len(sc.essential()) > 0 }

// details reports how many logs and events could not be read.
func (sc *scene) details() int { return len(sc.Missing) - len(sc.essential()) }

// changed returns the last change of a workload's template, if it is known.
func (sc *scene) changed(ref v1alpha1.ObjectReference) *analysis.Change {
	for i := range sc.Changes {
		if sc.Changes[i].Object == ref {
			return &sc.Changes[i]
		}
	}
	return nil
}

func named(services []corev1.Service, name string) *corev1.Service {
	for i := range services {
		if services[i].Name == name {
			return &services[i]
		}
	}
	return nil
}
