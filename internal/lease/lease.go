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

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// prefix tells the leases on targets from the leader's.
const prefix = "target-"

// Name returns the name of the lease on a target.
func Name(uid types.UID) string { return prefix + string(uid) }

// Identity returns how a run signs a lease: namespace/name/uid.
func Identity(run *v1alpha1.WorkflowRun) string {
	return run.Namespace + "/" + run.Name + "/" + string(run.UID)
}

// Held reports who holds the lease on a target, and whether that keeps self (the
// identity of a run; empty while planning) from it. A stale lease keeps nobody.
func Held(ctx context.Context, reader client.Reader, namespace string, uid types.UID, self string) (holder string, busy bool, err error) {
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
	return holder, decide(state, self, asking) == theirs, nil
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

// Acquire makes the run hold the leases on these targets, sorted, so that no two
// runs wait for each other. It returns the identity of the first other holder it
// has to wait for, or nothing.
func (k *Keeper) Acquire(ctx context.Context, run *v1alpha1.WorkflowRun, targets ...types.UID) (busy string, err error) {
	for _, uid := range slices.Compact(slices.Sorted(slices.Values(targets))) {
		if busy, err = k.acquire(ctx, run, uid); busy != "" || err != nil {
			return busy, err
		}
	}
	return "", nil
}

func (k *Keeper) acquire(ctx context.Context, run *v1alpha1.WorkflowRun, uid types.UID) (busy string, err error) {
	lease := &coordinationv1.Lease{}
	err = k.live.Get(ctx, client.ObjectKey{Namespace: k.namespace, Name: Name(uid)}, lease)
	if apierrors.IsNotFound(err) {
		return "", k.create(ctx, run, uid)
	}
	if err != nil {
		return "", fmt.Errorf("reading lease %s: %w", Name(uid), err)
	}
	holder := ptr.Deref(lease.Spec.HolderIdentity, "")
	state, err := observe(ctx, k.live, holder)
	if err != nil {
		return "", err
	}
	switch decide(state, Identity(run), run) {
	case ours:
		return "", nil
	case theirs:
		return holder, nil
	}
	return "", k.takeOver(ctx, run, lease)
}

// create fails where another run was faster; the next look tells whose it is.
func (k *Keeper) create(ctx context.Context, run *v1alpha1.WorkflowRun, uid types.UID) error {
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: k.namespace,
			Name:      Name(uid),
			Labels:    map[string]string{"app.kubernetes.io/managed-by": "kubernaut"},
		},
		Spec: coordinationv1.LeaseSpec{
			HolderIdentity: ptr.To(Identity(run)),
			AcquireTime:    ptr.To(metav1.NewMicroTime(k.clock.Now())),
		},
	}
	if err := k.client.Create(ctx, lease); err != nil {
		return fmt.Errorf("taking lease %s: %w", lease.Name, err)
	}
	return nil
}

// takeOver replaces the holder of exactly the lease that was read: its
// resourceVersion goes along, so of two that saw it stale only one succeeds.
func (k *Keeper) takeOver(ctx context.Context, run *v1alpha1.WorkflowRun, lease *coordinationv1.Lease) error {
	lease.Spec.HolderIdentity = ptr.To(Identity(run))
	lease.Spec.AcquireTime = ptr.To(metav1.NewMicroTime(k.clock.Now()))
	lease.Spec.LeaseTransitions = ptr.To(ptr.Deref(lease.Spec.LeaseTransitions, 0) + 1)
	if err := k.client.Update(ctx, lease); err != nil {
		return fmt.Errorf("taking over lease %s: %w", lease.Name, err)
	}
	return nil
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
