package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/redact"
)

// Answer is a person's word about the plan of one remediation.
type Answer struct {
	// Name of the AlertRemediation.
	Name string
	// Decision to give.
	Decision v1alpha1.Decision
	// Reason in the person's words.
	Reason string
	// Digest the plan must have; empty: whichever plan is shown.
	Digest string
	// Yes: do not ask again.
	Yes bool
}

// Person is who sits before the tool, if anybody does.
type Person struct {
	// In is what they type.
	In io.Reader
	// Terminal is false for a pipe or a script: nobody can be asked.
	Terminal bool
}

// Give shows the plan, asks, and answers for exactly that plan in the name of
// whoever types. The API server has the last word: guard 1 refuses an answer
// without the verb approve, in another's name, or about another plan.
func (a Answer) Give(ctx context.Context, c Cluster, person Person, w io.Writer) error {
	ar, err := c.remediation(ctx, a.Name)
	if err != nil {
		return err
	}
	if err := a.fits(ar); err != nil {
		return err
	}
	if err := printPlan(w, ar.Status.Plan); err != nil {
		return err
	}
	if err := a.confirm(person, w); err != nil {
		return err
	}
	me, err := c.whoami(ctx)
	if err != nil {
		return err
	}
	if err := a.write(ctx, c, ar, me); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s as %s. What follows: kubectl kubernaut describe %s -n %s\n", a.Decision, me, ar.Name, ar.Namespace)
	return err
}

// fits reports why there is nothing to answer.
func (a Answer) fits(ar *v1alpha1.AlertRemediation) error {
	plan := ar.Status.Plan
	switch {
	case ar.Finished():
		return fmt.Errorf("%s has ended as %s: nothing is left to answer", ar.Name, ar.Status.Outcome)
	case plan == nil || plan.Digest == "":
		return fmt.Errorf("%s has no plan yet (it is %s): wait for it with `kubectl wait ar/%s -n %s --for=condition=Planned`", ar.Name, state(ar), ar.Name, ar.Namespace)
	case a.Digest != "" && a.Digest != plan.Digest:
		return fmt.Errorf("the plan of %s is no longer the one you mean, its digest is %s: read it again with `kubectl kubernaut diff %s -n %s`", ar.Name, plan.Digest, ar.Name, ar.Namespace)
	case a.Decision == v1alpha1.DecisionApproved && plan.Mode != v1alpha1.ModeApprove:
		return fmt.Errorf("the plan of %s asks nobody: the mode in force is %s (policy %s)", ar.Name, plan.Mode, plan.Policy)
	case ar.Status.RunRef != "":
		return fmt.Errorf("the plan of %s is being carried out by WorkflowRun %s: to stop it, `kubectl patch wr %s -n %s --type=merge -p '{\"spec\":{\"cancelled\":true}}'`", ar.Name, ar.Status.RunRef, ar.Status.RunRef, ar.Namespace)
	}
	return nil
}

// confirm asks the person, unless they said yes already.
func (a Answer) confirm(person Person, w io.Writer) error {
	if a.Yes {
		return nil
	}
	word := map[v1alpha1.Decision]string{v1alpha1.DecisionApproved: "approve", v1alpha1.DecisionRejected: "reject"}[a.Decision]
	if !person.Terminal {
		return fmt.Errorf("nobody can be asked here: say --yes to %s what is shown, or --digest with --yes to mean exactly one plan", word)
	}
	if _, err := fmt.Fprintf(w, "Type %q to %s exactly this plan: ", word, word); err != nil {
		return err
	}
	typed, err := bufio.NewReader(person.In).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading your answer: %w", err)
	}
	if strings.TrimSpace(typed) != word {
		return errors.New("nothing was answered")
	}
	return nil
}

func (a Answer) write(ctx context.Context, c Cluster, ar *v1alpha1.AlertRemediation, me string) error {
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"approval": v1alpha1.Approval{
		Decision: a.Decision, By: me, At: metav1.NewTime(time.Now()), Reason: a.Reason, PlanDigest: ar.Status.Plan.Digest,
	}}})
	if err != nil {
		return err
	}
	err = c.Patch(ctx, ar, client.RawPatch(types.MergePatchType, patch), client.FieldOwner("kubectl-kubernaut"))
	var refused apierrors.APIStatus
	if errors.As(err, &refused) && (apierrors.IsForbidden(err) || apierrors.IsInvalid(err)) {
		return fmt.Errorf("the API server does not take the answer: %s", redact.Line(refused.Status().Message, 1024))
	}
	return unreachable(err)
}

// Diff prints what the plan of a remediation would change, and what would take it back.
func Diff(ctx context.Context, c Cluster, name string, w io.Writer) error {
	ar, err := c.remediation(ctx, name)
	if err != nil {
		return err
	}
	if ar.Status.Plan == nil {
		return fmt.Errorf("%s has no plan: it is %s; `kubectl kubernaut describe %s -n %s` says why", name, state(ar), name, ar.Namespace)
	}
	return printPlan(w, ar.Status.Plan)
}

func printPlan(w io.Writer, plan *v1alpha1.PlanStatus) error {
	p := printer{to: w}
	for _, step := range plan.Steps {
		p.line("%s of %s, risk %s%s", redact.Line(step.Action, widest), redact.Line(step.Target.String(), widest), step.Risk, affected(plan))
		p.block("  ", step.Diff)
		if step.Undo == "" {
			p.line("It can't be undone.")
			continue
		}
		p.line("Undone by:")
		p.block("  ", step.Undo)
	}
	for _, refused := range plan.Refusals {
		p.line("Held back now: %s: %s", refused.Reason, redact.Line(refused.Message, 1024))
	}
	p.line("Digest %s", plan.Digest)
	return p.err
}

func affected(plan *v1alpha1.PlanStatus) string {
	if plan.Affected == nil {
		return ""
	}
	return fmt.Sprintf(": objects written %d, pods replaced %d", plan.Affected.Objects, plan.Affected.Pods)
}

// block prints a text of several lines, each of them harmless to a terminal.
func (p *printer) block(indent, text string) {
	for line := range strings.Lines(text) {
		p.line("%s%s", indent, strings.TrimRight(redact.Text(line), "\n"))
	}
}
