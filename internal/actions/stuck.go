package actions

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// maxEvictions is how many pods a plan lists: a step records at most 32
// operations, and the first of them changes the template.
const maxEvictions = 31

// evictions returns, for an OrderedReady StatefulSet, one eviction for each pod of
// a revision that is not kept. Such a set waits for an unready pod before it
// replaces any, so that pod has to be removed for it. Whether a pod is ready is
// read when its turn comes and is no part of the plan: it changes from one moment
// to the next, and a restart in the past says nothing about now.
func evictions(ctx context.Context, world action.World, w workload, kept []string) ([]action.Operation, error) {
	set, ok := w.object.(*appsv1.StatefulSet)
	if !ok || !waitsForUnready(set) {
		return nil, nil
	}
	pods, err := selectedPods(ctx, world.Objects, set.Namespace, set.Spec.Selector)
	if err != nil {
		return nil, fmt.Errorf("reading the pods of StatefulSet/%s: %w", set.Name, err)
	}
	replaced := replacedPods(set, pods, kept)
	if len(replaced) > maxEvictions {
		return nil, action.NotApplicable("%d pods of StatefulSet/%s have another revision than the one it gets, and a plan evicts at most %d, one at a time: "+
			"change the template by hand, then delete the pods that are not ready, one at a time, each after the one before is ready again",
			len(replaced), set.Name, maxEvictions)
	}
	var ops []action.Operation
	for i := range replaced {
		op := eviction(&replaced[i])
		op.Precondition.Unready = true
		ops = append(ops, op)
	}
	return ops, nil
}

// waitsForUnready reports whether the set's controller waits for a pod that is not
// ready before it replaces it. With Parallel it does not, and with the strategy
// Recreate all pods are deleted anyway.
func waitsForUnready(set *appsv1.StatefulSet) bool {
	return set.Spec.PodManagementPolicy != appsv1.ParallelPodManagement &&
		(set.Spec.UpdateStrategy.Type == "" || set.Spec.UpdateStrategy.Type == appsv1.RollingUpdateStatefulSetStrategyType)
}

// replacedPods returns the set's pods that are of no kept revision, lowest ordinal
// first. That is the order in which an OrderedReady set makes missing pods: it makes none while
// one with a lower ordinal is not ready, so in any other order the next turn would never come.
// Pods that the set is about to remove because it was scaled down get no successor,
// and are not listed. It is pure.
func replacedPods(set *appsv1.StatefulSet, pods []corev1.Pod, kept []string) []corev1.Pod {
	first := 0
	if set.Spec.Ordinals != nil {
		first = int(set.Spec.Ordinals.Start)
	}
	end := first + int(replicas(set.Spec.Replicas))
	replaced := slices.DeleteFunc(slices.Clone(pods), func(p corev1.Pod) bool {
		at, ok := ordinal(set, &p)
		return !ok || at < first || at >= end || !metav1.IsControlledBy(&p, set) ||
			slices.Contains(kept, p.Labels[appsv1.ControllerRevisionHashLabelKey])
	})
	slices.SortFunc(replaced, func(a, b corev1.Pod) int {
		left, _ := ordinal(set, &a)
		right, _ := ordinal(set, &b)
		return cmp.Compare(left, right)
	})
	return replaced
}

// ordinal returns the number that ends the name of a set's pod.
func ordinal(set *appsv1.StatefulSet, pod *corev1.Pod) (int, bool) {
	number, ok := strings.CutPrefix(pod.Name, set.Name+"-")
	n, err := strconv.Atoi(number)
	return n, ok && err == nil
}

// eviction is the operation that evicts one incarnation of a pod.
func eviction(p *corev1.Pod) action.Operation {
	return action.Operation{Operation: v1alpha1.Operation{
		Verb:         v1alpha1.VerbEvict,
		Object:       v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: p.Namespace, Name: p.Name},
		Precondition: v1alpha1.Precondition{UID: p.UID},
	}}
}
