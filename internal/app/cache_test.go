package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/config"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/internal/phase"
)

// cached is the operator's client, with its rights, that reads from the manager's cache.
func cached(t *testing.T, server *kubetest.Server, cfg config.Config) client.Client {
	t.Helper()
	account, options := server.OperatorConfig(t.Context()), cacheOptions(cfg)
	options.Scheme = server.Scheme
	store, err := cache.New(account, options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- store.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for _, kind := range []client.Object{&v1alpha1.AlertRemediation{}, &v1alpha1.WorkflowRun{}, &v1alpha1.RemediationPolicy{}} {
		if _, err := store.GetInformer(ctx, kind); err != nil {
			t.Fatal(err)
		}
	}
	if !store.WaitForCacheSync(ctx) {
		t.Fatal("the cache did not synchronise")
	}
	c, err := client.New(account, client.Options{Scheme: server.Scheme, Cache: &client.CacheOptions{Reader: store}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestTheCacheAgainstARealAPIServer starts one API server for all that needs one.
func TestTheCacheAgainstARealAPIServer(t *testing.T) {
	server := kubetest.Start(t)
	server.Install(t.Context(), "config", "rbac")
	t.Run("pods are kept of the namespaces that may have triggers only", func(t *testing.T) { podsAreScoped(t, server) })
	t.Run("an object's text is not kept, and no write takes it away", func(t *testing.T) { textStays(t, server) })
}

// podsAreScoped plays a tenant who fills a namespace with pods that nothing is to
// look at.
func podsAreScoped(t *testing.T, server *kubetest.Server) {
	allowed, other := server.Namespace(t.Context()), server.Namespace(t.Context())
	for _, ns := range []string{allowed, other} {
		server.CrashLoop(t.Context(), ns, "web")
	}
	rows := map[string]struct {
		namespaces []string
		want       []string
	}{
		"none":        {},
		"one":         {namespaces: []string{allowed}, want: []string{allowed}},
		"all of them": {namespaces: []string{"*"}, want: []string{allowed, other}},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			cfg := config.Default()
			cfg.Namespace, cfg.Triggers.Namespaces = kubetest.OperatorNamespace, row.namespaces
			c := cached(t, server, cfg)
			var pods corev1.PodList
			if err := c.List(t.Context(), &pods); err != nil {
				t.Fatal(err)
			}
			kept := map[string]bool{}
			for i := range pods.Items {
				kept[pods.Items[i].Namespace] = true
			}
			for _, ns := range []string{allowed, other} {
				if want := slices.Contains(row.want, ns); kept[ns] != want {
					t.Errorf("pods of %s are kept: %t, want %t", ns, kept[ns], want)
				}
			}
			// The metadata of a Deployment tells whether a waiting plan still fits, in any namespace.
			head := &metav1.PartialObjectMetadata{}
			head.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("Deployment"))
			if err := c.Get(t.Context(), client.ObjectKey{Namespace: other, Name: "web"}, head); err != nil {
				t.Error(err)
			}
		})
	}
}

// textStays plays a user who fills every text that an object may carry.
func textStays(t *testing.T, server *kubetest.Server) {
	ctx, ns := t.Context(), server.Namespace(t.Context())
	long := map[string]string{"example.test/notes": strings.Repeat("n", 100<<10)}
	tags := map[string]string{}
	for i := range 1000 {
		tags[fmt.Sprintf("example.test/tag-%d", i)] = strings.Repeat("t", 63)
	}
	annotations := map[string]string{"summary": strings.Repeat("s", 6000)}
	labels := map[string]string{"alertname": "KubePodCrashLooping", "note": strings.Repeat("l", 5000)}
	ar := build.Remediation(ns, "long").Alert("KubePodCrashLooping", labels).With(func(ar *v1alpha1.AlertRemediation) {
		ar.Annotations, ar.Spec.Alert.Annotations = maps.Clone(long), maps.Clone(annotations)
	}).Obj()
	run := build.Run(ns, "long", build.DeploymentTarget(ns, "web", "u")).Step("one", "RolloutRestart", nil).
		With(func(run *v1alpha1.WorkflowRun) { run.Annotations = maps.Clone(long) }).Obj()
	policy := build.Policy(ns, "long", v1alpha1.ModeObserve).With(func(p *v1alpha1.RemediationPolicy) { p.Annotations = maps.Clone(long) }).Obj()
	all := []client.Object{ar, run, policy}
	for _, obj := range all {
		obj.SetLabels(maps.Clone(tags))
	}
	server.Create(ctx, all...)
	c := cached(t, server, config.Default())
	for _, obj := range all {
		read(t, c, obj)
		if len(obj.GetAnnotations())+len(obj.GetLabels())+len(obj.GetManagedFields()) > 0 {
			t.Errorf("the cache keeps the metadata's text of %T", obj)
		}
	}
	if ar.Spec.Alert.Annotations != nil {
		t.Error("the cache keeps the text of the alert's annotations")
	}
	if !maps.Equal(ar.Spec.Alert.Labels, labels) {
		t.Error("the alert's labels, from which the target is found, must be kept")
	}

	writeAll(t, c, ar, run)
	for _, obj := range all {
		read(t, server.Client, obj)
		if !maps.Equal(obj.GetAnnotations(), long) || !maps.Equal(obj.GetLabels(), tags) {
			t.Errorf("a write took annotations or labels of %T away", obj)
		}
	}
	if !maps.Equal(ar.Spec.Alert.Annotations, annotations) {
		t.Error("a write took the alert's annotations away")
	}
	if ar.Status.ObservedGeneration != 7 || run.Status.ObservedGeneration != 7 || !controllerutil.ContainsFinalizer(run, v1alpha1.RunFinalizer) {
		t.Errorf("the writes were not stored: generations %d and %d, finalizers %q", ar.Status.ObservedGeneration, run.Status.ObservedGeneration, run.Finalizers)
	}
}

// writeAll writes each kind of write that the operator makes of cached objects, and
// the one that it does not make: an update of a whole object.
func writeAll(t *testing.T, c client.Client, ar *v1alpha1.AlertRemediation, run *v1alpha1.WorkflowRun) {
	t.Helper()
	ctx := t.Context()
	whole := ar.DeepCopy()
	whole.Spec.Suspend = true
	if err := c.Update(ctx, whole); !apierrors.IsInvalid(err) {
		t.Errorf("updating a whole cached object: got %v, want the schema to refuse it", err)
	}
	pass := phase.Begin(c, ar.DeepCopy())
	pass.Obj.Status.ObservedGeneration = 7
	if err := pass.Save(ctx); err != nil {
		t.Errorf("saving a whole status: %v", err)
	}
	base := run.DeepCopy()
	controllerutil.AddFinalizer(run, v1alpha1.RunFinalizer)
	if err := c.Patch(ctx, run, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{})); err != nil {
		t.Errorf("saving a finalizer: %v", err)
	}
	base = run.DeepCopy()
	run.Status.ObservedGeneration = 7
	if err := c.Status().Patch(ctx, run, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{})); err != nil {
		t.Errorf("patching a status: %v", err)
	}
}

func read(t *testing.T, c client.Client, obj client.Object) {
	t.Helper()
	key := client.ObjectKeyFromObject(obj)
	obj.SetAnnotations(nil) // a decoder leaves what an answer does not mention
	obj.SetLabels(nil)
	if err := c.Get(t.Context(), key, obj); err != nil {
		t.Fatalf("reading %T %s: %v", obj, key, err)
	}
}

func TestWhatIsNoObjectOfOursPassesThrough(t *testing.T) {
	tombstone := struct{ name string }{"gone"}
	for _, transform := range []func(any) (any, error){trimRemediation, trimMeta} {
		if got, err := transform(tombstone); err != nil || got != tombstone {
			t.Errorf("got %v, %v", got, err)
		}
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web"}}
	if got, err := trimRemediation(pod); err != nil || got.(*corev1.Pod).Name != "web" {
		t.Errorf("got %v, %v", got, err)
	}
}
