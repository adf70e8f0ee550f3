package clearance

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/policy"
)

// reserving is one request for a place, which is tried again after each conflict.
type reserving struct {
	desk   *Desk
	policy types.NamespacedName
	wanted v1alpha1.Reservation
	// counted: the place in the cluster is taken. It is taken first: a crash in between
	// counts one run too many, of the namespace whose run it is, and never one too few.
	counted bool
}

// take takes the place in the cluster and the one in the policy.
func (r *reserving) take(ctx context.Context) error {
	var p v1alpha1.RemediationPolicy
	if err := r.desk.Live.Get(ctx, r.policy, &p); err != nil {
		return err
	}
	places, taken, err := policy.Reserve(&p, r.wanted, r.desk.Clock.Now())
	if err != nil || !taken {
		return err
	}
	if err := r.count(ctx, &p); err != nil {
		return err
	}
	p.Status.Reservations = places
	return r.desk.Client.Status().Update(ctx, &p)
}

// count takes the place in the cluster, in the status of the policy default. Where
// that is the policy that decides, the caller writes both places at once.
func (r *reserving) count(ctx context.Context, p *v1alpha1.RemediationPolicy) error {
	if r.counted {
		return nil
	}
	shared := types.NamespacedName{Namespace: r.desk.Namespace, Name: v1alpha1.DefaultPolicyName}
	if r.policy == shared {
		var err error
		p.Status.ClusterRuns, err = policy.ReserveInCluster(p, r.wanted.Run, r.desk.Clock.Now())
		return err
	}
	var d v1alpha1.RemediationPolicy
	err := r.desk.Live.Get(ctx, shared, &d)
	if apierrors.IsNotFound(err) {
		return policy.Uncounted(shared.Namespace)
	}
	if err != nil {
		return err
	}
	if d.Status.ClusterRuns, err = policy.ReserveInCluster(&d, r.wanted.Run, r.desk.Clock.Now()); err != nil {
		return err
	}
	if err := r.desk.Client.Status().Update(ctx, &d); err != nil {
		return err
	}
	r.counted = true
	return nil
}
