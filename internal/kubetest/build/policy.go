package build

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// PolicyBuilder builds a RemediationPolicy.
type PolicyBuilder struct{ obj *v1alpha1.RemediationPolicy }

// Policy is about everything in its namespace, without rules.
func Policy(namespace, name string, mode v1alpha1.Mode) PolicyBuilder {
	return PolicyBuilder{&v1alpha1.RemediationPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.RemediationPolicySpec{Mode: mode},
	}}
}

// Ceiling is the highest mode of any namespace.
func (b PolicyBuilder) Ceiling(mode v1alpha1.Mode) PolicyBuilder {
	b.obj.Spec.Ceiling = mode
	return b
}

// Rule adds a rule for these actions (none: any).
func (b PolicyBuilder) Rule(mode v1alpha1.Mode, maxRisk v1alpha1.Risk, actions ...string) PolicyBuilder {
	b.obj.Spec.Rules = append(b.obj.Spec.Rules, v1alpha1.PolicyRule{Actions: actions, MaxRisk: maxRisk, Mode: mode})
	return b
}

// Cooldown between two remediations of one target.
func (b PolicyBuilder) Cooldown(d time.Duration) PolicyBuilder {
	b.obj.Spec.Limits.Cooldown = &metav1.Duration{Duration: d}
	return b
}

// MaxPerHour is how many runs may be made within an hour.
func (b PolicyBuilder) MaxPerHour(n int32) PolicyBuilder {
	b.obj.Spec.Limits.MaxPerHour = n
	return b
}

// ApprovalDeadline is how long a plan waits for a person.
func (b PolicyBuilder) ApprovalDeadline(d time.Duration) PolicyBuilder {
	b.obj.Spec.Approval.Deadline = &metav1.Duration{Duration: d}
	return b
}

// Verification sets how long it must be well, and when the verdict falls.
func (b PolicyBuilder) Verification(window, deadline time.Duration) PolicyBuilder {
	b.obj.Spec.Verification = v1alpha1.PolicyVerification{
		Window: &metav1.Duration{Duration: window}, Deadline: &metav1.Duration{Duration: deadline},
	}
	return b
}

// Trigger starts remediations of what the operator sees.
func (b PolicyBuilder) Trigger(t v1alpha1.PolicyTrigger) PolicyBuilder {
	b.obj.Spec.Triggers = append(b.obj.Spec.Triggers, t)
	return b
}

// Paused by somebody, until further notice.
func (b PolicyBuilder) Paused(by, reason string) PolicyBuilder {
	b.obj.Spec.PauseRequests = append(b.obj.Spec.PauseRequests, v1alpha1.PauseRequest{By: by, Reason: reason})
	return b
}

// With changes whatever has no method of its own.
func (b PolicyBuilder) With(change func(*v1alpha1.RemediationPolicy)) PolicyBuilder {
	change(b.obj)
	return b
}

// Obj returns the object.
func (b PolicyBuilder) Obj() *v1alpha1.RemediationPolicy { return b.obj }
