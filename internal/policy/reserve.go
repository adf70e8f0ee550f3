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
	namespace := runNamespace(wanted.Run)
	own := func(r v1alpha1.Reservation) bool { return r.Run == wanted.Run && r.UID != "" && r.UID == wanted.UID }
	if slices.ContainsFunc(taken, func(r v1alpha1.Reservation) bool { return own(r) && r.At.After(cool) }) {
		return taken, false, nil
	}
	if other, ok := recent(inNamespace(taken, namespace), wanted.TargetUID, own, cool); ok {
		return nil, false, &RefusedError{tooSoon(p, other, "The object with uid "+string(wanted.TargetUID))}
	}
	if free, ok := place(p, namespace, own, now); !ok {
		return nil, false, &RefusedError{overBudget(p, namespace, free)}
	}
	keep := max(Cooldown(p), keepReservations)
	live := slices.DeleteFunc(slices.Clone(taken), func(r v1alpha1.Reservation) bool { return own(r) || !now.Before(r.At.Add(keep)) })
	for i := range live {
		if live[i].Run == wanted.Run { // of an earlier object of the same name; the list has one entry per name
			live[i].Run = fmt.Sprintf("%.300s@%d", live[i].Run, live[i].At.Unix())
		}
	}
	if no, full := overfull(p, live, namespace); full {
		return nil, false, &RefusedError{no}
	}
	return append(live, wanted), true, nil
}

// overfull reports whether the reservations of a policy that still count leave no
// room for one more of a namespace. The policy default has room for many
// namespaces, and gives each a quarter of it.
func overfull(p *v1alpha1.RemediationPolicy, live []v1alpha1.Reservation, namespace string) (Refusal, bool) {
	keep, share := max(Cooldown(p), keepReservations), maxReservations
	if p.Namespace != namespace {
		share = maxReservations / clusterShares
	}
	mine := len(inNamespace(live, namespace))
	if len(live) < maxReservations && mine < share {
		return Refusal{}, false
	}
	return refusal(Waits, v1alpha1.ReasonCooldown,
		"RemediationPolicy %s holds %d reservations that are younger than %s, %d of them of namespace %s, and no more fit for that namespace; "+
			"the next place is free when the oldest has gone. A shorter limits.cooldown, or a RemediationPolicy in the namespace itself, makes room.",
		name(p), len(live), keep, mine, namespace), true
}
