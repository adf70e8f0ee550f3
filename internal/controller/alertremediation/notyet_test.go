package alertremediation_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/policy"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// early is an action that can't be planned while a test says so.
type early struct {
	pauses
	err error
}

func (e *early) Plan(ctx context.Context, world action.World, target action.Target, params action.Params) (action.Plan, error) {
	if e.err != nil {
		return action.Plan{}, e.err
	}
	return e.pauses.Plan(ctx, world, target, params)
}

// whose makes the remedy of a house one that a test puts off.
func whose(h *house) *early {
	e := &early{err: action.NotYet(4*time.Minute, "Deployment/shop has been ready since 12:00")}
	catalog, err := action.NewCatalog(e)
	Expect(err).NotTo(HaveOccurred())
	h.Catalog = catalog
	return e
}

var _ = Describe("A remedy that can't be planned yet", func() {
	It("is waited for while the alert fires, and planned when its target fails again", func(ctx SpecContext) {
		h := newHouse(ctx)
		remedy := whose(h)
		ar := h.driven(ctx, h.diagnosed(ctx, "settling"))
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Planned, metav1.ConditionUnknown, v1alpha1.ReasonNotYet))
		Expect(ar.Status.Phase).To(Equal(v1alpha1.PhasePlanning))
		Expect(ar.Status.RunRef).To(BeEmpty())
		result, err := h.Reconcile(ctx, ar.DeepCopy())
		Expect(err).NotTo(HaveOccurred())
		Expect(result.RequeueAfter).To(BeNumerically("~", 2*time.Second, time.Second))

		remedy.err = nil
		h.driven(ctx, ar)
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Planned, metav1.ConditionTrue, v1alpha1.ReasonPlanReady))
		Expect(ar.Status.RunRef).NotTo(BeEmpty())
	})

	It("ends when the target has been well for long enough", func(ctx SpecContext) {
		h := newHouse(ctx)
		remedy := whose(h)
		ar := h.driven(ctx, h.diagnosed(ctx, "settled"))
		remedy.err = action.NotApplicable("Deployment/shop has been well for 5m0s")
		h.driven(ctx, ar)
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Planned, metav1.ConditionFalse, v1alpha1.ReasonNotApplicable))
		Expect(ar.Finished()).To(BeTrue())
		Expect(ar.Status.RunRef).To(BeEmpty())
	})

	It("is for a person when it has been waited for in vain", func(ctx SpecContext) {
		h := newHouse(ctx)
		whose(h).err = action.NotYet(30*time.Second, "the operator may not list limitranges in namespace shop")
		ar := h.driven(ctx, h.diagnosed(ctx, "in-vain"))
		h.clock.SetTime(meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Planned).LastTransitionTime.Add(14 * time.Minute))
		h.driven(ctx, ar)
		Expect(ar.Finished()).To(BeFalse())
		h.clock.Step(time.Minute)
		h.driven(ctx, ar)
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Planned, metav1.ConditionFalse, v1alpha1.ReasonNotYet))
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeEscalated))
		Expect(why(ar)).To(ContainSubstring("may not list limitranges"))
		Expect(ar.Status.RunRef).To(BeEmpty())
	})

	It("ends when the alert does", func(ctx SpecContext) {
		h := newHouse(ctx)
		whose(h)
		ar := h.driven(ctx, h.diagnosed(ctx, "over"))
		h.judgement.Refusals = []policy.Refusal{{Kind: policy.Resolved, Refusal: v1alpha1.Refusal{Reason: v1alpha1.ReasonAlertResolved, Message: "it is over"}}}
		h.driven(ctx, ar)
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeResolvedItself))
	})

	It("does not give way to the remedy after it", func(ctx SpecContext) {
		h := newHouse(ctx)
		catalog, err := action.NewCatalog(&early{err: action.NotYet(0, "it is ready")}, holds{})
		Expect(err).NotTo(HaveOccurred())
		h.Catalog = catalog
		known := h.known("both", "Pause").Obj()
		known.Status.Diagnosis.Remedies = append(known.Status.Diagnosis.Remedies, v1alpha1.Remedy{Action: "Hold"})
		server.Create(ctx, known)
		Expect(h.driven(ctx, known)).To(kubetest.HaveCondition(v1alpha1.Planned, metav1.ConditionUnknown, v1alpha1.ReasonNotYet))
	})

	It("is not carried out although a person approved it before, until it can be planned again", func(ctx SpecContext) {
		h := newHouse(ctx)
		remedy := whose(h)
		remedy.err = nil
		h.judgement.Mode = v1alpha1.ModeApprove
		h.judgement.Refusals = []policy.Refusal{{Kind: policy.Waits, Refusal: v1alpha1.Refusal{Reason: v1alpha1.ReasonAwaitingApproval}}}
		ar := h.driven(ctx, h.diagnosed(ctx, "approved"))
		Expect(ar.Status.Plan).NotTo(BeNil())

		remedy.err = action.NotYet(time.Minute, "Deployment/shop has been ready since 12:00")
		ar.Spec.Approval = &v1alpha1.Approval{Decision: v1alpha1.DecisionApproved, By: "jane", PlanDigest: ar.Status.Plan.Digest}
		Expect(server.Client.Update(ctx, ar)).To(Succeed())
		h.judgement.Refusals = nil
		h.driven(ctx, ar)
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Approved, metav1.ConditionUnknown, v1alpha1.ReasonNotYet))
		Expect(ar.Status.RunRef).To(BeEmpty())

		remedy.err = nil
		h.driven(ctx, ar)
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Approved, metav1.ConditionTrue, v1alpha1.ReasonPersonApproved))
	})
})
