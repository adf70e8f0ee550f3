// Package evidence gathers what the cluster shows around an alert: bounded,
// redacted, and honest about what could not be read.
package evidence

import (
	"context"
	"time"

	"golang.org/x/sync/semaphore"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/atonce"
	"github.com/kubernaut/kubernaut/internal/sharedread"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// deadline of one gathering, logs included.
const deadline = 2 * time.Second

// Gatherer reads what a diagnosis needs, live.
type Gatherer struct {
	reader client.Reader
	shared client.Reader // for what other gatherings want to know, too: no workloads, of which each pass has its own picture
	logs   Logs
	clock  clock.PassiveClock
	memory *semaphore.Weighted
	// around keeps what a gathering found out about the neighbours of its target: when a hundred
	// workloads of a namespace fail together, the same few are neighbours of all.
	around *cache.LRUExpireCache
}

// NewGatherer returns a gatherer that reads objects with reader and logs with logs.
func NewGatherer(reader client.Reader, logs Logs, clk clock.PassiveClock) *Gatherer {
	return &Gatherer{reader: reader, shared: sharedread.New(reader), logs: logs, clock: clk, memory: newRoom(), around: cache.NewLRUExpireCache(mostAround)}
}

// Gather returns what the cluster shows around the subject and its target. It
// never fails and never takes longer than its deadline: what could not be read
// in time is named in Missing.
func (g *Gatherer) Gather(ctx context.Context, subject v1alpha1.ObjectReference, target v1alpha1.TargetReference) *analysis.Snapshot {
	s := &analysis.Snapshot{TakenAt: g.clock.Now(), Subject: subject, Target: target}
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	l := &look{Gatherer: g, snapshot: s}
	defer l.leave()
	gather, known := collectors[target.APIVersion+" "+target.Kind]
	if !known {
		l.missing(analysis.Missing{What: target.String(), Why: "evidence about this kind is not gathered"})
		return s
	}
	gather(l, ctx)
	s.Pods = endedLast(s.Pods) // before logs are read of some
	atonce.Do(
		func() { l.readLogs(ctx) },
		func() { l.nodes(ctx) },
		func() { l.configMaps(ctx) },
		func() { l.neighbours(ctx) },
		func() { l.hosts(ctx) },
		func() { l.scaledUp(ctx) },
		func() { l.siblings(ctx) },
	)
	endpoints(s)
	bound(s)
	redactSnapshot(s)
	return s
}

// collectors gather what an alert about a kind of target needs.
var collectors = map[string]func(*look, context.Context){
	"apps/v1 Deployment":  (*look).deployment,
	"apps/v1 StatefulSet": (*look).statefulSet,
	"apps/v1 DaemonSet":   (*look).daemonSet,
	"apps/v1 ReplicaSet":  (*look).replicaSet,
	"v1 Pod":              (*look).pod,
	"v1 Service":          (*look).service,
	"v1 Node":             (*look).machine,
}
