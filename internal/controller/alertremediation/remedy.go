package alertremediation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/plan"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// remedy plans the remedies of the diagnosis in their order and returns the first
// that can be planned, and why those before it can't be. Where none can, the error
// is a *refusedError.
func (r *Reconciler) remedy(ctx context.Context, ar *v1alpha1.AlertRemediation) (plan.Step, []v1alpha1.Refusal, error) {
	failed, err := r.failed(ctx, ar)
	if err != nil {
		return plan.Step{}, nil, err
	}
	var refused []v1alpha1.Refusal
	for _, remedy := range ar.Status.Diagnosis.Remedies {
		step, err := r.untried(ctx, ar, remedy, failed)
		var no *refusedError
		switch {
		case err == nil:
			return step, refused, nil
		case !errors.As(err, &no):
			return plan.Step{}, nil, err
		}
		refused = append(refused, no.refused...)
	}
	if len(refused) == 0 {
		return plan.Step{}, nil, refuse(v1alpha1.ReasonNoRemedy, "the diagnosis names no remedy")
	}
	return plan.Step{}, nil, &refusedError{refused}
}

// untried plans one remedy. A change that was made before, for the same cause and to
// the same spec, and did not help is not made again (gate 13): the next larger step
// is planned once instead, where the action has one.
func (r *Reconciler) untried(ctx context.Context, ar *v1alpha1.AlertRemediation, remedy v1alpha1.Remedy, failed []plan.Attempt) (plan.Step, error) {
	step, err := r.step(ctx, ar, remedy)
	if err != nil || len(step.Plan.Operations) == 0 || step.Spec.Contains {
		return step, err // what contains a fault is not expected to help
	}
	decision := plan.Decide(step, failed)
	if len(decision.Same) == 0 {
		return step, nil
	}
	larger, found := r.larger(step)
	if !found || !decision.Larger {
		return step, ineffective(step, decision.Same, "")
	}
	enlarged, err := r.step(ctx, ar, larger)
	var no *refusedError
	if errors.As(err, &no) {
		return step, ineffective(step, decision.Same, "; the next larger step can't be taken: "+no.Error())
	}
	if err != nil {
		return step, err
	}
	if again := plan.Decide(enlarged, failed); len(again.Same) > 0 {
		return step, ineffective(step, merged(decision.Same, again.Same), "")
	}
	enlarged.Note = cut("this is the next larger step: "+plan.Told(decision.Same), maxMessage/2)
	return enlarged, nil
}

// larger returns the remedy that is the next larger step; false if the action has no such step.
func (r *Reconciler) larger(step plan.Step) (v1alpha1.Remedy, bool) {
	act, err := r.Catalog.Find(step.Spec.Name)
	if err != nil {
		return v1alpha1.Remedy{}, false
	}
	enlarger, ok := act.(action.Enlarger)
	if !ok {
		return v1alpha1.Remedy{}, false
	}
	params, ok := enlarger.Enlarged(step.Params)
	return v1alpha1.Remedy{Action: step.Spec.Name, Parameters: params}, ok
}

// merged returns the attempts of both, each once.
func merged(a, b []plan.Attempt) []plan.Attempt {
	all := slices.Clone(a)
	for _, other := range b {
		if !slices.ContainsFunc(all, func(one plan.Attempt) bool { return one.Remediation == other.Remediation }) {
			all = append(all, other)
		}
	}
	return all
}

// ineffective refuses a change that did not help before.
func ineffective(step plan.Step, same []plan.Attempt, further string) error {
	return refuse(v1alpha1.ReasonIneffective, "%s: the same change is not made again for the same cause: %s%s", step.Spec.Name, plan.Told(same), further)
}

// step plans one remedy. Gate 8 is here: an action that is not in the catalogue,
// parameters that do not fit, or a precondition of its own that does not hold.
func (r *Reconciler) step(ctx context.Context, ar *v1alpha1.AlertRemediation, remedy v1alpha1.Remedy) (plan.Step, error) {
	act, err := r.Catalog.Find(remedy.Action)
	if err != nil {
		return plan.Step{}, refuse(v1alpha1.ReasonUnknownAction, "%s", err)
	}
	spec, params := act.Spec(), action.Params(remedy.Parameters)
	if err := spec.Validate(params); err != nil {
		return plan.Step{}, refuse(v1alpha1.ReasonInvalidParameters, "%s: %s", spec.Name, err)
	}
	step := plan.Step{Name: stepName, Spec: spec, Params: params}
	if ar.Status.Diagnosis.Target != nil {
		step.Target = *ar.Status.Diagnosis.Target
	}
	world := r.world(fmt.Sprintf("%s/%d/%s", ar.Name, ar.Status.Runs+1, step.Name))
	step.Plan, err = act.Plan(ctx, world, step.Target, params)
	var unfit *action.NotApplicableError
	switch {
	case errors.As(err, &unfit):
		return plan.Step{}, refuse(v1alpha1.ReasonNotApplicable, "%s: %s", spec.Name, unfit.Why)
	case errors.Is(err, action.ErrInvalidParameters):
		return plan.Step{}, refuse(v1alpha1.ReasonInvalidParameters, "%s: %s", spec.Name, err)
	case err != nil:
		return plan.Step{}, fmt.Errorf("planning %s of %s: %w", spec.Name, step.Target, err)
	}
	if len(step.Plan.Operations) > 0 {
		step.Change, err = r.fingerprint(ctx, ar, step)
	}
	return step, err
}

// stepName is the name of the one step of a plan that no template gave.
const stepName = "remedy"

// refusedError carries out of planning why each remedy can't be planned.
type refusedError struct{ refused []v1alpha1.Refusal }

func refuse(reason, format string, args ...any) error {
	return &refusedError{[]v1alpha1.Refusal{{Reason: reason, Message: cut(fmt.Sprintf(format, args...), maxMessage)}}}
}

func (e *refusedError) Error() string { return whyNot(e.refused) }

// reason is that of the remedy that would be best.
func (e *refusedError) reason() string { return e.refused[0].Reason }

// whyNot says why each of several remedies can't be planned.
func whyNot(refused []v1alpha1.Refusal) string {
	var each []string
	for _, no := range refused {
		each = append(each, cut(no.Message, maxMessage/2))
	}
	return strings.Join(each, "; ")
}

// refusal returns the refusals that an error carries out of planning.
func refusal(err error) (*refusedError, bool) {
	var refused *refusedError
	return refused, errors.As(err, &refused)
}

// maxRefused bounds what is said beside a remedy, in bytes: an AlertRemediation has
// to stay under 32 KiB. The condition says it at length.
const maxRefused = 256

// mark writes beside each remedy of the diagnosis why it can't be planned, so that
// it is not read as what to do.
func mark(ar *v1alpha1.AlertRemediation, refused []v1alpha1.Refusal) {
	diagnosis := *ar.Status.Diagnosis
	diagnosis.Remedies = slices.Clone(diagnosis.Remedies)
	for i := range diagnosis.Remedies {
		diagnosis.Remedies[i].Refused = nil
		if i < len(refused) {
			diagnosis.Remedies[i].Refused = &v1alpha1.Refusal{Reason: refused[i].Reason, Message: cut(refused[i].Message, maxRefused)}
		}
	}
	ar.Status.Diagnosis = &diagnosis
}

// refusedRemedies returns why remedies of the diagnosis can't be planned.
func refusedRemedies(ar *v1alpha1.AlertRemediation) []v1alpha1.Refusal {
	var refused []v1alpha1.Refusal
	for _, remedy := range ar.Status.Diagnosis.Remedies {
		if remedy.Refused != nil {
			refused = append(refused, *remedy.Refused)
		}
	}
	return refused
}

// unplanned says for a person what is wrong, and why no remedy of it can be planned.
func unplanned(ar *v1alpha1.AlertRemediation, why string) string {
	found := ar.Status.Diagnosis
	return fmt.Sprintf("%s: no remedy of %s can be planned: %s", cut(found.Summary, maxMessage/2), found.Cause, why)
}
