package build

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// RunBuilder builds a WorkflowRun.
type RunBuilder struct{ obj *v1alpha1.WorkflowRun }

// Run has no steps yet and is not bound to a plan: add either Step or Undoes.
func Run(namespace, name string, target v1alpha1.TargetReference) RunBuilder {
	return RunBuilder{&v1alpha1.WorkflowRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.WorkflowRunSpec{Target: target},
	}}
}

// Step adds a step of this action, named after it.
func (b RunBuilder) Step(name, action string, parameters map[string]string) RunBuilder {
	b.obj.Spec.Steps = append(b.obj.Spec.Steps, v1alpha1.Step{
		Name: name, Action: v1alpha1.StepAction{Name: action, Parameters: parameters},
	})
	return b
}

// Undoes takes another run back.
func (b RunBuilder) Undoes(run string) RunBuilder {
	b.obj.Spec.Undoes = run
	return b
}

// Digest binds it to a plan.
func (b RunBuilder) Digest(digest string) RunBuilder {
	b.obj.Spec.PlanDigest = digest
	return b
}

// OwnedBy makes a remediation its controller.
func (b RunBuilder) OwnedBy(ar *v1alpha1.AlertRemediation) RunBuilder {
	gvk := v1alpha1.GroupVersion.WithKind("AlertRemediation")
	b.obj.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(ar, gvk)}
	return b
}

// Condition sets a condition, with the reason as its message too.
func (b RunBuilder) Condition(conditionType string, status metav1.ConditionStatus, reason string) RunBuilder {
	setCondition(&b.obj.Status.Conditions, conditionType, status, reason)
	return b
}

// With changes whatever has no method of its own.
func (b RunBuilder) With(change func(*v1alpha1.WorkflowRun)) RunBuilder {
	change(b.obj)
	return b
}

// Obj returns the object.
func (b RunBuilder) Obj() *v1alpha1.WorkflowRun { return b.obj }

// Reference names an object that was created, without its uid.
func Reference(obj client.Object, gvk schema.GroupVersionKind) v1alpha1.ObjectReference {
	apiVersion, kind := gvk.ToAPIVersionAndKind()
	return v1alpha1.ObjectReference{APIVersion: apiVersion, Kind: kind, Namespace: obj.GetNamespace(), Name: obj.GetName()}
}

// TargetOf names this incarnation of an object that was created.
func TargetOf(obj client.Object, gvk schema.GroupVersionKind) v1alpha1.TargetReference {
	return v1alpha1.TargetReference{ObjectReference: Reference(obj, gvk), UID: obj.GetUID(), Generation: obj.GetGeneration()}
}

// DeploymentTarget names a Deployment that need not exist.
func DeploymentTarget(namespace, name string, uid types.UID) v1alpha1.TargetReference {
	return v1alpha1.TargetReference{
		ObjectReference: v1alpha1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: namespace, Name: name},
		UID:             uid,
	}
}
