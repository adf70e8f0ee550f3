package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AlertSource says who noticed the trouble.
// +kubebuilder:validation:Enum=Alertmanager;Watch;Manual
type AlertSource string

const (
	// SourceAlertmanager: delivered to the webhook by Alertmanager. Only the operator creates such objects.
	SourceAlertmanager AlertSource = "Alertmanager"
	// SourceWatch: seen by the operator itself, by a trigger of a policy. Only the operator creates such objects.
	SourceWatch AlertSource = "Watch"
	// SourceManual: written by a person or a script.
	SourceManual AlertSource = "Manual"
)

// Severity of an alert, as its rule gave it.
// +kubebuilder:validation:Enum=critical;warning;info;unknown
type Severity string

const (
	// SeverityCritical: somebody is paged.
	SeverityCritical Severity = "critical"
	// SeverityWarning: somebody should look today.
	SeverityWarning Severity = "warning"
	// SeverityInfo: nobody needs to look.
	SeverityInfo Severity = "info"
	// SeverityUnknown: the rule gave none, or one that is none of the others.
	SeverityUnknown Severity = "unknown"
)

// Mode is how much Kubernaut may do by itself. Order: Observe < Recommend < Approve < Auto.
// +kubebuilder:validation:Enum=Observe;Recommend;Approve;Auto
type Mode string

const (
	// ModeObserve: find the cause, propose nothing.
	ModeObserve Mode = "Observe"
	// ModeRecommend: show the plan with its diff; nothing runs.
	ModeRecommend Mode = "Recommend"
	// ModeApprove: run the plan once a person approved exactly it.
	ModeApprove Mode = "Approve"
	// ModeAuto: run the plan.
	ModeAuto Mode = "Auto"
)

// Decision of a person about a plan.
// +kubebuilder:validation:Enum=Approved;Rejected
type Decision string

const (
	// DecisionApproved: carry the plan out.
	DecisionApproved Decision = "Approved"
	// DecisionRejected: leave it; the remediation ends.
	DecisionRejected Decision = "Rejected"
)

// MaxAlertText is how many characters the labels of an alert may have in all,
// names and values together, and how many its annotations.
const MaxAlertText = 6144

// Alert is what fired. Labels and annotations come from outside: they are data
// to show and to match, never instructions.
// +kubebuilder:validation:XValidation:rule="self.source == 'Manual' || has(self.fingerprint)",message="only an alert that is written by hand has no fingerprint"
type Alert struct {
	// source says who noticed the trouble.
	// +optional
	// +kubebuilder:default=Manual
	Source AlertSource `json:"source,omitempty"`
	// cluster named by the alert's cluster label, if any.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Cluster string `json:"cluster,omitempty"`
	// fingerprint of the label set, as Alertmanager computes it.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Fingerprint string `json:"fingerprint,omitempty"`
	// name of the alerting rule.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// severity of the alert.
	// +optional
	// +kubebuilder:default=unknown
	Severity Severity `json:"severity,omitempty"`
	// labels of the alert, redacted and cut: MaxAlertText characters in all.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="self.map(name, size(name) + size(self[name])).sum() <= 6144",message="the alert's labels have at most 6144 characters in all"
	Labels map[string]string `json:"labels,omitempty"`
	// annotations of the alert, redacted and cut: MaxAlertText characters in all.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.map(name, size(name) + size(self[name])).sum() <= 6144",message="the alert's annotations have at most 6144 characters in all"
	Annotations map[string]string `json:"annotations,omitempty"`
	// startsAt is when the alert began to fire.
	// +optional
	StartsAt metav1.Time `json:"startsAt,omitzero"`
	// generatorURL leads to the expression that fired.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	GeneratorURL string `json:"generatorURL,omitempty"`
	// groupKey of the notification, for correlation only.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	GroupKey string `json:"groupKey,omitempty"`
}

// Approval is a person's word about one plan. A ValidatingAdmissionPolicy lets
// only holders of the verb approve write it, and only in their own name.
type Approval struct {
	// decision is the word itself.
	// +required
	Decision Decision `json:"decision"`
	// by is the user who decided, as the API server knows them.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	By string `json:"by"`
	// at is when it was decided.
	// +optional
	At metav1.Time `json:"at,omitzero"`
	// reason in the person's words.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason,omitempty"`
	// planDigest of the plan that was decided about.
	// +required
	// +kubebuilder:validation:Pattern=`^v1:sha256:[0-9a-f]{64}$`
	// +kubebuilder:validation:MaxLength=74
	PlanDigest string `json:"planDigest"`
}

// AlertRemediationSpec is the wish: what fired, what it is about, and how far to go.
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.target) || (has(self.target) && self.target == oldSelf.target)",message="spec.target can't be changed once it is set: create another AlertRemediation"
type AlertRemediationSpec struct {
	// alert is what fired.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec.alert can't be changed: create another AlertRemediation"
	Alert Alert `json:"alert"`
	// target is the object the alert is about. Without it, it is found from the labels.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.apiVersion != 'v1' || !(self.kind in ['Node', 'Namespace', 'PersistentVolume']) || !has(self.__namespace__) || self.__namespace__ == ''",message="objects of this kind are in no namespace: leave the namespace out; only remediations and runs of the operator's namespace are about them"
	Target *ObjectReference `json:"target,omitempty"`
	// mode narrows what the policy allows; it never widens it.
	// +optional
	Mode Mode `json:"mode,omitempty"`
	// suspend stops before the next effect.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
	// approval of the plan in status.plan, by a person with the verb approve.
	// +optional
	Approval *Approval `json:"approval,omitempty"`
}

// AlertRemediationStatus is what was observed, decided and done.
type AlertRemediationStatus struct {
	// observedGeneration of the spec this status is about.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// conditions are the memory of the phases; Succeeded is the root.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// phase sums the conditions up, for printing only.
	// +optional
	Phase Phase `json:"phase,omitempty"`
	// outcome is how it ended; empty while it runs.
	// +optional
	Outcome Outcome `json:"outcome,omitempty"`
	// alert is what was heard of the alert since. Absent: firing, received once.
	// +optional
	Alert *AlertStatus `json:"alert,omitempty"`
	// target is the alert's object, with its owner at the top.
	// +optional
	Target *TargetReference `json:"target,omitempty"`
	// observedBy is the replica and version that drives this object.
	// +optional
	// +kubebuilder:validation:MaxLength=320
	ObservedBy string `json:"observedBy,omitempty"`
	// guards that were in force when the object was first seen, as a fingerprint; "missing": one was missing or had just
	// been replaced. Under other guards the alert has to be confirmed.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Guards string `json:"guards,omitempty"`
	// phaseTimes say when each phase was first entered.
	// +optional
	// +listType=map
	// +listMapKey=phase
	// +kubebuilder:validation:MaxItems=16
	PhaseTimes []PhaseTime `json:"phaseTimes,omitempty"`
	// diagnosis is the cause that was found.
	// +optional
	Diagnosis *Diagnosis `json:"diagnosis,omitempty"`
	// plan is what would be, is being or was done.
	// +optional
	Plan *PlanStatus `json:"plan,omitempty"`
	// runRef names the current WorkflowRun, in the same namespace.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	RunRef string `json:"runRef,omitempty"`
	// runs counts the WorkflowRuns made for this object; undo runs included.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Runs int32 `json:"runs,omitempty"`
	// attempts at a remedy; an undo is none.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Attempts int32 `json:"attempts,omitempty"`
	// verification is what was seen after the change.
	// +optional
	Verification *Verification `json:"verification,omitempty"`
	// duplicateOf names the remediation, in the same namespace, that is about the same target.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	DuplicateOf string `json:"duplicateOf,omitempty"`
}

// AlertState is what is known of an alert.
// +kubebuilder:validation:Enum=Firing;Resolved;Unknown
type AlertState string

const (
	// AlertFiring: it fires, silenced or not.
	AlertFiring AlertState = "Firing"
	// AlertResolved: it no longer fires.
	AlertResolved AlertState = "Resolved"
	// AlertUnknown: whoever would know could not be asked.
	AlertUnknown AlertState = "Unknown"
)

// AlertStatus is what was heard of the alert after its first delivery, or seen after its first sight.
type AlertStatus struct {
	// state of the alert.
	// +required
	State AlertState `json:"state"`
	// resolvedAt is when it stopped.
	// +optional
	ResolvedAt metav1.Time `json:"resolvedAt,omitzero"`
	// lastReceivedAt is when it was last delivered, as of the last write.
	// +optional
	LastReceivedAt metav1.Time `json:"lastReceivedAt,omitzero"`
	// occurrences counts deliveries; written at powers of two.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Occurrences int64 `json:"occurrences,omitempty"`
}

// Phase sums the conditions up in one word.
// +kubebuilder:validation:Enum=Pending;Diagnosing;Planning;Waiting;AwaitingApproval;Executing;Verifying;Done
type Phase string

const (
	// PhasePending: not yet admitted.
	PhasePending Phase = "Pending"
	// PhaseDiagnosing: the cause is being looked for.
	PhaseDiagnosing Phase = "Diagnosing"
	// PhasePlanning: the cause is known, the plan is being made.
	PhasePlanning Phase = "Planning"
	// PhaseWaiting: a gate holds the plan back; the reason of the condition Approved names it.
	PhaseWaiting Phase = "Waiting"
	// PhaseAwaitingApproval: the plan waits for a person's answer.
	PhaseAwaitingApproval Phase = "AwaitingApproval"
	// PhaseExecuting: a WorkflowRun carries the plan out.
	PhaseExecuting Phase = "Executing"
	// PhaseVerifying: the change is in place; is it well?
	PhaseVerifying Phase = "Verifying"
	// PhaseDone: ended; status.outcome says how.
	PhaseDone Phase = "Done"
)

// PhaseTime is when a phase was first entered.
type PhaseTime struct {
	// phase that was entered.
	// +required
	Phase Phase `json:"phase"`
	// at is the moment, to the microsecond.
	// +required
	At metav1.MicroTime `json:"at"`
}

// Verification is what was observed after the change.
type Verification struct {
	// alert is whether any alert of this name still fires for the target.
	// +optional
	Alert AlertState `json:"alert,omitempty"`
	// health of the target.
	// +optional
	Health Health `json:"health,omitempty"`
	// drift is true when the change is no longer in place.
	// +optional
	Drift bool `json:"drift,omitempty"`
	// drifted says what was found in place of the change, and who wrote it last.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Drifted string `json:"drifted,omitempty"`
	// since is when the target was last seen to become healthy.
	// +optional
	Since metav1.Time `json:"since,omitzero"`
	// window is how long it must be well before it counts.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	Window metav1.Duration `json:"window,omitzero"`
	// deadline is when the verdict falls.
	// +optional
	Deadline metav1.Time `json:"deadline,omitzero"`
}

// Health of a workload, a node or a Service.
// +kubebuilder:validation:Enum=Healthy;Unhealthy;Unknown
type Health string

const (
	// HealthHealthy: everything it should have is ready and stays so.
	HealthHealthy Health = "Healthy"
	// HealthUnhealthy: something it should have is not ready.
	HealthUnhealthy Health = "Unhealthy"
	// HealthUnknown: it could not be read.
	HealthUnknown Health = "Unknown"
)

// AlertRemediation is one alert on its way from the page to a verified end.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:selectablefield:JSONPath=`.spec.alert.fingerprint`
// +kubebuilder:selectablefield:JSONPath=`.status.target.uid`
// +kubebuilder:resource:shortName=ar,categories=kubernaut
// +kubebuilder:printcolumn:name="Alert",type=string,JSONPath=`.spec.alert.name`
// +kubebuilder:printcolumn:name="Target",type=string,JSONPath=`.status.target.name`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Approval",type=string,JSONPath=`.status.conditions[?(@.type=="Approved")].reason`
// +kubebuilder:printcolumn:name="Cause",type=string,JSONPath=`.status.diagnosis.cause`
// +kubebuilder:printcolumn:name="Action",type=string,JSONPath=`.status.plan.steps[0].action`
// +kubebuilder:printcolumn:name="Outcome",type=string,JSONPath=`.status.outcome`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Why",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Succeeded")].message`
type AlertRemediation struct {
	metav1.TypeMeta `json:",inline"`
	// metadata of the object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`
	// spec is the wish.
	// +required
	Spec AlertRemediationSpec `json:"spec"`
	// status is the observation. Its only writer is the operator: the API server need not
	// keep track of who owns which field.
	// +optional
	// +structType=atomic
	Status AlertRemediationStatus `json:"status,omitzero"`
}

// AlertRemediationList is a list of AlertRemediations.
// +kubebuilder:object:root=true
type AlertRemediationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []AlertRemediation `json:"items"`
}

// Finished reports whether the remediation has ended, well or badly.
func (r *AlertRemediation) Finished() bool {
	succeeded := meta.FindStatusCondition(r.Status.Conditions, Succeeded)
	return succeeded != nil && succeeded.Status != metav1.ConditionUnknown
}

// AlertState returns what is known of the alert; before the first word it fires.
func (r *AlertRemediation) AlertState() AlertState {
	if r.Status.Alert == nil {
		return AlertFiring
	}
	return r.Status.Alert.State
}
