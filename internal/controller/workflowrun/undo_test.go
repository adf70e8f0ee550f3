package workflowrun

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

func TestUndoable(t *testing.T) {
	undo := &v1alpha1.Operation{}
	finished := func(edits ...func(*v1alpha1.WorkflowRun)) *v1alpha1.WorkflowRun {
		run := ownedRun("ar-1-run-1", "ar-1")
		run.Spec.Steps = []v1alpha1.Step{{Name: "remedy"}}
		run.Status.Steps = []v1alpha1.StepStatus{step("remedy", v1alpha1.StepSucceeded, done)}
		run.Status.Steps[0].Operations[0].Undo = undo
		run.Status.Conditions = []metav1.Condition{{Type: v1alpha1.Succeeded, Status: metav1.ConditionTrue}}
		for _, edit := range edits {
			edit(run)
		}
		return run
	}
	byHand := func() *v1alpha1.WorkflowRun {
		run := ownedRun("mine", "")
		run.OwnerReferences = nil
		return run
	}
	rows := map[string]struct {
		run    *v1alpha1.WorkflowRun
		undone *v1alpha1.WorkflowRun
		says   string
	}{
		"a remediation takes its own run back":      {ownedRun("ar-1-run-2", "ar-1"), finished(), ""},
		"a person takes a remediation's run back":   {byHand(), finished(), ""},
		"a run that is gone":                        {byHand(), nil, "is gone"},
		"a run about another target":                {byHand(), finished(func(r *v1alpha1.WorkflowRun) { r.Spec.Target.UID = "v" }), "another target"},
		"a run about a target of another name":      {byHand(), finished(func(r *v1alpha1.WorkflowRun) { r.Spec.Target.Name = "db" }), "another target"},
		"a run about a target of another kind":      {byHand(), finished(func(r *v1alpha1.WorkflowRun) { r.Spec.Target.Kind = "Node" }), "another target"},
		"a run about a target of another namespace": {byHand(), finished(func(r *v1alpha1.WorkflowRun) { r.Spec.Target.Namespace = "other" }), "another target"},
		"a run about a target read at another time": {byHand(), finished(func(r *v1alpha1.WorkflowRun) { r.Spec.Target.Generation = 7 }), ""},
		"a run that changed another object than it named": {byHand(), finished(func(r *v1alpha1.WorkflowRun) {
			r.Spec.Steps[0].Action.Target = &v1alpha1.TargetReference{UID: "v"}
		}), "changed another object"},
		"a run that was moved to the remediation later": {ownedRun("ar-1-run-2", "ar-1"), finished(func(r *v1alpha1.WorkflowRun) {
			r.Status.Owner = &v1alpha1.RunOwner{}
		}), "not of the same AlertRemediation"},
		"a run that was taken from the remediation later": {ownedRun("ar-1-run-2", "ar-1"), finished(func(r *v1alpha1.WorkflowRun) {
			r.RecordOwner()
			r.OwnerReferences = nil
		}), ""},
		"a run of another remediation":                {ownedRun("ar-2-run-1", "ar-2"), finished(), "not of the same AlertRemediation"},
		"a run made by hand is not the remediation's": {ownedRun("ar-2-run-1", "ar-2"), finished(func(r *v1alpha1.WorkflowRun) { r.OwnerReferences = nil }), "not of the same AlertRemediation"},
		"a run that has not ended":                    {byHand(), finished(func(r *v1alpha1.WorkflowRun) { r.Status.Conditions = nil }), "spec.cancelled"},
		"a run that did nothing":                      {byHand(), finished(func(r *v1alpha1.WorkflowRun) { r.Status.Steps[0].Operations[0].State = rejected }), "nothing to take back"},
		"a run that was taken back before":            {byHand(), finished(func(r *v1alpha1.WorkflowRun) { r.Status.Steps[0].Operations[0].State = undone }), "nothing to take back"},
		"an operation for which no undo was recorded": {byHand(), finished(func(r *v1alpha1.WorkflowRun) { r.Status.Steps[0].Operations[0].Undo = nil }), "can't be undone"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			row.run.Spec.Undoes = "ar-1-run-1"
			got := undoable(row.run, row.undone)
			if (got == "") != (row.says == "") || !strings.Contains(got, row.says) {
				t.Errorf("says %q, want %q", got, row.says)
			}
		})
	}
}

func TestUndoStepsAreReversed(t *testing.T) {
	undone := &v1alpha1.WorkflowRun{Status: v1alpha1.WorkflowRunStatus{Steps: []v1alpha1.StepStatus{
		step("a", v1alpha1.StepSucceeded, done, done), step("b", v1alpha1.StepFailed, done, rejected), step("c", v1alpha1.StepSkipped, unclaimed),
	}}}
	for i := range undone.Status.Steps {
		for j := range undone.Status.Steps[i].Operations {
			name := undone.Status.Steps[i].Name + string(rune('1'+j))
			undone.Status.Steps[i].Operations[j].Undo = &v1alpha1.Operation{Object: v1alpha1.ObjectReference{Name: name}}
		}
	}
	var order []string
	for _, s := range (&Reconciler{}).undoSteps(undone) {
		for _, op := range s.Plan.Operations {
			order = append(order, s.Name+":"+op.Object.Name)
		}
	}
	if got, want := strings.Join(order, " "), "b:b1 a:a2 a:a1"; got != want {
		t.Errorf("taken back in the order %q, want %q", got, want)
	}
}

func TestCloseStep(t *testing.T) {
	rows := map[string]struct {
		step v1alpha1.StepStatus
		want v1alpha1.StepState
	}{
		"all of it was taken back":         {step("a", v1alpha1.StepSucceeded, undone, undone), v1alpha1.StepRolledBack},
		"it was stopped before it began":   {step("a", v1alpha1.StepRunning, rejected), v1alpha1.StepSkipped},
		"half of it is still there":        {step("a", v1alpha1.StepRunning, done, undone), v1alpha1.StepFailed},
		"nobody knows whether it is there": {step("a", v1alpha1.StepRunning, claimed), v1alpha1.StepFailed},
		"it succeeded and stays":           {step("a", v1alpha1.StepSucceeded, done), v1alpha1.StepSucceeded},
		"it never began":                   {step("a", v1alpha1.StepPending, unclaimed), v1alpha1.StepPending},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			closeStep(&row.step, metav1.NewMicroTime(moment))
			if row.step.State != row.want {
				t.Errorf("closed as %s, want %s", row.step.State, row.want)
			}
		})
	}
}
