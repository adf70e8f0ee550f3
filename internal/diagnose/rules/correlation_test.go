package rules_test

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/diagnose/rules"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

const (
	noDatabase = "fatal: dial tcp 10.20.0.9:5432: connect: connection refused"
	crashed    = v1alpha1.CauseCrashDependency
)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(noon.Add(-d)) }

// released: the second revision is that old, and so is its pod.
func released(age time.Duration) func(*picture) {
	return func(p *picture) {
		p.ReplicaSets[0].CreationTimestamp = ago(age + 20*24*time.Hour)
		p.ReplicaSets[1].CreationTimestamp, p.pod.CreationTimestamp = ago(age), ago(age)
	}
}

// unavailableFor: the rollout came to its end, so that no old pod is left; the Deployment has
// been unavailable for so long.
func unavailableFor(unavailable time.Duration) func(*picture) {
	return func(p *picture) {
		p.ReplicaSets[0].Status.ReadyReplicas = 0
		d := &p.Deployments[0]
		d.Status = appsv1.DeploymentStatus{Replicas: 1, UpdatedReplicas: 1, Conditions: []appsv1.DeploymentCondition{
			{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionFalse, LastTransitionTime: ago(unavailable)},
			{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable", LastTransitionTime: ago(90 * 24 * time.Hour), LastUpdateTime: p.ReplicaSets[1].CreationTimestamp},
		}}
	}
}

// crashedLike: the container is down; it was restarted so often, and its last run took that long.
func crashedLike(restarts int32, ran time.Duration) func(*picture) {
	return func(p *picture) {
		c := &p.pod.Status.ContainerStatuses[0]
		c.RestartCount = restarts
		c.LastTerminationState.Terminated.StartedAt = ago(38*time.Second + ran)
	}
}

// back: the container runs and is ready again, for so long.
func back(since time.Duration) func(*picture) {
	return func(p *picture) {
		c := &p.pod.Status.ContainerStatuses[0]
		c.Ready, c.State = true, corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: ago(since)}}
		c.LastTerminationState.Terminated.FinishedAt = ago(since + 10*time.Second)
		p.pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: ago(since)}}
		p.Deployments[0].Status = appsv1.DeploymentStatus{Replicas: 1, UpdatedReplicas: 1, ReadyReplicas: 1, AvailableReplicas: 1}
	}
}

// completed: the container ended well, and is about to be restarted.
func completed(restarts int32) func(*picture) {
	return func(p *picture) {
		p.pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", RestartCount: restarts, State: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{Reason: "Completed", StartedAt: ago(8 * time.Second), FinishedAt: ago(4 * time.Second)},
		}}}
	}
}

// readySibling: another pod of the second revision has been ready for so long.
func readySibling(ready time.Duration) func(*picture) {
	return func(p *picture) {
		p.Pods = append(p.Pods, corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-2-fghij", UID: "q", CreationTimestamp: ago(ready), OwnerReferences: controlled("ReplicaSet", "rs2")},
			Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: ago(ready)}},
				ContainerStatuses: []corev1.ContainerStatus{{Name: "app", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: ago(ready)}}}}},
		})
		p.pod = &p.Pods[0]
	}
}

// neighbour: another workload fails since so long ago; it was rolled out so long ago.
func neighbour(name, node string, since, changed time.Duration, lines ...string) func(*picture) {
	return func(p *picture) {
		n := analysis.Neighbour{Name: name, Node: node, Since: ago(since).Time, Lines: lines}
		if changed > 0 {
			n.Changed = ago(changed).Time
		}
		p.Neighbours = append(p.Neighbours, n)
	}
}

// node: all of the target's failing pods run there; it became so, so long ago.
func node(name string, code analysis.NodeCode, since time.Duration) func(*picture) {
	return func(p *picture) {
		p.ReplicaSets[1].Spec.Template.Spec.NodeName = name
		if code != "" {
			p.Hosts = append(p.Hosts, analysis.Host{Name: name, Code: code, Since: ago(since).Time})
		}
	}
}

// named: the template of the second revision names the host, or both do.
func named(host string, templates ...string) func(*picture) {
	return func(p *picture) {
		p.Endpoints = append(p.Endpoints, analysis.Endpoint{Host: host, Templates: templates})
	}
}

// wrote: the container has ended, and its status shows it; these are the lines of that
// run and of the one before it.
func wrote(last, before string) func(*picture) {
	return func(p *picture) {
		c := &p.pod.Status.ContainerStatuses[0]
		c.State, c.LastTerminationState = c.LastTerminationState, corev1.ContainerState{}
		p.Logs = nil
		for line, previous := range map[string]bool{last: false, before: true} {
			if line != "" {
				p.Logs = append(p.Logs, analysis.Log{Pod: p.pod.Name, Container: "app", Previous: previous, Lines: []string{line}})
			}
		}
	}
}

// noLog: the log of the container could not be read, or not by the operator.
func noLog(forbidden bool) func(*picture) {
	return func(p *picture) {
		p.Logs = nil
		p.Missing = append(p.Missing, analysis.Missing{What: "log of app in pod " + p.pod.Name, Why: "the kubelet no longer has it", Detail: true, Forbidden: forbidden})
	}
}

// usedAgain: the second revision was rolled out an hour ago, gone back from, and is
// rolled out again unchanged; without events nothing says when.
func usedAgain(scaledUp map[string]time.Time) func(*picture) {
	return func(p *picture) {
		reuse := func(set *appsv1.ReplicaSet, number, before string, created time.Duration) {
			set.Annotations = map[string]string{"deployment.kubernetes.io/revision": number, "deployment.kubernetes.io/revision-history": before}
			set.CreationTimestamp = ago(created)
		}
		reuse(&p.ReplicaSets[0], "3", "1", 2*time.Hour)
		reuse(&p.ReplicaSets[1], "4", "2", time.Hour)
		p.Deployments[0].Annotations["deployment.kubernetes.io/revision"] = "4"
		p.pod.CreationTimestamp = ago(7 * time.Minute)
		p.ScaledUp = scaledUp
		d := &p.Deployments[0]
		d.Status.Conditions[0].LastTransitionTime = ago(time.Minute) // of the last of several losses
	}
}

// lost: the kubelet lost the container in a reboot of its node, and knows no time of it.
func lost(p *picture) {
	p.pod.Status.ContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "ContainerStatusUnknown"}
}

// clock: the clock of the pod's node is that far ahead.
func clock(ahead time.Duration) func(*picture) {
	return func(p *picture) {
		end := p.pod.Status.ContainerStatuses[0].LastTerminationState.Terminated
		end.StartedAt.Time, end.FinishedAt.Time = end.StartedAt.Add(ahead), end.FinishedAt.Add(ahead)
	}
}

// progresses: the condition Progressing has that reason; without one, the Deployment has no
// deadline, and no such condition.
func progresses(reason string) func(*picture) {
	return func(p *picture) {
		d := &p.Deployments[0]
		d.Spec.Paused = reason == "DeploymentPaused"
		d.Status.Conditions[1].Reason = reason
		if reason == "" {
			d.Status.Conditions = d.Status.Conditions[:1]
		}
	}
}

// serving: a pod of the first revision is ready.
func serving(p *picture) { p.ReplicaSets[0].Status.ReadyReplicas = 1 }

// unplaced: another pod of the second revision has found no node for so long.
func unplaced(since time.Duration) func(*picture) {
	return func(p *picture) {
		p.Pods = append(p.Pods, corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-2-fghij", UID: "q", CreationTimestamp: ago(since), OwnerReferences: controlled("ReplicaSet", "rs2")},
			Status: corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{
				{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", LastTransitionTime: ago(since)}}},
		})
		p.pod = &p.Pods[0]
	}
}

// alsoOn: another pod of the second revision fails alike on that node.
func alsoOn(node string) func(*picture) {
	return func(p *picture) {
		other := p.Pods[0].DeepCopy()
		other.Name, other.UID, other.Spec.NodeName = "web-2-fghij", "q", node
		p.Pods = append(p.Pods, *other)
		p.pod = &p.Pods[0]
	}
}

// hostSince: the node has been ready for so long.
func hostSince(name string, since time.Duration) func(*picture) {
	return func(p *picture) {
		p.Hosts = append(p.Hosts, analysis.Host{Name: name, Code: analysis.NodeReady, Since: ago(since).Time})
	}
}

func TestWhetherAReleaseIsToBlame(t *testing.T) {
	tag := newImage("shop/web:2")
	const day = 24 * time.Hour
	rows := map[string]struct {
		touches  []func(*picture)
		cause    v1alpha1.Cause
		remedies string
		says     string
		again    bool
	}{
		// What the program names, and what the release changed.
		"no dependency is named": {
			touches: []func(*picture){tag, released(6 * time.Minute), unavailableFor(358 * time.Second), crashesWith(1, "fatal: flag --cache is not defined")}, cause: badRelease, remedies: "RolloutUndo"},
		"only the tag changed, and the database refuses": {
			touches: []func(*picture){tag, released(6 * time.Minute), unavailableFor(358 * time.Second), crashesWith(1, noDatabase)},
			cause:   crashed, remedies: "Escalate", says: "it can't use 10.20.0.9:5432"},
		"both are named to the person": {
			touches: []func(*picture){tag, released(6 * time.Minute), unavailableFor(358 * time.Second), crashesWith(1, noDatabase)},
			cause:   crashed, remedies: "Escalate", says: "revision 2 of Deployment/web was rolled out at 2026-05-04T11:54:00Z and is not gone back from: no pod of revision 1 is left"},
		"only the tag changed, and the old revision still serves": {
			touches: []func(*picture){tag, crashesWith(1, noDatabase)}, cause: badRelease, remedies: "RolloutUndo"},
		"the variable that leads to the database changed": {
			touches: []func(*picture){tag, env("DATABASE_URL", "one", "other"), released(6 * time.Minute), unavailableFor(358 * time.Second), crashesWith(1, noDatabase)}, cause: badRelease, remedies: "RolloutUndo"},
		"another variable changed": {
			touches: []func(*picture){tag, env("LOG_LEVEL", "one", "other"), released(6 * time.Minute), unavailableFor(358 * time.Second), crashesWith(1, noDatabase)}, cause: crashed, remedies: "Escalate"},
		"credentials changed, and are refused": {
			touches: []func(*picture){env("APP_PASSWORD", "one", "other"), released(6 * time.Minute), unavailableFor(358 * time.Second),
				crashesWith(1, `FATAL: password authentication failed for user "web"`)}, cause: badRelease, remedies: "RolloutUndo"},
		"the host came with the release": {
			touches: []func(*picture){tag, env("UPSTREAM", "one", "other"), released(6 * time.Minute), unavailableFor(358 * time.Second), named("ledger-new", "web-2"),
				crashesWith(1, "error: lookup ledger-new on 10.96.0.10:53: no such host")}, cause: badRelease, remedies: "RolloutUndo"},
		"the host was there before": {
			touches: []func(*picture){tag, env("UPSTREAM", "one", "other"), released(6 * time.Minute), unavailableFor(358 * time.Second), named("ledger", "web-1", "web-2"),
				crashesWith(1, "error: lookup ledger on 10.96.0.10:53: no such host")}, cause: crashed, remedies: "Escalate"},
		"a service that the program went on without": {
			touches: []func(*picture){tag, released(6 * time.Minute), unavailableFor(358 * time.Second), crashesWith(1, "error: exporting spans: dial tcp 10.7.7.7:4317: connect: connection refused", "panic: no ledger")},
			cause:   badRelease, remedies: "RolloutUndo"},

		"the log of the last run names the database, that of the run before is gone": {
			touches: []func(*picture){tag, released(6 * time.Minute), unavailableFor(358 * time.Second), crashesWith(1), wrote(noDatabase, "")}, cause: crashed, remedies: "Escalate"},
		"the log of the last run names the database, that of the run before does not": {
			touches: []func(*picture){tag, released(6 * time.Minute), unavailableFor(358 * time.Second), crashesWith(1), wrote(noDatabase, "fatal: out of luck")}, cause: crashed, remedies: "Escalate"},
		"the run before named the database, and the last one failed by itself": {
			touches: []func(*picture){tag, released(6 * time.Minute), unavailableFor(358 * time.Second), crashesWith(1), wrote("fatal: out of luck", noDatabase)}, cause: badRelease, remedies: "RolloutUndo"},
		"no log can be read": {
			touches: []func(*picture){tag, released(6 * time.Minute), unavailableFor(358 * time.Second), crashesWith(1), noLog(false)},
			cause:   unknown, remedies: "Escalate", again: true, says: "is not gone back from: the log of app in pod web-2-abcde could not be read"},
		"the operator has no right to read logs": {
			touches: []func(*picture){tag, released(6 * time.Minute), unavailableFor(358 * time.Second), crashesWith(1), crashedLike(3, 2*time.Second), noLog(true)},
			cause:   unknown, remedies: "Escalate", says: "the log of app in pod web-2-abcde could not be read"},
		"no log can be read, and the old revision still serves": {
			touches: []func(*picture){tag, crashesWith(1), noLog(false)}, cause: badRelease, remedies: "RolloutUndo"},
		"it wrote nothing": {
			touches: []func(*picture){tag, released(6 * time.Minute), unavailableFor(358 * time.Second), crashesWith(1)}, cause: badRelease, remedies: "RolloutUndo"},

		"a variable changed that has the namespace's name in its own": {
			touches: []func(*picture){tag, env("SHOP_VERSION", "one", "other"), released(6 * time.Minute), unavailableFor(358 * time.Second),
				crashesWith(1, "fatal: dial tcp: lookup ledger.shop.svc on 10.96.0.10:53: no such host")}, cause: crashed, remedies: "Escalate", says: "it can't use ledger.shop.svc"},
		"a variable changed that has the workload's name in its own": {
			touches: []func(*picture){tag, env("WEB_CONCURRENCY", "one", "other"), released(6 * time.Minute), unavailableFor(358 * time.Second),
				crashesWith(1, `FATAL: password authentication failed for user "web"`)}, cause: crashed, remedies: "Escalate"},
		"a variable of the workload changed that leads to the database": {
			touches: []func(*picture){tag, env("WEB_DB_HOST", "one", "other"), released(6 * time.Minute), unavailableFor(358 * time.Second), crashesWith(1, noDatabase)}, cause: badRelease, remedies: "RolloutUndo"},

		// When it began.
		"a release of 40 days ago, and a dependency": {
			touches: []func(*picture){tag, released(40 * day), unavailableFor(10 * time.Minute), crashesWith(1, noDatabase), crashedLike(6, 5*time.Second)}, cause: crashed, remedies: "Escalate", says: "10.20.0.9:5432"},
		"a release of 40 days ago, and nothing named": {
			touches: []func(*picture){tag, released(40 * day), unavailableFor(10 * time.Minute), crashesWith(1, "fatal: out of luck"), crashedLike(6, 5*time.Second)},
			cause:   unknown, remedies: "Escalate", says: "and revision 2 was rolled out at 2026-03-25T12:00:00Z"},
		"a release of three hours ago, in a loop since then": {
			touches: []func(*picture){tag, released(3 * time.Hour), unavailableFor(3*time.Hour - 2*time.Second), crashesWith(1, "fatal: out of luck"), crashedLike(38, 2*time.Second)}, cause: badRelease, remedies: "RolloutUndo"},
		"a release whose every run takes twenty minutes": {
			touches: []func(*picture){tag, released(90 * time.Minute), unavailableFor(time.Minute), crashesWith(1, "fatal: out of luck"), crashedLike(3, 20*time.Minute)}, cause: badRelease, remedies: "RolloutUndo"},
		"a pod that is back from a reboot, its fifth restart in 40 days": {
			touches: []func(*picture){tag, released(40 * day), crashesWith(255), crashedLike(5, 9*day), back(100 * time.Second), func(p *picture) { p.ReplicaSets[0].Status.ReadyReplicas = 0 }},
			cause:   unknown, remedies: "Escalate", again: true},
		"the same pod, some minutes later": {
			touches: []func(*picture){tag, released(40 * day), crashesWith(255), crashedLike(5, 9*day), back(6 * time.Minute), func(p *picture) { p.ReplicaSets[0].Status.ReadyReplicas = 0 }}, cause: healthy},

		"a pod that is back from a reboot, and of whose end the kubelet knows nothing": {
			touches: []func(*picture){tag, released(40 * day), unavailableFor(time.Minute), crashesWith(137), crashedLike(5, 0), back(10 * time.Second), lost}, cause: unknown, remedies: "Escalate", again: true},
		"the same pod, when it has been ready for long": {
			touches: []func(*picture){tag, released(40 * day), unavailableFor(time.Minute), crashesWith(137), crashedLike(5, 0), back(6 * time.Minute), lost}, cause: healthy, says: "ended 5 times, the last time with exit code 137"},
		"a node whose clock is ahead": {
			touches: []func(*picture){tag, released(6 * time.Minute), unavailableFor(358 * time.Second), crashesWith(1, "fatal: out of luck"), clock(time.Hour)}, cause: badRelease, remedies: "RolloutUndo"},
		"a node whose clock is behind": {
			touches: []func(*picture){tag, released(6 * time.Minute), unavailableFor(358 * time.Second), crashesWith(1, "fatal: out of luck"), clock(-time.Hour)}, cause: badRelease, remedies: "RolloutUndo"},
		"a release of 40 days ago, and a node whose clock is behind": {
			touches: []func(*picture){tag, released(40 * day), unavailableFor(10 * time.Minute), crashesWith(1, "fatal: out of luck"), crashedLike(6, 5*time.Second), clock(-time.Hour)}, cause: unknown, remedies: "Escalate"},

		// Whether the rollout goes on.
		"a release of 40 days ago, paused since": {
			touches: []func(*picture){tag, released(40 * day), unavailableFor(10 * time.Minute), progresses("DeploymentPaused"), crashesWith(1, "fatal: out of luck"), crashedLike(6, 5*time.Second)}, cause: unknown, remedies: "Escalate"},
		"a rollout that was paused half-way five days ago": {
			touches: []func(*picture){tag, released(5 * day), unavailableFor(10 * time.Minute), progresses("DeploymentPaused"), serving, crashesWith(1, "fatal: out of luck"), crashedLike(6, 5*time.Second)}, cause: unknown, remedies: "Escalate"},
		"a rollout that was paused half-way a moment ago": {
			touches: []func(*picture){tag, released(6 * time.Minute), unavailableFor(day), progresses("DeploymentPaused"), serving, crashesWith(1, "fatal: out of luck")}, cause: badRelease, remedies: "RolloutUndo"},
		"a release of 40 days ago, without a deadline": {
			touches: []func(*picture){tag, released(40 * day), unavailableFor(10 * time.Minute), progresses(""), crashesWith(1, "fatal: out of luck"), crashedLike(6, 5*time.Second)}, cause: unknown, remedies: "Escalate"},
		"a release of six minutes ago, without a deadline": {
			touches: []func(*picture){tag, released(6 * time.Minute), unavailableFor(358 * time.Second), progresses(""), crashesWith(1, "fatal: out of luck")}, cause: badRelease, remedies: "RolloutUndo"},
		"a release of 40 days ago, one pod of which never found a node": {
			touches: []func(*picture){tag, released(40 * day), unavailableFor(10 * time.Minute), unplaced(40 * day), crashesWith(1, "fatal: out of luck"), crashedLike(6, 5*time.Second)}, cause: unknown, remedies: "Escalate"},
		"the same, and so it ran into its deadline": {
			touches: []func(*picture){tag, released(40 * day), unavailableFor(10 * time.Minute), unplaced(40 * day), progresses("ProgressDeadlineExceeded"), crashesWith(1, "fatal: out of luck"), crashedLike(6, 5*time.Second)},
			cause:   stuck, remedies: "Escalate", says: "revision 2 is not gone back from: its pods began to fail between 2026-05-04T11:42"},
		"a release of five hours ago that ran into its deadline, one pod of which was replaced": {
			touches: []func(*picture){tag, released(5 * time.Hour), unavailableFor(5 * time.Hour), progresses("ProgressDeadlineExceeded"), serving, crashesWith(1, "fatal: out of luck"),
				func(p *picture) { p.pod.CreationTimestamp = ago(5 * time.Minute) }}, cause: badRelease, remedies: "RolloutUndo"},

		// The moment that is looked at.
		"it ends well again and again": {touches: []func(*picture){tag, completed(5)}, cause: badRelease, remedies: "RolloutUndo"},
		"it ended well for the first time": {
			touches: []func(*picture){tag, completed(0)}, cause: unknown, remedies: "Escalate", again: true},

		// Rolled out again, unchanged.
		"a bad release that is rolled out again": {
			touches: []func(*picture){tag, crashesWith(1, "fatal: out of luck"), unavailableFor(time.Minute), usedAgain(map[string]time.Time{"web-1": ago(20 * time.Minute).Time, "web-2": ago(7 * time.Minute).Time})},
			cause:   badRelease, remedies: "RolloutUndo", says: "revision 3 ran for 13m0s without a crash"},
		"one of which nothing tells when": {
			touches: []func(*picture){tag, crashesWith(1, "fatal: out of luck"), unavailableFor(time.Minute), usedAgain(nil)}, cause: unknown, remedies: "Escalate"},

		// What fails elsewhere.
		"an old neighbour lacks the same database": {
			touches: []func(*picture){tag, crashesWith(1, noDatabase), neighbour("Deployment/till", "b", 3*time.Minute, 40*day, noDatabase)}, cause: crashed, remedies: "Escalate", says: "others, which were not changed, can't use it either"},
		"a neighbour of which nothing tells when it was changed": {
			touches: []func(*picture){tag, crashesWith(1, noDatabase), neighbour("StatefulSet/till", "b", 3*time.Minute, 0, noDatabase)}, cause: crashed, remedies: "Escalate", says: "StatefulSet/till can't use it either since the same minutes"},
		"a neighbour that was released at the same time": {
			touches: []func(*picture){tag, crashesWith(1, noDatabase), neighbour("Deployment/till", "b", 3*time.Minute, 7*time.Minute, noDatabase)},
			cause:   crashed, remedies: "Escalate", says: "Deployment/till can't use it either since the same minutes"},
		"two neighbours that were released at the same time": {
			touches: []func(*picture){tag, crashesWith(1, noDatabase), neighbour("Deployment/till", "b", 3*time.Minute, 7*time.Minute, noDatabase), neighbour("Deployment/mail", "b", 3*time.Minute, 7*time.Minute, noDatabase)},
			cause:   crashed, remedies: "Escalate", says: "Deployment/till, Deployment/mail can't use it either since the same minutes"},
		"two neighbours that were released at the same time, and the variable that leads to the database changed": {
			touches: []func(*picture){tag, env("DATABASE_URL", "one", "other"), crashesWith(1, noDatabase),
				neighbour("Deployment/till", "b", 3*time.Minute, 7*time.Minute, noDatabase), neighbour("Deployment/mail", "b", 3*time.Minute, 7*time.Minute, noDatabase)}, cause: badRelease, remedies: "RolloutUndo"},
		"an old neighbour calls the same service by a longer name": {
			touches: []func(*picture){tag, crashesWith(1, "error: lookup ledger-db.shop: no such host"), neighbour("Deployment/till", "b", 3*time.Minute, 40*day, "error: lookup ledger-db.shop.svc.cluster.local: no such host")}, cause: crashed, remedies: "Escalate"},
		"a service of that name in another namespace": {
			touches: []func(*picture){tag, crashesWith(1, "error: lookup ledger-db.shop: no such host"), neighbour("Deployment/till", "b", 3*time.Minute, 40*day, "error: lookup ledger-db.store: no such host")}, cause: badRelease, remedies: "RolloutUndo"},
		"a neighbour that lacks another service": {
			touches: []func(*picture){tag, crashesWith(1, noDatabase), neighbour("Deployment/till", "b", 3*time.Minute, 40*day, "error: dial tcp 10.20.0.10:6379: connect: connection refused")}, cause: badRelease, remedies: "RolloutUndo"},
		"a neighbour that has failed since yesterday": {
			touches: []func(*picture){tag, crashesWith(1, noDatabase), neighbour("Deployment/till", "b", day, 40*day, noDatabase)}, cause: badRelease, remedies: "RolloutUndo"},
		"the node restarted after the release": {
			touches: []func(*picture){tag, released(6 * time.Minute), crashesWith(1, "fatal: out of luck"), node("a", analysis.NodeReady, 3*time.Minute)}, cause: unknown, remedies: "Escalate", says: "node a, where all of them run, is Ready since 2026-05-04T11:57:00Z"},
		"the node restarted before the release": {
			touches: []func(*picture){tag, released(6 * time.Minute), crashesWith(1, "fatal: out of luck"), node("a", analysis.NodeReady, 8*time.Minute)}, cause: badRelease, remedies: "RolloutUndo"},
		"two old neighbours began to fail on the same node": {
			touches: []func(*picture){tag, released(6 * time.Minute), crashesWith(1, "fatal: out of luck"), node("a", "", 0),
				neighbour("Deployment/till", "a", 3*time.Minute, 40*day), neighbour("Deployment/mail", "a", 2*time.Minute, 9*day)},
			cause: unknown, remedies: "Escalate", says: "Deployment/till, Deployment/mail, which were not changed, began to fail on the same node a"},
		"one old neighbour began to fail on the same node": {
			touches: []func(*picture){tag, released(6 * time.Minute), crashesWith(1, "fatal: out of luck"), node("a", "", 0), neighbour("Deployment/till", "a", 3*time.Minute, 40*day)}, cause: badRelease, remedies: "RolloutUndo"},
		"two neighbours on the same node, one of them released a moment ago": {
			touches: []func(*picture){tag, released(6 * time.Minute), crashesWith(1, "fatal: out of luck"), node("a", "", 0),
				neighbour("Deployment/till", "a", 3*time.Minute, 40*day), neighbour("Deployment/mail", "a", 2*time.Minute, 5*time.Minute)}, cause: badRelease, remedies: "RolloutUndo"},
		"two old neighbours on another node": {
			touches: []func(*picture){tag, released(6 * time.Minute), crashesWith(1, "fatal: out of luck"), node("a", "", 0),
				neighbour("Deployment/till", "b", 3*time.Minute, 40*day), neighbour("Deployment/mail", "b", 2*time.Minute, 9*day)}, cause: badRelease, remedies: "RolloutUndo"},
		"a pod of the same revision has been ready for long": {
			touches: []func(*picture){tag, released(25 * time.Minute), crashesWith(1, "fatal: out of luck"), crashedLike(8, 2*time.Second), readySibling(20 * time.Minute)}, cause: unknown, remedies: "Escalate", says: "web-2-fghij of the same revision has been ready for over 10m0s"},
		"every pod ends after a quarter of an hour, and one has been ready for twelve minutes": {
			touches: []func(*picture){tag, released(90 * time.Minute), unavailableFor(time.Minute), crashesWith(1, "fatal: out of luck"), crashedLike(4, 15*time.Minute), readySibling(12 * time.Minute), func(p *picture) {
				c := &p.Pods[1].Status.ContainerStatuses[0]
				c.RestartCount, c.LastTerminationState.Terminated = 4, &corev1.ContainerStateTerminated{ExitCode: 1, StartedAt: ago(27 * time.Minute), FinishedAt: ago(12 * time.Minute)}
			}}, cause: badRelease, remedies: "RolloutUndo"},
		"both nodes on which it runs restarted after the release": {
			touches: []func(*picture){tag, released(6 * time.Minute), crashesWith(1, "fatal: out of luck"), node("a", analysis.NodeReady, 3*time.Minute), alsoOn("b"), hostSince("b", 2*time.Minute)},
			cause:   unknown, remedies: "Escalate", says: "node a, where some of them run, is Ready since 2026-05-04T11:57:00Z; node b"},
		"one of both nodes restarted after the release": {
			touches: []func(*picture){tag, released(6 * time.Minute), crashesWith(1, "fatal: out of luck"), node("a", analysis.NodeReady, 3*time.Minute), alsoOn("b"), hostSince("b", 9*day)}, cause: badRelease, remedies: "RolloutUndo"},
		"a pod of the same revision is ready for a moment": {
			touches: []func(*picture){tag, released(6 * time.Minute), crashesWith(1, "fatal: out of luck"), readySibling(3 * time.Second)}, cause: badRelease, remedies: "RolloutUndo"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			found := rules.Diagnose(v1alpha1.Alert{Name: "KubePodCrashLooping"}, draw(row.touches...))[0]
			got := actionsOf(found)
			if found.Code != row.cause || got != row.remedies || found.Again > 0 != row.again {
				t.Errorf("%s with %q, again after %s; want %s with %q, again: %t: %s", found.Code, got, found.Again, row.cause, row.remedies, row.again, found.Message)
			}
			if !strings.Contains(found.Message, row.says) {
				t.Errorf("it says %q, want %q", found.Message, row.says)
			}
		})
	}
}

// A rollout that is stuck at pods which run and are not ready is judged alike.
func TestStuckRolloutIsNotBlamedForADependency(t *testing.T) {
	stuckWith := func(line string) *analysis.Snapshot {
		return draw(newImage("shop/web:2"), released(30*time.Minute), unavailableFor(30*time.Minute-2*time.Second), runs(29*time.Minute), func(p *picture) {
			p.Deployments[0].Status.Conditions[1] = appsv1.DeploymentCondition{
				Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Reason: "ProgressDeadlineExceeded", LastTransitionTime: ago(20 * time.Minute)}
			p.Logs = []analysis.Log{{Pod: p.pod.Name, Container: "app", Lines: []string{line}}}
		})
	}
	for line, want := range map[string]string{noDatabase: "Escalate", "listening on :8080": "RolloutUndo"} {
		found := rules.Diagnose(v1alpha1.Alert{Name: "KubeDeploymentRolloutStuck"}, stuckWith(line))[0]
		if got := actionsOf(found); found.Code != stuck || got != want {
			t.Errorf("%s with %q after %q, want %s with %q: %s", found.Code, got, line, stuck, want, found.Message)
		}
	}
}
