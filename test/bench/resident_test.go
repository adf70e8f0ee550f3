package bench

import (
	"context"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// BenchmarkResident: the leader's memory, idle, beside an everyday cluster and a
// huge one. One alert was worked on before.
//
//	go test -run '^$' -bench Resident -benchtime 1x -timeout 40m ./test/bench
func BenchmarkResident(b *testing.B) {
	b.Run("500 pods", func(b *testing.B) {
		s := open(b)
		for b.Loop() {
			s.crowd(b, 1, 100, 5, 4)
			s.one(b)
			note(b, "rss_500_pods", figure{s.idle(b, 10*time.Minute), "MiB", below(64).noting("ten minutes after")})
		}
	})
	b.Run("50000 pods", func(b *testing.B) {
		s := open(b)
		for b.Loop() {
			s.crowd(b, 20, 50, 50, 0)
			s.one(b)
			note(b, "rss_50000_pods", figure{s.idle(b, 2*time.Minute), "MiB", below(512)})
		}
	})
}

// crowd fills namespaces, as many at a time as there are senders.
func (s *site) crowd(b *testing.B, namespaces, deployments, podsEach, eventsEach int) {
	b.Helper()
	group, ctx := errgroup.WithContext(b.Context())
	for range namespaces {
		ns := s.Namespace(ctx)
		group.Go(func() error {
			s.Crowd(ctx, ns, deployments, podsEach, eventsEach)
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
}

// one has the operator work on one alert, from its arrival to a recommended plan.
func (s *site) one(b *testing.B) {
	b.Helper()
	s.report(b, s.tenant(b), 1)
}

// idle waits, and returns the resident memory after that, in MiB.
func (s *site) idle(b *testing.B, d time.Duration) float64 {
	b.Helper()
	b.Logf("%s: idle for %s", metav1.Now().UTC().Format(time.TimeOnly), d)
	select {
	case <-time.After(d): // the figure is defined by this while
	case <-b.Context().Done():
		b.Fatal(context.Cause(b.Context()))
	case <-s.operator.Exited:
		b.Fatal("the operator ended by itself: " + s.operator.End())
	}
	now, peak, err := s.operator.Resident()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
	return float64(now) / (1 << 20)
}

// crashLoops makes so many workloads that crash, and returns the alerts about them.
func (s *site) crashLoops(b *testing.B, ns string, many int) []map[string]string {
	b.Helper()
	var alerts []map[string]string
	for i := range many {
		alerts = append(alerts, s.CrashLoop(b.Context(), ns, "shop-"+strconv.Itoa(i)))
	}
	return alerts
}
