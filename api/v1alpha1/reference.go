package v1alpha1

import (
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// ObjectReference names an object of the cluster.
type ObjectReference struct {
	// apiVersion of the object, for example apps/v1.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-.a-z0-9]*[a-z0-9])?/)?[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	APIVersion string `json:"apiVersion"`
	// kind of the object, for example Deployment.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z]([-A-Za-z0-9]*[A-Za-z0-9])?$`
	Kind string `json:"kind"`
	// namespace of the object; empty for cluster-scoped kinds.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$`
	Namespace string `json:"namespace,omitempty"`
	// name of the object: one segment of a path, as the API server takes it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^(\.?[^./%][^/%]*|\.\.[^/%]+)$`
	Name string `json:"name"`
}

// TargetReference names one incarnation of an object: the uid tells it from a
// later one of the same name.
type TargetReference struct {
	ObjectReference `json:",inline"`
	// uid of the object.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	UID types.UID `json:"uid,omitempty"`
	// generation of the object when it was read; 0 for kinds without one.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Generation int64 `json:"generation,omitempty"`
}

// Same reports whether two references name the same incarnation of the same
// object. The generation says only when it was read.
func (t TargetReference) Same(other TargetReference) bool {
	return t.ObjectReference == other.ObjectReference && t.UID == other.UID
}

// GroupVersionKind returns the parsed type of the object. An apiVersion that
// does not parse yields an empty group and version.
func (r ObjectReference) GroupVersionKind() schema.GroupVersionKind {
	return schema.FromAPIVersionAndKind(r.APIVersion, r.Kind)
}

// NamespacedName returns the key under which the object is read.
func (r ObjectReference) NamespacedName() types.NamespacedName {
	return types.NamespacedName{Namespace: r.Namespace, Name: r.Name}
}

// String prints the reference as people write it: kind/name.
func (r ObjectReference) String() string {
	return r.Kind + "/" + r.Name
}
