package clearance

import (
	"context"
	"errors"
	"fmt"

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
	state, _, err := d.AlertState(ctx, ar.Spec.Alert.Name, *ar.Status.Target)
	return policy.Fact[v1alpha1.AlertState]{Value: state, Err: err}
}

// asked is what Alertmanager says. An alert about another incarnation of the
// same workload's pods is about the target; one whose object is gone is not.
func (d *Desk) asked(ctx context.Context, alertName string, target v1alpha1.TargetReference) (v1alpha1.AlertState, error) {
	alerts, err := d.Alertmanager.Firing(ctx, alertName)
	if err != nil {
		return v1alpha1.AlertUnknown, err
	}
	var unclear error
	looked := map[v1alpha1.ObjectReference]bool{}
	for _, labels := range alerts {
		about, ok := d.about(labels)
		if !ok || about.Namespace != target.Namespace || looked[about] {
			continue
		}
		looked[about] = true
		found, err := d.Resolver.Climb(ctx, about)
		switch {
		case err == nil && found.UID == target.UID:
			return v1alpha1.AlertFiring, nil
		case err != nil && !errors.Is(err, evidence.ErrNoTarget):
			unclear = fmt.Errorf("finding out what %s in %s belongs to: %w", about, about.Namespace, err)
		}
	}
	if unclear != nil {
		return v1alpha1.AlertUnknown, unclear
	}
	return v1alpha1.AlertResolved, nil
}

// apiVersions of the kinds an alert's labels can name.
var apiVersions = map[string]string{
	"Deployment": "apps/v1", "StatefulSet": "apps/v1", "DaemonSet": "apps/v1", "ReplicaSet": "apps/v1", "Job": "batch/v1",
	"PersistentVolumeClaim": "v1", "Pod": "v1", "Node": "v1", "Service": "v1",
}

// about returns the object in this cluster that an alert's labels name.
func (d *Desk) about(labels map[string]string) (v1alpha1.ObjectReference, bool) {
	if named := labels[d.ClusterLabel]; d.Cluster != "" && named != "" && named != d.Cluster {
		return v1alpha1.ObjectReference{}, false
	}
	subject, ok := alert.Subject(labels)
	if !ok {
		return v1alpha1.ObjectReference{}, false
	}
	return v1alpha1.ObjectReference{
		APIVersion: apiVersions[subject.Kind], Kind: subject.Kind, Namespace: subject.Namespace, Name: subject.Name,
	}, true
}

// heard is what the webhook was told last about each alert of that name that
// belongs to the target.
func (d *Desk) heard(ctx context.Context, alertName string, target v1alpha1.TargetReference) (v1alpha1.AlertState, string, error) {
	const source = "the last word of the webhook; no Alertmanager is configured to ask"
	newest := map[string]*v1alpha1.AlertRemediation{}
	for _, namespace := range d.homes(target) {
		var list v1alpha1.AlertRemediationList
		if err := d.Client.List(ctx, &list, client.InNamespace(namespace)); err != nil {
			return v1alpha1.AlertUnknown, "", fmt.Errorf("listing AlertRemediations of namespace %s: %w", namespace, err)
		}
		for i := range list.Items {
			note(newest, &list.Items[i], alertName, target)
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
	if ar.Spec.Alert.Source != v1alpha1.SourceAlertmanager && ar.Finished() {
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
