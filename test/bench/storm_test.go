package bench

import (
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/pkg/alert"
)

const (
	stormBodies   = 500 // of bodySize alerts: 10,000
	stormDistinct = 1000
	stormLasts    = 50 * time.Second
)

// BenchmarkStorm: ten thousand alerts, of a thousand that differ, within a minute:
// how long a sender waits for its answer, what the operator's memory grows to,
// and that none is lost.
//
//	go test -run '^$' -bench Storm -benchtime 1x ./test/bench
func BenchmarkStorm(b *testing.B) {
	s := open(b)
	for b.Loop() {
		ns := s.Namespace(b.Context())
		answered := s.storm(b, ns)
		_, peak, err := s.operator.Resident()
		if err != nil {
			b.Fatal(err)
		}
		var list v1alpha1.AlertRemediationList
		if err := s.Client.List(b.Context(), &list, client.InNamespace(ns)); err != nil {
			b.Fatal(err)
		}
		if len(list.Items) != stormDistinct {
			b.Fatalf("%d remediations were made of %d alerts that differ", len(list.Items), stormDistinct)
		}
		note(b, "storm_ack_p50", figure{answered[len(answered)/2].Seconds() * 1000, "ms", ""})
		note(b, "storm_ack_p99", figure{answered[len(answered)*99/100].Seconds() * 1000, "ms", "< 500"})
		note(b, "rss_storm", figure{float64(peak) / (1 << 20), "MiB", "< 128, peak"})
	}
}

// storm posts the bodies at an even pace, each until it is taken, and returns
// how long each took, the quickest first.
func (s *site) storm(b *testing.B, ns string) []time.Duration {
	b.Helper()
	var (
		mu       sync.Mutex
		answered []time.Duration
	)
	pace := time.NewTicker(stormLasts / stormBodies)
	defer pace.Stop()
	group, ctx := errgroup.WithContext(b.Context())
	for i := range stormBodies {
		<-pace.C
		group.Go(func() error {
			began := time.Now()
			err := s.post(ctx, stormBody(ns, i))
			mu.Lock()
			defer mu.Unlock()
			answered = append(answered, time.Since(began))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	slices.Sort(answered)
	return answered
}

// stormBody mixes alerts of all ages: each of the thousand comes ten times.
func stormBody(ns string, i int) []byte {
	var alerts []map[string]string
	for j := range bodySize {
		n := (i*bodySize + j) * 7 % stormDistinct
		alerts = append(alerts, map[string]string{"alertname": "QueueTooLong", "namespace": ns, "queue": strconv.Itoa(n)})
	}
	return kubetest.Message(alert.Firing, alerts...)
}
