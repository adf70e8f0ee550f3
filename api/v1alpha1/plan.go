package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Risk of an action. Order: none < low < medium < high < critical.
// +kubebuilder:validation:Enum=none;low;medium;high;critical
type Risk string

const (
	// RiskNone: reads only.
	RiskNone Risk = "none"
	// RiskLow: reversible or self-healing, one pod at a time.
	RiskLow Risk = "low"
	// RiskMedium: changes a workload's spec, reversible.
	RiskMedium Risk = "medium"
	// RiskHigh: many pods, a node, data at rest, or irreversible.
	RiskHigh Risk = "high"
	// RiskCritical: may lose data or reach beyond the namespace; always a person.
	RiskCritical Risk = "critical"
)

// PlanStatus is what would be, is being or was done.
type PlanStatus struct {
	// digest of the operations; what a person approves.
	// +optional
	// +kubebuilder:validation:MaxLength=74
	Digest string `json:"digest,omitempty"`
	// policy that decides, as namespace/name; empty when there is none.
	// +optional
	// +kubebuilder:validation:MaxLength=320
	Policy string `json:"policy,omitempty"`
	// mode that is in force for this plan.
	// +optional
	Mode Mode `json:"mode,omitempty"`
	// steps in order.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	Steps []PlanStep `json:"steps,omitempty"`
	// affected is the blast radius.
	// +optional
	Affected *Affected `json:"affected,omitempty"`
	// refusals are the gates that would refuse or hold back the plan now.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	Refusals []Refusal `json:"refusals,omitempty"`
	// approveBefore is when silence becomes Expired.
	// +optional
	ApproveBefore metav1.Time `json:"approveBefore,omitzero"`
	// guards that had been unchanged for 30 s when the plan was shown, as a fingerprint; an approval counts under no
	// others. "missing": one was missing or had just been replaced.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Guards string `json:"guards,omitempty"`
	// voidedApproval is the fingerprint of an approval that does not count, since it may have been given while a
	// guard was not in force; the plan needs another one.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	VoidedApproval string `json:"voidedApproval,omitempty"`
}

// PlanStep is one action of a plan, with what it would change.
type PlanStep struct {
	// name of the step, unique in the plan.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`
	// action of the catalogue.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Action string `json:"action"`
	// parameters of the action.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="self.all(name, size(name) <= 63 && size(self[name]) <= 1024)",message="a parameter's name has at most 63 characters, its value at most 1024"
	Parameters map[string]string `json:"parameters,omitempty"`
	// target the action changes.
	// +required
	Target TargetReference `json:"target"`
	// risk of the action.
	// +required
	Risk Risk `json:"risk"`
	// diff of what would change, with env values and ConfigMap data redacted.
	// +optional
	// +kubebuilder:validation:MaxLength=16384
	Diff string `json:"diff,omitempty"`
	// undo is what would bring it back, in the same form; empty when it can't be undone.
	// +optional
	// +kubebuilder:validation:MaxLength=16384
	Undo string `json:"undo,omitempty"`
	// note says what was tried before, where this is the larger step after it.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Note string `json:"note,omitempty"`
	// change is a fingerprint of what the operations make of the target, and of the spec they change.
	// A change that did not help is not made again for the same cause.
	// +optional
	// +kubebuilder:validation:MaxLength=74
	Change string `json:"change,omitempty"`
	// notChecked names what the new state depends on and the plan could not check, for example
	// Secrets, which are never read.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MaxLength=512
	NotChecked []string `json:"notChecked,omitempty"`
}

// Affected is the blast radius of a plan.
type Affected struct {
	// objects that would be written.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Objects int32 `json:"objects,omitempty"`
	// pods that would be replaced or removed.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Pods int32 `json:"pods,omitempty"`
}

// Refusal is a gate's no.
type Refusal struct {
	// reason is one of the Reason constants.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Reason string `json:"reason"`
	// message says what stands in the way and what to do about it.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// Verb of an operation. Nothing else exists.
// +kubebuilder:validation:Enum=patch;delete;evict;create
type Verb string

const (
	// VerbPatch changes fields by JSON Patch (RFC 6902).
	VerbPatch Verb = "patch"
	// VerbDelete deletes one incarnation of an object.
	VerbDelete Verb = "delete"
	// VerbEvict asks for the eviction of one incarnation of a pod.
	VerbEvict Verb = "evict"
	// VerbCreate creates an object under a decided name.
	VerbCreate Verb = "create"
)

// Operation is one primitive change, with what must hold before it and how it is taken back.
type Operation struct {
	// verb is what is done.
	// +required
	Verb Verb `json:"verb"`
	// object it is done to.
	// +required
	Object ObjectReference `json:"object"`
	// subresource it is done to, for example scale; empty for the object itself.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Subresource string `json:"subresource,omitempty"`
	// precondition must hold, or nothing is done.
	// +optional
	Precondition Precondition `json:"precondition,omitzero"`
	// body is the JSON Patch of a patch, the object of a create, else absent.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Schemaless
	Body *apiextensionsv1.JSON `json:"body,omitempty"`
}

// Precondition is what must hold before an operation.
type Precondition struct {
	// uid of the object; the operation is about this incarnation only.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	UID types.UID `json:"uid,omitempty"`
	// absent means that no object of this name exists (for create).
	// +optional
	Absent bool `json:"absent,omitempty"`
	// fields that must still have these values.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Fields []FieldValue `json:"fields,omitempty"`
	// unready means that the pod is evicted only if it is not ready when its turn comes (for evict);
	// if it is ready, gone or replaced by then, the operation is recorded as Skipped.
	// +optional
	Unready bool `json:"unready,omitempty"`
}

// FieldValue is the value a field must still have; no value means that the field is absent.
type FieldValue struct {
	// path is a JSON Pointer (RFC 6901).
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Path string `json:"path"`
	// value of the field; absent when the field must be absent.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Schemaless
	Value *apiextensionsv1.JSON `json:"value,omitempty"`
}
