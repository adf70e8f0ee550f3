//go:build e2e

package crash

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/lease"
)

// round is one namespace with one Deployment that crashes, and the operator
// processes that deal with it, one after another.
type round struct {
	*stage
	t      *testing.T
	ns     string
	ledger *ledger
	log    *os.File

	player *player
	sender *sender
	wire   *wire
	deaths int
	// whileDown is done once for each killed operator, before the next one starts.
	whileDown func(context.Context) error
}

// patient is how long a round may take, on two cores that others use too.
const patient = 2 * time.Minute

// act is one firing of the alert in a round.
type act struct {
	helps    bool // the good release serves
	startsAt time.Time
}

func (s *stage) open(t *testing.T, how conduct, p patience) *round {
	t.Helper()
	ns := s.tenant(t.Context(), p)
	r := &round{stage: s, t: t, ns: ns, ledger: &ledger{namespace: ns, conduct: how}, whileDown: func(context.Context) error { return nil }}
	var err error
	if r.log, err = os.Create(filepath.Join(t.TempDir(), "operator.log")); err != nil {
		t.Fatal(err)
	}
	if r.player, err = release(t.Context(), s.server.Client, r.ns); err != nil {
		t.Fatalf("rolling the bad release out: %v", err)
	}
	r.sender = &sender{wire: s.sender, labels: map[string]string{
		"alertname": alertName, "namespace": r.ns, "pod": r.player.bad.Name + "-a", "container": shop, "severity": "warning",
	}}
	t.Cleanup(func() {
		if r.wire != nil && r.wire.operator != nil {
			r.wire.operator.Kill()
			r.wire.front.Close()
		}
		_ = r.log.Close()
		if t.Failed() {
			r.report()
		}
	})
	return r
}

// play takes one firing from the first delivery to the very end: nothing is left
// to be written, and the lease is given back.
func (r *round) play(a act) {
	r.t.Helper()
	r.player.sick = false
	if err := r.player.play(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	r.sender.fired, r.sender.resolved, r.sender.startsAt = false, false, a.startsAt
	NewWithT(r.t).Eventually(func(ctx context.Context) error { return r.step(ctx, a) }).WithContext(r.t.Context()).
		WithTimeout(patient).WithPolling(50 * time.Millisecond).Should(Succeed())
}

// step lets everybody do what is theirs to do now, and says what is still to come.
func (r *round) step(ctx context.Context, a act) error {
	if err := r.revive(ctx); err != nil {
		return StopTrying(err.Error())
	}
	if r.sender.fire(ctx); !r.sender.fired {
		return errors.New("the alert was not taken")
	}
	ar, err := r.remediation(ctx, a)
	if err != nil {
		return err
	}
	observed := meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Verified) != nil
	r.player.sick = !a.helps && observed // the rollout is completed first
	if err := r.player.play(ctx); err != nil {
		return err
	}
	if observed && a.helps {
		r.sender.resolve(ctx)
	}
	if !ar.Finished() {
		return fmt.Errorf("the remediation goes on: phase %s", ar.Status.Phase)
	}
	if err := r.released(ctx); err != nil {
		return err
	}
	return r.up()
}

// up reports whether the operator lives, and has got as far as to listen: if
// the last write killed one, the next has had its chance to write more.
func (r *round) up() error {
	r.ledger.all() // a kill that is under way is over now
	if r.wire.operator.Gone() {
		return errors.New("the operator is down")
	}
	conn, err := net.Dial("tcp", r.intake)
	if err != nil {
		return fmt.Errorf("the operator does not listen yet: %w", err)
	}
	return conn.Close()
}

// revive starts the operator if it was killed, and complains if it died otherwise.
func (r *round) revive(ctx context.Context) error {
	if r.wire != nil && !r.wire.operator.Gone() {
		return nil
	}
	if r.wire != nil {
		if !r.wire.operator.Killed() && !r.elects {
			return fmt.Errorf("the operator ended by itself: %s", r.wire.operator.End())
		}
		r.wire.front.Close()
		r.deaths++
		if err := r.whileDown(ctx); err != nil {
			return err
		}
		fmt.Fprintf(r.log, "--- killed; the next one starts ---\n")
	}
	var err error
	r.wire, err = r.start(r.ledger, r.log)
	return err
}

// remediation returns the AlertRemediation of a firing.
func (r *round) remediation(ctx context.Context, a act) (*v1alpha1.AlertRemediation, error) {
	var list v1alpha1.AlertRemediationList
	if err := r.server.Client.List(ctx, &list, client.InNamespace(r.ns)); err != nil {
		return nil, err
	}
	for i := range list.Items {
		if list.Items[i].Spec.Alert.StartsAt.Time.Equal(a.startsAt) {
			return &list.Items[i], nil
		}
	}
	return nil, errors.New("there is no AlertRemediation")
}

// released reports whether the runs have let go of everything.
func (r *round) released(ctx context.Context) error {
	var runs v1alpha1.WorkflowRunList
	if err := r.server.Client.List(ctx, &runs, client.InNamespace(r.ns)); err != nil {
		return err
	}
	for i := range runs.Items {
		if slices.Contains(runs.Items[i].Finalizers, v1alpha1.RunFinalizer) {
			return fmt.Errorf("WorkflowRun %s keeps its finalizer", runs.Items[i].Name)
		}
	}
	held := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: kubetest.OperatorNamespace, Name: lease.Name(r.player.dep.UID)}}
	if err := r.server.Client.Get(ctx, client.ObjectKeyFromObject(held), held); client.IgnoreNotFound(err) != nil || err == nil {
		return errors.Join(fmt.Errorf("lease %s is still there", held.Name), err)
	}
	return nil
}

// close ends the operator as Kubernetes does, so that the writes are complete.
func (r *round) close() {
	r.t.Helper()
	if err := r.wire.operator.Stop(); err != nil {
		r.t.Error(err)
	}
	r.wire.front.Close()
	said, err := os.ReadFile(r.log.Name())
	if err != nil || bytes.Contains(said, []byte("panic")) {
		r.t.Errorf("an operator panicked, or its log can't be read: %v", err)
	}
}
