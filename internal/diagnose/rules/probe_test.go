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
)

// probed gives both revisions the same change of their probes.
func probed(change func(*corev1.Container)) func(*picture) {
	return func(p *picture) { change(p.good); change(p.bad) }
}

// sibling adds a pod of the second revision.
func sibling(change func(*corev1.Pod)) func(*picture) {
	return func(p *picture) {
		pod := *p.pod.DeepCopy()
		pod.Name, pod.UID, pod.Spec = "web-2-fghij", "q", p.ReplicaSets[len(p.ReplicaSets)-1].Spec.Template.Spec
		pod.Status = corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
			Name: "app", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(noon.Add(-5 * time.Minute))}},
		}}}
		change(&pod)
		p.Pods = append(p.Pods, pod)
		p.pod = &p.Pods[0]
	}
}

// readiness gives the refused pod the condition that it is not ready, since some time after it began.
func readiness(after time.Duration) func(*picture) {
	return func(p *picture) {
		start := metav1.NewTime(noon.Add(-6 * time.Minute))
		p.pod.Status.StartTime = &start
		p.pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse, LastTransitionTime: metav1.NewTime(start.Add(after))}}
	}
}

// rolledOut: the Deployment says that the rollout of its revision ended so long after the revision came.
func rolledOut(after time.Duration) func(*picture) {
	return func(p *picture) {
		p.Deployments[0].Status.Conditions = []appsv1.DeploymentCondition{{
			Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable",
			LastUpdateTime: metav1.NewTime(p.ReplicaSets[len(p.ReplicaSets)-1].CreationTimestamp.Add(after)),
		}}
	}
}

func livenessRefused(port string) func(*picture) {
	return warns("Unhealthy", "Liveness probe failed: dial tcp 10.0.0.9:"+port+": connect: connection refused")
}

func asLiveness(c *corev1.Container) { c.LivenessProbe, c.ReadinessProbe = c.ReadinessProbe, nil }

func TestProbePorts(t *testing.T) {
	undeclared, moved := probes(8081, 8081), probes(8080, 8081)
	readyAnyway := func(p *corev1.Pod) {}
	starting := func(p *corev1.Pod) { p.Status.ContainerStatuses[0].Ready = false }
	rows := map[string]struct {
		touches  []func(*picture)
		found    bool
		remedies string
		atMost   int32
		again    bool
	}{
		"a port that is not declared calls a person and no more":      {touches: []func(*picture){undeclared, runs(time.Minute), refused(8081)}, found: true, remedies: "Escalate", atMost: 50},
		"a port that the release moved is gone back from":             {touches: []func(*picture){moved, runs(time.Minute), refused(8081)}, found: true, remedies: "RolloutUndo", atMost: 95},
		"a container that has had less time than its probe gives":     {touches: []func(*picture){undeclared, runs(20 * time.Second), refused(8081)}, again: true},
		"a container that has had less time than its startup probe":   {touches: []func(*picture){undeclared, probed(func(c *corev1.Container) { c.StartupProbe = &corev1.Probe{FailureThreshold: 30, PeriodSeconds: 10} }), runs(4 * time.Minute), refused(8081)}, again: true},
		"a startup probe that has passed gives no more time":          {touches: []func(*picture){undeclared, probed(func(c *corev1.Container) { c.StartupProbe = &corev1.Probe{FailureThreshold: 30, PeriodSeconds: 10} }), runs(4 * time.Minute), refused(8081), func(p *picture) { p.pod.Status.ContainerStatuses[0].Started = new(true) }}, found: true, remedies: "Escalate", atMost: 50},
		"a moved port, within the time that the probe gives":          {touches: []func(*picture){moved, runs(20 * time.Second), refused(8081)}, found: true, remedies: "RolloutUndo", atMost: 95, again: true},
		"a startup probe gives more time":                             {touches: []func(*picture){moved, probed(func(c *corev1.Container) { c.StartupProbe = &corev1.Probe{FailureThreshold: 30, PeriodSeconds: 10} }), runs(4 * time.Minute), refused(8081)}, found: true, remedies: "RolloutUndo", atMost: 95, again: true},
		"a late first probe gives more time":                          {touches: []func(*picture){moved, probed(func(c *corev1.Container) { c.ReadinessProbe.InitialDelaySeconds = 120 }), runs(2 * time.Minute), refused(8081)}, found: true, remedies: "RolloutUndo", atMost: 95, again: true},
		"a sibling of the same revision is ready":                     {touches: []func(*picture){undeclared, runs(time.Minute), refused(8081), sibling(readyAnyway)}},
		"a sibling of the same revision is ready, at the moved port":  {touches: []func(*picture){moved, runs(time.Minute), refused(8081), sibling(readyAnyway)}},
		"a sibling that starts as well proves nothing":                {touches: []func(*picture){moved, runs(time.Minute), refused(8081), sibling(starting)}, found: true, remedies: "RolloutUndo", atMost: 95},
		"a sibling of the revision before proves nothing":             {touches: []func(*picture){moved, runs(time.Minute), refused(8081), sibling(func(p *corev1.Pod) { p.OwnerReferences = controlled("ReplicaSet", "rs1") })}, found: true, remedies: "RolloutUndo", atMost: 95},
		"a sibling that is not at hand, and its ReplicaSet counts it": {touches: []func(*picture){moved, runs(time.Minute), refused(8081), func(p *picture) { p.ReplicaSets[1].Status.ReadyReplicas = 1 }}},
		"the pod was ready before":                                    {touches: []func(*picture){undeclared, runs(5 * time.Minute), refused(8081), readiness(2 * time.Minute)}},
		"the pod was never ready":                                     {touches: []func(*picture){undeclared, runs(5 * time.Minute), refused(8081), readiness(time.Second)}, found: true, remedies: "Escalate", atMost: 50},
		"the rollout of the revision ended, so its pods were ready":   {touches: []func(*picture){undeclared, runs(5 * time.Minute), refused(8081), rolledOut(time.Minute)}},
		"a rollout that ended with no pod at all":                     {touches: []func(*picture){undeclared, runs(5 * time.Minute), refused(8081), rolledOut(0)}, found: true, remedies: "Escalate", atMost: 50},
		"a port of one digit less is another":                         {touches: []func(*picture){probes(80, 80), runs(time.Minute), refused(8081)}},
		"a probe that asks another host":                              {touches: []func(*picture){undeclared, probed(func(c *corev1.Container) { c.ReadinessProbe.HTTPGet.Host = "10.9.9.9" }), runs(time.Minute), refused(8081)}},
		"a port by name, which is declared":                           {touches: []func(*picture){probes("http", "http"), runs(time.Minute), refused(8080)}},
		"no port is declared at all":                                  {touches: []func(*picture){undeclared, probed(func(c *corev1.Container) { c.Ports = nil }), runs(time.Minute), refused(8081)}},
		"a liveness probe at a port that is not declared":             {touches: []func(*picture){undeclared, probed(asLiveness), runs(time.Minute), livenessRefused("8081")}, found: true, remedies: "Escalate", atMost: 50},
		"a liveness probe that a sibling has outlived":                {touches: []func(*picture){undeclared, probed(asLiveness), runs(time.Minute), livenessRefused("8081"), sibling(readyAnyway)}},
		"a liveness probe that a sibling has not had time to fail": {touches: []func(*picture){undeclared, probed(asLiveness), runs(time.Minute), livenessRefused("8081"), sibling(func(p *corev1.Pod) {
			p.Status.ContainerStatuses[0].State.Running.StartedAt = metav1.NewTime(noon.Add(-20 * time.Second))
		})}, found: true, remedies: "Escalate", atMost: 50},
		"a liveness probe of which a sibling's restarts tell": {touches: []func(*picture){undeclared, probed(asLiveness), runs(time.Minute), livenessRefused("8081"), sibling(func(p *corev1.Pod) { p.Status.ContainerStatuses[0].RestartCount = 2 })}, found: true, remedies: "Escalate", atMost: 50},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			found := rules.Diagnose(v1alpha1.Alert{Name: "Alert"}, draw(row.touches...))[0]
			if is := found.Code == wrongPort; is != row.found {
				t.Fatalf("%s, want the wrong port: %t: %s", found.Code, row.found, found.Message)
			}
			if !row.found {
				if strings.Contains(actionsOf(found), "RolloutUndo") {
					t.Errorf("remedies %s, want none that acts: %s", actionsOf(found), found.Message)
				}
				if row.again && found.Again == 0 {
					t.Errorf("it is settled: %s", found.Message)
				}
				return
			}
			if got := actionsOf(found); got != row.remedies || found.Confidence > row.atMost || found.Again > 0 != row.again {
				t.Errorf("%q with %d %%, again after %s; want %q with at most %d, again: %t", got, found.Confidence, found.Again, row.remedies, row.atMost, row.again)
			}
		})
	}
}
