package rules

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// oomKilled finds a container that is killed, again and again, for reaching its
// own memory limit. Where a new revision lowered that limit, and the one before
// was healthy, going back is the first remedy; raising the limit is the second.
func oomKilled(sc *scene, w *workload) *Finding {
	killed := filter(w.failures, func(f failure) bool { return f.loops() && f.outOfMemory() })
	if len(killed) == 0 {
		return nil
	}
	worst := loudest(killed)
	limit, _ := worst.memoryLimit()
	f := &Finding{
		Code: v1alpha1.CauseOOMKilled, Object: w.ref.ObjectReference, Target: &w.ref,
		Message: fmt.Sprintf("container %s of %s ended %s, the last time killed for reaching its own memory limit of %s",
			worst.container, w.ref, times(worst.crashes), limit.String()),
		Remedies:   []v1alpha1.Remedy{raiseMemory(worst.container)},
		Explains:   []Ref{{v1alpha1.CauseRolloutStuck, w.ref.ObjectReference}},
		Evidence:   crashEvidence(sc, killed),
		Confidence: percent(75 + min(5*int(worst.crashes-1), 15) - 10*sc.details()),
	}
	o, known := findOnset(sc, w, revisionsOf(filter(w.failures, failure.loops)))
	if known && lowered(o, worst.container) {
		f.Message += fmt.Sprintf(", which revision %d lowered; revision %d %s", o.bad.number, o.good.number, o.proof)
		f.Remedies = append([]v1alpha1.Remedy{undo(o.good)}, f.Remedies...)
		f.Explains = append(f.Explains, Ref{v1alpha1.CauseCrashBadRelease, w.ref.ObjectReference})
		f.Evidence = append(f.Evidence, releaseEvidence(sc, w, o, differ(o.good, o.bad))...)
	}
	return f
}

// lowered reports whether the revision with which it began gave a container
// less memory than the one before.
func lowered(o onset, container string) bool {
	now, limited := memoryLimit(&o.bad.template.Spec, container)
	was, before := memoryLimit(&o.good.template.Spec, container)
	_, existed := containerOf(&o.good.template.Spec, container)
	return existed && limited && (!before || now.Cmp(was) < 0)
}

// outOfMemory reports whether the kernel killed it for reaching its own limit.
func (f failure) outOfMemory() bool {
	if f.last == nil {
		return false
	}
	if _, limited := f.memoryLimit(); !limited {
		return false // it was the node that had no memory left
	}
	return f.last.Reason == "OOMKilled" || strings.Contains(f.last.Message, "OOM-killed (memory limit too low?)")
}

func (f failure) memoryLimit() (resource.Quantity, bool) {
	return memoryLimit(&f.pod.Spec, f.container)
}

func memoryLimit(spec *corev1.PodSpec, container string) (resource.Quantity, bool) {
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		if c.Name == container {
			limit, ok := c.Resources.Limits[corev1.ResourceMemory]
			return limit, ok
		}
	}
	return resource.Quantity{}, false
}
