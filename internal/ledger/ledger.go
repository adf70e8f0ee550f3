// Package ledger keeps account of what happens to the objects of Kubernaut's
// kinds, whoever wrote it: each transition is one line of JSON for whoever
// collects logs, and a count for Prometheus. It watches what was stored and asks
// nobody, so that no controller can forget it, and one that is wrong can't hide.
package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// Ledger writes lines and counts. The leader's is the one that counts: nobody
// else keeps one.
type Ledger struct {
	clock   clock.PassiveClock
	metrics metrics

	mu  sync.Mutex
	out *json.Encoder
}

// New returns a ledger that writes its lines to out.
func New(out io.Writer, clk clock.PassiveClock, reg prometheus.Registerer) *Ledger {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	return &Ledger{clock: clk, out: encoder, metrics: newMetrics(reg)}
}

// SetupWithManager makes the ledger watch for as long as this replica leads.
func (l *Ledger) SetupWithManager(mgr ctrl.Manager) error {
	return mgr.Add(&watch{ledger: l, cache: mgr.GetCache()})
}

// watch is the ledger at work.
type watch struct {
	ledger *Ledger
	cache  cache.Cache
}

// NeedLeaderElection: two ledgers would count everything twice.
func (*watch) NeedLeaderElection() bool { return true }

// Start watches until the context ends.
func (w *watch) Start(ctx context.Context) error {
	for _, kind := range []client.Object{&v1alpha1.AlertRemediation{}, &v1alpha1.WorkflowRun{}, &v1alpha1.RemediationPolicy{}} {
		informer, err := w.cache.GetInformer(ctx, kind)
		if err != nil {
			return fmt.Errorf("watching %T: %w", kind, err)
		}
		registration, err := informer.AddEventHandler(w.ledger.handler())
		if err != nil {
			return fmt.Errorf("watching %T: %w", kind, err)
		}
		defer func() { _ = informer.RemoveEventHandler(registration) }()
	}
	<-ctx.Done()
	return nil
}

// handler enters what changed. What was there before is no news.
func (l *Ledger) handler() toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(obj any, initial bool) {
			if !initial {
				l.enter(nil, obj)
			}
		},
		UpdateFunc: func(before, after any) { l.enter(before, after) },
	}
}

// enter writes a line for each transition from one state of an object to the next,
// and counts it. before is nil for an object that is new.
func (l *Ledger) enter(before, after any) {
	var lines []Line
	switch now := after.(type) {
	case *v1alpha1.AlertRemediation:
		was, _ := before.(*v1alpha1.AlertRemediation)
		lines = remediation(was, now)
		l.metrics.remediation(was, now)
	case *v1alpha1.WorkflowRun:
		was, _ := before.(*v1alpha1.WorkflowRun)
		lines = run(was, now)
	case *v1alpha1.RemediationPolicy:
		was, _ := before.(*v1alpha1.RemediationPolicy)
		lines = policy(was, now)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range lines {
		line.Time = l.clock.Now().UTC().Format(time.RFC3339Nano)
		_ = l.out.Encode(line) // nobody is left to be told that stdout is gone
	}
}
