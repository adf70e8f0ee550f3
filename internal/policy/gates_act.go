package policy

import "github.com/kubernaut/kubernaut/api/v1alpha1"

// maxDiff is how long a diff a person can be asked to approve, in bytes.
const maxDiff = 16 << 10

// targetBusy (15): another run holds the target.
func targetBusy(v view) []Refusal {
	if v.Holder.Err != nil {
		return unreadable("whether another run holds the target", v.Holder.Err)
	}
	if v.Holder.Value == "" {
		return nil
	}
	return waits(v1alpha1.ReasonTargetBusy,
		"Run %s holds the target until its verdict has fallen; this one comes after it: kubectl get wr -A", v.Holder.Value)
}

// forbidden (16): the tenant's account may not do all of it, or not take it back.
func forbidden(v view) []Refusal {
	if v.Denied.Err != nil {
		return unreadable("what account "+v1alpha1.RemediatorAccount+" of namespace "+v.Namespace()+" may do", v.Denied.Err)
	}
	if v.Denied.Value == "" {
		return nil
	}
	return ends(v1alpha1.ReasonForbidden, "%s", v.Denied.Value)
}

// dryRunRejected (17): the API server would not take it.
func dryRunRejected(v view) []Refusal {
	if v.Rejected.Err != nil {
		return unreadable("whether the API server would accept it (dry run)", v.Rejected.Err)
	}
	if v.Rejected.Value == "" {
		return nil
	}
	return ends(v1alpha1.ReasonDryRunRejected, "%s; a person must look at it.", cut(v.Rejected.Value, maxMessage/2))
}

// modeRecommends (18): a run is about to begin, and the mode in force lets none run.
// While planning it is the caller who ends with what the mode says.
func modeRecommends(v view) []Refusal {
	if v.Run == nil || v.mode != v1alpha1.ModeObserve && v.mode != v1alpha1.ModeRecommend {
		return nil
	}
	return ends(v1alpha1.ReasonModeRecommends,
		"The mode in force is %s, which lets nothing run; see spec.mode of RemediationPolicy %s, its rules, and the ceiling in %s/%s.",
		v.mode, v.decider(), v.Operator, v1alpha1.DefaultPolicyName)
}

func (v view) decider() string {
	if p := v.first(); p != nil {
		return name(p)
	}
	return v.Operator + "/" + v1alpha1.DefaultPolicyName
}

// awaitingApproval (18): a person must have approved exactly this plan, and must
// have been able to read it. A no counts in every mode.
func awaitingApproval(v view) []Refusal {
	approval := v.Remediation.Spec.Approval
	about := approval != nil && approval.PlanDigest == v.Digest
	switch {
	case about && approval.Decision == v1alpha1.DecisionRejected:
		kind := Ends
		if v.Run == nil && v.mode == v1alpha1.ModeApprove {
			kind = Waits // whoever asked for the approval knows how a no ends
		}
		return []Refusal{refusal(kind, v1alpha1.ReasonRejected, "%s rejected this plan: %s", approval.By, brief(approval.Reason))}
	case v.mode != v1alpha1.ModeApprove:
		return nil
	case v.DiffBytes > maxDiff:
		return ends(v1alpha1.ReasonDiffTooLong,
			"The diff of this plan has %d bytes; above %d nobody can be asked to approve it, since nobody would read it: make the change by hand.", v.DiffBytes, maxDiff)
	case about && approval.Decision == v1alpha1.DecisionApproved:
		return doubtful(v)
	case approval != nil:
		return waits(v1alpha1.ReasonAwaitingApproval,
			"What %s decided is about plan %s; the plan is %s now, and needs a decision of its own: kubectl -n %s describe ar %s",
			approval.By, approval.PlanDigest, v.Digest, v.Namespace(), v.Remediation.Name)
	}
	return unanswered(v)
}

// unanswered (18): nothing was decided about this plan yet.
func unanswered(v view) []Refusal {
	if g := v.Guards; g.Err == nil && g.Value.Fault == "" && !g.Value.Settled && v.seenUnder() != g.Value.Epoch {
		return waits(v1alpha1.ReasonGuardMissing,
			"This leader has not seen the guards unchanged for 30s yet; an approval that is given before that is asked for again. Then: kubectl kubernaut approve %s -n %s (its digest is %s)",
			v.Remediation.Name, v.Namespace(), v.Digest)
	}
	return waits(v1alpha1.ReasonAwaitingApproval,
		"A person with the verb approve must let exactly this plan through: kubectl kubernaut approve %s -n %s (its digest is %s)", v.Remediation.Name, v.Namespace(), v.Digest)
}
