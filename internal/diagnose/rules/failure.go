package rules

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubernaut/kubernaut/internal/vitals"
)

// loopCrashes is how many crashes make a loop; two, as for the alerts that
// people use.
const loopCrashes = 2

// state of a container that ended at least once.
type state int

const (
	crashing  state = iota // is down because it ended, or could not be started
	unsettled              // runs again, not yet long enough
	unready                // runs long enough, and is not ready
	recovered              // runs long enough, and is ready
)

// failure is a container that ended when it should not have.
type failure struct {
	pod       *corev1.Pod
	container string
	revision  int64 // of its pod; 0: not known
	state     state
	crashes   int32                            // in its pod's life
	recent    int32                            // of them, those of the present trouble
	last      *corev1.ContainerStateTerminated // how it last ended; nil: it never began
	isCurrent bool                             // that run is the current one: no other has begun since
	ran       time.Duration                    // since its last start, where it runs
	remaining time.Duration                    // until an unsettled one counts as recovered
}

// failuresOf returns the containers of a pod that ended.
func failuresOf(p *corev1.Pod, revision int64, now time.Time) []failure {
	var all []failure
	for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		if f, failed := failureOf(p, &c, now); failed {
			f.revision = revision
			all = append(all, f)
		}
	}
	return all
}

func failureOf(p *corev1.Pod, c *corev1.ContainerStatus, now time.Time) (failure, bool) {
	f := failure{pod: p, container: c.Name, crashes: c.RestartCount, recent: vitals.Crashes(c), last: c.LastTerminationState.Terminated}
	switch {
	case c.State.Terminated != nil:
		f.last, f.crashes, f.isCurrent = c.State.Terminated, c.RestartCount+1, true
		return f, vitals.Crashing(p, c, now)
	case c.State.Waiting != nil:
		f.crashes = c.RestartCount + 1
		return f, vitals.Crashing(p, c, now)
	case c.State.Running == nil || c.RestartCount == 0 || f.last == nil:
		return f, false
	}
	f.ran = max(now.Sub(c.State.Running.StartedAt.Time), 0)
	f.remaining = vitals.SettlingAfter(f.last) - f.ran
	switch {
	case f.remaining > 0:
		f.state = unsettled
	case !c.Ready:
		f.state = unready
	default:
		f.state = recovered
	}
	return f, true
}

// loops reports whether the container is in a crash loop: also in the moment in
// which it runs, for it fell over twice and has not yet stood for long.
func (f failure) loops() bool {
	return f.recent >= loopCrashes && (f.state == crashing || f.state == unsettled)
}

// ended says how a container last ended.
func (f failure) ended() string {
	switch {
	case f.last == nil:
		return "not even started"
	case f.last.Reason == "OOMKilled":
		return "killed for its memory"
	}
	return fmt.Sprintf("with exit code %d", f.last.ExitCode)
}

// endedAgo says how long ago a container last ended; empty: the kubelet does not know.
func (f failure) endedAgo(now time.Time) string {
	if f.last == nil || f.last.FinishedAt.Unix() <= 0 {
		return ""
	}
	return ago(now, f.last.FinishedAt.Time) + " ago "
}

// now says how it is now.
func (f failure) now() string {
	switch f.state {
	case recovered:
		return "has run since"
	case unsettled:
		return fmt.Sprintf("runs again for %s", f.ran.Round(time.Second))
	case unready:
		return "runs, and is not ready"
	}
	return "is down"
}

// times says how often something happened.
func times(n int32) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return fmt.Sprintf("%d times", n)
}

// ago says how long ago something was.
func ago(now, then time.Time) string {
	return max(now.Sub(then), 0).Round(time.Second).String()
}

// loudest returns the failure with most crashes.
func loudest(failures []failure) failure {
	return slices.MaxFunc(failures, func(a, b failure) int { return int(a.crashes) - int(b.crashes) })
}

func filter(failures []failure, wanted func(failure) bool) []failure {
	var kept []failure
	for _, f := range failures {
		if wanted(f) {
			kept = append(kept, f)
		}
	}
	return kept
}
