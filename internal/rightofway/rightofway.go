// Package rightofway lets the requests for which a sender waits go before those
// for which nobody does. In a storm of alerts both kinds meet at the API server:
// Alertmanager gives up after seconds and sends all of it again, and a plan may
// as well come a moment later. Events, for which nobody waits at all, come last.
package rightofway

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// places is how many of the others go on side by side while somebody waits.
	places = 4
	// patience is how long a request is held back at most, patienceOfWork how long
	// work of many requests is, before its own deadline begins, and patienceOfEvent
	// how long an event is, for those before it.
	patience        = time.Second
	patienceOfWork  = 5 * time.Second
	patienceOfEvent = 5 * time.Second
	// longestLine is how many events wait at most: each takes some 30 KiB, half of it
	// the stack of who sends it.
	longestLine = 256
	// Messages that come one after another, within follows, are a storm: between
	// them the road stays narrow for as long as pause.
	follows = time.Second
	pause   = 300 * time.Millisecond
)

// Road is the way to one API server. On a nil Road nobody goes first.
type Road struct {
	places chan struct{}
	event  chan struct{} // the one place for events
	line   chan struct{} // those that wait for it
	held   prometheus.Counter

	mu      sync.Mutex
	waiting int
	last    time.Time     // when the last one who waited was answered
	cleared chan struct{} // closed when nobody waits any more; nil: nobody does
}

// New returns a road on which nobody is.
func New(reg prometheus.Registerer) *Road {
	r := &Road{places: make(chan struct{}, places), event: make(chan struct{}, 1), line: make(chan struct{}, longestLine), held: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "kubernaut_api_requests_held_total",
		Help: "Times the controllers' requests to the API server were held back, because alerts were being stored.",
	})}
	reg.MustRegister(r.held)
	return r
}

type first struct{}

// First returns a context whose requests are never held back.
func (r *Road) First(ctx context.Context) context.Context {
	return context.WithValue(ctx, first{}, true)
}

// Hold holds others back until what it returns is called.
func (r *Road) Hold() (release func()) {
	if r == nil {
		return func() {}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting++
	if r.cleared == nil {
		r.cleared = make(chan struct{})
	}
	return sync.OnceFunc(r.release)
}

func (r *Road) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting--; r.waiting > 0 {
		return
	}
	storm := time.Since(r.last) < follows
	r.last = time.Now()
	if !storm {
		r.clear()
		return
	}
	answered := r.last
	time.AfterFunc(pause, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.waiting == 0 && r.last.Equal(answered) {
			r.clear()
		}
	})
}

func (r *Road) clear() {
	close(r.cleared)
	r.cleared = nil
}

// Work waits for a place for a piece of work. None of the requests of the context
// it returns is held back: work that has begun has a deadline.
func (r *Road) Work(ctx context.Context) (on context.Context, leave func(), err error) {
	leave, err = r.enter(ctx, patienceOfWork)
	return r.First(ctx), leave, err
}

// Transport holds requests back while somebody waits, but for those that go first
// and for watches, which stay for minutes. Events go one by one as long as not
// too many wait, and none for too long: a hundred plans have a hundred of them, each as
// dear to the API server as any write.
func (r *Road) Transport(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		if request.Context().Value(first{}) != nil || request.URL.Query().Has("watch") {
			return next.RoundTrip(request)
		}
		leave, err := r.admit(request)
		if err != nil {
			if request.Body != nil {
				_ = request.Body.Close() // as whoever sends it must
			}
			return nil, err
		}
		defer leave()
		return next.RoundTrip(request)
	})
}

// admit waits until a request may go.
func (r *Road) admit(request *http.Request) (leave func(), err error) {
	if request.Method == http.MethodGet || !ofEvents(request.URL.Path) {
		return r.enter(request.Context(), patience)
	}
	next, err := r.lineUp(request.Context())
	if err != nil {
		return next, err
	}
	give, err := r.enter(request.Context(), patience)
	if err != nil {
		next()
		return give, err
	}
	return func() { give(); next() }, nil
}

// lineUp waits for the one place for events, for as long as is bearable, and not at
// all where the line is too long.
func (r *Road) lineUp(ctx context.Context) (next func(), err error) {
	nobody := func() {}
	select {
	case r.line <- struct{}{}:
		defer func() { <-r.line }()
	default:
		return nobody, nil
	}
	enough := time.NewTimer(patienceOfEvent)
	defer enough.Stop()
	select {
	case r.event <- struct{}{}:
		return func() { <-r.event }, nil
	case <-enough.C:
		return nobody, nil
	case <-ctx.Done():
		return nobody, context.Cause(ctx)
	}
}

// ofEvents reports whether a path is that of events, or of one, in a namespace.
func ofEvents(path string) bool {
	_, within, _ := strings.Cut(path, "/namespaces/")
	_, resource, _ := strings.Cut(within, "/")
	return resource == "events" || strings.HasPrefix(resource, "events/")
}

// enter waits for a place, until nobody waits, or for as long as is bearable.
func (r *Road) enter(ctx context.Context, longest time.Duration) (leave func(), err error) {
	r.mu.Lock()
	cleared := r.cleared
	r.mu.Unlock()
	if cleared == nil {
		return func() {}, nil
	}
	select {
	case r.places <- struct{}{}:
		return r.leave, nil
	default:
	}
	r.held.Inc()
	enough := time.NewTimer(longest)
	defer enough.Stop()
	select {
	case r.places <- struct{}{}:
		return r.leave, nil
	case <-cleared:
	case <-enough.C:
	case <-ctx.Done():
		return func() {}, context.Cause(ctx)
	}
	return func() {}, nil
}

func (r *Road) leave() { <-r.places }

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip calls the function.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
