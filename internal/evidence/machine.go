package evidence

import (
	"context"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/atonce"
	"github.com/kubernaut/kubernaut/internal/redact"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

const (
	// heartbeats is the namespace in which each kubelet renews a lease.
	heartbeats = "kube-node-lease"
	// nodeEvents is the namespace that events about what has none are in.
	nodeEvents = metav1.NamespaceDefault
	// maxPages of nodes are read to count those that are not ready.
	maxPages = 10
)

// machine gathers a node, and of its surroundings how many.
func (l *look) machine(ctx context.Context) {
	var node corev1.Node
	if !l.target(ctx, &node) || !l.room(ctx, pageSize) {
		return
	}
	m := &analysis.Machine{Conditions: node.Status.Conditions, Taints: first(node.Spec.Taints, 10), Unschedulable: node.Spec.Unschedulable}
	for i := range m.Conditions {
		m.Conditions[i].Message = redact.Line(m.Conditions[i].Message, 300)
	}
	l.snapshot.Machine = m
	atonce.Do(
		func() { l.heartbeat(ctx, m) },
		func() { l.crew(ctx, m) },
		func() { l.peers(ctx, m) },
		func() { l.aboutNode(ctx) },
	)
}

// heartbeat reads when the kubelet was last heard of. Where the right was not
// granted, the conditions have to do.
func (l *look) heartbeat(ctx context.Context, m *analysis.Machine) {
	var lease coordinationv1.Lease
	err := l.reader.Get(ctx, client.ObjectKey{Namespace: heartbeats, Name: l.snapshot.Target.Name}, &lease)
	switch {
	case apierrors.IsForbidden(err), apierrors.IsNotFound(err):
	case err != nil:
		l.unread("the kubelet's lease", err, true)
	case lease.Spec.RenewTime != nil:
		m.RenewedAt = lease.Spec.RenewTime.Time
	}
}

// crew counts the pods on the node.
func (l *look) crew(ctx context.Context, m *analysis.Machine) {
	pods := &metav1.PartialObjectMetadataList{}
	pods.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("PodList"))
	there := fields.AndSelectors(
		fields.OneTermEqualSelector("spec.nodeName", l.snapshot.Target.Name),
		fields.OneTermNotEqualSelector("status.phase", string(corev1.PodSucceeded)),
		fields.OneTermNotEqualSelector("status.phase", string(corev1.PodFailed)),
	)
	if err := l.reader.List(ctx, pods, client.MatchingFieldsSelector{Selector: there}, client.Limit(pageSize)); err != nil {
		l.unread("pods on "+l.snapshot.Target.String(), err, true)
	}
	m.Pods = len(pods.Items)
}

// peers counts the nodes, and those that are not ready: whether one is down or
// many decides whether anything may be touched.
func (l *look) peers(ctx context.Context, m *analysis.Machine) {
	var list corev1.NodeList
	for range maxPages {
		if err := l.shared.List(ctx, &list, client.Limit(pageSize), client.Continue(list.Continue)); err != nil {
			l.unread("the other nodes", err, false)
			return
		}
		for i := range list.Items {
			m.Nodes++
			if codeOf(&list.Items[i], nil) == analysis.NodeNotReady {
				m.Down++
			}
		}
		if list.Continue == "" {
			return
		}
	}
	l.missing(analysis.Missing{What: "some nodes", Why: "there are more than are read at once"})
}

// aboutNode reads what was said about the node.
func (l *look) aboutNode(ctx context.Context) {
	var list corev1.EventList
	about := fields.AndSelectors(
		fields.OneTermEqualSelector("involvedObject.kind", "Node"),
		fields.OneTermEqualSelector("involvedObject.name", l.snapshot.Target.Name),
	)
	if err := l.reader.List(ctx, &list, client.InNamespace(nodeEvents), client.MatchingFieldsSelector{Selector: about}, client.Limit(pageSize)); err != nil {
		l.unread("events about "+l.snapshot.Target.String(), err, true)
	}
	l.snapshot.Events = newestFirst(list.Items)
}
