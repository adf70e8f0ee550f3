package rules

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// imageNotFound finds an image that its registry does not have. Where it came
// with a new revision and another image served before, going back is the remedy.
func imageNotFound(sc *scene, w *workload) *Finding {
	absent := w.refused(isAbsent)
	if len(absent) == 0 {
		return nil
	}
	f := pullFinding(sc, w, v1alpha1.CauseImageNotFound, absent)
	if sc.sharedBy(f, absent[0]) {
		return f
	}
	if o, known := newImage(sc, w, absent[0]); known {
		goBack(sc, w, f, o)
		was, _ := containerOf(&o.good.template.Spec, absent[0].container)
		f.Remedies = append(f.Remedies, setTo(absent[0].container, was.Image))
	}
	return f
}

// imageDenied finds an image that its registry does not give us. Going back helps
// only if it is another repository than the one that was served from before;
// otherwise the credentials are what changed, and those are a person's.
func imageDenied(sc *scene, w *workload) *Finding {
	denied := w.refused(isDenied)
	if len(denied) == 0 {
		return nil
	}
	f := pullFinding(sc, w, v1alpha1.CauseImagePullDenied, denied)
	if e := sc.eventOf(denied[0].pod, "FailedToRetrieveImagePullSecret"); e != nil {
		f.Message += "; " + e.Message
		f.Evidence = append(f.Evidence, says(v1alpha1.EvidenceEvent, refOf(denied[0].pod), "%s: %s", e.Reason, e.Message))
	}
	if sc.sharedBy(f, denied[0]) {
		return f
	}
	if o, known := newImage(sc, w, denied[0]); known {
		if was, _ := containerOf(&o.good.template.Spec, denied[0].container); repository(was.Image) != repository(denied[0].image) {
			goBack(sc, w, f, o)
		}
	}
	return f
}

const (
	// sameTime is how near to each other pulls must have begun to fail to have one cause.
	sameTime = 10 * time.Minute
	// manyOwners is how many others without their image speak against the registry.
	manyOwners = 2
)

// sharedBy reports whether others of the namespace can't get their images either,
// since the same time, and says so in the finding: a registry that is unwell is
// not cured by going back.
func (sc *scene) sharedBy(f *Finding, p pull) bool {
	var told []v1alpha1.Evidence
	unwell := false
	for i := range sc.Elsewhere {
		e := &sc.Elsewhere[i]
		saysSo := refusalOf(e.Message) == passes && sc.TakenAt.Sub(e.LastTimestamp.Time) <= sameTime
		if !saysSo && e.FirstTimestamp.Time.Before(p.pod.CreationTimestamp.Add(-sameTime)) {
			continue // it is so for longer
		}
		unwell = unwell || saysSo
		told = append(told, says(v1alpha1.EvidenceEvent, v1alpha1.ObjectReference{}, "%s: %s", e.InvolvedObject.Name, e.Message))
	}
	if len(told) < manyOwners && !unwell {
		return false
	}
	f.Evidence = append(f.Evidence, told...)
	f.Message += "; others of the namespace can't get their images either: the registry itself may be unwell"
	f.Remedies = []v1alpha1.Remedy{toPerson(f.Message)}
	return true
}

// newImage returns the onset where the image came with a revision, another one
// served before, and no pod of this revision ever got it.
func newImage(sc *scene, w *workload, p pull) (onset, bool) {
	failing := map[int64]bool{}
	for _, other := range w.pulls {
		failing[other.revision] = true
	}
	o, known := findOnset(sc, w, failing)
	if !known || o.bad.ready > 0 {
		return onset{}, false
	}
	was, existed := containerOf(&o.good.template.Spec, p.container)
	return o, existed && was.Image != p.image
}

func pullFinding(sc *scene, w *workload, code v1alpha1.Cause, failed []pull) *Finding {
	p := failed[0]
	how := map[v1alpha1.Cause]string{v1alpha1.CauseImageNotFound: "is not in its registry", v1alpha1.CauseImagePullDenied: "may not be pulled"}[code]
	f := &Finding{
		Code: code, Object: w.ref.ObjectReference, Target: &w.ref,
		Confidence: percent(85 - 10*sc.details()),
		Message:    fmt.Sprintf("image %s of container %s of %s %s: %d of its pods wait for it", p.image, p.container, w.ref, how, len(failed)),
		Explains:   []Ref{{v1alpha1.CauseRolloutStuck, w.ref.ObjectReference}},
	}
	f.Evidence = []v1alpha1.Evidence{says(v1alpha1.EvidenceObject, refOf(p.pod), "container %s can't pull its image: %s", p.container, strings.TrimSpace(p.says))}
	f.Remedies = []v1alpha1.Remedy{toPerson(f.Message)}
	return f
}

// goBack makes going back to a healthy revision the remedy of a finding.
func goBack(sc *scene, w *workload, f *Finding, o onset) {
	differences := differ(o.good, o.bad)
	f.Confidence = percent(65 + o.weight - 10*sc.details())
	f.Message += fmt.Sprintf(", since revision %d came (%s); revision %d %s", o.bad.number, strings.Join(differences[:min(len(differences), 1)], ""), o.good.number, o.proof)
	f.Evidence = append(f.Evidence, releaseEvidence(sc, w, o, differences)...)
	f.Remedies = []v1alpha1.Remedy{undo(o.good)}
	f.Explains = append(f.Explains, Ref{v1alpha1.CauseCrashBadRelease, w.ref.ObjectReference})
}

// repository returns an image's name without tag and digest.
func repository(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if colon := strings.LastIndexByte(image, ':'); colon > strings.LastIndexByte(image, '/') {
		image = image[:colon]
	}
	return image
}

// eventOf returns the newest event of a reason about a pod.
func (sc *scene) eventOf(p *corev1.Pod, reason string) *corev1.Event {
	for i := range sc.Events {
		if e := &sc.Events[i]; e.InvolvedObject.UID == p.UID && e.Reason == reason {
			return e
		}
	}
	return nil
}

func refOf(p *corev1.Pod) v1alpha1.ObjectReference {
	return v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: p.Namespace, Name: p.Name}
}
