// Package sharedread lets those who ask the API server for the same thing at the
// same time share an answer. When a hundred workloads of a namespace fail
// together, all want to know what was said there and whether the emergency stop
// is pressed. What is live stays live: nobody gets the answer of a read that
// began before they asked.
package sharedread

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// enough is how long those who ask wait for the read before theirs. A slow one
// must not cost them their deadlines.
const enough = 200 * time.Millisecond

// Reader has, as long as answers come soon, one read of each object and of each
// list under way. Those who ask meanwhile share the next.
type Reader struct {
	reader client.Reader

	mu   sync.Mutex
	next map[question]*read // of what is being read: the one after it; nil: nobody waits
}

// question is what somebody wants to know.
type question struct {
	of   reflect.Type
	kind schema.GroupVersionKind // of untyped objects; others have it in their type
	what string
	only bool // to be read: nobody changes the answer
}

// read is a question that is asked once, and its answer once that came.
type read struct {
	ask     func() (runtime.Object, error)
	cancel  context.CancelFunc
	sharers int // does not change any more once it has begun
	waiting int // how many of them have not left
	came    chan struct{}
	answer  runtime.Object
	err     error
}

// New returns a reader that reads with another one.
func New(reader client.Reader) *Reader {
	return &Reader{reader: reader, next: map[question]*read{}}
}

// Get reads an object.
func (r *Reader) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	if len(opts) > 0 {
		return r.reader.Get(ctx, key, obj, opts...) // nobody else asks so
	}
	return r.share(ctx, questionOf(obj, key.String(), false), obj, func(ctx context.Context, into runtime.Object) error {
		return r.reader.Get(ctx, key, into.(client.Object))
	})
}

// List reads a list. With client.UnsafeDisableDeepCopy those who share it have the
// same items, and must not change them.
func (r *Reader) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	o := (&client.ListOptions{}).ApplyOptions(opts)
	if o.Raw != nil || o.Continue != "" {
		return r.reader.List(ctx, list, opts...)
	}
	what := fmt.Sprintf("%q labels %v fields %v limit %d", o.Namespace, o.LabelSelector, o.FieldSelector, o.Limit)
	only := o.UnsafeDisableDeepCopy != nil && *o.UnsafeDisableDeepCopy
	return r.share(ctx, questionOf(list, what, only), list, func(ctx context.Context, into runtime.Object) error {
		return r.reader.List(ctx, into.(client.ObjectList), opts...)
	})
}

func questionOf(out runtime.Object, what string, only bool) question {
	return question{of: reflect.TypeOf(out), kind: out.GetObjectKind().GroupVersionKind(), what: what, only: only}
}

// share puts the answer of a read that begins now or later into out.
func (r *Reader) share(ctx context.Context, q question, out runtime.Object, fill func(context.Context, runtime.Object) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	shared := r.join(ctx, q, fill)
	select {
	case <-shared.came:
	case <-ctx.Done():
		r.leave(q, shared)
		return context.Cause(ctx)
	}
	if shared.err != nil {
		return shared.err
	}
	answer := shared.answer
	if shared.sharers > 1 && !q.only {
		answer = answer.DeepCopyObject()
	}
	reflect.ValueOf(out).Elem().Set(reflect.ValueOf(answer).Elem())
	return nil
}

// join returns the next read to begin. With none before it, it begins at once.
func (r *Reader) join(ctx context.Context, q question, fill func(context.Context, runtime.Object) error) *read {
	r.mu.Lock()
	defer r.mu.Unlock()
	next, busy := r.next[q]
	if next == nil {
		next = prepare(ctx, q, fill)
	}
	next.sharers++
	next.waiting++
	if busy {
		r.next[q] = next
		return next
	}
	r.next[q] = nil
	go r.work(q, next)
	return next
}

// prepare returns a read that nobody waits for yet. It has the values of the
// context, not its end: who asked first may leave, and the others stay.
func prepare(ctx context.Context, q question, fill func(context.Context, runtime.Object) error) *read {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	return &read{cancel: cancel, came: make(chan struct{}), ask: func() (runtime.Object, error) {
		into := reflect.New(q.of.Elem()).Interface().(runtime.Object)
		into.GetObjectKind().SetGroupVersionKind(q.kind)
		return into, fill(ctx, into)
	}}
}

// leave ends a read, or keeps it from beginning, if nobody else waits for it.
func (r *Reader) leave(q question, left *read) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if left.waiting--; left.waiting > 0 {
		return
	}
	left.cancel()
	if r.next[q] == left {
		r.next[q] = nil
	}
}

// work begins one read after the other until nobody waits.
func (r *Reader) work(q question, now *read) {
	for now != nil {
		go now.begin()
		select {
		case <-now.came:
		case <-time.After(enough):
		}
		now = r.turn(q)
	}
}

func (r *read) begin() {
	defer r.cancel()
	r.answer, r.err = r.ask()
	close(r.came)
}

// turn takes the read whose turn it is; nil: nobody waits.
func (r *Reader) turn(q question) *read {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := r.next[q]
	if next == nil {
		delete(r.next, q)
		return nil
	}
	r.next[q] = nil
	return next
}
