package evidence

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// A target of more pods than a snapshot holds is well since the last of them is.
func TestBoundKeepsThePodToWhichSomethingHappenedLast(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ready := func(since time.Time) corev1.Pod {
		pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("web-", since.Unix())}}
		pod.Status.Phase = corev1.PodRunning
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(since)}}
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Ready: true, RestartCount: 1}} // each was restarted once
		return pod
	}
	s := &analysis.Snapshot{TakenAt: noon}
	for i := range 3 * maxPods {
		s.Pods = append(s.Pods, ready(noon.Add(-time.Hour-time.Duration(i)*time.Minute)))
	}
	last := noon.Add(-10 * time.Second)
	s.Pods = append(s.Pods, ready(last))
	bound(s)
	if len(s.Pods) != maxPods {
		t.Fatalf("%d pods are kept, want %d", len(s.Pods), maxPods)
	}
	if got := s.Pods[0].Name; got != fmt.Sprint("web-", last.Unix()) {
		t.Errorf("the first is %s, and not the one that became ready last", got)
	}
}
