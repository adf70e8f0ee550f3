package workflowrun

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/lease"
	"github.com/kubernaut/kubernaut/internal/plan"
	"github.com/kubernaut/kubernaut/internal/policy"
)

// leaseGrace is added to the time that a run and its verdict may take, for what
// they wait for in between. After that another run may take the lease over.
const leaseGrace = 15 * time.Minute

// leaseTerm is for how long a run takes its leases: its own time, and where a
// remediation made it, that of the verdict, as the policy is now.
func leaseTerm(run *v1alpha1.WorkflowRun, verdict time.Duration) time.Duration {
	term := timeout(run) + leaseGrace
	if run.Remediation() != nil {
		term += verdict
	}
	return term
}

// acquire takes the leases on the targets of the run and of every step, those
// of an undone run included, or waits for the run that holds one. Each of them was
// judged by the gates and is shown by the API server.
func (r *Reconciler) acquire(ctx context.Context, run *v1alpha1.WorkflowRun, steps []plan.Step, verdictAfter time.Duration) error {
	targets := leased(run, steps)
	busy, err := r.Leases.Acquire(ctx, run, leaseTerm(run, verdictAfter), uids(targets)...)
	if err != nil {
		return err
	}
	if busy != "" {
		return &policy.RefusedError{Refusal: policy.Refusal{
			Kind:    policy.Waits,
			Refusal: verdict(v1alpha1.ReasonTargetBusy, "run %s holds the target until its verdict has fallen; this one comes after it", busy),
		}}
	}
	if err := r.keepNodes(ctx, run, lease.NodesOf(targets...)); err != nil {
		return err
	}
	set(run, v1alpha1.Claimed, metav1.ConditionTrue, verdict(v1alpha1.ReasonHeld, ""))
	return nil
}

// leased returns the targets on which a run takes leases.
func leased(run *v1alpha1.WorkflowRun, steps []plan.Step) []v1alpha1.TargetReference {
	all := []v1alpha1.TargetReference{run.Spec.Target}
	for _, step := range steps {
		all = append(all, step.Target)
	}
	return all
}

func uids(targets []v1alpha1.TargetReference) []types.UID {
	all := make([]types.UID, 0, len(targets))
	for _, target := range targets {
		all = append(all, target.UID)
	}
	return all
}

// keepLeases refuses to go on where another run has taken a lease of this run over.
func (r *Reconciler) keepLeases(ctx context.Context, run *v1alpha1.WorkflowRun) error {
	holder, err := r.Leases.Lost(ctx, run, uids(targets(run))...)
	if err != nil {
		return err
	}
	if holder != "" {
		return ends(v1alpha1.ReasonOwnedByOther,
			"this run no longer holds the lease on its target, %s does: the time for which it was taken is over; look at the target, then make another run", holder)
	}
	return nil
}

// shown refuses targets that the API server does not show as the run names them:
// of that kind and scope, in that namespace, with that uid. A lease, or a place in
// a budget, that is taken for a uid would otherwise keep the runs of another
// namespace's object waiting.
func (r *Reconciler) shown(ctx context.Context, targets []v1alpha1.TargetReference) error {
	seen := map[v1alpha1.ObjectReference]types.UID{}
	for _, target := range targets {
		if uid, read := seen[target.ObjectReference]; read && uid == target.UID {
			continue
		}
		if err := r.shownAs(ctx, target); err != nil {
			return err
		}
		seen[target.ObjectReference] = target.UID
	}
	return nil
}

func (r *Reconciler) shownAs(ctx context.Context, target v1alpha1.TargetReference) error {
	gvk := target.GroupVersionKind()
	mapping, err := r.Client.RESTMapper().RESTMapping(gvk.GroupKind(), gvk.Version)
	switch {
	case meta.IsNoMatchError(err):
		return ends(v1alpha1.ReasonNotApplicable, "the API server serves no kind %s of %s", target.Kind, target.APIVersion)
	case err != nil:
		return fmt.Errorf("looking up the scope of kind %s: %w", target.Kind, err)
	case mapping.Scope.Name() == meta.RESTScopeNameRoot && target.Namespace != "":
		return ends(v1alpha1.ReasonInvalidParameters, "%s names namespace %s, but kind %s has no namespace: make another run, without it", target, target.Namespace, target.Kind)
	case mapping.Scope.Name() == meta.RESTScopeNameNamespace && target.Namespace == "":
		return ends(v1alpha1.ReasonInvalidParameters, "%s names no namespace, but kind %s has one: make another run, with it", target, target.Kind)
	}
	found := &metav1.PartialObjectMetadata{}
	found.SetGroupVersionKind(gvk)
	err = r.Live.Get(ctx, target.NamespacedName(), found)
	switch {
	case apierrors.IsNotFound(err):
		return ends(v1alpha1.ReasonChangedMeanwhile, "%s is gone; nothing is left to change", target)
	case err != nil:
		return fmt.Errorf("reading %s before its lease is taken: %w", target, err)
	case found.UID != target.UID, found.Namespace != target.Namespace, found.Name != target.Name:
		return ends(v1alpha1.ReasonChangedMeanwhile, "%s has another uid (%s) than the run names (%s): it is another object", target, found.UID, target.UID)
	}
	return nil
}

// keepNodes takes, and later renews, the leases by which other remediators of
// nodes know that one is at work.
func (r *Reconciler) keepNodes(ctx context.Context, run *v1alpha1.WorkflowRun, nodes []v1alpha1.TargetReference) error {
	node, holder, err := r.Leases.AcquireNodes(ctx, run, nodes...)
	if err != nil {
		return err
	}
	if holder != "" {
		return ends(v1alpha1.ReasonOwnedByOther, "%s is at work on Node/%s; this run leaves it alone", holder, node)
	}
	return nil
}
