package evidence

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

var (
	deployments = appsv1.SchemeGroupVersion.WithKind("Deployment")
	web         = client.ObjectKey{Namespace: "shop", Name: "web"}
)

// cluster is an API server with a Deployment, two ReplicaSets and a pod, which counts
// what it is asked.
type cluster struct {
	client.Client
	asked  []string
	broken error
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	one := int32(1)
	labels := map[string]string{"app": "web"}
	meta := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: labels}
	}
	c := &cluster{}
	c.Client = fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(
		&appsv1.Deployment{ObjectMeta: meta("web"), Spec: appsv1.DeploymentSpec{Replicas: &one}},
		&appsv1.ReplicaSet{ObjectMeta: meta("web-1")}, &appsv1.ReplicaSet{ObjectMeta: meta("web-2")}, &corev1.Pod{ObjectMeta: meta("web-1-a")},
	).WithInterceptorFuncs(interceptor.Funcs{
		Get: func(ctx context.Context, below client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			c.asked = append(c.asked, key.Name)
			return errors.Join(c.broken, below.Get(ctx, key, obj, opts...))
		},
		List: func(ctx context.Context, below client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			c.asked = append(c.asked, fmt.Sprintf("list %d", (&client.ListOptions{}).ApplyOptions(opts).Limit))
			return errors.Join(c.broken, below.List(ctx, list, opts...))
		},
	}).Build()
	return c
}

func (c *cluster) expect(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(c.asked, want) {
		t.Errorf("the API server was asked for %q, want %q", c.asked, want)
	}
	c.asked = nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestOneReadServesEveryForm(t *testing.T) {
	c := newCluster(t)
	r, ctx := NewReader(c, clientgoscheme.Scheme), AtAGlance(t.Context())
	head := &metav1.PartialObjectMetadata{}
	head.SetGroupVersionKind(deployments)
	must(t, r.Get(ctx, web, head))
	var typed appsv1.Deployment
	must(t, r.Get(ctx, web, &typed))
	raw := &unstructured.Unstructured{}
	raw.SetGroupVersionKind(deployments)
	must(t, r.Get(ctx, web, raw))
	c.expect(t, "web")
	if head.Labels["app"] != "web" || head.GroupVersionKind() != deployments || *typed.Spec.Replicas != 1 || typed.Kind != "" || raw.GetName() != "web" {
		t.Errorf("read %v, %v and %v", head, typed, raw)
	}

	typed.Labels["app"], head.Labels["app"] = "mine", "mine"
	must(t, unstructured.SetNestedField(raw.Object, int64(9), "spec", "replicas"))
	var again appsv1.Deployment
	must(t, r.Get(ctx, web, &again))
	if again.Labels["app"] != "web" || *again.Spec.Replicas != 1 {
		t.Errorf("what one changed, another read: %v", again)
	}
	must(t, r.Get(t.Context(), web, &again))
	must(t, r.Get(AtAGlance(ctx), web, &again))
	must(t, r.Get(ctx, web, &again, &client.GetOptions{Raw: &metav1.GetOptions{ResourceVersion: "0"}}))
	c.expect(t, "web", "web", "web") // outside, in another glance, and where somebody wants it otherwise
}

func TestAListIsReadOnceAndWhatIsInIt(t *testing.T) {
	c := newCluster(t)
	r, ctx := NewReader(c, clientgoscheme.Scheme), AtAGlance(t.Context())
	ours := []client.ListOption{client.InNamespace("shop"), client.MatchingLabels{"app": "web"}, client.Limit(500)}
	var sets, again appsv1.ReplicaSetList
	must(t, r.List(ctx, &sets, ours...))
	must(t, r.List(ctx, &again, ours...))
	raw := &unstructured.Unstructured{}
	raw.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))
	must(t, r.Get(ctx, client.ObjectKey{Namespace: "shop", Name: "web-2"}, raw))
	c.expect(t, "list 500")
	if len(sets.Items) != 2 || len(again.Items) != 2 || again.Items[0].Name != "web-1" || raw.GetName() != "web-2" {
		t.Errorf("read %v, %v and %v", sets, again, raw)
	}
	must(t, r.List(ctx, &again, client.InNamespace("shop"), client.Limit(7)))
	must(t, r.List(ctx, &again, client.InNamespace("shop"), client.Limit(6)))
	must(t, r.List(ctx, &again, client.InNamespace("shop"), client.Continue("there"), client.Limit(8)))
	c.expect(t, "list 7", "list 8") // what was read whole answers whatever the limit is
}

func TestTheHeadOfAReplicaSetIsReadAsIs(t *testing.T) {
	c := newCluster(t)
	r, ctx := NewReader(c, clientgoscheme.Scheme), AtAGlance(t.Context())
	head := func() *metav1.PartialObjectMetadata {
		o := &metav1.PartialObjectMetadata{}
		o.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))
		return o
	}
	key := client.ObjectKey{Namespace: "shop", Name: "web-1"}
	must(t, r.Get(ctx, key, head()))
	must(t, r.Get(ctx, key, &appsv1.ReplicaSet{}))
	must(t, r.Get(ctx, key, head()))
	c.expect(t, "web-1", "web-1")
}

func TestALongListIsNotKept(t *testing.T) {
	c := newCluster(t)
	for i := range longestKept {
		must(t, c.Create(t.Context(), &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: fmt.Sprintf("old-%d", i), ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
		}}))
	}
	r, ctx := NewReader(c, clientgoscheme.Scheme), AtAGlance(t.Context())
	var sets appsv1.ReplicaSetList
	for range 2 {
		must(t, r.List(ctx, &sets, client.InNamespace("shop")))
	}
	must(t, r.Get(ctx, client.ObjectKey{Namespace: "shop", Name: "old-0"}, &appsv1.ReplicaSet{}))
	c.expect(t, "list 0", "list 0", "old-0")
	if len(sets.Items) != longestKept+2 || sets.Items[0].ManagedFields != nil {
		t.Errorf("%d items were read, want %d, without who wrote them: %v", len(sets.Items), longestKept+2, sets.Items[0].ManagedFields)
	}
}

func TestPodsAreListedOnceAndReadEachTime(t *testing.T) {
	c := newCluster(t)
	r, ctx := NewReader(c, clientgoscheme.Scheme), AtAGlance(t.Context())
	var pods, again corev1.PodList
	must(t, r.List(ctx, &pods, client.InNamespace("shop"), client.Limit(500)))
	pods.Items[0].Labels["app"] = "mine"
	must(t, r.List(ctx, &again, client.InNamespace("shop")))
	c.expect(t, "list 500")
	if len(again.Items) != 1 || again.Items[0].Labels["app"] != "web" {
		t.Errorf("what one changed, another read: %v", again.Items)
	}
	must(t, r.List(ctx, &again, client.InNamespace("shop"), client.MatchingLabels{"app": "web"}))
	c.expect(t, "list 0")
	for i := range longestKept {
		must(t, c.Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "bank", Name: fmt.Sprintf("pod-%d", i)}}))
	}
	must(t, c.Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "bank", Name: "one-more"}}))
	for range 2 {
		must(t, r.List(ctx, &again, client.InNamespace("bank")))
	}
	c.expect(t, "list 0", "list 0")
}

func TestAllElseIsReadEachTime(t *testing.T) {
	c := newCluster(t)
	r, ctx := NewReader(c, clientgoscheme.Scheme), AtAGlance(t.Context())
	for range 2 {
		must(t, r.Get(ctx, client.ObjectKey{Namespace: "shop", Name: "web-1-a"}, &corev1.Pod{}))
		must(t, r.List(ctx, &corev1.EventList{}, client.InNamespace("shop")))
	}
	strange := &unstructured.Unstructured{}
	strange.SetGroupVersionKind(schema.GroupVersionKind{Group: "apps.example", Version: "v1", Kind: "Deployment"})
	if err := r.Get(ctx, web, strange); err == nil {
		t.Error("found what is not there")
	}
	c.expect(t, "web-1-a", "list 0", "web-1-a", "list 0", "web")
}

func TestAFailureIsNotKept(t *testing.T) {
	c := newCluster(t)
	r, ctx := NewReader(c, clientgoscheme.Scheme), AtAGlance(t.Context())
	c.broken = errors.New("etcd is away")
	var typed appsv1.Deployment
	var sets appsv1.ReplicaSetList
	if err := errors.Join(r.Get(ctx, web, &typed), r.List(ctx, &sets)); !errors.Is(err, c.broken) {
		t.Fatalf("got %v, want %v", err, c.broken)
	}
	c.broken = nil
	must(t, r.Get(ctx, web, &typed))
	must(t, r.List(ctx, &sets))
	c.expect(t, "web", "list 0", "web", "list 0")
}

func TestWhatWasReadLongAgoIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		r, ctx := NewReader(c, clientgoscheme.Scheme), AtAGlance(t.Context())
		var typed appsv1.Deployment
		for range 3 {
			must(t, r.Get(ctx, web, &typed))
			<-time.After(fresh / 2) // by the bubble's clock
		}
		c.expect(t, "web", "web")
	})
}
