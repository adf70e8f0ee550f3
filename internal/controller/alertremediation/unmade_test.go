package alertremediation_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
)

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
