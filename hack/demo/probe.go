package main

import (
	"context"
	"sync"
	"time"
)

// probe asks a Service twice a second and remembers when it last began to answer.
type probe struct {
	mu      sync.Mutex
	healthy bool
	since   time.Time
	stop    context.CancelFunc
}

// probe starts asking the Service of an incident.
func (t *tour) probe(ctx context.Context, i incident) *probe {
	ctx, cancel := context.WithCancel(ctx)
	p := &probe{stop: cancel}
	go func() {
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for {
			p.saw(t.get(ctx, i.namespace, i.workload, "/") == nil, time.Now())
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return p
}

func (p *probe) saw(healthy bool, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if healthy && !p.healthy {
		p.since = at
	}
	p.healthy = healthy
}

// ended stops asking and returns since when the Service has answered; zero when it does not.
func (p *probe) ended() time.Time {
	p.stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.healthy {
		return time.Time{}
	}
	return p.since
}
