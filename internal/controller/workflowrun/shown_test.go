package workflowrun

import (
	"errors"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/policy"
)

func TestShown(t *testing.T) {
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(appsv1.SchemeGroupVersion.WithKind("Deployment"), meta.RESTScopeNamespace)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Node"), meta.RESTScopeRoot)
	c := fake.NewClientBuilder().WithScheme(scheme.Scheme).WithRESTMapper(mapper).WithObjects(
		&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "web-1"}},
		&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", UID: "node-1"}},
	).Build()
	deployment, node := appsv1.SchemeGroupVersion.WithKind("Deployment"), corev1.SchemeGroupVersion.WithKind("Node")
	named := func(gvk schema.GroupVersionKind, namespace, name, uid string) v1alpha1.TargetReference {
		target := v1alpha1.TargetReference{UID: types.UID(uid)}
		target.APIVersion, target.Kind = gvk.ToAPIVersionAndKind()
		target.Namespace, target.Name = namespace, name
		return target
	}
	rows := map[string]struct {
		target v1alpha1.TargetReference
		reason string
	}{
		"an object as it is":                        {named(deployment, "shop", "web", "web-1"), ""},
		"a node as it is":                           {named(node, "", "n1", "node-1"), ""},
		"the uid of another object":                 {named(deployment, "shop", "web", "node-1"), v1alpha1.ReasonChangedMeanwhile},
		"an object that is gone":                    {named(deployment, "shop", "db", "web-1"), v1alpha1.ReasonChangedMeanwhile},
		"a node with a namespace":                   {named(node, "shop", "n1", "node-1"), v1alpha1.ReasonInvalidParameters},
		"a namespaced kind without a namespace":     {named(deployment, "", "web", "web-1"), v1alpha1.ReasonInvalidParameters},
		"a kind that is not served":                 {named(node.GroupVersion().WithKind("Nod"), "", "n1", "node-1"), v1alpha1.ReasonNotApplicable},
		"the right kind of a group that is another": {named(deployment.GroupKind().WithVersion("v9"), "shop", "web", "web-1"), v1alpha1.ReasonNotApplicable},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			err := (&Reconciler{Needs: Needs{Client: c, Live: c}}).shown(t.Context(), []v1alpha1.TargetReference{row.target, row.target})
			var refused *policy.RefusedError
			switch {
			case row.reason == "" && err != nil:
				t.Errorf("refused: %v", err)
			case row.reason != "" && (!errors.As(err, &refused) || refused.Reason != row.reason || refused.Kind != policy.Ends):
				t.Errorf("got %v, want %s", err, row.reason)
			}
		})
	}
}

func TestAimed(t *testing.T) {
	web := v1alpha1.TargetReference{ObjectReference: v1alpha1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "web"}, UID: "web-1"}
	with := func(change func(*v1alpha1.TargetReference)) v1alpha1.TargetReference {
		other := web
		change(&other)
		return other
	}
	rows := map[string]struct {
		target v1alpha1.TargetReference
		steps  []v1alpha1.TargetReference
		undoes string
		want   bool
	}{
		"the target of the only step":                   {target: web, steps: []v1alpha1.TargetReference{web}, want: true},
		"the target of the second step":                 {target: web, steps: []v1alpha1.TargetReference{with(func(r *v1alpha1.TargetReference) { r.Name, r.UID = "db", "db-1" }), web}, want: true},
		"the same object, read at another generation":   {target: web, steps: []v1alpha1.TargetReference{with(func(r *v1alpha1.TargetReference) { r.Generation = 7 })}, want: true},
		"an undo, which has no steps":                   {target: web, undoes: "ar-1-run-1", want: true},
		"another uid":                                   {target: web, steps: []v1alpha1.TargetReference{with(func(r *v1alpha1.TargetReference) { r.UID = "web-2" })}},
		"another namespace":                             {target: web, steps: []v1alpha1.TargetReference{with(func(r *v1alpha1.TargetReference) { r.Namespace = "other" })}},
		"another kind":                                  {target: web, steps: []v1alpha1.TargetReference{with(func(r *v1alpha1.TargetReference) { r.Kind = "Node" })}},
		"another name":                                  {target: web, steps: []v1alpha1.TargetReference{with(func(r *v1alpha1.TargetReference) { r.Name = "db" })}},
		"a step's uid that no API server gives":         {target: web, steps: []v1alpha1.TargetReference{web, with(func(r *v1alpha1.TargetReference) { r.UID = "a/b" })}},
		"an undo's target with no uid":                  {target: with(func(r *v1alpha1.TargetReference) { r.UID = "" }), undoes: "ar-1-run-1"},
		"an undo's target with a uid that can't be one": {target: with(func(r *v1alpha1.TargetReference) { r.UID = "A B" }), undoes: "ar-1-run-1"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			run := &v1alpha1.WorkflowRun{Spec: v1alpha1.WorkflowRunSpec{Target: row.target, Undoes: row.undoes}}
			for i := range row.steps {
				run.Spec.Steps = append(run.Spec.Steps, v1alpha1.Step{Action: v1alpha1.StepAction{Target: &row.steps[i]}})
			}
			if err := aimed(run); (err == nil) != row.want {
				t.Errorf("got %v, want ok %t", err, row.want)
			}
		})
	}
}
