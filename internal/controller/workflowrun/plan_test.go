package workflowrun

import (
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/plan"
	"github.com/kubernaut/kubernaut/pkg/action"
)

func TestStamp(t *testing.T) {
	rows := map[string]struct {
		run  *v1alpha1.WorkflowRun
		want string
	}{
		"of a remediation's run: remediation, number and step": {ownedRun("ar-1-run-3", "ar-1"), "ar-1/3/remedy"},
		"of a run made by hand: its own name":                  {&v1alpha1.WorkflowRun{ObjectMeta: metav1.ObjectMeta{Name: "mine"}}, "mine/1/remedy"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := stamp(row.run, "remedy"); got != row.want {
				t.Errorf("stamp is %s, want %s", got, row.want)
			}
		})
	}
}

// ownedRun is a run about target u whose controller is a remediation of this name.
func ownedRun(name, owner string) *v1alpha1.WorkflowRun {
	ar := &v1alpha1.AlertRemediation{ObjectMeta: metav1.ObjectMeta{Name: owner, UID: types.UID("uid-" + owner)}}
	run := &v1alpha1.WorkflowRun{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}
	run.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(ar, v1alpha1.GroupVersion.WithKind("AlertRemediation"))}
	run.Spec.Target.UID = "u"
	return run
}

func TestTooLarge(t *testing.T) {
	body := func(n int) *apiextensionsv1.JSON { return &apiextensionsv1.JSON{Raw: []byte(strings.Repeat("x", n))} }
	steps := func(ops ...action.Operation) []plan.Step {
		return []plan.Step{{Name: "remedy", Plan: action.Plan{Operations: ops}}}
	}
	rows := map[string]struct {
		steps []plan.Step
		says  string
	}{
		"a plan that fits": {steps: steps(action.Operation{Operation: v1alpha1.Operation{Body: body(maxRecorded)}})},
		"the undo counts": {
			steps: steps(action.Operation{Operation: v1alpha1.Operation{Body: body(maxRecorded)}, Undo: &v1alpha1.Operation{Body: body(1)}}),
			says:  "65537 bytes",
		},
		"what is tested counts": {
			steps: steps(action.Operation{Operation: v1alpha1.Operation{
				Body:         body(maxRecorded),
				Precondition: v1alpha1.Precondition{Fields: []v1alpha1.FieldValue{{Path: "/a", Value: body(1)}}},
			}}),
			says: "65539 bytes",
		},
		"too many operations": {steps: steps(make([]action.Operation, 33)...), says: "33 operations"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			got := tooLarge(row.steps)
			if (got == "") != (row.says == "") || !strings.Contains(got, row.says) {
				t.Errorf("says %q, want %q", got, row.says)
			}
		})
	}
}

func TestRunsOfARemediationAreThoseItNumbered(t *testing.T) {
	ar := &v1alpha1.AlertRemediation{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "ar-1"}}
	for runs, want := range map[int32]string{0: "", 1: "shop/ar-1-run-1 ", 2: "shop/ar-1-run-1 shop/ar-1-run-2 "} {
		ar.Status.Runs = runs
		var got string
		for _, request := range (&Reconciler{}).runsOf(t.Context(), ar) {
			got += request.String() + " "
		}
		if got != want {
			t.Errorf("after %d runs: got %q, want %q", runs, got, want)
		}
	}
}
