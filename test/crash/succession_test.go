//go:build e2e

package crash

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

// succeeded shows that a leader which is told to end hands over at once, while it
// finishes the message that it was in the middle of.
func (d *duo) succeeded(t *testing.T) {
	d.ready(t)
	g, first, ns := NewWithT(t), d.leader(t), d.server.Namespace(t.Context())
	answer, finish := first.dictate(t, message(ns, 0))
	told := time.Now()
	g.Expect(first.process.Signal(syscall.SIGTERM)).To(Succeed())

	unready := make(chan time.Duration, 1)
	go func() {
		unready <- until(t.Context(), func(ctx context.Context) bool { return first.ready(ctx) != nil })
	}()
	second := d.next(t, first)
	handover := second.since.Sub(told)
	until(t.Context(), func(ctx context.Context) bool {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "tcp", first.intake)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	closed := time.Since(told)
	left := <-unready
	g.Expect(first.process.Gone()).To(BeFalse(), "it ended in the middle of a message")
	finish()
	g.Expect(<-answer).To(Equal(http.StatusOK))
	<-first.process.Exited
	ended := time.Since(told)

	g.Expect(first.process.ExitCode()).To(BeZero())
	g.Expect(handover).To(BeNumerically("<", 3*time.Second))
	g.Expect(left).To(BeNumerically("<", time.Second), "until it says that it is not ready")
	g.Expect(ended).To(BeNumerically("<", 10*time.Second))
	g.Expect(d.fingerprints(t.Context(), ns)).To(HaveLen(alertsOf))
	t.Logf("%s told to end: not ready after %s, %s led after %s, no connection taken after %s, message answered, exit 0 after %s",
		first.pod, left.Round(time.Millisecond), second.pod, handover.Round(time.Millisecond), closed.Round(10*time.Millisecond), ended.Round(10*time.Millisecond))
}

// dictate sends a message of which the last part comes only when finish is called.
func (r *replica) dictate(t *testing.T, body []byte) (answer <-chan int, finish func()) {
	t.Helper()
	// The space after it is more than any buffer on the way holds back.
	first := string(body) + strings.Repeat(" ", 64<<10)
	const last = "\n"
	out, in := io.Pipe()
	answered := make(chan int, 1)
	go func() {
		status, _, err := r.alerts.PostFrom(t.Context(), out, int64(len(first)+len(last)))
		if err != nil {
			t.Errorf("the message under way was not answered: %v", err)
		}
		answered <- status
	}()
	if _, err := io.WriteString(in, first); err != nil {
		t.Fatal(err)
	}
	return answered, func() {
		_, _ = io.WriteString(in, last) // the answer tells if it arrived
		_ = in.Close()
	}
}

// until returns how long it took until something was so.
func until(ctx context.Context, so func(context.Context) bool) time.Duration {
	began := time.Now()
	every := time.NewTicker(10 * time.Millisecond)
	defer every.Stop()
	ctx, cancel := context.WithTimeout(ctx, patient)
	defer cancel()
	for range tick(ctx, every) {
		if so(ctx) {
			break
		}
	}
	return time.Since(began)
}
