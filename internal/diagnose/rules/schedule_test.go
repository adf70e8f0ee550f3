package rules_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/diagnose/rules"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// comesAndGoes adds nodes with the taint of a program that brings and takes nodes.
func comesAndGoes(programs ...string) func(*picture) {
	return func(p *picture) {
		for i, program := range programs {
			p.Nodes = append(p.Nodes, analysis.Node{Name: fmt.Sprintf("spot-%d", i), Code: analysis.NodeLifecycle, By: program})
		}
	}
}

func pendingFor(d time.Duration) func(*picture) {
	return func(p *picture) { p.pod.CreationTimestamp = metav1.NewTime(noon.Add(-d)) }
}

func untolerated(n, of int) func(*picture) {
	return homeless(fmt.Sprintf("0/%d nodes are available: %d node(s) had untolerated taint(s). preemption: 0/%[1]d nodes are available: %[1]d Preemption is not helpful for scheduling.", of, n))
}

func tolerationLost(p *picture) {
	p.ReplicaSets[0].Spec.Template.Spec.Tolerations = []corev1.Toleration{{Key: "team", Operator: corev1.TolerationOpExists}}
}

func TestTaints(t *testing.T) {
	rows := map[string]struct {
		touches  []func(*picture)
		cause    v1alpha1.Cause
		remedies string
		says     string
		silent   string
		again    bool
	}{
		"nodes that an autoscaler takes away, at first": {
			touches: []func(*picture){untolerated(2, 2), comesAndGoes("Karpenter", "Karpenter"), pendingFor(time.Minute)}, cause: unknown, remedies: "Escalate", says: "spot-0, spot-1) carry a taint of Karpenter", silent: "UntaintNode", again: true},
		"nodes that an autoscaler takes away, for long": {
			touches: []func(*picture){untolerated(2, 2), comesAndGoes("Karpenter", "Cluster API")}, cause: unknown, remedies: "Escalate", says: "Karpenter, Cluster API", silent: "UntaintNode"},
		"one node that an autoscaler takes away, and one that a team keeps": {
			touches: []func(*picture){untolerated(2, 2), comesAndGoes("Karpenter"), nodes(analysis.NodeTainted)}, cause: unknown, remedies: "Escalate", says: "1 carry a taint that a person set", silent: "UntaintNode"},
		"a release that lost its toleration, while an autoscaler takes a node away": {
			touches: []func(*picture){untolerated(2, 2), comesAndGoes("Karpenter"), nodes(analysis.NodeTainted), tolerationLost}, cause: tainted, remedies: "RolloutUndo"},
		"a node is open to the pod": {
			touches: []func(*picture){untolerated(1, 2), comesAndGoes("Karpenter"), nodes(analysis.NodeReady)}, cause: unknown, remedies: "Escalate", silent: "Karpenter"},
		"nodes that are not all known": {
			touches: []func(*picture){untolerated(9, 9), comesAndGoes("Karpenter")}, cause: unknown, remedies: "Escalate", silent: "Karpenter"},
		"nodes that people tainted": {
			touches: []func(*picture){untolerated(2, 2), nodes(analysis.NodeTainted, analysis.NodeTainted)}, cause: tainted, remedies: "Escalate", says: "take it off node-0, node-1", silent: "UntaintNode"},
		"nodes that people tainted under a key of Kubernetes": {
			touches: []func(*picture){untolerated(2, 2), nodes(analysis.NodeTaintKept, analysis.NodeTaintKept)}, cause: tainted, remedies: "Escalate", says: "kubectl describe node node-0", silent: "UntaintNode"},
		"of two such nodes only one may be untainted": {
			touches: []func(*picture){untolerated(2, 2), nodes(analysis.NodeTaintKept, analysis.NodeTainted)}, cause: tainted, remedies: "Escalate", says: "take it off node-1"},
		"nodes under pressure": {
			touches: []func(*picture){untolerated(2, 2), nodes(analysis.NodePressed, analysis.NodePressed)}, cause: unknown, remedies: "Escalate", silent: "UntaintNode"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			found := rules.Diagnose(v1alpha1.Alert{Name: "Alert"}, draw(row.touches...))[0]
			if got := actionsOf(found); found.Code != row.cause || got != row.remedies || found.Again > 0 != row.again {
				t.Errorf("%s with %q, again after %s; want %s with %q, again: %t: %s", found.Code, got, found.Again, row.cause, row.remedies, row.again, found.Message)
			}
			if !strings.Contains(found.Message, row.says) || row.silent != "" && strings.Contains(found.Message, row.silent) {
				t.Errorf("it says %q, want %q and not %q", found.Message, row.says, row.silent)
			}
		})
	}
}
