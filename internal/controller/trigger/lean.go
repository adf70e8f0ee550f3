package trigger

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Cached says what a cache keeps of the objects that triggers watch: of a pod a few
// hundred bytes, and no pod of a namespace that the configuration does not allow.
// Deployments of all namespaces are kept: a kind has one scope in a cache, and the
// metadata of Deployments tells whether a waiting plan still fits. Everything else is
// read from the API server where it is needed.
func Cached(config Config) map[client.Object]cache.ByObject {
	var allowed map[string]cache.Config // nil: every namespace
	if !slices.Contains(config.Namespaces, allNamespaces) {
		allowed = map[string]cache.Config{config.Namespace: {}}
		for _, namespace := range config.Namespaces {
			allowed[namespace] = cache.Config{}
		}
	}
	return map[client.Object]cache.ByObject{
		&corev1.Pod{}:        {Transform: leanPod, Namespaces: allowed},
		&appsv1.Deployment{}: {Transform: leanDeployment},
		&corev1.Node{}:       {Transform: leanNode},
	}
}

func leanPod(obj any) (any, error) {
	pod, ok := obj.(*corev1.Pod)
	if !ok {
		return obj, nil // a tombstone
	}
	return &corev1.Pod{ObjectMeta: leanMeta(pod.ObjectMeta), Status: corev1.PodStatus{
		Phase:                 pod.Status.Phase,
		InitContainerStatuses: leanContainers(pod.Status.InitContainerStatuses),
		ContainerStatuses:     leanContainers(pod.Status.ContainerStatuses),
	}}, nil
}

func leanContainers(statuses []corev1.ContainerStatus) []corev1.ContainerStatus {
	lean := make([]corev1.ContainerStatus, 0, len(statuses))
	for _, c := range statuses {
		kept := corev1.ContainerStatus{Name: c.Name, RestartCount: c.RestartCount, Ready: c.Ready}
		if c.State.Running != nil {
			kept.State.Running = running
		}
		kept.State.Waiting = c.State.Waiting
		kept.State.Terminated = leanEnd(c.State.Terminated)
		kept.LastTerminationState.Terminated = leanEnd(c.LastTerminationState.Terminated)
		lean = append(lean, kept)
	}
	return lean
}

// running says that a container runs; since when is not kept, and all share it.
var running = &corev1.ContainerStateRunning{}

func leanEnd(end *corev1.ContainerStateTerminated) *corev1.ContainerStateTerminated {
	if end == nil {
		return nil
	}
	return &corev1.ContainerStateTerminated{ExitCode: end.ExitCode, Reason: end.Reason, StartedAt: end.StartedAt, FinishedAt: end.FinishedAt}
}

func leanDeployment(obj any) (any, error) {
	d, ok := obj.(*appsv1.Deployment)
	if !ok {
		return obj, nil
	}
	return &appsv1.Deployment{ObjectMeta: leanMeta(d.ObjectMeta), Status: appsv1.DeploymentStatus{
		ObservedGeneration: d.Status.ObservedGeneration, Conditions: d.Status.Conditions,
	}}, nil
}

func leanNode(obj any) (any, error) {
	n, ok := obj.(*corev1.Node)
	if !ok {
		return obj, nil
	}
	return &corev1.Node{ObjectMeta: leanMeta(n.ObjectMeta), Status: corev1.NodeStatus{Conditions: n.Status.Conditions}}, nil
}

func leanMeta(m metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: m.Namespace, Name: m.Name, UID: m.UID, ResourceVersion: m.ResourceVersion, Generation: m.Generation,
		DeletionTimestamp: m.DeletionTimestamp,
	}
}
