package evidence

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// nodes reads, where a pod found no place, how the nodes are: name and code, for
// who may look at a remediation may not look at nodes.
func (l *look) nodes(ctx context.Context) {
	at := slices.IndexFunc(l.snapshot.Pods, unplaced)
	if at < 0 {
		return
	}
	wanted := nodeaffinity.GetRequiredNodeAffinity(&l.snapshot.Pods[at])
	var list corev1.NodeList
	if err := l.shared.List(ctx, &list, client.Limit(pageSize)); err != nil {
		l.unread("nodes", err, true)
		return
	}
	for i := range first(list.Items, maxNodes) {
		l.snapshot.Nodes = append(l.snapshot.Nodes, analysis.Node{Name: list.Items[i].Name, Code: codeFor(wanted, &list.Items[i])})
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

// codeFor says in one word how a node is to a pod that found no place. A node that
// the pod does not ask for is none it could be kept off by a taint, though the
// scheduler counts it as one.
func codeFor(wanted nodeaffinity.RequiredNodeAffinity, n *corev1.Node) analysis.NodeCode {
	if fits, err := wanted.Match(n); err == nil && !fits {
		return analysis.NodeUnwanted
	}
	return codeOf(n)
}

// codeOf says in one word how a node is; what is worse comes first.
func codeOf(n *corev1.Node) analysis.NodeCode {
	ready := slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
	keepsOff := func(of func(key string) bool) bool {
		return slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool {
			return t.Effect != corev1.TaintEffectPreferNoSchedule && of(t.Key)
		})
	}
	switch {
	case !ready:
		return analysis.NodeNotReady
	case n.Spec.Unschedulable:
		return analysis.NodeCordoned
	case keepsOff(func(key string) bool { return strings.HasPrefix(key, "node-role.kubernetes.io/") }):
		return analysis.NodeReserved
	case keepsOff(func(key string) bool { return !ofKubernetes(key) }):
		return analysis.NodeTainted
	case keepsOff(ofKubernetes):
		return analysis.NodePressed
	}
	return analysis.NodeReady
}

// ofKubernetes reports whether a taint's key is in a domain of Kubernetes' own.
func ofKubernetes(key string) bool {
	domain, _, found := strings.Cut(key, "/")
	return found && (domain == "kubernetes.io" || strings.HasSuffix(domain, ".kubernetes.io"))
}
