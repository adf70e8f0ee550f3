package retention

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// What a policy that says nothing means; the schema has the same.
const (
	shippedKeep = 168 * time.Hour
	shippedMost = 500
)

// longer is by how much an alert that still fires keeps its remediation longer.
const longer = 4

// ended is something that has ended.
type ended struct {
	obj    client.Object
	at     time.Time
	firing bool
}

// endings returns what has ended of a namespace, youngest first: remediations, and
// the runs that people made. The other runs go with their remediation.
func endings(remediations []v1alpha1.AlertRemediation, runs []v1alpha1.WorkflowRun) []ended {
	var all []ended
	for i := range remediations {
		ar := &remediations[i]
		if ar.Finished() && ar.DeletionTimestamp == nil {
			fires := ar.Spec.Alert.Source == v1alpha1.SourceAlertmanager && ar.AlertState() != v1alpha1.AlertResolved
			all = append(all, ended{obj: ar, at: endOf(ar.Status.Conditions), firing: fires})
		}
	}
	for i := range runs {
		run := &runs[i]
		if run.Finished() && run.DeletionTimestamp == nil && metav1.GetControllerOf(run) == nil {
			all = append(all, ended{obj: run, at: endOf(run.Status.Conditions)})
		}
	}
	slices.SortStableFunc(all, func(a, b ended) int { return b.at.Compare(a.at) })
	return all
}

func endOf(conditions []metav1.Condition) time.Time {
	return meta.FindStatusCondition(conditions, v1alpha1.Succeeded).LastTransitionTime.Time
}

// outdated returns what has to go, and when the next one will have to; zero: none
// will. It is pure. Every object counts, also one whose alert still fires: the alerts
// of a receiver with send_resolved: false fire for ever.
func outdated(youngestFirst []ended, keep time.Duration, most int, now time.Time) (gone []client.Object, next time.Duration) {
	ordered := preferred(youngestFirst, most/2)
	kept := 0
	for _, e := range ordered {
		stays := keep
		if e.firing {
			stays *= longer
		}
		left := e.at.Add(stays).Sub(now)
		if left <= 0 || kept >= most {
			gone = append(gone, e.obj)
			continue
		}
		kept++
		if next == 0 || left < next {
			next = left
		}
	}
	return gone, next
}

// preferred moves so many of the youngest whose alert still fires to the front:
// without its remediation, the next delivery of such an alert would be remediated once
// more. It is not all of them, so that alerts that never end leave places to the rest.
func preferred(youngestFirst []ended, places int) []ended {
	var first, rest []ended
	for _, e := range youngestFirst {
		if e.firing && len(first) < places {
			first = append(first, e)
			continue
		}
		rest = append(rest, e)
	}
	return append(first, rest...)
}

// wanted returns the retention of a namespace: of its first policy, by name, that
// says one, or else of the operator's default.
func wanted(policies []v1alpha1.RemediationPolicy, shipped *v1alpha1.RemediationPolicy) (keep time.Duration, most int) {
	slices.SortFunc(policies, func(a, b v1alpha1.RemediationPolicy) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	if shipped != nil {
		policies = append(policies, *shipped)
	}
	keep, most = shippedKeep, shippedMost
	at := slices.IndexFunc(policies, func(p v1alpha1.RemediationPolicy) bool { return p.Spec.Retention != nil })
	if at < 0 {
		return keep, most
	}
	said := policies[at].Spec.Retention
	if said.Keep != nil {
		keep = said.Keep.Duration
	}
	if said.Most > 0 {
		most = int(said.Most)
	}
	return keep, most
}
