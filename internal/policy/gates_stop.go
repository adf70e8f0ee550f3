package policy

import (
	"fmt"
	"time"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// foreignCluster (0): the alert names another cluster.
func foreignCluster(v view) []Refusal {
	named := v.Remediation.Spec.Alert.Cluster
	if v.Cluster == "" || named == "" || named == v.Cluster {
		return nil
	}
	return ends(v1alpha1.ReasonForeignCluster,
		"The alert is about cluster %q, and this is %q; route it to the Kubernaut over there.", named, v.Cluster)
}

// emergencyStop (1): somebody stopped everything.
func emergencyStop(v view) []Refusal {
	stop := v1alpha1.EmergencyStopName
	if v.EmergencyStop.Err != nil {
		return unreadable("whether the emergency stop is set (ConfigMap "+v.Operator+"/"+stop+")", v.EmergencyStop.Err)
	}
	if !v.EmergencyStop.Value {
		return nil
	}
	return waits(v1alpha1.ReasonEmergencyStop,
		"Everything is stopped by ConfigMap %[1]s/%[2]s; to go on: kubectl -n %[1]s delete configmap %[2]s", v.Operator, stop)
}

// paused (2): somebody holds the policy, the remediation, the run, its namespace or an object.
func paused(v view) []Refusal {
	var all []Refusal
	for _, c := range v.chosen {
		if c.err != nil {
			all = append(all, unreadable(policies(v), c.err)...)
		}
	}
	for _, p := range v.policies() {
		all = append(all, pausedByPolicy(p, v.Now)...)
	}
	if ar := v.Remediation; ar != nil && ar.Spec.Suspend {
		all = append(all, waits(v1alpha1.ReasonPaused,
			`spec.suspend is set; to go on: kubectl -n %s patch ar %s --type merge -p '{"spec":{"suspend":false}}'`, ar.Namespace, ar.Name)...)
	}
	if run := v.Run; run != nil && run.Spec.Paused {
		all = append(all, waits(v1alpha1.ReasonPaused,
			`spec.paused is set; to go on: kubectl -n %s patch wr %s --type merge -p '{"spec":{"paused":false}}'`, run.Namespace, run.Name)...)
	}
	all = append(all, pausedByAnnotation(v.Space)...)
	for _, object := range v.Objects {
		all = append(all, pausedByAnnotation(object)...)
	}
	return all
}

func pausedByPolicy(p *v1alpha1.RemediationPolicy, now time.Time) []Refusal {
	var all []Refusal
	for _, request := range p.Spec.PauseRequests {
		until := "until it is removed"
		if !request.Until.IsZero() {
			if !request.Until.After(now) {
				continue
			}
			until = "until " + request.Until.UTC().Format(time.RFC3339)
		}
		all = append(all, waits(v1alpha1.ReasonPaused,
			"%s paused RemediationPolicy %s %s: %s; to go on, remove the pause request: kubectl -n %s edit rp %s",
			request.By, name(p), until, brief(request.Reason), p.Namespace, p.Name)...)
	}
	return all
}

func pausedByAnnotation(object Fact[Object]) []Refusal {
	ref := object.Value.Ref
	if object.Err != nil {
		return unreadable(marks(ref), object.Err)
	}
	why, paused := object.Value.Annotations[v1alpha1.PauseAnnotation]
	if !paused {
		return nil
	}
	return waits(v1alpha1.ReasonPaused, "%s is paused by annotation (%s); to go on: %s annotate %s %s-",
		described(ref), brief(why), kubectl(ref.Namespace), ref, v1alpha1.PauseAnnotation)
}

// alertResolved (3): nothing of this name fires for the target any more.
func alertResolved(v view) []Refusal {
	switch {
	case v.AlertState.Err != nil:
		return unreadable("whether alert "+v.Remediation.Spec.Alert.Name+" still fires", v.AlertState.Err)
	case v.AlertState.Value == v1alpha1.AlertFiring:
		return nil
	case v.AlertState.Value == v1alpha1.AlertResolved:
		return []Refusal{refusal(Resolved, v1alpha1.ReasonAlertResolved,
			"Alert %s no longer fires for the target: there is nothing left to do.", v.Remediation.Spec.Alert.Name)}
	}
	return unreadable("whether alert "+v.Remediation.Spec.Alert.Name+" still fires", fmt.Errorf("its state is %q", v.AlertState.Value))
}
