package vitals_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/internal/vitals"
)

func TestSettling(t *testing.T) {
	start := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	restarted := func(ran time.Duration) corev1.ContainerStatus {
		return corev1.ContainerStatus{RestartCount: 3, LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			StartedAt: metav1.NewTime(start), FinishedAt: metav1.NewTime(start.Add(ran)),
		}}}
	}
	pod := func(containers ...corev1.ContainerStatus) corev1.Pod {
		return corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: containers}}
	}
	sidecar := pod()
	sidecar.Status.InitContainerStatuses = []corev1.ContainerStatus{restarted(2 * time.Minute)}
	ended := pod(restarted(time.Hour))
	ended.Status.Phase = corev1.PodFailed
	rows := map[string]struct {
		pods []corev1.Pod
		want time.Duration
	}{
		"no pod":                                    {want: 30 * time.Second},
		"never restarted":                           {pods: []corev1.Pod{pod(corev1.ContainerStatus{})}, want: 30 * time.Second},
		"it ran for two seconds":                    {pods: []corev1.Pod{pod(restarted(2 * time.Second))}, want: 30 * time.Second},
		"it ran for two minutes":                    {pods: []corev1.Pod{pod(restarted(2 * time.Minute))}, want: 3 * time.Minute},
		"it ran for nine days":                      {pods: []corev1.Pod{pod(restarted(9 * 24 * time.Hour))}, want: 5 * time.Minute},
		"the longest of several counts":             {pods: []corev1.Pod{pod(restarted(time.Second)), pod(corev1.ContainerStatus{}, restarted(time.Minute))}, want: 90 * time.Second},
		"how it ended before is no longer known":    {pods: []corev1.Pod{pod(corev1.ContainerStatus{RestartCount: 2})}, want: 5 * time.Minute},
		"a sidecar of the init kind counts as well": {pods: []corev1.Pod{sidecar}, want: 3 * time.Minute},
		"a pod that has ended does not":             {pods: []corev1.Pod{ended}, want: 30 * time.Second},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := vitals.Settling(row.pods); got != row.want {
				t.Errorf("settling takes %s, want %s", got, row.want)
			}
		})
	}
}
