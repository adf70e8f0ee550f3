package policy

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// ours is what the names of our own field managers begin with.
const ours = "kubernaut"

// coolingDown (13): the target was remediated a short while ago.
func coolingDown(v view) []Refusal {
	return v.eachPolicy(func(c choice) (Refusal, bool) {
		other, found := recent(v.places(), c.target.UID, v.reserved, v.Now.Add(-Cooldown(c.policy)))
		return tooSoon(c.policy, other, c.target.String()), found
	})
}

// reserved reports whether a reservation is this case's own: that of its run, or
// while planning, of a run of its remediation that was never made because the
// operator stopped in between. The uid tells it from the reservation of an earlier
// object of the same name: deleting what has acted does not end the cooldown of its
// target. Times do not tell the two apart: creationTimestamp is of the API server's
// clock, a reservation of the operator's.
func (c Case) reserved(r v1alpha1.Reservation) bool {
	if r.UID == "" || r.UID != c.reservesAs() {
		return false
	}
	if c.Run != nil {
		return r.Run == c.Run.Namespace+"/"+c.Run.Name
	}
	suffix, ok := strings.CutPrefix(r.Run, c.Remediation.Namespace+"/"+c.Remediation.Name+"-run-")
	n, err := strconv.ParseInt(suffix, 10, 32)
	return ok && err == nil && n > int64(c.Remediation.Status.Runs)
}

// reservesAs is the uid that the reservations of a case carry; empty: it has none.
func (c Case) reservesAs() types.UID {
	switch {
	case c.Remediation != nil:
		return c.Remediation.UID
	case c.Run != nil:
		return c.Run.UID
	}
	return ""
}

// places are the reservations of every policy that may have let somebody at a
// target here: which one decides depends on the alert, and a target cools down
// whichever alert it was remediated for. Those of other namespaces, which the
// default holds too, are about other objects, whatever uid they name.
func (f Facts) places() []v1alpha1.Reservation {
	var all []v1alpha1.Reservation
	for i := range f.Policies.Value {
		all = append(all, f.Policies.Value[i].Status.Reservations...)
	}
	if f.Default.Value != nil {
		all = append(all, f.Default.Value.Status.Reservations...)
	}
	return inNamespace(all, f.Namespace())
}

// recent returns a reservation of somebody else for the target that was made after a moment.
func recent(places []v1alpha1.Reservation, target types.UID, own func(v1alpha1.Reservation) bool, moment time.Time) (v1alpha1.Reservation, bool) {
	for _, r := range places {
		if r.TargetUID == target && !own(r) && r.At.After(moment) {
			return r, true
		}
	}
	return v1alpha1.Reservation{}, false
}

func tooSoon(p *v1alpha1.RemediationPolicy, other v1alpha1.Reservation, target string) Refusal {
	return refusal(Waits, v1alpha1.ReasonCooldown,
		"%s was the target of %s (%s) at %s; RemediationPolicy %s leaves %s between two remediations, until %s (limits.cooldown).",
		target, other.Run, other.Action, other.At.UTC().Format(time.RFC3339), name(p), Cooldown(p),
		other.At.Add(Cooldown(p)).UTC().Format(time.RFC3339))
}

// changedMeanwhile (13): what is there is no longer what was diagnosed or planned for.
func changedMeanwhile(v view) []Refusal {
	var all []Refusal
	for _, target := range v.Targets() {
		object := v.object(target.ObjectReference)
		switch {
		case object.Err != nil:
			all = append(all, unreadable(marks(target.ObjectReference), object.Err)...)
		case object.Value.Elsewhere != "": // out of scope
		case object.Value.Gone:
			all = append(all, ends(v1alpha1.ReasonChangedMeanwhile, "%s is gone; nothing is left to change.", described(target.ObjectReference))...)
		case target.UID != "" && object.Value.UID != target.UID:
			all = append(all, ends(v1alpha1.ReasonChangedMeanwhile,
				"%s was deleted and made anew (uid %s, planned for %s); it is another object now.", described(target.ObjectReference), object.Value.UID, target.UID)...)
		default:
			all = append(all, v.edited(object.Value)...)
		}
	}
	if bound := v.bound(); bound != "" && bound != v.Digest {
		all = append(all, ends(v1alpha1.ReasonChangedMeanwhile,
			"The plan made now (%s) is not the one this run is bound to (%s): what it would change was changed meanwhile; look at the target, then let it be planned again.", v.Digest, bound)...)
	}
	return all
}

// bound is the digest of the plan that the run must carry out. What could not be
// planned has none to compare.
func (v view) bound() string {
	if v.Run == nil || v.Unplanned != nil {
		return ""
	}
	if v.Run.Spec.PlanDigest != "" {
		return v.Run.Spec.PlanDigest
	}
	return v.Run.Status.PlanDigest
}

// edited says who changed the wish of the diagnosed object since it was
// diagnosed. A generation that did not move settles it; where it did, the object
// knows who wrote what: being scaled, by an autoscaler or by hand, takes nothing
// away from a diagnosis, and our own changes don't either. What is compared are two
// times of the API server's clock: the diagnosis is certainly later than the creation
// of its remediation. When it was made is known by the operator's clock only.
func (v view) edited(object Object) []Refusal {
	diagnosed := v.diagnosed(object)
	if diagnosed == nil || diagnosed.Generation == 0 || diagnosed.Generation == object.Generation {
		return nil
	}
	since := v.Remediation.CreationTimestamp.Time
	for _, entry := range object.ManagedFields {
		if strings.HasPrefix(entry.Manager, ours) || entry.Time == nil || entry.Time.Time.Before(since) || !beyondScale(entry) {
			continue
		}
		return ends(v1alpha1.ReasonChangedMeanwhile,
			"%s was changed by %s at %s, after it was diagnosed: somebody is at it; what was found may no longer hold.",
			described(object.Ref), brief(entry.Manager), entry.Time.UTC().Format(time.RFC3339))
	}
	return nil
}

// diagnosed returns what the diagnosis saw of this incarnation of an object.
func (v view) diagnosed(object Object) *v1alpha1.TargetReference {
	if v.Remediation == nil || v.Remediation.Status.Diagnosis == nil {
		return nil
	}
	target := v.Remediation.Status.Diagnosis.Target
	if target == nil || target.ObjectReference != object.Ref || target.UID != object.UID {
		return nil
	}
	return target
}

// beyondScale reports whether somebody owns more of the wish than how many there should be.
func beyondScale(entry metav1.ManagedFieldsEntry) bool {
	if entry.FieldsV1 == nil {
		return false
	}
	var owned struct {
		Spec map[string]json.RawMessage `json:"f:spec"`
	}
	if err := json.Unmarshal(entry.FieldsV1.GetRawBytes(), &owned); err != nil {
		return true // nobody can tell what it owns
	}
	for field := range owned.Spec {
		if field != "f:replicas" && field != "." {
			return true
		}
	}
	return false
}
