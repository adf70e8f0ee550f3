package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// report is what the demo writes for machines.
type report struct {
	Kubernetes string   `json:"kubernetes"`
	Nodes      int      `json:"nodes"`
	OK         bool     `json:"ok"`
	Incidents  []result `json:"incidents"`
}

// result is how one incident went.
type result struct {
	Name      string   `json:"name"`
	Alert     string   `json:"alert"`
	Namespace string   `json:"namespace"`
	Target    string   `json:"target"`
	Cause     string   `json:"cause"`
	Actions   []string `json:"actions"`
	Outcome   string   `json:"outcome"`
	Expected  string   `json:"expected"`
	// Changed are the objects written by the operator and the remediators; null without an audit log.
	Changed []string `json:"changed"`
	Seconds seconds  `json:"seconds"`
	// Faults are the disagreements between the operator's word and what the demo saw.
	Faults []string `json:"faults,omitempty"`

	remediation, why string
}

// seconds from the moment the alert was received.
type seconds struct {
	// Decision: until the plan was made, as an audit log shows it; null if none does.
	Decision *float64 `json:"decision"`
	// Healed: until the Service answered again; 0 when it never stopped.
	Healed float64 `json:"healed"`
	// Total: until the verdict.
	Total float64 `json:"total"`
	// SinceBroken: from the moment it was broken until the verdict was checked.
	SinceBroken float64 `json:"sinceBroken"`
}

// take copies what the remediation says of itself.
func (r *result) take(ar *v1alpha1.AlertRemediation) {
	r.Alert, r.Outcome, r.remediation = ar.Spec.Alert.Name, string(ar.Status.Outcome), ar.Name
	r.Actions = []string{}
	if ar.Status.Diagnosis != nil {
		r.Cause = string(ar.Status.Diagnosis.Cause)
	}
	if ar.Status.Plan != nil {
		for _, step := range ar.Status.Plan.Steps {
			r.Actions = append(r.Actions, step.Action)
		}
	}
	if c := meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Succeeded); c != nil {
		r.why = c.Message
		r.Seconds.Total = c.LastTransitionTime.Sub(ar.CreationTimestamp.Time).Seconds()
	}
	for _, entered := range ar.Status.PhaseTimes {
		if entered.Phase == v1alpha1.PhaseDone {
			r.Seconds.Total = entered.At.Sub(ar.CreationTimestamp.Time).Seconds()
		}
	}
}

func allGood(results []result) bool {
	for _, r := range results {
		if len(r.Faults) > 0 {
			return false
		}
	}
	return len(results) > 0
}

// write stores the report.
func write(path string, r report) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return os.WriteFile(path, append(raw, '\n'), 0o600)
}

// summarise prints the table, and how to look further.
func summarise(out io.Writer, results []result, c *cluster, o options) {
	fmt.Fprintf(out, "\nKubernetes %s, %d nodes. Seconds from the alert's arrival:\n\n", c.version, c.nodes)
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "\tINCIDENT\tALERT\tCAUSE\tACTION\tOUTCOME\tDECIDED\tSERVING\tVERDICT\tCHANGED")
	for _, r := range results {
		mark := "✓"
		if len(r.Faults) > 0 {
			mark = "✗"
		}
		serving := "never stopped"
		if r.Seconds.Healed > 0 {
			serving = fmt.Sprintf("%.1f", r.Seconds.Healed)
		}
		decided, changed := "not seen", "not seen"
		if r.Seconds.Decision != nil {
			decided = fmt.Sprintf("%.2f", *r.Seconds.Decision)
		}
		if r.Changed != nil {
			changed = fmt.Sprint(r.Changed)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%v\t%s\t%s\t%s\t%.1f\t%s\n",
			mark, r.Name, r.Alert, r.Cause, r.Actions, r.Outcome, decided, serving, r.Seconds.Total, changed)
	}
	_ = w.Flush() // a terminal
	for _, r := range results {
		for _, fault := range r.Faults {
			fmt.Fprintf(out, "\n✗ %s: %s\n", r.Name, fault)
		}
	}
	fmt.Fprintf(out, "\nThe same for machines: %s\n", o.output)
	if o.keep {
		fmt.Fprintf(out, "Look further:\n  export KUBECONFIG=%s\n  %s get ar,wr -A\n  %s -n %s get ar %s -o yaml\n", c.kubeconfig, c.kubectl, c.kubectl, results[0].Namespace, results[0].remediation)
		return
	}
	fmt.Fprintln(out, "To look further, keep the cluster: make demo KEEP=1")
}
