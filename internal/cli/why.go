package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	target, err := c.workload(ctx, y.Workload)
	if err != nil {
		return err
	}
	judged := policy.JudgeTarget(c.facts(ctx, target, y.Operator))
	p := printer{to: w}
	p.line("%s in %s", target, target.Namespace)
	switch {
	case judged.Policy == "":
		p.line("  no policy decides about it")
	case judged.Mode == v1alpha1.ModeAuto:
		p.line("  policy %s, mode Auto: a plan is carried out unless one of its rules or the ceiling says otherwise", judged.Policy)
	case judged.Mode == v1alpha1.ModeApprove:
		p.line("  policy %s, mode Approve: a plan waits for a person", judged.Policy)
	default:
		p.line("  policy %s, mode %s: no plan is ever carried out; change spec.mode of the policy, or the ceiling in %s/%s",
			judged.Policy, judged.Mode, y.Operator.Namespace, v1alpha1.DefaultPolicyName)
	}
	for _, r := range judged.Refusals {
		p.line("  %s: %s", r.Reason, redact.Line(r.Message, 1024))
	}
	if len(judged.Refusals) == 0 {
		p.line("  no gate is in the way; the dry run, the diff and whether an alert fires are looked at when there is a plan")
	}
	return c.printHistory(ctx, &p, target)
}

// printHistory adds what became of the alerts about a workload.
func (c Cluster) printHistory(ctx context.Context, p *printer, target v1alpha1.TargetReference) error {
	var list v1alpha1.AlertRemediationList
	err := c.List(ctx, &list, client.InNamespace(target.Namespace), client.MatchingFields{"status.target.uid": string(target.UID)})
	if err != nil {
		return unreachable(err)
	}
	for i := range list.Items {
		ar := &list.Items[i]
		p.line("  %s: %s: %s", ar.Name, state(ar), redact.Line(why(ar), 1024))
	}
	return p.err
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
		Space:         c.object(ctx, v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Namespace", Name: target.Namespace}),
		Objects:       []policy.Fact[policy.Object]{c.object(ctx, target.ObjectReference)},
		Denied:        c.denied(ctx, target, operator),
	}
	var list v1alpha1.RemediationPolicyList
	err := c.List(ctx, &list, client.InNamespace(target.Namespace))
	facts.Policies = policy.Fact[[]v1alpha1.RemediationPolicy]{Value: list.Items, Err: err}
	facts.Default = c.defaultPolicy(ctx, operator)
	holder, _, err := lease.Held(ctx, c, operator.Namespace, target.UID, "")
	facts.Holder = policy.Fact[string]{Value: holder, Err: err}
	faults, err := guard.Check(ctx, c, operator.user())
	facts.GuardFault = policy.Fact[string]{Value: strings.Join(faults, "; "), Err: err}
	return facts
}

func (c Cluster) defaultPolicy(ctx context.Context, operator Operator) policy.Fact[*v1alpha1.RemediationPolicy] {
	shipped := &v1alpha1.RemediationPolicy{}
	err := c.Get(ctx, types.NamespacedName{Namespace: operator.Namespace, Name: v1alpha1.DefaultPolicyName}, shipped)
	if apierrors.IsNotFound(err) {
		return policy.Fact[*v1alpha1.RemediationPolicy]{}
	}
	return policy.Fact[*v1alpha1.RemediationPolicy]{Value: shipped, Err: err}
}

func exists(ctx context.Context, c Cluster, obj client.Object, key types.NamespacedName) policy.Fact[bool] {
	err := c.Get(ctx, key, obj)
	if apierrors.IsNotFound(err) {
		return policy.Fact[bool]{}
	}
	return policy.Fact[bool]{Value: err == nil, Err: err}
}

// denied asks whether the namespace's remediator may patch the workload at all.
func (c Cluster) denied(ctx context.Context, target v1alpha1.TargetReference, operator Operator) policy.Fact[string] {
	mapping, err := c.RESTMapper().RESTMapping(target.GroupVersionKind().GroupKind(), target.GroupVersionKind().Version)
	if err != nil {
		return policy.Fact[string]{Err: err}
	}
	remediator := "system:serviceaccount:" + target.Namespace + ":" + v1alpha1.RemediatorAccount
	asked := func(user string, attributes authorizationv1.ResourceAttributes) (bool, error) {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: &attributes}}
		err := c.Create(ctx, review)
		return review.Status.Allowed, err
	}
	may, err := asked(remediator, authorizationv1.ResourceAttributes{
		Namespace: target.Namespace, Verb: "patch", Group: mapping.Resource.Group, Resource: mapping.Resource.Resource, Name: target.Name,
	})
	lent := may
	if may && err == nil {
		lent, err = asked(operator.user(), authorizationv1.ResourceAttributes{
			Namespace: target.Namespace, Verb: "impersonate", Resource: "serviceaccounts", Name: v1alpha1.RemediatorAccount,
		})
	}
	switch {
	case err != nil:
		return policy.Fact[string]{Err: err}
	case !may:
		return policy.Fact[string]{Value: fmt.Sprintf("%s may not patch %s: kubectl kubernaut grant %s | kubectl apply -f -", remediator, mapping.Resource.Resource, target.Namespace)}
	case !lent:
		return policy.Fact[string]{Value: fmt.Sprintf("%s may not act as %s: kubectl kubernaut grant %s | kubectl apply -f -", operator.user(), remediator, target.Namespace)}
	}
	return policy.Fact[string]{}
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

// kinds are tried in this order for a workload whose kind is not said.
var kinds = []struct{ apiVersion, kind string }{
	{"apps/v1", "Deployment"}, {"apps/v1", "StatefulSet"}, {"apps/v1", "DaemonSet"}, {"v1", "Service"}, {"batch/v1", "Job"}, {"v1", "Pod"},
}

// workload finds what namespace/name or namespace/kind/name means.
func (c Cluster) workload(ctx context.Context, text string) (v1alpha1.TargetReference, error) {
	parts := strings.Split(text, "/")
	if len(parts) < 2 || len(parts) > 3 {
		return v1alpha1.TargetReference{}, fmt.Errorf("%q is not a workload: say NAMESPACE/NAME or NAMESPACE/KIND/NAME, such as shop/deployment/web", text)
	}
	namespace, wanted, name := parts[0], "", parts[len(parts)-1]
	if len(parts) == 3 {
		wanted = parts[1]
	}
	for _, k := range kinds {
		if wanted != "" && !strings.EqualFold(wanted, k.kind) {
			continue
		}
		ref := v1alpha1.ObjectReference{APIVersion: k.apiVersion, Kind: k.kind, Namespace: namespace, Name: name}
		switch found := c.object(ctx, ref); {
		case found.Err == nil:
			return v1alpha1.TargetReference{ObjectReference: ref, UID: found.Value.UID, Generation: found.Value.Generation}, nil
		case !apierrors.IsNotFound(found.Err) && !meta.IsNoMatchError(found.Err):
			return v1alpha1.TargetReference{}, unreachable(found.Err)
		}
	}
	return v1alpha1.TargetReference{}, errors.New("there is no workload " + redact.Line(text, widest) + ": `kubectl get deploy,sts,ds,svc -n " + redact.Line(namespace, widest) + "` lists what there is")
}
