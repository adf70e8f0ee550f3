package analysis

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// PodSpecAnnotation, on the template of a ReplicaSet in a Snapshot, is equal
// where the whole pod specs were, before they were shortened and redacted.
const PodSpecAnnotation = "kubernaut.io/pod-spec"

// Snapshot is what the cluster showed around one target at one moment: bounded,
// redacted, and complete but for what Missing names. It can be serialised and
// replayed.
type Snapshot struct {
	// TakenAt is when gathering began; rules have no other clock.
	TakenAt time.Time `json:"takenAt"`
	// Subject is what the alert names.
	Subject v1alpha1.ObjectReference `json:"subject"`
	// Target is the owner at the top of the subject.
	Target v1alpha1.TargetReference `json:"target"`
	// Deployments of the namespace that were needed: the target, or the workloads a Service could select.
	Deployments []appsv1.Deployment `json:"deployments,omitempty"`
	// StatefulSets that were needed.
	StatefulSets []appsv1.StatefulSet `json:"statefulSets,omitempty"`
	// DaemonSets that were needed.
	DaemonSets []appsv1.DaemonSet `json:"daemonSets,omitempty"`
	// ReplicaSets of the Deployments, old ones included.
	ReplicaSets []appsv1.ReplicaSet `json:"replicaSets,omitempty"`
	// ScaledUp is when ReplicaSets were last scaled up from no pod, by name; read only where one of them is used again.
	ScaledUp map[string]time.Time `json:"scaledUp,omitempty"`
	// Revisions of the StatefulSets and DaemonSets, newest first.
	Revisions []Revision `json:"revisions,omitempty"`
	// Nodes, where a pod found none to run on: no more than how each is.
	Nodes []Node `json:"nodes,omitempty"`
	// Machine is the node that is the target; nil where it is anything else.
	Machine *Machine `json:"machine,omitempty"`
	// Pods of the target, or those a Service could select.
	Pods []corev1.Pod `json:"pods,omitempty"`
	// PodsOmitted is how many more there are that have not ended. Pods that are not ready are kept first, so those left out
	// are ready if all that are kept are; that a pod is not in Pods proves nothing else.
	PodsOmitted int `json:"podsOmitted,omitempty"`
	// Services that were needed.
	Services []corev1.Service `json:"services,omitempty"`
	// PodLabels are the keys of a Service's selector that pods of the namespace carry, with some of their values,
	// where the Service selects none. All pods were looked at, not only those in Pods.
	PodLabels map[string][]string `json:"podLabels,omitempty"`
	// EndpointSlices of the Services.
	EndpointSlices []discoveryv1.EndpointSlice `json:"endpointSlices,omitempty"`
	// Events about the target, its ReplicaSets and its pods, newest first.
	Events []corev1.Event `json:"events,omitempty"`
	// Elsewhere are warnings about pods of others in the namespace that can't get an image either, one for each owner of pods.
	Elsewhere []corev1.Event `json:"elsewhere,omitempty"`
	// Neighbours are other workloads of the namespace whose containers crash, by what is said of their pods.
	Neighbours []Neighbour `json:"neighbours,omitempty"`
	// Endpoints are hosts that the logs name, and the templates that name them too.
	Endpoints []Endpoint `json:"endpoints,omitempty"`
	// Hosts are the nodes on which containers crash, where they could be read.
	Hosts []Host `json:"hosts,omitempty"`
	// Siblings are containers of other ready workloads of the namespace with an image of the target's, where the target
	// has too little memory to begin.
	Siblings []Sibling `json:"siblings,omitempty"`
	// Changes say who last changed what can break the target. Of a ConfigMap nothing but that is read.
	Changes []Change `json:"changes,omitempty"`
	// Logs of containers that failed.
	Logs []Log `json:"logs,omitempty"`
	// Missing is what should have been read and could not be. It never means that something is broken.
	Missing []Missing `json:"missing,omitempty"`
}

// Revision of a StatefulSet or DaemonSet, as its ControllerRevision keeps it.
type Revision struct {
	// Owner is the uid of the set.
	Owner types.UID `json:"owner"`
	// Name of the ControllerRevision.
	Name string `json:"name"`
	// Number counts up; a template that is returned to gets a new one.
	Number int64 `json:"number"`
	// CreatedAt is when it was first rolled out.
	CreatedAt time.Time `json:"createdAt"`
	// Template of its pods.
	Template corev1.PodTemplateSpec `json:"template"`
}

// Sibling is a container of another workload that is ready.
type Sibling struct {
	// Workload that it belongs to, as Kind/name.
	Workload string `json:"workload"`
	// Image that it runs.
	Image string `json:"image"`
	// MemoryLimit that it has.
	MemoryLimit resource.Quantity `json:"memoryLimit"`
}

// Node is a node's name, and how it is in one word.
type Node struct {
	// Name of the node.
	Name string `json:"name"`
	// Code says how it is.
	Code NodeCode `json:"code"`
	// By names the program that set the taint, where the code is NodeLifecycle; of other taints nothing is kept.
	By string `json:"by,omitempty"`
}

// Neighbour is another workload of the namespace whose containers crash. What began at
// the same time elsewhere speaks against a cause of one's own.
type Neighbour struct {
	// Name of the workload, as kind/name.
	Name string `json:"name"`
	// Node on which the pod runs that is spoken of; empty: not known.
	Node string `json:"node,omitempty"`
	// Since when its container is backed off.
	Since time.Time `json:"since"`
	// Changed is when its pods' template was first rolled out; zero: not known.
	Changed time.Time `json:"changed,omitzero"`
	// Endpoint is the service that it says it can't use; those lines need not have it.
	Endpoint string `json:"endpoint,omitempty"`
	// Lines are the last ones that its container wrote before it ended, redacted.
	Lines []string `json:"lines,omitempty"`
}

// Endpoint is a host that a failing container's log names. The values that name it in a
// template stay out of the snapshot.
type Endpoint struct {
	// Host as the log has it.
	Host string `json:"host"`
	// Templates are the ReplicaSets or ControllerRevisions whose containers are given the host, by name.
	Templates []string `json:"templates,omitempty"`
}

// Host is a node on which containers crash.
type Host struct {
	// Name of the node.
	Name string `json:"name"`
	// Code says how it is.
	Code NodeCode `json:"code"`
	// Since when it is ready, or is not.
	Since time.Time `json:"since"`
}

// Machine is what is kept of a node that is the target. Of what runs there and of
// the other nodes it has no more than how many.
type Machine struct {
	// Conditions of the node.
	Conditions []corev1.NodeCondition `json:"conditions,omitempty"`
	// Taints on it.
	Taints []corev1.Taint `json:"taints,omitempty"`
	// Unschedulable: it is cordoned.
	Unschedulable bool `json:"unschedulable,omitempty"`
	// RenewedAt is when its kubelet last renewed its lease; zero: not known.
	RenewedAt time.Time `json:"renewedAt,omitzero"`
	// Pods that are there and have not ended.
	Pods int `json:"pods"`
	// Nodes of the cluster, this one included.
	Nodes int `json:"nodes"`
	// Down are those of them that are not ready.
	Down int `json:"down"`
}

// NodeCode says in one word how a node is.
type NodeCode string

const (
	// NodeReady: it takes pods.
	NodeReady NodeCode = "Ready"
	// NodeUnwanted: the pod that found no place asks for other nodes, by selector or affinity.
	NodeUnwanted NodeCode = "Unwanted"
	// NodeNotReady: its kubelet does not say that it is ready.
	NodeNotReady NodeCode = "NotReady"
	// NodeCordoned: somebody said that it shall take no more pods.
	NodeCordoned NodeCode = "Cordoned"
	// NodeReserved: it is for the control plane or another role.
	NodeReserved NodeCode = "Reserved"
	// NodeTainted: it is ready, and somebody's taint keeps pods off.
	NodeTainted NodeCode = "Tainted"
	// NodeTaintKept: it is ready, and keeps pods off by a taint that a person set and no action
	// takes off: its key is in a domain of Kubernetes, or the cloud's node pool puts it back.
	NodeTaintKept NodeCode = "TaintKept"
	// NodeLifecycle: the taint of an autoscaler, or of a controller that starts and ends nodes,
	// keeps pods off. Another node may take its place.
	NodeLifecycle NodeCode = "Lifecycle"
	// NodePressed: Kubernetes' own taint keeps pods off, for pressure or because it is not set up yet.
	NodePressed NodeCode = "Pressed"
)

// Change is the last write to a field, as the API server remembers it.
type Change struct {
	// Object that was changed.
	Object v1alpha1.ObjectReference `json:"object"`
	// Field that was changed: spec.template, spec.selector or, of a ConfigMap, data.
	Field string `json:"field"`
	// By is the program that wrote it, as it called itself; data, not proof.
	By string `json:"by"`
	// At is when.
	At time.Time `json:"at"`
}

// Log is the end of one container's log, redacted.
type Log struct {
	// Pod and Container it comes from, in the target's namespace.
	Pod       string `json:"pod"`
	Container string `json:"container"`
	// Previous is true for the log of the incarnation before the last restart.
	Previous bool `json:"previous,omitempty"`
	// Lines in the order they were written.
	Lines []string `json:"lines,omitempty"`
}

// String names the log, as Missing does if it could not be read.
func (l Log) String() string { return "log of " + l.Container + " in pod " + l.Pod }

// Missing is something that could not be read.
type Missing struct {
	// What was to be read, for example "pods of Deployment/web".
	What string `json:"what"`
	// Why it could not be, in one redacted sentence.
	Why string `json:"why"`
	// Forbidden is true when the operator lacks the right.
	Forbidden bool `json:"forbidden,omitempty"`
	// Transient is true when it may well be readable the next time.
	Transient bool `json:"transient,omitempty"`
	// Detail is true for logs and events: they explain, but whether the target is well shows without them.
	Detail bool `json:"detail,omitempty"`
}
