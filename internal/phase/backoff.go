package phase

import (
	"time"

	"golang.org/x/time/rate"
	"k8s.io/client-go/util/workqueue"
)

// How soon a pass that ended in an error is tried again. A pass may ask the API
// server some thirty times, so the first retry must not come at once; and when an
// outage of hours is over, nobody should have to wait for a quarter of an hour more.
const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// So many retries a second, of all objects of a controller together: what the API
// server is asked while it can't do its work does not grow with how much is under way.
const (
	retriesPerSecond = 10
	retriesAtOnce    = 100
)

// Rarely is when to look again at what has been waited for, for so long: soon at
// first, then ever more rarely. A look may be as costly as a pass that fails, and
// what holds one up (a pause, a source that can't be read) often holds up many.
func Rarely(first, waited time.Duration) time.Duration {
	return min(max(first, waited/4), lastRetry)
}

// Backoff returns what every controller puts its failed passes off by.
func Backoff[R comparable]() workqueue.TypedRateLimiter[R] {
	return workqueue.NewTypedMaxOfRateLimiter(
		workqueue.NewTypedItemExponentialFailureRateLimiter[R](firstRetry, lastRetry),
		&workqueue.TypedBucketRateLimiter[R]{Limiter: rate.NewLimiter(retriesPerSecond, retriesAtOnce)},
	)
}
