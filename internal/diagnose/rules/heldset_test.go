package rules_test

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/diagnose/rules"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// ordered draws a StatefulSet of two pods: the first is ready and of the revision before;
// the second, of a revision that was rolled out so long ago, was made so long ago and crashes.
func ordered(partition int32, rolledOut, made time.Duration, line string) *analysis.Snapshot {
	s := draw(newImage("shop/web:2"), released(made), crashesWith(1, line), crashedLike(6, 5*time.Second))
	before, after := s.ReplicaSets[0].Spec.Template, s.ReplicaSets[1].Spec.Template
	s.Target.Kind, s.Subject.Kind = "StatefulSet", "StatefulSet"
	s.Deployments, s.ReplicaSets = nil, nil
	s.StatefulSets = []appsv1.StatefulSet{{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "d"},
		Spec: appsv1.StatefulSetSpec{Replicas: new(int32(2)), Template: after, UpdateStrategy: appsv1.StatefulSetUpdateStrategy{
			Type: appsv1.RollingUpdateStatefulSetStrategyType, RollingUpdate: &appsv1.RollingUpdateStatefulSetStrategy{Partition: &partition}}},
		Status: appsv1.StatefulSetStatus{Replicas: 2, ReadyReplicas: 1, UpdatedReplicas: 1},
	}}
	s.Revisions = []analysis.Revision{
		{Name: "web-b", Owner: "d", Number: 2, CreatedAt: ago(rolledOut).Time, Template: after},
		{Name: "web-a", Owner: "d", Number: 1, CreatedAt: ago(rolledOut + 20*24*time.Hour).Time, Template: before},
	}
	owned := func(name, revision string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: "shop", Name: name, CreationTimestamp: ago(made), OwnerReferences: controlled("StatefulSet", "d"),
			Labels: map[string]string{appsv1.ControllerRevisionHashLabelKey: revision}}
	}
	s.Pods[0].ObjectMeta, s.Logs[0].Pod = owned("web-1", "web-b"), "web-1"
	s.Pods = append(s.Pods, corev1.Pod{ObjectMeta: owned("web-0", "web-a"), Status: corev1.PodStatus{
		Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: ago(made)}}}})
	return s
}

func TestAStatefulSetWhoseUpdateIsHeld(t *testing.T) {
	const day, own = 24 * time.Hour, "fatal: out of luck"
	rows := map[string]struct {
		scene *analysis.Snapshot
		cause v1alpha1.Cause
	}{
		"held for 40 days":                              {ordered(1, 40*day, 40*day, own), unknown},
		"held for 40 days, and its pod was replaced":    {ordered(1, 40*day, 5*time.Minute, own), unknown},
		"held for 40 days, and the database refuses":    {ordered(1, 40*day, 40*day, noDatabase), crashed},
		"held a moment ago":                             {ordered(1, 6*time.Minute, 6*time.Minute, own), badRelease},
		"not held, in progress for 40 days":             {ordered(0, 40*day, 40*day, own), unknown},
		"not held, in progress for hours, pod replaced": {ordered(0, 5*time.Hour, 5*time.Minute, own), badRelease},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if found := rules.Diagnose(v1alpha1.Alert{Name: "KubePodCrashLooping"}, row.scene)[0]; found.Code != row.cause {
				t.Errorf("%s, want %s: %s", found.Code, row.cause, found.Message)
			}
		})
	}
}
