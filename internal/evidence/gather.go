// Package evidence gathers what the cluster shows around an alert: bounded,
// redacted, and honest about what could not be read.
package evidence

import (
	"context"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// Gatherer reads what a diagnosis needs, live.
type Gatherer struct {
	reader client.Reader
	logs   Logs
	clock  clock.PassiveClock
}

// NewGatherer returns a gatherer that reads objects with reader and logs with logs.
func NewGatherer(reader client.Reader, logs Logs, clk clock.PassiveClock) *Gatherer {
	return &Gatherer{reader: reader, logs: logs, clock: clk}
}

// Gather returns what the cluster shows around the subject and its target. It
// never fails and never takes longer than its deadline: what could not be read
// in time is named in Missing.
func (g *Gatherer) Gather(ctx context.Context, subject v1alpha1.ObjectReference, target v1alpha1.TargetReference) *analysis.Snapshot {
	return &analysis.Snapshot{TakenAt: g.clock.Now(), Subject: subject, Target: target,
		Missing: []analysis.Missing{{What: target.String(), Why: "not yet gathered"}}}
}
