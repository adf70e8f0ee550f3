// Package leader is the Lease that lets one replica of several lead. It knows
// for how long nobody else can, so that what the leader begins has ended by then.
package leader

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	coordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/utils/clock"
)

// ErrEnding means that another replica may lead before a request has ended.
var ErrEnding = errors.New("this replica may not be the leader for long enough")

// Settings of the lease.
type Settings struct {
	Lease types.NamespacedName
	// Duration of the lease: nobody else takes it sooner after it was renewed.
	Duration time.Duration
	// Timeout of one request about it: one that hangs must not cost the lease.
	Timeout time.Duration
	// Longest is how long what the leader begins may take.
	Longest time.Duration
}

// Lock is the lease as one replica sees it. It is a resourcelock.Interface.
type Lock struct {
	resourcelock.Interface
	clock             clock.PassiveClock
	duration, longest time.Duration

	mu   sync.Mutex
	sure time.Time // until then nobody else can lead
}

// New returns the lock of this process, which is told apart by its host's name,
// in a pod the pod's, and a random part.
func New(rc *rest.Config, s Settings, clk clock.PassiveClock) (*Lock, error) {
	hostname, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("reading the host name: %w", err)
	}
	rc = rest.AddUserAgent(rest.CopyConfig(rc), "leader-election")
	rc.Timeout = s.Timeout
	client, err := coordinationv1.NewForConfig(rc)
	if err != nil {
		return nil, fmt.Errorf("building a client for the lease of the leader: %w", err)
	}
	return wrap(&resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Namespace: s.Lease.Namespace, Name: s.Lease.Name},
		Client:     client,
		LockConfig: resourcelock.ResourceLockConfig{Identity: hostname + "_" + string(uuid.NewUUID())},
	}, s, clk), nil
}

func wrap(lease resourcelock.Interface, s Settings, clk clock.PassiveClock) *Lock {
	return &Lock{Interface: lease, clock: clk, duration: s.Duration, longest: s.Longest}
}

// Create makes the lease, held by this replica.
func (l *Lock) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.hold(func() error { return l.Interface.Create(ctx, record) })
}

// Update takes the lease, renews it or, with no holder, gives it back.
func (l *Lock) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	if record.HolderIdentity == "" {
		return l.giveBack(func() error { return l.Interface.Update(ctx, record) })
	}
	return l.hold(func() error { return l.Interface.Update(ctx, record) })
}

// hold counts from before the write was sent: the others count from when they see it.
func (l *Lock) hold(write func() error) error {
	sent := l.clock.Now()
	if err := write(); err != nil {
		return err
	}
	l.keep(sent.Add(l.duration))
	return nil
}

// giveBack lets the next one lead at once. A leader that stops in good order has
// nothing under way. One that could not renew the lease may have: its lease runs
// out, though the election would give it back before it tells anybody.
func (l *Lock) giveBack(write func() error) error {
	held := l.until()
	if held.Sub(l.clock.Now()) < l.longest {
		return fmt.Errorf("giving the lease back: it runs out instead: %w", ErrEnding)
	}
	l.keep(time.Time{})
	if err := write(); err != nil {
		l.keep(held) // it may be tried again
		return err
	}
	return nil
}

func (l *Lock) keep(until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sure = until
}

func (l *Lock) until() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sure
}

// Bind returns a configuration whose requests are sent by the leader only, and
// only if they have ended before another can lead. Each must have its own
// deadline, of Longest at most.
func (l *Lock) Bind(rc *rest.Config) *rest.Config {
	rc = rest.CopyConfig(rc)
	rc.Wrap(func(next http.RoundTripper) http.RoundTripper { return &bound{lock: l, next: next} })
	return rc
}

type bound struct {
	lock *Lock
	next http.RoundTripper
}

func (b *bound) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.lock.until().Sub(b.lock.clock.Now()) < b.lock.longest {
		if r.Body != nil {
			_ = r.Body.Close() // as whoever sends it must
		}
		return nil, ErrEnding
	}
	return b.next.RoundTrip(r)
}
