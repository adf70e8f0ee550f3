package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/crd"
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

// marks in their colours.
var marks = map[string]string{"ok": green, "note": yellow, "FAIL": red}

func ok(format string, args ...any) finding {
	return finding{mark: "ok", says: fmt.Sprintf(format, args...)}
}

func note(mend, format string, args ...any) finding {
	return finding{mark: "note", mend: mend, says: fmt.Sprintf(format, args...)}
}

func fail(mend, format string, args ...any) finding {
	return finding{mark: "FAIL", mend: mend, says: fmt.Sprintf(format, args...)}
}

// unread says that whoever types may not look, and who can let them.
func unread(what string, err error) finding {
	err = explained(err)
	var denied *deniedError
	if errors.As(err, &denied) && denied.command != "" {
		return note(denied.command+"   # for "+denied.giver, "%s could not be looked at: %s", what, denied.missing)
	}
	return note("", "%s could not be looked at: %s", what, redact.Line(err.Error(), 1024))
}

// Print looks, and says of each fault the command that mends it.
func (d Doctor) Print(ctx context.Context, c Cluster, w Screen) error {
	seen, err := c.sight(ctx)
	if err != nil {
		return err
	}
	looks := []func(context.Context, Cluster) []finding{
		d.program, d.leader, d.definitions, d.guards, d.stop, d.shippedPolicy, d.webhook, d.senders, d.turnedAway, d.alertmanager,
		func(context.Context, Cluster) []finding { return alerts(seen.remediations, time.Now()) },
		func(ctx context.Context, c Cluster) []finding { return d.namespaces(ctx, c, seen.policies) },
	}
	p, unwell := printer{Screen: w}, false
	for _, found := range seen.gaps {
		p.finding(found)
	}
	for _, look := range looks {
		for _, found := range look(ctx, c) {
			p.finding(found)
			unwell = unwell || found.mark == "FAIL"
		}
	}
	if unwell && p.err == nil {
		return ErrUnwell
	}
	return p.err
}

func (p *printer) finding(f finding) {
	p.line("%s  %s", p.paint(marks[f.mark], fmt.Sprintf("%-4s", f.mark)), f.says)
	if f.mend != "" {
		p.line("      %s", f.mend)
	}
}

// sight is as much of our kinds as whoever types may see: all, or one namespace.
type sight struct {
	remediations []v1alpha1.AlertRemediation
	policies     []v1alpha1.RemediationPolicy
	gaps         []finding
}

func (c Cluster) sight(ctx context.Context) (sight, error) {
	var (
		remediations v1alpha1.AlertRemediationList
		policies     v1alpha1.RemediationPolicyList
		seen         sight
	)
	for _, list := range []client.ObjectList{&remediations, &policies} {
		err := c.List(ctx, list)
		if apierrors.IsForbidden(err) {
			seen.gaps = append(seen.gaps, unread("whatever is outside namespace "+c.Namespace, err))
			err = c.List(ctx, list, client.InNamespace(c.Namespace))
		}
		if err != nil {
			return sight{}, explained(err)
		}
	}
	seen.remediations, seen.policies = remediations.Items, policies.Items
	seen.gaps = seen.gaps[:min(len(seen.gaps), 1)]
	return seen, nil
}

func (d Doctor) program(ctx context.Context, c Cluster) []finding {
	deployment, err := c.deployment(ctx, d.Operator)
	switch {
	case err != nil:
		return []finding{unread("the operator's Deployment", err)}
	case deployment == nil:
		return []finding{fail("kubectl apply -k config/default", "the operator is not in namespace %s (--operator-namespace names another)", d.Operator.Namespace)}
	}
	found := []finding{d.replicas(deployment)}
	if account := deployment.Spec.Template.Spec.ServiceAccountName; account != "" && account != d.Operator.Account {
		there := Operator{Namespace: d.Operator.Namespace, Account: account}
		found = append(found, note("kubectl kubernaut doctor"+there.flags(), "the operator runs as another account, %s: what is said of guards and grants is not about it", account))
	}
	return found
}

// replicas says how many of the operator's are ready. It is pure.
func (d Doctor) replicas(deployment *appsv1.Deployment) finding {
	ready, wanted := deployment.Status.ReadyReplicas, ptr.Deref(deployment.Spec.Replicas, 1)
	switch {
	case wanted == 0:
		return fail("kubectl -n "+d.Operator.Namespace+" scale deployment/"+word(deployment.Name, "NAME")+" --replicas=2", "the operator is scaled to no replicas: nothing is diagnosed or done")
	case ready == 0:
		return fail("kubectl -n "+d.Operator.Namespace+" describe pods "+byLabel, "none of the operator's %d replicas is ready", wanted)
	case ready < wanted:
		return note("kubectl -n "+d.Operator.Namespace+" get pods", "%d of the operator's %d replicas are ready", ready, wanted)
	}
	return ok("the operator runs, replicas ready: %d", ready)
}

func (d Doctor) leader(ctx context.Context, c Cluster) []finding {
	held := &coordinationv1.Lease{}
	err := c.Get(ctx, types.NamespacedName{Namespace: d.Operator.Namespace, Name: leaderLease}, held)
	logs := "kubectl -n " + d.Operator.Namespace + " logs " + byLabel + " --tail=200"
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
	state, err := guard.Check(ctx, c, d.Operator.user())
	switch {
	case err != nil:
		return []finding{unread("the guards", err)}
	case len(state.Faults) == 0:
		return []finding{ok("the guards are as shipped")}
	}
	var found []finding
	for _, fault := range state.Faults {
		says, mend, _ := strings.Cut(fault, ": "+guard.Command)
		found = append(found, fail(guard.Command+d.Operator.flags()+mend, "nothing is done until every guard is back: %s", redact.Line(says, 1024)))
	}
	return found
}

// definitions compares the cluster's with those of this plugin, which is of one version with
// the operator.
func (d Doctor) definitions(ctx context.Context, c Cluster) []finding {
	outdated, err := crd.Outdated(ctx, c)
	switch {
	case err != nil:
		return []finding{unread("the CustomResourceDefinitions", err)}
	case outdated != "":
		return []finding{fail(crd.Command, "nothing is done (CRDOutdated): %s", redact.Line(outdated, 1024))}
	}
	return []finding{ok("the CustomResourceDefinitions are as new as this plugin")}
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

func (d Doctor) webhook(ctx context.Context, c Cluster) []finding {
	intake, err := c.intake(ctx, d.Operator)
	switch {
	case err != nil:
		return []finding{unread("the webhook's Service", err)}
	case intake == nil:
		return []finding{fail("kubectl apply -k config/default", "nothing in namespace %s takes alerts: there is no Service with a port intake", d.Operator.Namespace)}
	}
	var endpoints discoveryv1.EndpointSliceList
	err = c.List(ctx, &endpoints, client.InNamespace(d.Operator.Namespace), client.MatchingLabels{discoveryv1.LabelServiceName: intake.Name})
	if err != nil {
		return []finding{unread("who is behind the webhook's Service", err)}
	}
	for _, slice := range endpoints.Items {
		if slices.ContainsFunc(slice.Endpoints, func(e discoveryv1.Endpoint) bool { return ptr.Deref(e.Conditions.Ready, true) }) {
			return []finding{ok("the webhook takes alerts at Service %s/%s", intake.Namespace, intake.Name)}
		}
	}
	return []finding{fail("kubectl -n "+d.Operator.Namespace+" get endpointslices -l "+discoveryv1.LabelServiceName+"="+intake.Name, "no replica takes alerts")}
}

// senders looks whether anybody may post to the webhook.
func (d Doctor) senders(ctx context.Context, c Cluster) []finding {
	var everywhere rbacv1.ClusterRoleBindingList
	var somewhere rbacv1.RoleBindingList
	if err := errors.Join(c.List(ctx, &everywhere), c.List(ctx, &somewhere)); err != nil {
		return []finding{unread("who may send alerts", err)}
	}
	var names []string
	add := func(role rbacv1.RoleRef, subjects []rbacv1.Subject, where string) {
		for _, s := range subjects {
			if isShipped(role, alertSender) {
				names = append(names, redact.Line(strings.TrimPrefix(s.Namespace+"/"+s.Name, "/"), widest)+where)
			}
		}
	}
	for _, b := range everywhere.Items {
		add(b.RoleRef, b.Subjects, "")
	}
	for _, b := range somewhere.Items {
		add(b.RoleRef, b.Subjects, " (about namespace "+b.Namespace+")")
	}
	if len(names) == 0 {
		return []finding{fail("kubectl create clusterrolebinding alertmanager-sends-to-kubernaut --clusterrole="+alertSender+" --serviceaccount=NAMESPACE:ACCOUNT   # Alertmanager's",
			"nobody may send alerts: ClusterRole %s is bound to no account", alertSender)}
	}
	return []finding{ok("alerts may be sent by %s", strings.Join(names[:min(len(names), 5)], ", "))}
}

// alertSender is the ClusterRole of whoever posts alerts.
const alertSender = "kubernaut-alert-sender"

// turnedAway looks for what the webhook did not take, of which there are events for an hour.
func (d Doctor) turnedAway(ctx context.Context, c Cluster) []finding {
	var events corev1.EventList
	if err := c.List(ctx, &events, client.InNamespace(d.Operator.Namespace), client.MatchingFields{"involvedObject.kind": "Namespace"}); err != nil {
		return []finding{unread("what the webhook turned away", err)}
	}
	last, at := map[string]string{}, map[string]time.Time{}
	for _, e := range events.Items {
		heard := e.EventTime.Time
		if e.Series != nil {
			heard = e.Series.LastObservedTime.Time
		}
		if e.Action == "ReceiveAlerts" && !heard.Before(at[e.Reason]) {
			last[e.Reason], at[e.Reason] = e.Message, heard
		}
	}
	var found []finding
	for _, reason := range slices.Sorted(maps.Keys(last)) {
		found = append(found, note("kubectl kubernaut receiver --help", "the webhook turned something away, last %s ago: %s: %s",
			duration.HumanDuration(time.Since(at[reason])), redact.Line(reason, widest), redact.Harmless(last[reason], 512)))
	}
	return found
}

// alertmanager looks whether the operator can ask whether an alert still fires.
func (d Doctor) alertmanager(ctx context.Context, c Cluster) []finding {
	deployment, err := c.deployment(ctx, d.Operator)
	if err != nil || deployment == nil {
		return nil // said above
	}
	for _, volume := range deployment.Spec.Template.Spec.Volumes {
		if volume.ConfigMap == nil || volume.Name != "config" {
			continue
		}
		configuration := &corev1.ConfigMap{}
		if err := c.Get(ctx, types.NamespacedName{Namespace: d.Operator.Namespace, Name: volume.ConfigMap.Name}, configuration); err != nil {
			return []finding{unread("the operator's configuration", err)}
		}
		return []finding{asksAlertmanager(configuration)}
	}
	return nil
}

// asksAlertmanager reads the operator's configuration. It is pure.
func asksAlertmanager(configuration *corev1.ConfigMap) finding {
	var said struct {
		Alertmanager struct {
			URL string `json:"url"`
		} `json:"alertmanager"`
	}
	if err := yaml.Unmarshal([]byte(configuration.Data["config.yaml"]), &said); err != nil {
		return fail("kubectl -n "+configuration.Namespace+" get configmap "+configuration.Name+" -o yaml", "the operator's configuration can't be read: %s", redact.Line(err.Error(), 512))
	}
	if said.Alertmanager.URL == "" {
		return note("kubectl apply -k config/default   # with `alertmanager: {url: http://…}` in config/manager/config.yaml",
			"the operator asks no Alertmanager: whether an alert still fires it knows from the webhook's last word")
	}
	return ok("the operator asks %s whether an alert still fires", redact.Line(said.Alertmanager.URL, widest))
}

// alerts says when Alertmanager was last heard of, and what waits. It is pure.
func alerts(all []v1alpha1.AlertRemediation, now time.Time) []finding {
	var last time.Time
	waiting := 0
	for i := range all {
		ar := &all[i]
		if asksPerson(ar) {
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
func (d Doctor) namespaces(ctx context.Context, c Cluster, policies []v1alpha1.RemediationPolicy) []finding {
	var found []finding
	seen := map[string]bool{}
	for i := range policies {
		p := &policies[i]
		if p.Spec.Mode == v1alpha1.ModeApprove || p.Spec.Mode == v1alpha1.ModeAuto {
			found = append(found, d.paused(p)...)
			if !seen[p.Namespace] && p.Namespace != d.Operator.Namespace {
				seen[p.Namespace] = true
				found = append(found, d.granted(ctx, c, p))
			}
		}
	}
	return found
}

// granted asks for the least that every level of a grant gives.
func (d Doctor) granted(ctx context.Context, c Cluster, p *v1alpha1.RemediationPolicy) finding {
	lacking, err := c.lacking(ctx, d.Operator, authorizationv1.ResourceAttributes{Namespace: p.Namespace, Verb: "patch", Group: "apps", Resource: "deployments"})
	switch {
	case err != nil:
		return unread("the grant of namespace "+p.Namespace, err)
	case lacking != "":
		says, mend, _ := strings.Cut(lacking, ": kubectl ")
		return fail("kubectl "+mend, "policy %s/%s lets plans run (%s), but %s", p.Namespace, p.Name, p.Spec.Mode, says)
	}
	return ok("namespace %s: policy %s, mode %s, granted", p.Namespace, p.Name, p.Spec.Mode)
}

// paused says which pauses hold what a policy would let run.
func (d Doctor) paused(p *v1alpha1.RemediationPolicy) []finding {
	var found []finding
	for _, request := range p.Spec.PauseRequests {
		if !over(request, time.Now()) {
			found = append(found, note("kubectl kubernaut resume -n "+p.Namespace+"   # takes back your own",
				"policy %s/%s is paused by %s%s: %s", p.Namespace, p.Name, redact.Line(request.By, widest), ends(request), redact.Line(request.Reason, widest)))
		}
	}
	return found
}
