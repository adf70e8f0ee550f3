package workflowrun

import (
	"context"
	"slices"
	"time"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/clearance"
	"github.com/kubernaut/kubernaut/internal/lease"
	"github.com/kubernaut/kubernaut/internal/plan"
)

// binding is a plan made now, and the case it makes before the gates.
type binding struct {
	clearance.Case
	steps []plan.Step
	// verdict is how long after the change it falls, as the policy is now.
	verdict time.Duration
}

// bind plans the run and binds it to the digest of that plan. That the plan is
// still the one the run was made for is for gate 13 to say, and what planning
// failed with for gate 8.
func (r *Reconciler) bind(ctx context.Context, run *v1alpha1.WorkflowRun) (binding, error) {
	b := binding{Case: clearance.Case{Run: run, Undo: run.Spec.Undoes != ""}}
	var err error
	if b.Remediation, err = lease.Owner(ctx, r.Live, run); err != nil {
		return b, err
	}
	if err := entitled(run, b.Remediation); err != nil {
		return b, err
	}
	var ahead []plan.Step // what is not in place already
	if b.Undo {
		b.steps, ahead, err = r.planUndo(ctx, run)
	} else {
		b.steps, b.Unplanned = r.planSteps(ctx, run)
		ahead = b.steps
	}
	if err != nil {
		return b, err
	}
	if why := tooLarge(b.steps); why != "" {
		return b, ends(v1alpha1.ReasonNotApplicable, "%s", why)
	}
	proposal, err := plan.New(b.steps...)
	if err != nil {
		return b, err
	}
	b.Steps, b.Digest, b.DiffBytes = cased(ahead), proposal.Status.Digest, proposal.DiffBytes
	if b.Unplanned == nil && run.Status.PlanDigest == "" {
		run.Status.PlanDigest = b.Digest
	}
	return b, nil
}

// entitled refuses a run that may not begin, whatever it plans.
func entitled(run *v1alpha1.WorkflowRun, ar *v1alpha1.AlertRemediation) error {
	switch {
	case abandoned(run, ar) != "":
		return ends(v1alpha1.ReasonCancelled, "%s", abandoned(run, ar))
	case ar != nil && ar.Finished():
		return ends(v1alpha1.ReasonCancelled, "AlertRemediation %s has ended", ar.Name)
	case ar != nil && ar.Status.RunRef != run.Name:
		return ends(v1alpha1.ReasonCancelled, "AlertRemediation %s did not make this run (its status.runRef is %q); make a run of your own, without an owner", ar.Name, ar.Status.RunRef)
	case ar != nil && run.Spec.PlanDigest == "" && run.Spec.Undoes == "":
		return ends(v1alpha1.ReasonInvalidParameters, "a run of an AlertRemediation names the digest of the plan that was approved: make another one, with spec.planDigest")
	}
	return aimed(run)
}

// aimed refuses a run whose references can't be the objects it changes. The schema
// has the same rule, but an older one may be installed.
func aimed(run *v1alpha1.WorkflowRun) error {
	for _, target := range targets(run) {
		switch {
		case target.UID == "":
			return ends(v1alpha1.ReasonInvalidParameters, "a run is about one incarnation of each target: make another one, with the uid of spec.target and of every step's target")
		case !lease.ValidUID(target.UID):
			return ends(v1alpha1.ReasonInvalidParameters, "%q is not the uid of %s: make another run, with the metadata.uid that the API server shows", target.UID, target)
		}
	}
	if run.Spec.Undoes == "" && !actsOn(run, run.Spec.Target) {
		return ends(v1alpha1.ReasonInvalidParameters,
			"spec.target %s is the target of no step: the run would hold the lease on an object that it does not change; make another one, whose spec.target is the target of one of its steps", run.Spec.Target)
	}
	return nil
}

// actsOn reports whether a step of a run has this target.
func actsOn(run *v1alpha1.WorkflowRun, target v1alpha1.TargetReference) bool {
	return slices.ContainsFunc(run.Spec.Steps, func(step v1alpha1.Step) bool { return run.StepTarget(step).Same(target) })
}

// abandoned says that a run's remediation is gone, or nothing. A run that was
// made for a remediation names the plan that was approved, and can't be changed
// in that: removing its owner before the first reconcile does not make it a run by
// hand, which needs no approval.
func abandoned(run *v1alpha1.WorkflowRun, ar *v1alpha1.AlertRemediation) string {
	owner := run.Remediation()
	switch {
	case ar != nil:
		return ""
	case owner != nil:
		return "AlertRemediation " + owner.Name + " is gone"
	case run.Spec.PlanDigest != "":
		return "it names the plan of a remediation, and no remediation controls it; make a run of your own without spec.planDigest"
	}
	return ""
}

// targets of a run: its own, and those of its steps.
func targets(run *v1alpha1.WorkflowRun) []v1alpha1.TargetReference {
	all := []v1alpha1.TargetReference{run.Spec.Target}
	for _, step := range run.Spec.Steps {
		all = append(all, run.StepTarget(step))
	}
	return all
}
