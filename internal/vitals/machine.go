package vitals

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// silence is after how long without a renewed lease a kubelet counts as silent:
// it renews four times in that time.
const silence = 40 * time.Second

// Ready condition of a node; nil if it has none.
func ReadyCondition(m *analysis.Machine) *corev1.NodeCondition {
	for i := range m.Conditions {
		if m.Conditions[i].Type == corev1.NodeReady {
			return &m.Conditions[i]
		}
	}
	return nil
}

// Silent reports whether a kubelet has not been heard of: its lease says so, or
// where that was not read, the node's condition.
func Silent(m *analysis.Machine, now time.Time) bool {
	if !m.RenewedAt.IsZero() {
		return now.Sub(m.RenewedAt) > silence
	}
	ready := ReadyCondition(m)
	return ready != nil && ready.Status == corev1.ConditionUnknown
}

// strained returns the first condition that a node should not have; nil: none.
// Which there are, is for whoever reports them: all but Ready are bad news.
func strained(m *analysis.Machine) *corev1.NodeCondition {
	for i := range m.Conditions {
		if c := &m.Conditions[i]; c.Type != corev1.NodeReady && c.Status == corev1.ConditionTrue {
			return c
		}
	}
	return nil
}

func machine(s *analysis.Snapshot) Vitals {
	if s.Machine == nil {
		return unknown("%s was not seen", s.Target)
	}
	ready := ReadyCondition(s.Machine)
	switch {
	case ready == nil:
		return unknown("%s does not say whether it is ready", s.Target)
	case Silent(s.Machine, s.TakenAt):
		return unhealthy("the kubelet of %s is silent", s.Target)
	case ready.Status != corev1.ConditionTrue:
		return unhealthy("%s is not ready: %s: %s", s.Target, ready.Reason, ready.Message)
	case strained(s.Machine) != nil:
		return unhealthy("%s says %s: %s", s.Target, strained(s.Machine).Type, strained(s.Machine).Message)
	case s.Machine.Unschedulable:
		return healthy(ready.LastTransitionTime.Time, "%s is ready; it is cordoned", s.Target)
	}
	return healthy(ready.LastTransitionTime.Time, "%s is ready", s.Target)
}
