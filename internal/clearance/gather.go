package clearance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/atonce"
	"github.com/kubernaut/kubernaut/internal/gate"
	"github.com/kubernaut/kubernaut/internal/kubeclient"
	"github.com/kubernaut/kubernaut/internal/lease"
	"github.com/kubernaut/kubernaut/internal/policy"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// look gathers what is asked again before every operation: who stopped or
// paused what, and which policies and objects there are.
func (d *Desk) look(ctx context.Context, c Case) policy.Facts {
	facts := policy.Facts{
		Case: c, Now: d.Clock.Now(),
		Operator: d.Namespace, Cluster: d.Cluster, Protected: d.Protected, AsksAlertmanager: d.Alertmanager != nil,
	}
	asked := c.Touched()
	if subject := subject(c); subject != nil && !slices.Contains(asked, *subject) {
		asked = append(asked, *subject)
	}
	facts.Objects = make([]policy.Fact[policy.Object], len(asked))
	atonce.Do(
		func() { facts.EmergencyStop = d.emergencyStop(ctx) },
		func() { facts.Policies = d.policies(ctx, c.Namespace()) },
		func() { facts.Default = d.defaultPolicy(ctx) },
		func() {
			facts.Space = object(ctx, d.shared, v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Namespace", Name: c.Namespace()})
		},
		func() {
			for i, ref := range asked {
				facts.Objects[i] = object(ctx, d.Live, ref)
			}
		},
	)
	return facts
}

// ask gathers the rest: the alert, and what the API server and the others say to
// the operations.
func (d *Desk) ask(ctx context.Context, facts *policy.Facts) {
	atonce.Do(
		func() {
			if facts.Remediation != nil && !facts.Undo {
				facts.AlertState = d.firing(ctx, facts.Remediation)
			}
		},
		func() { facts.Holder = d.holder(ctx, facts.Case) },
		func() {
			facts.Denied, facts.Rejected = d.authority(ctx, facts.Case)
			d.others(ctx, facts)
		},
		func() {
			guards, err := d.Guards(ctx, d.shared)
			facts.Guards = policy.Fact[policy.Guards]{Value: guards, Err: err}
		},
		func() {
			if d.Outdated != nil {
				outdated, err := d.Outdated(ctx)
				facts.Outdated = policy.Fact[string]{Value: outdated, Err: err}
			}
		},
	)
}

// subject is the alert's object, which can be paused beside the one that is changed.
func subject(c Case) *v1alpha1.ObjectReference {
	if c.Remediation == nil || c.Remediation.Status.Target == nil {
		return nil
	}
	return &c.Remediation.Status.Target.ObjectReference
}

// emergencyStop reads live: a cache whose watch is broken goes on saying that
// nobody pressed it.
func (d *Desk) emergencyStop(ctx context.Context) policy.Fact[bool] {
	stop := &metav1.PartialObjectMetadata{}
	stop.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
	err := d.shared.Get(ctx, types.NamespacedName{Namespace: d.Namespace, Name: v1alpha1.EmergencyStopName}, stop)
	if apierrors.IsNotFound(err) {
		return policy.Fact[bool]{}
	}
	return policy.Fact[bool]{Value: err == nil, Err: err}
}

// policies reads live, too: a policy that was applied before the alert came counts,
// and so does one that was made stricter a moment ago.
func (d *Desk) policies(ctx context.Context, namespace string) policy.Fact[[]v1alpha1.RemediationPolicy] {
	return policiesIn(ctx, d.shared, namespace)
}

func policiesIn(ctx context.Context, reader client.Reader, namespace string) policy.Fact[[]v1alpha1.RemediationPolicy] {
	var list v1alpha1.RemediationPolicyList
	err := reader.List(ctx, &list, client.InNamespace(namespace))
	return policy.Fact[[]v1alpha1.RemediationPolicy]{Value: list.Items, Err: err}
}

func (d *Desk) defaultPolicy(ctx context.Context) policy.Fact[*v1alpha1.RemediationPolicy] {
	return d.defaultIn(ctx, d.shared)
}

func (d *Desk) defaultIn(ctx context.Context, reader client.Reader) policy.Fact[*v1alpha1.RemediationPolicy] {
	var found v1alpha1.RemediationPolicy
	err := reader.Get(ctx, types.NamespacedName{Namespace: d.Namespace, Name: v1alpha1.DefaultPolicyName}, &found)
	if apierrors.IsNotFound(err) {
		return policy.Fact[*v1alpha1.RemediationPolicy]{}
	}
	return policy.Fact[*v1alpha1.RemediationPolicy]{Value: &found, Err: err}
}

// object reads what an object says about itself, live: a label that was set a
// moment ago counts.
func object(ctx context.Context, live client.Reader, ref v1alpha1.ObjectReference) policy.Fact[policy.Object] {
	found := metav1.PartialObjectMetadata{}
	found.SetGroupVersionKind(ref.GroupVersionKind())
	err := live.Get(ctx, ref.NamespacedName(), &found)
	switch {
	case kubeclient.IsScopeError(err):
		return policy.Fact[policy.Object]{Value: policy.Object{Ref: ref, Elsewhere: err.Error()}}
	case apierrors.IsNotFound(err):
		return policy.Fact[policy.Object]{Value: policy.Object{Ref: ref, Gone: true}}
	case err == nil && found.Namespace != ref.Namespace: // not every reader checks it
		return policy.Fact[policy.Object]{Value: policy.Object{Ref: ref, Elsewhere: fmt.Sprintf("%s is not in namespace %s", ref, ref.Namespace)}}
	}
	return policy.Fact[policy.Object]{Err: err, Value: policy.Object{
		Ref: ref, UID: found.UID, Generation: found.Generation,
		Labels: found.Labels, Annotations: found.Annotations, ManagedFields: found.ManagedFields,
	}}
}

// holder returns the other run that holds one of the targets. The run whose
// verdict the remediation itself waits for, or takes back, is no other.
func (d *Desk) holder(ctx context.Context, c Case) policy.Fact[string] {
	self := ""
	if c.Run != nil {
		self = lease.Identity(c.Run)
	}
	for _, target := range c.Targets() {
		holder, busy, err := lease.Held(ctx, d.Live, d.Namespace, target.UID, self, d.Clock.Now())
		if err != nil {
			return policy.Fact[string]{Err: err}
		}
		run := holder[:max(strings.LastIndex(holder, "/"), 0)] // namespace/name of namespace/name/uid
		if busy && run != predecessor(c) {
			return policy.Fact[string]{Value: run}
		}
	}
	return policy.Fact[string]{}
}

// others finds out whether another remediator is at work on a node. Not to be let
// look is a right that is lacking, and no reason to wait.
func (d *Desk) others(ctx context.Context, facts *policy.Facts) {
	for _, target := range facts.Targets() {
		if !lease.IsNode(target.ObjectReference) || target.Namespace != "" {
			continue // out of scope; who is at work on a Node is not told to those who have no word about it
		}
		key := types.NamespacedName{Namespace: d.NodeLeases, Name: lease.NodeName(target.Name)}
		holder, err := lease.NodeHeld(ctx, d.Live, key, d.Clock.Now())
		switch {
		case apierrors.IsForbidden(err) && facts.Denied.Err == nil && facts.Denied.Value == "":
			facts.Denied.Value = fmt.Sprintf("the operator may not get leases.coordination.k8s.io in namespace %s, by which remediators of nodes keep out of each other's way; to let it: kubectl kubernaut grant %s --level node | kubectl apply -f -", d.NodeLeases, d.Namespace)
		case apierrors.IsForbidden(err):
		case err != nil:
			facts.Other.Err = err
		case holder != "":
			facts.Other.Value = holder + " on " + target.String()
		}
	}
}

// predecessor is the run a remediation made before the one it plans, as namespace/name.
func predecessor(c Case) string {
	if c.Run != nil || c.Remediation == nil || c.Remediation.Status.RunRef == "" {
		return ""
	}
	return c.Remediation.Namespace + "/" + c.Remediation.Status.RunRef
}

// authority asks the API server, as the tenant, whether it may do all of it and
// take all of it back, and then whether it would accept what can be tried now.
func (d *Desk) authority(ctx context.Context, c Case) (denied, rejected policy.Fact[string]) {
	ops := c.Operations()
	if len(ops) == 0 {
		return denied, rejected
	}
	tenant, err := d.Open(c.Namespace())
	if err != nil {
		return policy.Fact[string]{Err: err}, rejected
	}
	if err := tenant.Review(ctx, withUndos(ops)...); err != nil {
		return verdict(err)
	}
	for _, op := range independent(ops) {
		if err := tenant.DryRun(ctx, op); err != nil {
			denied, rejected = verdict(err)
			if denied.Err != nil {
				return policy.Fact[string]{}, policy.Fact[string]{Err: err}
			}
			return denied, rejected
		}
	}
	return denied, rejected
}

// verdict tells a no of the API server from no answer.
func verdict(err error) (denied, rejected policy.Fact[string]) {
	var shut *gate.Denied
	var refused *gate.Rejected
	switch {
	case errors.As(err, &shut):
		return policy.Fact[string]{Value: shut.Error()}, rejected
	case errors.As(err, &refused):
		return denied, policy.Fact[string]{Value: refused.Error()}
	}
	return policy.Fact[string]{Err: err}, rejected
}

func withUndos(ops []action.Operation) []v1alpha1.Operation {
	var all []v1alpha1.Operation
	for _, op := range ops {
		all = append(all, op.Operation)
		if op.Undo != nil {
			all = append(all, *op.Undo)
		}
	}
	return all
}

// independent returns the operations that can be tried before any was done: the
// first on each object. The others are tried just before their turn, as is what
// depends on how a pod is then: a budget that holds a ready pod says nothing about
// a plan that leaves ready pods alone.
func independent(ops []action.Operation) []v1alpha1.Operation {
	var first []v1alpha1.Operation
	seen := map[v1alpha1.ObjectReference]bool{}
	for _, op := range ops {
		if !seen[op.Object] && !op.Precondition.Unready {
			seen[op.Object] = true
			first = append(first, op.Operation)
		}
	}
	return first
}
