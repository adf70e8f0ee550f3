package lease

import (
	"context"
	"fmt"
	"slices"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// nodeTerm is how long a lease on a node counts after it was renewed; it is
// renewed once a third of that has passed.
const nodeTerm = 5 * time.Minute

// NodeRenewal is how often a run that waits renews its leases on nodes.
const NodeRenewal = nodeTerm / 3

// NodeName returns the name of the lease on a node, as other node remediators name it.
func NodeName(node string) string { return "node-" + node }

// Nodes returns the nodes that a run is about, each once.
func Nodes(run *v1alpha1.WorkflowRun) []v1alpha1.TargetReference {
	targets := []v1alpha1.TargetReference{run.Spec.Target}
	for _, step := range run.Spec.Steps {
		targets = append(targets, run.StepTarget(step))
	}
	for _, step := range run.Status.Steps {
		for _, op := range step.Operations {
			targets = append(targets, v1alpha1.TargetReference{ObjectReference: op.Object, UID: op.Precondition.UID})
		}
	}
	return NodesOf(targets...)
}

// NodesOf returns the nodes among targets, each once.
func NodesOf(targets ...v1alpha1.TargetReference) []v1alpha1.TargetReference {
	var nodes []v1alpha1.TargetReference
	for _, target := range targets {
		known := slices.ContainsFunc(nodes, func(n v1alpha1.TargetReference) bool { return n.Name == target.Name })
		if IsNode(target.ObjectReference) && !known {
			nodes = append(nodes, target)
		}
	}
	return nodes
}

// IsNode reports whether a reference names a node. A node has no namespace: what
// names one with a namespace names no object.
func IsNode(ref v1alpha1.ObjectReference) bool {
	return ref.APIVersion == "v1" && ref.Kind == "Node" && ref.Namespace == ""
}

// NodeHeld reports which other remediator holds the lease (namespace/name) on a
// node. Our own runs keep each other off by the leases on their targets.
func NodeHeld(ctx context.Context, reader client.Reader, key client.ObjectKey, now time.Time) (holder string, err error) {
	lease := &coordinationv1.Lease{}
	err = reader.Get(ctx, key, lease)
	if apierrors.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading lease %s: %w", key, err)
	}
	holder = ptr.Deref(lease.Spec.HolderIdentity, "")
	run, _, err := find(ctx, reader, holder)
	if run != nil || err != nil || expired(lease, now) {
		return "", err
	}
	return holder, nil
}

// otherClock is how much longer a lease on a node counts than it says: another
// remediator wrote its renewTime by a clock that may be behind the operator's.
const otherClock = time.Minute

// expired reports whether a lease was not renewed in time. One without a renewTime
// or a duration is in force.
func expired(lease *coordinationv1.Lease, now time.Time) bool {
	if lease.Spec.RenewTime == nil || lease.Spec.LeaseDurationSeconds == nil {
		return false
	}
	term := time.Duration(*lease.Spec.LeaseDurationSeconds) * time.Second
	return now.After(lease.Spec.RenewTime.Add(term + otherClock))
}

// AcquireNodes makes the run hold the leases on these nodes, or renews them. It
// returns the first node whose lease somebody else holds, and who, or nothing.
func (k *Keeper) AcquireNodes(ctx context.Context, run *v1alpha1.WorkflowRun, nodes ...v1alpha1.TargetReference) (node, holder string, err error) {
	for _, n := range nodes {
		if holder, err = k.acquireNode(ctx, run, n); holder != "" || err != nil {
			return n.Name, holder, err
		}
	}
	return "", "", nil
}

func (k *Keeper) acquireNode(ctx context.Context, run *v1alpha1.WorkflowRun, node v1alpha1.TargetReference) (holder string, err error) {
	lease, now := &coordinationv1.Lease{}, k.clock.Now()
	err = k.live.Get(ctx, client.ObjectKey{Namespace: k.nodes, Name: NodeName(node.Name)}, lease)
	if apierrors.IsNotFound(err) {
		return "", k.createNode(ctx, run, node)
	}
	if err != nil {
		return "", fmt.Errorf("reading lease %s: %w", NodeName(node.Name), err)
	}
	standing, err := k.nodeStanding(ctx, lease, run)
	switch {
	case err != nil:
		return "", err
	case standing == theirs:
		return ptr.Deref(lease.Spec.HolderIdentity, ""), nil
	case standing == ours && lease.Spec.RenewTime != nil && now.Sub(lease.Spec.RenewTime.Time) < NodeRenewal:
		return "", nil
	case standing == stale:
		lease.Spec.AcquireTime = ptr.To(metav1.NewMicroTime(now))
		lease.Spec.LeaseTransitions = ptr.To(ptr.Deref(lease.Spec.LeaseTransitions, 0) + 1)
	}
	hold(lease, run, now)
	if err := k.client.Update(ctx, lease); err != nil {
		return "", fmt.Errorf("renewing lease %s: %w", lease.Name, err)
	}
	return "", nil
}

// nodeStanding says what a lease on a node means to a run. One of no run that we
// know counts until it runs out, and no longer.
func (k *Keeper) nodeStanding(ctx context.Context, lease *coordinationv1.Lease, run *v1alpha1.WorkflowRun) (standing, error) {
	state, err := observe(ctx, k.live, ptr.Deref(lease.Spec.HolderIdentity, ""))
	if err != nil {
		return theirs, err
	}
	found := decide(state, Identity(run), run, false)
	if state.identity != "" && state.run == nil {
		found = theirs
	}
	if found == theirs && expired(lease, k.clock.Now()) {
		found = stale
	}
	return found, nil
}

// hold signs a lease for a term from now on.
func hold(lease *coordinationv1.Lease, run *v1alpha1.WorkflowRun, now time.Time) {
	lease.Spec.HolderIdentity = ptr.To(Identity(run))
	lease.Spec.LeaseDurationSeconds = ptr.To(int32(nodeTerm / time.Second))
	lease.Spec.RenewTime = ptr.To(metav1.NewMicroTime(now))
}

// createNode fails where somebody else was faster; the next look tells who. The
// lease goes with its node.
func (k *Keeper) createNode(ctx context.Context, run *v1alpha1.WorkflowRun, node v1alpha1.TargetReference) error {
	lease, now := &coordinationv1.Lease{}, k.clock.Now()
	lease.Namespace, lease.Name = k.nodes, NodeName(node.Name)
	lease.OwnerReferences = []metav1.OwnerReference{{APIVersion: node.APIVersion, Kind: node.Kind, Name: node.Name, UID: node.UID}}
	lease.Spec.AcquireTime = ptr.To(metav1.NewMicroTime(now))
	hold(lease, run, now)
	if err := k.client.Create(ctx, lease); err != nil {
		return fmt.Errorf("taking lease %s: %w", lease.Name, err)
	}
	return nil
}

// releaseNode gives the lease on a node back, if the run holds it. Where the
// right was taken away meanwhile it runs out by itself.
func (k *Keeper) releaseNode(ctx context.Context, run *v1alpha1.WorkflowRun, node string) error {
	lease := &coordinationv1.Lease{}
	err := k.live.Get(ctx, client.ObjectKey{Namespace: k.nodes, Name: NodeName(node)}, lease)
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading lease %s: %w", NodeName(node), err)
	}
	if ptr.Deref(lease.Spec.HolderIdentity, "") != Identity(run) {
		return nil
	}
	exactly := client.Preconditions{UID: &lease.UID, ResourceVersion: &lease.ResourceVersion}
	if err := k.client.Delete(ctx, lease, exactly); client.IgnoreNotFound(err) != nil && !apierrors.IsForbidden(err) {
		return fmt.Errorf("giving back lease %s: %w", lease.Name, err)
	}
	return nil
}
