// Package guard knows the admission policies that keep people and the operator
// honest (config/guards), and tells whether the cluster still has them as they
// were shipped. While one is missing, no approval counts and nothing is done.
package guard

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Label names the guard a policy or a binding belongs to. Names may carry an
// installer's prefix; the label does not.
const Label = "kubernaut.io/guard"

// Command prints the guards; what a fault says after it puts them into the cluster.
const Command = "kubectl kubernaut guards"

// How guards come back. What is missing is applied. What is altered is replaced in place:
// apply would keep what was added, and replace --force deletes a guard first, which leaves
// a moment in which nothing is refused.
const (
	applied  = ": " + Command + " | kubectl apply -f -"
	replaced = ": " + Command + " | kubectl replace -f -"
)

// remedy returns how an object that is altered comes back. One whose name has an installer's
// prefix is left alone, and the shipped one is created beside it.
func remedy(name, shipped string) string {
	if name == shipped {
		return replaced
	}
	return applied
}

// State is how the guards of a cluster stand.
type State struct {
	// Faults has a sentence for each guard that the cluster lacks, or has in
	// another form than shipped. None: all are in force.
	Faults []string
	// Missing are the names of the guards that Faults are about.
	Missing []string
	// StatusFault is the fault of guard 2 (status), the only guard that the operator's own
	// undo depends on. Empty: it is in force.
	StatusFault string
	// ApprovalPolicies are the names of the policies that are guard 1 as shipped.
	ApprovalPolicies []string
	// Epoch tells these guards from those before them: it is another one after a
	// guard was away or altered, also when it was put back. Empty while there are faults.
	Epoch string
}

// Check returns what Look says of the guards that are shipped for this
// operator's user name.
func Check(ctx context.Context, reader client.Reader, operatorUser string) (State, error) {
	shipped, err := Shipped(operatorUser)
	if err != nil {
		return State{}, err
	}
	return Look(ctx, reader, shipped)
}

// Look compares the guards that the cluster has with those that are shipped.
func Look(ctx context.Context, reader client.Reader, shipped []Guard) (State, error) {
	policies := &admissionregistrationv1.ValidatingAdmissionPolicyList{}
	if err := reader.List(ctx, policies, client.HasLabels{Label}); err != nil {
		return State{}, fmt.Errorf("listing the guards' policies: %w", err)
	}
	bindings := &admissionregistrationv1.ValidatingAdmissionPolicyBindingList{}
	if err := reader.List(ctx, bindings, client.HasLabels{Label}); err != nil {
		return State{}, fmt.Errorf("listing the guards' bindings: %w", err)
	}
	slices.SortFunc(policies.Items, func(a, b admissionregistrationv1.ValidatingAdmissionPolicy) int { return older(&a, &b) })
	slices.SortFunc(bindings.Items, func(a, b admissionregistrationv1.ValidatingAdmissionPolicyBinding) int { return older(&a, &b) })
	state := State{ApprovalPolicies: shippedAs(shipped, approval, policies.Items)}
	epoch := sha256.New()
	for _, g := range shipped {
		objects, fault := g.stands(policies.Items, bindings.Items)
		if fault != "" {
			state.Faults, state.Missing = append(state.Faults, fault), append(state.Missing, g.Name)
			if g.Name == status {
				state.StatusFault = fault
			}
			continue
		}
		for _, object := range objects {
			_, _ = fmt.Fprintf(epoch, "%s/%d\n", object.GetUID(), object.GetGeneration()) // a hash takes everything
		}
	}
	if len(state.Faults) == 0 {
		state.Epoch = hex.EncodeToString(epoch.Sum(nil)[:16])
	}
	return state, nil
}

// shippedAs returns the names of the policies that are a guard as shipped.
func shippedAs(shipped []Guard, name string, policies []admissionregistrationv1.ValidatingAdmissionPolicy) []string {
	var names []string
	for i := range policies {
		same := func(g Guard) bool {
			return g.Name == name && policies[i].Labels[Label] == name && equality.Semantic.DeepEqual(policies[i].Spec, g.Policy.Spec)
		}
		if slices.ContainsFunc(shipped, same) {
			names = append(names, policies[i].Name)
		}
	}
	return names
}

// older puts what was there first before what was added, so that a second copy of
// a guard does not look like another guard.
func older(a, b metav1.Object) int {
	return cmp.Or(a.GetCreationTimestamp().Compare(b.GetCreationTimestamp().Time), cmp.Compare(a.GetUID(), b.GetUID()))
}

// stands returns the policy and the binding of a guard that is in force, the first
// that are as shipped, or says what is wrong with it. An altered copy beside a
// good one does no harm: policies can only refuse more.
func (g Guard) stands(policies []admissionregistrationv1.ValidatingAdmissionPolicy, bindings []admissionregistrationv1.ValidatingAdmissionPolicyBinding) (objects []metav1.Object, fault string) {
	fault = fmt.Sprintf("the policy of guard %s is missing%s", g.Name, applied)
	for i := range policies {
		policy := &policies[i]
		if policy.Labels[Label] != g.Name {
			continue
		}
		if !equality.Semantic.DeepEqual(policy.Spec, g.Policy.Spec) {
			fault = fmt.Sprintf("the policy of guard %s is altered%s", g.Name, remedy(policy.Name, g.Policy.Name))
			continue
		}
		binding, unbound := g.bound(policy.Name, bindings)
		if unbound == "" {
			return []metav1.Object{policy, binding}, ""
		}
		fault = fmt.Sprintf("the binding of guard %s is %s", g.Name, unbound)
	}
	return nil, fault
}

// bound returns the binding of a guard's policy, or says what is wrong with it.
func (g Guard) bound(policy string, bindings []admissionregistrationv1.ValidatingAdmissionPolicyBinding) (found *admissionregistrationv1.ValidatingAdmissionPolicyBinding, fault string) {
	wanted := g.Binding.Spec.DeepCopy()
	wanted.PolicyName = policy
	fault = "missing" + applied
	for i := range bindings {
		binding := &bindings[i]
		if binding.Labels[Label] != g.Name {
			continue
		}
		if equality.Semantic.DeepEqual(binding.Spec, *wanted) {
			return binding, ""
		}
		fault = "altered" + remedy(binding.Name, g.Binding.Name)
	}
	return nil, fault
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
