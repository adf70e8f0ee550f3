//go:build e2e

package crash

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
)

// duos that are at work side by side: most of the time is waited for outages and leases to end.
const duos = 4

// TestHold shows that two replicas hold together what one begins, whichever ends,
// and when the API server is away.
func TestHold(t *testing.T) {
	program := kubetest.Compile(t)
	var house []*duo
	for range duos {
		house = append(house, newDuo(t, program))
	}
	var jobs []job[*duo]
	for _, how := range []outage{killed, frozen} {
		for _, when := range []moment{claimed, verifying} {
			jobs = append(jobs, job[*duo]{
				fmt.Sprintf("API server %s for %s, %s", how.name, away, when.name),
				func(t *testing.T, d *duo) { d.cutOff(t, how, when) },
			})
		}
	}
	for round := range 5 {
		jobs = append(jobs, job[*duo]{
			fmt.Sprintf("leader killed between claimed and applied, round %d", round+1),
			func(t *testing.T, d *duo) { d.bereft(t, round%2 == 1) },
		})
	}
	for round := range 3 {
		jobs = append(jobs, job[*duo]{
			fmt.Sprintf("leader told to end with a message under way, round %d", round+1),
			func(t *testing.T, d *duo) { d.succeeded(t) },
		})
	}
	jobs = append(jobs,
		job[*duo]{"one message a thousand times to two replicas", func(t *testing.T, d *duo) { d.repeated(t) }},
		job[*duo]{"more messages at once than are let in", func(t *testing.T, d *duo) { d.flooded(t) }},
	)
	perform(t, house, jobs)
}

// moment is when something happens to an episode.
type moment struct {
	name string
	// reach lets the episode go on to the moment, and returns what lets it go on from there.
	reach func(e *episode) (goOn func())
}

var (
	claimed = moment{"between claim and apply", func(e *episode) func() {
		halted := e.turnstile.halt(e.ns)
		var pass func()
		e.until("an operation is on its way", func(context.Context) bool {
			select {
			case pass = <-halted:
			default:
			}
			return pass != nil
		})
		runs, err := e.runs(e.t.Context())
		g := NewWithT(e.t)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(runs).To(HaveLen(1))
		g.Expect(runs[0].Status.Steps[0].Operations[0].State).To(Equal(v1alpha1.OperationClaimed))
		return pass
	}}
	verifying = moment{"in verification", func(e *episode) func() {
		e.lasts = true
		e.until("the effect is observed", func(ctx context.Context) bool {
			ar, err := e.remediation(ctx, healed.act)
			return err == nil && meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Verified) != nil
		})
		return func() { e.lasts = false }
	}}
)

// bereft shows that a leader which is killed between a claim and its effect is
// followed by the other replica, whether the effect was stored before or not.
func (d *duo) bereft(t *testing.T, stored bool) {
	e := d.open(t)
	g, first := NewWithT(t), d.leader(t)
	pass := claimed.reach(e)
	if stored { // and never heard of by who asked for it
		g.Expect(first.process.Signal(syscall.SIGSTOP)).To(Succeed())
		pass()
		g.Eventually(func(ctx context.Context) (string, error) {
			var dep appsv1.Deployment
			err := e.api.Client.Get(ctx, client.ObjectKeyFromObject(e.player.dep), &dep)
			return dep.Spec.Template.Spec.Containers[0].Image, err
		}).WithContext(t.Context()).WithTimeout(patient).WithPolling(20 * time.Millisecond).Should(Equal(goodImage))
	}
	struck := time.Now()
	first.process.Kill()
	second := d.next(t, first)
	took := second.since.Sub(struck)
	e.end()

	writes := e.writes()
	g.Expect(writes).To(HaveKey(first.pod))
	g.Expect(writes).To(HaveKey(second.pod))
	all := changed(e.server.AuditIn(e.ns), e.ns)
	by := kubetest.PodOf(all[len(all)-1])
	want := second.pod
	if stored {
		want = first.pod
	}
	g.Expect(by).To(Equal(want), "whose patch took effect")
	g.Expect(took).To(BeNumerically("<", 15*time.Second+3*time.Second), "the lease, and until somebody looks at it")
	g.Expect(second.accounts(t, e.ns)).To(Equal([]string{">Claimed", "Claimed>Applied"}), "whatever the other did not live to write")
	t.Logf("%s killed, effect stored: %t; %s led after %s; writes of the run %v, one patch took effect, by %s", first.pod, stored, second.pod, took.Round(10*time.Millisecond), writes, by)
}
