package policy

import (
	"slices"
	"strings"
	"time"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// budgetHour is what limits.maxPerHour is about: the hour before now, not that of the clock.
const budgetHour = time.Hour

// budgetSpent (12): within an hour as many runs were made as there are places for:
// in this namespace under its policy, or in the cluster.
func budgetSpent(v view) []Refusal {
	all := v.eachPolicy(func(c choice) (Refusal, bool) {
		free, ok := place(c.policy, v.Namespace(), v.reserved, v.Now)
		return overBudget(c.policy, v.Namespace(), free), !ok
	})
	return append(all, clusterSpent(v)...)
}

// place reports whether the budget that a policy gives a namespace has a place for
// one more run, and if not, when it will.
func place(p *v1alpha1.RemediationPolicy, namespace string, own func(v1alpha1.Reservation) bool, now time.Time) (time.Time, bool) {
	var taken []time.Time
	for _, r := range inNamespace(p.Status.Reservations, namespace) {
		if !own(r) {
			taken = append(taken, r.At.Time)
		}
	}
	return nextFree(taken, int(maxPerHour(p)), now)
}

// nextFree reports whether fewer places than the limit were taken within the hour
// before now, and if not, when that will be so.
func nextFree(taken []time.Time, limit int, now time.Time) (time.Time, bool) {
	counted := slices.DeleteFunc(slices.Clone(taken), func(at time.Time) bool { return !now.Before(at.Add(budgetHour)) })
	if len(counted) < limit {
		return time.Time{}, true
	}
	slices.SortFunc(counted, time.Time.Compare)
	return counted[len(counted)-limit].Add(budgetHour), false
}

// inNamespace returns the reservations of the runs of one namespace. The policy
// default decides for many namespaces: what one of them has spent, and which of its
// objects were remediated, concerns no other.
func inNamespace(all []v1alpha1.Reservation, namespace string) []v1alpha1.Reservation {
	return slices.DeleteFunc(slices.Clone(all), func(r v1alpha1.Reservation) bool { return runNamespace(r.Run) != namespace })
}

// runNamespace returns the namespace of namespace/name.
func runNamespace(run string) string {
	namespace, _, _ := strings.Cut(run, "/")
	return namespace
}

func overBudget(p *v1alpha1.RemediationPolicy, namespace string, free time.Time) Refusal {
	return refusal(Waits, v1alpha1.ReasonBudgetSpent,
		"RemediationPolicy %s let %d runs be made in namespace %s within an hour and lets no more (limits.maxPerHour); the next place is free at %s.",
		name(p), maxPerHour(p), namespace, free.UTC().Format(time.RFC3339))
}

func maxPerHour(p *v1alpha1.RemediationPolicy) int32 {
	if p.Spec.Limits.MaxPerHour == 0 {
		return defaultMaxPerHour // the object did not come through the schema, which has the same
	}
	return p.Spec.Limits.MaxPerHour
}
