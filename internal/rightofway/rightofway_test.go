package rightofway

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// traffic is an API server that answers when it is told to.
type traffic struct {
	underWay atomic.Int64
	answer   chan struct{}
}

func (s *traffic) RoundTrip(*http.Request) (*http.Response, error) {
	s.underWay.Add(1)
	defer s.underWay.Add(-1)
	<-s.answer
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}

// send sends so many requests, and returns once each is under way or held back.
func send(ctx context.Context, t *testing.T, through http.RoundTripper, url string, many int) {
	t.Helper()
	for range many {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = through.RoundTrip(request) }() //nolint:bodyclose // it has none
	}
	synctest.Wait()
}

const object, watch = "https://api.test/apis/apps/v1/deployments/web", "https://api.test/apis/apps/v1/deployments?watch=true"

func TestOthersLeaveTheRoadWhileSomebodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		road, server := New(), &traffic{answer: make(chan struct{})}
		through := road.Transport(server)
		expect := func(want int64, when string) {
			t.Helper()
			synctest.Wait()
			if got := server.underWay.Load(); got != want {
				t.Errorf("%s: %d requests are under way, want %d", when, got, want)
			}
		}
		send(t.Context(), t, through, object, 10)
		expect(10, "while nobody waits")

		release := road.Hold()
		send(t.Context(), t, through, object, 10)
		expect(10+narrow-1, "while somebody waits: what was under way takes its room up")
		send(t.Context(), t, through, watch, 5)
		send(road.First(t.Context()), t, through, object, 20)
		expect(10+narrow-1+25, "watches, and those that go first")

		release()
		for range 10 + 10 + 25 {
			server.answer <- struct{}{}
		}
		expect(0, "all were let through in the end")
		send(t.Context(), t, through, object, 40)
		expect(40, "when nobody waits any more")
		close(server.answer)
	})
}

func TestWhoIsHeldBackMayGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		road, server := New(), &traffic{answer: make(chan struct{})}
		through := road.Transport(server)
		defer road.Hold()()
		send(t.Context(), t, through, object, narrow)
		ctx, cancel := context.WithCancelCause(t.Context())
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, object, nil)
		if err != nil {
			t.Fatal(err)
		}
		cancel(nil)
		if _, err := through.RoundTrip(request); !errors.Is(err, context.Canceled) { //nolint:bodyclose // it has none
			t.Errorf("got %v, want that it was cancelled", err)
		}
		if got := server.underWay.Load(); got != narrow {
			t.Errorf("%d requests are under way, want %d", got, narrow)
		}
		close(server.answer)
	})
}
