package build

import (
	"maps"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Kinds of workloads, for Reference and TargetOf.
var (
	DeploymentKind = appsv1.SchemeGroupVersion.WithKind("Deployment")
	ReplicaSetKind = appsv1.SchemeGroupVersion.WithKind("ReplicaSet")
	PodKind        = corev1.SchemeGroupVersion.WithKind("Pod")
	ServiceKind    = corev1.SchemeGroupVersion.WithKind("Service")
)

// DeploymentBuilder builds a Deployment.
type DeploymentBuilder struct{ obj *appsv1.Deployment }

// Deployment has one replica of one container, named and labelled (app) like itself.
func Deployment(namespace, name string) DeploymentBuilder {
	labels := map[string]string{"app": name}
	return DeploymentBuilder{&appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: maps.Clone(labels)},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(1)),
			Selector: &metav1.LabelSelector{MatchLabels: maps.Clone(labels)},
			Template: template(name, labels),
		},
	}}
}

func template(container string, labels map[string]string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: maps.Clone(labels)},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: container, Image: "example.test/" + container + ":1"}}},
	}
}

// Replicas wanted.
func (b DeploymentBuilder) Replicas(n int32) DeploymentBuilder {
	b.obj.Spec.Replicas = &n
	return b
}

// Image of its container.
func (b DeploymentBuilder) Image(image string) DeploymentBuilder {
	b.obj.Spec.Template.Spec.Containers[0].Image = image
	return b
}

// MemoryLimit of its container.
func (b DeploymentBuilder) MemoryLimit(quantity string) DeploymentBuilder {
	b.obj.Spec.Template.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(quantity)}
	return b
}

// Revision the Deployment is at, as its controller would annotate it.
func (b DeploymentBuilder) Revision(n int) DeploymentBuilder {
	metav1.SetMetaDataAnnotation(&b.obj.ObjectMeta, "deployment.kubernetes.io/revision", strconv.Itoa(n))
	return b
}

// Ready has all its replicas, rolled out and available, at generation 1.
func (b DeploymentBuilder) Ready() DeploymentBuilder {
	n := *b.obj.Spec.Replicas
	b.obj.Status = appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: n, UpdatedReplicas: n, ReadyReplicas: n, AvailableReplicas: n}
	return b
}

// With changes whatever has no method of its own.
func (b DeploymentBuilder) With(change func(*appsv1.Deployment)) DeploymentBuilder {
	change(b.obj)
	return b
}

// Obj returns the object.
func (b DeploymentBuilder) Obj() *appsv1.Deployment { return b.obj }

// ReplicaSetOf keeps the Deployment's present template as one of its revisions.
// The Deployment must have been created: its uid is in the owner reference.
func ReplicaSetOf(dep *appsv1.Deployment, revision int) *appsv1.ReplicaSet {
	hash := "rev" + strconv.Itoa(revision)
	labels := maps.Clone(dep.Spec.Template.Labels)
	labels[appsv1.DefaultDeploymentUniqueLabelKey] = hash
	rs := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: dep.Namespace, Name: dep.Name + "-" + hash, Labels: labels,
			Annotations:     map[string]string{"deployment.kubernetes.io/revision": strconv.Itoa(revision)},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(dep, DeploymentKind)},
		},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: dep.Spec.Replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: *dep.Spec.Template.DeepCopy(),
		},
	}
	rs.Spec.Template.Labels = labels
	return rs
}

// PodOf is a pod of the ReplicaSet, without a status.
func PodOf(rs *appsv1.ReplicaSet, suffix string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: rs.Namespace, Name: rs.Name + "-" + suffix, Labels: maps.Clone(rs.Spec.Template.Labels),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(rs, ReplicaSetKind)},
		},
		Spec: *rs.Spec.Template.Spec.DeepCopy(),
	}
}

// Service selects the pods labelled app=selects, on port 80.
func Service(namespace, name, selects string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": selects},
			Ports:    []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromInt32(8080)}},
		},
	}
}
