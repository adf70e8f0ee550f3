package actions

import (
	"context"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// restartPod evicts one pod, so that its owner makes another.
type restartPod struct{}

// Spec says what the action is.
func (restartPod) Spec() action.Spec {
	return action.Spec{
		Name:         "RestartPod",
		Summary:      "Evicts one pod, as far as PodDisruptionBudgets allow, so that its owner makes another.",
		Kinds:        []schema.GroupKind{pods},
		Risk:         v1alpha1.RiskLow,
		Level:        action.LevelRestart,
		Rules:        []rbacv1.PolicyRule{mayEvictPods},
		Irreversible: "The pod can't be brought back; its owner makes another.",
	}
}

// Plan returns the eviction of this incarnation of the pod.
func (a restartPod) Plan(ctx context.Context, world action.World, target action.Target, params action.Params) (action.Plan, error) {
	if err := a.Spec().Validate(params); err != nil {
		return action.Plan{}, err
	}
	if err := known(target, pods); err != nil {
		return action.Plan{}, err
	}
	pod := &corev1.Pod{}
	_, err := get(ctx, world.Objects, target, pod)
	if apierrors.IsNotFound(err) {
		return action.Plan{}, action.NotApplicable("%s is gone", target)
	}
	if err != nil {
		return action.Plan{}, err
	}
	if why := keptBy(pod, target); why != "" {
		return action.Plan{}, action.NotApplicable("%s %s", target, why)
	}
	if err := unwellPod(world, target, pod); err != nil {
		return action.Plan{}, err
	}
	return action.Plan{Operations: []action.Operation{eviction(pod)}, Pods: 1}, nil
}

// keptBy says why a pod is not evicted, or nothing. It is pure.
func keptBy(pod *corev1.Pod, target action.Target) string {
	owner := metav1.GetControllerOf(pod)
	switch {
	case target.UID == "" || pod.UID != target.UID:
		return fmt.Sprintf("is not the one that was diagnosed: its uid is %s, not %q", pod.UID, target.UID)
	case pod.DeletionTimestamp != nil:
		return "is being deleted"
	case pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed:
		return "has ended"
	case owner == nil:
		return "has no owner that would make another"
	case owner.APIVersion != appsv1.SchemeGroupVersion.String():
		return fmt.Sprintf("belongs to %s/%s, which may not make another", owner.Kind, owner.Name)
	}
	return ""
}

// Settled reports whether the pod is gone and its owner has all its pods ready
// again. The owner is known by the pod's name, which is all that is left of it.
func (restartPod) Settled(ctx context.Context, world action.World, target action.Target, _ action.Plan) (action.Progress, error) {
	pod := &corev1.Pod{}
	err := world.Objects.Get(ctx, target.NamespacedName(), pod)
	switch {
	case err == nil && pod.UID == target.UID:
		return action.Progress{Message: "the pod is still there"}, nil
	case err == nil && isReady(pod):
		return action.Progress{Done: true, Message: "another pod of the same name is ready"}, nil
	case err == nil:
		return action.Progress{Message: "another pod of the same name is not ready yet"}, nil
	case !apierrors.IsNotFound(err):
		return action.Progress{}, fmt.Errorf("reading %s: %w", target, err)
	}
	wanted, ready, err := ownerOf(ctx, world.Objects, target)
	switch {
	case err != nil:
		return action.Progress{}, err
	case ready < wanted:
		return action.Progress{Message: fmt.Sprintf("the pod is gone, and %d of the %d pods of its owner are ready", ready, wanted)}, nil
	}
	return action.Progress{Done: true, Message: "the pod is gone, and its owner has all its pods ready"}, nil
}

// ownerOf returns how many pods the owner of a pod that is gone wants, and has
// ready; nothing, when the owner is gone as well.
func ownerOf(ctx context.Context, reader client.Reader, target action.Target) (wanted, ready int32, err error) {
	cut := strings.LastIndexByte(target.Name, '-')
	if cut < 0 {
		return 0, 0, nil
	}
	key := types.NamespacedName{Namespace: target.Namespace, Name: target.Name[:cut]}
	rs, ds, ss := &appsv1.ReplicaSet{}, &appsv1.DaemonSet{}, &appsv1.StatefulSet{}
	for _, owner := range []client.Object{rs, ds, ss} {
		err := reader.Get(ctx, key, owner)
		if err == nil {
			break
		}
		if !apierrors.IsNotFound(err) {
			return 0, 0, fmt.Errorf("reading the owner of %s: %w", target, err)
		}
	}
	switch {
	case ds.UID != "":
		return ds.Status.DesiredNumberScheduled, ds.Status.NumberReady, nil
	case ss.UID != "":
		return replicas(ss.Spec.Replicas), ss.Status.ReadyReplicas, nil
	case rs.UID != "":
		return replicas(rs.Spec.Replicas), rs.Status.ReadyReplicas, nil
	}
	return 0, 0, nil
}
