package alertremediation

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/phase"
)

// diagnosed ensures that the cause is known before anything is planned; the
// diagnosis controller finds it. Where nothing is wrong, or nothing can be
// known, it ends here.
func (r *Reconciler) diagnosed(_ context.Context, p *pass) (phase.Outcome, error) {
	condition := meta.FindStatusCondition(p.Obj.Status.Conditions, v1alpha1.Diagnosed)
	if !settled(p.Obj, v1alpha1.Diagnosed) || p.Obj.Status.Diagnosis == nil {
		return phase.Wait(0), nil // the diagnosis controller's write wakes us
	}
	switch p.Obj.Status.Diagnosis.Cause {
	case v1alpha1.CauseHealthy:
		return finish(p.Obj, v1alpha1.OutcomeNoActionNeeded, "%s", condition.Message)
	case v1alpha1.CauseNotEnoughEvidence:
		return finish(p.Obj, v1alpha1.OutcomeEscalated, "%s", condition.Message)
	}
	return phase.Continue, nil
}
