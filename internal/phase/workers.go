package phase

import (
	"slices"
	"sync"

	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
)

// maxShare: one namespace has at most one in so many of a controller's workers.
const maxShare = 4

// Workers returns the options of a controller with n workers that namespaces share:
// each has at most a quarter of them (one, where there are fewer than four), and
// the namespaces take turns. What one of them puts into the queue, and how long its
// passes take, does not keep the others waiting.
func Workers[R comparable](n int, namespace func(R) string) controller.TypedOptions[R] {
	return controller.TypedOptions[R]{
		MaxConcurrentReconciles: n,
		RateLimiter:             Backoff(namespace),
		NewQueue: func(name string, limiter workqueue.TypedRateLimiter[R]) workqueue.TypedRateLimitingInterface[R] {
			return newQueue(name, limiter, &turns[R]{
				namespace: namespace, share: max(1, n/maxShare), waiting: map[string][]R{}, working: map[string]int{},
			})
		},
	}
}

// Namespace returns the namespace of a request.
func Namespace(request ctrl.Request) string { return request.Namespace }

// queue is client-go's work queue in the order of turns.
type queue[R comparable] struct {
	workqueue.TypedRateLimitingInterface[R]
	turns *turns[R]
}

func newQueue[R comparable](name string, limiter workqueue.TypedRateLimiter[R], t *turns[R]) *queue[R] {
	ordered := workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[R]{Name: name, Queue: t})
	delaying := workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[R]{Name: name, Queue: ordered})
	return &queue[R]{
		TypedRateLimitingInterface: workqueue.NewTypedRateLimitingQueueWithConfig(limiter, workqueue.TypedRateLimitingQueueConfig[R]{Name: name, DelayingQueue: delaying}),
		turns:                      t,
	}
}

// Done frees the worker's place. No waiting worker is woken for the request that may
// have it now: the worker that calls Done asks for the next one itself.
func (q *queue[R]) Done(request R) {
	q.turns.done(request)
	q.TypedRateLimitingInterface.Done(request)
}

// ShutDown ends the queue. What waits is dropped: its passes could do nothing.
func (q *queue[R]) ShutDown() {
	q.turns.close()
	q.TypedRateLimitingInterface.ShutDown()
}

// turns is the order in which a work queue hands out requests: the namespaces in
// turn, the requests of each in the order in which they came, and none of a
// namespace that has its share of the workers.
type turns[R comparable] struct {
	namespace func(R) string
	share     int

	mu      sync.Mutex // done and close are called without the work queue's own lock
	order   []string   // namespaces with waiting requests; the first has the next turn
	waiting map[string][]R
	working map[string]int // workers of each namespace
	closed  bool
}

// Touch is called when a waiting request is added again: it keeps its place.
func (t *turns[R]) Touch(R) {}

// Push adds a request.
func (t *turns[R]) Push(request R) {
	t.mu.Lock()
	defer t.mu.Unlock()
	namespace := t.namespace(request)
	if len(t.waiting[namespace]) == 0 {
		t.order = append(t.order, namespace)
	}
	t.waiting[namespace] = append(t.waiting[namespace], request)
}

// Len is 0 while there is nothing to hand out, else 1: that is all a worker that
// asks for a request needs to know.
func (t *turns[R]) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || t.next() < 0 {
		return 0
	}
	return 1
}

// Pop hands out the next request. It is called only when Len is not 0.
func (t *turns[R]) Pop() R {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.next()
	namespace := t.order[at]
	t.order = slices.Delete(t.order, at, at+1)
	request := t.waiting[namespace][0]
	if rest := t.waiting[namespace][1:]; len(rest) > 0 {
		t.waiting[namespace] = rest
		t.order = append(t.order, namespace)
	} else {
		delete(t.waiting, namespace)
	}
	t.working[namespace]++
	return request
}

// next returns the place in order of the namespace whose turn it is, or -1.
func (t *turns[R]) next() int {
	return slices.IndexFunc(t.order, func(namespace string) bool { return t.working[namespace] < t.share })
}

func (t *turns[R]) done(request R) {
	t.mu.Lock()
	defer t.mu.Unlock()
	namespace := t.namespace(request)
	if t.working[namespace]--; t.working[namespace] <= 0 {
		delete(t.working, namespace)
	}
}

func (t *turns[R]) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
}
