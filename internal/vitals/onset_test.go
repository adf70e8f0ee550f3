package vitals_test

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubernaut/kubernaut/internal/vitals"
)

// down is a pod that was made so long ago, whose container ended a minute ago and waits;
// it was restarted so often, and its last run took that long.
func down(made time.Duration, restarts int32, ran time.Duration) *corev1.Pod {
	p := pod("shop-1")
	p.UID, p.CreationTimestamp = "p", at(made)
	p.Status.Conditions[0].Status, p.Status.Conditions[0].LastTransitionTime = corev1.ConditionFalse, at(time.Minute)
	p.Status.ContainerStatuses[0] = corev1.ContainerStatus{
		Name: "shop", RestartCount: restarts, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
		LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, StartedAt: at(time.Minute + ran), FinishedAt: at(time.Minute)}},
	}
	return &p
}

func edited(p *corev1.Pod, edit func(*corev1.Pod)) *corev1.Pod { edit(p); return p }

func TestOnset(t *testing.T) {
	const day = 24 * time.Hour
	backedOff := []corev1.Event{{InvolvedObject: corev1.ObjectReference{UID: "p"}, Reason: "BackOff", FirstTimestamp: at(9 * time.Minute)}}
	running := func(since time.Duration) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Status.ContainerStatuses[0].State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at(since)}}
			p.Status.ContainerStatuses[0].Ready = true
			p.Status.Conditions[0].Status = corev1.ConditionTrue
		}
	}
	rows := map[string]struct {
		pods             []*corev1.Pod
		events           []corev1.Event
		earliest, latest time.Duration // ago; both zero: there is no trouble
	}{
		"a loop since the pod was made":               {pods: []*corev1.Pod{down(6*time.Minute, 5, 2*time.Second)}, earliest: 6 * time.Minute, latest: 62 * time.Second},
		"a loop of an old pod: its restarts bound it": {pods: []*corev1.Pod{down(40*day, 5, 2*time.Second)}, earliest: 9*time.Minute + 21*time.Second, latest: 62 * time.Second},
		"the first warning is later than the first crash": {
			pods: []*corev1.Pod{down(40*day, 6, 5*time.Second)}, events: backedOff, earliest: 18 * time.Minute, latest: 9 * time.Minute},
		"a warning of an earlier trouble":                    {pods: []*corev1.Pod{down(40*day, 1, 2*time.Second)}, events: backedOff, earliest: 87 * time.Second, latest: 62 * time.Second},
		"a run of days ended: whatever the count, it is new": {pods: []*corev1.Pod{down(40*day, 5, 9*day)}, earliest: time.Minute, latest: time.Minute},
		"the first crash of all":                             {pods: []*corev1.Pod{down(40*day, 0, 2*time.Second)}, earliest: time.Minute + 6*time.Second, latest: time.Minute},
		"the first of several pods": {
			pods: []*corev1.Pod{down(40*day, 5, 9*day), down(6*time.Minute, 5, 2*time.Second)}, earliest: 6 * time.Minute, latest: 62 * time.Second},
		"a pod that has found no node for long says nothing of the crashes": {
			pods: []*corev1.Pod{edited(down(40*day, 0, 0), func(p *corev1.Pod) { p.Status = corev1.PodStatus{Phase: corev1.PodPending} }), down(6*time.Minute, 5, 2*time.Second)}, earliest: 6 * time.Minute, latest: 62 * time.Second},
		"it runs again, not long enough": {pods: []*corev1.Pod{edited(down(40*day, 5, 9*day), running(50*time.Second))}, earliest: time.Minute, latest: time.Minute},
		"it runs again, long enough":     {pods: []*corev1.Pod{edited(down(40*day, 5, 10*time.Second), running(55*time.Second))}},
		"a pod that is well":             {pods: []*corev1.Pod{edited(down(40*day, 0, 0), func(p *corev1.Pod) { *p = pod("shop-2") })}},
		"a pod that lost its readiness": {pods: []*corev1.Pod{edited(edited(down(40*day, 0, 0), running(day)), func(p *corev1.Pod) {
			p.Status.ContainerStatuses[0].LastTerminationState = corev1.ContainerState{}
			p.Status.Conditions[0].Status = corev1.ConditionFalse
		})}, earliest: time.Minute, latest: time.Minute},
		"a pod that never ran at all":             {pods: []*corev1.Pod{edited(down(3*time.Minute, 0, 0), func(p *corev1.Pod) { p.Status = corev1.PodStatus{Phase: corev1.PodPending} })}, earliest: 3 * time.Minute, latest: 3 * time.Minute},
		"the kubelet does not know when it ended": {pods: []*corev1.Pod{edited(down(40*day, 5, 0), unknownEnd)}, earliest: 7*time.Minute + 45*time.Second},
		"the same, and it runs again": {pods: []*corev1.Pod{edited(edited(down(40*day, 5, 0), running(50*time.Second)), unknownEnd)},
			earliest: 4*time.Minute + 35*time.Second, latest: 50 * time.Second},
		"a node's clock is an hour ahead":  {pods: []*corev1.Pod{edited(down(6*time.Minute, 3, 2*time.Second), shifted(time.Hour))}, earliest: 2*time.Minute + 9*time.Second, latest: 2 * time.Second},
		"a node's clock is an hour behind": {pods: []*corev1.Pod{edited(down(6*time.Minute, 3, 2*time.Second), shifted(-time.Hour))}, earliest: 6 * time.Minute, latest: 6 * time.Minute},
		"a container that can't be started": {pods: []*corev1.Pod{edited(down(3*time.Minute, 0, 0), func(p *corev1.Pod) {
			p.Status.ContainerStatuses[0].LastTerminationState = corev1.ContainerState{}
			p.Status.ContainerStatuses[0].State.Waiting.Reason = "RunContainerError"
		})}, earliest: 3 * time.Minute, latest: 0},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			got := vitals.Onset(row.pods, row.events, now)
			if row.earliest == 0 && row.latest == 0 {
				if !got.IsZero() {
					t.Errorf("began between %s and %s ago, want no trouble", now.Sub(got.Earliest), now.Sub(got.Latest))
				}
				return
			}
			if !got.Earliest.Equal(now.Add(-row.earliest)) || !got.Latest.Equal(now.Add(-row.latest)) {
				t.Errorf("began between %s and %s ago, want %s and %s", now.Sub(got.Earliest), now.Sub(got.Latest), row.earliest, row.latest)
			}
		})
	}
}

// unknownEnd: the kubelet lost the container, as in a reboot, and knows no time of it.
func unknownEnd(p *corev1.Pod) {
	p.Status.ContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "ContainerStatusUnknown"}
}

// shifted: the clock of the pod's node is that far ahead.
func shifted(by time.Duration) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		end := p.Status.ContainerStatuses[0].LastTerminationState.Terminated
		end.StartedAt.Time, end.FinishedAt.Time = end.StartedAt.Add(by), end.FinishedAt.Add(by)
	}
}

func TestCrashes(t *testing.T) {
	rows := map[string]struct {
		pod  *corev1.Pod
		want int32
	}{
		"as often as it was restarted, and once more": {down(time.Hour, 4, time.Minute), 5},
		"a steady run in between":                     {down(time.Hour, 4, vitals.SteadyRun), 1},
		"the kubelet does not know how it ended":      {edited(down(time.Hour, 4, 0), unknownEnd), 1},
		"the first crash":                             {down(time.Hour, 0, time.Minute), 1},
		"none":                                        {edited(down(time.Hour, 0, 0), func(p *corev1.Pod) { *p = pod("shop-2") }), 0},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := vitals.Crashes(&row.pod.Status.ContainerStatuses[0]); got != row.want {
				t.Errorf("%d crashes, want %d", got, row.want)
			}
		})
	}
}

func TestCrashingWithoutAnError(t *testing.T) {
	ended := func(restarts int32) *corev1.Pod {
		return edited(down(time.Hour, restarts, time.Second), func(p *corev1.Pod) {
			p.Status.ContainerStatuses[0].State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{FinishedAt: at(time.Second)}}
		})
	}
	rows := map[string]struct {
		pod  *corev1.Pod
		want bool
	}{
		"a container that must run ends again and again": {ended(3), true},
		"it ended once":                     {ended(0), false},
		"a pod that ends with its work":     {edited(ended(3), func(p *corev1.Pod) { p.Spec.RestartPolicy = corev1.RestartPolicyOnFailure }), false},
		"a container that prepares the pod": {edited(ended(3), func(p *corev1.Pod) { p.Spec.InitContainers = []corev1.Container{{Name: "shop"}} }), false},
		"a sidecar, which must run as well": {edited(ended(3), func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Name: "shop", RestartPolicy: new(corev1.ContainerRestartPolicyAlways)}}
		}), true},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := vitals.Crashing(row.pod, &row.pod.Status.ContainerStatuses[0], now); got != row.want {
				t.Errorf("crashing: %t, want %t", got, row.want)
			}
		})
	}
}

func TestRanBefore(t *testing.T) {
	rows := map[string]struct {
		pod  *corev1.Pod
		want bool
	}{
		"a loop of an old pod":         {down(40*24*time.Hour, 5, 2*time.Second), true},
		"a loop since it was made":     {down(6*time.Minute, 5, 2*time.Second), false},
		"a loop that may be that long": {down(5*time.Hour, 60, 2*time.Second), false},
		"an old pod that never ran":    {edited(down(40*24*time.Hour, 0, 0), func(p *corev1.Pod) { p.Status = corev1.PodStatus{Phase: corev1.PodPending} }), false},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := vitals.RanBefore([]*corev1.Pod{row.pod}, now); got != row.want {
				t.Errorf("ran before: %t, want %t", got, row.want)
			}
		})
	}
}

func TestRollsOut(t *testing.T) {
	deployment := func(paused bool, reason string) *appsv1.Deployment {
		return &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Paused: paused}, Status: appsv1.DeploymentStatus{
			Conditions: []appsv1.DeploymentCondition{{Type: appsv1.DeploymentProgressing, Reason: reason}}}}
	}
	ordered := func(partition *int32) *appsv1.StatefulSet {
		return &appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{UpdateStrategy: appsv1.StatefulSetUpdateStrategy{
			Type: appsv1.RollingUpdateStatefulSetStrategyType, RollingUpdate: &appsv1.RollingUpdateStatefulSetStrategy{Partition: partition}}}}
	}
	onDelete := &appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{UpdateStrategy: appsv1.StatefulSetUpdateStrategy{Type: appsv1.OnDeleteStatefulSetStrategyType}}}
	everywhere := func(kind appsv1.DaemonSetUpdateStrategyType) *appsv1.DaemonSet {
		return &appsv1.DaemonSet{Spec: appsv1.DaemonSetSpec{UpdateStrategy: appsv1.DaemonSetUpdateStrategy{Type: kind}}}
	}
	rows := map[string]struct {
		workload any
		oldPods  bool
		want     bool
	}{
		"complete":                               {workload: deployment(false, "NewReplicaSetAvailable")},
		"in progress":                            {workload: deployment(false, "ReplicaSetUpdated"), want: true},
		"past its deadline":                      {workload: deployment(false, "ProgressDeadlineExceeded"), want: true},
		"paused":                                 {workload: deployment(true, "DeploymentPaused"), oldPods: true},
		"resumed":                                {workload: deployment(false, "DeploymentResumed")},
		"without a deadline":                     {workload: &appsv1.Deployment{}},
		"without a deadline, half-way":           {workload: &appsv1.Deployment{}, oldPods: true, want: true},
		"a StatefulSet, half-way":                {workload: ordered(nil), oldPods: true, want: true},
		"a StatefulSet, partitioned":             {workload: ordered(new(int32(2))), oldPods: true},
		"a StatefulSet, partition zero":          {workload: ordered(new(int32(0))), oldPods: true, want: true},
		"a StatefulSet that waits for deletions": {workload: onDelete, oldPods: true},
		"a DaemonSet, half-way":                  {workload: everywhere(appsv1.RollingUpdateDaemonSetStrategyType), oldPods: true, want: true},
		"a DaemonSet that waits for deletions":   {workload: everywhere(appsv1.OnDeleteDaemonSetStrategyType), oldPods: true},
		"a ReplicaSet":                           {workload: &appsv1.ReplicaSet{}, oldPods: true},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := vitals.RollsOut(row.workload, row.oldPods); got != row.want {
				t.Errorf("rolls out: %t, want %t", got, row.want)
			}
		})
	}
}

func TestFollows(t *testing.T) {
	minutes := func(earliest, latest int) vitals.Span {
		return vitals.Span{Earliest: now.Add(time.Duration(earliest) * time.Minute), Latest: now.Add(time.Duration(latest) * time.Minute)}
	}
	release := minutes(0, 0)
	rows := map[string]struct {
		began, release vitals.Span
		ahead          time.Duration
		want           bool
	}{
		"at once":                         {began: minutes(0, 1), release: release, want: true},
		"as soon as pods can be expected": {began: minutes(9, 9), release: release, want: true},
		"later":                           {began: minutes(11, 12), release: release},
		"before":                          {began: minutes(-3, -1), release: release},
		"before, while the old pods were taken away":     {began: minutes(-1, -1), release: release, ahead: time.Minute, want: true},
		"at an uncertain time that includes the release": {began: minutes(-60, 60), release: release, want: true},
		"a release at an uncertain time":                 {began: minutes(20, 21), release: minutes(-30, 15), want: true},
		"no trouble at all":                              {release: release},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := vitals.Follows(row.began, row.release, row.ahead); got != row.want {
				t.Errorf("follows: %t, want %t", got, row.want)
			}
		})
	}
}
