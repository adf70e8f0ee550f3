package rules

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/selector"
	"github.com/kubernaut/kubernaut/internal/vitals"
)

// How much each likeness of a workload to a Service counts.
const (
	samePair    = 3 // a label of the selector, key and value
	sameName    = 3 // the Service's name is the workload's, or one of its labels
	typo        = 3 // a value that differs from the selector's by a slip
	ownLabel    = 2 // a label of the Service itself
	movedValue  = 2 // a value of the selector under another key
	sameKey     = 1 // a key of the selector with quite another value
	servedElse  = 2 // against it: another Service selects it already
	margin      = 2 // by how much the best must be ahead of the next
	enough      = 2 // what the best must have, unless the selector is known to have been changed
	justTouched = 1
)

// candidate is a workload a Service may have meant.
type candidate struct {
	*workload
	points int
	served bool // by another Service
	why    []string
}

// selectorMismatch finds a Service that selects no pod, where exactly one
// workload is what it should select: most like it by far, ready, and listening
// where the Service sends.
func selectorMismatch(sc *scene) *Finding {
	svc := sc.service
	if svc == nil || len(svc.Spec.Selector) == 0 || len(vitals.Selected(sc.Snapshot, svc)) > 0 || vitals.ReadyEndpoints(sc.Snapshot, svc.Name) > 0 {
		return nil
	}
	if len(sc.workloads) > 0 {
		return nil // the selector fits a workload: that this one has no pods is another matter
	}
	best := sc.meant(svc)
	if best == nil || !isReady(best.workload) || !listens(best.template, svc) {
		return nil
	}
	mended, why := sc.mend(svc, best.workload)
	if why != "" {
		return nil
	}
	target := sc.ref(svc, "v1", "Service")
	f := &Finding{
		Code: v1alpha1.CauseServiceSelectorMismatch, Object: target.ObjectReference, Target: &target,
		Message: fmt.Sprintf("%s selects %s, which no pod has; %s, all of whose pods are ready (%d), has %s and is the only one it can mean (%s)",
			target, labels.Set(svc.Spec.Selector), best.ref, readyPods(best.workload), labels.Set(mended), strings.Join(best.why, ", ")),
		Remedies:   []v1alpha1.Remedy{{Action: fixServiceSelector, Parameters: map[string]string{"selector": labels.Set(mended).String()}}},
		Confidence: percent(60 + 5*min(best.points, 6) - 10*sc.details()),
		Evidence: []v1alpha1.Evidence{
			says(v1alpha1.EvidenceObject, target.ObjectReference, "its selector %s matches no pod of the namespace, and it has no ready endpoint", labels.Set(svc.Spec.Selector)),
			says(v1alpha1.EvidenceObject, best.ref.ObjectReference, "its pods carry %s, and %d of them are ready", labels.Set(mended), readyPods(best.workload)),
			says(v1alpha1.EvidenceObject, best.ref.ObjectReference, "it listens where the Service sends: %s", ports(svc)),
		},
	}
	if c := sc.changed(target.ObjectReference); c != nil {
		f.Evidence = append(f.Evidence, says(v1alpha1.EvidenceObject, target.ObjectReference, "its selector was last written by %s at %s", c.By, c.At.UTC().Format("2006-01-02T15:04:05Z")))
	}
	return f
}

// meant returns the workload that a Service most likely means, or nothing if
// two of them are about as likely. One that is not ready counts as well: better
// no answer than the wrong one.
func (sc *scene) meant(svc *corev1.Service) *candidate {
	all := sc.candidates(svc)
	if len(all) == 0 || len(all) > 1 && all[0].points-all[1].points < margin {
		return nil
	}
	if all[0].points >= enough || all[0].points >= justTouched && !all[0].served && sc.retouched(svc) {
		return &all[0]
	}
	return nil
}

// candidates returns the workloads that a Service may mean, the likeliest first.
func (sc *scene) candidates(svc *corev1.Service) []candidate {
	var all []candidate
	for _, w := range sc.all() {
		c := candidate{workload: w}
		c.points, c.why = likeness(svc, w)
		if c.served = sc.servedBy(svc, w) != ""; c.served {
			c.points -= servedElse
		}
		if c.points > 0 {
			all = append(all, c)
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(b.points, a.points) })
	return all
}

// perhapsMeant names, for a person, the workloads that a Service which selects
// nothing may mean.
func (sc *scene) perhapsMeant() string {
	if sc.service == nil || len(sc.service.Spec.Selector) == 0 || len(sc.workloads) > 0 {
		return ""
	}
	all := sc.candidates(sc.service)
	if len(all) == 0 {
		return "; nothing in the namespace resembles what it selects"
	}
	var words []string
	for _, c := range all[:min(len(all), 3)] {
		words = append(words, fmt.Sprintf("%s (%s)", c.ref, strings.Join(c.why, ", ")))
	}
	says := "; it may mean " + strings.Join(words, " or ") + ", which is not certain enough to act on"
	if _, why := sc.mend(sc.service, all[0].workload); why != "" {
		says += ": " + why
	}
	return says
}

// likeness counts what speaks for a workload, and says it.
func likeness(svc *corev1.Service, w *workload) (points int, why []string) {
	has := w.template.Labels
	add := func(n int, format string, args ...any) {
		points += n
		why = append(why, fmt.Sprintf(format, args...))
	}
	if w.ref.Name == svc.Name || slices.Contains(slices.Collect(maps.Values(has)), svc.Name) {
		add(sameName, "it goes by the Service's name")
	}
	for _, key := range slices.Sorted(maps.Keys(svc.Spec.Selector)) {
		if n, says := pairLikeness(key, svc.Spec.Selector[key], has); n > 0 {
			add(n, "%s", says)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(svc.Labels)) {
		if _, selected := svc.Spec.Selector[key]; !selected && has[key] == svc.Labels[key] {
			add(ownLabel, "both carry %s=%s", key, has[key])
			break
		}
	}
	return points, why
}

// pairLikeness counts what speaks for labels that should have had one pair of a selector.
func pairLikeness(key, wanted string, has map[string]string) (points int, says string) {
	value, shared := has[key]
	switch {
	case shared && value == wanted:
		return samePair, fmt.Sprintf("it has %s=%s", key, value)
	case shared && selector.IsSlip(wanted, value):
		return typo, fmt.Sprintf("%s=%s differs by a slip", key, value)
	case shared:
		return sameKey, "it has the label " + key
	case slices.Contains(slices.Collect(maps.Values(has)), wanted):
		return movedValue, fmt.Sprintf("it has the value %s under another key", wanted)
	}
	return 0, ""
}

// servedBy names another Service that selects a workload; empty: none does.
func (sc *scene) servedBy(svc *corev1.Service, w *workload) string {
	for _, other := range sc.Services {
		if other.Name != svc.Name && len(other.Spec.Selector) > 0 &&
			labels.SelectorFromSet(other.Spec.Selector).Matches(labels.Set(w.template.Labels)) {
			return other.Name
		}
	}
	return ""
}

// retouched reports whether somebody wrote the selector after the Service was
// made: then it selected something before.
func (sc *scene) retouched(svc *corev1.Service) bool {
	c := sc.changed(sc.Target.ObjectReference)
	return c != nil && c.At.After(svc.CreationTimestamp.Time)
}

// isReady reports whether every pod that a workload should have is there, of the
// current revision, and ready.
func isReady(w *workload) bool { return readyPods(w) > 0 }

// readyPods is how many pods a workload has, if all of them are current and ready.
func readyPods(w *workload) int32 {
	if c := w.counts; c.seen && c.ready == c.wanted && c.updated == c.wanted && c.total == c.wanted {
		return c.ready
	}
	return 0
}

// listens reports whether a workload's pods have every port a Service sends to.
// A port number that no container declares may still be listened on; a name can't.
func listens(template *corev1.PodTemplateSpec, svc *corev1.Service) bool {
	declared := 0
	for _, c := range template.Spec.Containers {
		declared += len(c.Ports)
	}
	for _, p := range svc.Spec.Ports {
		if p.TargetPort.Type == intstr.Int && declared == 0 {
			continue
		}
		if !hasPort(template, p) {
			return false
		}
	}
	return true
}

func hasPort(template *corev1.PodTemplateSpec, p corev1.ServicePort) bool {
	target := p.TargetPort
	if target == (intstr.IntOrString{}) {
		target = intstr.FromInt32(p.Port)
	}
	for _, c := range slices.Concat(template.Spec.Containers, template.Spec.InitContainers) {
		for _, port := range c.Ports {
			if target.Type == intstr.String && port.Name == target.StrVal || target.Type == intstr.Int && port.ContainerPort == target.IntVal {
				return true
			}
		}
	}
	return false
}

func ports(svc *corev1.Service) string {
	var all []string
	for _, p := range svc.Spec.Ports {
		all = append(all, p.TargetPort.String())
	}
	return join(all)
}

// mend returns the labels by which a Service selects a workload and no other, each a
// counterpart of one it selects by now; or it says why they are not to be had.
func (sc *scene) mend(svc *corev1.Service, w *workload) (map[string]string, string) {
	mended := selector.Mend(svc.Spec.Selector, w.template.Labels)
	if mended == nil {
		mended = w.selector // it drops a label: why that is not done is said below
	} else if !sc.selectsOnly(mended, w) {
		maps.Copy(mended, w.selector)
	}
	if len(mended) == 0 || !sc.selectsOnly(mended, w) {
		return nil, "no labels select its pods and no others"
	}
	change := selector.Change{
		From: svc.Spec.Selector, To: mended, Template: w.template.Labels, Names: []string{svc.Name, w.ref.Name},
		Carried: sc.PodLabels, Edited: sc.retouched(svc), Served: sc.servedBy(svc, w),
	}
	for _, other := range sc.all() {
		if other.ref != w.ref {
			change.Others = append(change.Others, other.template.Labels)
		}
	}
	if why := change.Refusal(); why != "" {
		return nil, why
	}
	return mended, ""
}

// selectsOnly reports whether labels select the pods of a workload and of no other one.
func (sc *scene) selectsOnly(wanted map[string]string, w *workload) bool {
	set := labels.SelectorFromSet(wanted)
	if !set.Matches(labels.Set(w.template.Labels)) {
		return false
	}
	return !slices.ContainsFunc(sc.all(), func(other *workload) bool {
		return other.ref != w.ref && set.Matches(labels.Set(other.template.Labels))
	})
}
