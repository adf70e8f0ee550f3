package cli

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/redact"
)

// widest is how much of a text from outside fits into one line of a table.
const widest = 100

// Get prints the remediations of a namespace, or of all, those that wait for
// somebody first.
func Get(ctx context.Context, c Cluster, everywhere bool, w Screen) error {
	var list v1alpha1.AlertRemediationList
	var options []client.ListOption
	if !everywhere {
		options = append(options, client.InNamespace(c.Namespace))
	}
	if err := c.List(ctx, &list, options...); err != nil {
		return unreachable(err)
	}
	if len(list.Items) == 0 {
		where := "namespace " + c.Namespace + " (-A: look into all)"
		if everywhere {
			where = "any namespace"
		}
		_, err := fmt.Fprintf(w, "No alert has become an AlertRemediation in %s.\n", where)
		return err
	}
	return printTable(w, list.Items, time.Now())
}

// Screen is where tables go.
type Screen struct {
	io.Writer
	// Colours, for a person's terminal.
	Colours bool
}

// colours of how a remediation is, by the codes of ANSI terminals: what waits for
// a person, what went well, what went badly. Everything else is plain.
var colours = map[string]string{
	string(v1alpha1.PhaseAwaitingApproval): "33",
	string(v1alpha1.OutcomeRemediated):     "32",
	string(v1alpha1.OutcomeEscalated):      "31",
	string(v1alpha1.OutcomeRolledBack):     "31",
	string(v1alpha1.OutcomeFailed):         "31",
}

// paint colours the words of column IS in a table that is laid out already.
func paint(table string) string {
	header, rows, _ := strings.Cut(table, "\n")
	at := strings.Index(header, " IS ") + 1
	var out strings.Builder
	out.WriteString(header + "\n")
	for row := range strings.Lines(rows) {
		word, _, _ := strings.Cut(row[min(at, len(row)):], " ")
		if code, ok := colours[word]; ok {
			row = row[:at] + "\x1b[" + code + "m" + word + "\x1b[0m" + row[at+len(word):]
		}
		out.WriteString(row)
	}
	return out.String()
}

func printTable(w Screen, items []v1alpha1.AlertRemediation, now time.Time) error {
	var laid bytes.Buffer
	if err := layOut(&laid, items, now); err != nil {
		return err
	}
	text := laid.String()
	if w.Colours {
		text = paint(text)
	}
	_, err := io.WriteString(w, text)
	return err
}

func layOut(w io.Writer, items []v1alpha1.AlertRemediation, now time.Time) error {
	slices.SortStableFunc(items, func(a, b v1alpha1.AlertRemediation) int {
		return cmp.Or(urgency(a)-urgency(b), b.CreationTimestamp.Compare(a.CreationTimestamp.Time))
	})
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	p := printer{to: table}
	p.line("NAMESPACE\tNAME\tALERT\tTARGET\tIS\tCAUSE\tACTION\tAGE\tWHY")
	for i := range items {
		ar := &items[i]
		cells := []string{
			ar.Namespace, ar.Name, ar.Spec.Alert.Name, targetOf(ar), state(ar), causeOf(ar), actionOf(ar),
			duration.HumanDuration(now.Sub(ar.CreationTimestamp.Time)), why(ar),
		}
		for i, cell := range cells {
			cells[i] = cmp.Or(redact.Line(cell, widest), "-")
		}
		p.line("%s", strings.Join(cells, "\t"))
	}
	return cmp.Or(p.err, table.Flush())
}

// urgency puts what waits for a person first, then what runs, then what ended.
func urgency(ar v1alpha1.AlertRemediation) int {
	switch {
	case ar.Finished():
		return 2
	case ar.Status.Phase == v1alpha1.PhaseAwaitingApproval:
		return 0
	}
	return 1
}

// state is how it ended, or else what it is doing.
func state(ar *v1alpha1.AlertRemediation) string {
	return cmp.Or(string(ar.Status.Outcome), string(ar.Status.Phase), string(v1alpha1.PhasePending))
}

func targetOf(ar *v1alpha1.AlertRemediation) string {
	if ar.Status.Target == nil {
		return ""
	}
	return ar.Status.Target.Kind + "/" + ar.Status.Target.Name
}

func causeOf(ar *v1alpha1.AlertRemediation) string {
	if ar.Status.Diagnosis == nil {
		return ""
	}
	return string(ar.Status.Diagnosis.Cause)
}

func actionOf(ar *v1alpha1.AlertRemediation) string {
	if ar.Status.Plan == nil {
		return ""
	}
	var names []string
	for _, step := range ar.Status.Plan.Steps {
		names = append(names, step.Action)
	}
	return strings.Join(names, ",")
}

// why is the sentence of whichever condition has the last word.
func why(ar *v1alpha1.AlertRemediation) string {
	order := []string{v1alpha1.Verified, v1alpha1.Executed, v1alpha1.Approved, v1alpha1.Planned, v1alpha1.Diagnosed, v1alpha1.Admitted}
	if ar.Finished() {
		order = []string{v1alpha1.Succeeded}
	}
	for _, name := range order {
		if c := meta.FindStatusCondition(ar.Status.Conditions, name); c != nil && c.Message != "" {
			return c.Message
		}
	}
	return ""
}
