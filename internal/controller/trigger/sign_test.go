package trigger

import (
	"fmt"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

var now = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)

func ended(code int32, reason string, ago time.Duration) *corev1.ContainerStateTerminated {
	return &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, FinishedAt: metav1.NewTime(now.Add(-ago))}
}

func pod(statuses ...corev1.ContainerStatus) *corev1.Pod {
	return &corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: statuses}}
}

func looping(restarts int32, end *corev1.ContainerStateTerminated) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: "web", RestartCount: restarts, LastTerminationState: corev1.ContainerState{Terminated: end}}
}

// runs is a container that is ready again; its last run lasted so long.
func runs(restarts int32, end *corev1.ContainerStateTerminated, ran time.Duration) corev1.ContainerStatus {
	end.StartedAt = metav1.NewTime(end.FinishedAt.Add(-ran))
	c := looping(restarts, end)
	c.Ready, c.State.Running = true, &corev1.ContainerStateRunning{}
	return c
}

func waiting(reason string) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: "web", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}}
}

func changed[T client.Object](obj T, change func(T)) T {
	change(obj)
	return obj
}

func rollout(status corev1.ConditionStatus, reason string) *appsv1.Deployment {
	return &appsv1.Deployment{Status: appsv1.DeploymentStatus{Conditions: []appsv1.DeploymentCondition{{Type: appsv1.DeploymentProgressing, Status: status, Reason: reason, Message: "timed out"}}}}
}

func node(ready corev1.ConditionStatus) *corev1.Node {
	return &corev1.Node{Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{
		{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse}, {Type: corev1.NodeReady, Status: ready, Reason: "KubeletNotReady"},
	}}}
}

func TestSigns(t *testing.T) {
	rows := map[string]struct {
		obj   client.Object
		want  v1alpha1.TriggerKind // empty: none
		times int32
	}{
		"a container that ended with an error and was restarted":           {pod(looping(4, ended(1, "Error", time.Minute))), v1alpha1.TriggerCrashLoop, 4},
		"one that has run for long since":                                  {pod(looping(4, ended(1, "Error", 11*time.Minute))), "", 0},
		"one that ended well":                                              {pod(looping(4, ended(0, "Completed", time.Minute))), "", 0},
		"one that ended for the first time":                                {pod(corev1.ContainerStatus{Name: "web", State: corev1.ContainerState{Terminated: ended(1, "Error", 0)}}), "", 0},
		"one killed for its memory":                                        {pod(looping(1, ended(137, "OOMKilled", time.Minute))), v1alpha1.TriggerOOMKill, 1},
		"one killed for its memory that was not restarted yet":             {pod(corev1.ContainerStatus{Name: "web", State: corev1.ContainerState{Terminated: ended(137, "OOMKilled", 0)}}), v1alpha1.TriggerOOMKill, 1},
		"one whose image is not there":                                     {pod(waiting("ImagePullBackOff")), v1alpha1.TriggerImagePull, 1},
		"one that is being made":                                           {pod(waiting("ContainerCreating")), "", 0},
		"one that runs and is ready again, for the fifth time in its life": {pod(runs(5, ended(255, "Unknown", 110*time.Second), 9*24*time.Hour)), v1alpha1.TriggerCrashLoop, 1},
		"one that crashed three times in a row":                            {pod(runs(3, ended(1, "Error", 10*time.Second), 5*time.Second)), v1alpha1.TriggerCrashLoop, 3},
		"one killed for its memory after a week, as it was before":         {pod(runs(4, ended(137, "OOMKilled", time.Minute), 7*24*time.Hour)), v1alpha1.TriggerOOMKill, 1},
		"an init container that loops": {changed(pod(), func(p *corev1.Pod) {
			p.Status.InitContainerStatuses = []corev1.ContainerStatus{looping(3, ended(2, "Error", 0))}
		}), v1alpha1.TriggerCrashLoop, 3},
		"a pod that is being deleted":                               {changed(pod(looping(4, ended(1, "Error", 0))), func(p *corev1.Pod) { p.DeletionTimestamp = new(metav1.NewTime(now)) }), "", 0},
		"a pod that has ended":                                      {changed(pod(looping(4, ended(1, "Error", 0))), func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }), "", 0},
		"a rollout past its deadline":                               {rollout(corev1.ConditionFalse, "ProgressDeadlineExceeded"), v1alpha1.TriggerStuckRollout, 1},
		"a rollout that makes progress":                             {rollout(corev1.ConditionTrue, "ReplicaSetUpdated"), "", 0},
		"a rollout that is paused":                                  {rollout(corev1.ConditionUnknown, "DeploymentPaused"), "", 0},
		"a rollout whose latest change its controller has not seen": {changed(rollout(corev1.ConditionFalse, "ProgressDeadlineExceeded"), func(d *appsv1.Deployment) { d.Generation = 2 }), "", 0},
		"a node that says it is not ready":                          {node(corev1.ConditionFalse), v1alpha1.TriggerNodeNotReady, 1},
		"a node that says nothing":                                  {node(corev1.ConditionUnknown), v1alpha1.TriggerNodeNotReady, 1},
		"a node that is ready":                                      {node(corev1.ConditionTrue), "", 0},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			got := signs(row.obj, now)
			switch {
			case row.want == "" && len(got) > 0:
				t.Errorf("got %+v, want no sign", got)
			case row.want != "" && (len(got) != 1 || got[0].kind != row.want || got[0].occurrences != row.times || got[0].says == ""):
				t.Errorf("got %+v, want one %s, %d times", got, row.want, row.times)
			}
			if lean := signs(leanOf(t, row.obj), now); !slices.Equal(lean, got) {
				t.Errorf("what the cache keeps shows %+v, want %+v", lean, got)
			}
		})
	}
}

func leanOf(t *testing.T, obj client.Object) client.Object {
	t.Helper()
	transform := map[string]func(any) (any, error){"*v1.Pod": leanPod, "*v1.Deployment": leanDeployment, "*v1.Node": leanNode}[fmt.Sprintf("%T", obj)]
	lean, err := transform(obj)
	if err != nil {
		t.Fatal(err)
	}
	return lean.(client.Object)
}

func TestLeast(t *testing.T) {
	rows := map[string]struct {
		trigger v1alpha1.PolicyTrigger
		want    int32
	}{
		"a crash loop counts from the third restart on": {v1alpha1.PolicyTrigger{Kind: v1alpha1.TriggerCrashLoop}, 3},
		"unless the policy says otherwise":              {v1alpha1.PolicyTrigger{Kind: v1alpha1.TriggerCrashLoop, MinOccurrences: 1}, 1},
		"a kill for memory counts at once":              {v1alpha1.PolicyTrigger{Kind: v1alpha1.TriggerOOMKill}, 1},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := least(row.trigger); got != row.want {
				t.Errorf("got %d, want %d", got, row.want)
			}
		})
	}
}
