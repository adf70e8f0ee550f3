package evidence

import (
	"context"
	"slices"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/taint"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// nodes reads, where a pod found no place, how the nodes are: name and code, for
// who may look at a remediation may not look at nodes.
func (l *look) nodes(ctx context.Context) {
	at := slices.IndexFunc(l.snapshot.Pods, unplaced)
	if at < 0 {
		return
	}
	pod := &l.snapshot.Pods[at]
	wanted := nodeaffinity.GetRequiredNodeAffinity(pod)
	var list corev1.NodeList
	if err := l.shared.List(ctx, &list, client.Limit(pageSize)); err != nil {
		l.unread("nodes", err, true)
		return
	}
	for i := range first(list.Items, maxNodes) {
		l.snapshot.Nodes = append(l.snapshot.Nodes, nodeFor(pod, wanted, &list.Items[i]))
	}
	if len(list.Items) > maxNodes || list.Continue != "" {
		l.missing(analysis.Missing{What: "some nodes", Why: "there are more than a snapshot holds", Detail: true})
	}
}

func unplaced(p corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse
	})
}

// nodeFor says in one word how a node is to a pod that found no place. A node that
// the pod does not ask for is none it could be kept off by a taint, though the
// scheduler counts it as one; nor does a taint keep off a pod that tolerates it.
func nodeFor(pod *corev1.Pod, wanted nodeaffinity.RequiredNodeAffinity, n *corev1.Node) analysis.Node {
	if fits, err := wanted.Match(n); err == nil && !fits {
		return analysis.Node{Name: n.Name, Code: analysis.NodeUnwanted}
	}
	seen := analysis.Node{Name: n.Name, Code: codeOf(n, pod.Spec.Tolerations)}
	if seen.Code == analysis.NodeLifecycle {
		at := slices.IndexFunc(n.Spec.Taints, func(t corev1.Taint) bool {
			return keepsOff(t, pod.Spec.Tolerations) && taint.OwnerOf(t.Key) == taint.Lifecycle
		})
		seen.By = taint.Program(n.Spec.Taints[at].Key)
	}
	return seen
}

// byOwner are the codes of nodes that are ready and keep pods off by a taint; what
// matters more comes first. A node that is on its way out, or not set up yet, takes
// no pod whatever else is on it.
var byOwner = []struct {
	owner taint.Owner
	code  analysis.NodeCode
}{
	{taint.Role, analysis.NodeReserved},
	{taint.Lifecycle, analysis.NodeLifecycle},
	{taint.Reserved, analysis.NodeTaintKept},
	{taint.Person, analysis.NodeTainted},
	{taint.Kubernetes, analysis.NodePressed},
}

// codeOf says in one word how a node is to pods with these tolerations; what is worse comes first.
func codeOf(n *corev1.Node, tolerations []corev1.Toleration) analysis.NodeCode {
	ready := slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
	switch {
	case !ready:
		return analysis.NodeNotReady
	case n.Spec.Unschedulable:
		return analysis.NodeCordoned
	}
	for _, by := range byOwner {
		if slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool {
			return keepsOff(t, tolerations) && taint.OwnerOf(t.Key) == by.owner
		}) {
			return by.code
		}
	}
	return analysis.NodeReady
}

// keepsOff reports whether a taint keeps pods with these tolerations off. Tolerations
// that compare numbers are read as well: an API server that does not know them lets no
// pod have one.
func keepsOff(t corev1.Taint, tolerations []corev1.Toleration) bool {
	return t.Effect != corev1.TaintEffectPreferNoSchedule && !slices.ContainsFunc(tolerations, func(tolerated corev1.Toleration) bool {
		return tolerated.ToleratesTaint(logr.Discard(), &t, true)
	})
}
