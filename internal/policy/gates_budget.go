package policy

import (
	"time"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// budgetHour is what limits.maxPerHour is about: the hour before now, not that of the clock.
const budgetHour = time.Hour

// budgetSpent (12): within an hour as many runs were made as the policy has places for.
func budgetSpent(v view) []Refusal {
	return v.eachPolicy(func(c choice) (Refusal, bool) {
		free, ok := place(c.policy, v.reserved, v.Now)
		return overBudget(c.policy, free), !ok
	})
}

// place reports whether the budget of a policy has a place for one more run, and
// if not, when it will.
func place(p *v1alpha1.RemediationPolicy, own func(v1alpha1.Reservation) bool, now time.Time) (time.Time, bool) {
	var oldest time.Time
	taken := int32(0)
	for _, r := range p.Status.Reservations {
		if own(r) || !now.Before(r.At.Add(budgetHour)) {
			continue
		}
		taken++
		if oldest.IsZero() || r.At.Time.Before(oldest) {
			oldest = r.At.Time
		}
	}
	return oldest.Add(budgetHour), taken < maxPerHour(p)
}

func overBudget(p *v1alpha1.RemediationPolicy, free time.Time) Refusal {
	return refusal(Waits, v1alpha1.ReasonBudgetSpent,
		"RemediationPolicy %s let %d runs be made within an hour and lets no more (limits.maxPerHour); the next place is free at %s.",
		name(p), maxPerHour(p), free.UTC().Format(time.RFC3339))
}

func maxPerHour(p *v1alpha1.RemediationPolicy) int32 {
	if p.Spec.Limits.MaxPerHour == 0 {
		return defaultMaxPerHour // the object did not come through the schema, which has the same
	}
	return p.Spec.Limits.MaxPerHour
}
