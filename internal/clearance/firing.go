package clearance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/evidence"
	"github.com/kubernaut/kubernaut/internal/policy"
	"github.com/kubernaut/kubernaut/pkg/alert"
)

// firing is whether a remediation's alert still fires for its target. Nobody but
// its author knows of an alert that a person wrote: its own status counts.
func (d *Desk) firing(ctx context.Context, ar *v1alpha1.AlertRemediation) policy.Fact[v1alpha1.AlertState] {
	if ar.Spec.Alert.Source != v1alpha1.SourceAlertmanager || ar.Status.Target == nil {
		return policy.Fact[v1alpha1.AlertState]{Value: ar.AlertState()}
	}
	state, _, err := d.alertState(ctx, ar.Spec.Alert.Name, *ar.Status.Target, ar)
	return policy.Fact[v1alpha1.AlertState]{Value: state, Err: err}
}

// AlertState tells whether any alert of that name fires for the target, and how that is known.
func (d *Desk) AlertState(ctx context.Context, alertName string, target v1alpha1.TargetReference) (v1alpha1.AlertState, string, error) {
	return d.alertState(ctx, alertName, target, nil)
}

// alertState is told the remediation that is judged, if one is: its target may not
// be stored yet, for admission and plan are one write.
func (d *Desk) alertState(ctx context.Context, alertName string, target v1alpha1.TargetReference, judged *v1alpha1.AlertRemediation) (v1alpha1.AlertState, string, error) {
	if d.Alertmanager == nil {
		return d.heard(ctx, alertName, target, judged)
	}
	state, err := d.asked(ctx, alertName, target, podOf(judged))
	if err != nil {
		return v1alpha1.AlertUnknown, "", fmt.Errorf("asking whether %s fires for %s: %w", alertName, target, err)
	}
	return state, "Alertmanager says so", nil
}

// asked is what Alertmanager says. An alert about another incarnation of the
// same workload's pods is about the target; one whose object is gone is not, but the
// very one that is judged: that its pod was replaced is no cure.
func (d *Desk) asked(ctx context.Context, alertName string, target v1alpha1.TargetReference, own candidates) (v1alpha1.AlertState, error) {
	alerts, err := d.Alertmanager.Firing(ctx, alertName)
	if err != nil {
		return v1alpha1.AlertUnknown, err
	}
	var unclear error
	for _, labels := range d.about(alertName, alerts, target.Namespace) {
		found, err := d.Resolver.Resolve(ctx, target.Namespace, v1alpha1.Alert{Name: alertName, Labels: labels})
		gone := errors.Is(err, evidence.ErrNoTarget)
		switch {
		case err == nil && found.Target.UID == target.UID, own.replaced(alertName, labels, found, gone):
			return v1alpha1.AlertFiring, nil
		case err != nil && !gone:
			unclear = fmt.Errorf("finding out what alert %s of namespace %s belongs to: %w", alertName, target.Namespace, err)
		}
	}
	if unclear == nil {
		unclear = d.remembers(ctx)
	}
	if unclear != nil {
		return v1alpha1.AlertUnknown, unclear
	}
	return v1alpha1.AlertResolved, nil
}

// candidates are what the labels of an alert name: the objects it may be about, in order.
type candidates []alert.Candidate

// podOf returns what the alert of a remediation names if a pod is among it, or nothing.
func podOf(ar *v1alpha1.AlertRemediation) candidates {
	if ar == nil || ar.Spec.Target != nil {
		return nil
	}
	named := alert.Candidates(ar.Spec.Alert.Name, ar.Spec.Alert.Labels)
	if !slices.ContainsFunc(named, isPod) {
		return nil
	}
	return named
}

func isPod(c alert.Candidate) bool { return c.Kind == "Pod" }

// replaced reports whether an alert is this one, and what it is found to be about is
// not its pod: the pod led to the target, and was replaced since.
func (c candidates) replaced(alertName string, labels map[string]string, found evidence.Found, gone bool) bool {
	return c != nil && (gone || found.Subject.Kind != "" && found.Subject.Kind != "Pod") && slices.Equal(c, alert.Candidates(alertName, labels))
}

// toldAgain is how long after its start Alertmanager may not have been told of
// all that fires. Prometheus tells it every minute, or as often as it evaluates
// the rule; this is what it takes by then to be told even of a slow one, twice.
const toldAgain = 5 * time.Minute

// remembers returns why Alertmanager's silence says nothing, if so. It is asked
// after it was silent: started in between, it must not pass for the one that was.
func (d *Desk) remembers(ctx context.Context) error {
	since, err := d.Alertmanager.Since(ctx)
	if err != nil {
		return err
	}
	if until := since.Add(toldAgain); d.Clock.Now().Before(until) {
		return fmt.Errorf("it was started at %s: until %s Alertmanager need not have been told of all that fires",
			since.UTC().Format(time.RFC3339), until.UTC().Format(time.RFC3339))
	}
	return nil
}

// about returns the labels of the alerts that name something in a namespace of this
// cluster, once for all alerts that name the same.
func (d *Desk) about(alertName string, alerts []map[string]string, namespace string) map[string]map[string]string {
	named := map[string]map[string]string{}
	for _, labels := range alerts {
		all := alert.Candidates(alertName, labels)
		inside := func(c alert.Candidate) bool { return c.Namespace == namespace }
		if slices.ContainsFunc(all, inside) && d.here(labels) {
			named[fmt.Sprint(all)] = labels
		}
	}
	return named
}

// here reports whether an alert is about this cluster, as far as it says.
func (d *Desk) here(labels map[string]string) bool {
	named := labels[d.ClusterLabel]
	return d.Cluster == "" || named == "" || named == d.Cluster
}

// heard is what the webhook was told last about each alert of that name that
// belongs to the target. The one that is judged counts as it is at hand.
func (d *Desk) heard(ctx context.Context, alertName string, target v1alpha1.TargetReference, judged *v1alpha1.AlertRemediation) (v1alpha1.AlertState, string, error) {
	const source = "the last word of the webhook; no Alertmanager is configured to ask"
	newest := map[string]*v1alpha1.AlertRemediation{}
	if judged != nil {
		note(newest, judged, alertName, target)
	}
	for _, namespace := range d.homes(target) {
		var list v1alpha1.AlertRemediationList
		// They are read only, and after a storm there are thousands.
		if err := d.Client.List(ctx, &list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
			return v1alpha1.AlertUnknown, "", fmt.Errorf("listing AlertRemediations of namespace %s: %w", namespace, err)
		}
		for i := range list.Items {
			if judged == nil || list.Items[i].UID != judged.UID {
				note(newest, &list.Items[i], alertName, target)
			}
		}
	}
	if len(newest) == 0 {
		return v1alpha1.AlertUnknown, "nothing was ever heard of it", nil
	}
	for _, ar := range newest {
		if ar.AlertState() != v1alpha1.AlertResolved {
			return v1alpha1.AlertFiring, source, nil
		}
	}
	return v1alpha1.AlertResolved, source, nil
}

// homes are the namespaces in which remediations of a target can live.
func (d *Desk) homes(target v1alpha1.TargetReference) []string {
	if target.Namespace == "" || target.Namespace == d.Namespace {
		return []string{d.Namespace}
	}
	return []string{target.Namespace, d.Namespace}
}

// note keeps the newest remediation of each alert: intake tells only that one
// that its alert resolved, so what an older one holds says nothing any more.
func note(newest map[string]*v1alpha1.AlertRemediation, ar *v1alpha1.AlertRemediation, alertName string, target v1alpha1.TargetReference) {
	if ar.Spec.Alert.Name != alertName || ar.Status.Target == nil || ar.Status.Target.UID != target.UID {
		return
	}
	if ar.Spec.Alert.Source == v1alpha1.SourceManual {
		return // what a user writes, with any fingerprint, does not keep an alert firing for others
	}
	if ar.Spec.Alert.Source == v1alpha1.SourceWatch && ar.Finished() {
		return // nobody will ever say that it resolved
	}
	key := ar.Spec.Alert.Fingerprint
	if key == "" {
		key = ar.Namespace + "/" + ar.Name
	}
	if known := newest[key]; known == nil || known.CreationTimestamp.Before(&ar.CreationTimestamp) {
		newest[key] = ar
	}
}
