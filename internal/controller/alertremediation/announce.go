package alertremediation

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// announce tells of what the pass saved, in the order of the phases.
func (r *Reconciler) announce(p *pass) {
	for _, c := range news(p.Before(), p.Stored()) {
		kind := corev1.EventTypeNormal
		if c.Status == metav1.ConditionFalse {
			kind = corev1.EventTypeWarning
		}
		r.Events.Eventf(p.Obj, nil, kind, c.Reason, c.Type, "%s", note(c))
	}
}

// news returns the conditions that are worth an event: those that changed, but
// for what goes without saying, and for one whose words a good next one repeats;
// of what went wrong every reason counts. Each event is a write, and in a storm
// they are many. It is pure.
func news(before, after *v1alpha1.AlertRemediation) []metav1.Condition {
	var told []metav1.Condition
	for _, condition := range []string{
		v1alpha1.Admitted, v1alpha1.Planned, v1alpha1.Approved, v1alpha1.Executed, v1alpha1.Verified, v1alpha1.Succeeded,
	} {
		was := meta.FindStatusCondition(before.Status.Conditions, condition)
		is := meta.FindStatusCondition(after.Status.Conditions, condition)
		switch {
		case is == nil || was != nil && was.Status == is.Status && was.Reason == is.Reason:
			continue
		case condition == v1alpha1.Succeeded && is.Status == metav1.ConditionUnknown, is.Reason == v1alpha1.ReasonTargetFound:
			continue // that it runs, and what it is about
		}
		for len(told) > 0 && is.Status == metav1.ConditionTrue && strings.Contains(is.Message, told[len(told)-1].Message) {
			told = told[:len(told)-1]
		}
		told = append(told, *is)
	}
	return told
}

// note is what an event about a condition says.
func note(c metav1.Condition) string {
	if c.Message == "" {
		return fmt.Sprintf("%s is %s: %s", c.Type, c.Status, c.Reason)
	}
	return cut(fmt.Sprintf("%s: %s", c.Type, c.Message), maxMessage)
}
