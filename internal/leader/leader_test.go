package leader

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	clocktesting "k8s.io/utils/clock/testing"
)

const (
	duration = 15 * time.Second
	longest  = 5 * time.Second
)

var errAway = errors.New("the API server is away")

// lease answers as the API server would, after a while.
type lease struct {
	resourcelock.Interface
	clock  *clocktesting.FakeClock
	takes  time.Duration
	answer error
	writes int
}

func (l *lease) Create(context.Context, resourcelock.LeaderElectionRecord) error { return l.write() }
func (l *lease) Update(context.Context, resourcelock.LeaderElectionRecord) error { return l.write() }

func (l *lease) write() error {
	l.clock.Step(l.takes)
	l.writes++
	return l.answer
}

var (
	mine   = resourcelock.LeaderElectionRecord{HolderIdentity: "a"}
	nobody = resourcelock.LeaderElectionRecord{}
)

func locked(t *testing.T) (*Lock, *lease, *clocktesting.FakeClock) {
	t.Helper()
	clk := clocktesting.NewFakeClock(time.Date(2026, time.March, 1, 3, 0, 0, 0, time.UTC))
	l := &lease{clock: clk}
	return wrap(l, Settings{Duration: duration, Longest: longest}, clk), l, clk
}

// may reports whether the lock lets a request through now.
func may(t *testing.T, l *Lock) bool {
	t.Helper()
	served := httptest.NewServer(http.NotFoundHandler())
	defer served.Close()
	hc, err := rest.HTTPClientFor(l.Bind(&rest.Config{Host: served.URL}))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := hc.Post(served.URL, "application/json", strings.NewReader("{}"))
	if err != nil {
		if !errors.Is(err, ErrEnding) {
			t.Fatal(err)
		}
		return false
	}
	return answer.Body.Close() == nil
}

func TestOnlyTheLeaderMayAct(t *testing.T) {
	rows := map[string]struct {
		story func(l *Lock, lease *lease, clk *clocktesting.FakeClock) error
		want  bool
	}{
		"who never led": {story: func(*Lock, *lease, *clocktesting.FakeClock) error { return nil }},
		"who made the lease": {
			story: func(l *Lock, _ *lease, _ *clocktesting.FakeClock) error { return l.Create(t.Context(), mine) },
			want:  true,
		},
		"who renewed it as long ago as lets the longest request end": {
			story: func(l *Lock, _ *lease, clk *clocktesting.FakeClock) error {
				err := l.Update(t.Context(), mine)
				clk.Step(duration - longest)
				return err
			},
			want: true,
		},
		"who renewed it longer ago": {
			story: func(l *Lock, _ *lease, clk *clocktesting.FakeClock) error {
				err := l.Update(t.Context(), mine)
				clk.Step(duration - longest + time.Nanosecond)
				return err
			},
		},
		"whose renewal took longer to be answered: it counts from when it was sent": {
			story: func(l *Lock, lease *lease, _ *clocktesting.FakeClock) error {
				lease.takes = duration - longest + time.Nanosecond
				return l.Update(t.Context(), mine)
			},
		},
		"who could not renew it, from the last time it could": {
			story: func(l *Lock, lease *lease, clk *clocktesting.FakeClock) error {
				err := l.Update(t.Context(), mine)
				clk.Step(duration - longest)
				lease.answer = errAway
				if l.Update(t.Context(), mine) == nil {
					return errors.New("it was renewed")
				}
				return err
			},
			want: true,
		},
		"for whom the attempt alone, which failed, counts no time": {
			story: func(l *Lock, lease *lease, clk *clocktesting.FakeClock) error {
				err := l.Update(t.Context(), mine)
				clk.Step(duration - longest)
				lease.answer = errAway
				if l.Update(t.Context(), mine) == nil || l.Create(t.Context(), mine) == nil {
					return errors.New("it was renewed")
				}
				clk.Step(time.Nanosecond)
				return err
			},
		},
		"who gave it back": {
			story: func(l *Lock, _ *lease, _ *clocktesting.FakeClock) error {
				return errors.Join(l.Update(t.Context(), mine), l.Update(t.Context(), nobody))
			},
		},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			l, lease, clk := locked(t)
			if err := row.story(l, lease, clk); err != nil {
				t.Fatal(err)
			}
			if got := may(t, l); got != row.want {
				t.Errorf("may act: %t, want %t", got, row.want)
			}
		})
	}
}

func TestALeaseThatCouldNotBeRenewedRunsOut(t *testing.T) {
	l, lease, clk := locked(t)
	if err := l.Update(t.Context(), mine); err != nil {
		t.Fatal(err)
	}
	clk.Step(duration - longest + time.Second) // so long the API server was away; what began before may be on its way
	if err := l.Update(t.Context(), nobody); !errors.Is(err, ErrEnding) {
		t.Errorf("giving it back: %v", err)
	}
	if lease.writes != 1 {
		t.Errorf("%d writes, want the one that took it", lease.writes)
	}
}

func TestGivingBackMayBeTriedAgain(t *testing.T) {
	l, lease, _ := locked(t)
	if err := l.Update(t.Context(), mine); err != nil {
		t.Fatal(err)
	}
	lease.answer = errAway
	if err := l.Update(t.Context(), nobody); !errors.Is(err, errAway) {
		t.Errorf("giving it back: %v", err)
	}
	lease.answer = nil
	if err := l.Update(t.Context(), nobody); err != nil || may(t, l) {
		t.Errorf("giving it back again: %v", err)
	}
}
