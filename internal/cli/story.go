package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/redact"
)

// story is what is known of one remediation from everywhere it left a trace.
type story struct {
	ar   *v1alpha1.AlertRemediation
	runs []v1alpha1.WorkflowRun
	// also are the remediations of other alerts about the same target meanwhile.
	also []v1alpha1.AlertRemediation
	// events of the remediation: what held it back for a while is in no condition any more.
	events []corev1.Event
	// edits of its objects, by others than the operator.
	edits []edit
	// untold says what whoever asks may not read.
	untold []string
}

// edit is the last write of one manager to an object.
type edit struct {
	object v1alpha1.ObjectReference
	by     string
	at     time.Time
}

// story reads a remediation and, as far as whoever asks may, what is around it.
func (c Cluster) story(ctx context.Context, name string) (story, error) {
	ar, err := c.remediation(ctx, name)
	if err != nil {
		return story{}, err
	}
	s := story{ar: ar}
	if s.runs, err = c.runsOf(ctx, ar); err != nil {
		return story{}, err
	}
	if s.also, err = c.duplicatesOf(ctx, ar); err != nil {
		return story{}, err
	}
	var events corev1.EventList
	if err := c.List(ctx, &events, client.InNamespace(ar.Namespace), client.MatchingFields{"involvedObject.uid": string(ar.UID)}); err != nil {
		s.untold = append(s.untold, "what held it back for a while, since "+explained(err).Error())
	}
	s.events = events.Items
	for _, ref := range concerned(ar) {
		edits, err := c.editsOf(ctx, ar, ref)
		if err != nil && !apierrors.IsNotFound(err) {
			s.untold = append(s.untold, fmt.Sprintf("who else wrote to %s, since %s", ref, explained(err)))
		}
		s.edits = append(s.edits, edits...)
	}
	return s, nil
}

func (c Cluster) runsOf(ctx context.Context, ar *v1alpha1.AlertRemediation) ([]v1alpha1.WorkflowRun, error) {
	var list v1alpha1.WorkflowRunList
	if err := c.List(ctx, &list, client.InNamespace(ar.Namespace)); err != nil {
		return nil, explained(err)
	}
	return slices.DeleteFunc(list.Items, func(run v1alpha1.WorkflowRun) bool { return !metav1.IsControlledBy(&run, ar) }), nil
}

// duplicatesOf returns what ended because this remediation lived for the same target.
func (c Cluster) duplicatesOf(ctx context.Context, ar *v1alpha1.AlertRemediation) ([]v1alpha1.AlertRemediation, error) {
	if ar.Status.Target == nil {
		return nil, nil
	}
	var list v1alpha1.AlertRemediationList
	err := c.List(ctx, &list, client.InNamespace(ar.Namespace), client.MatchingFields{"status.target.uid": string(ar.Status.Target.UID)})
	if err != nil {
		return nil, explained(err)
	}
	return slices.DeleteFunc(list.Items, func(other v1alpha1.AlertRemediation) bool { return other.Status.DuplicateOf != ar.Name }), nil
}

// concerned are the objects the alert and the plan are about, each once.
func concerned(ar *v1alpha1.AlertRemediation) []v1alpha1.ObjectReference {
	var refs []v1alpha1.ObjectReference
	add := func(ref v1alpha1.ObjectReference) {
		if !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	if ar.Status.Target != nil {
		add(ar.Status.Target.ObjectReference)
	}
	if ar.Status.Plan != nil {
		for _, step := range ar.Status.Plan.Steps {
			add(step.Target.ObjectReference)
		}
	}
	return refs
}

// editsOf returns who wrote to an object between the alert and the end. The object
// knows the last write of each manager only; the audit log knows them all.
func (c Cluster) editsOf(ctx context.Context, ar *v1alpha1.AlertRemediation, ref v1alpha1.ObjectReference) ([]edit, error) {
	found := &metav1.PartialObjectMetadata{}
	found.SetGroupVersionKind(ref.GroupVersionKind())
	if err := c.Get(ctx, ref.NamespacedName(), found); err != nil {
		return nil, err
	}
	return editsBy(found.ManagedFields, ref, ar), nil
}

// editsBy leaves out the operator, whose operations are told one by one, and what
// controllers say in a status. It is pure.
func editsBy(entries []metav1.ManagedFieldsEntry, ref v1alpha1.ObjectReference, ar *v1alpha1.AlertRemediation) []edit {
	from, to := cmp.Or(ar.Spec.Alert.StartsAt.Time, ar.CreationTimestamp.Time), time.Time{}
	if ar.Finished() {
		to = meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Succeeded).LastTransitionTime.Time
	}
	var edits []edit
	for _, entry := range entries {
		if entry.Time == nil || entry.Subresource == "status" || strings.HasPrefix(entry.Manager, "kubernaut") ||
			entry.Time.Time.Before(from) || !to.IsZero() && entry.Time.After(to) {
			continue
		}
		edits = append(edits, edit{object: ref, by: entry.Manager, at: entry.Time.Time})
	}
	return edits
}

// moment is one thing that happened. Most of what is recorded knows the second
// only, so within one second the order is the one in which things follow from each other.
type moment struct {
	at   time.Time
	step int
	what string
}

// steps is the order in which things follow from each other.
var steps = []string{
	fired, received, v1alpha1.Admitted, edited, v1alpha1.Diagnosed, v1alpha1.Planned, answered, v1alpha1.Approved, operated, v1alpha1.Executed,
	silent, well, v1alpha1.Verified, v1alpha1.Succeeded,
}

// The steps that are no conditions.
const (
	fired    = "fired"
	received = "received"
	edited   = "edited"
	answered = "answered"
	operated = "operated"
	silent   = "silent"
	well     = "well"
)

func when(at time.Time, step, format string, args ...any) moment {
	return moment{at: at.Truncate(time.Second), step: slices.Index(steps, step), what: fmt.Sprintf(format, args...)}
}

// timeline puts everything that is known in order. It is pure.
func (s story) timeline() []moment {
	ar := s.ar
	moments := []moment{
		when(ar.Spec.Alert.StartsAt.Time, fired, "the alert %s begins to fire", ar.Spec.Alert.Name),
		when(ar.CreationTimestamp.Time, received, "received from %s, as %s", ar.Spec.Alert.Source, ar.Name),
	}
	for _, other := range s.also {
		moments = append(moments, when(other.Spec.Alert.StartsAt.Time, fired, "the alert %s begins to fire too, about the same: %s is a duplicate", other.Spec.Alert.Name, other.Name))
	}
	moments = append(moments, s.settled()...)
	if word := ar.Spec.Approval; word != nil {
		moments = append(moments, when(word.At.Time, answered, "%s by %s%s", word.Decision, word.By, sentence(word.Reason)))
	}
	if heard := ar.Status.Alert; heard != nil && heard.State == v1alpha1.AlertResolved {
		moments = append(moments, when(heard.ResolvedAt.Time, silent, "the alert stops"))
	}
	if seen := ar.Status.Verification; seen != nil {
		moments = append(moments, when(seen.Since.Time, well, "the target is well from here on"))
	}
	for _, e := range s.edits {
		moments = append(moments, when(e.at, edited, "%s is written to with %s, not by Kubernaut", e.object, e.by))
	}
	moments = append(moments, s.held()...)
	for i := range s.runs {
		moments = append(moments, operations(&s.runs[i])...)
	}
	moments = slices.DeleteFunc(moments, func(m moment) bool { return m.at.IsZero() })
	slices.SortStableFunc(moments, func(a, b moment) int { return cmp.Or(a.at.Compare(b.at), a.step-b.step) })
	return moments
}

// settled is what the conditions say.
func (s story) settled() []moment {
	var moments []moment
	for _, c := range s.ar.Status.Conditions {
		if c.Status == metav1.ConditionUnknown && (c.Type == v1alpha1.Succeeded || c.Type == v1alpha1.Approved && s.announced(c.Reason)) {
			continue // that it runs is no news
		}
		moments = append(moments, when(c.LastTransitionTime.Time, c.Type, "%s%s", heading(c.Type, c.Status, c.Reason), sentence(s.news(c))))
	}
	return moments
}

// news is the message of a condition, unless it repeats that of the one that decided.
func (s story) news(c metav1.Condition) string {
	for _, other := range s.ar.Status.Conditions {
		if c.Type == v1alpha1.Succeeded && other.Type != c.Type && other.Message == c.Message {
			return ""
		}
	}
	return c.Message
}

// announced reports whether an event tells better than the condition when something
// began to hold the plan back: the condition keeps the time of the first such reason
// only, and the text of the last.
func (s story) announced(reason string) bool {
	return slices.ContainsFunc(s.events, func(e corev1.Event) bool { return holds(e) && e.Reason == reason })
}

// holds reports whether an event says what held a plan back.
func holds(e corev1.Event) bool {
	return e.Action == v1alpha1.Approved && e.Type == corev1.EventTypeNormal &&
		e.Reason != v1alpha1.ReasonPersonApproved && e.Reason != v1alpha1.ReasonPolicyAllows
}

// held is what held the plan back, by the events.
func (s story) held() []moment {
	var words []moment
	for _, e := range s.events {
		if !holds(e) {
			continue
		}
		at := cmp.Or(e.EventTime.Time, e.FirstTimestamp.Time)
		words = append(words, when(at, v1alpha1.Approved, "%s%s", heading(v1alpha1.Approved, metav1.ConditionUnknown, e.Reason),
			sentence(strings.TrimPrefix(e.Message, v1alpha1.Approved+": "))))
	}
	return words
}

// headings say what a condition means that is True, False, or not decided yet.
var headings = map[string][3]string{
	v1alpha1.Admitted:  {"admitted", "not admitted", "being admitted"},
	v1alpha1.Diagnosed: {"diagnosed", "not diagnosed", "being diagnosed"},
	v1alpha1.Planned:   {"planned", "nothing planned", "being planned"},
	v1alpha1.Approved:  {"let through", "refused", "held back"},
	v1alpha1.Executed:  {"executed", "not executed", "executing"},
	v1alpha1.Verified:  {"verified", "not verified", "verifying"},
	v1alpha1.Succeeded: {"ended as", "ended as", "running"},
}

func heading(condition string, status metav1.ConditionStatus, reason string) string {
	words, known := headings[condition]
	index := slices.Index([]metav1.ConditionStatus{metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown}, status)
	if !known || index < 0 {
		return fmt.Sprintf("%s is %s: %s", condition, status, reason)
	}
	if condition == v1alpha1.Succeeded {
		return words[index] + " " + reason
	}
	return fmt.Sprintf("%s (%s)", words[index], reason)
}

// operations are what a run did, each as whom.
func operations(run *v1alpha1.WorkflowRun) []moment {
	verb := ""
	if run.Spec.Undoes != "" {
		verb = " to take it back"
	}
	var done []moment
	for _, step := range run.Status.Steps {
		for _, op := range step.Operations {
			if at := cmp.Or(op.AppliedAt.Time, op.ClaimedAt.Time); !at.IsZero() {
				done = append(done, when(at, operated, "%s of %s%s, by %s as %s: %s", op.Verb, op.Object, verb, run.Name, run.Status.Actor, op.State))
			}
		}
	}
	return done
}

func sentence(message string) string {
	if message == "" {
		return ""
	}
	return ": " + message
}

// tell prints the moments, each on a line.
func (p *printer) tell(s story) {
	for _, m := range s.timeline() {
		p.line("%s  %s", stamp(m.at), redact.Line(m.what, 1024))
	}
	for _, gap := range s.untold {
		p.line("Not told: %s", redact.Line(gap, 1024))
	}
}

// stamp is the same wherever it is read: universal time.
func stamp(at time.Time) string {
	if at.IsZero() {
		return "?"
	}
	return at.UTC().Format("2006-01-02 15:04:05Z")
}
