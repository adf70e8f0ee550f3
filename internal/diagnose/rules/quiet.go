package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/vitals"
)

const (
	// hopeless is how many recent crashes without a known cause it takes before a person is
	// called: until then a container may still recover by itself, as one does that
	// started before what it needs.
	hopeless = 3
	// nextLook is how soon what goes on by itself is looked at again.
	nextLook = 5 * time.Second
)

// noCause is the answer where no rule found one: either nothing is wrong, or it
// can't be told.
func (sc *scene) noCause() Finding {
	v := vitals.Judge(sc.Snapshot)
	var moving []failure
	for _, w := range sc.workloads {
		moving = append(moving, filter(w.failures, func(f failure) bool { return f.state != recovered })...)
	}
	if v.Health == v1alpha1.HealthHealthy && len(moving) == 0 && sc.answers() {
		return sc.healthy(v)
	}
	return sc.undecided(v, moving)
}

// healthy says that nothing is wrong, and what was.
func (sc *scene) healthy(v vitals.Vitals) Finding {
	f := Finding{
		Code: v1alpha1.CauseHealthy, Object: sc.Target.ObjectReference,
		Confidence: percent(90 - 10*sc.details()), Message: v.Why,
		Evidence: []v1alpha1.Evidence{says(v1alpha1.EvidenceObject, sc.Target.ObjectReference, "%s", v.Why)},
	}
	var past []failure
	for _, w := range sc.workloads {
		past = append(past, w.failures...)
	}
	if len(past) > 0 {
		worst := loudest(past)
		f.Message += fmt.Sprintf("; container %s ended %s, the last time %s%s, and has run since",
			worst.container, times(worst.crashes), worst.endedAgo(sc.TakenAt), worst.ended())
		f.Evidence = append(f.Evidence, crashEvidence(sc, past)...)
	}
	return f
}

// undecided says what is known where the cause is not.
func (sc *scene) undecided(v vitals.Vitals, moving []failure) Finding {
	f := Finding{Code: v1alpha1.CauseNotEnoughEvidence, Object: sc.Target.ObjectReference, Message: v.Why}
	if sc.Target.Name == "" {
		f.Message = fmt.Sprintf("alert %s names nothing that is in this cluster", sc.alert.Name)
	}
	for _, m := range sc.Missing {
		f.Evidence = append(f.Evidence, says(v1alpha1.EvidenceMissing, v1alpha1.ObjectReference{}, "%s: %s", m.What, m.Why))
	}
	for _, w := range sc.workloads {
		f.Message += told(w)
	}
	if !sc.blind() {
		f.Message += sc.perhapsMeant()
	}
	f.Message += sc.unanswered(v)
	if len(moving) > 0 {
		worst := loudest(moving)
		f.Message += fmt.Sprintf("; container %s ended %s, the last time %s, and %s; nothing that was read says why it began",
			worst.container, times(worst.crashes), worst.ended(), worst.now())
		f.Evidence = append(f.Evidence, crashEvidence(sc, moving)...)
	}
	for _, w := range sc.workloads {
		f.Message += sc.whyNotBlamed(w)
	}
	f.Again = sc.again(moving)
	f.Remedies = []v1alpha1.Remedy{toPerson(f.Message)}
	return f
}

// told says what else is known of a workload that nobody knows the cause of.
func told(w *workload) string {
	switch {
	case w.deployment != nil && w.deployment.Spec.Paused:
		return "; its rollout is paused"
	case w.counts.seen && w.counts.wanted == 0 && w.ref.Kind != "ReplicaSet":
		return fmt.Sprintf("; %s is scaled to 0", w.ref)
	case underWay(w):
		return "; a rollout is under way" + hindrance(w)
	}
	if waits := hindrance(w); waits != "" {
		return "; its pods wait" + waits
	}
	return ""
}

// again is when it is worth looking again: what could not be read for the
// moment, a container that may yet recover or fall, a rollout that has time left.
func (sc *scene) again(moving []failure) time.Duration {
	for _, m := range sc.essential() {
		if !m.Transient {
			return 0
		}
	}
	if sc.blind() {
		return nextLook
	}
	if len(moving) > 0 {
		if unread := sc.unheard(moving); unread != nil && !unread.Forbidden {
			return nextLook // the next crash leaves a log of its own
		}
		return mayRecover(moving)
	}
	for _, w := range sc.workloads {
		if underWay(w) || sc.young(w) || betweenStates(w) {
			return nextLook
		}
	}
	return 0
}

// betweenStates reports whether a container has ended and is about to be restarted: in
// a moment it shows more.
func betweenStates(w *workload) bool {
	return slices.ContainsFunc(w.pods, func(p *corev1.Pod) bool {
		return slices.ContainsFunc(slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses), func(c corev1.ContainerStatus) bool {
			return c.State.Terminated != nil && vitals.KeepsRunning(p, c.Name)
		})
	})
}

// young reports whether a pod that is not ready is so new that it may only be on its way.
func (sc *scene) young(w *workload) bool {
	return slices.ContainsFunc(w.pods, func(p *corev1.Pod) bool {
		return !vitals.Ready(p) && sc.TakenAt.Sub(p.CreationTimestamp.Time) < leastWaiting
	})
}

// mayRecover is when the first of them should be well or worse; zero if one is
// beyond hope.
func mayRecover(moving []failure) time.Duration {
	soonest := nextLook
	for _, f := range moving {
		if f.recent >= hopeless || f.state == unready {
			return 0
		}
		if f.state == unsettled {
			soonest = min(soonest, max(f.remaining, time.Second))
		}
	}
	return soonest
}

func join(words []string) string { return strings.Join(words, ", ") }
