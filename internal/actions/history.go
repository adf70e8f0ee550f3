package actions

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/vitals"
	"github.com/kubernaut/kubernaut/pkg/action"
)

type history struct {
	reader client.Reader
	clock  clock.PassiveClock
}

// NewHistory returns the history that the cluster itself keeps: ReplicaSets and
// ControllerRevisions. The reader should be live.
func NewHistory(reader client.Reader) action.History { return history{reader, clock.RealClock{}} }

// Revisions returns the revisions of a workload, newest first.
func (h history) Revisions(ctx context.Context, workload client.Object) ([]action.Revision, error) {
	revisions, err := h.revisions(ctx, workload)
	if err != nil {
		return nil, fmt.Errorf("reading the history of %s: %w", client.ObjectKeyFromObject(workload), err)
	}
	slices.SortFunc(revisions, func(a, b action.Revision) int {
		return cmp.Or(cmp.Compare(b.Number, a.Number), cmp.Compare(a.Name, b.Name))
	})
	return revisions, nil
}

func (h history) revisions(ctx context.Context, workload client.Object) ([]action.Revision, error) {
	switch w := workload.(type) {
	case *appsv1.Deployment:
		return h.ofDeployment(ctx, w)
	case *appsv1.StatefulSet:
		return h.ofSet(ctx, w, w.Spec.Selector)
	case *appsv1.DaemonSet:
		return h.ofSet(ctx, w, w.Spec.Selector)
	}
	return nil, fmt.Errorf("a %T has none", workload)
}

func (h history) ofDeployment(ctx context.Context, d *appsv1.Deployment) ([]action.Revision, error) {
	sets := &appsv1.ReplicaSetList{}
	pods, err := h.revisionsAndPods(ctx, d.Namespace, d.Spec.Selector, sets)
	if err != nil {
		return nil, err
	}
	sets.Items = slices.DeleteFunc(sets.Items, func(rs appsv1.ReplicaSet) bool { return !metav1.IsControlledBy(&rs, d) })
	revisions, newest := deploymentRevisions(d, sets.Items)
	if newest == nil {
		return revisions, nil
	}
	past := vitals.Rollouts{Deployment: d, Sets: sets.Items, Pods: pods, Now: h.clock.Now()}
	if written := vitals.LastWrite(d, "spec", "template"); written != nil {
		past.Changed = written.Time.Time
	}
	if past.ScaledUp, err = h.scaledUp(ctx, d, sets.Items); err != nil {
		return nil, err
	}
	for i := range revisions {
		r := &revisions[i]
		set := find(sets.Items, r.Name)
		ours := controlledBy(set, pods)
		came, began := past.When(set), vitals.Onset(ours, nil, past.Now)
		r.RolledOutAfter, r.RolledOutBefore = came.Earliest, came.Latest
		r.TroubledAfter, r.TroubledBefore, r.RanBefore = began.Earliest, began.Latest, vitals.RanBefore(ours, past.Now)
	}
	before := predecessor(revisions)
	if before == nil || servesBefore(revisions, newest.Name) {
		return revisions, nil // that one serves says more than that one did, and the Deployment is available thanks to it
	}
	before.WasAvailable, err = h.served(ctx, past, find(sets.Items, before.Name), newest)
	return revisions, err
}

func find(sets []appsv1.ReplicaSet, name string) *appsv1.ReplicaSet {
	return &sets[slices.IndexFunc(sets, func(set appsv1.ReplicaSet) bool { return set.Name == name })]
}

// controlledBy returns the pods of an owner that have not ended and are not being deleted.
func controlledBy(owner client.Object, all []corev1.Pod) []*corev1.Pod {
	var pods []*corev1.Pod
	for i := range all {
		if metav1.IsControlledBy(&all[i], owner) && vitals.Active(&all[i]) {
			pods = append(pods, &all[i])
		}
	}
	return pods
}

// scaledUp reads when ReplicaSets were last scaled up from no pod, where one of them is in
// use again: its creation does not say when it was rolled out.
func (h history) scaledUp(ctx context.Context, d *appsv1.Deployment, sets []appsv1.ReplicaSet) (map[string]time.Time, error) {
	if !slices.ContainsFunc(sets, func(set appsv1.ReplicaSet) bool { return set.Annotations[vitals.ReusedAnnotation] != "" }) {
		return nil, nil
	}
	scaled := &corev1.EventList{}
	err := h.reader.List(ctx, scaled, client.InNamespace(d.Namespace), client.Limit(mostListed), client.MatchingFieldsSelector{Selector: fields.AndSelectors(
		fields.OneTermEqualSelector("involvedObject.uid", string(d.UID)), fields.OneTermEqualSelector("reason", vitals.ScalingReason))})
	return vitals.ScaledUp(scaled.Items), err
}

// served reports whether the revision before the current one was healthy until that came.
func (h history) served(ctx context.Context, past vitals.Rollouts, before, newest *appsv1.ReplicaSet) (bool, error) {
	warnings := &corev1.EventList{}
	err := h.reader.List(ctx, warnings, client.InNamespace(before.Namespace), client.Limit(mostListed),
		client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("type", corev1.EventTypeWarning)})
	if err != nil {
		return false, err
	}
	proof := vitals.Handover{
		Deployment: past.Deployment, Before: before, Began: past.When(before), Came: past.When(newest),
		Events: warnings.Items, Unread: warnings.Continue != "", Now: past.Now,
	}.WasHealthy()
	return proof.Says != "", nil
}

// mostListed bounds what is read of a kind. What is beyond is not seen, and a
// revision that is not seen to have been healthy is none to return to.
const mostListed = 500

// notEnded selects the pods that have not ended.
var notEnded = client.MatchingFieldsSelector{Selector: fields.AndSelectors(
	fields.OneTermNotEqualSelector("status.phase", string(corev1.PodSucceeded)),
	fields.OneTermNotEqualSelector("status.phase", string(corev1.PodFailed)),
)}

// revisionsAndPods reads what keeps the revisions of a workload, and its pods, side by
// side: each list waits until the API server's cache has caught up.
func (h history) revisionsAndPods(ctx context.Context, namespace string, selector *metav1.LabelSelector, kept client.ObjectList) ([]corev1.Pod, error) {
	matching, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return nil, err
	}
	var pods []corev1.Pod
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return h.reader.List(ctx, kept, client.InNamespace(namespace), client.MatchingLabelsSelector{Selector: matching}, client.Limit(mostListed))
	})
	group.Go(func() error {
		var err error
		pods, err = selectedPods(ctx, h.reader, namespace, selector)
		return err
	})
	return pods, group.Wait()
}

// selectedPods reads the pods that a selector selects. Of evicted ones there may be
// thousands, which must not hide those that run: where there are many pods, those that
// have ended are left out, and all others are read.
func selectedPods(ctx context.Context, reader client.Reader, namespace string, selector *metav1.LabelSelector) ([]corev1.Pod, error) {
	matching, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return nil, err
	}
	list := &corev1.PodList{}
	selected := []client.ListOption{client.InNamespace(namespace), client.MatchingLabelsSelector{Selector: matching}}
	err = reader.List(ctx, list, append(selected, client.Limit(mostListed))...)
	if err == nil && list.Continue != "" {
		list = &corev1.PodList{}
		err = reader.List(ctx, list, append(selected, notEnded)...)
	}
	return list.Items, err
}

// deploymentRevisions reads the revisions off the ReplicaSets, and returns the
// current one's. It is pure.
func deploymentRevisions(d *appsv1.Deployment, sets []appsv1.ReplicaSet) ([]action.Revision, *appsv1.ReplicaSet) {
	revisions := make([]action.Revision, 0, len(sets))
	var newest *appsv1.ReplicaSet
	for i := range sets {
		rs := &sets[i]
		number := vitals.RevisionNumber(rs)
		if number == 0 {
			continue // the controller has not numbered it yet
		}
		revision := action.Revision{Number: number, Name: rs.Name, Template: withoutHash(rs.Spec.Template), CreatedAt: rs.CreationTimestamp.Time, ReadyPods: rs.Status.ReadyReplicas}
		revision.Current = newest == nil && equality.Semantic.DeepEqual(revision.Template, d.Spec.Template)
		if revision.Current {
			newest = rs
		}
		revisions = append(revisions, revision)
	}
	return revisions, newest
}

// predecessor returns the revision before the current one.
func predecessor(revisions []action.Revision) *action.Revision {
	now := current(revisions)
	if now == nil {
		return nil
	}
	var before *action.Revision
	for i := range revisions {
		r := &revisions[i]
		if r.Number < now.Number && (before == nil || r.Number > before.Number) {
			before = r
		}
	}
	return before
}

// servesBefore reports whether a revision other than the current one has a ready pod.
func servesBefore(revisions []action.Revision, current string) bool {
	return slices.ContainsFunc(revisions, func(r action.Revision) bool { return r.Name != current && r.ReadyPods > 0 })
}

func current(revisions []action.Revision) *action.Revision {
	for i := range revisions {
		if revisions[i].Current {
			return &revisions[i]
		}
	}
	return nil
}

func withoutHash(template corev1.PodTemplateSpec) corev1.PodTemplateSpec {
	template = *template.DeepCopy()
	delete(template.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
	return template
}

// ofSet returns the revisions of a StatefulSet or DaemonSet. What its pods were
// like before is not recorded, so only ready pods speak for a revision.
func (h history) ofSet(ctx context.Context, set client.Object, selector *metav1.LabelSelector) ([]action.Revision, error) {
	kept := &appsv1.ControllerRevisionList{}
	pods, err := h.revisionsAndPods(ctx, set.GetNamespace(), selector, kept)
	if err != nil {
		return nil, err
	}
	var revisions []action.Revision
	var newest *action.Revision
	now, oldest := h.clock.Now(), map[string]time.Time{}
	for _, cr := range kept.Items {
		if !metav1.IsControlledBy(&cr, set) {
			continue
		}
		template, err := keptTemplate(cr)
		if err != nil {
			return nil, err
		}
		ours := labelledAs(set, cr, pods)
		began := vitals.Onset(ours, nil, now)
		oldest[cr.Name] = vitals.OldestOf(ours, now)
		revisions = append(revisions, action.Revision{
			Number: cr.Revision, Name: cr.Name, Template: template, CreatedAt: cr.CreationTimestamp.Time, ReadyPods: ready(ours),
			RolledOutAfter: cr.CreationTimestamp.Time, RolledOutBefore: cr.CreationTimestamp.Time,
			TroubledAfter: began.Earliest, TroubledBefore: began.Latest, RanBefore: vitals.RanBefore(ours, now),
		})
	}
	for i := range revisions {
		returnedTo(revisions, &revisions[i], oldest[revisions[i].Name])
	}
	for i := range revisions {
		if newest == nil || revisions[i].Number > newest.Number {
			newest = &revisions[i]
		}
	}
	if newest != nil {
		newest.Current = true
	}
	return revisions, nil
}

// returnedTo corrects when a revision of a set was rolled out: one that is returned to
// keeps its object and gets a new number, so it came after those with lower ones were
// created, and before its oldest pod.
func returnedTo(all []action.Revision, r *action.Revision, oldest time.Time) {
	for _, other := range all {
		if other.Number < r.Number && other.CreatedAt.After(r.RolledOutAfter) {
			r.RolledOutAfter, r.RolledOutBefore = other.CreatedAt, oldest
		}
	}
	if r.RolledOutBefore.Before(r.RolledOutAfter) {
		r.RolledOutBefore = r.RolledOutAfter // a pod of an earlier time at which it was rolled out
	}
}

// keptTemplate decodes the patch that a ControllerRevision holds.
func keptTemplate(cr appsv1.ControllerRevision) (corev1.PodTemplateSpec, error) {
	var kept struct {
		Spec struct {
			Template corev1.PodTemplateSpec `json:"template"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(cr.Data.Raw, &kept); err != nil {
		return corev1.PodTemplateSpec{}, fmt.Errorf("decoding ControllerRevision/%s: %w", cr.Name, err)
	}
	return kept.Spec.Template, nil
}

// labelledAs returns the pods of a revision. A StatefulSet labels its pods with the
// revision's name, a DaemonSet with its hash.
func labelledAs(set client.Object, cr appsv1.ControllerRevision, pods []corev1.Pod) []*corev1.Pod {
	return slices.DeleteFunc(controlledBy(set, pods), func(p *corev1.Pod) bool {
		hash := p.Labels[appsv1.ControllerRevisionHashLabelKey]
		return hash == "" || hash != cr.Name && hash != cr.Labels[appsv1.ControllerRevisionHashLabelKey]
	})
}

func ready(pods []*corev1.Pod) int32 {
	var n int32
	for _, p := range pods {
		if isReady(p) {
			n++
		}
	}
	return n
}

func isReady(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}
