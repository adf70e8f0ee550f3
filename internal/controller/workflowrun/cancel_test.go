package workflowrun_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/lease"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// halfway is a run of two steps whose first has settled and whose second is awaited.
func halfway(ctx context.Context, s *scene) *v1alpha1.WorkflowRun {
	run := s.twoSteps(ctx)
	s.image.arrived = action.Progress{Message: "1 of 2 pods"}
	s.driven(ctx, run)
	Expect(run.Status.Steps[0].State).To(Equal(v1alpha1.StepRunning))
	s.image.arrived = action.Progress{Done: true}
	change(ctx, s.ar, func(ar *v1alpha1.AlertRemediation) { ar.Spec.Suspend = true })
	s.driven(ctx, run)
	change(ctx, s.ar, func(ar *v1alpha1.AlertRemediation) { ar.Spec.Suspend = false })
	s.image.arrived = action.Progress{Message: "1 of 2 pods"}
	s.driven(ctx, run)
	Expect(run.Status.Steps[0].State).To(Equal(v1alpha1.StepSucceeded))
	Expect(run.Status.Steps[1].State).To(Equal(v1alpha1.StepRunning))
	Expect(s.running(ctx)).To(Equal(third))
	return run
}

func cancelled(r *v1alpha1.WorkflowRun) { r.Spec.Cancelled = true }

var _ = Describe("Cancelling a run", func() {
	It("takes back what it did, last first, as the tenant", func(ctx SpecContext) {
		s := set(ctx)
		run := halfway(ctx, s)
		change(ctx, run, cancelled)
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionFalse, v1alpha1.ReasonCancelled))
		Expect(run).To(kubetest.HaveCondition(v1alpha1.RolledBack, metav1.ConditionTrue, v1alpha1.ReasonRolledBack))
		Expect(s.running(ctx)).To(Equal(bad))
		Expect(s.effects()).To(Equal(4))
		for _, step := range run.Status.Steps {
			Expect(step.State).To(Equal(v1alpha1.StepRolledBack))
			Expect(step.Operations[0].State).To(Equal(v1alpha1.OperationUndone))
		}
		Expect(s.holder(ctx)).To(Equal(lease.Identity(run)), "the lease is held until the verdict")
		Expect(s.told()).To(ContainElement(HavePrefix("Normal RolledBack Cancelled: cancelled; 2 operations were taken back")))
	})

	It("leaves somebody's edit, and what lies below it", func(ctx SpecContext) {
		s := set(ctx)
		run := halfway(ctx, s)
		s.edited(ctx, "example.test/web:9")
		change(ctx, run, cancelled)
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionFalse, v1alpha1.ReasonCancelled))
		Expect(run).To(kubetest.HaveCondition(v1alpha1.RolledBack, metav1.ConditionFalse, v1alpha1.ReasonChangedMeanwhile))
		Expect(run.Status.Steps[1].State).To(Equal(v1alpha1.StepFailed))
		Expect(s.running(ctx)).To(Equal("example.test/web:9"))
		Expect(s.effects()).To(Equal(2))
	})

	It("waits while the namespace is paused", func(ctx SpecContext) {
		s := set(ctx)
		run := halfway(ctx, s)
		change(ctx, run, func(r *v1alpha1.WorkflowRun) { r.Spec.Cancelled, r.Spec.Paused = true, true })
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionUnknown, v1alpha1.ReasonPaused))
		Expect(s.running(ctx)).To(Equal(third))
		change(ctx, run, func(r *v1alpha1.WorkflowRun) { r.Spec.Paused = false })
		s.driven(ctx, run)
		Expect(run).To(kubetest.HaveCondition(v1alpha1.RolledBack, metav1.ConditionTrue, v1alpha1.ReasonRolledBack))
		Expect(s.running(ctx)).To(Equal(bad))
	})

	It("says so when what is recorded can't be undone", func(ctx SpecContext) {
		s := set(ctx)
		run := halfway(ctx, s)
		run.Status.Steps[1].Operations[0].Undo = nil
		Expect(server.As(kubetest.OperatorUser, "system:masters").Status().Update(ctx, run)).To(Succeed())
		change(ctx, run, cancelled)
		s.driven(ctx, run)
		Expect(run).To(kubetest.HaveCondition(v1alpha1.RolledBack, metav1.ConditionFalse, v1alpha1.ReasonCannotUndo))
		Expect(s.running(ctx)).To(Equal(third))
	})
})
