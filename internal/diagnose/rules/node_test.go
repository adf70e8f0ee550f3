package rules_test

import (
	"cmp"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/diagnose/rules"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// drawNode is a snapshot of a node that is one of ten and has been silent for three minutes.
func drawNode(touches ...func(*analysis.Snapshot)) *analysis.Snapshot {
	s := &analysis.Snapshot{TakenAt: noon}
	s.Target = v1alpha1.TargetReference{UID: "n", ObjectReference: v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: "n1"}}
	s.Subject = s.Target.ObjectReference
	s.Machine = &analysis.Machine{Pods: 7, Nodes: 10, Down: 1, RenewedAt: noon.Add(-3 * time.Minute)}
	says(corev1.ConditionUnknown, "NodeStatusUnknown", 2*time.Minute)(s)
	for _, touch := range touches {
		touch(s)
	}
	return s
}

func says(status corev1.ConditionStatus, reason string, since time.Duration) func(*analysis.Snapshot) {
	return func(s *analysis.Snapshot) {
		s.Machine.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status, Reason: reason, LastTransitionTime: metav1.NewTime(noon.Add(-since))}}
	}
}

func renewed(ago time.Duration) func(*analysis.Snapshot) {
	return func(s *analysis.Snapshot) { s.Machine.RenewedAt = noon.Add(-ago) }
}

func unrenewed(s *analysis.Snapshot) { s.Machine.RenewedAt = time.Time{} }

func down(nodes, down int) func(*analysis.Snapshot) {
	return func(s *analysis.Snapshot) { s.Machine.Nodes, s.Machine.Down = nodes, down }
}

func TestNodes(t *testing.T) {
	const (
		notReady = v1alpha1.CauseNodeNotReady
		many     = v1alpha1.CauseManyNodesDown
		healthy  = v1alpha1.CauseHealthy
		unknown  = v1alpha1.CauseNotEnoughEvidence
	)
	rows := map[string]struct {
		touches  []func(*analysis.Snapshot)
		cause    v1alpha1.Cause
		remedies string
		waits    bool
		says     string
		alert    string
	}{
		"a kubelet that has been silent for minutes": {cause: notReady, remedies: "Cordon Escalate", says: "silent for 3m0s; pods there: 7; nodes not ready: 1 of 10"},
		"a silent kubelet whose lease may not be read": {
			touches: []func(*analysis.Snapshot){unrenewed}, cause: notReady, remedies: "Cordon Escalate", says: "silent for 2m0s"},
		"a silent kubelet that nobody has marked yet": {
			touches: []func(*analysis.Snapshot){says(corev1.ConditionTrue, "KubeletReady", time.Hour), renewed(70 * time.Second)}, cause: notReady, remedies: "Cordon Escalate", says: "silent for 1m10s"},
		"a kubelet that says itself that it is not ready": {
			touches: []func(*analysis.Snapshot){says(corev1.ConditionFalse, "KubeletNotReady", 5*time.Minute), renewed(5 * time.Second)}, cause: notReady, remedies: "Cordon Escalate", says: "not ready for 5m0s: KubeletNotReady"},
		"a node that is cordoned already is a person's": {
			touches: []func(*analysis.Snapshot){func(s *analysis.Snapshot) { s.Machine.Unschedulable = true }}, cause: notReady, remedies: "Escalate", says: "cordoned already"},
		"one of two nodes is not many":     {touches: []func(*analysis.Snapshot){down(2, 1)}, cause: notReady, remedies: "Cordon Escalate"},
		"two of twenty nodes are not many": {touches: []func(*analysis.Snapshot){down(20, 2)}, cause: notReady, remedies: "Cordon Escalate"},

		"a node that recovered by itself": {touches: []func(*analysis.Snapshot){says(corev1.ConditionTrue, "KubeletReady", time.Minute), renewed(5 * time.Second)}, cause: healthy},
		"a node that recovered and is cordoned": {
			touches: []func(*analysis.Snapshot){says(corev1.ConditionTrue, "KubeletReady", time.Minute), renewed(5 * time.Second), func(s *analysis.Snapshot) { s.Machine.Unschedulable = true }}, cause: healthy, says: "it is cordoned"},
		"a kubelet that restarts is waited for": {
			touches: []func(*analysis.Snapshot){says(corev1.ConditionFalse, "KubeletNotReady", 10*time.Second), renewed(5 * time.Second)}, cause: notReady, remedies: "Cordon Escalate", waits: true},
		"a kubelet that is silent for the first minute is waited for": {
			touches: []func(*analysis.Snapshot){renewed(45 * time.Second)}, cause: notReady, remedies: "Cordon Escalate", waits: true},
		"a node that is marked, and whose kubelet is heard again, is waited for": {
			touches: []func(*analysis.Snapshot){renewed(2 * time.Second)}, cause: notReady, remedies: "Cordon Escalate", waits: true},
		"an alert about something that is not looked at is not answered by a node that is ready": {
			touches: []func(*analysis.Snapshot){says(corev1.ConditionTrue, "KubeletReady", time.Hour), renewed(5 * time.Second)}, alert: "NodeFilesystemAlmostOutOfSpace", cause: unknown, remedies: "Escalate", says: "does not answer alert NodeFilesystemAlmostOutOfSpace"},
		"a node that is ready and under pressure is not well": {
			touches: []func(*analysis.Snapshot){says(corev1.ConditionTrue, "KubeletReady", time.Hour), renewed(5 * time.Second), func(s *analysis.Snapshot) {
				s.Machine.Conditions = append(s.Machine.Conditions, corev1.NodeCondition{Type: corev1.NodeDiskPressure, Status: corev1.ConditionTrue})
			}}, cause: unknown, remedies: "Escalate", says: "DiskPressure"},
		"a node that has never said anything": {
			touches: []func(*analysis.Snapshot){unrenewed, func(s *analysis.Snapshot) { s.Machine.Conditions = nil }}, cause: unknown, remedies: "Escalate"},
		"other nodes that could not be counted may be down too": {
			touches: []func(*analysis.Snapshot){func(s *analysis.Snapshot) {
				s.Missing = []analysis.Missing{{What: "the other nodes", Why: "forbidden", Forbidden: true}}
			}}, cause: unknown, remedies: "Escalate"},

		"two of ten nodes touch nothing":           {touches: []func(*analysis.Snapshot){down(10, 2)}, cause: many, remedies: "Escalate", says: "2 of 10 nodes are not ready"},
		"five of a hundred nodes touch nothing":    {touches: []func(*analysis.Snapshot){down(100, 5)}, cause: many, remedies: "Escalate"},
		"the only node of a cluster is left alone": {touches: []func(*analysis.Snapshot){down(1, 1)}, cause: many, remedies: "Escalate"},
		"a node that is well while others are not": {
			touches: []func(*analysis.Snapshot){down(10, 5), says(corev1.ConditionTrue, "KubeletReady", time.Hour), renewed(time.Second)}, cause: healthy},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			s := drawNode(row.touches...)
			found := rules.Diagnose(v1alpha1.Alert{Name: cmp.Or(row.alert, "KubeNodeNotReady")}, s)[0]
			var remedies []string
			for _, r := range found.Remedies {
				remedies = append(remedies, r.Action)
			}
			if got := strings.Join(remedies, " "); found.Code != row.cause || got != row.remedies || !strings.Contains(found.Message, row.says) {
				t.Errorf("%s with %q, want %s with %q: %s", found.Code, got, row.cause, row.remedies, found.Message)
			}
			_, err := rules.New().Analyze(t.Context(), analysis.Request{Snapshot: s})
			var early *analysis.UnsettledError
			if errors.As(err, &early) != row.waits {
				t.Errorf("answers with %v; waits is to be %t", err, row.waits)
			}
		})
	}
}
