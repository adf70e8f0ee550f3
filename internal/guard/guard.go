// Package guard knows the admission policies that keep people and the operator
// honest (config/guards), and tells whether the cluster still has them as they
// were shipped. While one is missing, no approval counts and nothing is done.
package guard

import (
	"context"
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Label names the guard a policy or a binding belongs to. Names may carry an
// installer's prefix; the label does not.
const Label = "kubernaut.io/guard"

// remedy is how missing and altered guards come back. Not apply: that leaves
// in place what somebody added.
const remedy = "kubectl kubernaut guards | kubectl replace --force -f -"

// Check returns what Faults says of the guards that are shipped for this
// operator's user name.
func Check(ctx context.Context, reader client.Reader, operatorUser string) ([]string, error) {
	shipped, err := Shipped(operatorUser)
	if err != nil {
		return nil, err
	}
	return Faults(ctx, reader, shipped)
}

// Faults returns a sentence for each guard that the cluster lacks, or has in
// another form than shipped. No sentence means that all are in force.
func Faults(ctx context.Context, reader client.Reader, shipped []Guard) ([]string, error) {
	policies := &admissionregistrationv1.ValidatingAdmissionPolicyList{}
	if err := reader.List(ctx, policies, client.HasLabels{Label}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing the guards' policies: %w", err)
	}
	bindings := &admissionregistrationv1.ValidatingAdmissionPolicyBindingList{}
	if err := reader.List(ctx, bindings, client.HasLabels{Label}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing the guards' bindings: %w", err)
	}
	var faults []string
	for _, g := range shipped {
		if fault := g.fault(policies.Items, bindings.Items); fault != "" {
			faults = append(faults, fault)
		}
	}
	return faults, nil
}

// fault says what is wrong with one guard; "" if it is in force. An altered
// copy beside a good one does no harm: policies can only refuse more.
func (g Guard) fault(policies []admissionregistrationv1.ValidatingAdmissionPolicy, bindings []admissionregistrationv1.ValidatingAdmissionPolicyBinding) string {
	state := "missing"
	for _, policy := range policies {
		if policy.Labels[Label] != g.Name {
			continue
		}
		if !equality.Semantic.DeepEqual(policy.Spec, g.Policy.Spec) {
			state = "altered"
			continue
		}
		bound := g.bound(policy.Name, bindings)
		if bound == "" {
			return ""
		}
		return fmt.Sprintf("the binding of guard %s is %s: %s", g.Name, bound, remedy)
	}
	return fmt.Sprintf("the policy of guard %s is %s: %s", g.Name, state, remedy)
}

// bound says what is wrong with the binding of a guard's policy; "" if nothing is.
func (g Guard) bound(policy string, bindings []admissionregistrationv1.ValidatingAdmissionPolicyBinding) string {
	wanted := g.Binding.Spec.DeepCopy()
	wanted.PolicyName = policy
	state := "missing"
	for _, binding := range bindings {
		if binding.Labels[Label] != g.Name {
			continue
		}
		if equality.Semantic.DeepEqual(binding.Spec, *wanted) {
			return ""
		}
		state = "altered"
	}
	return state
}

// defaulted fills in what the API server fills in, so that the shipped form can
// be compared with the stored one.
func defaulted(spec admissionregistrationv1.ValidatingAdmissionPolicySpec) admissionregistrationv1.ValidatingAdmissionPolicySpec {
	match := spec.MatchConstraints
	match.MatchPolicy = new(admissionregistrationv1.Equivalent)
	match.NamespaceSelector, match.ObjectSelector = &metav1.LabelSelector{}, &metav1.LabelSelector{}
	for i := range match.ResourceRules {
		match.ResourceRules[i].Scope = new(admissionregistrationv1.AllScopes)
	}
	return spec
}
