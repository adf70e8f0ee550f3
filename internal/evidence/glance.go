package evidence

import (
	"context"
	"fmt"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// fresh is how long what was read is good for: a pass that takes longer reads again.
const fresh = 2 * time.Second

// Reader lets what is found out in one pass rest on one picture of a workload. The
// pass that takes in an alert finds the workload, looks at it and plans a change of it;
// each of these would read the same objects again, and in a storm of alerts the API
// server is what there is too little of. So workloads, and what keeps their revisions,
// are read once in a glance. All else, and everything outside of a glance, is read as
// the reader below does.
type Reader struct {
	live   client.Reader
	scheme *runtime.Scheme
}

// NewReader returns a reader that reads with a live one, objects of the kinds of a scheme.
func NewReader(live client.Reader, scheme *runtime.Scheme) *Reader {
	return &Reader{live: live, scheme: scheme}
}

// AtAGlance returns a context in which each workload is read once.
func AtAGlance(ctx context.Context) context.Context {
	return context.WithValue(ctx, within{}, &picture{answers: map[question]answer{}})
}

type within struct{}

// picture is what was seen in one glance, as the API server serves it.
type picture struct {
	mu      sync.Mutex
	answers map[question]answer
}

// question is which object or list is wanted.
type question struct {
	kind schema.GroupVersionKind
	what string
}

// answer is what was read, which nobody may change, and when the read began.
type answer struct {
	raw  map[string]any
	pods *corev1.PodList // in place of raw
	read time.Time
}

// Get reads an object.
func (r *Reader) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	seen, kind := r.looks(ctx, obj)
	if seen == nil || len(opts) > 0 {
		return r.live.Get(ctx, key, obj, opts...)
	}
	q := question{kind, key.String()}
	kept, known := seen.recall(q)
	raw := kept.raw
	if !known && onTheWay(obj, kind) {
		return r.live.Get(ctx, key, obj)
	}
	if !known {
		began := time.Now()
		var found unstructured.Unstructured
		found.SetGroupVersionKind(kind)
		if err := r.live.Get(ctx, key, &found); err != nil {
			return err
		}
		raw = found.Object
		seen.keep(q, answer{raw: raw, read: began})
	}
	return fill(obj, raw)
}

// onTheWay reports whether only the head of a ReplicaSet is wanted, which leads to its
// owner: nobody will want that one whole.
func onTheWay(obj client.Object, kind schema.GroupVersionKind) bool {
	_, head := obj.(*metav1.PartialObjectMetadata)
	return head && kind.Kind == "ReplicaSet"
}

// List reads a list. The objects in it count as read.
func (r *Reader) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	seen, kind := r.looks(ctx, list)
	o := (&client.ListOptions{}).ApplyOptions(opts)
	if seen == nil || o.Raw != nil || o.Continue != "" {
		return r.live.List(ctx, list, opts...)
	}
	// Only short lists are kept, and whole: they answer whatever the limit is.
	q := question{kind, fmt.Sprintf("%q labels %v fields %v", o.Namespace, o.LabelSelector, o.FieldSelector)}
	if pods, typed := list.(*corev1.PodList); typed {
		return seen.listPods(q, pods, func() error { return r.live.List(ctx, pods, opts...) })
	}
	kept, known := seen.recall(q)
	raw := kept.raw
	if !known {
		began := time.Now()
		var found unstructured.UnstructuredList
		found.SetGroupVersionKind(kind)
		if err := r.live.List(ctx, &found, opts...); err != nil {
			return err
		}
		seen.take(&found, began)
		raw = found.UnstructuredContent()
		if len(found.Items) <= longestKept && found.GetContinue() == "" {
			seen.keep(q, answer{raw: raw, read: began})
		}
	}
	return fill(list, raw)
}

// listPods reads a list of pods. There may be hundreds of them, so they are read into
// what is asked for: untyped objects take several times the memory.
func (p *picture) listPods(q question, list *corev1.PodList, read func() error) error {
	if kept, known := p.recall(q); known {
		kept.pods.DeepCopyInto(list)
		return nil
	}
	began := time.Now()
	if err := read(); err != nil {
		return err
	}
	if len(list.Items) <= longestKept && list.Continue == "" {
		p.keep(q, answer{pods: list.DeepCopy(), read: began})
	}
	return nil
}

// longestKept is of how many items a list may be to be kept until the pass ends, when
// nobody has counted it any more (room.go): a few more than the ten revisions that a
// workload keeps if nobody says otherwise.
const longestKept = 16

// looks returns the picture that an object, or a list of them, belongs into and its
// kind; nil: into none.
func (r *Reader) looks(ctx context.Context, out runtime.Object) (*picture, schema.GroupVersionKind) {
	seen, ok := ctx.Value(within{}).(*picture)
	if !ok {
		return nil, schema.GroupVersionKind{}
	}
	kind, err := apiutil.GVKForObject(out, r.scheme)
	_, pods := out.(*corev1.PodList) // a pod that is read by itself is read as it is now
	if err != nil || kind.Group != appsv1.GroupName && !pods {
		return nil, schema.GroupVersionKind{}
	}
	return seen, kind
}

// recall returns what was read and is fresh.
func (p *picture) recall(q question) (answer, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known, ok := p.answers[q]
	return known, ok && time.Since(known.read) < fresh
}

// keep keeps an answer, unless there is a later one.
func (p *picture) keep(q question, a answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known, ok := p.answers[q]; !ok || known.read.Before(a.read) {
		p.answers[q] = a
	}
}

// take keeps the items of a list that is not too long. Who wrote which field is
// forgotten: it is half of what they hold, and looked at only where an object is read
// by itself.
func (p *picture) take(list *unstructured.UnstructuredList, read time.Time) {
	for i := range list.Items {
		item := &list.Items[i]
		item.SetManagedFields(nil)
		if len(list.Items) <= longestKept {
			p.keep(question{item.GroupVersionKind(), client.ObjectKeyFromObject(item).String()}, answer{raw: item.Object, read: read})
		}
	}
}

// fill gives whoever asked a copy of their own.
func fill(out runtime.Object, raw map[string]any) error {
	if u, untyped := out.(runtime.Unstructured); untyped {
		u.SetUnstructuredContent(runtime.DeepCopyJSON(raw))
		return nil
	}
	asked := out.GetObjectKind().GroupVersionKind()
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, out); err != nil {
		return fmt.Errorf("decoding a %T: %w", out, err)
	}
	out.GetObjectKind().SetGroupVersionKind(asked) // as other readers leave it
	return nil
}
