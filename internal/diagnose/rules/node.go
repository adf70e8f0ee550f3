package rules

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/vitals"
)

// leastDown is how long a node must have been down: one that restarts is back by then.
const leastDown = time.Minute

// nodeRules look at the node that is the target.
var nodeRules = []func(*scene) *Finding{nodeNotReady, manyNodesDown}

// nodeNotReady finds a node whose kubelet is silent, or says itself that it is
// not ready. What keeps pods off it now is Kubernetes' own taint, which goes the
// moment it is heard of again; a cordon keeps them off until somebody has looked.
func nodeNotReady(sc *scene) *Finding {
	ready, down := sc.down()
	if !down {
		return nil
	}
	m, silent := sc.Machine, vitals.Silent(sc.Machine, sc.TakenAt)
	since := ready.LastTransitionTime.Time
	f := &Finding{
		Code: v1alpha1.CauseNodeNotReady, Object: sc.Target.ObjectReference, Target: &sc.Target,
		Evidence: []v1alpha1.Evidence{says(v1alpha1.EvidenceObject, sc.Target.ObjectReference, "Ready is %s since %s: %s: %s",
			ready.Status, since.UTC().Format(time.TimeOnly), ready.Reason, ready.Message)},
	}
	weight := 75
	switch {
	case silent && !m.RenewedAt.IsZero():
		weight, since = 85, m.RenewedAt
		f.Evidence = append(f.Evidence, says(v1alpha1.EvidenceObject, sc.Target.ObjectReference, "its kubelet renewed its lease last at %s", since.UTC().Format(time.TimeOnly)))
	case ready.Status == corev1.ConditionUnknown && !silent:
		weight, f.Again = 40, nextLook // its lease is renewed: it is on its way back
	}
	f.Confidence = percent(weight - 10*sc.details())
	f.Message = fmt.Sprintf("%s: %s; pods there: %d; nodes not ready: %d of %d", sc.Target, sc.silence(silent, since, ready), m.Pods, m.Down, m.Nodes)
	f.Evidence = append(f.Evidence, sc.nodeEvents()...)
	if left := leastDown - sc.TakenAt.Sub(since); left > 0 {
		f.Again = min(max(left, time.Second), nextLook)
	}
	if m.Unschedulable {
		f.Message += "; it is cordoned already"
	} else {
		f.Remedies = append(f.Remedies, v1alpha1.Remedy{Action: cordon})
	}
	f.Remedies = append(f.Remedies, toPerson(f.Message))
	return f
}

// down reports whether the node that is the target is down, and what it says of that.
func (sc *scene) down() (*corev1.NodeCondition, bool) {
	if sc.Machine == nil {
		return nil, false
	}
	ready := vitals.ReadyCondition(sc.Machine)
	if ready == nil {
		return nil, false
	}
	return ready, ready.Status != corev1.ConditionTrue || vitals.Silent(sc.Machine, sc.TakenAt)
}

// silence says how a node is down, and for how long.
func (sc *scene) silence(silent bool, since time.Time, ready *corev1.NodeCondition) string {
	if silent {
		return "its kubelet has been silent for " + ago(sc.TakenAt, since)
	}
	return fmt.Sprintf("not ready for %s: %s: %s", ago(sc.TakenAt, since), ready.Reason, ready.Message)
}

// nodeEvents are the last things that were said about the node.
func (sc *scene) nodeEvents() []v1alpha1.Evidence {
	var told []v1alpha1.Evidence
	for i := range sc.Events[:min(len(sc.Events), 3)] {
		e := &sc.Events[i]
		told = append(told, says(v1alpha1.EvidenceEvent, sc.Target.ObjectReference, "%s, %d times: %s", e.Reason, max(e.Count, 1), e.Message))
	}
	return told
}

// manyNodesDown finds that a node is one of many that are down, and so not what is
// broken: the network, the power or the control plane is, and every change on
// the way makes it worse.
func manyNodesDown(sc *scene) *Finding {
	if _, down := sc.down(); !down || !many(sc.Machine.Nodes, sc.Machine.Down) {
		return nil
	}
	f := &Finding{
		Code: v1alpha1.CauseManyNodesDown, Object: sc.Target.ObjectReference,
		Message:    fmt.Sprintf("%d of %d nodes are not ready: what is broken is none of them, and nothing is touched", sc.Machine.Down, sc.Machine.Nodes),
		Confidence: percent(80 - 10*sc.details()),
		Explains:   []Ref{{v1alpha1.CauseNodeNotReady, sc.Target.ObjectReference}},
	}
	f.Evidence = []v1alpha1.Evidence{says(v1alpha1.EvidenceObject, sc.Target.ObjectReference, "%d of %d nodes are not ready", sc.Machine.Down, sc.Machine.Nodes)}
	f.Remedies = []v1alpha1.Remedy{toPerson(f.Message)}
	return f
}

// many reports whether so many nodes are down that no single one is at fault: all
// of them, or more than one and a fifth, or five.
func many(nodes, down int) bool {
	return down >= nodes || down > 1 && 5*down >= nodes || down >= 5
}
