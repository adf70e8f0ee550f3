package cli

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/redact"
)

// Describe prints all there is to know of one remediation: the alert, the cause
// with its evidence, the plan, and what happened when.
func Describe(ctx context.Context, c Cluster, name string, w Screen) error {
	s, err := c.story(ctx, name)
	if err != nil {
		return err
	}
	p := printer{Screen: w}
	p.describe(s.ar)
	p.line("History")
	p.tell(s)
	return p.err
}

// Timeline prints what happened to one remediation, in order.
func Timeline(ctx context.Context, c Cluster, name string, w Screen) error {
	s, err := c.story(ctx, name)
	if err != nil {
		return err
	}
	p := printer{Screen: w}
	p.tell(s)
	return p.err
}

func (p *printer) describe(ar *v1alpha1.AlertRemediation) {
	p.line("%s in %s: %s", ar.Name, ar.Namespace, p.paint(colours[state(ar)], state(ar)))
	p.line("  %s", cmp.Or(redact.Line(why(ar), 1024), "nothing was said yet"))
	p.alert(ar.Spec.Alert)
	p.line("Target   %s", cmp.Or(redact.Line(targetOf(ar), 2*widest), "none"))
	if d := ar.Status.Diagnosis; d != nil {
		p.line("Cause    %s (%d %%, by %s): %s", d.Cause, d.Confidence, d.Source, redact.Line(d.Summary, 1024))
		for _, e := range d.Evidence {
			p.line("         - %s: %s", redact.Line(about(e), widest), redact.Line(e.Says, 1024))
		}
		for _, remedy := range d.Remedies {
			if remedy.Refused != nil {
				p.line("         no %s (%s): %s", redact.Line(remedy.Action, widest), redact.Line(remedy.Refused.Reason, widest), redact.Line(remedy.Refused.Message, 1024))
			}
		}
		for _, s := range d.Skipped {
			p.line("         not by %s: %s", redact.Line(string(s.Source), widest), redact.Line(s.Reason, 1024))
		}
	}
	if plan := ar.Status.Plan; plan != nil {
		p.line("Plan     mode %s, policy %s", plan.Mode, cmp.Or(redact.Line(plan.Policy, 2*widest), "none"))
		p.plan("         ", plan)
	}
	p.next(ar)
}

func (p *printer) alert(alert v1alpha1.Alert) {
	since := ""
	if !alert.StartsAt.IsZero() {
		since = ", since " + stamp(alert.StartsAt.Time)
	}
	p.line("Alert    %s, %s, from %s%s", redact.Line(alert.Name, widest), alert.Severity, alert.Source, since)
	var labels []string
	for _, name := range slices.Sorted(maps.Keys(alert.Labels)) {
		labels = append(labels, redact.Line(name, widest)+"="+redact.Line(alert.Labels[name], widest))
	}
	if len(labels) > 0 {
		p.line("         %s", strings.Join(labels, ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(alert.Annotations)) {
		p.line("         %s: %s", redact.Line(name, widest), redact.Line(alert.Annotations[name], 1024))
	}
}

// next says what whoever reads can do about a remediation that waits for them.
func (p *printer) next(ar *v1alpha1.AlertRemediation) {
	plan := ar.Status.Plan
	if !asksPerson(ar) || plan == nil || plan.Mode != v1alpha1.ModeApprove || ar.Spec.Approval != nil {
		return
	}
	before := ""
	if !plan.ApproveBefore.IsZero() {
		before = ", before " + stamp(plan.ApproveBefore.Time)
	}
	p.line("Answer   kubectl kubernaut approve %[1]s -n %[2]s, or reject%[3]s", ar.Name, ar.Namespace, before)
}

// about names what a piece of evidence is, and of which object.
func about(e v1alpha1.Evidence) string {
	if e.Object == nil {
		return string(e.Kind)
	}
	return fmt.Sprintf("%s of %s", e.Kind, e.Object)
}
