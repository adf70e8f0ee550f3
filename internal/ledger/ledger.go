// Package ledger keeps account of what happens to the objects of Kubernaut's
// kinds, whoever wrote it: each transition is one line of JSON for whoever
// collects logs, and a count for Prometheus. It watches what was stored and asks
// nobody, so that no controller can forget it, and one that is wrong can't hide.
package ledger

import (
	"context"
	"encoding/json"
	"errors"
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

// Ledger writes lines and counts. Every replica writes lines, so that none is lost
// with a leader that dies before it wrote what it did, or while nobody leads: lines
// that a standby only kept until it leads would be lost with it, or with a lease
// that the restarted leader wins. Nothing is kept in memory, and one transition has
// the same id in each replica's lines. What is counted is counted by the leader only: sums must be right.
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

// SetupWithManager makes the ledger write lines while this replica runs, and count
// while it leads.
func (l *Ledger) SetupWithManager(mgr ctrl.Manager) error {
	return errors.Join(mgr.Add(l.writing(mgr.GetCache())), mgr.Add(l.counting(mgr.GetCache())))
}

// writing writes a line for what changes, and for where everything stands at first.
func (l *Ledger) writing(from informers) *watch {
	return &watch{informers: from, kinds: []client.Object{&v1alpha1.AlertRemediation{}, &v1alpha1.WorkflowRun{}, &v1alpha1.RemediationPolicy{}},
		handler: toolscache.ResourceEventHandlerDetailedFuncs{
			AddFunc: func(obj any, initial bool) {
				if initial {
					l.find(obj)
				} else {
					l.enter(nil, obj)
				}
			},
			UpdateFunc: l.enter,
		}}
}

// counting counts what changes from now on: what was there before, somebody counted.
func (l *Ledger) counting(from informers) *watch {
	count := func(before, after any) {
		was, _ := before.(*v1alpha1.AlertRemediation)
		if now, ok := after.(*v1alpha1.AlertRemediation); ok {
			l.metrics.remediation(was, now)
		}
	}
	return &watch{informers: from, kinds: []client.Object{&v1alpha1.AlertRemediation{}}, leads: true,
		handler: toolscache.ResourceEventHandlerDetailedFuncs{
			AddFunc: func(obj any, initial bool) {
				if !initial {
					count(nil, obj)
				}
			},
			UpdateFunc: count,
		}}
}

// informers tell of the objects of a kind.
type informers interface {
	GetInformer(ctx context.Context, kind client.Object, options ...cache.InformerGetOption) (cache.Informer, error)
}

// watch is the ledger at work.
type watch struct {
	informers informers
	kinds     []client.Object
	handler   toolscache.ResourceEventHandler
	leads     bool
}

// NeedLeaderElection reports whether only the leader does this.
func (w *watch) NeedLeaderElection() bool { return w.leads }

// Start watches until the context ends.
func (w *watch) Start(ctx context.Context) error {
	for _, kind := range w.kinds {
		informer, err := w.informers.GetInformer(ctx, kind)
		if err != nil {
			return fmt.Errorf("watching %T: %w", kind, err)
		}
		registration, err := informer.AddEventHandler(w.handler)
		if err != nil {
			return fmt.Errorf("watching %T: %w", kind, err)
		}
		defer func() { _ = informer.RemoveEventHandler(registration) }()
	}
	<-ctx.Done()
	return nil
}

// enter writes a line for each transition from one state of an object to the next.
// before is nil for an object that is new.
func (l *Ledger) enter(before, after any) {
	l.write(transitions(before, after))
}

// find writes where an object stands that was there before this replica watched: of
// how it came there, perhaps nobody wrote a line.
func (l *Ledger) find(obj any) {
	if !stands(obj, l.clock.Now()) {
		return
	}
	lines := transitions(nil, obj)
	for i := range lines {
		lines[i].Found = true
	}
	l.write(lines)
}

func (l *Ledger) write(lines []Line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range lines {
		line.Time = l.clock.Now().UTC().Format(time.RFC3339Nano)
		_ = l.out.Encode(line) // nobody is left to be told that stdout is gone
	}
}
