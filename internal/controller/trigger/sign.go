package trigger

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/vitals"
)

// recent is how long after its last end a container is still thought to loop:
// as long as the kubelet remembers its back-off.
const recent = 10 * time.Minute

// sign is a trouble that an object shows.
type sign struct {
	kind        v1alpha1.TriggerKind
	container   string // empty: it is about no container
	occurrences int32
	says        string
	past        bool // it was there a moment ago; at this moment the object is well
}

// signs returns what an object shows. It is pure.
func signs(obj client.Object, now time.Time) []sign {
	switch o := obj.(type) {
	case *corev1.Pod:
		return podSigns(o, now)
	case *appsv1.Deployment:
		return rolloutSigns(o)
	case *corev1.Node:
		return nodeSigns(o)
	}
	return nil
}

// podSigns returns at most one sign of a kind, the first container's: a remediation
// is about the workload, not about the container.
func podSigns(pod *corev1.Pod, now time.Time) []sign {
	if pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return nil
	}
	var found []sign
	seen := map[v1alpha1.TriggerKind]bool{}
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for i := range statuses {
			if s, ok := containerSign(&statuses[i], now); ok && !seen[s.kind] {
				s.past = isRunning(&statuses[i])
				seen[s.kind] = true
				found = append(found, s)
			}
		}
	}
	return found
}

// isRunning reports whether a container runs and is ready: whatever it went through, it
// gives no reason to act at this moment.
func isRunning(c *corev1.ContainerStatus) bool { return c.State.Running != nil && c.Ready }

// containerSign tells what one container shows: of an end and a loop around it,
// the end that says more. Crashes count that belong to the present trouble: the restart
// count is of the pod's whole life.
func containerSign(c *corev1.ContainerStatus, now time.Time) (sign, bool) {
	if w := c.State.Waiting; w != nil && unpulled[w.Reason] {
		return sign{kind: v1alpha1.TriggerImagePull, container: c.Name, occurrences: 1, says: fmt.Sprintf("container %s waits: %s: %s", c.Name, w.Reason, w.Message)}, true
	}
	end := cmp.Or(c.State.Terminated, c.LastTerminationState.Terminated)
	if end == nil || now.Sub(end.FinishedAt.Time) > recent {
		return sign{}, false
	}
	crashes := min(vitals.Crashes(c), max(c.RestartCount, 1))
	switch {
	case end.Reason == "OOMKilled":
		return sign{kind: v1alpha1.TriggerOOMKill, container: c.Name, occurrences: crashes, says: fmt.Sprintf("container %s was killed for its memory; restarts so far: %d", c.Name, c.RestartCount)}, true
	case end.ExitCode != 0 && c.RestartCount > 0:
		return sign{kind: v1alpha1.TriggerCrashLoop, container: c.Name, occurrences: crashes, says: fmt.Sprintf("container %s ended with exit code %d (%s); restarts so far: %d", c.Name, end.ExitCode, end.Reason, c.RestartCount)}, true
	}
	return sign{}, false
}

// unpulled are the reasons for which the kubelet has no image.
var unpulled = map[string]bool{
	"ErrImagePull": true, "ImagePullBackOff": true, "InvalidImageName": true, "ErrImageNeverPull": true, "RegistryUnavailable": true,
}

func rolloutSigns(d *appsv1.Deployment) []sign {
	for _, c := range d.Status.Conditions {
		stuck := c.Type == appsv1.DeploymentProgressing && c.Status == corev1.ConditionFalse && c.Reason == "ProgressDeadlineExceeded"
		if stuck && d.DeletionTimestamp == nil && d.Status.ObservedGeneration >= d.Generation {
			return []sign{{kind: v1alpha1.TriggerStuckRollout, occurrences: 1, says: c.Message}}
		}
	}
	return nil
}

func nodeSigns(node *corev1.Node) []sign {
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue && node.DeletionTimestamp == nil {
			return []sign{{kind: v1alpha1.TriggerNodeNotReady, occurrences: 1, says: strings.TrimSuffix(fmt.Sprintf("node is not ready: %s: %s", c.Reason, c.Message), ": ")}}
		}
	}
	return nil
}

// least is how often a trouble must have come for a trigger to count it.
func least(t v1alpha1.PolicyTrigger) int32 {
	if t.Kind == v1alpha1.TriggerCrashLoop {
		return cmp.Or(t.MinOccurrences, 3)
	}
	return max(t.MinOccurrences, 1)
}

// named are the names of the alerts that people have for the same troubles, so
// that their policies mean both.
var named = map[v1alpha1.TriggerKind]string{
	v1alpha1.TriggerCrashLoop:    "KubePodCrashLooping",
	v1alpha1.TriggerOOMKill:      "KubeContainerOOMKilled",
	v1alpha1.TriggerImagePull:    "KubeContainerWaiting",
	v1alpha1.TriggerStuckRollout: "KubeDeploymentRolloutStuck",
	v1alpha1.TriggerNodeNotReady: "KubeNodeNotReady",
}
