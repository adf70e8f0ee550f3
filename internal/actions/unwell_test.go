package actions

import (
	"errors"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// noon is when the tables of this package look.
var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// ago is a time before noon.
func ago(d time.Duration) metav1.Time { return metav1.NewTime(noon.Add(-d)) }

// readyPod is a pod whose one container has run, and been ready, for so long.
func readyPod(name string, since time.Duration, edits ...func(*corev1.Pod)) corev1.Pod {
	p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.PodStatus{
		Phase:      corev1.PodRunning,
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: ago(since)}},
		ContainerStatuses: []corev1.ContainerStatus{{
			Name: "web", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: ago(since)}},
		}},
	}}
	for _, edit := range edits {
		edit(&p)
	}
	return p
}

// restartedAfter gives the container a run before this one.
func restartedAfter(ran time.Duration, restarts int32) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		c := &p.Status.ContainerStatuses[0]
		ended := c.State.Running.StartedAt.Add(-time.Second)
		c.RestartCount = restarts
		c.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 255, StartedAt: metav1.NewTime(ended.Add(-ran)), FinishedAt: metav1.NewTime(ended)}
	}
}

func unready(p *corev1.Pod) { p.Status.Conditions[0].Status = corev1.ConditionFalse }

// backingOff is a pod in the back-off of a crash loop.
func backingOff(p *corev1.Pod) {
	unready(p)
	p.Status.ContainerStatuses[0].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}
}

// deploymentOf wants two pods and has them all, as its status says.
func deploymentOf(edits ...func(*appsv1.Deployment)) *appsv1.Deployment {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web", Generation: 4}, Spec: appsv1.DeploymentSpec{Replicas: new(int32(2))}}
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: 4, Replicas: 2, UpdatedReplicas: 2, ReadyReplicas: 2, AvailableReplicas: 2}
	for _, edit := range edits {
		edit(d)
	}
	return d
}

func aim(kind, name string) action.Target {
	return action.Target{ObjectReference: v1alpha1.ObjectReference{APIVersion: "apps/v1", Kind: kind, Namespace: "shop", Name: name}}
}

// what a judgement of a workload comes to.
const (
	cure  = "cure"
	waits = "wait"
	ends  = "end"
)

func answerOf(err error) string {
	var notYet *action.NotYetError
	var never *action.NotApplicableError
	switch {
	case err == nil:
		return cure
	case errors.As(err, &notYet):
		return waits
	case errors.As(err, &never):
		return ends
	}
	return err.Error()
}

func TestJudgeWell(t *testing.T) {
	day := 24 * time.Hour
	rows := map[string]struct {
		object client.Object
		pods   []corev1.Pod
		want   string
		says   string
	}{
		"all pods have been ready for a day": {object: deploymentOf(), pods: []corev1.Pod{readyPod("a", day), readyPod("b", day)}, want: ends, says: "has been well for 24h0m0s"},
		"a pod came back from a reboot of its node a minute ago, its fifth restart in forty days": {
			object: deploymentOf(), pods: []corev1.Pod{readyPod("a", 40*day), readyPod("b", time.Minute, restartedAfter(9*day, 5))}, want: waits, says: "since 2026-03-01T11:59:00Z",
		},
		"it has been back for as long as it takes": {
			object: deploymentOf(), pods: []corev1.Pod{readyPod("a", 40*day), readyPod("b", 6*time.Minute, restartedAfter(9*day, 5))}, want: ends,
		},
		"a pod in a crash loop is ready for a moment": {object: deploymentOf(), pods: []corev1.Pod{readyPod("a", day), readyPod("b", 20*time.Second, restartedAfter(5*time.Second, 7))}, want: waits},
		"a pod that always ends in its third minute":  {object: deploymentOf(), pods: []corev1.Pod{readyPod("a", day), readyPod("b", 2*time.Minute, restartedAfter(150*time.Second, 7))}, want: waits},
		"a pod in a crash loop backs off":             {object: deploymentOf(), pods: []corev1.Pod{readyPod("a", day), readyPod("b", 20*time.Second, restartedAfter(5*time.Second, 7), backingOff)}, want: cure},
		"a container backs off, and the pod's condition does not say so yet": {object: deploymentOf(), pods: []corev1.Pod{readyPod("a", day), readyPod("b", day, func(p *corev1.Pod) {
			backingOff(p)
			p.Status.Conditions[0].Status = corev1.ConditionTrue
		})}, want: cure},
		"a pod is on its way out, and the status does not say so yet": {object: deploymentOf(), pods: []corev1.Pod{readyPod("a", day), readyPod("b", day, func(p *corev1.Pod) { p.DeletionTimestamp = new(ago(0)) })}, want: waits, says: "all of its 2 pods are ready, and 1 were found"},
		"a pod is not ready, and the status does not say so yet":      {object: deploymentOf(), pods: []corev1.Pod{readyPod("a", day), readyPod("b", day, unready)}, want: cure},
		"new pods that were never restarted":                          {object: deploymentOf(), pods: []corev1.Pod{readyPod("a", 10*time.Second), readyPod("b", 10*time.Second)}, want: waits},
		"the status counts too few ready pods": {
			object: deploymentOf(func(d *appsv1.Deployment) { d.Status.ReadyReplicas, d.Status.AvailableReplicas = 1, 1 }), pods: []corev1.Pod{readyPod("a", day)}, want: cure,
		},
		"a rollout is stuck beside pods that serve": {
			object: deploymentOf(func(d *appsv1.Deployment) { d.Status.UpdatedReplicas, d.Status.Replicas = 1, 3 }), pods: []corev1.Pod{readyPod("a", day), readyPod("b", day)}, want: cure,
		},
		"all pods are ready, and not yet for minReadySeconds": {
			object: deploymentOf(func(d *appsv1.Deployment) { d.Spec.MinReadySeconds, d.Status.AvailableReplicas = 120, 0 }),
			pods:   []corev1.Pod{readyPod("a", time.Minute), readyPod("b", time.Minute)}, want: waits, says: "2026-03-01T12:01:00Z",
		},
		"the controller has not seen the last change": {
			object: deploymentOf(func(d *appsv1.Deployment) { d.Generation = 5 }), pods: []corev1.Pod{readyPod("a", day), readyPod("b", day)}, want: waits,
		},
		"ready by the status, and no pod was found": {object: deploymentOf(), want: waits},
		"not ready by the status, and no pod was found": {
			object: deploymentOf(func(d *appsv1.Deployment) { d.Status = appsv1.DeploymentStatus{ObservedGeneration: 4} }), want: cure,
		},
		"scaled to nothing": {object: deploymentOf(func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32(0)) }), want: ends, says: "scaled to 0"},
		"a StatefulSet that keeps old pods at its partition": {
			object: &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: appsv1.StatefulSetSpec{
				Replicas: new(int32(2)), UpdateStrategy: appsv1.StatefulSetUpdateStrategy{RollingUpdate: &appsv1.RollingUpdateStatefulSetStrategy{Partition: new(int32(1))}},
			}, Status: appsv1.StatefulSetStatus{Replicas: 2, UpdatedReplicas: 1, ReadyReplicas: 2, AvailableReplicas: 2}},
			pods: []corev1.Pod{readyPod("a", day), readyPod("b", day)}, want: ends,
		},
		"a DaemonSet on every node": {
			object: &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Status: appsv1.DaemonSetStatus{
				DesiredNumberScheduled: 2, CurrentNumberScheduled: 2, UpdatedNumberScheduled: 2, NumberReady: 2, NumberAvailable: 2,
			}},
			pods: []corev1.Pod{readyPod("a", day), readyPod("b", day)}, want: ends,
		},
		"a DaemonSet that misses one": {
			object: &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Status: appsv1.DaemonSetStatus{
				DesiredNumberScheduled: 2, CurrentNumberScheduled: 2, UpdatedNumberScheduled: 2, NumberReady: 1, NumberAvailable: 1,
			}},
			pods: []corev1.Pod{readyPod("a", day), readyPod("b", day, backingOff)}, want: cure,
		},
		"a ReplicaSet of its own": {
			object: &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: appsv1.ReplicaSetSpec{Replicas: new(int32(1))}, Status: appsv1.ReplicaSetStatus{Replicas: 1, ReadyReplicas: 1, AvailableReplicas: 1}},
			pods:   []corev1.Pod{readyPod("a", day)}, want: ends,
		},
	}
	kinds := map[string]bool{}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			kind := typeName(row.object)
			kinds[kind] = true
			err := judgeWell(aim(kind, "web"), row.object, row.pods, noon)
			if got := answerOf(err); got != row.want {
				t.Fatalf("it comes to %s (%v), want %s", got, err, row.want)
			}
			if err != nil && !strings.Contains(err.Error(), row.says) {
				t.Errorf("it says %q, want %q in it", err, row.says)
			}
		})
	}
	if len(kinds) != 4 {
		t.Errorf("the table is about %v, want four kinds", kinds)
	}
}

func typeName(obj client.Object) string {
	switch obj.(type) {
	case *appsv1.StatefulSet:
		return "StatefulSet"
	case *appsv1.DaemonSet:
		return "DaemonSet"
	case *appsv1.ReplicaSet:
		return "ReplicaSet"
	}
	return "Deployment"
}

func TestAWaitSaysTheSameAtEachLook(t *testing.T) {
	pods := []corev1.Pod{readyPod("a", time.Minute, restartedAfter(time.Hour, 1)), readyPod("b", time.Hour)}
	first := judgeWell(aim("Deployment", "web"), deploymentOf(), pods, noon)
	second := judgeWell(aim("Deployment", "web"), deploymentOf(), pods, noon.Add(7*time.Second))
	if answerOf(first) != waits || first.Error() != second.Error() {
		t.Errorf("it says %q and then %q; each new message would be a write", first, second)
	}
}

func TestUnwellPod(t *testing.T) {
	target := action.Target{ObjectReference: v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: "shop", Name: "a"}}
	rows := map[string]struct {
		pod    corev1.Pod
		byHand bool
		want   string
	}{
		"a pod that is ready for an hour":              {pod: readyPod("a", time.Hour), want: ends},
		"a pod that was restarted a minute ago":        {pod: readyPod("a", time.Minute, restartedAfter(time.Hour, 1)), want: waits},
		"a pod that is not ready":                      {pod: readyPod("a", time.Hour, unready), want: cure},
		"a user restarts a ready pod for their reason": {pod: readyPod("a", time.Hour), byHand: true, want: cure},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			err := unwellPod(action.World{Now: noon, ByHand: row.byHand}, target, &row.pod)
			if got := answerOf(err); got != row.want {
				t.Errorf("it comes to %s (%v), want %s", got, err, row.want)
			}
		})
	}
}
