//go:build e2e

package crash

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/pkg/alert"
)

const (
	senders  = 20
	eachSays = 50 // a thousand in all

	letIn     = 128 // messages at once, by one replica
	crowd     = 20  // that come when it is full
	alertsOf  = 3   // alerts in a message
	different = 150
)

// answers are what senders were told.
type answers struct {
	mu     sync.Mutex
	status map[int]int
	took   []time.Duration
}

func (a *answers) add(status int, took time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status[status]++
	a.took = append(a.took, took)
}

func (a *answers) count(status int) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.status[status]
}

func (a *answers) String() string {
	slices.Sort(a.took)
	return fmt.Sprintf("%v, p50 %s, p99 %s, slowest %s", a.status, a.took[len(a.took)/2].Round(time.Millisecond),
		a.took[len(a.took)*99/100].Round(time.Millisecond), a.took[len(a.took)-1].Round(time.Millisecond))
}

// patience of Alertmanager with what it has to send again.
var again = wait.Backoff{Duration: 100 * time.Millisecond, Factor: 1.5, Jitter: 0.5, Steps: 20, Cap: 5 * time.Second}

// deliver sends a message as Alertmanager does: after a 503 again, and never after
// anything else.
func deliver(ctx context.Context, to poster, body []byte, told *answers) error {
	return wait.ExponentialBackoffWithContext(ctx, again, func(ctx context.Context) (bool, error) {
		sent := time.Now()
		status, said, err := to.Post(ctx, body)
		if err != nil {
			return false, err
		}
		told.add(status, time.Since(sent))
		if status != http.StatusOK && status != http.StatusServiceUnavailable {
			return false, fmt.Errorf("answered %d: %s", status, said)
		}
		return status == http.StatusOK, nil
	})
}

// insist sends a message until it is taken, whatever happens.
func (d *duo) insist(ctx context.Context, body []byte) error {
	return wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, patient, true, func(ctx context.Context) (bool, error) {
		status, _, err := d.Post(ctx, body)
		return err == nil && status == http.StatusOK, nil
	})
}

// message is the n-th of a crowd: with others, it has all that differ.
func message(namespace string, n int) []byte {
	var labels []map[string]string
	for i := range alertsOf {
		labels = append(labels, map[string]string{"alertname": "QueueTooLong", "namespace": namespace, "queue": strconv.Itoa((n*alertsOf + i) % different)})
	}
	return kubetest.Message(alert.Firing, labels...)
}

// fingerprints counts the remediations in a namespace by their alert.
func (d *duo) fingerprints(ctx context.Context, namespace string) (map[string]int, error) {
	var list v1alpha1.AlertRemediationList
	err := d.server.Client.List(ctx, &list, client.InNamespace(namespace))
	count := map[string]int{}
	for i := range list.Items {
		count[list.Items[i].Spec.Alert.Fingerprint]++
	}
	return count, err
}

// repeated shows that one message, told a thousand times to two replicas, is
// dealt with once.
func (d *duo) repeated(t *testing.T) {
	e, g := d.open(t), NewWithT(t)
	body := e.sender.message(alert.Firing, time.Time{})
	told := []*answers{{status: map[int]int{}}, {status: map[int]int{}}}
	group, ctx := errgroup.WithContext(t.Context())
	for i := range senders {
		group.Go(func() error {
			for range eachSays {
				if err := deliver(ctx, d.replicas[i%2].alerts, body, told[i%2]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	e.until("a run was made", func(ctx context.Context) bool {
		runs, err := e.runs(ctx)
		return err == nil && len(runs) > 0
	})
	g.Expect(group.Wait()).To(Succeed())
	e.end()

	ar, err := e.remediation(t.Context(), healed.act)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(e.fingerprints(t.Context(), e.ns)).To(HaveLen(1))
	g.Expect(told[0].status[http.StatusOK] + told[1].status[http.StatusOK]).To(Equal(senders * eachSays))
	t.Logf("one remediation (%s, %d deliveries noted), one run, one patch; %s told %s; %s told %s", ar.Status.Outcome, ar.Status.Alert.Occurrences,
		d.replicas[0].pod, told[0], d.replicas[1].pod, told[1])
}

// flooded shows that a replica which is sent more than it lets in at once says
// 503 and nothing worse, and that nothing is lost if that is sent again.
func (d *duo) flooded(t *testing.T) {
	d.ready(t)
	g, ns, told := NewWithT(t), d.server.Namespace(t.Context()), &answers{status: map[int]int{}}
	group, ctx := errgroup.WithContext(t.Context())
	full := d.replicas[0]
	var finish []func()
	for i := range letIn {
		answer, last := full.dictate(t, message(ns, i))
		finish = append(finish, last)
		group.Go(func() error {
			if <-answer == http.StatusOK {
				return nil
			}
			return deliver(ctx, full.alerts, message(ns, i), told) // it was too long in coming
		})
	}
	g.Eventually(func(ctx context.Context) (int, error) {
		status, _, err := full.alerts.Post(ctx, message(ns, 0))
		return status, err
	}).WithContext(ctx).WithTimeout(patient).WithPolling(10 * time.Millisecond).Should(Equal(http.StatusServiceUnavailable))
	for i := range crowd {
		group.Go(func() error { return deliver(ctx, full.alerts, message(ns, letIn+i), told) })
	}
	g.Eventually(told.count).WithArguments(http.StatusServiceUnavailable).WithTimeout(patient).Should(BeNumerically(">=", crowd))
	for _, last := range finish {
		last()
	}
	g.Expect(group.Wait()).To(Succeed())

	found, err := d.fingerprints(t.Context(), ns)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(found).To(HaveLen(different), "alerts that differ")
	g.Expect(slices.Max(slices.Collect(maps.Values(found)))).To(Equal(1), "remediations of one alert")
	g.Expect(made(d.server.AuditIn(ns), ns)).To(Equal(map[string]int{"alertremediations": different}))
	_, peak, err := full.process.Resident()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(peak).To(BeNumerically("<", 256<<20), "bytes of memory, which the shipped Deployment limits")
	t.Logf("%d messages inside, %d more told %s; %d remediations of %d alerts; memory at most %d MiB",
		letIn, crowd, told, len(found), (letIn+crowd)*alertsOf, peak>>20)
}
