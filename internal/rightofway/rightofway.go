// Package rightofway lets the requests for which a sender waits go before those
// for which nobody does. In a storm of alerts both kinds meet at the API server:
// Alertmanager gives up after seconds and sends all of it again, and a plan may
// as well come a moment later.
package rightofway

import (
	"context"
	"net/http"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// While somebody waits, narrow of the other requests are under way at a time, so
// that they go on; else wide, which is more than there are workers.
const (
	wide   = 256
	narrow = 4
)

// Road is the way to one API server. On a nil Road nobody goes first.
type Road struct {
	waiting atomic.Int64
	others  *semaphore.Weighted
}

// New returns a road on which nobody is.
func New() *Road { return &Road{others: semaphore.NewWeighted(wide)} }

type first struct{}

// First returns a context whose requests are never held back.
func (r *Road) First(ctx context.Context) context.Context {
	return context.WithValue(ctx, first{}, true)
}

// Hold keeps all other requests back until what it returns is called.
func (r *Road) Hold() (release func()) {
	if r == nil {
		return func() {}
	}
	r.waiting.Add(1)
	return func() { r.waiting.Add(-1) }
}

// Transport holds requests back while somebody waits, but for those that go first
// and for watches, which stay for minutes.
func (r *Road) Transport(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		ctx := request.Context()
		if ctx.Value(first{}) != nil || request.URL.Query().Get("watch") == "true" {
			return next.RoundTrip(request)
		}
		room := r.room()
		if err := r.others.Acquire(ctx, room); err != nil {
			return nil, err
		}
		defer r.others.Release(room)
		return next.RoundTrip(request)
	})
}

// room is how much of the road a request takes up.
func (r *Road) room() int64 {
	if r.waiting.Load() > 0 {
		return wide / narrow
	}
	return 1
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip calls the function.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
