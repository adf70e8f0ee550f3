package bench

import (
	"context"
	"fmt"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/pkg/alert"
)

const (
	senders   = 8    // clients that post side by side
	newAlerts = 1000 // of which nobody has heard
	bodySize  = 20   // alerts in a message
	repeats   = 5000 // bodies that were heard before
	// sideBySide is how many objects the intake makes at once of what the senders
	// post: of each message 8, as atOnce in internal/intake says.
	sideBySide = senders * 8
)

// BenchmarkIntake: new alerts per second, against raw creates of the same objects
// by the same account, as many side by side; and repeats per second. Beside the
// raw creates the operator is frozen: its own work on them would slow them down,
// while the intake's creates go before it.
//
//	go test -run '^$' -bench Intake -benchtime 1x ./test/bench
func BenchmarkIntake(b *testing.B) {
	s := open(b)
	for b.Loop() {
		ns, other := s.Namespace(b.Context()), s.Namespace(b.Context())
		messages := strangers(ns)
		taken := s.rate(b, messages)
		made := s.finished(b, ns, newAlerts)
		raw := s.creates(b, made, other)
		s.finished(b, other, newAlerts)

		known := make([][]byte, repeats)
		for i := range known {
			known[i] = messages[i%len(messages)]
		}
		again := s.rate(b, known)
		note(b, "intake_new", figure{taken * bodySize, "alerts/s", against{}})
		note(b, "intake_raw", figure{raw, "creates/s", against{}})
		note(b, "intake_new_ratio", figure{taken * bodySize / raw, "ratio", atLeast(0.6).noting("goal 0.9")})
		note(b, "intake_repeats", figure{again, "bodies/s", atLeast(1000)})
		note(b, "intake_repeated_alerts", figure{again * bodySize, "alerts/s", against{}.noting("goal 20000")})
	}
}

// strangers are messages about alerts that name nothing in the cluster.
func strangers(ns string) [][]byte {
	var messages [][]byte
	for i := 0; i < newAlerts; i += bodySize {
		var alerts []map[string]string
		for j := range bodySize {
			alerts = append(alerts, map[string]string{"alertname": "QueueTooLong", "namespace": ns, "queue": strconv.Itoa(i + j)})
		}
		messages = append(messages, kubetest.Message(alert.Firing, alerts...))
	}
	return messages
}

// rate posts messages from all senders, and returns how many were taken per second.
func (s *site) rate(b *testing.B, messages [][]byte) float64 {
	b.Helper()
	return perSecond(b, len(messages), senders, func(ctx context.Context, i int) error {
		_, err := s.post(ctx, messages[i])
		return err
	})
}

// creates makes copies of remediations in another namespace, with the operator
// frozen; that is shorter than its lease.
func (s *site) creates(b *testing.B, made []v1alpha1.AlertRemediation, ns string) float64 {
	b.Helper()
	raw := rest.CopyConfig(s.account)
	raw.QPS = -1 // as fast as the API server takes them
	c, err := client.New(raw, client.Options{Scheme: s.Scheme})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.operator.Signal(syscall.SIGSTOP); err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := s.operator.Signal(syscall.SIGCONT); err != nil {
			b.Error(err)
		}
	}()
	return perSecond(b, len(made), sideBySide, func(ctx context.Context, i int) error {
		return c.Create(ctx, &v1alpha1.AlertRemediation{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: made[i].Name, Labels: made[i].Labels, Annotations: made[i].Annotations}, Spec: made[i].Spec,
		})
	})
}

// perSecond does n things, so many side by side.
func perSecond(b *testing.B, n, workers int, do func(ctx context.Context, i int) error) float64 {
	b.Helper()
	began := time.Now()
	group, ctx := errgroup.WithContext(b.Context())
	group.SetLimit(workers)
	for i := range n {
		group.Go(func() error {
			if err := do(ctx, i); err != nil {
				return fmt.Errorf("number %d: %w", i, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	return float64(n) / time.Since(began).Seconds()
}
