package actions

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// maxStuck is how many pods are deleted beside a change of a template.
const maxStuck = 8

// stuck returns, for a StatefulSet, the deletion of the pods that its current
// revision left ill: an ordered set waits for them to become ready, for ever, and
// never replaces them by itself.
func stuck(ctx context.Context, world action.World, target action.Target, revisions []action.Revision) ([]action.Operation, error) {
	now := current(revisions)
	if target.Kind != statefulSets.Kind || now == nil {
		return nil, nil
	}
	list := &corev1.PodList{}
	err := world.Objects.List(ctx, list, client.InNamespace(target.Namespace), client.MatchingLabels{appsv1.ControllerRevisionHashLabelKey: now.Name})
	if err != nil {
		return nil, fmt.Errorf("reading the pods of %s: %w", target, err)
	}
	ill := slices.DeleteFunc(list.Items, func(p corev1.Pod) bool {
		owner := metav1.GetControllerOf(&p)
		return owner == nil || owner.UID != target.UID || p.DeletionTimestamp != nil || !sick(&p)
	})
	if len(ill) > maxStuck {
		return nil, action.NotApplicable("%d pods of %s are ill, more than the %d that are deleted at once", len(ill), target, maxStuck)
	}
	slices.SortFunc(ill, func(a, b corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	var removals []action.Operation
	for i := range ill {
		removals = append(removals, removal(v1alpha1.VerbDelete, &ill[i]))
	}
	return removals, nil
}

// sick reports whether a pod is not ready, or was restarted: one in a crash loop
// may be ready at the moment, and the plan has to stay the same.
func sick(p *corev1.Pod) bool {
	return !isReady(p) || slices.ContainsFunc(p.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool { return c.RestartCount > 0 })
}

// removal is the operation that removes one incarnation of a pod.
func removal(verb v1alpha1.Verb, p *corev1.Pod) action.Operation {
	return action.Operation{Operation: v1alpha1.Operation{
		Verb:         verb,
		Object:       v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: p.Namespace, Name: p.Name},
		Precondition: v1alpha1.Precondition{UID: p.UID},
	}}
}
