package rules

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// memoryBound is the memory limit that bounds a container.
type memoryBound struct {
	limit resource.Quantity // in force
	asked resource.Quantity // by the pod's spec: another one while a resize in place waits
	told  bool              // the kubelet says what is in force; else it is taken to be what is asked
	ofPod bool              // it is not the container's own
	of    string            // whose it is, in words
	open  bool              // a resize waits, and nothing says what is in force until then
}

func (b memoryBound) says() string {
	if b.open {
		return b.of + ", of which the kubelet does not say how much is in force"
	}
	return b.of + " of " + b.limit.String()
}

// limitInForce returns the memory limit that bounds a container: its own, or else that
// of its pod. What the kubelet reports counts more than what the spec asks for. Of the
// sandbox, which has no container, it is the limits of the pod's containers together.
func limitInForce(p *corev1.Pod, container string) (memoryBound, bool) {
	status := statusOf(p, container)
	if asked, limited := containerLimit(&p.Spec, container); limited {
		b := memoryBound{of: "its own memory limit", asked: asked, limit: asked}
		if status != nil {
			b.report(status.Resources)
			b.allocate(p, status)
		}
		b.open = !b.told && resizeCondition(p) != nil
		return b, true
	}
	if asked, limited := podLimit(&p.Spec); limited {
		b := memoryBound{of: "the pod's own memory limit", ofPod: true, asked: asked, limit: asked}
		b.report(p.Status.Resources)
		b.open = !b.told && resizeCondition(p) != nil
		return b, true
	}
	if sum, limited := containersTogether(&p.Spec); container == "" && limited {
		return memoryBound{of: "the memory limits of its containers together", ofPod: true, asked: sum, limit: sum}, true
	}
	return memoryBound{}, false
}

// report takes over what the kubelet says is in force.
func (b *memoryBound) report(r *corev1.ResourceRequirements) {
	if r == nil {
		return
	}
	if limit, limited := r.Limits[corev1.ResourceMemory]; limited {
		b.limit, b.told = limit, true
	}
}

// allocate takes what the node has allocated for what is in force, where the kubelet says
// no more: requests are allocated, so that holds where they equal the limits.
func (b *memoryBound) allocate(p *corev1.Pod, status *corev1.ContainerStatus) {
	c, found := containerOf(&p.Spec, status.Name)
	allocated, known := status.AllocatedResources[corev1.ResourceMemory]
	if b.told || !found || !known {
		return
	}
	if request, asked := c.Resources.Requests[corev1.ResourceMemory]; asked && request.Cmp(b.asked) == 0 {
		b.limit, b.told = allocated, true
	}
}

// resize says that a resize in place waits, and how long it is worth waiting for it: one
// that the node can never grant is not waited for. The limit that is asked for is left to
// the evidence: in the message it would be taken for the one that was reached.
func (b memoryBound) resize(p *corev1.Pod, now time.Time) (why string, again time.Duration, waits bool) {
	c := resizeCondition(p)
	if compareLimits(b.asked, b.limit) == 0 && !b.open {
		return "", 0, false
	}
	why = "a resize of the pod in place is pending, so the limit in the spec is not in force"
	if c == nil {
		return why, 0, true
	}
	why = fmt.Sprintf("%s: %s", why, c.Type)
	for _, part := range []string{c.Reason, c.Message} {
		if part != "" {
			why += ": " + part
		}
	}
	if c.Reason != corev1.PodReasonInfeasible {
		again = max(hopelessPending-now.Sub(c.LastTransitionTime.Time), 0)
	}
	return why, again, true
}

// largestPage is the largest size of a page of memory: a runtime that reads a limit from
// the kernel reports it rounded to pages.
const largestPage = 64 << 10

// compareLimits compares two memory limits. Those that differ by less than a page are the same.
func compareLimits(a, b resource.Quantity) int {
	difference := a.Value() - b.Value()
	if max(difference, -difference) < largestPage {
		return 0
	}
	return cmp.Compare(difference, 0)
}

// resizeCondition returns the condition of a resize that is not done; what waits for the
// node first.
func resizeCondition(p *corev1.Pod) *corev1.PodCondition {
	for _, kind := range []corev1.PodConditionType{corev1.PodResizePending, corev1.PodResizeInProgress} {
		for i := range p.Status.Conditions {
			if c := &p.Status.Conditions[i]; c.Type == kind && c.Status == corev1.ConditionTrue {
				return c
			}
		}
	}
	return nil
}

func statusOf(p *corev1.Pod, container string) *corev1.ContainerStatus {
	for _, all := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for i := range all {
			if all[i].Name == container {
				return &all[i]
			}
		}
	}
	return nil
}

// containerLimit is the memory limit of a container of a pod spec.
func containerLimit(spec *corev1.PodSpec, container string) (resource.Quantity, bool) {
	c, found := containerOf(spec, container)
	if !found {
		return resource.Quantity{}, false
	}
	limit, limited := c.Resources.Limits[corev1.ResourceMemory]
	return limit, limited
}

// podLimit is the memory limit of the pod as a whole.
func podLimit(spec *corev1.PodSpec) (resource.Quantity, bool) {
	if spec.Resources == nil {
		return resource.Quantity{}, false
	}
	limit, limited := spec.Resources.Limits[corev1.ResourceMemory]
	return limit, limited
}

// containersTogether sums the limits of the containers that run together; the pod has a
// limit by them only if each has one.
func containersTogether(spec *corev1.PodSpec) (resource.Quantity, bool) {
	var sum resource.Quantity
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		limit, limited := c.Resources.Limits[corev1.ResourceMemory]
		if !limited {
			return sum, false
		}
		if _, runs := containerOf(&corev1.PodSpec{Containers: spec.Containers}, c.Name); runs || isSidecar(&c) {
			sum.Add(limit)
		}
	}
	return sum, true
}

func isSidecar(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// roomInPod reports whether a container's limit can be doubled under the pod's own: then
// it was not the pod's either that the container reached.
func roomInPod(spec *corev1.PodSpec, container string) bool {
	most, limited := podLimit(spec)
	if !limited {
		return true
	}
	sum, each := containersTogether(spec)
	own, _ := containerLimit(spec, container)
	sum.Add(own)
	return each && sum.Cmp(most) <= 0
}
