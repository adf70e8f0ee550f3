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
	"github.com/kubernaut/kubernaut/internal/policy"
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
func (a Answer) Give(ctx context.Context, c Cluster, person Person, w Screen) error {
	ar, err := c.remediation(ctx, a.Name)
	if err != nil {
		return err
	}
	p := printer{Screen: w}
	if a.given(ar) {
		word := ar.Spec.Approval
		p.line("%s by %s already, at %s. It is %s: %s", word.Decision, redact.Line(word.By, widest), stamp(word.At.Time), state(ar), redact.Line(why(ar), 1024))
		return p.err
	}
	if err := a.fits(ar); err != nil {
		return err
	}
	p.plan("", ar.Status.Plan)
	if p.err != nil {
		return p.err
	}
	if err := a.confirm(ctx, person, w); err != nil {
		return err
	}
	me, err := c.whoami(ctx)
	if err != nil {
		return err
	}
	if err := a.write(ctx, c, ar, me); err != nil {
		return err
	}
	p.line("%s as %s. What follows: kubectl kubernaut describe %s -n %s", a.Decision, redact.Line(me, 253), ar.Name, ar.Namespace)
	return p.err
}

// given reports whether the same was answered to the same plan: what a script says
// twice is no fault. An approval that does not count has to be given again.
func (a Answer) given(ar *v1alpha1.AlertRemediation) bool {
	word, plan := ar.Spec.Approval, ar.Status.Plan
	return word != nil && plan != nil && !policy.Voided(ar) && word.Decision == a.Decision && word.PlanDigest == plan.Digest && (a.Digest == "" || a.Digest == plan.Digest)
}

// fits reports why there is nothing to answer.
func (a Answer) fits(ar *v1alpha1.AlertRemediation) error {
	plan := ar.Status.Plan
	switch {
	case ar.Status.DuplicateOf != "":
		return fmt.Errorf("%s is a duplicate: answer for `kubectl kubernaut describe %s -n %s`", ar.Name, word(ar.Status.DuplicateOf, "NAME"), ar.Namespace)
	case ar.Finished():
		return fmt.Errorf("%s has ended as %s: nothing is left to answer", ar.Name, ar.Status.Outcome)
	case plan == nil || plan.Digest == "":
		return fmt.Errorf("%s has no plan yet (it is %s): wait for it with `kubectl wait ar/%s -n %s --for=condition=Planned`", ar.Name, state(ar), ar.Name, ar.Namespace)
	case a.Digest != "" && a.Digest != plan.Digest:
		return fmt.Errorf("the plan of %s is no longer the one you mean, its digest is %s: read it again with `kubectl kubernaut diff %s -n %s`", ar.Name, redact.Harmless(plan.Digest, widest), ar.Name, ar.Namespace)
	case a.Decision == v1alpha1.DecisionApproved && plan.Mode != v1alpha1.ModeApprove:
		return fmt.Errorf("the plan of %s asks nobody: the mode in force is %s (policy %s)", ar.Name, plan.Mode, redact.Line(plan.Policy, 2*widest))
	case ar.Status.RunRef != "":
		return fmt.Errorf("the plan of %s is being carried out by WorkflowRun %s: to stop it, `kubectl patch wr %s -n %s --type=merge -p '{\"spec\":{\"cancelled\":true}}'`", ar.Name, spelled(ar.Status.RunRef), word(ar.Status.RunRef, "NAME"), ar.Namespace)
	}
	return nil
}

// confirm asks the person, unless they said yes already.
func (a Answer) confirm(ctx context.Context, person Person, w io.Writer) error {
	if a.Yes {
		return nil
	}
	word := map[v1alpha1.Decision]string{v1alpha1.DecisionApproved: "approve", v1alpha1.DecisionRejected: "reject"}[a.Decision]
	if !person.Terminal {
		return fmt.Errorf("nobody can be asked here, since this is no terminal: say --yes to %[1]s what is shown, or --yes with --digest to %[1]s exactly one plan", word)
	}
	if _, err := fmt.Fprintf(w, "Type %q to %s exactly this plan: ", word, word); err != nil {
		return err
	}
	typed, err := person.types(ctx)
	if typed == "" {
		_, _ = fmt.Fprintln(w) // the question is still on the line
	}
	switch {
	case ctx.Err() != nil:
		return errors.New("nothing was answered")
	case err != nil && !errors.Is(err, io.EOF):
		return fmt.Errorf("reading your answer: %w", err)
	case strings.TrimSpace(typed) != word:
		return errors.New("nothing was answered")
	}
	return nil
}

// types returns the line that the person types, or nothing once ctx is over: a
// terminal can't be told to stop reading, so whoever reads it is left behind.
func (p Person) types(ctx context.Context) (string, error) {
	type line struct {
		text string
		err  error
	}
	typed := make(chan line, 1)
	go func() {
		text, err := bufio.NewReader(p.In).ReadString('\n')
		typed <- line{text, err}
	}()
	select {
	case l := <-typed:
		return l.text, l.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
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
	if apierrors.IsForbidden(err) && strings.Contains(err.Error(), "ask for the verb approve") {
		return unanswered(redact.Line(me, 253), ar.Namespace)
	}
	if denial.MatchString(fmt.Sprint(err)) {
		return explained(err)
	}
	if errors.As(err, &refused) && (apierrors.IsForbidden(err) || apierrors.IsInvalid(err)) {
		_, why, found := strings.Cut(refused.Status().Message, "denied request: ")
		if !found {
			why = refused.Status().Message
		}
		return fmt.Errorf("the API server does not take the answer: %s", redact.Line(why, 1024))
	}
	return explained(err)
}

// Diff prints what the plan of a remediation would change, and what would take it back.
func Diff(ctx context.Context, c Cluster, name string, w Screen) error {
	ar, err := c.remediation(ctx, name)
	if err != nil {
		return err
	}
	if ar.Status.Plan == nil {
		return fmt.Errorf("%s has no plan: it is %s; `kubectl kubernaut describe %s -n %s` says why", ar.Name, state(ar), ar.Name, ar.Namespace)
	}
	p := printer{Screen: w}
	p.plan("", ar.Status.Plan)
	p.next(ar)
	return p.err
}

// plan prints what would be changed, what would take it back, and what is in the way.
func (p *printer) plan(indent string, plan *v1alpha1.PlanStatus) {
	for _, step := range plan.Steps {
		p.line("%s%s of %s, risk %s%s", indent, redact.Line(step.Action, widest), redact.Line(step.Target.String(), widest), step.Risk, affected(plan))
		if step.Note != "" {
			p.line("%sNote: %s", indent, redact.Line(step.Note, 1024))
		}
		p.diff(indent+"  ", step.Diff)
		for _, unchecked := range step.NotChecked {
			p.line("%sNot checked: %s", indent, redact.Line(unchecked, 512))
		}
		if step.Undo == "" {
			p.line("%sIt can't be undone.", indent)
			continue
		}
		p.line("%sUndone by:", indent)
		p.diff(indent+"  ", step.Undo)
	}
	for _, refused := range plan.Refusals {
		if refused.Reason == v1alpha1.ReasonAwaitingApproval {
			continue // whoever reads is asked
		}
		p.line("%sHeld back now: %s: %s", indent, redact.Line(refused.Reason, widest), redact.Line(refused.Message, 1024))
	}
	p.line("%sDigest %s", indent, redact.Harmless(plan.Digest, widest))
}

func affected(plan *v1alpha1.PlanStatus) string {
	if plan.Affected == nil {
		return ""
	}
	return fmt.Sprintf(": objects written %d, pods replaced %d", plan.Affected.Objects, plan.Affected.Pods)
}
