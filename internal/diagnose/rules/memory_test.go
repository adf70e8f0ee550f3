package rules_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/diagnose/rules"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

const (
	initKilled = `failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: container init was OOM-killed (memory limit too low?): unknown`
	noSandbox  = "Failed to create pod sandbox: rpc error: code = Unknown desc = " + initKilled
	crioTooLow = "set memory limit 5242880 too low; should be at least 12582912 bytes"
)

func memoryLimits(amount string) *corev1.ResourceRequirements {
	return &corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(amount)}}
}

// bounded gives the container of each revision a memory limit; empty: none.
func bounded(before, after string) func(*picture) {
	return func(p *picture) {
		for c, amount := range map[*corev1.Container]string{p.good: before, p.bad: after} {
			if amount != "" {
				c.Resources = *memoryLimits(amount)
			}
		}
	}
}

// boundedPod gives the pod of each revision a memory limit.
func boundedPod(before, after string) func(*picture) {
	return func(p *picture) {
		for i, amount := range []string{before, after} {
			if amount != "" {
				p.ReplicaSets[i].Spec.Template.Spec.Resources = memoryLimits(amount)
			}
		}
	}
}

func killedForMemory(p *picture) {
	crashesWith(137)(p)
	p.pod.Status.ContainerStatuses[0].LastTerminationState.Terminated.Reason = "OOMKilled"
}

func killedAtStart(p *picture) {
	crashesWith(128)(p)
	ended := p.pod.Status.ContainerStatuses[0].LastTerminationState.Terminated
	ended.Reason, ended.Message, ended.StartedAt = "StartError", "failed to start: "+initKilled, metav1.Time{}
}

// besideOf adds a container with a limit to both revisions.
func besideOf(amount string) func(*picture) {
	return func(p *picture) {
		for i := range p.ReplicaSets {
			spec := &p.ReplicaSets[i].Spec.Template.Spec
			spec.Containers = append(spec.Containers, corev1.Container{Name: "proxy", Image: "shop/proxy:1", Resources: *memoryLimits(amount)})
		}
		p.good, p.bad = &p.ReplicaSets[0].Spec.Template.Spec.Containers[0], &p.ReplicaSets[1].Spec.Template.Spec.Containers[0]
	}
}

// resizing: the pod's spec asks for a limit, and the kubelet reports another.
func resizing(asked, inForce string, c corev1.PodCondition) func(*analysis.Snapshot) {
	return func(s *analysis.Snapshot) {
		p := &s.Pods[0]
		p.Spec = *p.Spec.DeepCopy()
		p.Spec.Containers[0].Resources = *memoryLimits(asked)
		if inForce != "" {
			p.Status.ContainerStatuses[0].Resources = memoryLimits(inForce)
		}
		if c.Type != "" {
			c.Status = corev1.ConditionTrue
			p.Status.Conditions = append(p.Status.Conditions, c)
		}
	}
}

func inPodOnly(s *analysis.Snapshot) {
	s.Pods[0].Spec = *s.Pods[0].Spec.DeepCopy()
	s.Pods[0].Spec.Containers[0].Resources = *memoryLimits("64Mi")
}

// siblings are other workloads with an image and these limits.
func siblings(image string, amounts ...string) func(*picture) {
	return func(p *picture) {
		for _, amount := range amounts {
			p.Siblings = append(p.Siblings, analysis.Sibling{Workload: "Deployment/other", Image: image, MemoryLimit: resource.MustParse(amount)})
		}
	}
}

func minutesAgo(n int) metav1.Time { return metav1.NewTime(noon.Add(-time.Duration(n) * time.Minute)) }

func TestMemoryLimits(t *testing.T) {
	rows := map[string]struct {
		touches  []func(*picture)
		after    func(*analysis.Snapshot)
		cause    v1alpha1.Cause
		remedies string
		says     string
		silent   string // what it must not say
		again    bool
	}{
		"a limit of the container alone is doubled": {
			touches: []func(*picture){alone, bounded("", "64Mi"), killedForMemory}, cause: oomKilled, remedies: "AdjustResources", says: "its own memory limit of 64Mi"},
		"a limit of the pod only is the pod's": {
			touches: []func(*picture){alone, func(p *picture) { p.ReplicaSets[0].Spec.Template.Spec.Resources = memoryLimits("96Mi") }, killedForMemory}, cause: oomKilled, remedies: "Escalate", says: "the pod's own memory limit of 96Mi"},
		"a limit of the pod that the release lowered is gone back from": {
			touches: []func(*picture){boundedPod("256Mi", "96Mi"), killedForMemory}, cause: oomKilled, remedies: "RolloutUndo", says: "which revision 2 lowered"},
		"a limit of the pod that came with the release is gone back from": {
			touches: []func(*picture){boundedPod("", "96Mi"), killedForMemory}, cause: oomKilled, remedies: "RolloutUndo"},
		"a container's limit that can't be doubled under the pod's": {
			touches: []func(*picture){alone, bounded("", "64Mi"), func(p *picture) { p.ReplicaSets[0].Spec.Template.Spec.Resources = memoryLimits("96Mi") }, killedForMemory}, cause: oomKilled, remedies: "Escalate", says: "96Mi"},
		"a container's limit that can be doubled under the pod's": {
			touches: []func(*picture){alone, bounded("", "64Mi"), func(p *picture) { p.ReplicaSets[0].Spec.Template.Spec.Resources = memoryLimits("1Gi") }, killedForMemory}, cause: oomKilled, remedies: "AdjustResources"},
		"no limit at all: it was the node's memory": {
			touches: []func(*picture){alone, killedForMemory}, cause: unknown, remedies: "Escalate"},
		"a limit that only the pod has comes from a LimitRange": {
			touches: []func(*picture){alone, killedForMemory}, after: inPodOnly, cause: oomKilled, remedies: "Escalate", says: "LimitRange"},

		"a resize that is deferred": {
			touches: []func(*picture){alone, bounded("", "64Mi"), killedForMemory}, cause: oomKilled, remedies: "Escalate", says: "64Mi; a resize of the pod in place is pending", silent: "2Gi",
			after: resizing("2Gi", "64Mi", corev1.PodCondition{Type: corev1.PodResizePending, Reason: corev1.PodReasonDeferred, Message: "Node didn't have enough resource: memory", LastTransitionTime: minutesAgo(60)})},
		"a resize that was deferred a minute ago is waited for": {
			touches: []func(*picture){alone, bounded("", "64Mi"), killedForMemory}, cause: oomKilled, remedies: "Escalate", says: "Deferred", again: true,
			after: resizing("2Gi", "64Mi", corev1.PodCondition{Type: corev1.PodResizePending, Reason: corev1.PodReasonDeferred, LastTransitionTime: minutesAgo(1)})},
		"a resize that the node can never grant is not waited for": {
			touches: []func(*picture){alone, bounded("", "64Mi"), killedForMemory}, cause: oomKilled, remedies: "Escalate", says: "Infeasible",
			after: resizing("900Gi", "64Mi", corev1.PodCondition{Type: corev1.PodResizePending, Reason: corev1.PodReasonInfeasible, LastTransitionTime: minutesAgo(1)})},
		"a resize in progress is waited for": {
			touches: []func(*picture){alone, bounded("", "64Mi"), killedForMemory}, cause: oomKilled, remedies: "Escalate", says: "PodResizeInProgress", again: true,
			after: resizing("2Gi", "64Mi", corev1.PodCondition{Type: corev1.PodResizeInProgress, LastTransitionTime: minutesAgo(1)})},
		"a resize that waits, and only what is allocated tells what is in force": {
			touches: []func(*picture){alone, bounded("", "64Mi"), killedForMemory}, cause: oomKilled, remedies: "Escalate", says: "its own memory limit of 64Mi; a resize", silent: "2Gi",
			after: func(s *analysis.Snapshot) {
				resizing("2Gi", "", corev1.PodCondition{Type: corev1.PodResizePending, Reason: corev1.PodReasonDeferred})(s)
				s.Pods[0].Spec.Containers[0].Resources.Requests = memoryLimits("2Gi").Limits
				s.Pods[0].Status.ContainerStatuses[0].AllocatedResources = memoryLimits("64Mi").Limits
			}},
		"a resize that waits, and nothing tells what is in force": {
			touches: []func(*picture){alone, bounded("", "64Mi"), killedForMemory}, cause: oomKilled, remedies: "Escalate", says: "does not say how much is in force; a resize", silent: "2Gi",
			after: resizing("2Gi", "", corev1.PodCondition{Type: corev1.PodResizePending, Reason: corev1.PodReasonDeferred})},
		"a resize of the pod's own limit that waits": {
			touches: []func(*picture){alone, func(p *picture) { p.ReplicaSets[0].Spec.Template.Spec.Resources = memoryLimits("2Gi") }, killedForMemory}, cause: oomKilled, remedies: "Escalate", says: "the pod's own memory limit of 96Mi; a resize", silent: "2Gi",
			after: func(s *analysis.Snapshot) {
				s.Pods[0].Status.Resources = memoryLimits("96Mi")
				s.Pods[0].Status.Conditions = append(s.Pods[0].Status.Conditions, corev1.PodCondition{Type: corev1.PodResizePending, Status: corev1.ConditionTrue, Reason: corev1.PodReasonInfeasible})
			}},
		"a resize that no condition tells of": {
			touches: []func(*picture){alone, bounded("", "64Mi"), killedForMemory}, cause: oomKilled, remedies: "Escalate", says: "64Mi; a resize", after: resizing("2Gi", "64Mi", corev1.PodCondition{})},
		"a limit that the kernel rounded to pages is in force": {
			touches: []func(*picture){alone, bounded("", "50M"), killedForMemory}, cause: oomKilled, remedies: "AdjustResources", after: resizing("50M", "49999872", corev1.PodCondition{})},
		"a resize of the processor that waits says nothing of memory": {
			touches: []func(*picture){alone, bounded("", "64Mi"), killedForMemory}, cause: oomKilled, remedies: "AdjustResources",
			after: resizing("64Mi", "64Mi", corev1.PodCondition{Type: corev1.PodResizePending, Reason: corev1.PodReasonDeferred, LastTransitionTime: minutesAgo(1)})},
		"a resize that was carried out leaves the template behind": {
			touches: []func(*picture){alone, bounded("", "64Mi"), killedForMemory}, cause: oomKilled, remedies: "Escalate", says: "its own memory limit of 256Mi; the template asks for 64Mi only", after: resizing("256Mi", "256Mi", corev1.PodCondition{})},
		"a pod from before the template was raised": {
			touches: []func(*picture){alone, bounded("", "128Mi"), killedForMemory}, cause: oomKilled, remedies: "Escalate", says: "asks for 128Mi by now", after: resizing("64Mi", "64Mi", corev1.PodCondition{})},

		"a limit under which nothing begins, which the release lowered": {
			touches: []func(*picture){bounded("128Mi", "5Mi"), killedAtStart}, cause: oomKilled, remedies: "RolloutUndo AdjustResources limit=128Mi", says: "could not begin 4 times"},
		"a limit under which nothing begins, and that the release brought": {
			touches: []func(*picture){bounded("", "5Mi"), killedAtStart}, cause: oomKilled, remedies: "RolloutUndo"},
		"a limit under which nothing begins, of a first revision": {
			touches: []func(*picture){alone, bounded("", "5Mi"), killedAtStart}, cause: oomKilled, remedies: "Escalate", says: "nothing shows how much it needs"},
		"a revision before that is not proven still shows how much": {
			touches: []func(*picture){bounded("128Mi", "5Mi"), killedAtStart, func(p *picture) {
				p.ReplicaSets[0].Status.ReadyReplicas, p.ReplicaSets[0].CreationTimestamp = 0, p.ReplicaSets[1].CreationTimestamp
			}}, cause: oomKilled, remedies: "AdjustResources limit=128Mi"},
		"another workload with the image shows how much": {
			touches: []func(*picture){alone, bounded("", "5Mi"), killedAtStart, siblings("shop/web:1", "512Mi", "64Mi", "4Mi")}, cause: oomKilled, remedies: "AdjustResources limit=64Mi"},
		"another workload with another image shows nothing": {
			touches: []func(*picture){alone, bounded("", "5Mi"), killedAtStart, siblings("shop/mail:1", "64Mi")}, cause: oomKilled, remedies: "Escalate"},
		"another workload with the image, while the program ran": {
			touches: []func(*picture){alone, bounded("", "64Mi"), killedForMemory, siblings("shop/web:1", "512Mi")}, cause: oomKilled, remedies: "AdjustResources"},
		"an event alone tells that the sandbox can't begin": {
			touches: []func(*picture){bounded("128Mi", "5Mi"), waits("ContainerCreating", ""), warns("FailedCreatePodSandBox", noSandbox)}, cause: oomKilled, remedies: "RolloutUndo AdjustResources limit=128Mi", says: "container app of Deployment/web can't begin"},
		"an event alone, of a first revision": {
			touches: []func(*picture){alone, bounded("", "5Mi"), waits("ContainerCreating", ""), warns("FailedCreatePodSandBox", noSandbox)}, cause: oomKilled, remedies: "Escalate", says: "5Mi"},
		"a sandbox of several containers is the pod's": {
			touches: []func(*picture){besideOf("5Mi"), bounded("4Mi", "4Mi"), waits("ContainerCreating", ""), warns("FailedCreatePodSandBox", noSandbox)}, cause: oomKilled, remedies: "Escalate", says: "its containers together of 9Mi"},
		"a sandbox of several containers, one of which the release lowered": {
			touches: []func(*picture){besideOf("5Mi"), bounded("128Mi", "4Mi"), waits("ContainerCreating", ""), warns("FailedCreatePodSandBox", noSandbox)}, cause: oomKilled, remedies: "RolloutUndo"},
		"a container that CRI-O refuses to make": {
			touches: []func(*picture){bounded("128Mi", "5Mi"), waits("CreateContainerError", crioTooLow)}, cause: oomKilled, remedies: "RolloutUndo AdjustResources limit=128Mi"},
		"a container that its status says was killed before it began": {
			touches: []func(*picture){alone, bounded("", "5Mi"), waits("RunContainerError", "failed to start: "+initKilled)}, cause: oomKilled, remedies: "Escalate"},
		"a pod that is a moment old is looked at again": {
			touches: []func(*picture){alone, bounded("", "5Mi"), waits("ContainerCreating", ""), warns("FailedCreatePodSandBox", noSandbox), func(p *picture) { p.pod.CreationTimestamp = metav1.NewTime(noon.Add(-5 * time.Second)) }}, cause: oomKilled, remedies: "Escalate", again: true},
		"a sandbox that lacks an address has memory enough": {
			touches: []func(*picture){bounded("128Mi", "5Mi"), waits("ContainerCreating", ""), warns("FailedCreatePodSandBox", "Failed to create pod sandbox: plugin type=\"calico\" failed (add): no addresses left")}, cause: unknown, remedies: "Escalate"},
		"a pod that began in the end is not held by what was said before": {
			touches: []func(*picture){bounded("128Mi", "64Mi"), runs(time.Minute), warns("FailedCreatePodSandBox", noSandbox)}, cause: unknown, remedies: "Escalate"},
		"a sandbox that is killed without any limit": {
			touches: []func(*picture){waits("ContainerCreating", ""), warns("FailedCreatePodSandBox", noSandbox)}, cause: unknown, remedies: "Escalate"},
		"a program that ran under a limit that the release lowered": {
			touches: []func(*picture){bounded("128Mi", "64Mi"), killedForMemory}, cause: oomKilled, remedies: "RolloutUndo AdjustResources"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			s := draw(row.touches...)
			if row.after != nil {
				row.after(s)
			}
			found := rules.Diagnose(v1alpha1.Alert{Name: "Alert"}, s)[0]
			if got := actionsOf(found); found.Code != row.cause || got != row.remedies {
				t.Errorf("%s with %q, want %s with %q: %s", found.Code, got, row.cause, row.remedies, found.Message)
			}
			if !strings.Contains(found.Message, row.says) || row.silent != "" && strings.Contains(found.Message, row.silent) {
				t.Errorf("it says %q, want %q and not %q", found.Message, row.says, row.silent)
			}
			if again := found.Again > 0; again != row.again && found.Code == oomKilled {
				t.Errorf("look again after %s, want %t: %s", found.Again, row.again, found.Message)
			}
		})
	}
}

// actionsOf lists the remedies, and the limit where one is given.
func actionsOf(f rules.Finding) string {
	var all []string
	for _, r := range f.Remedies {
		all = append(all, r.Action)
		if limit := r.Parameters["limit"]; limit != "" {
			all = append(all, "limit="+limit)
		}
	}
	return strings.Join(all, " ")
}
