package crd

import (
	"context"
	"sync"
	"time"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// fresh is how long an answer holds: the definitions are large, and seldom change.
const fresh = 30 * time.Second

// Watcher asks now and then whether the definitions of the cluster are outdated.
type Watcher struct {
	reader client.Reader
	clock  clock.PassiveClock

	mu    sync.Mutex
	asked time.Time
	says  string
}

// NewWatcher returns a watcher that reads past the cache.
func NewWatcher(live client.Reader, clk clock.PassiveClock) *Watcher {
	return &Watcher{reader: live, clock: clk}
}

// Outdated returns what Outdated said, no longer than 30 s ago. An error is not kept.
func (w *Watcher) Outdated(ctx context.Context) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.asked.IsZero() && w.clock.Now().Sub(w.asked) < fresh {
		return w.says, nil
	}
	says, err := Outdated(ctx, w.reader)
	if err != nil {
		return "", err
	}
	w.says, w.asked = says, w.clock.Now()
	return says, nil
}
