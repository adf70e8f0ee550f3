// Package policy decides whether a plan may be carried out: a list of named
// refusals over facts that somebody else gathered. It is pure: no client, no
// clock, no context. The order of the gates is the order of docs/safety.md.
package policy

import (
	"slices"
	"time"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// Kind says what a refusal means for whoever is refused.
type Kind int

const (
	// Waits: it is asked again for as long as the alert fires.
	Waits Kind = iota
	// Ends: it is over, and a person is told why.
	Ends
	// Resolved: the alert went away by itself; nothing is left to do.
	Resolved
)

// String names the kind, for tests and logs.
func (k Kind) String() string {
	return [...]string{"Waits", "Ends", "Resolved"}[k]
}

// Refusal is a gate's no, with what follows from it.
type Refusal struct {
	v1alpha1.Refusal
	Kind Kind
}

// RefusedError carries a refusal to a caller who acts rather than asks.
type RefusedError struct{ Refusal }

func (e *RefusedError) Error() string { return e.Reason + ": " + e.Message }

// Judgement is what the policy says about one case.
type Judgement struct {
	// Mode in force. Empty when no policy could be found or read: then the
	// refusals say why, and nothing may be concluded from the mode.
	Mode v1alpha1.Mode
	// Policy that decides, as namespace/name; empty when there is none.
	Policy string
	// Refusals in the order of the gates. The first decides, the others are shown.
	Refusals []Refusal
	// Guards under which the plan is shown; what status.plan.guards becomes, and status.guards of a run made by hand.
	Guards string
	// VoidedApproval is what status.plan.voidedApproval becomes.
	VoidedApproval string
	// Cooldown between two remediations of one target.
	Cooldown time.Duration
	// ApprovalDeadline is how long a person has to answer.
	ApprovalDeadline time.Duration
	// Window is how long the target must be well afterwards.
	Window time.Duration
	// Deadline is how long after the change the verdict falls.
	Deadline time.Duration
}

// Decisive returns the refusal that decides, if there is one.
func (j Judgement) Decisive() (Refusal, bool) {
	if len(j.Refusals) == 0 {
		return Refusal{}, false
	}
	return j.Refusals[0], true
}

// Shown returns the refusals as status.plan.refusals holds them.
func (j Judgement) Shown() []v1alpha1.Refusal {
	shown := make([]v1alpha1.Refusal, 0, len(j.Refusals))
	for _, r := range j.Refusals {
		shown = append(shown, r.Refusal)
	}
	return shown
}

// maxRefusals is what status.plan.refusals holds.
const maxRefusals = 20

// gate is one named reason to say no.
type gate struct {
	number int
	name   string
	refuse func(view) []Refusal
	// undo: taking something back passes this gate too. Approving a plan approves its undo.
	undo bool
	// byHand: a run that a person made passes this gate too. The others are about an alert.
	byHand bool
}

var gates = []gate{
	{number: 0, name: "right cluster", refuse: foreignCluster},
	{number: 1, name: "kill switch", refuse: emergencyStop, undo: true, byHand: true},
	{number: 2, name: "pause", refuse: paused, undo: true, byHand: true},
	{number: 3, name: "alert still firing", refuse: alertResolved},
	{number: 4, name: "protected", refuse: protected, undo: true, byHand: true},
	{number: 5, name: "scope", refuse: outOfScope, undo: true, byHand: true},
	{number: 7, name: "other remediators", refuse: ownedByOther, undo: true, byHand: true},
	{number: 8, name: "catalogue", refuse: notInCatalogue, undo: true, byHand: true},
	{number: 12, name: "budget", refuse: budgetSpent, byHand: true},
	{number: 13, name: "cooldown", refuse: coolingDown, byHand: true},
	{number: 13, name: "changed meanwhile", refuse: changedMeanwhile, byHand: true},
	{number: 15, name: "lease", refuse: targetBusy, undo: true, byHand: true},
	{number: 16, name: "authority", refuse: forbidden, undo: true, byHand: true},
	{number: 17, name: "dry run", refuse: dryRunRejected, undo: true, byHand: true},
	{number: 18, name: "mode", refuse: modeRecommends},
	{number: 18, name: "approval", refuse: awaitingApproval},
	{number: 19, name: "definitions", refuse: crdOutdated, undo: true, byHand: true},
	{number: 19, name: "guards", refuse: guardMissing, undo: true, byHand: true},
	{number: 19, name: "origin", refuse: unconfirmed},
}

// Judge evaluates every gate that is about this case.
func Judge(f Facts) Judgement {
	v := f.view()
	j := Judgement{Mode: v.mode, Guards: v.under(), VoidedApproval: v.voided()}
	j.Cooldown, j.ApprovalDeadline, j.Window, j.Deadline = durations(v.first())
	if p := v.first(); p != nil {
		j.Policy = name(p)
	}
	j.Refusals = refusals(v, gates)
	return j
}

// JudgeEach evaluates the gates that are asked again before every single
// operation: the kill switch and the pause.
func JudgeEach(f Facts) []Refusal { return refusals(f.view(), numbered(1, 2)) }

// JudgeTarget evaluates the gates that need no plan and no alert, only an object
// that might be changed, for whoever asks what is in the way.
func JudgeTarget(f Facts) Judgement {
	j := Judge(f)
	j.Refusals = refusals(f.view(), numbered(1, 2, 4, 5, 12, 13, 15, 16, 19))
	return j
}

// numbered returns the gates that have these numbers.
func numbered(numbers ...int) []gate {
	return slices.DeleteFunc(slices.Clone(gates), func(g gate) bool { return !slices.Contains(numbers, g.number) })
}

// refusals collects what the gates say, each thing once: a source that can't be
// read is named by the first gate that needs it.
func refusals(v view, gates []gate) []Refusal {
	var all []Refusal
	said := map[v1alpha1.Refusal]bool{}
	for _, g := range gates {
		if v.Undo && !g.undo || v.byHand() && !g.byHand {
			continue
		}
		for _, r := range g.refuse(v) {
			if !said[r.Refusal] && len(all) < maxRefusals {
				said[r.Refusal] = true
				all = append(all, r)
			}
		}
	}
	return all
}
