package workflowrun_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/lease"
	"github.com/kubernaut/kubernaut/pkg/action"
)

var _ = Describe("Carrying a run out", func() {
	It("acts once, as the tenant, on what was planned, and says so", func(ctx SpecContext) {
		s := set(ctx)
		run := s.owned(ctx, "ar-1-run-1")
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionTrue, v1alpha1.ReasonCompleted))
		Expect(run).To(kubetest.HaveCondition(v1alpha1.Claimed, metav1.ConditionTrue, v1alpha1.ReasonHeld))
		Expect(s.running(ctx)).To(Equal(good))
		Expect(s.effects()).To(Equal(1))
		Expect(s.holder(ctx)).To(Equal(lease.Identity(run)))

		Expect(run.Status.Actor).To(Equal(kubetest.RemediatorUser(s.namespace)))
		Expect(run.Status.Progress).To(Equal("1/1"))
		Expect(run.Status.PlanDigest).To(Equal(run.Spec.PlanDigest))
		Expect(run.Status.ObservedGeneration).To(Equal(run.Generation))
		step := run.Status.Steps[0]
		Expect(step.State).To(Equal(v1alpha1.StepSucceeded))
		Expect(step.Operations[0].State).To(Equal(v1alpha1.OperationApplied))
		Expect(step.Operations[0].ClaimedAt.IsZero()).To(BeFalse())
		Expect(step.Operations[0].Undo).NotTo(BeNil())
		Expect(s.told()).To(Equal([]string{
			"Normal OperationApplied patch of Deployment/web, as " + kubetest.RemediatorUser(s.namespace),
			"Normal Completed Completed: operations in place: 1, done as " + kubetest.RemediatorUser(s.namespace),
		}))
	})

	It("awaits the effect of a step before the next begins", func(ctx SpecContext) {
		s := set(ctx)
		s.image.arrived = action.Progress{Message: "1 of 2 pods"}
		run := s.owned(ctx, "ar-1-run-1")
		Expect(s.driven(ctx, run).RequeueAfter).To(Equal(time.Second))
		Expect(run).To(succeeded(metav1.ConditionUnknown, v1alpha1.ReasonRunning))
		Expect(run.Status.Steps[0].Message).To(Equal("1 of 2 pods"))
		Expect(run.Status.Progress).To(Equal("0/1"))

		s.image.arrived = action.Progress{Done: true, Message: "all pods"}
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionTrue, v1alpha1.ReasonCompleted))
		Expect(s.effects()).To(Equal(1))
	})

	It("fails when the effect can't arrive any more, and leaves the change to the verdict", func(ctx SpecContext) {
		s := set(ctx)
		s.image.arrived = action.Progress{Failed: true, Message: "the new pods crash"}
		run := s.owned(ctx, "ar-1-run-1")
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionFalse, v1alpha1.ReasonStepFailed))
		Expect(run.Status.Steps[0].Message).To(Equal("the new pods crash"))
		Expect(s.running(ctx)).To(Equal(good))
		Expect(s.told()).To(ContainElement(HavePrefix("Warning Failed StepFailed: the new pods crash")))
	})

	It("fails when its time is over", func(ctx SpecContext) {
		s := set(ctx)
		s.image.arrived = action.Progress{Message: "1 of 2 pods"}
		run := s.owned(ctx, "ar-1-run-1")
		s.driven(ctx, run)
		s.clock.Step(11 * time.Minute)
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionFalse, v1alpha1.ReasonStepFailed))
		Expect(run.Status.Steps[0].Message).To(ContainSubstring("after 10m0s: 1 of 2 pods"))
	})

	It("holds before the next effect while it is paused, and goes on", func(ctx SpecContext) {
		s := set(ctx)
		run := s.owned(ctx, "ar-1-run-1", func(r *v1alpha1.WorkflowRun) { r.Spec.Paused = true })
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionUnknown, v1alpha1.ReasonPaused))
		Expect(s.effects()).To(BeZero())
		change(ctx, run, func(r *v1alpha1.WorkflowRun) { r.Spec.Paused = false })
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionTrue, v1alpha1.ReasonCompleted))
	})

	It("holds between two operations while its remediation is suspended", func(ctx SpecContext) {
		s := set(ctx)
		run := s.twoSteps(ctx)
		s.image.arrived = action.Progress{Message: "1 of 2 pods"}
		s.driven(ctx, run)
		change(ctx, s.ar, func(ar *v1alpha1.AlertRemediation) { ar.Spec.Suspend = true })
		s.image.arrived = action.Progress{Done: true}
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionUnknown, v1alpha1.ReasonPaused))
		Expect(s.effects()).To(Equal(1))

		change(ctx, s.ar, func(ar *v1alpha1.AlertRemediation) { ar.Spec.Suspend = false })
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionTrue, v1alpha1.ReasonCompleted))
		Expect(s.effects()).To(Equal(2))
	})

	It("stops where somebody edited what a later operation expects", func(ctx SpecContext) {
		s := set(ctx)
		run := s.twoSteps(ctx)
		s.image.arrived = action.Progress{Message: "1 of 2 pods"}
		s.driven(ctx, run)
		s.edited(ctx, "example.test/web:9")
		s.image.arrived = action.Progress{Done: true}
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionFalse, v1alpha1.ReasonChangedMeanwhile))
		Expect(run.Status.Steps[1].State).To(Equal(v1alpha1.StepFailed))
		Expect(s.running(ctx)).To(Equal("example.test/web:9"))
		Expect(s.effects()).To(Equal(1))
	})

	It("changes nothing when somebody else is faster, between the look and the patch", func(ctx SpecContext) {
		s := set(ctx)
		s.restart(meanwhile(func() { s.edited(ctx, "example.test/web:9") }))
		run := s.owned(ctx, "ar-1-run-1")
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionFalse, v1alpha1.ReasonPreconditionFailed))
		Expect(run.Status.Steps[0].Operations[0].State).To(Equal(v1alpha1.OperationRefused))
		Expect(s.running(ctx)).To(Equal("example.test/web:9"))
		Expect(s.effects()).To(BeZero())
		Expect(s.told()).To(ContainElement(HavePrefix("Warning Refused PreconditionFailed")))
	})
})
