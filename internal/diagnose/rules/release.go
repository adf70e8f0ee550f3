package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

const (
	// troubleBefore is how long before a release a warning about the revision
	// before it says that it was ill already: the kubelet repeats its own at least
	// that often.
	troubleBefore = 10 * time.Minute
	// provenBy is how long a revision must have run without a warning, where nothing
	// better says that it was well.
	provenBy = 20 * time.Second
)

// onset is where a workload's crashes begin.
type onset struct {
	bad    revision // the oldest that crashes
	good   revision // the newest before it that was healthy
	proof  string   // how that is known
	weight int      // of the proof, in points of confidence
}

// badRelease finds containers that crash since a new revision, where the one
// before was healthy and is not the same.
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
		f.Remedies = append(f.Remedies, raiseMemory(worst.container))
	}
	f.Evidence = append(f.Evidence, crashEvidence(sc, loops)...)
	f.Confidence = percent(60 + o.weight + min(5*int(worst.crashes-1), 10) - 10*sc.details())
	return f
}

// revisionsOf returns the revisions whose containers failed.
func revisionsOf(failures []failure) map[int64]bool {
	ill := map[int64]bool{}
	for _, f := range failures {
		ill[f.revision] = true
	}
	return ill
}

// findOnset finds the revision with which the trouble began. The current one
// must be among those that are ill, or going back would cure nothing.
func findOnset(sc *scene, w *workload, ill map[int64]bool) (onset, bool) {
	current, ok := w.current()
	if !ok || !ill[current.number] {
		return onset{}, false
	}
	o := onset{bad: current}
	for _, r := range w.before(current.number) {
		if ill[r.number] {
			o.bad = r
		}
	}
	return lastGood(sc, w, o)
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
	o.proof, o.weight = wasHealthy(sc, w, o.good, o.bad)
	return o, o.weight > 0
}

// wasHealthy tells whether a revision whose pods are gone was healthy when the
// next one came, and how that is known. No weight: it was not, or nobody knows.
func wasHealthy(sc *scene, w *workload, r, next revision) (string, int) {
	came := next.created
	if !came.After(r.created) {
		return "", 0 // the next one is older, brought back: when, its ReplicaSet does not say
	}
	if p := condition(w.deployment, appsv1.DeploymentProgressing); p.Status == corev1.ConditionTrue && !p.LastTransitionTime.Time.Before(came) {
		return "", 0 // the rollout before ran into its deadline
	}
	if sc.warned(r, came.Add(-troubleBefore), sc.TakenAt) != nil {
		return "", 0
	}
	switch served, known := wasAvailable(w.deployment, r.created, came); {
	case known && served:
		return "was available until then", 20
	case known:
		return "", 0
	}
	if ran := came.Sub(r.created); ran >= provenBy && sc.details() == 0 && !sc.troubled(r, came) {
		return fmt.Sprintf("ran for %s without a crash", ran.Round(time.Second)), 10
	}
	return "", 0
}

// wasAvailable tells whether a Deployment was available when a revision came, and
// thanks to the one before it, where its condition knows: one that may lose all of
// its pods is always available, and one whose condition changed since may have
// changed before.
func wasAvailable(d *appsv1.Deployment, began, came time.Time) (served, known bool) {
	if !availabilityMeansPods(d) {
		return false, false
	}
	for _, c := range d.Status.Conditions {
		if c.Type != appsv1.DeploymentAvailable {
			continue
		}
		lost := c.Status != corev1.ConditionTrue
		before := c.LastTransitionTime.Time.Before(came.Add(-lossAhead(d))) || c.LastTransitionTime.Time.Before(began.Add(lossAfter))
		switch {
		case !lost && !c.LastTransitionTime.After(came):
			return true, true
		case lost && before:
			return false, true
		case lost && c.LastTransitionTime.Time.Before(came.Add(lossAfter)):
			return true, true
		}
	}
	return false, false
}

// lossAfter is how soon after a release the loss of availability is the
// release's doing, and not one of several.
const lossAfter = 15 * time.Second

// lossAhead is how long before the new ReplicaSet appears the old pods may have
// gone: with the strategy Recreate they go first.
func lossAhead(d *appsv1.Deployment) time.Duration {
	if d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		return time.Minute
	}
	return 0
}

// availabilityMeansPods reports whether Available says that at least one pod was
// available.
func availabilityMeansPods(d *appsv1.Deployment) bool {
	replicas := 1
	if d.Spec.Replicas != nil {
		replicas = int(*d.Spec.Replicas)
	}
	rolling := d.Spec.Strategy.RollingUpdate
	if rolling == nil || rolling.MaxUnavailable == nil {
		return replicas > 0
	}
	unavailable, err := intstr.GetScaledValueFromIntOrPercent(rolling.MaxUnavailable, replicas, false)
	return err == nil && replicas-unavailable > 0
}

func releaseEvidence(sc *scene, w *workload, o onset, differences []string) []v1alpha1.Evidence {
	bad, good := o.bad.keeper, o.good.keeper
	all := []v1alpha1.Evidence{
		says(v1alpha1.EvidenceObject, bad, "revision %d is there since %s", o.bad.number, o.bad.created.UTC().Format(time.RFC3339)),
		says(v1alpha1.EvidenceObject, bad, "it differs from revision %d: %s", o.good.number, strings.Join(differences, "; ")),
		says(v1alpha1.EvidenceObject, good, "revision %d %s", o.good.number, o.proof),
	}
	if c := sc.changed(w.ref.ObjectReference); c != nil {
		all = append(all, says(v1alpha1.EvidenceObject, w.ref.ObjectReference, "its template was last written by %s at %s", c.By, c.At.UTC().Format(time.RFC3339)))
	}
	return all
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
