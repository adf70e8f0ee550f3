package alertremediation

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// announce tells of every condition the pass changed, in the order of the
// phases. It is called only when the status was saved.
func (r *Reconciler) announce(p *pass) {
	for _, condition := range []string{
		v1alpha1.Admitted, v1alpha1.Planned, v1alpha1.Approved, v1alpha1.Executed, v1alpha1.Verified, v1alpha1.Succeeded,
	} {
		before := meta.FindStatusCondition(p.Before().Status.Conditions, condition)
		after := meta.FindStatusCondition(p.Obj.Status.Conditions, condition)
		if after == nil || before != nil && before.Status == after.Status && before.Reason == after.Reason {
			continue
		}
		if condition == v1alpha1.Succeeded && after.Status == metav1.ConditionUnknown {
			continue // that it runs is no news
		}
		kind := corev1.EventTypeNormal
		if after.Status == metav1.ConditionFalse {
			kind = corev1.EventTypeWarning
		}
		r.Events.Eventf(p.Obj, nil, kind, after.Reason, condition, "%s", note(condition, after))
	}
}

// note is what an event about a condition says.
func note(condition string, c *metav1.Condition) string {
	if c.Message == "" {
		return fmt.Sprintf("%s is %s: %s", condition, c.Status, c.Reason)
	}
	return cut(fmt.Sprintf("%s: %s", condition, c.Message), maxMessage)
}
