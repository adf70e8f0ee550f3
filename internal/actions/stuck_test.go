package actions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// podReader is a reader that lists these pods, whatever the options.
type podReader struct {
	client.Reader
	pods []corev1.Pod
}

func (r podReader) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	list.(*corev1.PodList).Items = r.pods
	return nil
}

func orderedSet(count int32, edits ...func(*appsv1.StatefulSet)) *appsv1.StatefulSet {
	set := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "ledger", UID: "set"},
		Spec:       appsv1.StatefulSetSpec{Replicas: &count, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "ledger"}}},
	}
	for _, edit := range edits {
		edit(set)
	}
	return set
}

// member is the pod of an ordered set with this ordinal, of a revision.
func member(set *appsv1.StatefulSet, at int, revision string, edits ...func(*corev1.Pod)) corev1.Pod {
	name := fmt.Sprintf("%s-%d", set.Name, at)
	p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: set.Namespace, Name: name, UID: types.UID("uid of " + name), Labels: map[string]string{appsv1.ControllerRevisionHashLabelKey: revision},
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(set, appsv1.SchemeGroupVersion.WithKind("StatefulSet"))},
	}}
	for _, edit := range edits {
		edit(&p)
	}
	return p
}

func withReadiness(status corev1.ConditionStatus, restarts int32) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: status}}
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "node", RestartCount: restarts}}
	}
}

func TestReplacedPods(t *testing.T) {
	set := orderedSet(12)
	rows := map[string]struct {
		set  *appsv1.StatefulSet
		pods []corev1.Pod
		want []string
	}{
		"the lowest ordinal comes first, as a number": {
			set: set, pods: []corev1.Pod{member(set, 10, "bad"), member(set, 9, "bad"), member(set, 2, "bad")},
			want: []string{"ledger-2", "ledger-9", "ledger-10"},
		},
		"a pod of the revision it gets stays": {
			set: set, pods: []corev1.Pod{member(set, 1, "bad"), member(set, 0, "good", withReadiness(corev1.ConditionFalse, 9))},
			want: []string{"ledger-1"},
		},
		"a pod of a revision between the two is replaced too": {
			set: set, pods: []corev1.Pod{member(set, 3, "between"), member(set, 2, "good")}, want: []string{"ledger-3"},
		},
		"a pod that the set is about to remove has no successor": {
			set: orderedSet(2), pods: []corev1.Pod{member(set, 2, "bad"), member(set, 1, "bad")}, want: []string{"ledger-1"},
		},
		"ordinals may begin later": {
			set:  orderedSet(2, func(s *appsv1.StatefulSet) { s.Spec.Ordinals = &appsv1.StatefulSetOrdinals{Start: 5} }),
			pods: []corev1.Pod{member(set, 6, "bad"), member(set, 5, "bad"), member(set, 4, "bad"), member(set, 7, "bad")}, want: []string{"ledger-5", "ledger-6"},
		},
		"a pod of another owner, or none, is left alone": {
			set: set, pods: []corev1.Pod{
				member(set, 1, "bad", func(p *corev1.Pod) { p.OwnerReferences[0].UID = "other" }), member(set, 2, "bad", func(p *corev1.Pod) { p.OwnerReferences = nil }),
			},
		},
		"a pod whose name is none of the set's is left alone": {
			set: set, pods: []corev1.Pod{member(set, 1, "bad", func(p *corev1.Pod) { p.Name = "ledger-x" }), member(set, 2, "bad", func(p *corev1.Pod) { p.Name = "other-2" })},
		},
		"a pod that is being deleted is listed: the next one waits for its successor": {
			set: set, pods: []corev1.Pod{member(set, 1, "bad", func(p *corev1.Pod) { p.DeletionTimestamp = new(metav1.Now()) })}, want: []string{"ledger-1"},
		},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, p := range replacedPods(row.set, row.pods, []string{"good"}) {
				got = append(got, p.Name)
			}
			if !slices.Equal(got, row.want) {
				t.Errorf("replaced are %v, want %v", got, row.want)
			}
		})
	}
}

func evictionsOf(t *testing.T, object client.Object, pods ...corev1.Pod) ([]action.Operation, error) {
	t.Helper()
	return evictions(t.Context(), action.World{Objects: podReader{pods: pods}}, workload{object: object}, []string{"good"})
}

func TestEvictionsDependOnNoPodsState(t *testing.T) {
	set := orderedSet(5)
	states := map[string]func(*corev1.Pod){
		"ready":                      withReadiness(corev1.ConditionTrue, 0),
		"ready with old restarts":    withReadiness(corev1.ConditionTrue, 3),
		"not ready":                  withReadiness(corev1.ConditionFalse, 7),
		"of a lost node":             withReadiness(corev1.ConditionUnknown, 0),
		"pending, without condition": func(p *corev1.Pod) { p.Status.Phase = corev1.PodPending },
	}
	digests := map[string]bool{}
	for name, state := range states {
		ops, err := evictionsOf(t, set, member(set, 4, "bad", state), member(set, 3, "bad", state), member(set, 0, "good", state))
		if err != nil || len(ops) != 2 {
			t.Fatalf("pods that are %s: %d operations, %v", name, len(ops), err)
		}
		for _, op := range ops {
			if op.Verb != v1alpha1.VerbEvict || !op.Precondition.Unready || op.Precondition.UID != types.UID("uid of "+op.Object.Name) {
				t.Errorf("pods that are %s: operation %+v", name, op)
			}
		}
		digest, err := action.Digest(action.Plan{Operations: ops})
		if err != nil {
			t.Fatal(err)
		}
		digests[digest] = true
	}
	if len(digests) != 1 {
		t.Errorf("the same pods in other states have %d digests", len(digests))
	}
}

func TestEvictionsAreOfOrderedSetsOnly(t *testing.T) {
	ordered := orderedSet(2)
	pods := []corev1.Pod{member(ordered, 1, "bad"), member(ordered, 0, "bad")}
	rows := map[string]struct {
		object client.Object
		want   int
	}{
		"OrderedReady, as is the default": {ordered, 2},
		"OrderedReady, said": {orderedSet(2, func(s *appsv1.StatefulSet) {
			s.Spec.PodManagementPolicy, s.Spec.UpdateStrategy.Type = appsv1.OrderedReadyPodManagement, appsv1.RollingUpdateStatefulSetStrategyType
		}), 2},
		"Parallel":                   {orderedSet(2, func(s *appsv1.StatefulSet) { s.Spec.PodManagementPolicy = appsv1.ParallelPodManagement }), 0},
		"with the strategy Recreate": {orderedSet(2, func(s *appsv1.StatefulSet) { s.Spec.UpdateStrategy.Type = appsv1.RecreateStatefulSetStrategyType }), 0},
		"a Deployment":               {&appsv1.Deployment{}, 0},
		"a DaemonSet":                {&appsv1.DaemonSet{}, 0},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if ops, err := evictionsOf(t, row.object, pods...); err != nil || len(ops) != row.want {
				t.Errorf("%d evictions, %v, want %d", len(ops), err, row.want)
			}
		})
	}
}

func TestEvictionsAreAllOrNone(t *testing.T) {
	set := orderedSet(40)
	var pods []corev1.Pod
	for i := range maxEvictions {
		pods = append(pods, member(set, i, "bad"))
	}
	if ops, err := evictionsOf(t, set, pods...); err != nil || len(ops) != maxEvictions {
		t.Fatalf("%d evictions, %v, want %d", len(ops), err, maxEvictions)
	}
	ops, err := evictionsOf(t, set, append(pods, member(set, maxEvictions, "bad"))...)
	if refused := new(action.NotApplicableError); len(ops) > 0 || !errors.As(err, &refused) {
		t.Errorf("%d evictions, %v, want a refusal", len(ops), err)
	}
}

func TestPodsThatHaveTheImageStay(t *testing.T) {
	revision := func(name, container, image string) action.Revision {
		r := action.Revision{Name: name, Number: 1}
		r.Template.Spec.Containers = []corev1.Container{{Name: container, Image: image}}
		return r
	}
	revisions := []action.Revision{
		revision("good", "db", "db:1"), revision("also-good", "db", "db:1"), revision("bad", "db", "db:2"), revision("other-container", "proxy", "db:1"),
	}
	if got := withImage(revisions, action.Params{"container": "db", "image": "db:1"}); !slices.Equal(got, []string{"good", "also-good"}) {
		t.Errorf("revisions with the image are %v", got)
	}
}
