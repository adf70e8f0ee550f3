package vitals

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// The Deployment controller's annotations on its ReplicaSets. A template that is rolled
// back to keeps its ReplicaSet under a new number; the old ones go into the second.
const (
	RevisionAnnotation = "deployment.kubernetes.io/revision"
	ReusedAnnotation   = "deployment.kubernetes.io/revision-history"
)

// RevisionNumber of a ReplicaSet; zero: its Deployment's controller has not numbered it yet.
func RevisionNumber(set *appsv1.ReplicaSet) int64 {
	n, err := strconv.ParseInt(set.Annotations[RevisionAnnotation], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// Rollouts is what tells when the revisions of a Deployment were rolled out.
type Rollouts struct {
	Deployment *appsv1.Deployment
	// Sets are the Deployment's ReplicaSets.
	Sets []appsv1.ReplicaSet
	// Pods of the Deployment.
	Pods []corev1.Pod
	// ScaledUp is when ReplicaSets were last scaled up from no pod, by name, as far as events tell.
	ScaledUp map[string]time.Time
	// Changed is when the pod template was last written, as managedFields tell; zero: not known.
	Changed time.Time
	// Now is when all this was seen.
	Now time.Time
}

// When returns when a revision was last rolled out: when its ReplicaSet was created,
// unless that was there before and is used again. Then the creation tells nothing, and
// the first of these does: the event that scaled it up from 0, if that was not later than
// the rollout can have been, as when a user or an autoscaler had scaled the Deployment to 0;
// else, as bounds, the revision before it, and what can only have come after: its oldest
// pod, the last write of the template.
func (r Rollouts) When(set *appsv1.ReplicaSet) Span {
	created := set.CreationTimestamp.Time
	earliest := created
	for i := range r.Sets {
		other := &r.Sets[i]
		if n := RevisionNumber(other); n > 0 && n < RevisionNumber(set) {
			earliest = later(earliest, other.CreationTimestamp.Time)
		}
	}
	if set.Annotations[ReusedAnnotation] == "" && earliest.Equal(created) {
		return Moment(created)
	}
	latest := r.afterRollout(set, earliest)
	if at := r.ScaledUp[set.Name]; at.After(earliest) && !at.After(latest.Add(clockGrain)) {
		return Moment(at)
	}
	return Span{Earliest: earliest, Latest: latest}
}

// ScalingReason is the reason of the events in which the Deployment controller says that
// it scales a ReplicaSet.
const ScalingReason = "ScalingReplicaSet"

var fromNothing = regexp.MustCompile(`^Scaled up replica set (\S+) from 0 to `)

// ScaledUp reads from a Deployment's events when its ReplicaSets were last scaled up
// from no pod.
func ScaledUp(events []corev1.Event) map[string]time.Time {
	at := map[string]time.Time{}
	for i := range events {
		e := &events[i]
		if m := fromNothing.FindStringSubmatch(e.Message); m != nil && e.Reason == ScalingReason {
			at[m[1]] = later(at[m[1]], LastSeen(e))
		}
	}
	return at
}

// LastSeen is when an event was last observed, whichever way its writer says so.
func LastSeen(e *corev1.Event) time.Time {
	last := later(e.LastTimestamp.Time, e.EventTime.Time)
	if e.Series != nil {
		last = later(last, e.Series.LastObservedTime.Time)
	}
	return last.UTC()
}

// afterRollout is the earliest moment that is certainly not before the rollout.
func (r Rollouts) afterRollout(set *appsv1.ReplicaSet, earliest time.Time) time.Time {
	latest := r.Now
	note := func(at time.Time) {
		if at.After(earliest) {
			latest = earlier(latest, at)
		}
	}
	for i := range r.Pods {
		if metav1.IsControlledBy(&r.Pods[i], set) {
			note(r.Pods[i].CreationTimestamp.Time)
		}
	}
	if set.Annotations[RevisionAnnotation] == r.Deployment.Annotations[RevisionAnnotation] {
		// The condition Progressing is no bound: a rollout whose pods are all replaced at once
		// may leave it as the rollout before left it.
		note(r.Changed)
	}
	return latest
}

// RollsOut reports whether the last rollout of a workload is known not to have come to its
// end, and goes on by itself: since it began, pods may have failed and been replaced. One
// that a user holds, by a pause, a partition or the strategy OnDelete, may rest for weeks
// with pods of both revisions ready.
func RollsOut(workload any, oldPodsReady bool) bool {
	switch w := workload.(type) {
	case *appsv1.Deployment:
		return !w.Spec.Paused && (oldPodsReady || incomplete[conditionOf(w, appsv1.DeploymentProgressing).Reason])
	case *appsv1.StatefulSet:
		rolling := w.Spec.UpdateStrategy.RollingUpdate
		held := w.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType || rolling != nil && ptr.Deref(rolling.Partition, 0) > 0
		return oldPodsReady && !held
	case *appsv1.DaemonSet:
		return oldPodsReady && w.Spec.UpdateStrategy.Type != appsv1.OnDeleteDaemonSetStrategyType
	}
	return false
}

// incomplete are the reasons of the condition Progressing that a Deployment has only until
// its rollout came to its end once. A Deployment without a deadline has no such condition,
// and a pause hides the reason.
var incomplete = map[string]bool{
	"NewReplicaSetCreated": true, "FoundNewReplicaSet": true, "ReplicaSetUpdated": true, "ProgressDeadlineExceeded": true, "ReplicaSetCreateError": true,
}

// Handover is a change from one revision of a Deployment to the next.
type Handover struct {
	Deployment *appsv1.Deployment
	// Before is the ReplicaSet whose pods are gone.
	Before *appsv1.ReplicaSet
	// Began is when that revision was rolled out, Came when the next one was.
	Began, Came Span
	// Events are the warnings about the namespace's pods.
	Events []corev1.Event
	// Unread: some of them, or of what they explain, could not be read.
	Unread bool
	// Now is when all this was seen.
	Now time.Time
}

// Proof is how it is known that a revision was healthy.
type Proof struct {
	// Says it, to go on after the revision's number; empty: nothing shows it.
	Says string
	// Weight in points of confidence.
	Weight int
}

const (
	// troubleBefore is how long before a release a warning about the revision before it
	// says that it was unhealthy already: the kubelet repeats its own at least that often.
	troubleBefore = 10 * time.Minute
	// provenBy is how long a revision must have run without a warning, where nothing
	// better says that it was well.
	provenBy = 20 * time.Second
	// lossAfter is how soon after a release the loss of availability is the release's
	// doing, and not one of several.
	lossAfter = 15 * time.Second
)

// WasHealthy tells whether a revision whose pods are gone was healthy when the next one
// came. Rules and actions both ask this function, so that a remedy that is proposed can
// be planned.
func (h Handover) WasHealthy() Proof {
	unordered := h.Came.Earliest.Before(h.Began.Earliest) || h.Came.Latest.Equal(h.Began.Earliest)
	if unordered || h.wasStuck() || h.warned() {
		return Proof{}
	}
	switch served, known := h.wasAvailable(); {
	case known && served:
		return Proof{Says: "was available until then", Weight: 20}
	case known:
		return Proof{}
	}
	if ran := h.Came.Earliest.Sub(h.Began.Latest); ran >= provenBy && !h.Unread && !h.troubled() {
		return Proof{Says: fmt.Sprintf("ran for %s without a crash", ran.Round(time.Second)), Weight: 10}
	}
	return Proof{}
}

// wasStuck reports whether the rollout before ran into its deadline: it counted as failed
// until the next revision came.
func (h Handover) wasStuck() bool {
	p := conditionOf(h.Deployment, appsv1.DeploymentProgressing)
	return p.Status == corev1.ConditionTrue && !p.LastTransitionTime.Time.Before(h.Came.Earliest)
}

// wasAvailable tells whether the Deployment was available when the next revision came,
// and thanks to this one, where its condition knows: one that may lose all of its pods
// is always available, and one whose condition changed since may have changed before.
func (h Handover) wasAvailable() (served, known bool) {
	d := h.Deployment
	available := conditionOf(d, appsv1.DeploymentAvailable)
	if available.Type == "" || !availabilityMeansPods(d) {
		return false, false
	}
	since := available.LastTransitionTime.Time
	lost := available.Status != corev1.ConditionTrue
	switch {
	case !lost && !since.After(h.Came.Earliest):
		return true, true
	case lost && (since.Before(h.Came.Earliest.Add(-Reach(d))) || since.Before(h.Began.Latest.Add(lossAfter))):
		return false, true
	case lost && since.Before(h.Came.Latest.Add(lossAfter)):
		return true, true
	}
	return false, false
}

// Reach is how long before the new ReplicaSet appears its rollout may have begun: with
// the strategy Recreate the old pods go first, and have their grace period for it.
func Reach(d *appsv1.Deployment) time.Duration {
	if d.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType {
		return 0
	}
	grace := int64(corev1.DefaultTerminationGracePeriodSeconds)
	if given := d.Spec.Template.Spec.TerminationGracePeriodSeconds; given != nil {
		grace = *given
	}
	return time.Duration(grace)*time.Second + handoverSlack
}

// handoverSlack is what the controllers need to make the first new pod after the last old one went.
const handoverSlack = 30 * time.Second

// availabilityMeansPods reports whether Available says that at least one pod was available.
func availabilityMeansPods(d *appsv1.Deployment) bool {
	replicas := int(wanted(d.Spec.Replicas))
	rolling := d.Spec.Strategy.RollingUpdate
	if rolling == nil || rolling.MaxUnavailable == nil {
		return replicas > 0
	}
	unavailable, err := intstr.GetScaledValueFromIntOrPercent(rolling.MaxUnavailable, replicas, false)
	return err == nil && replicas-unavailable > 0
}

// warned reports whether a container of the revision's pods was backed off, within the
// time in which it would have been told again.
func (h Handover) warned() bool {
	from := h.Came.Earliest.Add(-troubleBefore)
	return slices.ContainsFunc(h.Events, func(e corev1.Event) bool {
		at := e.LastTimestamp.Time
		return e.InvolvedObject.Kind == "Pod" && e.Reason == "BackOff" && IsPodOf(e.InvolvedObject.Name, h.Before.Name) && !at.Before(from) && !at.After(h.Now)
	})
}

// troubled reports whether a pod of the revision was said to be unwell, not ready for
// instance or not even begun, for longer than a start takes, before the next one came.
func (h Handover) troubled() bool {
	return slices.ContainsFunc(h.Events, func(e corev1.Event) bool {
		return e.InvolvedObject.Kind == "Pod" && IsPodOf(e.InvolvedObject.Name, h.Before.Name) &&
			e.LastTimestamp.After(h.Began.Latest.Add(provenBy)) && !h.isEnding(&e) && !h.isPassing(&e)
	})
}

// isEnding reports whether a warning about a pod is how it ended: nothing listens any
// more, and the kubelet still asks. What it said of the start as well stands in the
// same event; then they must be too few for a probe that failed all the time.
func (h Handover) isEnding(e *corev1.Event) bool {
	came, first, last := h.Came.Earliest, e.FirstTimestamp.Time, e.LastTimestamp.Time
	switch {
	case first.IsZero() || last.Before(came):
		return false
	case !first.Before(came):
		return true
	}
	failed := time.Duration(e.Count) * slowestProbe(&h.Before.Spec.Template)
	return e.Reason == "Unhealthy" && e.Count < toldEach && failed < last.Sub(first)/2
}

// isPassing reports whether a probe failed too seldom to make the pod unready, or to have it
// restarted: on a busy node one times out now and then.
func (h Handover) isPassing(e *corev1.Event) bool {
	return e.Reason == "Unhealthy" && e.Count < leastFailures(&h.Before.Spec.Template)
}

// leastFailures is the least number of failures in a row that any probe takes to have an effect.
func leastFailures(template *corev1.PodTemplateSpec) int32 {
	least := int32(3) // the API server's default
	for i := range template.Spec.Containers {
		c := &template.Spec.Containers[i]
		for _, p := range []*corev1.Probe{c.ReadinessProbe, c.LivenessProbe, c.StartupProbe} {
			if p != nil {
				least = min(least, cmp.Or(p.FailureThreshold, 3))
			}
		}
	}
	return least
}

// toldEach is how many events about one pod the kubelet tells before it leaves some
// out: the burst of client-go's event recorder.
const toldEach = 25

// slowestProbe is the longest time between two askings of a probe.
func slowestProbe(template *corev1.PodTemplateSpec) time.Duration {
	var slowest int32
	for i := range template.Spec.Containers {
		c := &template.Spec.Containers[i]
		for _, p := range []*corev1.Probe{c.ReadinessProbe, c.LivenessProbe, c.StartupProbe} {
			if p != nil {
				slowest = max(slowest, cmp.Or(p.PeriodSeconds, 10)) // the API server's default
			}
		}
	}
	return time.Duration(slowest) * time.Second
}

// IsPodOf reports whether a pod has the name its ReplicaSet would give it.
func IsPodOf(pod, replicaSet string) bool {
	suffix, ok := strings.CutPrefix(pod, replicaSet+"-")
	return ok && !strings.Contains(suffix, "-")
}

func conditionOf(d *appsv1.Deployment, kind appsv1.DeploymentConditionType) appsv1.DeploymentCondition {
	for _, c := range d.Status.Conditions {
		if c.Type == kind {
			return c
		}
	}
	return appsv1.DeploymentCondition{}
}
