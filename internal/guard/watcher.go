package guard

import (
	"context"
	"sync"
	"time"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// SettleTime is how long the guards must have been unchanged before an answer counts. The
// API server compiles a policy and enforces it some time after it shows it.
const SettleTime = 30 * time.Second

// Standing is a State with what the leader knows of the time before it.
type Standing struct {
	State
	// Settled: the guards have been unchanged for SettleTime.
	Settled bool
	// Replaced: this leader has seen other guards before, or none, or guards that refused nothing.
	Replaced bool
}

// Watcher knows since when the guards of the cluster are as they are now. It belongs to one
// leader: it starts with no knowledge, and compares times of the leader's own monotonic
// clock only, never a timestamp of the API server.
type Watcher struct {
	client  client.Client
	clock   clock.PassiveClock
	shipped []Guard
	broken  error // why it is not known what is shipped

	mu       sync.Mutex
	known    bool
	epoch    string
	since    time.Time
	replaced bool
	policies []string // the names of guard 1
}

// NewWatcher returns a watcher of the guards that are shipped for this operator's user name.
// If that is none of a ServiceAccount, every look says so.
func NewWatcher(c client.Client, clk clock.PassiveClock, operatorUser string) *Watcher {
	shipped, err := Shipped(operatorUser)
	return &Watcher{client: c, clock: clk, shipped: shipped, broken: err}
}

// Look reads the guards and returns how they stand.
func (w *Watcher) Look(ctx context.Context, reader client.Reader) (Standing, error) {
	if w.broken != nil {
		return Standing{}, w.broken
	}
	state, err := Look(ctx, reader, w.shipped)
	if err != nil {
		return Standing{}, err
	}
	return w.saw(state), nil
}

// NotInForce is what First returns where one of the guards is missing, or was replaced a
// short while ago. It equals no fingerprint.
const NotInForce = "missing"

// First returns the fingerprint of the guards for an object that is seen for the first time.
// It is that of the latest look, which the watch brings about: an older one makes the object
// be confirmed without need, never the opposite.
func (w *Watcher) First(ctx context.Context, reader client.Reader) (string, error) {
	w.mu.Lock()
	known := w.known
	w.mu.Unlock()
	if !known {
		if _, err := w.Look(ctx, reader); err != nil {
			return "", err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.epoch == "" || w.replaced && w.clock.Now().Sub(w.since) < SettleTime {
		return NotInForce, nil
	}
	return w.epoch, nil
}

// saw records what a look showed. Concurrent looks may arrive in another order than they
// were taken: then the guards count as changed, and an answer waits longer, never less.
func (w *Watcher) saw(state State) Standing {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.known || w.epoch != state.Epoch {
		w.replaced = w.replaced || w.known || state.Epoch == ""
		w.known, w.epoch, w.since = true, state.Epoch, w.clock.Now()
	}
	w.policies = state.ApprovalPolicies
	return Standing{
		State:    state,
		Settled:  state.Epoch != "" && w.clock.Now().Sub(w.since) >= SettleTime,
		Replaced: w.replaced,
	}
}

// Forge returns a sentence if guard 1 does not refuse a forged approval in a namespace.
// From then on the guards count as replaced.
func (w *Watcher) Forge(ctx context.Context, namespace string) (fault string, err error) {
	w.mu.Lock()
	policies := w.policies
	w.mu.Unlock()
	fault, err = Forge(ctx, w.client, namespace, policies)
	if fault != "" {
		w.mu.Lock()
		w.since, w.replaced = w.clock.Now(), true
		w.mu.Unlock()
	}
	return fault, err
}
