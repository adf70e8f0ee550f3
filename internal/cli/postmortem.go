package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/redact"
)

// PostMortem prints the draft of a post-mortem in Markdown: what the operator
// knows, and room for what only people do.
func PostMortem(ctx context.Context, c Cluster, name string, w io.Writer) error {
	ar, err := c.remediation(ctx, name)
	if err != nil {
		return err
	}
	runs, err := c.runsOf(ctx, ar)
	if err != nil {
		return err
	}
	p := printer{to: w}
	p.postMortem(ar, timeline(ar, runs))
	return p.err
}

func (p *printer) postMortem(ar *v1alpha1.AlertRemediation, moments []moment) {
	p.line("# %s: %s\n", marked(ar.Spec.Alert.Name), marked(targetOf(ar)))
	p.line("| | |\n|---|---|")
	for _, row := range [][2]string{
		{"Remediation", ar.Namespace + "/" + ar.Name}, {"Began", stamp(ar.Spec.Alert.StartsAt.Time)}, {"Ended as", state(ar)},
		{"Cause", causeOf(ar)}, {"Action", actionOf(ar)},
	} {
		p.line("| %s | %s |", row[0], marked(row[1]))
	}
	p.line("\n## What happened\n\n%s\n", marked(why(ar)))
	for _, m := range moments {
		p.line("- `%s` %s", stamp(m.at), marked(m.what))
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

// special are the characters that mean something in Markdown.
var special = strings.NewReplacer(pairs("\\`*_{}[]<>()#+!|~")...)

func pairs(characters string) []string {
	var all []string
	for _, c := range characters {
		all = append(all, string(c), fmt.Sprintf("\\%c", c))
	}
	return all
}

// marked makes text from outside harmless in a document that people render.
func marked(text string) string { return special.Replace(redact.Line(text, 1024)) }
