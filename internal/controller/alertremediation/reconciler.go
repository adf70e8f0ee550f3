// Package alertremediation drives an alert from admission to a verified end:
// admit, diagnosed, plan, approve, execute, verify, roll back. The conditions of
// the object are the only memory.
package alertremediation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/clearance"
	"github.com/kubernaut/kubernaut/internal/evidence"
	"github.com/kubernaut/kubernaut/internal/phase"
	"github.com/kubernaut/kubernaut/internal/policy"
	"github.com/kubernaut/kubernaut/pkg/action"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// resolver finds what an alert is about.
type resolver interface {
	Trace(ctx context.Context, namespace string, a v1alpha1.Alert) (evidence.Found, error)
	Climb(ctx context.Context, ref v1alpha1.ObjectReference) (v1alpha1.TargetReference, error)
}

// diagnosis takes the first look at what an alert is about, and puts into its
// status what it sees.
type diagnosis interface {
	Look(ctx context.Context, ar *v1alpha1.AlertRemediation) error
}

// gatherer sees how a target is.
type gatherer interface {
	Gather(ctx context.Context, subject v1alpha1.ObjectReference, target v1alpha1.TargetReference) *analysis.Snapshot
}

// desk knows what the gates say, and whether an alert fires.
type desk interface {
	Judge(ctx context.Context, c clearance.Case) (policy.Judgement, error)
	Reserve(ctx context.Context, policy string, reservation v1alpha1.Reservation) error
	AlertState(ctx context.Context, alert string, target v1alpha1.TargetReference) (v1alpha1.AlertState, string, error)
}

// fingerprinter tells when a waiting plan must be made again.
type fingerprinter interface {
	// Fingerprint differs once something changed that a waiting plan depends on.
	Fingerprint(ctx context.Context, ar *v1alpha1.AlertRemediation) (string, error)
}

// Config is what the reconciler is told about its surroundings.
type Config struct {
	// Namespace of the operator.
	Namespace string
	// Identity of this replica and its version, for status.observedBy.
	Identity string
	// Concurrency is how many remediations are driven at once.
	Concurrency int
}

// Needs are the parts of the house this controller works with.
type Needs struct {
	Client    client.Client
	Live      client.Reader // past the cache: for decisions that must not rest on a stale list; of workloads one picture in each pass
	Clock     clock.PassiveClock
	Resolver  resolver
	Diagnosis diagnosis
	Gatherer  gatherer
	Desk      desk
	Changes   fingerprinter
	Guards    func(ctx context.Context) (string, error) // in force, as a fingerprint; nil: not asked
	Catalog   action.Catalog
	History   action.History
	Events    events.EventRecorder
}

// Reconciler drives AlertRemediations.
type Reconciler struct {
	Needs
	config Config

	turnstile *turnstile
	// turnedAway holds what was found for each remediation that found the turnstile busy.
	turnedAway *lru.Cache
	// admitted holds the latest remediation of each standing, for as long as the
	// cache may not show it.
	admitted *lru.Cache
	// planned holds when each waiting plan was made last, and what it depends on.
	planned *lru.Cache
}

// New returns a reconciler.
func New(needs Needs, config Config) *Reconciler {
	return &Reconciler{
		Needs: needs, config: config, turnstile: newTurnstile(),
		turnedAway: lru.New(maxRemembered), admitted: lru.New(maxRemembered), planned: lru.New(maxWaiting),
	}
}

// maxRemembered is many more remediations than are admitted while a cache falls
// behind, or are turned away at once. What is forgotten is looked up again.
const maxRemembered = 4096

// SetupWithManager registers the reconciler.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager) error {
	index := func(obj client.Object) []string {
		if target := obj.(*v1alpha1.AlertRemediation).Status.Target; target != nil {
			return []string{string(target.UID)}
		}
		return nil
	}
	if err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.AlertRemediation{}, targetUID, index); err != nil {
		return fmt.Errorf("indexing remediations by target: %w", err)
	}
	options := phase.Workers(r.config.Concurrency, phase.Namespace)
	options.ReconciliationTimeout = passDeadline
	return ctrl.NewControllerManagedBy(mgr).
		Named("alertremediation").
		For(&v1alpha1.AlertRemediation{}).
		Owns(&v1alpha1.WorkflowRun{}).
		WithOptions(options).
		Complete(phase.Reconciler(mgr.GetClient(), r.Live, r))
}

// Reconcile drives one alert from admission to a verified end.
func (r *Reconciler) Reconcile(ctx context.Context, ar *v1alpha1.AlertRemediation) (ctrl.Result, error) {
	if !ar.DeletionTimestamp.IsZero() || ar.Finished() {
		return ctrl.Result{}, nil
	}
	pass := phase.Begin(r.Client, ar)
	defer r.leave(pass)
	if !settled(ar, v1alpha1.Planned) {
		ctx = evidence.AtAGlance(ctx) // what is planned is planned for what was seen
	}
	outcome, err := phase.Run(ctx, pass, r.admit, r.diagnosed, r.plan, r.approve, r.execute, r.verify, r.rollBack)
	if errors.Is(err, errBusy) {
		return phase.Result(phase.Wait(wait.Jitter(admissionRetry, 0.5)), nil) // nothing is known yet that could be saved
	}
	outcome, err = r.expire(ar, outcome, err)
	r.escalateOnce(ctx, pass.Obj)
	saved := r.save(ctx, pass)
	r.announce(pass)                                         // events: only what was saved
	result, err := phase.Result(outcome, cmp.Or(err, saved)) // what broke first; a stale save alone is retried soon
	return r.comeBack(ar, result, err)
}

// pass is one reconcile of one remediation.
type pass = phase.Pass[*v1alpha1.AlertRemediation]

// save writes the status, with what is derived from it.
func (r *Reconciler) save(ctx context.Context, p *pass) error {
	derive(p.Obj, r.config.Identity, r.Clock.Now())
	return p.Save(ctx)
}

// world is what an action may see while it plans for a step.
func (r *Reconciler) world(stamp string) action.World {
	return action.World{Objects: r.Live, History: r.History, Stamp: stamp, Now: r.Clock.Now()}
}

// How long a phase waits before it looks again, where nothing that is watched would wake it.
const (
	unreadableRetry = 2 * time.Second
	gateRetry       = 5 * time.Second
	admissionRetry  = time.Second
)

// passDeadline ends a pass that an API server without answers holds up: the worker is
// wanted, and the target's turnstile. A first look and the gates take far less.
const passDeadline = time.Minute
