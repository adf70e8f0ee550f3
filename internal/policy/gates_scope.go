package policy

import (
	"errors"
	"slices"
	"strings"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// builtIn are the namespaces nobody can open to us.
var builtIn = []string{"kube-system", "kube-public", "kube-node-lease"}

// openshift is what the names of OpenShift's own namespaces begin with.
const openshift = "openshift-"

// protected (4): the namespace or an object must not be touched.
func protected(v view) []Refusal {
	var all []Refusal
	for _, ref := range v.Touched() {
		if ref.Namespace != "" {
			all = append(all, v.protectedSpace(ref)...)
		}
		object := v.object(ref)
		switch {
		case object.Err != nil:
			all = append(all, unreadable(marks(ref), object.Err)...)
		case object.Value.Labels[v1alpha1.ProtectedLabel] == "true":
			all = append(all, unlabel(ref)...)
		}
	}
	return all
}

// protectedSpace is about the namespace an object is in.
func (v view) protectedSpace(ref v1alpha1.ObjectReference) []Refusal {
	space := v.Space.Value.Ref
	switch {
	case v.builtIn(ref.Namespace):
		return ends(v1alpha1.ReasonProtected,
			"Namespace %s is protected: nothing in it is ever changed; a person must look after %s.", ref.Namespace, ref)
	case ref.Namespace != space.Name:
		return nil // out of scope anyway
	case v.Space.Err != nil:
		return unreadable(marks(space), v.Space.Err)
	case v.Space.Value.Labels[v1alpha1.ProtectedLabel] == "true":
		return unlabel(space)
	}
	return nil
}

func (v view) builtIn(namespace string) bool {
	return namespace == v.Operator || strings.HasPrefix(namespace, openshift) ||
		slices.Contains(builtIn, namespace) || slices.Contains(v.Protected, namespace)
}

func unlabel(ref v1alpha1.ObjectReference) []Refusal {
	return ends(v1alpha1.ReasonProtected, "%s is labelled %s=true; to open it: %s label %s %s-",
		described(ref), v1alpha1.ProtectedLabel, kubectl(ref.Namespace), ref, v1alpha1.ProtectedLabel)
}

// Touched returns the objects a case would change, each once: the targets, and
// what the operations name.
func (c Case) Touched() []v1alpha1.ObjectReference {
	var refs []v1alpha1.ObjectReference
	for _, target := range c.Targets() {
		refs = append(refs, target.ObjectReference)
	}
	for _, op := range c.Operations() {
		if !slices.Contains(refs, op.Object) {
			refs = append(refs, op.Object)
		}
	}
	return refs
}

// outOfScope (5): no policy is about what would be changed, or it is somewhere else.
func outOfScope(v view) []Refusal {
	var all []Refusal
	for _, ref := range v.Touched() {
		elsewhere := v.object(ref).Value.Elsewhere
		switch {
		case !v.reaches(ref.Namespace):
			all = append(all, ends(v1alpha1.ReasonOutOfScope,
				"%s is not in namespace %s: nothing outside the namespace of the remediation is changed.", described(ref), v.Namespace())...)
		case elsewhere != "":
			all = append(all, ends(v1alpha1.ReasonOutOfScope, "%s.", cut(elsewhere, maxMessage/2))...)
		}
	}
	for _, c := range v.chosen {
		switch {
		case c.err != nil:
			all = append(all, unreadable(policies(v), c.err)...)
		case c.policy == nil:
			all = append(all, ends(v1alpha1.ReasonOutOfScope,
				"No RemediationPolicy is about %s; write one, or widen the selectors of one: %s get rp",
				described(c.target.ObjectReference), kubectl(v.Namespace()))...)
		}
	}
	if v.Default.Err != nil {
		all = append(all, unreadable(defaultPolicy(v), v.Default.Err)...)
	}
	return all
}

// defaultPolicy names what the policy default says about every namespace.
func defaultPolicy(v view) string {
	return "which ceiling there is (RemediationPolicy " + v.Operator + "/" + v1alpha1.DefaultPolicyName + ")"
}

// reaches reports whether a case may change objects of a namespace. What has no
// namespace is changed from the operator's only.
func (v view) reaches(namespace string) bool {
	if namespace == "" {
		return v.Namespace() == v.Operator
	}
	return namespace == v.Namespace()
}

// ownedByOther (7): another remediator is at work on what would be changed.
func ownedByOther(v view) []Refusal {
	if v.Other.Err != nil {
		return unreadable("whether another remediator is at work on the target", v.Other.Err)
	}
	if v.Other.Value == "" {
		return nil
	}
	return ends(v1alpha1.ReasonOwnedByOther, "Another remediator is at work: %s. Two at once would undo each other's work; this one leaves it alone.", brief(v.Other.Value))
}

// notInCatalogue (8): what is asked for is no action, or not one for this.
func notInCatalogue(v view) []Refusal {
	var all []Refusal
	if v.Unplanned != nil {
		all = append(all, Unplannable(v.Unplanned))
	}
	for _, step := range v.Steps {
		kinds := step.Action.Kinds
		if len(kinds) > 0 && !slices.Contains(kinds, step.Target.GroupVersionKind().GroupKind()) {
			all = append(all, ends(v1alpha1.ReasonNotApplicable,
				"%s does not know how to change a %s; choose another action.", step.Action.Name, step.Target.Kind)...)
		}
	}
	return all
}

// Unplannable turns the error that planning ended with into the refusal of gate 8.
func Unplannable(err error) Refusal {
	var notApplicable *action.NotApplicableError
	var notYet *action.NotYetError
	switch {
	case errors.As(err, &notApplicable):
		return refusal(Ends, v1alpha1.ReasonNotApplicable, "%s", notApplicable.Why)
	case errors.As(err, &notYet):
		return refusal(Waits, v1alpha1.ReasonNotYet, "%s", notYet.Why)
	case errors.Is(err, action.ErrUnknownAction):
		return refusal(Ends, v1alpha1.ReasonUnknownAction, "%v: the catalogue has no such action.", err)
	case errors.Is(err, action.ErrInvalidParameters):
		return refusal(Ends, v1alpha1.ReasonInvalidParameters, "%v", err)
	}
	return unreadable("what the action needs to be planned", err)[0]
}
