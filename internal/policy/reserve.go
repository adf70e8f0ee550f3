package policy

import (
	"fmt"
	"slices"
	"time"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

const (
	// maxReservations is what status.reservations holds.
	maxReservations = 256
	// keepReservations is how long a reservation stays at least: the budget counts it.
	keepReservations = budgetHour
)

// Reserve returns the reservations of a policy with a place for one more run,
// without those that no longer count; false when the run has its place already,
// and keeps it as it is. A place of its own that is older than the cooldown is
// taken anew, and counted once. A *RefusedError says why there is none.
func Reserve(p *v1alpha1.RemediationPolicy, wanted v1alpha1.Reservation, now time.Time) ([]v1alpha1.Reservation, bool, error) {
	taken, cool := p.Status.Reservations, now.Add(-Cooldown(p))
	own := func(r v1alpha1.Reservation) bool { return r.Run == wanted.Run && r.UID != "" && r.UID == wanted.UID }
	if slices.ContainsFunc(taken, func(r v1alpha1.Reservation) bool { return own(r) && r.At.After(cool) }) {
		return taken, false, nil
	}
	if other, ok := recent(taken, wanted.TargetUID, own, cool); ok {
		return nil, false, &RefusedError{tooSoon(p, other, "The object with uid "+string(wanted.TargetUID))}
	}
	if free, ok := place(p, own, now); !ok {
		return nil, false, &RefusedError{overBudget(p, free)}
	}
	keep := max(Cooldown(p), keepReservations)
	live := slices.DeleteFunc(slices.Clone(taken), func(r v1alpha1.Reservation) bool { return own(r) || !now.Before(r.At.Add(keep)) })
	for i := range live {
		if live[i].Run == wanted.Run { // of an earlier object of the same name; the list has one entry per name
			live[i].Run = fmt.Sprintf("%.300s@%d", live[i].Run, live[i].At.Unix())
		}
	}
	if len(live) >= maxReservations {
		return nil, false, &RefusedError{refusal(Waits, v1alpha1.ReasonCooldown,
			"RemediationPolicy %s holds %d reservations that are younger than %s, and no more fit; the next place is free when the oldest has gone.", name(p), len(live), keep)}
	}
	return append(live, wanted), true, nil
}
