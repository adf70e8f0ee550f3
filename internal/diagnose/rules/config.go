package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// recentChange is how long before a crash a ConfigMap must have been written to be
// suspected of it.
const recentChange = 30 * time.Minute

// leastAbsent is how long a pod must have lacked what it refers to: who applies a
// directory applies the ConfigMap a moment after the workload.
const leastAbsent = 30 * time.Second

// badConfig finds containers that crash, or can't be started, because of what
// they were given as configuration. Two things can have changed: what a revision
// refers to, which going back puts right; or what is in a ConfigMap, which nobody
// but its owner can.
func badConfig(sc *scene, w *workload) *Finding {
	if f := badReference(sc, w); f != nil {
		return f
	}
	return changedContent(sc, w)
}

// badReference finds a reference or a variable that differs between the healthy
// and the failing revision, alone, and that the log or an event names.
func badReference(sc *scene, w *workload) *Finding {
	all := slices.Concat(filter(w.failures, failure.loops), sc.unstarted(w))
	o, known := findOnset(sc, w, revisionsOf(all))
	if !known || !onlyConfig(&o.good.template.Spec, &o.bad.template.Spec) || sc.whyNotUndo(w, o, all) != "" {
		return nil
	}
	changed := changedConfig(&o.good.template.Spec, &o.bad.template.Spec)
	for _, failed := range all {
		name, line := sc.names(failed, changed)
		if name == "" {
			continue
		}
		f := &Finding{
			Code: v1alpha1.CauseCrashBadConfig, Object: w.ref.ObjectReference, Target: &w.ref,
			Message:  fmt.Sprintf("container %s of %s fails for its configuration: %s changed, and it says: %s", failed.container, w.ref, name, line),
			Explains: []Ref{{v1alpha1.CauseRolloutStuck, w.ref.ObjectReference}},
			Evidence: crashEvidence(sc, []failure{failed}),
		}
		goBack(sc, w, f, o)
		return f
	}
	return nil
}

// changedContent finds a ConfigMap that was written under the same reference
// before containers that had run began to crash, and that their log names.
func changedContent(sc *scene, w *workload) *Finding {
	for _, failed := range filter(w.failures, failure.loops) {
		if failed.last == nil || failed.outOfMemory() {
			continue
		}
		for _, change := range sc.Changes {
			if change.Object.Kind != "ConfigMap" || !changedBefore(w, failed, change) || sc.backedOffBefore(failed, change.At) {
				continue
			}
			name, line := sc.names(failed, mentions(&failed.pod.Spec, change.Object.Name))
			if name == "" {
				continue
			}
			f := &Finding{
				Code: v1alpha1.CauseCrashBadConfig, Object: w.ref.ObjectReference, Target: &w.ref, Confidence: percent(65 - 10*sc.details()),
				Message: fmt.Sprintf("container %s of %s fails for its configuration: %s was written by %s at %s, and the container says: %s",
					failed.container, w.ref, change.Object, change.By, change.At.Format(time.RFC3339), line),
				Explains: []Ref{{v1alpha1.CauseRolloutStuck, w.ref.ObjectReference}},
				Evidence: append(crashEvidence(sc, []failure{failed}),
					says(v1alpha1.EvidenceObject, change.Object, "its data was last written by %s at %s", change.By, change.At.Format(time.RFC3339))),
			}
			f.Remedies = []v1alpha1.Remedy{toPerson(f.Message)}
			return f
		}
	}
	return nil
}

// changedBefore reports whether a ConfigMap was written while the workload's
// revision was there already, and not long before the container last began.
func changedBefore(w *workload, f failure, change analysis.Change) bool {
	began := f.last.StartedAt.Time
	if change.At.After(began) || began.Sub(change.At) > recentChange {
		return false
	}
	current, known := w.current()
	return !known || len(w.revisions) == 1 || !current.came.Earliest.After(change.At) || len(differ(w.revisions[1], current)) == 0
}

// backedOffBefore reports whether a container was in its loop already before a
// time: what was changed then, perhaps to mend it, did not begin it.
func (sc *scene) backedOffBefore(f failure, at time.Time) bool {
	e := sc.eventOf(f.pod, "BackOff")
	return e != nil && !e.FirstTimestamp.IsZero() && e.FirstTimestamp.Time.Before(at)
}

// unstarted returns the containers that the kubelet could not even make, for want
// of what they refer to.
func (sc *scene) unstarted(w *workload) []failure {
	var all []failure
	for _, p := range w.pods {
		if sc.TakenAt.Sub(p.CreationTimestamp.Time) < leastAbsent {
			continue
		}
		for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
			if c.State.Waiting == nil {
				continue
			}
			lacks := c.State.Waiting.Reason == "CreateContainerConfigError" || isMade(c.State.Waiting) && !mounted(p) && sc.eventOf(p, "FailedMount") != nil
			if lacks {
				all = append(all, failure{pod: p, container: c.Name, revision: w.revisionOf[p], crashes: c.RestartCount + 1})
			}
		}
	}
	return all
}

// isMade reports whether a container waits for its pod to be set up, volumes first.
func isMade(w *corev1.ContainerStateWaiting) bool {
	return w.Reason == "ContainerCreating" || w.Reason == "PodInitializing"
}

// mounted reports whether the kubelet says that a pod has its volumes and network:
// what it said of them before is over.
func mounted(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReadyToStartContainers && c.Status == corev1.ConditionTrue
	})
}

// names returns the first of the changed things that a container's log, the
// kubelet's word or an event speaks of, and the line.
func (sc *scene) names(f failure, changed []string) (name, line string) {
	for _, line := range sc.complaints(f) {
		for _, name := range changed {
			if mentioned(line, name) {
				return name, line
			}
		}
	}
	return "", ""
}

// complaints are the lines about a container that speak of an error.
func (sc *scene) complaints(f failure) []string {
	var lines []string
	for _, l := range sc.Logs {
		if l.Pod == f.pod.Name && l.Container == f.container {
			for _, line := range l.Lines {
				if speaksOfError.MatchString(line) {
					lines = append(lines, strings.TrimSpace(line))
				}
			}
		}
	}
	if f.last == nil {
		lines = append(lines, sc.lacks(f)...)
	}
	return lines
}

// saysLacking is what the kubelet says of a volume whose source is not there; that
// it could not look in time, or restarted, passes by itself.
var saysLacking = regexp.MustCompile(`\bnot found\b|non-existent config key`)

// lacks are the kubelet's words about a container that it could not make.
func (sc *scene) lacks(f failure) []string {
	var lines []string
	for _, c := range slices.Concat(f.pod.Status.InitContainerStatuses, f.pod.Status.ContainerStatuses) {
		if c.Name == f.container && c.State.Waiting != nil && c.State.Waiting.Reason == "CreateContainerConfigError" {
			lines = append(lines, c.State.Waiting.Message)
		}
	}
	if e := sc.eventOf(f.pod, "FailedMount"); e != nil && saysLacking.MatchString(e.Message) {
		lines = append(lines, e.Message)
	}
	return lines
}

// mentioned reports whether a line holds a name, and not as part of a longer one.
func mentioned(line, name string) bool {
	if len(name) < 3 {
		return false // too short to be anybody's name for anything
	}
	for from := 0; ; {
		at := strings.Index(line[from:], name)
		if at < 0 {
			return false
		}
		begin, end := from+at, from+at+len(name)
		if (begin == 0 || !inName(line[begin-1])) && (end == len(line) || !inName(line[end])) {
			return true
		}
		from = end
	}
}

// inName reports whether a character can go on a name. A dot can't: it ends
// sentences, and divides a file's name from its ending.
func inName(c byte) bool {
	return c == '_' || c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// onlyConfig reports whether two revisions run the same programs.
func onlyConfig(from, to *corev1.PodSpec) bool {
	for _, now := range slices.Concat(to.InitContainers, to.Containers) {
		was, existed := containerOf(from, now.Name)
		if !existed || was.Image != now.Image || !slices.Equal(was.Command, now.Command) || !slices.Equal(was.Args, now.Args) ||
			!equality.Semantic.DeepEqual(was.Resources, now.Resources) {
			return false
		}
	}
	return true
}

// changedConfig names what two revisions give their containers differently:
// variables, ConfigMaps, Secrets, and where and under which key those are found.
func changedConfig(from, to *corev1.PodSpec) []string {
	var names []string
	for _, now := range slices.Concat(to.InitContainers, to.Containers) {
		if was, existed := containerOf(from, now.Name); existed {
			names = append(names, changedVariables(was, &now)...)
		}
	}
	before := map[string]corev1.Volume{}
	for _, v := range from.Volumes {
		before[v.Name] = v
	}
	for _, v := range to.Volumes {
		if was, existed := before[v.Name]; !existed || !equality.Semantic.DeepEqual(was, v) {
			names = append(names, inVolume(to, v)...)
		}
	}
	return names
}

func changedVariables(was, now *corev1.Container) []string {
	var names []string
	before, after := variables(was), variables(now)
	for _, v := range slices.Concat(was.Env, now.Env) {
		if old, current := before[v.Name], after[v.Name]; !equality.Semantic.DeepEqual(old, current) {
			names = append(names, v.Name)
			names = append(names, sourceOf(current)...)
		}
	}
	for _, from := range now.EnvFrom {
		if slices.ContainsFunc(was.EnvFrom, func(old corev1.EnvFromSource) bool { return equality.Semantic.DeepEqual(old, from) }) {
			continue
		}
		if from.ConfigMapRef != nil {
			names = append(names, from.ConfigMapRef.Name)
		}
		if from.SecretRef != nil {
			names = append(names, from.SecretRef.Name)
		}
	}
	return names
}

func variables(c *corev1.Container) map[string]corev1.EnvVar {
	set := map[string]corev1.EnvVar{}
	for _, v := range c.Env {
		set[v.Name] = v
	}
	return set
}

// sourceOf names where a variable's value comes from.
func sourceOf(v corev1.EnvVar) []string {
	switch {
	case v.ValueFrom == nil:
		return nil
	case v.ValueFrom.ConfigMapKeyRef != nil:
		return []string{v.ValueFrom.ConfigMapKeyRef.Name, v.ValueFrom.ConfigMapKeyRef.Key}
	case v.ValueFrom.SecretKeyRef != nil:
		return []string{v.ValueFrom.SecretKeyRef.Name, v.ValueFrom.SecretKeyRef.Key}
	}
	return nil
}

// inVolume names what is in a volume, and where it is mounted.
func inVolume(spec *corev1.PodSpec, v corev1.Volume) []string {
	var names []string
	var items []corev1.KeyToPath
	switch {
	case v.ConfigMap != nil:
		names, items = append(names, v.ConfigMap.Name), v.ConfigMap.Items
	case v.Secret != nil:
		names, items = append(names, v.Secret.SecretName), v.Secret.Items
	}
	for _, item := range items {
		names = append(names, item.Key, item.Path)
	}
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		for _, m := range c.VolumeMounts {
			if m.Name == v.Name {
				names = append(names, m.MountPath)
			}
		}
	}
	return names
}

// mentions names by what a ConfigMap shows in a pod.
func mentions(spec *corev1.PodSpec, configMap string) []string {
	names := []string{configMap}
	for _, v := range spec.Volumes {
		if v.ConfigMap != nil && v.ConfigMap.Name == configMap {
			names = append(names, inVolume(spec, v)...)
		}
	}
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		for _, v := range c.Env {
			if source := sourceOf(v); len(source) > 0 && source[0] == configMap && v.ValueFrom.ConfigMapKeyRef != nil {
				names = append(names, v.Name, source[1])
			}
		}
	}
	return names
}
