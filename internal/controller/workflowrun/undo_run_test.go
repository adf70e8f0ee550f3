package workflowrun_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/lease"
)

var _ = Describe("A run that undoes another", func() {
	It("puts back what was there, takes over the lease, and tells the run it took back", func(ctx SpecContext) {
		s := set(ctx)
		first := s.owned(ctx, "ar-1-run-1")
		s.driven(ctx, first)
		second := s.undoing(ctx, "ar-1-run-2", first.Name)
		s.driven(ctx, second)
		Expect(second).To(succeeded(metav1.ConditionTrue, v1alpha1.ReasonCompleted))
		Expect(s.running(ctx)).To(Equal(bad))
		Expect(s.effects()).To(Equal(2))
		Expect(s.holder(ctx)).To(Equal(lease.Identity(second)))

		Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(first), first)).To(Succeed())
		Expect(first).To(kubetest.HaveCondition(v1alpha1.RolledBack, metav1.ConditionTrue, v1alpha1.ReasonRolledBack))
		Expect(first.Status.Steps[0].State).To(Equal(v1alpha1.StepRolledBack))
		Expect(first.Status.Steps[0].Operations[0].State).To(Equal(v1alpha1.OperationUndone))
		s.driven(ctx, first)
		Expect(s.running(ctx)).To(Equal(bad), "what was undone is never done again")

		s.concluded(ctx)
		s.driven(ctx, first)
		s.driven(ctx, second)
		Expect(s.holder(ctx)).To(BeEmpty())
		Expect(first.Finalizers).To(BeEmpty())
		Expect(second.Finalizers).To(BeEmpty())
	})

	It("never undoes over somebody's edit", func(ctx SpecContext) {
		s := set(ctx)
		first := s.owned(ctx, "ar-1-run-1")
		s.driven(ctx, first)
		s.edited(ctx, "example.test/web:9")
		second := s.undoing(ctx, "ar-1-run-2", first.Name)
		s.driven(ctx, second)
		Expect(second).To(succeeded(metav1.ConditionFalse, v1alpha1.ReasonChangedMeanwhile))
		Expect(s.running(ctx)).To(Equal("example.test/web:9"))
		Expect(s.effects()).To(Equal(1))
	})

	It("is done when somebody put it back before", func(ctx SpecContext) {
		s := set(ctx)
		first := s.owned(ctx, "ar-1-run-1")
		s.driven(ctx, first)
		s.edited(ctx, bad)
		second := s.undoing(ctx, "ar-1-run-2", first.Name)
		s.driven(ctx, second)
		Expect(second).To(succeeded(metav1.ConditionTrue, v1alpha1.ReasonCompleted))
		Expect(s.effects()).To(Equal(1))
	})

	It("refuses what is not its remediation's", func(ctx SpecContext) {
		s := set(ctx)
		mine := s.byHand(ctx, "mine", good)
		s.driven(ctx, mine)
		run := s.undoing(ctx, "ar-1-run-1", mine.Name)
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionFalse, v1alpha1.ReasonCannotUndo))
		Expect(s.running(ctx)).To(Equal(good))
	})

	It("may be made by a person, once the verdict has fallen", func(ctx SpecContext) {
		s := set(ctx)
		first := s.owned(ctx, "ar-1-run-1")
		s.driven(ctx, first)
		byHand := s.undoing(ctx, "mine", first.Name, func(r *v1alpha1.WorkflowRun) { r.OwnerReferences = nil })
		s.driven(ctx, byHand)
		Expect(byHand).To(succeeded(metav1.ConditionUnknown, v1alpha1.ReasonTargetBusy))
		s.concluded(ctx)
		s.driven(ctx, byHand)
		Expect(byHand).To(succeeded(metav1.ConditionTrue, v1alpha1.ReasonCompleted))
		Expect(s.running(ctx)).To(Equal(bad))
	})
})
