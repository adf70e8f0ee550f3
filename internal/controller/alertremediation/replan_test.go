package alertremediation_test

import (
	"context"
	"errors"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/policy"
)

// no is what a gate says that holds a plan back, or ends it.
func no(kind policy.Kind, reason string) []policy.Refusal {
	return []policy.Refusal{{Kind: kind, Refusal: v1alpha1.Refusal{Reason: reason, Message: "because"}}}
}

// asked returns a house with a plan that waits for a person, and forgets how it was planned.
func asked(ctx context.Context, reason string) (*house, *v1alpha1.AlertRemediation) {
	GinkgoHelper()
	h := newHouse(ctx)
	h.depends = "the same"
	h.judgement.Mode = v1alpha1.ModeApprove
	h.judgement.Refusals = no(policy.Waits, reason)
	ar := h.driven(ctx, h.diagnosed(ctx, "asked"))
	Expect(ar).To(kubetest.HaveCondition(v1alpha1.Approved, metav1.ConditionUnknown, reason))
	h.judged = 0
	return h, ar
}

var _ = Describe("A plan that waits", func() {
	It("is not made again while nothing changed that it depends on, and then after ten minutes", func(ctx SpecContext) {
		h, ar := asked(ctx, v1alpha1.ReasonAwaitingApproval)
		for range 19 {
			h.clock.Step(30 * time.Second)
			result, err := h.Reconcile(ctx, ar.DeepCopy())
			Expect(err).NotTo(HaveOccurred())
			Expect(result.RequeueAfter).To(Equal(30 * time.Second))
		}
		Expect(h.judged).To(BeZero())
		h.clock.Step(30 * time.Second)
		h.driven(ctx, ar)
		Expect(h.judged).To(Equal(1))
	})

	DescribeTable("is made again at once", func(ctx SpecContext, reason string, change func(context.Context, *house, *v1alpha1.AlertRemediation)) {
		h, ar := asked(ctx, reason)
		h.driven(ctx, ar)
		Expect(h.judged).To(BeZero())
		change(ctx, h, ar)
		h.driven(ctx, ar)
		Expect(h.judged).To(BeNumerically(">=", 1))
	},
		Entry("when something changed that it depends on", v1alpha1.ReasonAwaitingApproval, func(_ context.Context, h *house, _ *v1alpha1.AlertRemediation) {
			h.depends = "another"
		}),
		Entry("when it is not known whether something changed", v1alpha1.ReasonAwaitingApproval, func(_ context.Context, h *house, _ *v1alpha1.AlertRemediation) {
			h.unclear = errors.New("nothing can be read")
		}),
		Entry("when its deadline is over", v1alpha1.ReasonPaused, func(_ context.Context, h *house, _ *v1alpha1.AlertRemediation) {
			h.clock.Step(time.Hour)
		}),
		Entry("when it is suspended", v1alpha1.ReasonAwaitingApproval, func(ctx context.Context, _ *house, ar *v1alpha1.AlertRemediation) {
			ar.Spec.Suspend = true
			Expect(server.Client.Update(ctx, ar)).To(Succeed())
		}),
		Entry("when another replica leads, which knows nothing of it", v1alpha1.ReasonAwaitingApproval, func(_ context.Context, h *house, _ *v1alpha1.AlertRemediation) {
			h.restarted()
		}),
		Entry("when another run may have left its target", v1alpha1.ReasonAwaitingApproval, func(ctx context.Context, h *house, ar *v1alpha1.AlertRemediation) {
			h.depends, h.judgement.Refusals = "busy", no(policy.Waits, v1alpha1.ReasonTargetBusy)
			h.driven(ctx, ar)
			h.judged = 0
		}),
	)

	DescribeTable("is made and judged again before anything is done, whatever the fingerprint says", func(ctx SpecContext, refusals []policy.Refusal, outcome v1alpha1.Outcome) {
		h, ar := asked(ctx, v1alpha1.ReasonAwaitingApproval)
		h.judgement.Refusals = refusals // and the fingerprint stays as it was
		h.driven(ctx, ar)
		Expect(h.judged).To(BeZero())
		Expect(ar.Status.RunRef).To(BeEmpty())
		ar.Spec.Approval = &v1alpha1.Approval{Decision: v1alpha1.DecisionApproved, By: "jane", PlanDigest: ar.Status.Plan.Digest}
		Expect(server.Client.Update(ctx, ar)).To(Succeed())
		h.driven(ctx, ar)
		Expect(h.judged).To(BeNumerically(">=", 1))
		Expect(ar.Status.Outcome).To(Equal(outcome))
		if outcome == "" {
			Expect(ar.Status.RunRef).To(Equal("asked-run-1"))
		} else {
			Expect(ar.Status.RunRef).To(BeEmpty())
		}
	},
		Entry("and a right that was taken away refuses it", no(policy.Ends, v1alpha1.ReasonForbidden), v1alpha1.OutcomeRefused),
		Entry("and an alert that is over ends it", no(policy.Resolved, v1alpha1.ReasonAlertResolved), v1alpha1.OutcomeResolvedItself),
		Entry("and an allowed one is carried out", nil, v1alpha1.Outcome("")),
	)

	It("expires at its deadline, to the second", func(ctx SpecContext) {
		h, ar := asked(ctx, v1alpha1.ReasonAwaitingApproval)
		h.clock.SetTime(ar.Status.Plan.ApproveBefore.Add(-5 * time.Second))
		h.driven(ctx, ar) // ten minutes are over, too
		result, err := h.Reconcile(ctx, ar.DeepCopy())
		Expect(err).NotTo(HaveOccurred())
		Expect(result.RequeueAfter).To(Equal(5 * time.Second))
		h.clock.Step(result.RequeueAfter)
		h.driven(ctx, ar)
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeExpired))
	})
})

var _ = Describe("A plan that a gate holds back", func() {
	It("says what it waits for, and not that a person is asked", func(ctx SpecContext) {
		h := newHouse(ctx)
		h.judgement.Refusals = no(policy.Waits, v1alpha1.ReasonCooldown)
		ar := h.driven(ctx, h.diagnosed(ctx, "cooling"))
		Expect(ar.Status.Plan.Mode).To(Equal(v1alpha1.ModeAuto))
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Approved, metav1.ConditionUnknown, v1alpha1.ReasonCooldown))
		Expect(ar.Status.Phase).To(Equal(v1alpha1.PhaseWaiting))
		h.judgement.Refusals = nil
		h.driven(ctx, ar)
		Expect(ar.Status.Phase).To(Equal(v1alpha1.PhaseExecuting))
	})
})
