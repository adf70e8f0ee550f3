package alertremediation_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
)

var _ = Describe("An alert that goes on firing", func() {
	// calling is a firing whose remedy is a person.
	calling := func(ctx context.Context, h *house, name string, change func(*v1alpha1.AlertRemediation)) *v1alpha1.AlertRemediation {
		GinkgoHelper()
		ar := h.known(name, "Call").Obj()
		ar.Status.Diagnosis.Evidence = []v1alpha1.Evidence{{Kind: v1alpha1.EvidenceLog, Says: "12:00:00 missing key DB_HOST"}}
		change(ar)
		server.Create(ctx, ar)
		return h.driven(ctx, ar)
	}
	same := func(*v1alpha1.AlertRemediation) {}

	It("calls a person once for one cause and target", func(ctx SpecContext) {
		h := newHouse(ctx)
		first := calling(ctx, h, "first", same)
		Expect(first.Status.Outcome).To(Equal(v1alpha1.OutcomeEscalated))
		h.told()
		for _, name := range []string{"second", "third"} {
			again := calling(ctx, h, name, same)
			Expect(again).To(kubetest.HaveCondition(v1alpha1.Succeeded, metav1.ConditionTrue, string(v1alpha1.OutcomeDuplicate)))
			Expect(again.Status.DuplicateOf).To(Equal("first"))
			Expect(again.Status.RunRef).To(BeEmpty())
		}
		Expect(h.told()).NotTo(ContainElement(ContainSubstring(string(v1alpha1.OutcomeEscalated))), "the escalation was announced before")
	})

	DescribeTable("calls a person again", func(ctx SpecContext, change func(*v1alpha1.AlertRemediation)) {
		h := newHouse(ctx)
		calling(ctx, h, "first", same)
		Expect(calling(ctx, h, "second", change).Status.Outcome).To(Equal(v1alpha1.OutcomeEscalated))
	},
		Entry("when the evidence changed", func(ar *v1alpha1.AlertRemediation) {
			ar.Status.Diagnosis.Evidence[0].Says = "12:00:00 missing key DB_PORT"
		}),
		Entry("for another cause", func(ar *v1alpha1.AlertRemediation) { ar.Status.Diagnosis.Cause = v1alpha1.CauseOOMKilled }),
		Entry("when a person asks", func(ar *v1alpha1.AlertRemediation) { ar.Spec.Alert.Source = v1alpha1.SourceManual }),
	)

	It("calls a person though an object written by hand escalated for the same before", func(ctx SpecContext) {
		h := newHouse(ctx)
		calling(ctx, h, "by-hand", func(ar *v1alpha1.AlertRemediation) { ar.Spec.Alert.Source = v1alpha1.SourceManual })
		Expect(calling(ctx, h, "first", same).Status.Outcome).To(Equal(v1alpha1.OutcomeEscalated))
	})

	It("calls a person again once the escalation was deleted", func(ctx SpecContext) {
		h := newHouse(ctx)
		Expect(server.Client.Delete(ctx, calling(ctx, h, "first", same))).To(Succeed())
		Expect(calling(ctx, h, "second", same).Status.Outcome).To(Equal(v1alpha1.OutcomeEscalated))
	})
})
