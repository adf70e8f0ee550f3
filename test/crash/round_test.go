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
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

// round is an incident, and the operator processes that deal with it, one after another.
type round struct {
	*stage
	*incident
	t      *testing.T
	ledger *ledger
	log    *os.File

	wire   *wire
	deaths int
	// whileDown is done once for each killed operator, before the next one starts.
	whileDown func(context.Context) error
}

func (s *stage) open(t *testing.T, how conduct, p patience) *round {
	t.Helper()
	in, err := s.incident(t.Context(), p, s.alerts)
	if err != nil {
		t.Fatal(err)
	}
	r := &round{stage: s, incident: in, t: t, ledger: &ledger{namespace: in.ns, conduct: how}, whileDown: func(context.Context) error { return nil }}
	if r.log, err = os.Create(filepath.Join(t.TempDir(), "operator.log")); err != nil {
		t.Fatal(err)
	}
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
	r.begin(a)
	NewWithT(r.t).Eventually(func(ctx context.Context) error { return r.step(ctx, a) }).WithContext(r.t.Context()).
		WithTimeout(patient).WithPolling(50 * time.Millisecond).Should(Succeed())
}

// step lets everybody do what is theirs to do now, and says what is still to come.
func (r *round) step(ctx context.Context, a act) error {
	if err := r.revive(ctx); err != nil {
		return StopTrying(err.Error())
	}
	if err := r.advance(ctx, a); err != nil {
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
