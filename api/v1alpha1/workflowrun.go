package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// WorkflowRunSpec says what is to be done, step by step. Who does it is never a
// field: it is always the ServiceAccount kubernaut-remediator of the namespace.
// +kubebuilder:validation:XValidation:rule="has(self.undoes) != has(self.steps)",message="a run has either steps, or undoes: the run it takes back"
// +kubebuilder:validation:XValidation:rule=`!has(self.steps) || self.steps.exists(s, !has(s.action.target) || [s.action.target.apiVersion, s.action.target.kind, s.action.target.name, s.action.target.?__namespace__.orValue(""), s.action.target.?uid.orValue("")] == [self.target.apiVersion, self.target.kind, self.target.name, self.target.?__namespace__.orValue(""), self.target.?uid.orValue("")])`,message="spec.target must be the target of one of the steps: name the object that the run changes"
// +kubebuilder:validation:XValidation:rule="self.target == oldSelf.target && has(self.planDigest) == has(oldSelf.planDigest) && (!has(self.planDigest) || self.planDigest == oldSelf.planDigest) && has(self.undoes) == has(oldSelf.undoes) && (!has(self.undoes) || self.undoes == oldSelf.undoes) && has(self.steps) == has(oldSelf.steps) && (!has(self.steps) || self.steps == oldSelf.steps) && has(self.timeout) == has(oldSelf.timeout) && (!has(self.timeout) || duration(self.timeout) == duration(oldSelf.timeout))",message="a run can't be changed but for paused and cancelled: create another one"
// +kubebuilder:validation:XValidation:rule="!(has(oldSelf.cancelled) && oldSelf.cancelled) || (has(self.cancelled) && self.cancelled)",message="a cancelled run stays cancelled: create another one"
type WorkflowRunSpec struct {
	// target the run acts on: that of one of its steps, or of the run it takes back; one live run a target.
	// +required
	// +kubebuilder:validation:XValidation:rule="self.apiVersion != 'v1' || !(self.kind in ['Node', 'Namespace', 'PersistentVolume']) || !has(self.__namespace__) || self.__namespace__ == ''",message="objects of this kind are in no namespace: leave the namespace out; only remediations and runs of the operator's namespace are about them"
	Target TargetReference `json:"target"`
	// planDigest of the plan that was approved. Absent only in a run made by hand, which is bound to its first plan.
	// +optional
	// +kubebuilder:validation:Pattern=`^v1:sha256:[0-9a-f]{64}$`
	// +kubebuilder:validation:MaxLength=74
	PlanDigest string `json:"planDigest,omitempty"`
	// undoes names the run, in the same namespace, whose recorded undos are carried out in reverse.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$`
	Undoes string `json:"undoes,omitempty"`
	// steps in order.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Steps []Step `json:"steps,omitempty"`
	// timeout for the whole run, from the first claim until the last step has settled.
	// +optional
	// +kubebuilder:default="10m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('10s') && duration(self) <= duration('24h')",message="timeout is between 10s and 24h"
	Timeout *metav1.Duration `json:"timeout,omitempty"`
	// paused holds before the next effect.
	// +optional
	Paused bool `json:"paused,omitempty"`
	// cancelled stops the run and takes back what it did.
	// +optional
	Cancelled bool `json:"cancelled,omitempty"`
}

// Step is one action on one target.
type Step struct {
	// name of the step, unique in the run.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`
	// action to plan and carry out.
	// +required
	Action StepAction `json:"action"`
}

// StepAction names an action of the catalogue, its parameters and its target.
type StepAction struct {
	// name of the action in the catalogue.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`
	// parameters as the action's specification types them.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="self.all(name, size(name) <= 63 && size(self[name]) <= 1024)",message="a parameter's name has at most 63 characters, its value at most 1024"
	Parameters map[string]string `json:"parameters,omitempty"`
	// target of the action; absent: the run's.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.apiVersion != 'v1' || !(self.kind in ['Node', 'Namespace', 'PersistentVolume']) || !has(self.__namespace__) || self.__namespace__ == ''",message="objects of this kind are in no namespace: leave the namespace out; only remediations and runs of the operator's namespace are about them"
	Target *TargetReference `json:"target,omitempty"`
}

// StepState is how far a step has come.
// +kubebuilder:validation:Enum=Pending;Running;Succeeded;Failed;Skipped;RolledBack
type StepState string

const (
	// StepPending: not begun.
	StepPending StepState = "Pending"
	// StepRunning: an operation is claimed or applied, or the effect is awaited.
	StepRunning StepState = "Running"
	// StepSucceeded: the effect has arrived.
	StepSucceeded StepState = "Succeeded"
	// StepFailed: it could not be done, or its effect did not arrive in time.
	StepFailed StepState = "Failed"
	// StepSkipped: it was never begun, because the run ended before.
	StepSkipped StepState = "Skipped"
	// StepRolledBack: it was done and taken back.
	StepRolledBack StepState = "RolledBack"
)

// OperationState is how far an operation has come.
// +kubebuilder:validation:Enum=Claimed;Applied;Skipped;Refused;Undone
type OperationState string

const (
	// OperationClaimed: about to be done, or done and not yet recorded; after a crash, look.
	OperationClaimed OperationState = "Claimed"
	// OperationApplied: the API server accepted it, or the wanted value was seen in place.
	OperationApplied OperationState = "Applied"
	// OperationSkipped: its pod was ready, gone or replaced when its turn came; nothing was changed by it. Once
	// the pod has not been ready for half a minute, while the rollout has not settled, its turn comes again.
	OperationSkipped OperationState = "Skipped"
	// OperationRefused: the API server or a gate said no; nothing was changed by it.
	OperationRefused OperationState = "Refused"
	// OperationUndone: taken back.
	OperationUndone OperationState = "Undone"
)

// OperationStatus records one operation: what, how far, and how it is taken back.
type OperationStatus struct {
	Operation `json:",inline"`
	// state of the operation; absent before it is claimed or skipped.
	// +optional
	State OperationState `json:"state,omitempty"`
	// claimedAt is when it was claimed.
	// +optional
	ClaimedAt metav1.MicroTime `json:"claimedAt,omitzero"`
	// appliedAt is when the API server accepted it.
	// +optional
	AppliedAt metav1.MicroTime `json:"appliedAt,omitzero"`
	// undo takes it back; absent: it can't be.
	// +optional
	Undo *Operation `json:"undo,omitempty"`
}

// StepStatus is what is known of a step.
type StepStatus struct {
	// name of the step.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`
	// state of the step.
	// +required
	State StepState `json:"state"`
	// startedAt is when its first operation was claimed.
	// +optional
	StartedAt metav1.MicroTime `json:"startedAt,omitzero"`
	// finishedAt is when it ended.
	// +optional
	FinishedAt metav1.MicroTime `json:"finishedAt,omitzero"`
	// message says what happened, or what is awaited.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
	// operations of the step, in order.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Operations []OperationStatus `json:"operations,omitempty"`
}

// RunOwner is the AlertRemediation that made a run.
type RunOwner struct {
	// name of the AlertRemediation; empty for a run made by hand.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
	// uid of the AlertRemediation; empty for a run made by hand.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	UID types.UID `json:"uid,omitempty"`
}

// WorkflowRunStatus is how far the run has come.
type WorkflowRunStatus struct {
	// observedGeneration of the spec this status is about.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// conditions are Succeeded, which is the root, Claimed and RolledBack.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// owner that the metadata named at the first reconcile. Later changes of the metadata have no effect.
	// +optional
	Owner *RunOwner `json:"owner,omitempty"`
	// planDigest of the plan this run is bound to.
	// +optional
	// +kubebuilder:validation:MaxLength=74
	PlanDigest string `json:"planDigest,omitempty"`
	// guards that were in force when a run made by hand was first seen, as a fingerprint; it begins under no others.
	// "missing": one was missing or had just been replaced.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Guards string `json:"guards,omitempty"`
	// actor is the user name whose rights the operations are done with.
	// +optional
	// +kubebuilder:validation:MaxLength=320
	Actor string `json:"actor,omitempty"`
	// startedAt is when the first operation was claimed; the timeout counts from here.
	// +optional
	StartedAt metav1.MicroTime `json:"startedAt,omitzero"`
	// finishedAt is when the run ended.
	// +optional
	FinishedAt metav1.MicroTime `json:"finishedAt,omitzero"`
	// progress is how many steps have ended of how many, printed.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Progress string `json:"progress,omitempty"`
	// steps in order.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	Steps []StepStatus `json:"steps,omitempty"`
}

// WorkflowRun carries out one plan, or takes one back, with the rights of the tenant.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=wr,categories=kubernaut
// +kubebuilder:printcolumn:name="Target",type=string,JSONPath=`.spec.target.name`
// +kubebuilder:printcolumn:name="Action",type=string,JSONPath=`.spec.steps[0].action.name`
// +kubebuilder:printcolumn:name="Undoes",type=string,priority=1,JSONPath=`.spec.undoes`
// +kubebuilder:printcolumn:name="Progress",type=string,JSONPath=`.status.progress`
// +kubebuilder:printcolumn:name="Succeeded",type=string,JSONPath=`.status.conditions[?(@.type=="Succeeded")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Succeeded")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Why",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Succeeded")].message`
type WorkflowRun struct {
	metav1.TypeMeta `json:",inline"`
	// metadata of the object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`
	// spec is the wish.
	// +required
	Spec WorkflowRunSpec `json:"spec"`
	// status is the observation. Its only writer is the operator: the API server need not
	// keep track of who owns which field.
	// +optional
	// +structType=atomic
	Status WorkflowRunStatus `json:"status,omitzero"`
}

// WorkflowRunList is a list of WorkflowRuns.
// +kubebuilder:object:root=true
type WorkflowRunList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []WorkflowRun `json:"items"`
}

// Finished reports whether the run has ended, well or badly.
func (r *WorkflowRun) Finished() bool {
	succeeded := meta.FindStatusCondition(r.Status.Conditions, Succeeded)
	return succeeded != nil && succeeded.Status != metav1.ConditionUnknown
}

// Remediation returns the AlertRemediation that made the run, or nil for a run
// made by hand: as it is recorded, and before that as the metadata names it.
func (r *WorkflowRun) Remediation() *RunOwner {
	owner := r.Status.Owner
	if owner == nil {
		owner = r.controller()
	}
	if owner.UID == "" {
		return nil
	}
	return owner
}

// RecordOwner records the owner that the metadata names, once.
func (r *WorkflowRun) RecordOwner() {
	if r.Status.Owner == nil {
		r.Status.Owner = r.controller()
	}
}

// controller is the AlertRemediation that the metadata names; empty where it names none.
func (r *WorkflowRun) controller() *RunOwner {
	owner := metav1.GetControllerOfNoCopy(r)
	if owner == nil || owner.Kind != "AlertRemediation" || owner.APIVersion != GroupVersion.String() {
		return &RunOwner{}
	}
	return &RunOwner{Name: owner.Name, UID: owner.UID}
}

// StepTarget returns the target of a step: its own, or else the run's.
func (r *WorkflowRun) StepTarget(step Step) TargetReference {
	if step.Action.Target != nil {
		return *step.Action.Target
	}
	return r.Spec.Target
}
