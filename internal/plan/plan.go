// Package plan turns planned remedies into what a person reads, a policy judges
// and a WorkflowRun carries out, and compares it with what was tried before. It is pure: no client, no clock.
package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// MaxDiff is how long the diffs of a plan and of its undo may be together, in
// bytes. A plan with more can't be approved, since nobody would read it; it is
// shown cut to this, so that its AlertRemediation stays under 32 KiB.
const MaxDiff = 16 << 10

// Step is one remedy with the operations that would carry it out.
type Step struct {
	Name   string
	Spec   action.Spec
	Params action.Params
	Target v1alpha1.TargetReference
	Plan   action.Plan
	// Change is the fingerprint of what is changed.
	Change string
	// Note says what was tried before, where this is the larger step.
	Note string
}

// Risk of the step: the action's, unless the plan itself is riskier.
func (s Step) Risk() v1alpha1.Risk {
	if s.Plan.Risk != "" {
		return s.Plan.Risk
	}
	return s.Spec.Risk
}

// Proposal is a plan that can be shown, judged and run.
type Proposal struct {
	// Status is the part of status.plan that the operations decide.
	Status v1alpha1.PlanStatus
	// DiffBytes is the length of the whole diff before it was cut.
	DiffBytes int
}

// New describes the steps: digest, diffs, blast radius.
func New(steps ...Step) (Proposal, error) {
	var proposal Proposal
	plans := make([]action.Plan, 0, len(steps))
	affected := v1alpha1.Affected{}
	for _, step := range steps {
		diff, undo := Diff(step.Plan), UndoDiff(step.Plan)
		proposal.DiffBytes += len(diff) + len(undo)
		proposal.Status.Steps = append(proposal.Status.Steps, v1alpha1.PlanStep{
			Name:       step.Name,
			Action:     step.Spec.Name,
			Parameters: step.Params,
			Target:     step.Target,
			Risk:       step.Risk(),
			Diff:       diff,
			Undo:       undo,
			Note:       step.Note,
			Change:     step.Change,
			NotChecked: listed(step.Plan.NotChecked),
		})
		plans = append(plans, step.Plan)
		affected.Objects += objects(step.Plan)
		affected.Pods += step.Plan.Pods
	}
	if proposal.DiffBytes > MaxDiff {
		proposal.cut()
	}
	digest, err := action.Digest(plans...)
	if err != nil {
		return Proposal{}, err
	}
	proposal.Status.Digest = digest
	proposal.Status.Affected = &affected
	return proposal, nil
}

// maxNotChecked is how many things that were not checked a step of a status names.
const maxNotChecked = 8

// listed cuts a list to what a status may hold, and says so.
func listed(unchecked []string) []string {
	if len(unchecked) <= maxNotChecked {
		return unchecked
	}
	kept := unchecked[:maxNotChecked-1]
	return append(slices.Clone(kept), fmt.Sprintf("%d more", len(unchecked)-len(kept)))
}

// objects counts the different objects a plan writes.
func objects(p action.Plan) int32 {
	seen := map[v1alpha1.ObjectReference]bool{}
	for _, op := range p.Operations {
		seen[op.Object] = true
	}
	return int32(len(seen)) //nolint:gosec // a plan holds at most 32 operations
}

// cut gives each diff and undo of a plan that is too long an equal share.
func (p *Proposal) cut() {
	share := MaxDiff / (2 * len(p.Status.Steps))
	for i := range p.Status.Steps {
		step := &p.Status.Steps[i]
		step.Diff, step.Undo = shorten(step.Diff, share), shorten(step.Undo, share)
	}
}

// shorten cuts a diff, between characters, and says so.
func shorten(diff string, limit int) string {
	const note = "\n… cut: the whole diff is too long to be shown, and so can't be approved\n"
	if len(diff) <= limit {
		return diff
	}
	return strings.ToValidUTF8(diff[:limit-len(note)], "") + note
}

// RunName is the name of the n-th run of a remediation.
func RunName(remediation string, n int32) string {
	return remediation + "-run-" + strconv.Itoa(int(n))
}

// Run returns the n-th run of a remediation, which carries out its plan.
func Run(ar *v1alpha1.AlertRemediation, n int32) *v1alpha1.WorkflowRun {
	run := newRun(ar, n)
	run.Spec.Target = changed(ar)
	run.Spec.PlanDigest = ar.Status.Plan.Digest
	for _, step := range ar.Status.Plan.Steps {
		target := step.Target
		run.Spec.Steps = append(run.Spec.Steps, v1alpha1.Step{
			Name:   step.Name,
			Action: v1alpha1.StepAction{Name: step.Action, Parameters: step.Parameters, Target: &target},
		})
	}
	return run
}

// UndoRun returns the n-th run of a remediation, which takes an earlier one back.
func UndoRun(ar *v1alpha1.AlertRemediation, n int32, undone *v1alpha1.WorkflowRun) *v1alpha1.WorkflowRun {
	run := newRun(ar, n)
	run.Spec.Target = undone.Spec.Target
	run.Spec.Undoes = undone.Name
	return run
}

func newRun(ar *v1alpha1.AlertRemediation, n int32) *v1alpha1.WorkflowRun {
	return &v1alpha1.WorkflowRun{ObjectMeta: metav1.ObjectMeta{
		Namespace:       ar.Namespace,
		Name:            RunName(ar.Name, n),
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(ar, v1alpha1.GroupVersion.WithKind("AlertRemediation"))},
	}}
}

// changed is the object the plan's first step changes: the one the lease is about.
func changed(ar *v1alpha1.AlertRemediation) v1alpha1.TargetReference {
	return ar.Status.Plan.Steps[0].Target
}

// Ours reports whether a run that exists under a decided name is the one we
// would have made: same owner, same digest, same wish.
func Ours(found, wanted *v1alpha1.WorkflowRun) error {
	owner := found.Remediation()
	switch {
	case owner == nil || owner.UID != wanted.OwnerReferences[0].UID:
		return fmt.Errorf("WorkflowRun %s exists and is not of this remediation", found.Name)
	case found.Spec.PlanDigest != wanted.Spec.PlanDigest:
		return fmt.Errorf("WorkflowRun %s exists for another plan", found.Name)
	case found.Spec.Undoes != wanted.Spec.Undoes || !found.Spec.Target.Same(wanted.Spec.Target):
		return fmt.Errorf("WorkflowRun %s exists for something else", found.Name)
	}
	return nil
}
