package alertremediation

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// escalateOnce ends a remediation that is about to call a person as a duplicate of the
// one that called a person before for the same cause, target and evidence. An alert
// that goes on firing is delivered again and again, and each delivery may make a
// remediation. Where the others can't be listed the person is called.
func (r *Reconciler) escalateOnce(ctx context.Context, ar *v1alpha1.AlertRemediation) {
	if !isEscalation(ar) || ar.Spec.Alert.Source == v1alpha1.SourceManual {
		return // a person who asks gets an answer of their own
	}
	var list v1alpha1.AlertRemediationList
	// They are read only, and there may be thousands.
	if err := r.Client.List(ctx, &list, client.InNamespace(ar.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return
	}
	var first *v1alpha1.AlertRemediation
	for i := range list.Items {
		other := &list.Items[i]
		if sameEscalation(ar, other) && (first == nil || other.CreationTimestamp.Before(&first.CreationTimestamp)) {
			first = other
		}
	}
	if first == nil {
		return
	}
	ar.Status.DuplicateOf = first.Name
	_, _ = finish(ar, v1alpha1.OutcomeDuplicate, "AlertRemediation %s was escalated for the same cause and evidence, and nothing changed since: %s", first.Name,
		cut(meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Succeeded).Message, maxMessage/2))
}

// isEscalation reports whether a remediation ended with a call for a person, and
// nothing was carried out.
func isEscalation(ar *v1alpha1.AlertRemediation) bool {
	return ar.Finished() && ar.Status.Outcome == v1alpha1.OutcomeEscalated && ar.Status.RunRef == ""
}

// sameEscalation reports whether another remediation called a person for the same. It
// must come from the same kind of source: what a tenant wrote by hand keeps no alert
// of Alertmanager from a person. It is pure.
func sameEscalation(ar, other *v1alpha1.AlertRemediation) bool {
	return other.UID != ar.UID && isEscalation(other) && !ar.CreationTimestamp.Before(&other.CreationTimestamp) &&
		other.Namespace == ar.Namespace && other.Spec.Alert.Source == ar.Spec.Alert.Source && other.Spec.Mode == ar.Spec.Mode &&
		sameObject(ar, other) && sameReasons(ar, other) && sameFindings(ar.Status.Diagnosis, other.Status.Diagnosis)
}

// sameObject compares the targets, by their spec too. An alert that names no object
// of the cluster is the same as another by its labels.
func sameObject(a, b *v1alpha1.AlertRemediation) bool {
	one, other := a.Status.Target, b.Status.Target
	if one == nil || other == nil {
		return one == other && a.Spec.Alert.Name == b.Spec.Alert.Name && maps.Equal(a.Spec.Alert.Labels, b.Spec.Alert.Labels)
	}
	return one.UID == other.UID && one.ObjectReference == other.ObjectReference && one.Generation == other.Generation
}

// sameReasons compares why nothing was carried out.
func sameReasons(a, b *v1alpha1.AlertRemediation) bool {
	return slices.Equal(endReasons(a), endReasons(b))
}

func endReasons(ar *v1alpha1.AlertRemediation) []string {
	var reasons []string
	for _, condition := range []string{v1alpha1.Admitted, v1alpha1.Diagnosed, v1alpha1.Planned, v1alpha1.Approved, v1alpha1.Executed} {
		if c := meta.FindStatusCondition(ar.Status.Conditions, condition); c != nil {
			reasons = append(reasons, condition+" "+string(c.Status)+" "+c.Reason)
		}
	}
	return reasons
}

// sameFindings compares the cause, the remedies and the evidence of two diagnoses.
func sameFindings(a, b *v1alpha1.Diagnosis) bool {
	if a == nil || b == nil {
		return a == b
	}
	if a.Cause != b.Cause || a.Source != b.Source || (a.Target == nil) != (b.Target == nil) {
		return false
	}
	if a.Target != nil && (a.Target.UID != b.Target.UID || a.Target.Generation != b.Target.Generation) {
		return false
	}
	return slices.EqualFunc(a.Remedies, b.Remedies, sameRemedy) && slices.Equal(observations(a.Evidence), observations(b.Evidence))
}

func sameRemedy(a, b v1alpha1.Remedy) bool {
	if a.Action != b.Action || !maps.Equal(a.Parameters, b.Parameters) || (a.Refused == nil) != (b.Refused == nil) {
		return false
	}
	return a.Refused == nil || a.Refused.Reason == b.Refused.Reason
}

// observations are what pieces of evidence say, but for what differs at every look
// though nothing changed: which of a workload's pods it was, when, and how often.
func observations(evidence []v1alpha1.Evidence) []string {
	var pods []string
	for _, e := range evidence {
		if e.Object != nil && e.Object.Kind == "Pod" {
			pods = append(pods, e.Object.Name)
		}
	}
	var all []string
	for _, e := range evidence {
		object := ""
		if e.Object != nil {
			object = e.Object.String()
		}
		all = append(all, string(e.Kind)+" "+withoutMoments(object, pods)+" "+withoutMoments(e.Says, pods))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// withoutMoments replaces the names of pods, times, durations and counts of a sentence.
// Numbers that say what is wrong stay: an exit code, a port, a revision.
func withoutMoments(says string, pods []string) string {
	words := strings.Fields(says)
	for i, word := range words {
		for _, pod := range pods {
			word = strings.ReplaceAll(word, pod, "#")
		}
		bare := strings.Trim(word, "()[],;:.\"'")
		if isMoment(bare) && (i == 0 || !slices.Contains(telling, words[i-1])) {
			word = strings.Replace(word, bare, "#", 1)
		}
		words[i] = word
	}
	return strings.Join(words, " ")
}

// telling are the words before a number that is no count.
var telling = []string{"code", "port", "revision", "status"}

// isMoment reports whether a word is a count, a duration or a time. It is pure.
func isMoment(word string) bool {
	if word == "" {
		return false
	}
	if _, err := time.ParseDuration(word); err == nil {
		return true
	}
	if _, err := time.Parse(time.RFC3339, word); err == nil {
		return true
	}
	return strings.Trim(word, "0123456789-/:.,%") == ""
}
