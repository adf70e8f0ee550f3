package vitals

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// How long a pod has to be ready until it counts as well: half as long again as a
// container of it ran before it last ended, but at least leastSettling and at most
// mostSettling. A container that always ends in its third minute is not well in its
// first. What runs for longer than mostSettling is no crash loop: a kubelet's back-off
// between two restarts is five minutes at most.
const (
	leastSettling = 30 * time.Second
	mostSettling  = 5 * time.Minute
)

// Settling returns how long these pods have to be ready without interruption until
// they count as well: one in a crash loop is ready for a moment after each start.
func Settling(pods []corev1.Pod) time.Duration {
	settling := leastSettling
	for i := range pods {
		if !Active(&pods[i]) {
			continue
		}
		for _, c := range slices.Concat(pods[i].Status.InitContainerStatuses, pods[i].Status.ContainerStatuses) {
			settling = max(settling, settlingOf(&c))
		}
	}
	return settling
}

func settlingOf(c *corev1.ContainerStatus) time.Duration {
	last := c.LastTerminationState.Terminated
	switch {
	case c.RestartCount == 0:
		return leastSettling
	case last == nil: // the kubelet no longer knows how long it ran
		return mostSettling
	}
	return SettlingAfter(last)
}

// SettlingAfter returns how long a container has to run after it ended to count as
// recovered.
func SettlingAfter(last *corev1.ContainerStateTerminated) time.Duration {
	if !isKnown(last.FinishedAt) {
		return mostSettling // the kubelet does not know how long it ran
	}
	ran := runOf(last)
	return min(max(ran+ran/2, leastSettling), mostSettling)
}
