// Package build makes objects for tests: a valid default for each kind, and one
// method for each thing a test says about it. With changes what has no method.
package build

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// Digest is a well-formed plan digest, for tests that only need one.
const Digest = "v1:sha256:0000000000000000000000000000000000000000000000000000000000000001"

// Started is when the alerts of tests began to fire.
var Started = time.Date(2026, time.March, 1, 3, 0, 0, 0, time.UTC)

// RemediationBuilder builds an AlertRemediation.
type RemediationBuilder struct{ obj *v1alpha1.AlertRemediation }

// Remediation is about a manual alert KubePodCrashLooping with no target and no status.
func Remediation(namespace, name string) RemediationBuilder {
	return RemediationBuilder{&v1alpha1.AlertRemediation{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.AlertRemediationSpec{Alert: v1alpha1.Alert{
			Source: v1alpha1.SourceManual, Name: "KubePodCrashLooping", Severity: v1alpha1.SeverityWarning,
			StartsAt: metav1.NewTime(Started),
		}},
	}}
}

// Alert sets the alert's name and its labels.
func (b RemediationBuilder) Alert(name string, labels map[string]string) RemediationBuilder {
	b.obj.Spec.Alert.Name, b.obj.Spec.Alert.Labels = name, labels
	return b
}

// FromAlertmanager makes it look as if intake had created it.
func (b RemediationBuilder) FromAlertmanager(fingerprint string) RemediationBuilder {
	b.obj.Spec.Alert.Source, b.obj.Spec.Alert.Fingerprint = v1alpha1.SourceAlertmanager, fingerprint
	return b
}

// Target names the object the alert is about.
func (b RemediationBuilder) Target(ref v1alpha1.ObjectReference) RemediationBuilder {
	b.obj.Spec.Target = &ref
	return b
}

// Mode narrows the mode.
func (b RemediationBuilder) Mode(mode v1alpha1.Mode) RemediationBuilder {
	b.obj.Spec.Mode = mode
	return b
}

// Suspended holds it.
func (b RemediationBuilder) Suspended() RemediationBuilder {
	b.obj.Spec.Suspend = true
	return b
}

// Approved carries a person's yes to the plan with this digest.
func (b RemediationBuilder) Approved(by, digest string) RemediationBuilder {
	return b.decided(v1alpha1.DecisionApproved, by, digest)
}

// Rejected carries a person's no to the plan with this digest.
func (b RemediationBuilder) Rejected(by, digest string) RemediationBuilder {
	return b.decided(v1alpha1.DecisionRejected, by, digest)
}

func (b RemediationBuilder) decided(decision v1alpha1.Decision, by, digest string) RemediationBuilder {
	b.obj.Spec.Approval = &v1alpha1.Approval{Decision: decision, By: by, PlanDigest: digest}
	return b
}

// Admitted has found its target.
func (b RemediationBuilder) Admitted(target v1alpha1.TargetReference) RemediationBuilder {
	b.obj.Status.Target = &target
	return b.Condition(v1alpha1.Admitted, metav1.ConditionTrue, v1alpha1.ReasonTargetFound)
}

// Diagnosed has found its cause.
func (b RemediationBuilder) Diagnosed(diagnosis v1alpha1.Diagnosis) RemediationBuilder {
	b.obj.Status.Diagnosis = &diagnosis
	return b.Condition(v1alpha1.Diagnosed, metav1.ConditionTrue, v1alpha1.ReasonCauseFound)
}

// Planned has a plan.
func (b RemediationBuilder) Planned(plan v1alpha1.PlanStatus) RemediationBuilder {
	b.obj.Status.Plan = &plan
	return b.Condition(v1alpha1.Planned, metav1.ConditionTrue, v1alpha1.ReasonPlanReady)
}

// Condition sets a condition, with the reason as its message too.
func (b RemediationBuilder) Condition(conditionType string, status metav1.ConditionStatus, reason string) RemediationBuilder {
	setCondition(&b.obj.Status.Conditions, conditionType, status, reason)
	return b
}

// With changes whatever has no method of its own.
func (b RemediationBuilder) With(change func(*v1alpha1.AlertRemediation)) RemediationBuilder {
	change(b.obj)
	return b
}

// Obj returns the object.
func (b RemediationBuilder) Obj() *v1alpha1.AlertRemediation { return b.obj }

func setCondition(conditions *[]metav1.Condition, conditionType string, status metav1.ConditionStatus, reason string) {
	meta.SetStatusCondition(conditions, metav1.Condition{
		Type: conditionType, Status: status, Reason: reason, Message: reason, LastTransitionTime: metav1.NewTime(Started),
	})
}
