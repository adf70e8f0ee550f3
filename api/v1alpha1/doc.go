// Package v1alpha1 holds the kinds of kubernaut.io/v1alpha1: an
// AlertRemediation is what an alert became, a RemediationPolicy says what may
// be done about it, and a WorkflowRun is what is being done.
//
// Spec is the wish and status the observation. Conditions and reasons are
// documented constants: dashboards and people match on them.
//
// +kubebuilder:object:generate=true
// +groupName=kubernaut.io
package v1alpha1
