package vitals

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Span is a moment that is known up to its bounds.
type Span struct {
	// Earliest and Latest are the bounds; the moment may be either.
	Earliest, Latest time.Time
}

// Moment is a span of one moment.
func Moment(at time.Time) Span { return Span{Earliest: at, Latest: at} }

// IsZero reports whether nothing is known.
func (s Span) IsZero() bool { return s.Latest.IsZero() }

// first is the earlier of two moments, as far as both are known.
func first(a, b Span) Span {
	switch {
	case a.IsZero():
		return b
	case b.IsZero():
		return a
	}
	return Span{Earliest: earlier(a.Earliest, b.Earliest), Latest: earlier(a.Latest, b.Latest)}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// SteadyRun is how long a container must have run for the crash that ended the run to
// be the first of a new trouble, whatever its restart count says: the count is of the
// pod's whole life.
const SteadyRun = time.Hour

// The kubelet waits this long before it restarts a container, doubled at each crash
// (https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy).
const (
	firstBackOff = 10 * time.Second
	mostBackOff  = 5 * time.Minute
)

// Crashes returns how often a container crashed in the present trouble, as far as its
// status tells: the restart count, unless the last run was a steady one, or the kubelet
// does not know how it ended, as after a reboot of its node (ContainerStatusUnknown).
func Crashes(c *corev1.ContainerStatus) int32 {
	last, crashes := lastEnd(c)
	if crashes > 1 && last != nil && (runOf(last) >= SteadyRun || !isKnown(last.FinishedAt)) {
		return 1
	}
	return crashes
}

// lastEnd returns how a container ended last, and how often it ended in its pod's life.
func lastEnd(c *corev1.ContainerStatus) (*corev1.ContainerStateTerminated, int32) {
	switch {
	case c.State.Terminated != nil:
		return c.State.Terminated, c.RestartCount + 1
	case c.State.Waiting != nil:
		return c.LastTerminationState.Terminated, c.RestartCount + 1
	}
	return c.LastTerminationState.Terminated, c.RestartCount
}

// runOf is how long a run lasted. A container that could not be started has no start.
func runOf(end *corev1.ContainerStateTerminated) time.Duration {
	if !isKnown(end.StartedAt) {
		return 0
	}
	return max(end.FinishedAt.Sub(end.StartedAt.Time), 0)
}

// HasRun reports whether a container that ended is known to have run: one that could not be
// started did not, and of one that was lost in a reboot of its node the kubelet knows nothing.
func HasRun(end *corev1.ContainerStateTerminated) bool {
	return end != nil && isKnown(end.StartedAt) && isKnown(end.FinishedAt)
}

// isKnown reports whether a kubelet knows a time: container runtimes leave one out, or
// say 1970.
func isKnown(t metav1.Time) bool { return !t.IsZero() && t.Unix() != 0 }

// CrashOnset returns when the present trouble of one failing container began. Its
// restart count bounds how long it can have been in its loop; the first warning about
// its back-off, and the start of its last run, are later than its first crash.
func CrashOnset(p *corev1.Pod, c *corev1.ContainerStatus, events []corev1.Event, now time.Time) Span {
	last, crashes := lastEnd(c)
	if last == nil {
		return Span{Earliest: p.CreationTimestamp.Time, Latest: earlier(now, firstBackedOff(p.UID, events, now))}
	}
	ended, ran := endedAt(p, c, last, now), runOf(last)
	if ran >= SteadyRun {
		return Moment(ended)
	}
	span := Span{Earliest: later(p.CreationTimestamp.Time, ended.Add(-longestLoop(crashes, ran))), Latest: ended}
	if crashes > 1 {
		span.Latest = later(span.Earliest, ended.Add(-ran)) // it crashed before that run began
	}
	if warned := firstBackedOff(p.UID, events, now); !warned.Before(span.Earliest) {
		span.Latest = earlier(span.Latest, warned)
	}
	return span
}

// endedAt is when a container ended last, as far as that can be: its node's clock may be
// ahead or behind. If the kubelet does not know it, the start of the next run is the latest.
func endedAt(p *corev1.Pod, c *corev1.ContainerStatus, last *corev1.ContainerStateTerminated, now time.Time) time.Time {
	at := now
	switch {
	case isKnown(last.FinishedAt):
		at = earlier(now, last.FinishedAt.Time)
	case c.State.Running != nil && isKnown(c.State.Running.StartedAt):
		at = earlier(now, c.State.Running.StartedAt.Time)
	}
	return later(p.CreationTimestamp.Time, at)
}

// longestLoop is how long so many crashes can take, from the start of the run that ended
// with the first: the back-offs between them, and runs of up to twice the last one; half
// of it is added for what the kubelet takes.
func longestLoop(crashes int32, ran time.Duration) time.Duration {
	total, wait := 2*ran, firstBackOff
	for range crashes - 1 {
		total += min(wait, mostBackOff) + 2*ran
		if wait < mostBackOff {
			wait *= 2
		}
	}
	return total + total/2
}

// firstBackedOff is when a pod was first warned to be backed off; now, if it never was.
func firstBackedOff(pod types.UID, events []corev1.Event, now time.Time) time.Time {
	at := now
	for i := range events {
		e := &events[i]
		if e.InvolvedObject.UID == pod && e.Reason == "BackOff" && !e.FirstTimestamp.IsZero() {
			at = earlier(at, e.FirstTimestamp.Time)
		}
	}
	return at
}

// UnreadyOnset returns when a pod that has no crash began not to be ready.
func UnreadyOnset(p *corev1.Pod) Span {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status != corev1.ConditionTrue && !c.LastTransitionTime.IsZero() {
			return Moment(later(p.CreationTimestamp.Time, c.LastTransitionTime.Time))
		}
	}
	return Moment(p.CreationTimestamp.Time)
}

// Onset returns when the present trouble of some pods began: the first failure among
// them. An alert's time is no evidence of it: alerts have ranges and "for" clauses of
// any length. Pods that are ready, and have not crashed lately, don't count; those that
// are not ready for another reason, which have no node for instance, count only where no
// pod crashes: they may have been so for weeks.
func Onset(pods []*corev1.Pod, events []corev1.Event, now time.Time) Span {
	var crashed, unready Span
	for _, p := range pods {
		switch began := podCrashOnset(p, events, now); {
		case !began.IsZero():
			crashed = first(crashed, began)
		case !Ready(p):
			unready = first(unready, UnreadyOnset(p))
		}
	}
	if crashed.IsZero() {
		return unready
	}
	return crashed
}

// podCrashOnset returns when the first container of a pod that crashes began to; zero:
// no container does.
func podCrashOnset(p *corev1.Pod, events []corev1.Event, now time.Time) Span {
	var onset Span
	for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		if Crashing(p, &c, now) {
			onset = first(onset, CrashOnset(p, &c, events, now))
		}
	}
	return onset
}

// OldestOf returns when the oldest of some pods was created; without pods, now.
func OldestOf(pods []*corev1.Pod, now time.Time) time.Time {
	oldest := now
	for _, p := range pods {
		oldest = earlier(oldest, p.CreationTimestamp.Time)
	}
	return oldest
}

// RanBefore reports whether a pod that crashes now existed for a steady run before it
// began to: then its trouble was not there from the beginning of its revision.
func RanBefore(pods []*corev1.Pod, now time.Time) bool {
	return slices.ContainsFunc(pods, func(p *corev1.Pod) bool {
		began := podCrashOnset(p, nil, now)
		return !began.IsZero() && began.Earliest.Sub(p.CreationTimestamp.Time) >= SteadyRun
	})
}

// Crashing reports whether a container is down because it ended, or runs again for less
// time than it takes to count as recovered.
func Crashing(p *corev1.Pod, c *corev1.ContainerStatus, now time.Time) bool {
	last, _ := lastEnd(c)
	switch {
	case c.State.Terminated != nil:
		return c.State.Terminated.ExitCode != 0 || restartsAnyway(p, c)
	case c.State.Waiting != nil:
		return c.State.Waiting.Reason == "CrashLoopBackOff" || c.State.Waiting.Reason == "RunContainerError"
	case c.State.Running == nil || c.RestartCount == 0 || last == nil:
		return false
	}
	return now.Sub(c.State.Running.StartedAt.Time) < SettlingAfter(last)
}

// restartsAnyway reports whether a container that ended without an error is one that
// must not end: the kubelet restarts it, and has done so before.
func restartsAnyway(p *corev1.Pod, c *corev1.ContainerStatus) bool {
	return c.RestartCount > 0 && KeepsRunning(p, c.Name)
}

// KeepsRunning reports whether a container is to run for as long as its pod: not one
// that prepares the pod, nor one of a pod that ends with its work.
func KeepsRunning(p *corev1.Pod, container string) bool {
	for i := range p.Spec.InitContainers {
		if c := &p.Spec.InitContainers[i]; c.Name == container {
			return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
		}
	}
	return p.Spec.RestartPolicy == "" || p.Spec.RestartPolicy == corev1.RestartPolicyAlways
}

// UsualDelay is how long after a release the trouble that it causes begins at the latest:
// images are pulled and pods placed before. It is the time that Kubernetes gives a rollout
// to make progress.
const UsualDelay = 10 * time.Minute

// Follows reports whether trouble that began at a time may be the doing of a release: not
// before it, and closely after it. What is uncertain about either speaks for that. Where
// the release begins by taking the old pods away, which takes up to ahead, the trouble
// may be that much earlier.
func Follows(began, release Span, ahead time.Duration) bool {
	if began.IsZero() {
		return false
	}
	return !began.Latest.Before(release.Earliest.Add(-ahead-clockGrain)) && !began.Earliest.After(release.Latest.Add(UsualDelay))
}

// clockGrain is how far two times of the same moment may be apart: they are in whole
// seconds, and of several clocks.
const clockGrain = 2 * time.Second
