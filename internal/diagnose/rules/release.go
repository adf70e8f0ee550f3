package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/vitals"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// onset is the release with which a workload's trouble begins.
type onset struct {
	bad    revision // the oldest that fails
	good   revision // the newest before it that was healthy
	proof  string   // how that is known
	weight int      // of the proof, in points of confidence
}

// badRelease finds containers that crash since a new revision, where the one
// before was healthy and is not the same, and nothing else explains the crashes.
func badRelease(sc *scene, w *workload) *Finding {
	loops := filter(w.failures, failure.loops)
	o, known := findOnset(sc, w, revisionsOf(loops))
	if !known {
		return nil
	}
	differences := differ(o.good, o.bad)
	if len(differences) == 0 {
		return nil // the same again, a restart for instance: going back to it would change nothing
	}
	if sc.whyNotUndo(w, o, loops) != "" {
		return nil
	}
	worst := loudest(loops)
	f := &Finding{
		Code: v1alpha1.CauseCrashBadRelease, Object: w.ref.ObjectReference, Target: &w.ref,
		Message: fmt.Sprintf("container %s of %s crashed %s, the last time %s, since revision %d came (%s); revision %d %s",
			worst.container, w.ref, times(worst.crashes), worst.ended(), o.bad.number, differences[0], o.good.number, o.proof),
		Remedies: []v1alpha1.Remedy{undo(o.good)},
		Explains: []Ref{{v1alpha1.CauseRolloutStuck, w.ref.ObjectReference}},
		Evidence: releaseEvidence(sc, w, o, differences),
	}
	if worst.outOfMemory() && !lowered(o, worst.container) {
		f.Explains = append(f.Explains, Ref{v1alpha1.CauseOOMKilled, w.ref.ObjectReference})
		bound, _ := limitInForce(worst.pod, worst.container)
		if raise, why := sc.raiseLimit(w, worst, bound); why == "" {
			f.Remedies = append(f.Remedies, raise)
		}
	}
	f.Evidence = append(f.Evidence, crashEvidence(sc, loops)...)
	f.Confidence = percent(60 + o.weight + min(5*int(worst.crashes-1), 10) - 10*sc.details())
	return f
}

// whyNotBlamed says why the current release is not blamed for the crashes of its pods;
// empty if it is blamed, or nothing crashes.
func (sc *scene) whyNotBlamed(w *workload) string {
	loops := filter(w.failures, failure.loops)
	current, known := w.current()
	if len(loops) == 0 || !known || len(w.revisions) < 2 || !revisionsOf(loops)[current.number] {
		return ""
	}
	o, suspected := findOnset(sc, w, revisionsOf(loops))
	if suspected {
		if why := sc.whyNotUndo(w, o, loops); why != "" {
			return fmt.Sprintf("; revision %d, rolled out %s, is not gone back from: %s", o.bad.number, when(o.bad.came), why)
		}
		return ""
	}
	began := sc.began(w, onset{bad: current}, revisionsOf(loops))
	if follows(began, onset{bad: current}, w) {
		return ""
	}
	return fmt.Sprintf("; they began %s, and revision %d was rolled out %s", when(began), current.number, when(current.came))
}

// revisionsOf returns the revisions whose containers failed.
func revisionsOf(failures []failure) map[int64]bool {
	failing := map[int64]bool{}
	for _, f := range failures {
		failing[f.revision] = true
	}
	return failing
}

// findOnset finds the revision with which the trouble began. The current one
// must be among those that are failing, or going back would cure nothing; and the
// trouble must follow the release closely: one that comes weeks later has another cause.
func findOnset(sc *scene, w *workload, failing map[int64]bool) (onset, bool) {
	current, ok := w.current()
	if !ok || !failing[current.number] {
		return onset{}, false
	}
	o := onset{bad: current}
	for _, r := range w.before(current.number) {
		if failing[r.number] {
			o.bad = r
		}
	}
	o, known := lastGood(sc, w, o)
	return o, known && follows(sc.began(w, o, failing), o, w)
}

// began is when the trouble of the pods of some revisions began. While the rollout has
// not come to its end once, the trouble may have been there from its beginning: pods
// that failed before may have been replaced.
func (sc *scene) began(w *workload, o onset, failing map[int64]bool) vitals.Span {
	pods := slices.DeleteFunc(slices.Clone(w.pods), func(p *corev1.Pod) bool { return !failing[w.revisionOf[p]] })
	began := vitals.Onset(pods, sc.Events, sc.TakenAt)
	if !began.IsZero() && vitals.RollsOut(w.object, o.good.ready > 0) && !vitals.RanBefore(pods, sc.TakenAt) && o.bad.came.Earliest.Before(began.Earliest) {
		began.Earliest = o.bad.came.Earliest
	}
	return began
}

// follows reports whether trouble that began at a time may be the doing of a release.
func follows(began vitals.Span, o onset, w *workload) bool {
	ahead := time.Duration(0)
	if w.deployment != nil {
		ahead = vitals.Reach(w.deployment)
	}
	return vitals.Follows(began, o.bad.came, ahead)
}

// lastGood completes an onset with the newest revision before the bad one that
// serves now, or else with the one directly before it if that was healthy.
func lastGood(sc *scene, w *workload, o onset) (onset, bool) {
	older := w.before(o.bad.number)
	for _, r := range older {
		if ready := r.ready; ready > 0 {
			o.good, o.weight, o.proof = r, 25, fmt.Sprintf("still serves (ready pods: %d)", ready)
			return o, true
		}
	}
	if current, _ := w.current(); len(older) == 0 || o.bad.number != current.number || w.deployment == nil {
		return onset{}, false // never healthy, or too long ago, or of a kind that does not remember
	}
	o.good = older[0]
	proof := sc.handover(w, o.good, o.bad).WasHealthy()
	o.proof, o.weight = proof.Says, proof.Weight
	return o, o.weight > 0
}

// handover is the change from one revision of a Deployment to the next, as it is judged.
func (sc *scene) handover(w *workload, r, next revision) vitals.Handover {
	return vitals.Handover{
		Deployment: w.deployment, Before: r.set, Began: r.came, Came: next.came,
		Events: sc.Events, Unread: sc.details() > 0, Now: sc.TakenAt,
	}
}

func releaseEvidence(sc *scene, w *workload, o onset, differences []string) []v1alpha1.Evidence {
	bad, good := o.bad.keeper, o.good.keeper
	all := []v1alpha1.Evidence{
		says(v1alpha1.EvidenceObject, bad, "revision %d was rolled out %s", o.bad.number, when(o.bad.came)),
		says(v1alpha1.EvidenceObject, bad, "it differs from revision %d: %s", o.good.number, strings.Join(differences, "; ")),
		says(v1alpha1.EvidenceObject, good, "revision %d %s", o.good.number, o.proof),
	}
	if c := sc.changed(w.ref.ObjectReference); c != nil {
		all = append(all, says(v1alpha1.EvidenceObject, w.ref.ObjectReference, "its template was last written by %s at %s", c.By, c.At.UTC().Format(time.RFC3339)))
	}
	return all
}

// when says at what time something was, as far as it is known.
func when(span vitals.Span) string {
	if span.Latest.Equal(span.Earliest) {
		return "at " + span.Latest.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("between %s and %s", span.Earliest.UTC().Format(time.RFC3339), span.Latest.UTC().Format(time.RFC3339))
}

// differ says what changed between the pods of two revisions, what breaks most
// often first. It names environment variables and never shows a value.
func differ(from, to revision) []string {
	before, after := &from.template.Spec, &to.template.Spec
	var all []string
	for _, now := range slices.Concat(after.Containers, after.InitContainers) {
		was, existed := containerOf(before, now.Name)
		if !existed {
			all = append(all, fmt.Sprintf("container %s is new", now.Name))
			continue
		}
		all = append(all, differContainer(was, &now)...)
	}
	for _, was := range slices.Concat(before.Containers, before.InitContainers) {
		if _, kept := containerOf(after, was.Name); !kept {
			all = append(all, fmt.Sprintf("container %s is gone", was.Name))
		}
	}
	if len(all) == 0 && from.template.Annotations[analysis.PodSpecAnnotation] != to.template.Annotations[analysis.PodSpecAnnotation] {
		all = append(all, "the pod template changed")
	}
	return all
}

func differContainer(was, now *corev1.Container) []string {
	var all []string
	note := func(changed bool, format string, args ...any) {
		if changed {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	note(was.Image != now.Image, "image of %s: %s became %s", now.Name, was.Image, now.Image)
	note(!slices.Equal(was.Command, now.Command) || !slices.Equal(was.Args, now.Args), "command line of %s changed", now.Name)
	note(!equality.Semantic.DeepEqual(was.Env, now.Env) || !equality.Semantic.DeepEqual(was.EnvFrom, now.EnvFrom), "environment of %s changed%s", now.Name, changedEnv(was.Env, now.Env))
	note(!equality.Semantic.DeepEqual(was.Resources, now.Resources), "resources of %s: %s became %s", now.Name, memoryOf(was), memoryOf(now))
	note(len(all) == 0 && !equality.Semantic.DeepEqual(was, now), "container %s changed", now.Name)
	return all
}

func containerOf(spec *corev1.PodSpec, name string) (*corev1.Container, bool) {
	for _, all := range [][]corev1.Container{spec.Containers, spec.InitContainers} {
		for i := range all {
			if all[i].Name == name {
				return &all[i], true
			}
		}
	}
	return nil, false
}

// changedEnv names the variables that differ.
func changedEnv(was, now []corev1.EnvVar) string {
	values := func(all []corev1.EnvVar) map[string]corev1.EnvVar {
		set := map[string]corev1.EnvVar{}
		for _, v := range all {
			set[v.Name] = v
		}
		return set
	}
	before, after := values(was), values(now)
	var names []string
	for _, v := range slices.Concat(was, now) {
		if !equality.Semantic.DeepEqual(before[v.Name], after[v.Name]) && !slices.Contains(names, v.Name) {
			names = append(names, v.Name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return ": " + strings.Join(names[:min(len(names), 5)], ", ")
}

func memoryOf(c *corev1.Container) string {
	limit, ok := c.Resources.Limits[corev1.ResourceMemory]
	if !ok {
		return "no memory limit"
	}
	return "memory limit " + limit.String()
}
