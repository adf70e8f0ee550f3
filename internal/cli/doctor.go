package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/guard"
	"github.com/kubernaut/kubernaut/internal/redact"
)

// Doctor looks at everything that must be in order before an alert is remediated.
type Doctor struct {
	// Operator that is looked at.
	Operator Operator
}

// ErrUnwell is returned when something was found that keeps Kubernaut from working.
var ErrUnwell = errors.New("something keeps Kubernaut from working: see above")

// finding is what one look came to.
type finding struct {
	mark string // ok, note or FAIL
	says string
	mend string // the command that mends it
}

func ok(format string, args ...any) finding {
	return finding{mark: "ok", says: fmt.Sprintf(format, args...)}
}

func note(mend, format string, args ...any) finding {
	return finding{mark: "note", mend: mend, says: fmt.Sprintf(format, args...)}
}

func fail(mend, format string, args ...any) finding {
	return finding{mark: "FAIL", mend: mend, says: fmt.Sprintf(format, args...)}
}

// unread says that whoever types may not look.
func unread(what string, err error) finding {
	return note("", "%s could not be looked at: %s", what, redact.Line(unreachable(err).Error(), 512))
}

// Print looks, and says of each fault the command that mends it.
func (d Doctor) Print(ctx context.Context, c Cluster, w io.Writer) error {
	var all v1alpha1.AlertRemediationList
	if err := c.List(ctx, &all); err != nil {
		return unreachable(err)
	}
	looks := []func(context.Context, Cluster) []finding{
		d.program, d.leader, d.guards, d.stop, d.shippedPolicy, d.webhook,
		func(context.Context, Cluster) []finding { return alerts(all.Items, time.Now()) },
		d.namespaces,
	}
	p, unwell := printer{to: w}, false
	for _, look := range looks {
		for _, f := range look(ctx, c) {
			p.line("%-4s  %s", f.mark, f.says)
			if f.mend != "" {
				p.line("      %s", f.mend)
			}
			unwell = unwell || f.mark == "FAIL"
		}
	}
	if unwell && p.err == nil {
		return ErrUnwell
	}
	return p.err
}

func (d Doctor) program(ctx context.Context, c Cluster) []finding {
	deployment := &appsv1.Deployment{}
	err := c.Get(ctx, types.NamespacedName{Namespace: d.Operator.Namespace, Name: "kubernaut"}, deployment)
	wanted := int32(1)
	if deployment.Spec.Replicas != nil {
		wanted = *deployment.Spec.Replicas
	}
	switch {
	case apierrors.IsNotFound(err):
		return []finding{fail("kubectl apply -k config/default", "the operator is not in namespace %s (--operator-namespace names another)", d.Operator.Namespace)}
	case err != nil:
		return []finding{unread("the operator's Deployment", err)}
	case deployment.Status.ReadyReplicas == 0:
		return []finding{fail("kubectl -n "+d.Operator.Namespace+" describe pods -l app.kubernetes.io/name=kubernaut", "none of the operator's %d replicas is ready", wanted)}
	case deployment.Status.ReadyReplicas < wanted:
		return []finding{note("kubectl -n "+d.Operator.Namespace+" get pods", "%d of the operator's %d replicas are ready", deployment.Status.ReadyReplicas, wanted)}
	}
	return []finding{ok("the operator runs, replicas ready: %d", deployment.Status.ReadyReplicas)}
}

func (d Doctor) leader(ctx context.Context, c Cluster) []finding {
	held := &coordinationv1.Lease{}
	err := c.Get(ctx, types.NamespacedName{Namespace: d.Operator.Namespace, Name: "kubernaut-leader"}, held)
	logs := "kubectl -n " + d.Operator.Namespace + " logs deployment/kubernaut"
	switch {
	case apierrors.IsNotFound(err):
		return []finding{note(logs, "no replica has ever led; with one replica and no leader election that is as it should be")}
	case err != nil:
		return []finding{unread("who leads", err)}
	case held.Spec.HolderIdentity == nil || *held.Spec.HolderIdentity == "" || held.Spec.RenewTime == nil:
		return []finding{fail(logs, "no replica leads: nothing is diagnosed or done")}
	}
	age := time.Since(held.Spec.RenewTime.Time)
	if age > time.Minute {
		return []finding{fail(logs, "the leader was last heard of %s ago: nothing is diagnosed or done", duration.HumanDuration(age))}
	}
	return []finding{ok("%s leads", redact.Line(*held.Spec.HolderIdentity, widest))}
}

func (d Doctor) guards(ctx context.Context, c Cluster) []finding {
	faults, err := guard.Check(ctx, c, d.Operator.user())
	switch {
	case err != nil:
		return []finding{unread("the guards", err)}
	case len(faults) > 0:
		return []finding{fail("kubectl kubernaut guards | kubectl apply -f -", "nothing is done until every guard is back: %s", redact.Line(strings.Join(faults, "; "), 1024))}
	}
	return []finding{ok("the guards are as shipped")}
}

func (d Doctor) stop(ctx context.Context, c Cluster) []finding {
	stopped := exists(ctx, c, &corev1.ConfigMap{}, types.NamespacedName{Namespace: d.Operator.Namespace, Name: v1alpha1.EmergencyStopName})
	switch {
	case stopped.Err != nil:
		return []finding{unread("the emergency stop", stopped.Err)}
	case stopped.Value:
		return []finding{fail("kubectl -n "+d.Operator.Namespace+" delete configmap "+v1alpha1.EmergencyStopName, "the emergency stop is set: nothing is done")}
	}
	return []finding{ok("no emergency stop")}
}

func (d Doctor) shippedPolicy(ctx context.Context, c Cluster) []finding {
	found := c.defaultPolicy(ctx, d.Operator)
	switch {
	case found.Err != nil:
		return []finding{unread("the policy default", found.Err)}
	case found.Value == nil:
		return []finding{fail("kubectl -n "+d.Operator.Namespace+" rollout restart deployment/kubernaut", "there is no policy default: every namespace is in mode Observe; the operator makes it when it starts")}
	}
	return []finding{ok("namespaces without a policy are in mode %s, none is above %s", found.Value.Spec.Mode, found.Value.Spec.Ceiling)}
}

func (d Doctor) webhook(ctx context.Context, c Cluster) []finding {
	var slices discoveryv1.EndpointSliceList
	err := c.List(ctx, &slices, client.InNamespace(d.Operator.Namespace), client.MatchingLabels{discoveryv1.LabelServiceName: "kubernaut"})
	if err != nil {
		return []finding{unread("the webhook's Service", err)}
	}
	for _, slice := range slices.Items {
		for _, endpoint := range slice.Endpoints {
			if endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready {
				return []finding{ok("the webhook takes alerts at Service %s/kubernaut", d.Operator.Namespace)}
			}
		}
	}
	return []finding{fail("kubectl -n "+d.Operator.Namespace+" get endpointslices -l kubernetes.io/service-name=kubernaut", "no replica takes alerts")}
}

// alerts says when Alertmanager was last heard of, and what waits. It is pure.
func alerts(all []v1alpha1.AlertRemediation, now time.Time) []finding {
	var last time.Time
	waiting := 0
	for i := range all {
		ar := &all[i]
		if ar.Status.Phase == v1alpha1.PhaseAwaitingApproval && !ar.Finished() {
			waiting++
		}
		if ar.Spec.Alert.Source != v1alpha1.SourceAlertmanager {
			continue
		}
		heard := ar.CreationTimestamp.Time
		if ar.Status.Alert != nil && ar.Status.Alert.LastReceivedAt.After(heard) {
			heard = ar.Status.Alert.LastReceivedAt.Time
		}
		if heard.After(last) {
			last = heard
		}
	}
	found := []finding{note("kubectl kubernaut receiver --help", "Alertmanager has sent nothing yet, or nothing of it is kept")}
	if !last.IsZero() {
		found = []finding{ok("Alertmanager was last heard of %s ago", duration.HumanDuration(now.Sub(last)))}
	}
	if waiting > 0 {
		found = append(found, note("kubectl kubernaut get -A", "plans that wait for somebody: %d", waiting))
	}
	return found
}

// namespaces looks whether those whose policy lets plans run have granted it.
func (d Doctor) namespaces(ctx context.Context, c Cluster) []finding {
	var policies v1alpha1.RemediationPolicyList
	if err := c.List(ctx, &policies); err != nil {
		return []finding{unread("the policies", err)}
	}
	var found []finding
	seen := map[string]bool{}
	for i := range policies.Items {
		p := &policies.Items[i]
		if seen[p.Namespace] || p.Spec.Mode != v1alpha1.ModeApprove && p.Spec.Mode != v1alpha1.ModeAuto {
			continue
		}
		seen[p.Namespace] = true
		lent := exists(ctx, c, &rbacv1.RoleBinding{}, types.NamespacedName{Namespace: p.Namespace, Name: impersonates})
		switch {
		case lent.Err != nil:
			found = append(found, unread("the grant of namespace "+p.Namespace, lent.Err))
		case !lent.Value:
			found = append(found, fail("kubectl kubernaut grant "+p.Namespace+" | kubectl apply -f -", "policy %s/%s lets plans run (%s), but the namespace granted nothing", p.Namespace, p.Name, p.Spec.Mode))
		default:
			found = append(found, ok("namespace %s: policy %s, mode %s, granted", p.Namespace, p.Name, p.Spec.Mode))
		}
	}
	return found
}
