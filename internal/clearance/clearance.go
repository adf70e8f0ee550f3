// Package clearance gathers what the gates look at, and asks internal/policy.
// What can't be read is recorded, never guessed: the gate that needs it refuses.
package clearance

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/evidence"
	"github.com/kubernaut/kubernaut/internal/policy"
	"github.com/kubernaut/kubernaut/internal/sharedread"
)

type (
	// Case is what is to be judged.
	Case = policy.Case
	// Step is one action of a case, with its operations.
	Step = policy.Step
)

// Tenant asks the API server as the account that would act in a namespace.
type Tenant interface {
	// Review returns a *gate.Denied where the account may not do one of the operations.
	Review(ctx context.Context, ops ...v1alpha1.Operation) error
	// DryRun returns a *gate.Rejected where the API server does not accept the operation.
	DryRun(ctx context.Context, op v1alpha1.Operation) error
	// Rights returns a digest that differs once the account's rights have changed.
	Rights(ctx context.Context) (string, error)
}

// Alertmanager knows which alerts fire.
type Alertmanager interface {
	// Firing returns the labels of every alert of that name that fires, silenced or not.
	Firing(ctx context.Context, alertName string) ([]map[string]string, error)
	// Since returns when it was started, with no memory of what fired before.
	Since(ctx context.Context) (time.Time, error)
}

// Resolver finds what an alert is about.
type Resolver interface {
	// Resolve returns an error that wraps evidence.ErrNoTarget where that is nothing, or gone.
	Resolve(ctx context.Context, namespace string, a v1alpha1.Alert) (evidence.Found, error)
}

// Deps are where a desk looks.
type Deps struct {
	// Client is cached; it reads remediations, and writes reservations.
	Client client.Client
	// Live reads past the cache, the emergency stop and the policies above all.
	Live client.Reader
	// Open returns the tenant of a namespace.
	Open func(namespace string) (Tenant, error)
	// Guards reads how the admission policies stand that keep approvals honest.
	Guards func(ctx context.Context, reader client.Reader) (policy.Guards, error)
	// Outdated says which CustomResourceDefinition is older than the program; nil: that is not asked.
	Outdated func(ctx context.Context) (string, error)
	// Forge tries in a namespace whether guard 1 refuses a forged approval, and says so if it does not.
	Forge func(ctx context.Context, namespace string) (fault string, err error)
	// Alertmanager to ask; nil: none is configured, and the webhook's word counts.
	Alertmanager Alertmanager
	// Resolver of the objects that alerts name.
	Resolver Resolver
	// Clock tells the time.
	Clock clock.PassiveClock
	// Namespace of the operator.
	Namespace string
	// NodeLeases is the namespace in which the remediators of nodes keep their leases.
	NodeLeases string
	// Cluster is the name of this cluster; empty: it has none.
	Cluster string
	// ClusterLabel is the label in which alerts name their cluster.
	ClusterLabel string
	// Protected are the namespaces that configuration protects beside the built-in ones.
	Protected []string
}

// Desk answers whether a plan may be carried out.
type Desk struct {
	Deps
	shared client.Reader // as live, for what every case wants to know

	// What Fingerprint reads for all waiting plans together.
	recentStop   *recent[bool]
	recentGuards *recent[policy.Guards]
	rights       *recentRights
	// proven holds the approvals for which guard 1 was seen to refuse a forgery.
	proven *lru.Cache
}

// maxProven is many more approvals than wait at once. What is forgotten is tried again.
const maxProven = 4096

// New returns a desk.
func New(deps Deps) *Desk {
	return &Desk{
		Deps: deps, shared: sharedread.New(deps.Live),
		recentStop: &recent[bool]{keep: stopKept}, recentGuards: &recent[policy.Guards]{keep: guardsKept}, rights: newRecentRights(),
		proven: lru.New(maxProven),
	}
}

// patience is how long gathering the facts of one case may take: a source that
// does not answer is one that could not be read.
const patience = 20 * time.Second

// Judge evaluates every gate that is about the case. The error is the caller's
// own cancellation; a source that can't be read is a refusal.
func (d *Desk) Judge(ctx context.Context, c Case) (policy.Judgement, error) {
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	facts := d.look(bounded, c)
	d.ask(bounded, &facts)
	if policy.Counting(facts) {
		facts.Unenforced = d.forge(bounded, facts)
	}
	if ctx.Err() != nil {
		return policy.Judgement{}, context.Cause(ctx)
	}
	return policy.Judge(facts), nil
}

// forge tries once for each approval whether guard 1 is in force.
func (d *Desk) forge(ctx context.Context, facts policy.Facts) policy.Fact[string] {
	answer := policy.Answer(facts)
	if _, ok := d.proven.Get(answer); ok {
		return policy.Fact[string]{}
	}
	fault, err := d.Forge(ctx, facts.Namespace())
	if fault == "" && err == nil {
		d.proven.Add(answer, true)
	}
	return policy.Fact[string]{Value: fault, Err: err}
}

// JudgeEach evaluates the gates that are asked again before every operation: the
// emergency stop and the pause.
func (d *Desk) JudgeEach(ctx context.Context, c Case) []policy.Refusal {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return policy.JudgeEach(d.look(ctx, c))
}

// contention is how often a place is tried for while others write the same policy.
var contention = wait.Backoff{Steps: 10, Duration: 5 * time.Millisecond, Factor: 1.6, Jitter: 0.5}

// Reserve takes a place in the policy (namespace/name) for a run. Somebody
// else's write in between makes it look again, so no place is given twice. A
// *policy.RefusedError says that there is none; the same run gets its place once.
func (d *Desk) Reserve(ctx context.Context, policyName string, wanted v1alpha1.Reservation) error {
	namespace, name, ok := strings.Cut(policyName, "/")
	if !ok {
		return fmt.Errorf("reserving a place for %s: %q names no policy", wanted.Run, policyName)
	}
	r := reserving{desk: d, policy: types.NamespacedName{Namespace: namespace, Name: name}, wanted: wanted}
	err := retry.RetryOnConflict(contention, func() error { return r.take(ctx) })
	if err != nil {
		return fmt.Errorf("reserving a place for %s in RemediationPolicy %s: %w", wanted.Run, policyName, err)
	}
	return nil
}
