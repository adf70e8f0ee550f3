package actions

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/pkg/action"
)

// The Deployment controller's annotations on its ReplicaSets. A template that is
// rolled back to keeps its ReplicaSet under a new number; the old ones go into
// the second annotation.
const (
	revisionAnnotation = "deployment.kubernetes.io/revision"
	reusedAnnotation   = "deployment.kubernetes.io/revision-history"
)

type history struct{ reader client.Reader }

// NewHistory returns the history that the cluster itself keeps: ReplicaSets and
// ControllerRevisions. The reader should be live.
func NewHistory(reader client.Reader) action.History { return history{reader} }

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
	if err := h.lists(ctx, d.Namespace, d.Spec.Selector, sets); err != nil {
		return nil, err
	}
	sets.Items = slices.DeleteFunc(sets.Items, func(rs appsv1.ReplicaSet) bool { return !metav1.IsControlledBy(&rs, d) })
	revisions, newest := deploymentRevisions(d, sets.Items)
	before := predecessor(revisions)
	if before == nil || before.ReadyPods > 0 {
		return revisions, nil // that it serves says more than that it did
	}
	pods := &corev1.PodList{}
	if err := h.lists(ctx, d.Namespace, d.Spec.Selector, pods); err != nil {
		return nil, err
	}
	before.WasAvailable = servedUntil(d, before.CreatedAt, newest, restarted(newest, pods.Items))
	return revisions, nil
}

// mostListed bounds what is read of a kind. What is beyond is not seen, and a
// revision that is not seen to have been healthy is none to return to.
const mostListed = 500

// lists reads what a workload's selector selects, the kinds side by side: each
// list waits until the API server's cache has caught up.
func (h history) lists(ctx context.Context, namespace string, selector *metav1.LabelSelector, kinds ...client.ObjectList) error {
	matching, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, list := range kinds {
		group.Go(func() error {
			return h.reader.List(ctx, list, client.InNamespace(namespace), client.MatchingLabelsSelector{Selector: matching}, client.Limit(mostListed))
		})
	}
	return group.Wait()
}

// deploymentRevisions reads the revisions off the ReplicaSets, and returns the
// current one's. It is pure.
func deploymentRevisions(d *appsv1.Deployment, sets []appsv1.ReplicaSet) ([]action.Revision, *appsv1.ReplicaSet) {
	revisions := make([]action.Revision, 0, len(sets))
	var newest *appsv1.ReplicaSet
	for i := range sets {
		rs := &sets[i]
		number, err := strconv.ParseInt(rs.Annotations[revisionAnnotation], 10, 64)
		if err != nil {
			continue // the controller has not numbered it yet
		}
		revision := action.Revision{
			Number: number, Name: rs.Name, Template: withoutHash(rs.Spec.Template), CreatedAt: rs.CreationTimestamp.Time,
			ReadyPods: rs.Status.ReadyReplicas,
		}
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

// restarted reports whether a container of the ReplicaSet's pods was started
// more than once.
func restarted(rs *appsv1.ReplicaSet, pods []corev1.Pod) bool {
	return slices.ContainsFunc(pods, func(pod corev1.Pod) bool {
		return metav1.IsControlledBy(&pod, rs) &&
			slices.ContainsFunc(pod.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool { return c.RestartCount > 0 })
	})
}

// ofSet returns the revisions of a StatefulSet or DaemonSet. What its pods were
// like before is not recorded, so only ready pods speak for a revision.
func (h history) ofSet(ctx context.Context, set client.Object, selector *metav1.LabelSelector) ([]action.Revision, error) {
	kept, pods := &appsv1.ControllerRevisionList{}, &corev1.PodList{}
	if err := h.lists(ctx, set.GetNamespace(), selector, kept, pods); err != nil {
		return nil, err
	}
	var revisions []action.Revision
	var newest *action.Revision
	for _, cr := range kept.Items {
		if !metav1.IsControlledBy(&cr, set) {
			continue
		}
		template, err := keptTemplate(cr)
		if err != nil {
			return nil, err
		}
		revisions = append(revisions, action.Revision{
			Number: cr.Revision, Name: cr.Name, Template: template, CreatedAt: cr.CreationTimestamp.Time, ReadyPods: readyOf(set, cr, pods.Items),
		})
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

// readyOf counts the ready pods of a revision. A StatefulSet labels its pods
// with the revision's name, a DaemonSet with its hash.
func readyOf(set client.Object, cr appsv1.ControllerRevision, pods []corev1.Pod) int32 {
	var ready int32
	for i := range pods {
		hash := pods[i].Labels[appsv1.ControllerRevisionHashLabelKey]
		same := hash != "" && (hash == cr.Name || hash == cr.Labels[appsv1.ControllerRevisionHashLabelKey])
		if same && metav1.IsControlledBy(&pods[i], set) && isReady(&pods[i]) {
			ready++
		}
	}
	return ready
}

func isReady(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}
