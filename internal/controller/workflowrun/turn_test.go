package workflowrun

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

func TestJudgeReadiness(t *testing.T) {
	now := time.Date(2026, 3, 1, 4, 0, 0, 0, time.UTC)
	pod := func(uid string, status corev1.ConditionStatus, since time.Duration, edits ...func(*corev1.Pod)) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "first", CreationTimestamp: metav1.NewTime(now.Add(-time.Hour))}}
		p.Spec.NodeName = "n1"
		if uid != "" {
			p.UID = "second"
		}
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: status, LastTransitionTime: metav1.NewTime(now.Add(-since))}}
		for _, edit := range edits {
			edit(p)
		}
		return p
	}
	going := func(p *corev1.Pod) { p.DeletionTimestamp = new(metav1.NewTime(now)) }
	unscheduled := func(p *corev1.Pod) { p.Spec.NodeName = "" }
	untold := func(p *corev1.Pod) { p.Status.Conditions = nil }
	const yes, no, unknown = corev1.ConditionTrue, corev1.ConditionFalse, corev1.ConditionUnknown
	rows := map[string]struct {
		state v1alpha1.OperationState
		pod   *corev1.Pod
		want  readiness
		says  string
	}{
		"an evicted pod's successor is ready":                 {done, pod("2", yes, 0), podReady, ""},
		"an evicted pod's successor is not ready":             {done, pod("2", no, time.Hour), podAwaited, "the successor of Pod/db-2 is not ready yet, on Node/n1"},
		"an evicted pod's successor is on no node":            {done, pod("2", no, time.Hour, unscheduled), podAwaited, "is not ready yet, on no node"},
		"an evicted pod has no successor yet":                 {done, nil, podAwaited, "successor does not exist yet"},
		"an evicted pod is going":                             {done, pod("", no, time.Hour, going), podAwaited, "Pod/db-2 is being deleted since 2026-03-01T04:00:00Z, on Node/n1"},
		"a ready pod is going":                                {skipped1, pod("", yes, time.Hour, going), podAwaited, "is being deleted"},
		"a skipped pod is still ready":                        {skipped1, pod("", yes, time.Hour), podReady, ""},
		"a skipped pod was replaced, and its successor ready": {skipped1, pod("2", yes, 0), podReady, ""},
		"a skipped pod's successor is never evicted":          {skipped1, pod("2", no, time.Hour), podAwaited, "the successor of Pod/db-2"},
		"a skipped pod missed a probe":                        {skipped1, pod("", no, 29*time.Second), podAwaited, "Pod/db-2 is not ready any more"},
		"a skipped pod is not ready for half a minute":        {skipped1, pod("", no, 30*time.Second), podDue, ""},
		"a skipped pod's node was lost":                       {skipped1, pod("", unknown, time.Minute), podDue, ""},
		"a skipped pod has no condition any more":             {skipped1, pod("", no, 0, untold), podDue, ""},
		"an evicted pod that is not gone is evicted once":     {done, pod("", no, time.Hour), podAwaited, "Pod/db-2 is not ready any more"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			op := v1alpha1.OperationStatus{State: row.state}
			op.Object = v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: "shop", Name: "db-2"}
			op.Precondition = v1alpha1.Precondition{UID: "first", Unready: true}
			got, says := judgeReadiness(op, row.pod, now)
			if got != row.want || !strings.Contains(says, row.says) || (says == "") != (row.want != podAwaited) {
				t.Errorf("it is %s: %q, want %s: %q", got, says, row.want, row.says)
			}
		})
	}
}
