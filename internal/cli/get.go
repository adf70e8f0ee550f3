package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/printers"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/redact"
)

// widest is how much of a text from outside fits into one line of a table.
const widest = 100

// Listing is what `get` prints.
type Listing struct {
	// Name of the one to print; empty: all.
	Name string
	// Everywhere: of all namespaces.
	Everywhere bool
	// Format is json or yaml, for programs; empty: a table.
	Format string
}

// Print prints the remediations of a namespace, or of all, those that wait for
// somebody first.
func (l Listing) Print(ctx context.Context, c Cluster, w Screen) error {
	if l.Format != "" && l.Format != "json" && l.Format != "yaml" {
		return fmt.Errorf("-o %q is not known: say json or yaml, or nothing for a table", redact.Line(l.Format, widest))
	}
	list, err := l.read(ctx, c)
	switch {
	case err != nil:
		return err
	case l.Format != "":
		return l.encode(w, list)
	case len(list.Items) == 0 && l.Everywhere:
		_, err := fmt.Fprintln(w, "No alert has become an AlertRemediation in any namespace; `kubectl kubernaut doctor` says whether alerts arrive.")
		return err
	case len(list.Items) == 0:
		_, err := fmt.Fprintf(w, "No alert has become an AlertRemediation in namespace %s%s\n", c.Namespace, cmp.Or(c.absent(ctx), "; -A looks into all."))
		return err
	}
	return table{items: list.Items, everywhere: l.Everywhere, now: time.Now()}.print(w)
}

func (l Listing) read(ctx context.Context, c Cluster) (*v1alpha1.AlertRemediationList, error) {
	list := &v1alpha1.AlertRemediationList{}
	switch {
	case l.Name != "" && l.Everywhere:
		return nil, errors.New("a name is looked for in one namespace: say -n instead of -A")
	case l.Name != "":
		ar, err := c.remediation(ctx, l.Name)
		if err != nil {
			return nil, err
		}
		list.Items = append(list.Items, *ar)
		return list, nil
	case l.Everywhere:
		return list, explained(c.List(ctx, list))
	}
	return list, explained(c.List(ctx, list, client.InNamespace(c.Namespace)))
}

// encode prints objects as kubectl does: one by itself, else a list.
func (l Listing) encode(w io.Writer, list *v1alpha1.AlertRemediationList) error {
	gvk := v1alpha1.GroupVersion.WithKind("AlertRemediation")
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("AlertRemediationList"))
	for i := range list.Items {
		list.Items[i].SetGroupVersionKind(gvk)
	}
	var object runtime.Object = list
	if l.Name != "" {
		object = &list.Items[0]
	}
	var format printers.ResourcePrinter = &printers.JSONPrinter{}
	if l.Format == "yaml" {
		format = &printers.YAMLPrinter{}
	}
	return (&printers.OmitManagedFieldsPrinter{Delegate: format}).PrintObj(object, w)
}

// colours of how a remediation is: what waits for a person, what went well, what went badly. Everything else is plain.
var colours = map[string]string{
	string(v1alpha1.PhaseAwaitingApproval): yellow,
	string(v1alpha1.OutcomeRemediated):     green,
	string(v1alpha1.OutcomeEscalated):      red,
	string(v1alpha1.OutcomeRolledBack):     red,
	string(v1alpha1.OutcomeFailed):         red,
}

// narrowest is how much of the last column, a sentence, is printed however narrow the terminal.
const narrowest = 24

// table is what a person reads of some remediations.
type table struct {
	items      []v1alpha1.AlertRemediation
	everywhere bool // with their namespaces
	now        time.Time
}

// column of a table.
type column struct {
	title string
	of    func(ar *v1alpha1.AlertRemediation) string
}

// columns of the table; the last is a sentence.
func (t table) columns() []column {
	all := []column{
		{"NAME", func(ar *v1alpha1.AlertRemediation) string { return ar.Name }},
		{"ALERT", func(ar *v1alpha1.AlertRemediation) string { return ar.Spec.Alert.Name }},
		{"TARGET", targetOf},
		{"IS", state},
		{"CAUSE", causeOf},
		{"ACTION", actionOf},
		{"AGE", func(ar *v1alpha1.AlertRemediation) string {
			return duration.HumanDuration(t.now.Sub(ar.CreationTimestamp.Time))
		}},
		{"WHY", why},
	}
	if t.everywhere {
		all = slices.Insert(all, 0, column{"NAMESPACE", func(ar *v1alpha1.AlertRemediation) string { return ar.Namespace }})
	}
	return all
}

func (t table) print(w Screen) error {
	slices.SortStableFunc(t.items, func(a, b v1alpha1.AlertRemediation) int {
		return cmp.Or(urgency(a)-urgency(b), b.CreationTimestamp.Compare(a.CreationTimestamp.Time))
	})
	columns := t.columns()
	text, err := t.layOut(columns)
	// On a narrow terminal the sentence is worth more than what describe tells too.
	for _, title := range []string{"ACTION", "CAUSE", "TARGET"} {
		if w.Width == 0 || sentenceAt(text)+narrowest <= w.Width || err != nil {
			break
		}
		columns = slices.DeleteFunc(columns, func(c column) bool { return c.title == title })
		text, err = t.layOut(columns)
	}
	if err != nil {
		return err
	}
	header, _, _ := strings.Cut(text, "\n")
	is := strings.Index(header, " IS ") + 1
	var out strings.Builder
	for row := range strings.Lines(text) {
		cells := []rune(strings.TrimRight(row, " \n")) // a table is laid out in characters, not in bytes
		if limit := max(w.Width, sentenceAt(text)+narrowest); w.Width > 0 && len(cells) > limit {
			cells = append(cells[:limit-1], '…')
		}
		before, word, after := cut(cells, is)
		out.WriteString(before + w.paint(colours[word], word) + after + "\n")
	}
	_, err = io.WriteString(w, out.String())
	return err
}

// sentenceAt is where the last column of a table begins.
func sentenceAt(text string) int {
	header, _, _ := strings.Cut(text, "\n")
	return strings.LastIndex(header, " ") + 1
}

// cut takes the word out that begins in a column.
func cut(cells []rune, column int) (before, word, after string) {
	column = min(column, len(cells))
	end := column
	for end < len(cells) && cells[end] != ' ' {
		end++
	}
	return string(cells[:column]), string(cells[column:end]), string(cells[end:])
}

func (t table) layOut(columns []column) (string, error) {
	var laid bytes.Buffer
	tabs := tabwriter.NewWriter(&laid, 0, 0, 2, ' ', 0)
	p := printer{Screen: Screen{Writer: tabs}}
	for row := -1; row < len(t.items); row++ {
		var cells []string
		for i, c := range columns {
			cell, limit := c.title, widest
			if i == len(columns)-1 {
				limit = 1024 // the screen says how much of it
			}
			if row >= 0 {
				cell = c.of(&t.items[row])
			}
			cells = append(cells, cmp.Or(redact.Line(cell, limit), "-"))
		}
		p.line("%s", strings.Join(cells, "\t"))
	}
	err := cmp.Or(p.err, tabs.Flush())
	return laid.String(), err
}

// urgency puts what waits for a person first, then what runs, then what ended.
func urgency(ar v1alpha1.AlertRemediation) int {
	switch {
	case ar.Finished():
		return 2
	case asksPerson(&ar):
		return 0
	}
	return 1
}

// asksPerson reports whether a plan waits for a person's answer. A gate may hold it
// back besides.
func asksPerson(ar *v1alpha1.AlertRemediation) bool {
	switch plan := ar.Status.Plan; {
	case ar.Finished():
		return false
	case ar.Status.Phase == v1alpha1.PhaseWaiting:
		return plan != nil && plan.Mode == v1alpha1.ModeApprove && ar.Spec.Approval == nil
	}
	return ar.Status.Phase == v1alpha1.PhaseAwaitingApproval
}

// state is how it ended, or else what it is doing, or what gate it waits for.
func state(ar *v1alpha1.AlertRemediation) string {
	if approved := meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Approved); approved != nil && !ar.Finished() && ar.Status.Phase == v1alpha1.PhaseWaiting {
		return approved.Reason
	}
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
