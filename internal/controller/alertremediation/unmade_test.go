package alertremediation_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/internal/plan"
)

// taken makes runs of other makers under the names from the first number to the
// last. The first claims to be the remediation's.
func (h *house) taken(ctx context.Context, ar *v1alpha1.AlertRemediation, first, last int32) []*v1alpha1.WorkflowRun {
	var made []*v1alpha1.WorkflowRun
	for n := first; n <= last; n++ {
		run := build.Run(h.ns, plan.RunName(ar.Name, n), h.deploy).Step("remedy", "RolloutRestart", nil).Obj()
		if n == first {
			run = build.Run(h.ns, run.Name, h.deploy).Step("remedy", "RolloutRestart", nil).OwnedBy(ar).Obj()
		}
		server.Create(ctx, run)
		made = append(made, run)
	}
	return made
}

var _ = Describe("A run that the API server refuses", func() {
	full := func(ctx context.Context, h *house) *corev1.ResourceQuota {
		return server.Quota(ctx, h.ns, "workflowruns.kubernaut.io", build.Run(h.ns, "probe", h.deploy).Step("remedy", "Pause", nil).Obj())
	}

	It("for want of quota is said, and made once there is room", func(ctx SpecContext) {
		h := newHouse(ctx)
		quota := full(ctx, h)
		ar := h.driven(ctx, h.diagnosed(ctx, "full"))
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Executed, metav1.ConditionUnknown, v1alpha1.ReasonOverQuota))
		Expect(ar.Finished()).To(BeFalse())
		Expect(h.told()).To(ContainElement(And(ContainSubstring(v1alpha1.ReasonOverQuota), ContainSubstring("none-of-workflowruns"))))
		result, err := h.Reconcile(ctx, ar.DeepCopy())
		Expect(err).NotTo(HaveOccurred())
		Expect(result.RequeueAfter).To(Equal(15 * time.Second))
		Expect(h.told()).To(BeEmpty(), "what was said once is not said again")

		Expect(server.Client.Delete(ctx, quota)).To(Succeed())
		Eventually(func(g Gomega) { // the API server forgets a quota in the background
			g.Expect(h.driven(ctx, ar)).To(kubetest.HaveCondition(v1alpha1.Executed, metav1.ConditionUnknown, v1alpha1.ReasonRunMade))
		}).WithTimeout(time.Minute).Should(Succeed())
		Expect(h.run(ctx, ar).Name).To(Equal("full-run-1"))
	})

	It("for ten minutes is for a person: nothing was changed", func(ctx SpecContext) {
		h := newHouse(ctx)
		full(ctx, h)
		ar := h.driven(ctx, h.diagnosed(ctx, "full"))
		h.clock.Step(11 * time.Minute)
		h.driven(ctx, ar)
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Executed, metav1.ConditionFalse, v1alpha1.ReasonOverQuota))
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Succeeded, metav1.ConditionFalse, string(v1alpha1.OutcomeEscalated)))
	})

	It("because others have taken its names is said, and made once one of them is free", func(ctx SpecContext) {
		h := newHouse(ctx)
		ar := h.diagnosed(ctx, "taken")
		taken := h.taken(ctx, ar, 1, 12)
		h.driven(ctx, ar)
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Executed, metav1.ConditionUnknown, v1alpha1.ReasonNameTaken))
		Expect(meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Executed).Message).To(ContainSubstring("delete the WorkflowRuns taken-run-1 to taken-run-8"))
		Expect(h.told()).To(HaveLen(3), "of the plan, its approval and the names: none for each name")
		Expect(h.places).To(BeZero())

		Expect(server.Client.Delete(ctx, taken[3])).To(Succeed())
		h.driven(ctx, ar)
		Expect(h.run(ctx, ar).Name).To(Equal("taken-run-4"))
		Expect(h.told()).To(ContainElement(ContainSubstring("WorkflowRun taken-run-3 exists")))
	})

	It("because others have taken the names of its undo says that the change is in place, and is made once one of them is free", func(ctx SpecContext) {
		h := newHouse(ctx)
		ar := h.driven(ctx, h.diagnosed(ctx, "back"))
		h.ended(ctx, h.run(ctx, ar), metav1.ConditionTrue, v1alpha1.ReasonCompleted, h.pausing(ctx, true, true))
		h.health = v1alpha1.HealthUnhealthy
		h.driven(ctx, ar)
		taken := h.taken(ctx, ar, 2, 12)
		h.clock.Step(deadline)
		h.driven(ctx, ar)
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Verified, metav1.ConditionFalse, v1alpha1.ReasonNameTaken))
		Expect(ar.Finished()).To(BeFalse())

		Expect(server.Client.Delete(ctx, taken[0])).To(Succeed())
		h.driven(ctx, ar)
		Expect(h.run(ctx, ar).Spec.Undoes).To(Equal("back-run-1"))
	})

	It("because its namespace is being deleted is said", func(ctx SpecContext) {
		h := newHouse(ctx)
		ar := h.diagnosed(ctx, "late")
		Expect(server.Client.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: h.ns}})).To(Succeed())
		h.driven(ctx, ar)
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Executed, metav1.ConditionUnknown, v1alpha1.ReasonNamespaceTerminating))
	})

	It("that would take a change back says that the change is in place, and in the end that it failed", func(ctx SpecContext) {
		h := newHouse(ctx)
		ar := h.driven(ctx, h.diagnosed(ctx, "stuck"))
		h.ended(ctx, h.run(ctx, ar), metav1.ConditionTrue, v1alpha1.ReasonCompleted, h.pausing(ctx, true, true))
		h.health = v1alpha1.HealthUnhealthy
		h.driven(ctx, ar)
		full(ctx, h)
		h.clock.Step(deadline)
		h.driven(ctx, ar)
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Verified, metav1.ConditionFalse, v1alpha1.ReasonOverQuota))
		Expect(ar.Status.RunRef).To(Equal("stuck-run-2"))
		Expect(ar.Finished()).To(BeFalse())

		h.clock.Step(11 * time.Minute)
		h.driven(ctx, ar)
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeFailed))
	})
})
