package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// beforeStart is what runtimes say of a limit under which a program can't even begin:
// runc's init was killed, or CRI-O refuses the limit.
var beforeStart = regexp.MustCompile(`OOM-killed \(memory limit too low\?\)|memory limit \d+ too low`)

// oomKilled finds a container that is killed, again and again, for reaching a
// memory limit of its own or of its pod, also before its program began. Where a new
// revision lowered that limit, and the one before was healthy, going back is the first
// remedy; raising the limit is the second.
func oomKilled(sc *scene, w *workload) *Finding {
	killed := filter(w.failures, func(f failure) bool { return f.loops() && f.outOfMemory() })
	if len(killed) == 0 {
		return sc.neverBegan(w)
	}
	worst := loudest(killed)
	bound, _ := limitInForce(worst.pod, worst.container)
	f := &Finding{
		Code: v1alpha1.CauseOOMKilled, Object: w.ref.ObjectReference, Target: &w.ref,
		Message: fmt.Sprintf("container %s of %s ended %s, the last time killed for reaching %s",
			worst.container, w.ref, times(worst.crashes), bound.says()),
		Explains:   []Ref{{v1alpha1.CauseRolloutStuck, w.ref.ObjectReference}},
		Evidence:   crashEvidence(sc, killed),
		Confidence: percent(75 + min(5*int(worst.crashes-1), 15) - 10*sc.details()),
	}
	if worst.beforeStart() {
		f.Message = fmt.Sprintf("container %s of %s could not begin %s: it was killed before its program ran, under %s",
			worst.container, w.ref, times(worst.crashes), bound.says())
	}
	sc.giveMemory(f, w, worst, revisionsOf(filter(w.failures, failure.loops)))
	return f
}

// neverBegan finds a container that has not ended, because it or the sandbox of its
// pod could not be started under the memory limit. Its status may say so, or an event only.
func (sc *scene) neverBegan(w *workload) *Finding {
	for _, p := range w.pods {
		container, told := sc.killedBeforeStart(p)
		bound, limited := limitInForce(p, container)
		if told == nil || !limited {
			continue
		}
		subject := "container " + container
		if container == "" {
			subject = "the pod " + p.Name
		}
		f := &Finding{
			Code: v1alpha1.CauseOOMKilled, Object: w.ref.ObjectReference, Target: &w.ref,
			Message:    fmt.Sprintf("%s of %s can't begin: it is killed before its program runs, under %s", subject, w.ref, bound.says()),
			Explains:   []Ref{{v1alpha1.CauseRolloutStuck, w.ref.ObjectReference}},
			Evidence:   []v1alpha1.Evidence{*told},
			Confidence: percent(80 - 10*sc.details()),
		}
		number := w.revisionOf[p]
		sc.giveMemory(f, w, failure{pod: p, container: container, revision: number}, map[int64]bool{number: true})
		if left := leastPending - sc.TakenAt.Sub(p.CreationTimestamp.Time); left > 0 {
			f.Again = min(left, nextLook) // a node that is short of memory for a moment says the same
		}
		return f
	}
	return nil
}

// killedBeforeStart returns what says that a pod of which nothing ever ran is killed
// while it starts, and which container it is; empty: the sandbox of one with several.
func (sc *scene) killedBeforeStart(p *corev1.Pod) (string, *v1alpha1.Evidence) {
	for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		if c.State.Running != nil || c.State.Terminated != nil || c.LastTerminationState.Terminated != nil {
			return "", nil
		}
		if c.State.Waiting != nil && beforeStart.MatchString(c.State.Waiting.Message) {
			told := says(v1alpha1.EvidenceObject, refOf(p), "container %s waits: %s: %s", c.Name, c.State.Waiting.Reason, c.State.Waiting.Message)
			return c.Name, &told
		}
	}
	for i := range sc.Events {
		e := &sc.Events[i]
		if e.InvolvedObject.UID != p.UID || !beforeStart.MatchString(e.Message) {
			continue
		}
		told := says(v1alpha1.EvidenceEvent, refOf(p), "%s, %s: %s", e.Reason, times(max(e.Count, 1)), e.Message)
		return containerIn(e, &p.Spec), &told
	}
	return "", nil
}

// containerIn names the container an event is about: a kubelet writes
// spec.containers{name}; one that is about the sandbox of a pod with a single
// container is about that one.
func containerIn(e *corev1.Event, spec *corev1.PodSpec) string {
	_, name, _ := strings.Cut(strings.TrimSuffix(e.InvolvedObject.FieldPath, "}"), "{")
	if name == "" && len(spec.Containers) == 1 && len(spec.InitContainers) == 0 {
		name = spec.Containers[0].Name
	}
	return name
}

// giveMemory adds the remedies: going back, if the release lowered the limit, and
// raising it. While a resize in place waits, or where the limit is not the template's,
// the change would be another one than it seems: then a person is called.
func (sc *scene) giveMemory(f *Finding, w *workload, worst failure, failing map[int64]bool) {
	bound, _ := limitInForce(worst.pod, worst.container)
	if why, again, waits := bound.resize(worst.pod, sc.TakenAt); waits {
		f.Message += "; " + why
		f.Again = again
		f.Evidence = append(f.Evidence, says(v1alpha1.EvidenceObject, podRef(worst), "its spec asks for %s", bound.asked.String()))
		f.Remedies = []v1alpha1.Remedy{toPerson(f.Message)}
		return
	}
	raise, why := sc.raiseLimit(w, worst, bound)
	o, known := findOnset(sc, w, failing)
	switch {
	case known && lowered(o, worst.container):
		f.Message += fmt.Sprintf(", which revision %d lowered; revision %d %s", o.bad.number, o.good.number, o.proof)
		f.Remedies = []v1alpha1.Remedy{undo(o.good)}
		f.Explains = append(f.Explains, Ref{v1alpha1.CauseCrashBadRelease, w.ref.ObjectReference})
		f.Evidence = append(f.Evidence, releaseEvidence(sc, w, o, differ(o.good, o.bad))...)
	case why != "":
		f.Message += "; " + why
		f.Remedies = []v1alpha1.Remedy{toPerson(f.Message)}
		if underWay(w) && worst.revision != 0 && !isCurrent(w, worst.revision) {
			f.Again = nextLook
		}
	}
	if why == "" {
		f.Remedies = append(f.Remedies, raise)
	}
}

func isCurrent(w *workload, number int64) bool {
	now, known := w.current()
	return known && now.number == number
}

// raisable are the kinds whose limits AdjustResources raises.
var raisable = []string{"Deployment", "StatefulSet", "DaemonSet"}

// raiseLimit returns the remedy that raises a container's limit, or says why it would
// not help. It is twice the old one where the program ran; where it never began, only
// what an earlier revision or a sibling has: twice too little may be too little.
func (sc *scene) raiseLimit(w *workload, worst failure, bound memoryBound) (v1alpha1.Remedy, string) {
	template, inTemplate := containerLimit(&w.template.Spec, worst.container)
	none := v1alpha1.Remedy{}
	switch {
	case !slices.Contains(raisable, w.ref.Kind):
		return none, "the limits of a " + w.ref.Kind + " are not raised; change what it was made from"
	case bound.ofPod:
		return none, "AdjustResources raises the limits of single containers only; raise this one in the template"
	case !inTemplate:
		return none, "the template sets no memory limit for this container, so a LimitRange or a webhook did; set one in the template"
	case compareLimits(template, bound.limit) > 0:
		return none, fmt.Sprintf("the template asks for %s by now, which this pod does not have yet", template.String())
	case compareLimits(template, bound.limit) < 0:
		return none, fmt.Sprintf("the template asks for %s only, so the limit was raised in the pod; set what it needs in the template", template.String())
	case !roomInPod(&w.template.Spec, worst.container):
		limit, _ := podLimit(&w.template.Spec)
		return none, fmt.Sprintf("the pod's own memory limit of %s does not let it be doubled; raise both in the template", limit.String())
	case !worst.beforeStart():
		return raiseMemory(worst.container), ""
	}
	shown, known := sc.shownLimit(w, worst, bound.limit)
	if !known {
		return none, "no earlier revision and no other workload with its image has more, so nothing shows how much it needs; set it in the template"
	}
	raise := raiseMemory(worst.container)
	raise.Parameters["limit"] = shown.String()
	return raise, ""
}

// shownLimit returns a larger limit under which the container may begin: that of the
// newest earlier revision that has one, or else the smallest of another workload's
// container that runs the same image.
func (sc *scene) shownLimit(w *workload, worst failure, than resource.Quantity) (resource.Quantity, bool) {
	for _, r := range w.before(worst.revision) {
		if had, limited := containerLimit(&r.template.Spec, worst.container); limited && had.Cmp(than) > 0 {
			return had, true
		}
	}
	var least resource.Quantity
	c, found := containerOf(&w.template.Spec, worst.container)
	for _, s := range sc.Siblings {
		if found && s.Image == c.Image && s.MemoryLimit.Cmp(than) > 0 && (least.IsZero() || s.MemoryLimit.Cmp(least) < 0) {
			least = s.MemoryLimit
		}
	}
	return least, !least.IsZero()
}

// lowered reports whether the revision with which it began gave a container, or the
// pod, less memory than the one before; empty: any container.
func lowered(o onset, container string) bool {
	was, now := &o.good.template.Spec, &o.bad.template.Spec
	less := func(limit func(*corev1.PodSpec) (resource.Quantity, bool)) bool {
		after, limited := limit(now)
		before, had := limit(was)
		return limited && (!had || after.Cmp(before) < 0)
	}
	return less(podLimit) || slices.ContainsFunc(slices.Concat(now.InitContainers, now.Containers), func(c corev1.Container) bool {
		_, existed := containerOf(was, c.Name)
		return existed && (container == "" || c.Name == container) && less(func(spec *corev1.PodSpec) (resource.Quantity, bool) {
			return containerLimit(spec, c.Name)
		})
	})
}

// outOfMemory reports whether the kernel killed it for reaching a limit of its own or
// of its pod. Without one it was the node that had no memory left.
func (f failure) outOfMemory() bool {
	if _, limited := limitInForce(f.pod, f.container); !limited {
		return false
	}
	return f.beforeStart() || f.last != nil && f.last.Reason == "OOMKilled"
}

// beforeStart reports whether the container was killed before its program began.
func (f failure) beforeStart() bool {
	if f.last != nil {
		return beforeStart.MatchString(f.last.Message)
	}
	status := statusOf(f.pod, f.container)
	return f.crashes == 0 || // nothing ended: an event is all that tells
		status != nil && status.State.Waiting != nil && beforeStart.MatchString(status.State.Waiting.Message)
}
