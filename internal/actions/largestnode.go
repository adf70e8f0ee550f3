package actions

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"
	corev1helper "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"

	"github.com/kubernaut/kubernaut/pkg/action"
)

// fitsANode refuses a pod that requests more memory than the largest node has that
// takes it, or for a DaemonSet, than the smallest node that runs one of its pods. Only
// a request that grows is looked at: what fits now goes on fitting.
func (l *liveWorkload) fitsANode(ctx context.Context, d demand) error {
	wanted, before := memoryRequest(d.after), memoryRequest(d.before)
	if wanted.Cmp(before) <= 0 {
		return nil
	}
	nodes := &corev1.NodeList{}
	if err := l.world.Objects.List(ctx, nodes); err != nil {
		return unreadable(err, "list nodes", "reading how much memory the nodes have")
	}
	return judgeNodes(l.target, d, nodes.Items)
}

// judgeNodes is the pure half of fitsANode. Where there is no node that takes the pod
// an autoscaler may bring one, and nothing is known of its size.
func judgeNodes(target action.Target, d demand, nodes []corev1.Node) error {
	wanted := memoryRequest(d.after)
	if target.Kind == daemonSets.Kind {
		for _, n := range nodes {
			has := n.Status.Allocatable[corev1.ResourceMemory]
			if runsOn(d.present, n.Name) && wanted.Cmp(has) > 0 {
				return action.NotApplicable("a pod of %s would request %s of memory, and Node/%s, where one has to run, has %s for pods", target, wanted.String(), n.Name, has.String())
			}
		}
		return nil
	}
	var largest *corev1.Node
	for i := range nodes {
		n := &nodes[i]
		if takes(n, d.after) && (largest == nil || n.Status.Allocatable.Memory().Cmp(*largest.Status.Allocatable.Memory()) > 0) {
			largest = n
		}
	}
	if largest == nil {
		return nil
	}
	if most := largest.Status.Allocatable.Memory(); wanted.Cmp(*most) > 0 {
		return action.NotApplicable("a pod of %s would request %s of memory, and the largest node that takes it, Node/%s, has %s for pods", target, wanted.String(), largest.Name, most.String())
	}
	return nil
}

func memoryRequest(spec corev1.PodSpec) resource.Quantity {
	return resourcehelper.PodRequests(&corev1.Pod{Spec: spec}, resourcehelper.PodResourcesOptions{})[corev1.ResourceMemory]
}

func runsOn(pods []corev1.Pod, node string) bool {
	return slices.ContainsFunc(pods, func(p corev1.Pod) bool { return p.Spec.NodeName == node })
}

// takes reports whether the scheduler could place a pod on a node that had the room.
func takes(node *corev1.Node, spec corev1.PodSpec) bool {
	if _, known := node.Status.Allocatable[corev1.ResourceMemory]; !known || node.Spec.Unschedulable {
		return false
	}
	matches, err := nodeaffinity.NewRequiredNodeAffinity(spec.NodeSelector, spec.Affinity).Match(node)
	if err != nil || !matches {
		return false
	}
	forbids := func(taint *corev1.Taint) bool {
		return taint.Effect == corev1.TaintEffectNoSchedule || taint.Effect == corev1.TaintEffectNoExecute
	}
	_, repelled := corev1helper.FindMatchingUntoleratedTaint(klog.Background(), node.Spec.Taints, spec.Tolerations, forbids, true)
	return !repelled
}
