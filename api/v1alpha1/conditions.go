package v1alpha1

// Condition types. Succeeded is the root of every kind: Unknown while it runs.
const (
	// Succeeded is True for the six good ends of a remediation, or when a run did all it should.
	Succeeded = "Succeeded"
	// Admitted: the alert's object is known, and no other remediation lives for it.
	Admitted = "Admitted"
	// Diagnosed: the cause is known, or it is known that it can't be.
	Diagnosed = "Diagnosed"
	// Planned: the operations are known, or there are none to plan.
	Planned = "Planned"
	// Approved: every gate lets the plan through, and a person too where one is asked.
	Approved = "Approved"
	// Executed: the run carried the plan out.
	Executed = "Executed"
	// Verified: the verdict has fallen.
	Verified = "Verified"
	// Claimed (WorkflowRun): the run holds the lease on its target.
	Claimed = "Claimed"
	// RolledBack (WorkflowRun): what the run did was taken back.
	RolledBack = "RolledBack"
)

// Outcome is how a remediation ended.
// +kubebuilder:validation:Enum=Remediated;Recommended;Observed;NoActionNeeded;ResolvedItself;Refused;Rejected;Expired;Escalated;RolledBack;Failed;Duplicate
type Outcome string

const (
	// OutcomeRemediated: the change was made, the target stayed healthy for the whole window and the alert resolved.
	OutcomeRemediated Outcome = "Remediated"
	// OutcomeRecommended: the plan is shown; the policy lets nothing run.
	OutcomeRecommended Outcome = "Recommended"
	// OutcomeObserved: the cause is shown; the policy lets nothing be proposed.
	OutcomeObserved Outcome = "Observed"
	// OutcomeNoActionNeeded: everything was read and nothing is wrong.
	OutcomeNoActionNeeded Outcome = "NoActionNeeded"
	// OutcomeResolvedItself: the alert resolved before anything was done, or while its fault was only contained, which was taken back.
	OutcomeResolvedItself Outcome = "ResolvedItself"
	// OutcomeRefused: a gate said no.
	OutcomeRefused Outcome = "Refused"
	// OutcomeRejected: a person said no.
	OutcomeRejected Outcome = "Rejected"
	// OutcomeExpired: no answer came before the deadline, and silence is never approval; or the plan was held back for a day.
	OutcomeExpired Outcome = "Expired"
	// OutcomeEscalated: a person is needed.
	OutcomeEscalated Outcome = "Escalated"
	// OutcomeRolledBack: the change did not help and was taken back.
	OutcomeRolledBack Outcome = "RolledBack"
	// OutcomeFailed: the change failed and could not be taken back.
	OutcomeFailed Outcome = "Failed"
	// OutcomeDuplicate: another remediation is about the same target.
	OutcomeDuplicate Outcome = "Duplicate"
)

// Good reports whether the outcome makes the condition Succeeded True.
func (o Outcome) Good() bool {
	switch o {
	case OutcomeRemediated, OutcomeRecommended, OutcomeObserved, OutcomeNoActionNeeded, OutcomeResolvedItself, OutcomeDuplicate:
		return true
	}
	return false
}

// Reasons of the gates (conditions Approved and Claimed, status.plan.refusals). The numbers are the order of evaluation.
const (
	// ReasonForeignCluster (0): the alert is about another cluster.
	ReasonForeignCluster = "ForeignCluster"
	// ReasonEmergencyStop (1): the ConfigMap kubernaut-emergency-stop exists in the operator's namespace.
	ReasonEmergencyStop = "EmergencyStop"
	// ReasonPaused (2): a pause request, spec.suspend, spec.paused or the annotation kubernaut.io/pause holds it.
	ReasonPaused = "Paused"
	// ReasonAlertResolved (3): the alert no longer fires for anything that resolves to the target.
	ReasonAlertResolved = "AlertResolved"
	// ReasonProtected (4): the namespace or the object is protected.
	ReasonProtected = "Protected"
	// ReasonOutOfScope (5): no policy of the namespace is about the object the plan changes.
	ReasonOutOfScope = "OutOfScope"
	// ReasonOwnedByOther (7): another remediator is at work on the object.
	ReasonOwnedByOther = "OwnedByOther"
	// ReasonUnknownAction (8): the catalogue has no such action.
	ReasonUnknownAction = "UnknownAction"
	// ReasonInvalidParameters (8): the parameters do not validate.
	ReasonInvalidParameters = "InvalidParameters"
	// ReasonNotApplicable (8): the action's own precondition does not hold.
	ReasonNotApplicable = "NotApplicable"
	// ReasonNotYet (8): the action's own precondition can't be judged yet: the target is well
	// for too short a time, or something it depends on can't be read. It is planned again.
	ReasonNotYet = "NotYet"
	// ReasonBudgetSpent (12): within an hour as many runs were made as the policy has places for in this namespace,
	// or as the cluster has.
	ReasonBudgetSpent = "BudgetSpent"
	// ReasonCooldown (13): the target was remediated a short while ago.
	ReasonCooldown = "Cooldown"
	// ReasonIneffective (13): the same change was made to the target before, for the same cause, and did not help.
	ReasonIneffective = "Ineffective"
	// ReasonChangedMeanwhile (13): what is there is no longer what was planned for.
	ReasonChangedMeanwhile = "ChangedMeanwhile"
	// ReasonTargetBusy (15): another run holds the target.
	ReasonTargetBusy = "TargetBusy"
	// ReasonForbidden (16): the tenant's account may not do it.
	ReasonForbidden = "Forbidden"
	// ReasonDryRunRejected (17): the API server rejects it.
	ReasonDryRunRejected = "DryRunRejected"
	// ReasonAwaitingApproval (18): a person must approve exactly this plan.
	ReasonAwaitingApproval = "AwaitingApproval"
	// ReasonDiffTooLong (18): the diff is too long for a person to read, so it can't be approved.
	ReasonDiffTooLong = "DiffTooLong"
	// ReasonGuardMissing (19): one of the guards or its binding is missing or altered.
	ReasonGuardMissing = "GuardMissing"
	// ReasonCRDOutdated (19): a CustomResourceDefinition in the cluster is older than the program, which would lose what it writes.
	ReasonCRDOutdated = "CRDOutdated"
	// ReasonUnreadable: what a gate needs could not be read; it is tried again.
	ReasonUnreadable = "Unreadable"
	// ReasonUnknownKind: what is needed is of a kind that no API of the cluster serves; it is tried again for some minutes.
	ReasonUnknownKind = "UnknownKind"
	// ReasonReadForbidden: the operator may not read what is needed; it is tried again for some minutes.
	ReasonReadForbidden = "ReadForbidden"
)

// Reasons of the other conditions.
const (
	// ReasonRunning: not yet ended.
	ReasonRunning = "Running"
	// ReasonTargetFound: the alert's object is known.
	ReasonTargetFound = "TargetFound"
	// ReasonNoTarget: the alert names nothing that exists in this cluster; analysis only.
	ReasonNoTarget = "NoTarget"
	// ReasonDuplicate: another remediation is about the same target.
	ReasonDuplicate = "Duplicate"
	// ReasonCauseFound: the cause is known.
	ReasonCauseFound = "CauseFound"
	// ReasonNothingWrong: everything was read and nothing is wrong.
	ReasonNothingWrong = "NothingWrong"
	// ReasonNotEnoughEvidence: what was read names no cause.
	ReasonNotEnoughEvidence = "NotEnoughEvidence"
	// ReasonPlanReady: the plan is in status.plan.
	ReasonPlanReady = "PlanReady"
	// ReasonNothingToDo: there is nothing to plan.
	ReasonNothingToDo = "NothingToDo"
	// ReasonNoRemedy: no remedy of the diagnosis can be planned.
	ReasonNoRemedy = "NoRemedy"
	// ReasonPolicyAllows: the policy lets the plan run by itself.
	ReasonPolicyAllows = "PolicyAllows"
	// ReasonPersonApproved: a person approved exactly this plan.
	ReasonPersonApproved = "PersonApproved"
	// ReasonRejected: a person rejected the plan.
	ReasonRejected = "Rejected"
	// ReasonDeadlineExceeded: it did not happen in time.
	ReasonDeadlineExceeded = "DeadlineExceeded"
	// ReasonModeRecommends: the mode in force lets nothing run.
	ReasonModeRecommends = "ModeRecommends"
	// ReasonRunMade: a WorkflowRun was made.
	ReasonRunMade = "RunMade"
	// ReasonOverQuota: a ResourceQuota has no room for the WorkflowRun; it is tried again for a while.
	ReasonOverQuota = "OverQuota"
	// ReasonNamespaceTerminating: the namespace is being deleted, and takes no WorkflowRun.
	ReasonNamespaceTerminating = "NamespaceTerminating"
	// ReasonRunRefused: the API server does not take the WorkflowRun for another reason; it is tried again for a while.
	ReasonRunRefused = "RunRefused"
	// ReasonCompleted: everything was done.
	ReasonCompleted = "Completed"
	// ReasonNameTaken: an object of the decided name exists and is not ours.
	ReasonNameTaken = "NameTaken"
	// ReasonPreconditionFailed: the API server answered 409 or 422 at an operation.
	ReasonPreconditionFailed = "PreconditionFailed"
	// ReasonStepFailed: a step failed; its message says why.
	ReasonStepFailed = "StepFailed"
	// ReasonPodsLeft: pods that should have been evicted are still there when the run's time is over. What was
	// changed before stays in place: a target that is not well with them says nothing against it.
	ReasonPodsLeft = "PodsLeft"
	// ReasonCancelled: spec.cancelled was set.
	ReasonCancelled = "Cancelled"
	// ReasonCannotUndo: there is nothing recorded that would take it back.
	ReasonCannotUndo = "CannotUndo"
	// ReasonObserving: the verdict has not fallen yet.
	ReasonObserving = "Observing"
	// ReasonHealthy: the alert resolved and the target stayed healthy for the whole window.
	ReasonHealthy = "Healthy"
	// ReasonUnhealthy: the target is unhealthy at the deadline.
	ReasonUnhealthy = "Unhealthy"
	// ReasonHeld: the run holds the lease on its target.
	ReasonHeld = "Held"
	// ReasonReleased: the lease on the target was given back.
	ReasonReleased = "Released"
	// ReasonRolledBack: the change was taken back.
	ReasonRolledBack = "RolledBack"
	// ReasonDrifted: the change is no longer in place.
	ReasonDrifted = "Drifted"
	// ReasonTargetGone: the object is gone.
	ReasonTargetGone = "TargetGone"
)

// Names and keys that are part of the API.
const (
	// RemediatorAccount is the ServiceAccount whose rights a run acts with.
	RemediatorAccount = "kubernaut-remediator"
	// EmergencyStopName is the ConfigMap in the operator's namespace that stops everything.
	EmergencyStopName = "kubernaut-emergency-stop"
	// DefaultPolicyName is the policy in the operator's namespace that applies where a namespace has none.
	DefaultPolicyName = "default"
	// PauseAnnotation on a target or namespace holds everything about it; its value is the reason.
	PauseAnnotation = "kubernaut.io/pause"
	// ProtectedLabel with the value true on an object or namespace keeps it from being touched.
	ProtectedLabel = "kubernaut.io/protected"
	// RestartAnnotation on a pod template says which step restarted it: remediation/attempt/step.
	RestartAnnotation = "kubernaut.io/restarted-by"
	// RunFinalizer keeps a deleted run until its claimed operation is settled and its lease deleted.
	RunFinalizer = "kubernaut.io/run"
	// FingerprintLabel on an AlertRemediation carries the alert's fingerprint, for lookups.
	FingerprintLabel = "kubernaut.io/fingerprint"
)
