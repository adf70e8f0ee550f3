package rightofway

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

const (
	object = "https://api.test/apis/apps/v1/deployments/web"
	watch  = "https://api.test/apis/apps/v1/deployments?watch=true"
	events = "https://api.test/apis/events.k8s.io/v1/namespaces/shop/events"
)

// traffic is a road, and an API server at its end that answers when it is told to.
type traffic struct {
	t        *testing.T
	road     *Road
	through  http.RoundTripper
	underWay atomic.Int64
	passed   atomic.Int64 // watches and those that go first, answered at once
	answers  chan struct{}
}

func newTraffic(t *testing.T) *traffic {
	s := &traffic{t: t, road: New(prometheus.NewRegistry()), answers: make(chan struct{})}
	s.through = s.road.Transport(roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.URL.Query().Has("watch") || r.Context().Value(first{}) != nil {
			s.passed.Add(1)
		} else {
			s.underWay.Add(1)
			defer s.underWay.Add(-1)
			<-s.answers
		}
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
	}))
	return s
}

// send sends so many requests, and returns once each is under way or held back.
func (s *traffic) send(ctx context.Context, url string, many int) {
	s.t.Helper()
	for range many {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			s.t.Fatal(err)
		}
		go func() { _, _ = s.through.RoundTrip(request) }() //nolint:bodyclose // it has none
	}
	synctest.Wait()
}

func (s *traffic) answer(many int) {
	for range many {
		s.answers <- struct{}{}
	}
	synctest.Wait()
}

func (s *traffic) expect(want int64, when string) {
	s.t.Helper()
	if got := s.underWay.Load(); got != want {
		s.t.Errorf("%s: %d requests are under way, want %d", when, got, want)
	}
}

// write sends so many requests to create something.
func (s *traffic) write(ctx context.Context, url string, many int) {
	s.t.Helper()
	for range many {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("{}"))
		if err != nil {
			s.t.Fatal(err)
		}
		go func() { _, _ = s.through.RoundTrip(request) }() //nolint:bodyclose // it has none
	}
	synctest.Wait()
}

func TestEventsGoOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTraffic(t)
		gone, leave := context.WithCancel(t.Context())
		s.write(t.Context(), events+"/web.1", 1) // one more in a series
		s.write(gone, events, 3)
		s.expect(1, "of four events")
		s.write(t.Context(), object, 4)
		s.write(t.Context(), "https://api.test/api/v1/namespaces/events/pods", 1)
		s.send(t.Context(), events, 5)
		s.expect(11, "with writes of other things, and reads of events")
		s.answer(11)
		s.expect(1, "when the first is there")
		leave()
		synctest.Wait()
		s.answer(1)
		s.expect(0, "when those that waited are wanted no more")

		release := s.road.Hold()
		s.send(t.Context(), object, places)
		s.write(t.Context(), events, 2)
		s.expect(places, "while somebody waits")
		s.answer(places)
		s.expect(1, "when there is a place")
		release()
		<-time.After(patienceOfEvent) // by the bubble's clock
		synctest.Wait()
		s.expect(2, "after the longest time")
		s.answer(2)
		s.expect(0, "in the end")
		s.write(t.Context(), events, 1)
		s.answer(1)

		s.write(t.Context(), events, 1+longestLine)
		s.expect(1, "of as many events as may wait")
		s.write(t.Context(), events, 2)
		s.expect(3, "when there are two more")
		for range 1 + longestLine + 2 {
			s.answer(1)
		}
		s.expect(0, "when each had its answer")
	})
}

func TestOthersLeaveTheRoadWhileSomebodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTraffic(t)
		s.send(t.Context(), object, 10)
		s.expect(10, "while nobody waits")
		s.answer(10)

		release, another := s.road.Hold(), s.road.Hold()
		s.send(t.Context(), object, 20)
		s.expect(places, "while two wait")
		s.send(t.Context(), watch, 5)
		s.send(s.road.First(t.Context()), object, 20)
		if got := s.passed.Load(); got != 25 {
			t.Errorf("%d watches and requests that go first went through, want 25", got)
		}
		s.answer(2)
		s.expect(places, "who is done makes room for the next")
		release()
		synctest.Wait()
		s.expect(places, "while one still waits")
		another()
		synctest.Wait()
		s.expect(18, "when nobody waits any more, all at once")
		s.answer(18)
		s.expect(0, "in the end")
		if held := testutil.ToFloat64(s.road.held); held != 16 {
			t.Errorf("%v requests were counted as held back, want 16", held)
		}
	})
}

func TestNobodyIsHeldBackForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTraffic(t)
		defer s.road.Hold()()
		s.send(t.Context(), object, 10)
		<-time.After(patience - time.Millisecond) // by the bubble's clock
		synctest.Wait()
		s.expect(places, "just before")
		<-time.After(time.Millisecond)
		synctest.Wait()
		s.expect(10, "after the longest time")
		close(s.answers)
	})
}

func TestBetweenTheMessagesOfAStormTheRoadStaysNarrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTraffic(t)
		s.road.Hold()() // one message
		s.send(t.Context(), object, 10)
		s.expect(10, "after a message that came alone")
		s.answer(10)

		<-time.After(follows / 2)
		s.road.Hold()() // and soon another
		s.send(t.Context(), object, 10)
		s.expect(places, "after one that followed")
		<-time.After(pause / 2)
		s.road.Hold()()
		<-time.After(pause - time.Millisecond)
		synctest.Wait()
		s.expect(places, "and one more, each with its pause")
		<-time.After(time.Millisecond)
		synctest.Wait()
		s.expect(10, "when the pause is over")
		close(s.answers)
	})
}

func TestWorkWaitsBeforeItBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTraffic(t)
		defer s.road.Hold()()
		s.send(t.Context(), object, places)
		begun := make(chan context.Context)
		go func() {
			on, leave, err := s.road.Work(t.Context())
			if err != nil {
				t.Error(err)
			}
			begun <- on
			leave()
		}()
		<-time.After(patience)
		synctest.Wait()
		select {
		case <-begun:
			t.Fatal("it began, and there was no place")
		default:
		}
		s.answer(1)
		s.send(<-begun, object, 20)
		if got := s.passed.Load(); got != 20 {
			t.Errorf("%d requests of work that has begun went through, want 20", got)
		}
		close(s.answers)
	})
}

func TestOnNoRoadNobodyWaits(t *testing.T) {
	var none *Road
	none.Hold()()
	if none.First(t.Context()) == nil {
		t.Error("there is no context")
	}
}

type body struct{ closed bool }

func (b *body) Read([]byte) (int, error) { return 0, nil }
func (b *body) Close() error             { b.closed = true; return nil }

func TestWhoIsHeldBackMayGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sent := newTraffic(t), &body{}
		defer s.road.Hold()()
		s.send(t.Context(), object, places)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, object, sent)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.through.RoundTrip(request); !errors.Is(err, context.Canceled) || !sent.closed { //nolint:bodyclose // it has none
			t.Errorf("got %v, body closed %v; want that it was cancelled, and closed", err, sent.closed)
		}
		s.expect(places, "it was not sent")
		close(s.answers)
	})
}
