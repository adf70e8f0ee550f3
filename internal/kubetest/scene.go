package kubetest

import (
	"context"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/kubetest/build"
)

// CrashLoop makes a Deployment whose second release crashes beside two pods of
// the first that still serve, as its controller and the kubelet would leave it,
// and returns the labels of the alert about it.
func (s *Server) CrashLoop(ctx context.Context, namespace, name string) map[string]string {
	s.tb.Helper()
	dep := build.Deployment(namespace, name).Replicas(2).Revision(2).Obj()
	dep.Status = appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: 3, UpdatedReplicas: 1, ReadyReplicas: 2, AvailableReplicas: 2, UnavailableReplicas: 1}
	dep.Spec.Template.Spec.Containers[0].Image = "example.test/" + name + ":2"
	s.Create(ctx, dep)

	good := dep.DeepCopy()
	good.Spec.Template.Spec.Containers[0].Image = "example.test/" + name + ":1"
	before, after := set(good, 1, 2), set(dep, 2, 1)
	after.Status.ReadyReplicas, after.Status.AvailableReplicas = 0, 0
	s.Create(ctx, before, after)

	crashing := build.PodOf(after, "x")
	crashing.Status = crashed(name)
	s.Create(ctx, served(before, "a"), served(before, "b"), crashing)
	backedOff := eventAbout(crashing, corev1.EventTypeWarning, "BackOff", "Back-off restarting failed container "+name+" in pod "+crashing.Name)
	backedOff.InvolvedObject.FieldPath = "spec.containers{" + name + "}"
	s.Create(ctx, backedOff)
	return map[string]string{
		"alertname": "KubePodCrashLooping", "namespace": namespace, "pod": crashing.Name, "container": name, "severity": "warning",
	}
}

func set(dep *appsv1.Deployment, revision int, replicas int32) *appsv1.ReplicaSet {
	rs := build.ReplicaSetOf(dep, revision)
	rs.Spec.Replicas = &replicas
	rs.Status = appsv1.ReplicaSetStatus{
		Replicas: replicas, FullyLabeledReplicas: replicas, ReadyReplicas: replicas, AvailableReplicas: replicas, ObservedGeneration: 1,
	}
	return rs
}

func served(rs *appsv1.ReplicaSet, suffix string) *corev1.Pod {
	pod := build.PodOf(rs, suffix)
	since := metav1.NewTime(time.Now().Add(-time.Hour))
	pod.Status = corev1.PodStatus{
		Phase:      corev1.PodRunning,
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: since}},
		ContainerStatuses: []corev1.ContainerStatus{{
			Name: pod.Spec.Containers[0].Name, Image: pod.Spec.Containers[0].Image, Ready: true,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: since}},
		}},
	}
	return pod
}

// crashed is the status of a pod whose one container ended with exit code 1 again and again.
func crashed(container string) corev1.PodStatus {
	ended := metav1.NewTime(time.Now().Add(-20 * time.Second))
	return corev1.PodStatus{
		Phase:      corev1.PodRunning,
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse, LastTransitionTime: ended}},
		ContainerStatuses: []corev1.ContainerStatus{{
			Name: container, Image: "example.test/" + container + ":2", RestartCount: 4,
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off restarting failed container"}},
			LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
				ExitCode: 1, Reason: "Error", StartedAt: metav1.NewTime(ended.Add(-time.Second)), FinishedAt: ended,
			}},
		}},
	}
}

// Crowd fills a namespace with what an everyday cluster holds: Deployments, each
// with so many pods that serve, and so many events about each of them.
func (s *Server) Crowd(ctx context.Context, namespace string, deployments, podsEach, eventsEach int) {
	s.tb.Helper()
	for i := range deployments {
		dep := build.Deployment(namespace, "app-"+strconv.Itoa(i)).Replicas(int32(podsEach)).Ready().Obj()
		s.Create(ctx, dep)
		rs := set(dep, 1, int32(podsEach))
		s.Create(ctx, rs)
		for j := range podsEach {
			pod := served(rs, strconv.Itoa(j))
			s.Create(ctx, pod)
			for k := range eventsEach {
				pulled := eventAbout(pod, corev1.EventTypeNormal, "Pulled", "Container image is already present on the machine")
				pulled.Name += "." + strconv.Itoa(k)
				s.Create(ctx, pulled)
			}
		}
	}
}

// Warnings makes so many, about pods that are gone: an everyday namespace is full of them.
func (s *Server) Warnings(ctx context.Context, namespace string, many int) {
	s.tb.Helper()
	for i := range many {
		gone := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "gone-" + strconv.Itoa(i), UID: types.UID("gone-" + strconv.Itoa(i))}}
		s.Create(ctx, eventAbout(gone, corev1.EventTypeWarning, "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503"))
	}
}

// eventAbout is what the kubelet says about a pod.
func eventAbout(pod client.Object, kind, reason, message string) *corev1.Event {
	now := metav1.Now()
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: pod.GetNamespace(), Name: pod.GetName() + "." + strings.ToLower(reason)},
		InvolvedObject: corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: pod.GetNamespace(), Name: pod.GetName(), UID: pod.GetUID()},
		Reason:         reason, Message: message, Type: kind,
		FirstTimestamp: now, LastTimestamp: now, Count: 1,
		Source: corev1.EventSource{Component: "kubelet"},
	}
}
