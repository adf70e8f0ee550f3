package v1alpha1

// DiagnosisSource says who found the cause.
// +kubebuilder:validation:Enum=Rules
type DiagnosisSource string

// SourceRules: the built-in rules, which need no model.
const SourceRules DiagnosisSource = "Rules"

// Cause is a code of the catalogue of causes.
// +kubebuilder:validation:Enum=CrashBadRelease;CrashDependency;CrashBadConfig;OOMKilled;ImageNotFound;ImagePullDenied;ProbeWrongPort;UntoleratedTaint;InsufficientCPU;InsufficientMemory;NodeNotReady;ManyNodesDown;ServiceSelectorMismatch;RolloutStuck;Healthy;NotEnoughEvidence
type Cause string

const (
	// CauseCrashBadRelease: containers crash since a new revision, and the one before was healthy.
	CauseCrashBadRelease Cause = "CrashBadRelease"
	// CauseCrashBadConfig: containers crash, or can't be started, for what they were given as configuration, and their log or an event names it.
	CauseCrashBadConfig Cause = "CrashBadConfig"
	// CauseCrashDependency: containers crash for want of a service outside their pod, as their log says, and no release is to blame.
	CauseCrashDependency Cause = "CrashDependency"
	// CauseOOMKilled: a container is killed for reaching its own memory limit.
	CauseOOMKilled Cause = "OOMKilled"
	// CauseImageNotFound: the registry does not have an image.
	CauseImageNotFound Cause = "ImageNotFound"
	// CauseImagePullDenied: the registry does not give an image to us, or to anybody without credentials.
	CauseImagePullDenied Cause = "ImagePullDenied"
	// CauseProbeWrongPort: a probe asks at a port where nothing listens, while the container listens at another.
	CauseProbeWrongPort Cause = "ProbeWrongPort"
	// CauseUntoleratedTaint: pods find no node, because nodes carry a taint that they do not tolerate.
	CauseUntoleratedTaint Cause = "UntoleratedTaint"
	// CauseInsufficientCPU: pods find no node, because none has as much CPU left as they request.
	CauseInsufficientCPU Cause = "InsufficientCPU"
	// CauseInsufficientMemory: pods find no node, because none has as much memory left as they request.
	CauseInsufficientMemory Cause = "InsufficientMemory"
	// CauseNodeNotReady: the kubelet of a node is silent, or says that the node is not ready.
	CauseNodeNotReady Cause = "NodeNotReady"
	// CauseManyNodesDown: so many nodes are not ready that none of them is what is broken.
	CauseManyNodesDown Cause = "ManyNodesDown"
	// CauseServiceSelectorMismatch: a Service selects no pod, and exactly one ready workload is what it should select.
	CauseServiceSelectorMismatch Cause = "ServiceSelectorMismatch"
	// CauseRolloutStuck: a rollout passed its progress deadline. What holds it up, where known, is the cause underneath.
	CauseRolloutStuck Cause = "RolloutStuck"
	// CauseHealthy: everything was read and nothing is wrong.
	CauseHealthy Cause = "Healthy"
	// CauseNotEnoughEvidence: something that had to be read could not be, or what was read explains nothing.
	CauseNotEnoughEvidence Cause = "NotEnoughEvidence"
)

// Diagnosis is the cause that was found, by whom, and what it rests on.
type Diagnosis struct {
	// source is who found it.
	// +required
	Source DiagnosisSource `json:"source"`
	// cause is the code of the cause.
	// +required
	Cause Cause `json:"cause"`
	// summary is one sentence for a person.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Summary string `json:"summary,omitempty"`
	// confidence in percent, earned by evidence.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Confidence int32 `json:"confidence,omitempty"`
	// target is the object to be changed; absent when nothing is to be changed.
	// +optional
	Target *TargetReference `json:"target,omitempty"`
	// remedies to try, best first.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=4
	Remedies []Remedy `json:"remedies,omitempty"`
	// evidence the cause rests on.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=12
	Evidence []Evidence `json:"evidence,omitempty"`
	// alternatives are the other findings: symptoms of the cause, or weaker explanations.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=6
	Alternatives []Alternative `json:"alternatives,omitempty"`
	// skipped are the better sources that gave no answer, and why.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=4
	Skipped []SkippedSource `json:"skipped,omitempty"`
}

// Remedy names an action of the catalogue and its parameters.
type Remedy struct {
	// action is a name of the catalogue.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Action string `json:"action"`
	// parameters as the action's specification types them.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="self.all(name, size(name) <= 63 && size(self[name]) <= 1024)",message="a parameter's name has at most 63 characters, its value at most 1024"
	Parameters map[string]string `json:"parameters,omitempty"`
	// refused says why this remedy can't be planned; absent: it is planned, or a better one is.
	// +optional
	Refused *Refusal `json:"refused,omitempty"`
}

// Evidence is one observation, in one redacted sentence.
type Evidence struct {
	// kind of observation.
	// +required
	Kind EvidenceKind `json:"kind"`
	// object that was observed.
	// +optional
	Object *ObjectReference `json:"object,omitempty"`
	// says what was observed.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Says string `json:"says"`
}

// EvidenceKind says where an observation comes from.
// +kubebuilder:validation:Enum=Object;Event;Log;Missing
type EvidenceKind string

const (
	// EvidenceObject: a field of an object.
	EvidenceObject EvidenceKind = "Object"
	// EvidenceEvent: an event about an object.
	EvidenceEvent EvidenceKind = "Event"
	// EvidenceLog: a line of a container's log.
	EvidenceLog EvidenceKind = "Log"
	// EvidenceMissing: something that should have been read and could not be.
	EvidenceMissing EvidenceKind = "Missing"
)

// Alternative is a finding that is not the answer.
type Alternative struct {
	// cause it would be.
	// +required
	Cause Cause `json:"cause"`
	// object it is about.
	// +optional
	Object *ObjectReference `json:"object,omitempty"`
	// confidence in percent.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Confidence int32 `json:"confidence,omitempty"`
	// summary is one sentence for a person.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Summary string `json:"summary,omitempty"`
}

// SkippedSource is a source of diagnosis that gave no answer.
type SkippedSource struct {
	// source that was passed over.
	// +required
	Source DiagnosisSource `json:"source"`
	// reason in one word.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Reason string `json:"reason"`
}
