package evidence

import (
	"context"
	"fmt"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
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
	read time.Time
}

// Get reads an object.
func (r *Reader) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	seen, kind := r.looks(ctx, obj)
	if seen == nil || len(opts) > 0 {
		return r.live.Get(ctx, key, obj, opts...)
	}
	raw, err := seen.ask(question{kind, key.String()}, func() (map[string]any, error) {
		var found unstructured.Unstructured
		found.SetGroupVersionKind(kind)
		err := r.live.Get(ctx, key, &found)
		return found.Object, err
	})
	if err != nil {
		return err
	}
	return fill(obj, raw)
}

// List reads a list. The objects in it count as read.
func (r *Reader) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	seen, kind := r.looks(ctx, list)
	o := (&client.ListOptions{}).ApplyOptions(opts)
	if seen == nil || o.Raw != nil || o.Continue != "" {
		return r.live.List(ctx, list, opts...)
	}
	what := fmt.Sprintf("%q labels %v fields %v limit %d", o.Namespace, o.LabelSelector, o.FieldSelector, o.Limit)
	began := time.Now()
	raw, err := seen.ask(question{kind, what}, func() (map[string]any, error) {
		var found unstructured.UnstructuredList
		found.SetGroupVersionKind(kind)
		if err := r.live.List(ctx, &found, opts...); err != nil {
			return nil, err
		}
		for i := range found.Items {
			item := &found.Items[i]
			seen.keep(question{item.GroupVersionKind(), client.ObjectKeyFromObject(item).String()}, answer{item.Object, began})
		}
		return found.UnstructuredContent(), nil
	})
	if err != nil {
		return err
	}
	return fill(list, raw)
}

// looks returns the picture that an object, or a list of them, belongs into and its
// kind; nil: into none.
func (r *Reader) looks(ctx context.Context, out runtime.Object) (*picture, schema.GroupVersionKind) {
	seen, ok := ctx.Value(within{}).(*picture)
	if !ok {
		return nil, schema.GroupVersionKind{}
	}
	kind, err := apiutil.GVKForObject(out, r.scheme)
	if err != nil || kind.Group != appsv1.GroupName {
		return nil, schema.GroupVersionKind{}
	}
	return seen, kind
}

// ask returns an answer that is fresh, or reads one. Failures are not kept.
func (p *picture) ask(q question, read func() (map[string]any, error)) (map[string]any, error) {
	began := time.Now()
	p.mu.Lock()
	known, ok := p.answers[q]
	p.mu.Unlock()
	if ok && began.Sub(known.read) < fresh {
		return known.raw, nil
	}
	raw, err := read()
	if err != nil {
		return nil, err
	}
	p.keep(q, answer{raw, began})
	return raw, nil
}

func (p *picture) keep(q question, a answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers[q] = a
}

// fill gives whoever asked a copy of their own.
func fill(out runtime.Object, raw map[string]any) error {
	if u, untyped := out.(runtime.Unstructured); untyped {
		u.SetUnstructuredContent(runtime.DeepCopyJSON(raw))
		return nil
	}
	kind := out.GetObjectKind().GroupVersionKind()
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, out); err != nil {
		return fmt.Errorf("decoding a %T: %w", out, err)
	}
	out.GetObjectKind().SetGroupVersionKind(kind) // as other readers leave it
	return nil
}
