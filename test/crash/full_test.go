//go:build e2e

package crash

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/pkg/alert"
)

const (
	// etcdRoom is what a cluster without nodes needs, and as much again.
	etcdRoom = 32 << 20
	// fullFor is longer than a leader waits before it gives up.
	fullFor = 20 * time.Second
	// fullRequests bounds what the operator asks the API server of all that while
	// it can write nothing: one remediation under way, one webhook a second.
	fullRequests = 300
)

// TestEtcdFull: no room is left in etcd, at the worst of moments.
func TestEtcdFull(t *testing.T) {
	t.Parallel()
	program := kubetest.Compile(t)
	for name, siege := range map[string]struct {
		at     func(write) bool
		elects bool
	}{
		"before the operation is claimed":                          {at: write.isClaim},
		"between claimed and applied, and the leader must give up": {at: write.isEffect, elects: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, program, kubetest.EtcdQuota(etcdRoom))
			s.elects = siege.elects
			s.fill(t, siege.at)
		})
	}
}

// isClaim reports whether a write says of an operation that it will be done now.
func (w write) isClaim() bool {
	return w.resource == "workflowruns/status" && strings.Contains(w.says, "operation=Claimed")
}

// at does something once, with the first write of a kind still unsent.
func at(kind func(write) bool, do func()) conduct {
	done := false
	return func(w write, send func() answer) (answer, bool) {
		if !done && kind(w) {
			done = true
			do()
		}
		return send(), true
	}
}

// fill plays a remediation that meets a full etcd on its way.
func (s *stage) fill(t *testing.T, when func(write) bool) {
	g := NewWithT(t)
	other := s.another(t)
	full, fault := make(chan struct{}), error(nil)
	r := s.open(t, at(when, func() {
		fault = s.server.FillEtcd(t.Context())
		close(full)
	}), healed.patience)
	r.until(healed.act, func() bool {
		select {
		case <-full:
			return true
		default:
			return false
		}
	})
	g.Expect(fault).NotTo(HaveOccurred())

	first, second := r.besieged(other), r.besieged(other)
	t.Logf("etcd is full: %d requests in the first %s, %d in the next", first.total(), fullFor/2, second.total())
	t.Logf("in the first: %s", first)
	t.Logf("in the next: %s", second)
	g.Expect(second.total()).To(BeNumerically("<=", first.total()), "it asks less and less")
	g.Expect(first.total() + second.total()).To(BeNumerically("<", fullRequests))
	g.Expect(effects(s.server.AuditIn(r.ns), r.ns)).To(Equal(changes(0)), "nothing is done without a claim that was saved")

	g.Expect(s.server.FreeEtcd(t.Context())).To(Succeed())
	freed := time.Now()
	g.Eventually(other.taken).WithContext(t.Context()).WithTimeout(patient).WithPolling(time.Second).Should(Succeed())
	r.tell(healed).once(t)
	t.Logf("%s after there was room again, the remediation had ended right, its operation done once; operators that gave up meanwhile: %d",
		time.Since(freed).Round(100*time.Millisecond), r.deaths)
}

// besieged lets half the siege go by, with alerts that come in as if nothing
// were, and returns what the operator asked of the API server.
func (r *round) besieged(other *newcomer) asked {
	r.t.Helper()
	before := r.ledger.requests()
	NewWithT(r.t).Consistently(func(ctx context.Context) error {
		if err := r.revive(ctx); err != nil {
			return err
		}
		return other.refused(ctx)
	}).WithContext(r.t.Context()).WithTimeout(fullFor / 2).WithPolling(time.Second).Should(Succeed())
	return r.ledger.requests().since(before)
}

// until plays a firing as far as a state.
func (r *round) until(a act, reached func() bool) {
	r.t.Helper()
	r.sender.startsAt = a.startsAt
	NewWithT(r.t).Eventually(func(ctx context.Context) error {
		err := r.step(ctx, a)
		if reached() {
			return nil
		}
		return errors.Join(errors.New("it has not come so far"), err)
	}).WithContext(r.t.Context()).WithTimeout(patient).WithPolling(50 * time.Millisecond).Should(Succeed())
}

// newcomer is another alert, about another namespace.
type newcomer struct {
	stage *stage
	ns    string
}

func (s *stage) another(t *testing.T) *newcomer {
	t.Helper()
	return &newcomer{stage: s, ns: s.server.Namespace(t.Context())}
}

func (n *newcomer) post(ctx context.Context) (int, error) {
	labels := map[string]string{"alertname": "QueueTooLong", "namespace": n.ns, "severity": "warning"}
	code, _, err := n.stage.alerts.Post(ctx, kubetest.Message(alert.Firing, labels))
	return code, err
}

// refused reports anything but a 503, after which Alertmanager comes again; an
// operator that is being started anew is none either.
func (n *newcomer) refused(ctx context.Context) error {
	code, err := n.post(ctx)
	if err != nil && n.stage.elects {
		return nil
	}
	if err != nil || code != http.StatusServiceUnavailable {
		return fmt.Errorf("an alert that can't be stored is answered %d (%v)", code, err)
	}
	return nil
}

// taken reports whether the alert is an object now.
func (n *newcomer) taken(ctx context.Context) error {
	code, err := n.post(ctx)
	if err != nil || code != http.StatusOK {
		return fmt.Errorf("an alert is answered %d (%v)", code, err)
	}
	var list v1alpha1.AlertRemediationList
	if err := n.stage.server.Client.List(ctx, &list, client.InNamespace(n.ns)); err != nil {
		return err
	}
	if len(list.Items) != 1 {
		return fmt.Errorf("an alert has %d AlertRemediations", len(list.Items))
	}
	return nil
}
