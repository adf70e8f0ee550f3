package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// RemediationPolicySpec says how much Kubernaut may do in this namespace, and about what.
type RemediationPolicySpec struct {
	// mode is the highest autonomy.
	// +required
	Mode Mode `json:"mode"`
	// ceiling is the highest mode any namespace may give itself. It counts only in the policy default of the operator's namespace.
	// +optional
	Ceiling Mode `json:"ceiling,omitempty"`
	// selectors say what the policy is about; none: everything. The most specific policy wins.
	// +optional
	Selectors PolicySelectors `json:"selectors,omitzero"`
	// rules narrow the mode by action, risk and kind; the first match wins. Rules without a match: at most Recommend.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Rules []PolicyRule `json:"rules,omitempty"`
	// limits bound how often.
	// +optional
	// +kubebuilder:default={}
	Limits PolicyLimits `json:"limits,omitzero"`
	// approval says how long a plan waits for a person.
	// +optional
	// +kubebuilder:default={}
	Approval PolicyApproval `json:"approval,omitzero"`
	// verification says when a change counts as a success.
	// +optional
	// +kubebuilder:default={}
	Verification PolicyVerification `json:"verification,omitzero"`
	// triggers start remediations of what the operator itself sees, without an alert. None: only alerts do.
	// NodeNotReady counts only in the policy default of the operator's namespace.
	// +optional
	// +listType=map
	// +listMapKey=kind
	// +kubebuilder:validation:MaxItems=5
	Triggers []PolicyTrigger `json:"triggers,omitempty"`
	// retention says how long what has ended stays in the namespace.
	// +optional
	Retention *PolicyRetention `json:"retention,omitempty"`
	// pauseRequests hold everything this policy decides; any live one pauses.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	PauseRequests []PauseRequest `json:"pauseRequests,omitempty"`
}

// PolicySelectors say what a policy is about. Each that is given must match.
type PolicySelectors struct {
	// alerts by name.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=253
	Alerts []string `json:"alerts,omitempty"`
	// kinds of the target.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=63
	Kinds []string `json:"kinds,omitempty"`
	// labels of the target.
	// +optional
	Labels *metav1.LabelSelector `json:"labels,omitempty"`
}

// PolicyRule gives plans of a kind a mode.
type PolicyRule struct {
	// actions by name; none: any.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=63
	Actions []string `json:"actions,omitempty"`
	// maxRisk is the highest risk this rule is about; empty: any.
	// +optional
	MaxRisk Risk `json:"maxRisk,omitempty"`
	// kinds of the object that is changed; none: any.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=63
	Kinds []string `json:"kinds,omitempty"`
	// mode of the plans that match; never higher than the policy's.
	// +required
	Mode Mode `json:"mode"`
}

// PolicyLimits bound how often.
type PolicyLimits struct {
	// cooldown between two remediations of one target uid.
	// +optional
	// +kubebuilder:default="10m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('168h')",message="limits.cooldown is between 0s and 168h"
	Cooldown *metav1.Duration `json:"cooldown,omitempty"`
	// maxPerHour is how many runs may be made within an hour, for everything this policy decides about. Each namespace
	// has a budget of its own, also under the policy default, which decides for many.
	// +optional
	// +kubebuilder:default=20
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=200
	MaxPerHour int32 `json:"maxPerHour,omitempty"`
	// clusterMaxPerHour is how many runs may be made within an hour in all namespaces together, whichever policies decide;
	// no namespace may make more than a quarter of them. It counts only in the policy default of the operator's namespace; absent: 200.
	// +optional
	// +kubebuilder:validation:Minimum=4
	// +kubebuilder:validation:Maximum=800
	ClusterMaxPerHour int32 `json:"clusterMaxPerHour,omitempty"`
}

// PolicyApproval says how a person is asked.
type PolicyApproval struct {
	// deadline after which an unanswered plan ends as Expired.
	// +optional
	// +kubebuilder:default="4h"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('168h')",message="approval.deadline is between 1s and 168h"
	Deadline *metav1.Duration `json:"deadline,omitempty"`
}

// PolicyVerification says when a change counts as a success.
// +kubebuilder:validation:XValidation:rule="!has(self.window) || !has(self.deadline) || duration(self.window) <= duration(self.deadline)",message="verification.window is not longer than verification.deadline"
type PolicyVerification struct {
	// window is how long the target must be well.
	// +optional
	// +kubebuilder:default="5m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('24h')",message="verification.window is between 1s and 24h"
	Window *metav1.Duration `json:"window,omitempty"`
	// deadline is when the verdict falls.
	// +optional
	// +kubebuilder:default="15m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('24h')",message="verification.deadline is between 1s and 24h"
	Deadline *metav1.Duration `json:"deadline,omitempty"`
}

// TriggerKind is a trouble that the operator sees by itself.
// +kubebuilder:validation:Enum=CrashLoop;OOMKill;ImagePull;StuckRollout;NodeNotReady
type TriggerKind string

const (
	// TriggerCrashLoop: a container ends again and again.
	TriggerCrashLoop TriggerKind = "CrashLoop"
	// TriggerOOMKill: a container was killed for its memory.
	TriggerOOMKill TriggerKind = "OOMKill"
	// TriggerImagePull: an image can't be pulled.
	TriggerImagePull TriggerKind = "ImagePull"
	// TriggerStuckRollout: a Deployment made no progress before its deadline.
	TriggerStuckRollout TriggerKind = "StuckRollout"
	// TriggerNodeNotReady: a node is not ready, or says nothing.
	TriggerNodeNotReady TriggerKind = "NodeNotReady"
)

// PolicyTrigger says when a trouble that is seen starts a remediation.
// +kubebuilder:validation:XValidation:rule="!has(self.minOccurrences) || self.kind in ['CrashLoop', 'OOMKill']",message="minOccurrences is for CrashLoop and OOMKill: nothing else is counted"
type PolicyTrigger struct {
	// kind of the trouble.
	// +required
	Kind TriggerKind `json:"kind"`
	// holdFor is how long it must have been there, as far as the operator saw; one that starts anew begins again.
	// +optional
	// +kubebuilder:default="30s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('24h')",message="triggers.holdFor is between 0s and 24h"
	HoldFor *metav1.Duration `json:"holdFor,omitempty"`
	// minOccurrences is how often the container was restarted: 3 for CrashLoop and 1 for OOMKill, unless given.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MinOccurrences int32 `json:"minOccurrences,omitempty"`
	// repeatAfter is how long, after a remediation of it has ended, the same trouble starts no other.
	// +optional
	// +kubebuilder:default="1h"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('168h')",message="triggers.repeatAfter is between 1m and 168h"
	RepeatAfter *metav1.Duration `json:"repeatAfter,omitempty"`
}

// PolicyRetention says how long, and how many, AlertRemediations and WorkflowRuns
// that have ended stay. One whose alert still fires records that the alert was
// remediated: it stays four times as long, and up to half of the objects that stay
// are the youngest of these.
type PolicyRetention struct {
	// keep is how long they stay after their end.
	// +optional
	// +kubebuilder:default="168h"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1h') && duration(self) <= duration('8760h')",message="retention.keep is between 1h and 8760h"
	Keep *metav1.Duration `json:"keep,omitempty"`
	// most is how many of them stay, the youngest. All of them count.
	// +optional
	// +kubebuilder:default=500
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=10000
	Most int32 `json:"most,omitempty"`
}

// PauseRequest holds what a policy decides.
type PauseRequest struct {
	// by is who asks.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	By string `json:"by"`
	// reason in their words.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason"`
	// until when; absent: until it is removed.
	// +optional
	Until metav1.Time `json:"until,omitzero"`
}

// RemediationPolicyStatus holds what the policy has let through.
type RemediationPolicyStatus struct {
	// reservations are the places taken in the budget, kept for an hour and for the cooldown.
	// +optional
	// +listType=map
	// +listMapKey=run
	// +kubebuilder:validation:MaxItems=256
	Reservations []Reservation `json:"reservations,omitempty"`
	// clusterRuns are the places taken within the last hour in limits.clusterMaxPerHour. Only the policy default of the
	// operator's namespace has them.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=800
	ClusterRuns []ClusterRun `json:"clusterRuns,omitempty"`
}

// ClusterRun is a place in limits.clusterMaxPerHour, taken before the place in the budget of the policy that decides.
type ClusterRun struct {
	// namespace of the run.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`
	// at is when the place was taken.
	// +required
	At metav1.Time `json:"at"`
}

// Reservation is a place taken before a run is made, so that two workers can't take it twice.
type Reservation struct {
	// run it was taken for, as namespace/name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=320
	Run string `json:"run"`
	// uid of the object that the place was taken for: the AlertRemediation that makes the run, or a run made by hand.
	// It tells the run from a later one of the same name. Absent in a place that an older version took.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	UID types.UID `json:"uid,omitempty"`
	// targetUID of the object that is changed.
	// +required
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	TargetUID types.UID `json:"targetUID"`
	// action that is taken.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Action string `json:"action"`
	// at is when it was taken.
	// +required
	At metav1.Time `json:"at"`
}

// RemediationPolicy says what may be done in its namespace. The one named
// default in the operator's namespace applies where a namespace has none, and
// holds the ceiling for all.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=rp,categories=kubernaut,path=remediationpolicies
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="Ceiling",type=string,JSONPath=`.spec.ceiling`
// +kubebuilder:printcolumn:name="Paused-By",type=string,JSONPath=`.spec.pauseRequests[*].by`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type RemediationPolicy struct {
	metav1.TypeMeta `json:",inline"`
	// metadata of the object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`
	// spec is the wish.
	// +required
	Spec RemediationPolicySpec `json:"spec"`
	// status is the observation. Its only writer is the operator: the API server need not
	// keep track of who owns which field.
	// +optional
	// +structType=atomic
	Status RemediationPolicyStatus `json:"status,omitzero"`
}

// RemediationPolicyList is a list of RemediationPolicies.
// +kubebuilder:object:root=true
type RemediationPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []RemediationPolicy `json:"items"`
}
