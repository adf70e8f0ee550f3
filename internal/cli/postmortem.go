package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/redact"
)

// PostMortem prints the draft of a post-mortem in Markdown: what the operator
// knows, and room for what only people do.
func PostMortem(ctx context.Context, c Cluster, name string, w Screen) error {
	s, err := c.story(ctx, name)
	if err != nil {
		return err
	}
	p := printer{Screen: w}
	p.postMortem(s)
	return p.err
}

func (p *printer) postMortem(s story) {
	ar := s.ar
	p.line("# %s: %s\n", marked(ar.Spec.Alert.Name), marked(cmp.Or(targetOf(ar), "no target")))
	p.line("| | |\n|---|---|")
	for _, row := range [][2]string{
		{"Remediation", ar.Namespace + "/" + ar.Name}, {"Began", stamp(ar.Spec.Alert.StartsAt.Time)}, ending(ar),
		{"Cause", cmp.Or(causeOf(ar), "not known")}, {"Action", cmp.Or(actionOf(ar), "none")},
	} {
		p.line("| %s | %s |", row[0], marked(row[1]))
	}
	p.line("\n## What happened\n\n%s\n", marked(why(ar)))
	for _, m := range s.timeline() {
		p.line("- `%s` %s", stamp(m.at), marked(m.what))
	}
	for _, gap := range s.untold {
		p.line("- Not told: %s", marked(gap))
	}
	if d := ar.Status.Diagnosis; d != nil {
		p.line("\n## Cause\n\n%s\n", marked(d.Summary))
		for _, e := range d.Evidence {
			p.line("- %s: %s", marked(about(e)), marked(e.Says))
		}
	}
	if plan := ar.Status.Plan; plan != nil {
		for _, step := range plan.Steps {
			p.line("\n## Change: %s of %s\n", marked(step.Action), marked(step.Target.String()))
			p.block("    ", step.Diff)
		}
	}
	p.line("\n## Impact\n\n_Who noticed what, for how long?_\n\n## What keeps it from happening again\n\n- [ ] ")
}

// ending says how it ended and how long that took, or what it does now.
func ending(ar *v1alpha1.AlertRemediation) [2]string {
	if !ar.Finished() {
		return [2]string{"Is", state(ar) + ", and has not ended"}
	}
	ended := meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Succeeded).LastTransitionTime.Time
	lasted := ""
	if began := ar.Spec.Alert.StartsAt.Time; !began.IsZero() {
		lasted = ", " + ended.Sub(began).Round(time.Second).String() + " after it began"
	}
	return [2]string{"Ended", stamp(ended) + " as " + state(ar) + lasted}
}

// special are the characters that mean something in Markdown. A bracket makes no
// link without the square one before it.
var special = strings.NewReplacer(pairs("\\`*_{}[]<>#+!|~")...)

func pairs(characters string) []string {
	var all []string
	for _, c := range characters {
		all = append(all, string(c), fmt.Sprintf("\\%c", c))
	}
	return all
}

// marked makes text from outside harmless in a document that people render.
func marked(text string) string { return special.Replace(redact.Line(text, 1024)) }
