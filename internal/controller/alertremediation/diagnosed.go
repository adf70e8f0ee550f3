package alertremediation

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/phase"
)

// diagnosed ensures that the cause is known before anything is planned. Most are at
// the first look; what needs more than that, the diagnosis controller finds. Where
// nothing is wrong, or nothing can be known, it ends here.
func (r *Reconciler) diagnosed(ctx context.Context, p *pass) (phase.Outcome, error) {
	if meta.FindStatusCondition(p.Obj.Status.Conditions, v1alpha1.Diagnosed) == nil {
		derive(p.Obj, r.config.Identity, r.Clock.Now()) // when it was admitted, though that is saved with what the look finds
		if err := r.Diagnosis.Look(ctx, p.Obj); err != nil {
			return phase.Continue, err
		}
	}
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
