// Package lease holds the leases on targets: one live run a target, from its
// first claim to the verdict; and of nodes, in addition, the leases by which
// node remediators of all makes keep out of each other's way. Only the run
// controller writes them; the gates ask whether somebody else holds one.
package lease

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// prefix tells the leases on targets from the leader's.
const prefix = "target-"

// Name returns the name of the lease on a target.
func Name(uid types.UID) string { return prefix + string(uid) }

// ValidUID reports whether a lease can be named after a uid. One that the API
// server has given to an object always passes.
func ValidUID(uid types.UID) bool {
	return uid != "" && len(validation.IsDNS1123Subdomain(Name(uid))) == 0
}

// errNoUID means that a reference names an object by what can't be a uid.
var errNoUID = errors.New("the uid of the target is not one that an API server gives")

// Identity returns how a run signs a lease: namespace/name/uid.
func Identity(run *v1alpha1.WorkflowRun) string {
	return run.Namespace + "/" + run.Name + "/" + string(run.UID)
}

// Held reports who holds the lease on a target, and whether that keeps self (the
// identity of a run; empty while planning) from it. A stale lease keeps nobody.
func Held(ctx context.Context, reader client.Reader, namespace string, uid types.UID, self string, now time.Time) (holder string, busy bool, err error) {
	if !ValidUID(uid) {
		return "", true, fmt.Errorf("reading the lease on %.64q: %w", uid, errNoUID)
	}
	lease := &coordinationv1.Lease{}
	err = reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: Name(uid)}, lease)
	if apierrors.IsNotFound(err) {
		return "", false, nil
	}
	if err != nil {
		return "", true, fmt.Errorf("reading lease %s: %w", Name(uid), err)
	}
	holder = ptr.Deref(lease.Spec.HolderIdentity, "")
	asking, _, err := find(ctx, reader, self)
	if err != nil {
		return holder, true, err
	}
	state, err := observe(ctx, reader, holder)
	if err != nil {
		return holder, true, err
	}
	return holder, decide(state, self, asking, overdue(lease, now)) == theirs, nil
}

// Keeper takes and gives back leases: those on targets in the operator's
// namespace, those on nodes in the one that node remediators share.
type Keeper struct {
	client    client.Client
	live      client.Reader
	clock     clock.PassiveClock
	namespace string
	nodes     string
}

// New returns a keeper of the leases on targets in a namespace, and of those on
// nodes in another. It reads live only: a cached lease would let two runs believe
// that they hold it.
func New(c client.Client, live client.Reader, clk clock.PassiveClock, namespace, nodes string) *Keeper {
	return &Keeper{client: c, live: live, clock: clk, namespace: namespace, nodes: nodes}
}

// Acquire makes the run hold the leases on these targets for a term, sorted, so
// that no two runs wait for each other. It returns the identity of the first other
// holder it has to wait for, or nothing. The deadline is in the lease, in the
// operator's namespace: nothing that a user changes in the run's namespace moves it.
func (k *Keeper) Acquire(ctx context.Context, run *v1alpha1.WorkflowRun, term time.Duration, targets ...types.UID) (busy string, err error) {
	for _, uid := range slices.Compact(slices.Sorted(slices.Values(targets))) {
		if busy, err = k.acquire(ctx, run, term, uid); busy != "" || err != nil {
			return busy, err
		}
	}
	return "", nil
}

func (k *Keeper) acquire(ctx context.Context, run *v1alpha1.WorkflowRun, term time.Duration, uid types.UID) (busy string, err error) {
	if !ValidUID(uid) {
		return "", fmt.Errorf("taking the lease on %.64q: %w", uid, errNoUID)
	}
	lease := &coordinationv1.Lease{}
	err = k.live.Get(ctx, client.ObjectKey{Namespace: k.namespace, Name: Name(uid)}, lease)
	if apierrors.IsNotFound(err) {
		return "", k.create(ctx, run, term, uid)
	}
	if err != nil {
		return "", fmt.Errorf("reading lease %s: %w", Name(uid), err)
	}
	holder := ptr.Deref(lease.Spec.HolderIdentity, "")
	state, err := observe(ctx, k.live, holder)
	if err != nil {
		return "", err
	}
	late := overdue(lease, k.clock.Now())
	switch standing := decide(state, Identity(run), run, late); {
	case standing == ours && !late:
		return "", nil
	case standing == theirs:
		return holder, nil
	}
	return "", k.takeOver(ctx, run, term, lease)
}

// Lost returns who holds the lease on one of the targets that the run took before,
// or nothing while the run holds them all. After its deadline another run may have
// taken it over; a lease that was deleted is held by none.
func (k *Keeper) Lost(ctx context.Context, run *v1alpha1.WorkflowRun, targets ...types.UID) (holder string, err error) {
	for _, uid := range slices.Compact(slices.Sorted(slices.Values(targets))) {
		lease := &coordinationv1.Lease{}
		err := k.live.Get(ctx, client.ObjectKey{Namespace: k.namespace, Name: Name(uid)}, lease)
		if apierrors.IsNotFound(err) {
			return "no run", nil
		}
		if err != nil {
			return "", fmt.Errorf("reading lease %s: %w", Name(uid), err)
		}
		if holder := ptr.Deref(lease.Spec.HolderIdentity, ""); holder != Identity(run) {
			return "run " + holder, nil
		}
	}
	return "", nil
}

// create fails where another run was faster; the next look tells whose it is.
func (k *Keeper) create(ctx context.Context, run *v1alpha1.WorkflowRun, term time.Duration, uid types.UID) error {
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: k.namespace,
			Name:      Name(uid),
			Labels:    map[string]string{"app.kubernetes.io/managed-by": "kubernaut"},
		},
	}
	k.sign(lease, run, term)
	if err := k.client.Create(ctx, lease); err != nil {
		return fmt.Errorf("taking lease %s: %w", lease.Name, err)
	}
	return nil
}

// takeOver replaces the holder of exactly the lease that was read: its
// resourceVersion goes along, so of two that saw it stale only one succeeds.
func (k *Keeper) takeOver(ctx context.Context, run *v1alpha1.WorkflowRun, term time.Duration, lease *coordinationv1.Lease) error {
	k.sign(lease, run, term)
	lease.Spec.LeaseTransitions = ptr.To(ptr.Deref(lease.Spec.LeaseTransitions, 0) + 1)
	if err := k.client.Update(ctx, lease); err != nil {
		return fmt.Errorf("taking over lease %s: %w", lease.Name, err)
	}
	return nil
}

// sign makes a run the holder of a lease for a term from now on.
func (k *Keeper) sign(lease *coordinationv1.Lease, run *v1alpha1.WorkflowRun, term time.Duration) {
	lease.Spec.HolderIdentity = ptr.To(Identity(run))
	lease.Spec.AcquireTime = ptr.To(metav1.NewMicroTime(k.clock.Now()))
	lease.Spec.LeaseDurationSeconds = ptr.To(int32(min(term, LongestTerm) / time.Second)) //nolint:gosec // min: 49 h are 176400 s
}

// LongestTerm is how long a lease on a target can be held: the longest time-out of
// a run, the longest deadline of a verdict, and an hour. A lease that an older
// version wrote without its term has this one.
const LongestTerm = 49 * time.Hour

// overdue reports whether the deadline of a lease on a target has passed. Both times
// are of the operator's clock.
func overdue(lease *coordinationv1.Lease, now time.Time) bool {
	if lease.Spec.AcquireTime == nil {
		return false
	}
	term := LongestTerm
	if seconds := lease.Spec.LeaseDurationSeconds; seconds != nil {
		term = time.Duration(*seconds) * time.Second
	}
	return !now.Before(lease.Spec.AcquireTime.Add(term))
}

// Release gives back every lease the run holds. What another run took over stays.
func (k *Keeper) Release(ctx context.Context, run *v1alpha1.WorkflowRun) error {
	var leases coordinationv1.LeaseList
	if err := k.live.List(ctx, &leases, client.InNamespace(k.namespace)); err != nil {
		return fmt.Errorf("listing the leases on targets: %w", err)
	}
	var faults []error
	for i := range leases.Items {
		lease := &leases.Items[i]
		if !strings.HasPrefix(lease.Name, prefix) || ptr.Deref(lease.Spec.HolderIdentity, "") != Identity(run) {
			continue
		}
		exactly := client.Preconditions{UID: &lease.UID, ResourceVersion: &lease.ResourceVersion}
		if err := k.client.Delete(ctx, lease, exactly); client.IgnoreNotFound(err) != nil {
			faults = append(faults, fmt.Errorf("giving back lease %s: %w", lease.Name, err))
		}
	}
	for _, node := range Nodes(run) {
		faults = append(faults, k.releaseNode(ctx, run, node.Name))
	}
	return errors.Join(faults...)
}

// split reads an identity; ok is false for what no run ever signed.
func split(identity string) (key client.ObjectKey, uid types.UID, ok bool) {
	parts := strings.Split(identity, "/")
	if len(parts) != 3 || slices.Contains(parts, "") {
		return client.ObjectKey{}, "", false
	}
	return client.ObjectKey{Namespace: parts[0], Name: parts[1]}, types.UID(parts[2]), true
}
