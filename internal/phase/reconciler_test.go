package phase_test

import (
	"context"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kubernaut/kubernaut/internal/phase"
)

// source says of every object where it was read.
type source struct {
	client.Client
	name string
}

func (s source) Get(_ context.Context, key client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	obj.SetName(key.Name)
	obj.SetLabels(map[string]string{"from": s.name})
	return nil
}

// script ends each pass as it says, and notes what was read where.
type script struct {
	ends []error
	read []string
}

func (s *script) Reconcile(_ context.Context, pod *corev1.Pod) (ctrl.Result, error) {
	s.read = append(s.read, pod.Name+" from "+pod.Labels["from"])
	return phase.Result(phase.Continue, s.ends[len(s.read)-1])
}

func TestWhatWasStaleIsReadPastTheCacheOnce(t *testing.T) {
	inner := &script{ends: []error{phase.ErrStale, nil, phase.ErrStale, nil, nil}}
	r := phase.Reconciler(source{name: "cache"}, source{name: "server"}, inner)
	for _, name := range []string{"a", "b", "a", "a", "a"} {
		if _, err := r.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: name}}); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"a from cache", "b from cache", "a from server", "a from server", "a from cache"}
	if !slices.Equal(inner.read, want) {
		t.Errorf("read %q, want %q", inner.read, want)
	}
}

// store is a cache, and the server behind it, that have one object in some version.
type store struct {
	client.Client
	version string
	labels  map[string]string // nil: an answer does not mention any
	asked   int
}

func (s *store) Get(_ context.Context, key client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	s.asked++
	obj.SetName(key.Name)
	obj.SetResourceVersion(s.version)
	if s.labels != nil {
		obj.SetLabels(s.labels)
	}
	return nil
}

// saver saves an object in its first pass, and notes the version each began with.
type saver struct {
	began  []string
	labels map[string]string // of the last one
}

func (s *saver) Reconcile(_ context.Context, pod *corev1.Pod) (ctrl.Result, error) {
	s.began, s.labels = append(s.began, pod.ResourceVersion), pod.Labels
	if len(s.began) == 1 {
		pod.ResourceVersion = "10"
	}
	return ctrl.Result{}, nil
}

func TestWhatWasSavedIsReadPastACacheThatDoesNotShowItYet(t *testing.T) {
	cache, server, inner := &store{version: "9", labels: map[string]string{"approved": "yes"}}, &store{version: "10"}, &saver{}
	r := phase.Reconciler[*corev1.Pod](cache, server, inner)
	for _, shown := range []string{"9", "9", "9", "10", "11"} {
		cache.version = shown
		if _, err := r.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: "a"}}); err != nil {
			t.Fatal(err)
		}
		if past := len(inner.began) > 1 && shown == "9"; past != (inner.labels == nil) {
			t.Errorf("pass %d sees labels %v", len(inner.began), inner.labels)
		}
	}
	if want := []string{"9", "10", "10", "10", "11"}; !slices.Equal(inner.began, want) {
		t.Errorf("the passes began with versions %q, want %q", inner.began, want)
	}
	if server.asked != 2 {
		t.Errorf("the server was asked %d times, want 2: as long as the cache was behind", server.asked)
	}
}
