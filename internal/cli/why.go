package cli

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/guard"
	"github.com/kubernaut/kubernaut/internal/lease"
	"github.com/kubernaut/kubernaut/internal/policy"
	"github.com/kubernaut/kubernaut/internal/redact"
)

// Why says which gates would stand in the way of a change to a workload now.
type Why struct {
	// Workload as namespace/name, or namespace/kind/name.
	Workload string
	// Operator whose gates they are.
	Operator Operator
}

// Print asks the API server, with the rights of whoever types, what the gates
// look at, and lets the gates themselves answer. What whoever types may not read
// is said, not guessed.
func (y Why) Print(ctx context.Context, c Cluster, w io.Writer) error {
	meant, err := c.workload(ctx, y.Workload)
	if err != nil {
		return err
	}
	target := meant.TargetReference
	var past v1alpha1.AlertRemediationList
	err = c.List(ctx, &past, client.InNamespace(target.Namespace), client.MatchingFields{"status.target.uid": string(target.UID)})
	if meta.IsNoMatchError(err) {
		return explained(err) // there is no gate to ask
	}
	facts := c.facts(ctx, target, y.Operator)
	p := printer{Screen: Screen{Writer: w}}
	p.line("%s in %s", target, target.Namespace)
	p.also("why", meant)
	p.byAlert(facts, y.Operator)
	for i := range past.Items { // what became of the alerts about it
		ar := &past.Items[i]
		p.line("  %s: %s: %s", ar.Name, state(ar), redact.Line(why(ar), 1024))
	}
	return cmp.Or(explained(err), p.err)
}

// byAlert prints what the gates say, once for all alerts to which they say the same.
func (p *printer) byAlert(facts policy.Facts, operator Operator) {
	var words []string
	about := map[string][]string{}
	alerts := selected(facts.Policies.Value)
	for _, alert := range alerts {
		var said bytes.Buffer
		facts.Remediation.Spec.Alert.Name = alert
		(&printer{Screen: Screen{Writer: &said}}).judged(facts, operator)
		if about[said.String()] == nil {
			words = append(words, said.String())
		}
		about[said.String()] = append(about[said.String()], cmp.Or(redact.Line(alert, widest), "every other alert"))
	}
	for _, said := range words {
		if len(alerts) > 1 {
			p.line("  For %s:", strings.Join(about[said], ", "))
		}
		p.line("%s", strings.TrimSuffix(said, "\n"))
	}
}

// selected are the alerts that policies name, each once, and last none of them.
func selected(policies []v1alpha1.RemediationPolicy) []string {
	var alerts []string
	for i := range policies {
		alerts = append(alerts, policies[i].Spec.Selectors.Alerts...)
	}
	slices.Sort(alerts)
	return append(slices.Compact(alerts), "")
}

// judged prints what the gates say.
func (p *printer) judged(facts policy.Facts, operator Operator) {
	judged := policy.JudgeTarget(facts)
	switch {
	case judged.Policy == "":
		p.line("  no policy decides about it")
	case judged.Mode == "":
		p.line("  policy %s; which mode is in force is not known", judged.Policy)
	case facts.Default.Err == nil && facts.Default.Value == nil:
		p.line("  policy %s, but there is no policy %s/%s: every namespace is in mode Observe; `kubectl kubernaut doctor` says what mends it",
			judged.Policy, operator.Namespace, v1alpha1.DefaultPolicyName)
	case judged.Mode == v1alpha1.ModeAuto:
		p.line("  policy %s, mode Auto: a plan is carried out unless one of its rules or the ceiling says otherwise", judged.Policy)
	case judged.Mode == v1alpha1.ModeApprove && facts.Default.Value.Spec.Ceiling == v1alpha1.ModeApprove:
		p.line("  policy %s, mode Approve, which is the ceiling in %s/%s: a plan waits for a person", judged.Policy, operator.Namespace, v1alpha1.DefaultPolicyName)
	case judged.Mode == v1alpha1.ModeApprove:
		p.line("  policy %s, mode Approve: a plan waits for a person", judged.Policy)
	default:
		p.line("  policy %s, mode %s: no plan is ever carried out; change spec.mode of the policy, or the ceiling in %s/%s",
			judged.Policy, judged.Mode, operator.Namespace, v1alpha1.DefaultPolicyName)
	}
	for _, r := range judged.Refusals {
		p.line("  %s", redact.Line(said(r.Refusal), 1024))
	}
	if len(judged.Refusals) == 0 {
		p.line("  no gate is in the way; the dry run, the diff and whether an alert fires are looked at when there is a plan")
	}
}

// said is a gate's word; that something could not be read is about the rights of
// whoever asks, not about the operator's.
func said(r v1alpha1.Refusal) string {
	if _, limited := policy.Help(r.Reason); !limited && r.Reason != v1alpha1.ReasonUnreadable {
		return r.Reason + ": " + r.Message
	}
	return "not known: " + strings.Replace(strings.TrimPrefix(r.Message, "Could not read "), "; nothing is done until it can be. What went wrong: ", ", since ", 1)
}

// facts gathers what the gates look at, as far as whoever types may.
func (c Cluster) facts(ctx context.Context, target v1alpha1.TargetReference, operator Operator) policy.Facts {
	facts := policy.Facts{
		Case: policy.Case{Remediation: &v1alpha1.AlertRemediation{
			ObjectMeta: metav1.ObjectMeta{Namespace: target.Namespace},
			Status:     v1alpha1.AlertRemediationStatus{Target: &target},
		}},
		Now: time.Now(), Operator: operator.Namespace,
		EmergencyStop: exists(ctx, c, &corev1.ConfigMap{}, types.NamespacedName{Namespace: operator.Namespace, Name: v1alpha1.EmergencyStopName}),
		Space:         c.look(ctx, v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Namespace", Name: target.Namespace}),
		Objects:       []policy.Fact[policy.Object]{c.look(ctx, target.ObjectReference)},
		Denied:        c.denied(ctx, target, operator),
	}
	var list v1alpha1.RemediationPolicyList
	err := c.List(ctx, &list, client.InNamespace(target.Namespace))
	facts.Policies = policy.Fact[[]v1alpha1.RemediationPolicy]{Value: list.Items, Err: explained(err)}
	facts.Default = c.defaultPolicy(ctx, operator)
	holder, busy, err := lease.Held(ctx, c, operator.Namespace, target.UID, "", time.Now())
	if !busy {
		holder = "" // of a run that has ended, or is gone
	}
	facts.Holder = policy.Fact[string]{Value: holder, Err: explained(err)}
	guards, err := guard.Check(ctx, c, operator.user())
	facts.Guards = policy.Fact[policy.Guards]{Value: policy.Guards{Fault: strings.Join(guards.Faults, "; ")}, Err: explained(err)}
	return facts
}

func (c Cluster) defaultPolicy(ctx context.Context, operator Operator) policy.Fact[*v1alpha1.RemediationPolicy] {
	shipped := &v1alpha1.RemediationPolicy{}
	err := c.Get(ctx, types.NamespacedName{Namespace: operator.Namespace, Name: v1alpha1.DefaultPolicyName}, shipped)
	if apierrors.IsNotFound(err) {
		return policy.Fact[*v1alpha1.RemediationPolicy]{}
	}
	return policy.Fact[*v1alpha1.RemediationPolicy]{Value: shipped, Err: explained(err)}
}

func exists(ctx context.Context, c Cluster, obj client.Object, key types.NamespacedName) policy.Fact[bool] {
	err := c.Get(ctx, key, obj)
	if apierrors.IsNotFound(err) {
		return policy.Fact[bool]{}
	}
	return policy.Fact[bool]{Value: err == nil, Err: explained(err)}
}

// denied asks whether the namespace's remediator may patch the workload at all.
func (c Cluster) denied(ctx context.Context, target v1alpha1.TargetReference, operator Operator) policy.Fact[string] {
	mapping, err := c.RESTMapper().RESTMapping(target.GroupVersionKind().GroupKind(), target.GroupVersionKind().Version)
	if err != nil {
		return policy.Fact[string]{Err: err}
	}
	lacking, err := c.lacking(ctx, operator, authorizationv1.ResourceAttributes{
		Namespace: target.Namespace, Verb: "patch", Group: mapping.Resource.Group, Resource: mapping.Resource.Resource, Name: target.Name,
	})
	return policy.Fact[string]{Value: lacking, Err: explained(err)}
}

// lacking asks whether a right was granted to a namespace's remediator, and whether
// the operator may act as it there; it says which of both is not so, and what grants it.
func (c Cluster) lacking(ctx context.Context, operator Operator, need authorizationv1.ResourceAttributes) (string, error) {
	remediator := "system:serviceaccount:" + need.Namespace + ":" + v1alpha1.RemediatorAccount
	grant := "kubectl kubernaut grant " + need.Namespace + operator.flags() + " | kubectl apply -f -"
	may, err := c.may(ctx, remediator, need)
	switch {
	case err != nil:
		return "", err
	case !may:
		return fmt.Sprintf("%s may not %s %s: %s", remediator, need.Verb, need.Resource, grant), nil
	}
	lent, err := c.may(ctx, operator.user(), authorizationv1.ResourceAttributes{
		Namespace: need.Namespace, Verb: "impersonate", Resource: "serviceaccounts", Name: v1alpha1.RemediatorAccount,
	})
	if err != nil || lent {
		return "", err
	}
	return fmt.Sprintf("%s may not act as %s: %s", operator.user(), remediator, grant), nil
}

func (c Cluster) may(ctx context.Context, user string, need authorizationv1.ResourceAttributes) (bool, error) {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: &need}}
	err := c.Create(ctx, review)
	return review.Status.Allowed, err
}

// look is object, with what to do about an error.
func (c Cluster) look(ctx context.Context, ref v1alpha1.ObjectReference) policy.Fact[policy.Object] {
	found := c.object(ctx, ref)
	found.Err = explained(found.Err)
	return found
}

// object reads what an object says about itself.
func (c Cluster) object(ctx context.Context, ref v1alpha1.ObjectReference) policy.Fact[policy.Object] {
	found := &metav1.PartialObjectMetadata{}
	found.SetGroupVersionKind(ref.GroupVersionKind())
	err := c.Get(ctx, ref.NamespacedName(), found)
	return policy.Fact[policy.Object]{Err: err, Value: policy.Object{
		Ref: ref, UID: found.UID, Generation: found.Generation, Labels: found.Labels, Annotations: found.Annotations, ManagedFields: found.ManagedFields,
	}}
}
