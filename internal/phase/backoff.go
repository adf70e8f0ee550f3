package phase

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/lru"
)

// How soon a pass that ended in an error is tried again. A pass may ask the API
// server some thirty times, so the first retry must not come at once; and when an
// outage of hours is over, the next retry must not be a quarter of an hour away.
const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// So many retries a second, of all objects of a namespace in a controller. Each
// namespace has a bucket of its own: the failures of one do not delay another's.
// maxBuckets bounds their number; a bucket that was dropped begins again full.
const (
	retriesPerSecond = 10
	retriesAtOnce    = 100
	maxBuckets       = 1024
)

// Rarely is when to look again at what has been waited for, for so long: soon at
// first, then ever more rarely. A look may be as costly as a pass that fails, and
// what holds one up (a pause, a source that can't be read) often holds up many.
func Rarely(first, waited time.Duration) time.Duration {
	return min(max(first, waited/4), lastRetry)
}

// Backoff returns the rate limiter of every controller. A failed pass is tried
// again after 100 ms, then ever more rarely, at the rate of its namespace's bucket,
// and after 30 s at the latest.
func Backoff[R comparable](namespace func(R) string) workqueue.TypedRateLimiter[R] {
	return &backoff[R]{
		TypedRateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[R](firstRetry, lastRetry),
		namespace:        namespace,
		buckets:          lru.New(maxBuckets),
	}
}

type backoff[R comparable] struct {
	workqueue.TypedRateLimiter[R] // of each request
	namespace                     func(R) string

	mu      sync.Mutex
	buckets *lru.Cache // namespace → *rate.Limiter
}

// When returns how long a request that failed waits.
func (b *backoff[R]) When(request R) time.Duration {
	return min(max(b.TypedRateLimiter.When(request), b.turn(b.namespace(request))), lastRetry)
}

// turn takes a place in the bucket of a namespace, and returns when its turn comes.
func (b *backoff[R]) turn(namespace string) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	bucket := rate.NewLimiter(retriesPerSecond, retriesAtOnce)
	if known, ok := b.buckets.Get(namespace); ok {
		bucket = known.(*rate.Limiter)
	} else {
		b.buckets.Add(namespace, bucket)
	}
	// A place later than lastRetry would not be waited for: taking it would only
	// lengthen the queue for the namespace's other requests.
	if bucket.Tokens() <= -retriesPerSecond*lastRetry.Seconds() {
		return lastRetry
	}
	return bucket.Reserve().Delay()
}
