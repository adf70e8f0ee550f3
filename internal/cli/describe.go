package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/redact"
)

// Describe prints all there is to know of one remediation: the alert, the cause
// with its evidence, the plan, and what happened when.
func Describe(ctx context.Context, c Cluster, name string, w io.Writer) error {
	ar, err := c.remediation(ctx, name)
	if err != nil {
		return err
	}
	runs, err := c.runsOf(ctx, ar)
	if err != nil {
		return err
	}
	p := printer{to: w}
	p.describe(ar)
	if p.err != nil {
		return p.err
	}
	return printTimeline(w, timeline(ar, runs))
}

// Timeline prints what happened to one remediation, in order.
func Timeline(ctx context.Context, c Cluster, name string, w io.Writer) error {
	ar, err := c.remediation(ctx, name)
	if err != nil {
		return err
	}
	runs, err := c.runsOf(ctx, ar)
	if err != nil {
		return err
	}
	return printTimeline(w, timeline(ar, runs))
}

func (c Cluster) runsOf(ctx context.Context, ar *v1alpha1.AlertRemediation) ([]v1alpha1.WorkflowRun, error) {
	var list v1alpha1.WorkflowRunList
	if err := c.List(ctx, &list, client.InNamespace(ar.Namespace)); err != nil {
		return nil, unreachable(err)
	}
	return slices.DeleteFunc(list.Items, func(run v1alpha1.WorkflowRun) bool { return !metav1.IsControlledBy(&run, ar) }), nil
}

func (p *printer) describe(ar *v1alpha1.AlertRemediation) {
	p.line("%s in %s: %s", ar.Name, ar.Namespace, state(ar))
	p.line("  %s", cmp.Or(redact.Line(why(ar), 1024), "nothing was said yet"))
	p.line("Alert    %s, %s, from %s, since %s", redact.Line(ar.Spec.Alert.Name, widest), ar.Spec.Alert.Severity, ar.Spec.Alert.Source, stamp(ar.Spec.Alert.StartsAt.Time))
	p.line("Target   %s", cmp.Or(redact.Line(targetOf(ar), 2*widest), "none"))
	if d := ar.Status.Diagnosis; d != nil {
		p.line("Cause    %s (%d %%, by %s): %s", d.Cause, d.Confidence, d.Source, redact.Line(d.Summary, 1024))
		for _, e := range d.Evidence {
			p.line("         - %s: %s", redact.Line(about(e), widest), redact.Line(e.Says, 1024))
		}
		for _, s := range d.Skipped {
			p.line("         not by %s: %s", s.Source, redact.Line(s.Reason, 1024))
		}
	}
	if plan := ar.Status.Plan; plan != nil {
		p.line("Plan     mode %s, policy %s", plan.Mode, cmp.Or(plan.Policy, "none"))
		p.err = cmp.Or(p.err, printPlan(p.to, plan))
	}
}

// moment is one thing that happened. Conditions know the second only, so within
// one second the order is the one in which things follow from each other.
type moment struct {
	at   time.Time
	step int
	what string
}

// steps is the order in which things follow from each other.
var steps = []string{
	fired, received, v1alpha1.Admitted, v1alpha1.Diagnosed, v1alpha1.Planned, answered, v1alpha1.Approved, operated, v1alpha1.Executed,
	silent, v1alpha1.Verified, v1alpha1.Succeeded,
}

// The steps that are no conditions.
const (
	fired    = "fired"
	received = "received"
	answered = "answered"
	operated = "operated"
	silent   = "silent"
)

func when(at time.Time, step, format string, args ...any) moment {
	return moment{at: at.Truncate(time.Second), step: slices.Index(steps, step), what: fmt.Sprintf(format, args...)}
}

// timeline puts what a remediation and its runs say of themselves in order. It is pure.
func timeline(ar *v1alpha1.AlertRemediation, runs []v1alpha1.WorkflowRun) []moment {
	moments := []moment{
		when(ar.Spec.Alert.StartsAt.Time, fired, "the alert %s begins to fire", ar.Spec.Alert.Name),
		when(ar.CreationTimestamp.Time, received, "received, as %s", ar.Name),
	}
	for _, c := range ar.Status.Conditions {
		if c.Status == metav1.ConditionUnknown && c.Type == v1alpha1.Succeeded {
			continue // that it runs is no news
		}
		moments = append(moments, when(c.LastTransitionTime.Time, c.Type, "%s: %s%s", c.Type, c.Reason, sentence(c.Message)))
	}
	if word := ar.Spec.Approval; word != nil {
		moments = append(moments, when(word.At.Time, answered, "%s by %s%s", word.Decision, word.By, sentence(word.Reason)))
	}
	if heard := ar.Status.Alert; heard != nil && heard.State == v1alpha1.AlertResolved {
		moments = append(moments, when(heard.ResolvedAt.Time, silent, "the alert stops"))
	}
	for i := range runs {
		moments = append(moments, operations(&runs[i])...)
	}
	moments = slices.DeleteFunc(moments, func(m moment) bool { return m.at.IsZero() })
	slices.SortStableFunc(moments, func(a, b moment) int { return cmp.Or(a.at.Compare(b.at), a.step-b.step) })
	return moments
}

// operations are what a run did, each as whom.
func operations(run *v1alpha1.WorkflowRun) []moment {
	var done []moment
	for _, step := range run.Status.Steps {
		for _, op := range step.Operations {
			if at := cmp.Or(op.AppliedAt.Time, op.ClaimedAt.Time); !at.IsZero() {
				done = append(done, when(at, operated, "%s: %s %s as %s: %s", run.Name, op.Verb, op.Object, run.Status.Actor, op.State))
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

func printTimeline(w io.Writer, moments []moment) error {
	p := printer{to: w}
	for _, m := range moments {
		p.line("%s  %s", stamp(m.at), redact.Line(m.what, 1024))
	}
	return p.err
}

func stamp(at time.Time) string {
	if at.IsZero() {
		return "?"
	}
	return at.UTC().Format("2006-01-02 15:04:05Z")
}

// about names what a piece of evidence is, and of which object.
func about(e v1alpha1.Evidence) string {
	if e.Object == nil {
		return string(e.Kind)
	}
	return string(e.Kind) + " of " + e.Object.String()
}
