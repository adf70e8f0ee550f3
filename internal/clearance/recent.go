package clearance

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/utils/lru"
)

// How old an answer may be that only tells whether something changed. Nothing is
// carried out by such an answer: before that everything is read live.
const (
	stopKept   = 10 * time.Second
	guardsKept = 30 * time.Second
	rightsKept = time.Minute
	// A source that gives no answer is asked again after this time.
	failureKept = 5 * time.Second
)

// The rights of so many namespaces are read again in a minute, of all together;
// those of more namespaces are read more rarely.
const rightsPerMinute = 20

// recentTimeout bounds a read whose answer many wait for.
const recentTimeout = 5 * time.Second

// recent keeps the last answer of a source, so that a hundred waiting plans cost one read.
type recent[T any] struct {
	keep time.Duration
	may  func(now time.Time) bool // whether an old answer is asked for again now; nil: always

	mu    sync.Mutex
	asked bool
	at    time.Time
	value T
	err   error
}

// get returns the answer that is kept, or else asks. The read does not end with the
// caller: others wait for it.
func (r *recent[T]) get(ctx context.Context, now time.Time, ask func(context.Context) (T, error)) (T, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.isKept(now) {
		return r.value, r.err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recentTimeout)
	defer cancel()
	r.value, r.err = ask(ctx)
	r.asked, r.at = true, now
	return r.value, r.err
}

// isKept reports whether there is an answer that is not asked for again now.
func (r *recent[T]) isKept(now time.Time) bool {
	age := now.Sub(r.at)
	switch {
	case !r.asked || age < 0: // a clock that was set back says nothing about the age
		return false
	case r.err != nil:
		return age < failureKept
	}
	return age < r.keep || r.may != nil && !r.may(now)
}

// recentRights keeps the digest of the remediator's rights of each namespace.
type recentRights struct {
	mu    sync.Mutex
	each  *lru.Cache // namespace → *recent[string]
	limit *rate.Limiter
}

func newRecentRights() *recentRights {
	return &recentRights{each: lru.New(4096), limit: rate.NewLimiter(rightsPerMinute/60.0, 1)}
}

// get returns the digest for one namespace. The first read of a namespace is never
// put off; later reads of all namespaces share the limit, so that no tenant's plans
// take the others' turn.
func (r *recentRights) get(ctx context.Context, now time.Time, namespace string, ask func(context.Context) (string, error)) (string, error) {
	r.mu.Lock()
	known, found := r.each.Get(namespace)
	if !found {
		known = &recent[string]{keep: rightsKept, may: func(now time.Time) bool { return r.limit.AllowN(now, 1) }}
		r.each.Add(namespace, known)
	}
	r.mu.Unlock()
	return known.(*recent[string]).get(ctx, now, ask)
}
