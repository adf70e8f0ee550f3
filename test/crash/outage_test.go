//go:build e2e

package crash

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/kubernaut/kubernaut/internal/kubetest"
)

// away is how long the API server is.
const away = 30 * time.Second

// outage is a way in which an API server can be away.
type outage struct {
	name  string
	begin func(ctx context.Context, s *kubetest.Server) (end func(context.Context) error, err error)
}

var (
	killed = outage{"killed", func(ctx context.Context, s *kubetest.Server) (func(context.Context) error, error) { return s.Kill(ctx) }}
	frozen = outage{"frozen", func(_ context.Context, s *kubetest.Server) (func(context.Context) error, error) { return s.Freeze() }}
)

// cutOff shows that an episode ends as it should, with nothing done twice, if the
// API server is away in the middle of it.
func (d *duo) cutOff(t *testing.T, how outage, when moment) {
	e, g := d.open(t), NewWithT(t)
	before, unheard := d.restarts(), e.server.Namespace(t.Context())
	d.introduce(t)
	goOn := when.reach(e)
	end, err := how.begin(t.Context(), d.server)
	g.Expect(err).NotTo(HaveOccurred())
	goOn() // whoever waited answers an API server that is away
	heard := e.during(message(unheard, 0))
	g.Expect(end(t.Context())).To(Succeed())
	back := time.Now()
	e.end()
	took := time.Since(back)

	g.Expect(d.insist(t.Context(), message(unheard, 0))).To(Succeed())
	g.Expect(d.fingerprints(t.Context(), unheard)).To(HaveLen(alertsOf))
	g.Expect(heard.answered).To(HaveKey(http.StatusServiceUnavailable))
	delete(heard.answered, http.StatusServiceUnavailable)
	g.Expect(heard.answered).To(BeEmpty(), "other answers to an alert that could not be stored")
	g.Expect(heard.slowest).To(BeNumerically("<", 9*time.Second), "until a sender was answered, or there was nobody to answer")
	g.Expect(e.conflicts()).To(BeNumerically("<", 50), "saves of what a cache that fell behind showed")
	t.Logf("the right end %s after the API server was back; processes started again: %d; stale saves: %d; senders were told 503, the slowest after %s",
		took.Round(100*time.Millisecond), d.restarts()-before, e.conflicts(), heard.slowest.Round(10*time.Millisecond))
}

// conflicts counts the operator's writes that somebody else's came before, by the audit log.
func (e *episode) conflicts() int {
	count := 0
	for _, event := range e.server.AuditIn(e.ns) {
		if event.User.Username == kubetest.OperatorUser && event.ResponseStatus != nil && event.ResponseStatus.Code == http.StatusConflict {
			count++
		}
	}
	return count
}

func (d *duo) restarts() int {
	count := 0
	for _, r := range d.replicas {
		count += r.restarts
	}
	return count
}

// introduce has each replica answer once: whoever posts to it finds out by the
// API server which certificate to trust, and can't any more while that is away.
func (d *duo) introduce(t *testing.T) {
	t.Helper()
	for _, r := range d.replicas {
		NewWithT(t).Eventually(func(ctx context.Context) (int, error) {
			status, _, err := r.alerts.Post(ctx, []byte(`{"version":"4","alerts":[]}`))
			return status, err
		}).WithContext(t.Context()).WithTimeout(patient).WithPolling(50*time.Millisecond).Should(Equal(http.StatusOK), r.pod)
	}
}

// heard is what a sender was told, and how long it waited for that, or for nothing.
type heard struct {
	mu       sync.Mutex
	answered map[int]int
	slowest  time.Duration
}

// add also counts the time of who was not answered: that a process ended, or the
// outage did, is known at once. One that lives and hangs is known by it.
func (h *heard) add(status int, took time.Duration, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.slowest = max(h.slowest, took)
	if err == nil {
		h.answered[status]++
	}
}

// during is the outage: processes that end are started again, and Alertmanager
// says of an alert that nobody knows yet that it fires, to each replica on its own.
func (e *episode) during(body []byte) *heard {
	ctx, cancel := context.WithTimeout(e.t.Context(), away)
	defer cancel()
	all := &heard{answered: map[int]int{}}
	var group sync.WaitGroup
	for _, r := range e.replicas {
		group.Go(func() {
			every := time.NewTicker(time.Second)
			defer every.Stop()
			for range tick(ctx, every) {
				sent := time.Now()
				status, _, err := r.alerts.Post(ctx, body)
				all.add(status, time.Since(sent), err)
			}
		})
	}
	every := time.NewTicker(2 * time.Second)
	defer every.Stop()
	for range tick(ctx, every) {
		if err := e.revive(); err != nil {
			e.t.Error(err)
		}
	}
	group.Wait()
	return all
}

// tick ranges over a ticker until the context ends.
func tick(ctx context.Context, every *time.Ticker) func(yield func(struct{}) bool) {
	return func(yield func(struct{}) bool) {
		for {
			select {
			case <-ctx.Done():
				return
			case <-every.C:
				if ctx.Err() != nil || !yield(struct{}{}) {
					return
				}
			}
		}
	}
}
