package policy

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// notInForce stands for the guards where one was missing or had just been replaced. It equals
// no fingerprint.
const notInForce = "missing"

// seenUnder returns the guards under which the plan was shown, or the run that was made by
// hand was first seen.
func (v view) seenUnder() string {
	switch {
	case v.madeByHand():
		return v.Run.Status.Guards
	case v.Remediation == nil || v.Remediation.Status.Plan == nil:
		return ""
	}
	return v.Remediation.Status.Plan.Guards
}

// firstUnder returns the guards under which the remediation was first seen.
func (v view) firstUnder() string {
	if plan := v.Remediation.Status.Plan; v.Remediation.Status.Guards == "" && plan != nil {
		return plan.Guards // an earlier version saw it first
	}
	return v.Remediation.Status.Guards
}

// under returns what seenUnder is to be from now on. A plan is shown under guards only once
// they have been unchanged for 30 s: every answer that is not there at that moment is given
// later, while they are in force.
func (v view) under() string {
	was, guards := v.seenUnder(), v.Guards.Value
	switch {
	case v.Guards.Err != nil, v.Remediation == nil && !v.madeByHand():
		return was
	case v.Unenforced.Value != "":
		return notInForce
	case guards.Fault != "", guards.Epoch == "":
		return cmp.Or(was, notInForce)
	case was == guards.Epoch:
		return was
	case guards.Replaced && !guards.Settled:
		return cmp.Or(was, notInForce)
	case v.madeByHand():
		return cmp.Or(was, guards.Epoch)
	case !guards.Settled, len(unconfirmed(v)) > 0:
		return was
	}
	return guards.Epoch
}

// voided returns the fingerprint of the approval that does not count. That is the one that
// is there when the plan is shown under other guards than before.
func (v view) voided() string {
	if v.Remediation == nil || v.Remediation.Status.Plan == nil {
		return ""
	}
	if approval := v.Remediation.Spec.Approval; approval != nil && v.under() != v.seenUnder() {
		return fingerprint(approval)
	}
	return v.Remediation.Status.Plan.VoidedApproval
}

// Voided reports whether the approval of a remediation does not count, since a guard may not
// have been in force when it was given.
func Voided(ar *v1alpha1.AlertRemediation) bool {
	return ar.Spec.Approval != nil && ar.Status.Plan != nil && ar.Status.Plan.VoidedApproval == fingerprint(ar.Spec.Approval)
}

// fingerprint tells one answer from another, also of the same person to the same plan.
func fingerprint(approval *v1alpha1.Approval) string {
	text, _ := json.Marshal(approval) // strings and a time always marshal
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// Counting reports whether the approval of a case is about to count: then guard 1 must be
// seen to refuse a forgery.
func Counting(f Facts) bool {
	v := f.view()
	if v.Remediation == nil || v.Undo || v.mode != v1alpha1.ModeApprove || v.Guards.Err != nil || v.Guards.Value.Fault != "" {
		return false
	}
	approval := v.Remediation.Spec.Approval
	return approval != nil && approval.Decision == v1alpha1.DecisionApproved && approval.PlanDigest == v.Digest && len(doubtful(v)) == 0
}

// Answer identifies the approval of a remediation, under the guards of the case.
func Answer(f Facts) string {
	return string(f.Remediation.UID) + "/" + fingerprint(f.Remediation.Spec.Approval) + "/" + f.Guards.Value.Epoch
}

// doubtful (18): the author of an approval is known only if the guards were in force when it
// was given. While one is missing, gate 19 holds everything.
func doubtful(v view) []Refusal {
	guards := v.Guards.Value
	switch {
	case v.Guards.Err != nil || guards.Fault != "":
		return nil
	case v.seenUnder() != guards.Epoch && !guards.Settled:
		return waits(v1alpha1.ReasonGuardMissing,
			"The approval by %s does not count: the guards had not been unchanged for 30s when it was given. Once they have, ask for the approval again.", v.Remediation.Spec.Approval.By)
	case v.seenUnder() != guards.Epoch, Voided(v.Remediation):
		return waits(v1alpha1.ReasonAwaitingApproval,
			"The approval by %s does not count: the guards changed after the plan was shown, so its author is not known. Ask for the approval again: kubectl kubernaut approve %s -n %s (the digest is %s)",
			v.Remediation.Spec.Approval.By, v.Remediation.Name, v.Namespace(), v.Digest)
	case !guards.Settled:
		return waits(v1alpha1.ReasonGuardMissing, "The approval by %s counts once this leader has seen the guards unchanged for 30s.", v.Remediation.Spec.Approval.By)
	case v.Unenforced.Err != nil:
		return unreadable("whether guard approval refuses a forged approval (dry run)", v.Unenforced.Err)
	case v.Unenforced.Value != "":
		return waits(v1alpha1.ReasonGuardMissing, "The approval by %s does not count, and will be asked for again: %s", v.Remediation.Spec.Approval.By, cut(v.Unenforced.Value, maxMessage/2))
	}
	return nil
}

// guardMissing (19): what keeps approvals honest is not in force. The operator's own undo
// rests on nothing but statuses, so that guard 2 suffices: a harmful change does not stay in
// place because another guard is missing.
func guardMissing(v view) []Refusal {
	if v.Guards.Err != nil {
		return unreadable("whether the guards are in force (ValidatingAdmissionPolicies and their bindings)", v.Guards.Err)
	}
	guards := v.Guards.Value
	switch {
	case v.operatorsUndo() && guards.StatusFault != "":
		return waits(v1alpha1.ReasonGuardMissing, "The change is not undone until guard status is back, since what the undo would do is read from a status: %s", cut(guards.StatusFault, maxMessage/2))
	case v.operatorsUndo():
		return nil
	case guards.Fault != "":
		return waits(v1alpha1.ReasonGuardMissing, "No approval counts, and nothing is done, until every guard is back: %s", cut(guards.Fault, maxMessage/2))
	case v.madeByHand() && v.under() != guards.Epoch:
		return ends(v1alpha1.ReasonGuardMissing, "A guard was missing or replaced after WorkflowRun %s was made, or less than 30s before, so its author is not known; make it again.", v.Run.Name)
	}
	return nil
}

// crdOutdated (19): the API server would drop what this version writes into a status, claims
// and undos included, without a word. That holds an undo up as well.
func crdOutdated(v view) []Refusal {
	if v.Outdated.Err != nil {
		return unreadable("whether the CustomResourceDefinitions are as new as the operator", v.Outdated.Err)
	}
	if v.Outdated.Value == "" {
		return nil
	}
	return waits(v1alpha1.ReasonCRDOutdated, "Nothing is done until it is updated (kubectl apply --server-side -k config/crd): %s", cut(v.Outdated.Value, maxMessage/2))
}

// unconfirmed (19): of an alert that is said to come from Alertmanager, or to be seen by the
// operator, only guard 4 vouches. After a change of guards it counts if Alertmanager confirms
// it; a person who approves its plan does so, too.
func unconfirmed(v view) []Refusal {
	guards := v.Guards.Value
	switch {
	case v.Remediation == nil, v.Undo, v.Guards.Err != nil, guards.Fault != "", guards.Epoch == "":
		return nil
	case v.firstUnder() == guards.Epoch, v.firstUnder() == "" && (guards.Settled || !guards.Replaced):
		return nil
	case v.Remediation.Spec.Alert.Source == v1alpha1.SourceManual, v.mode != v1alpha1.ModeAuto:
		return nil
	case !guards.Settled:
		return waits(v1alpha1.ReasonGuardMissing, "The guards were replaced less than 30s ago; until then alerts that are not confirmed start nothing.")
	case v.AsksAlertmanager && v.Remediation.Spec.Alert.Source == v1alpha1.SourceAlertmanager:
		return nil // what Alertmanager says is for gate 3
	}
	return waits(v1alpha1.ReasonGuardMissing,
		"The guards were replaced after this alert arrived, and no Alertmanager can confirm it, so its author is not known. It is taken up again when it is delivered after kubectl -n %s delete ar %s", v.Namespace(), v.Remediation.Name)
}
