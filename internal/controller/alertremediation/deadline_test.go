package alertremediation_test

import (
	"context"
	"errors"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/evidence"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/internal/policy"
)

// since is when a condition got its status.
func since(ar *v1alpha1.AlertRemediation, condition string) time.Time {
	GinkgoHelper()
	c := meta.FindStatusCondition(ar.Status.Conditions, condition)
	Expect(c).NotTo(BeNil())
	return c.LastTransitionTime.Time
}

// waiting is a gate that holds a plan back.
func waiting(reason string) []policy.Refusal {
	return []policy.Refusal{{Kind: policy.Waits, Refusal: v1alpha1.Refusal{Reason: reason, Message: "because"}}}
}

// forbidden is what the API server says to a read that no role allows.
func forbidden() error {
	return apierrors.NewForbidden(schema.GroupResource{Group: "apps", Resource: "deployments"}, "shop", errors.New(`User "kubernaut" cannot get resource "deployments"`))
}

var _ = Describe("What can't be read", func() {
	DescribeTable("is waited for by an alert about it for ten minutes, with the rights that are shipped", func(ctx SpecContext, target v1alpha1.ObjectReference, reason, says, command string) {
		server.Install(ctx, "config", "rbac")
		h := newHouse(ctx)
		h.Resolver = evidence.NewResolver(server.Operator(ctx))
		target.Namespace = h.ns
		ar := build.Remediation(h.ns, "hostile").Target(target).Obj()
		neighbour := build.Remediation(h.ns, "honest").Target(h.deploy.ObjectReference).Obj()
		server.Create(ctx, ar, neighbour)

		h.driven(ctx, ar)
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Admitted, metav1.ConditionUnknown, reason))
		result, err := h.Reconcile(ctx, ar.DeepCopy())
		Expect(err).NotTo(HaveOccurred(), "an error would be tried again for ever")
		Expect(result.RequeueAfter).To(BeNumerically("~", 2*time.Second, time.Second))
		h.driven(ctx, neighbour)
		Expect(neighbour).To(kubetest.HaveCondition(v1alpha1.Admitted, metav1.ConditionTrue, v1alpha1.ReasonTargetFound))

		h.clock.SetTime(since(ar, v1alpha1.Admitted).Add(9 * time.Minute))
		h.driven(ctx, ar)
		Expect(ar.Finished()).To(BeFalse())
		h.clock.Step(time.Minute)
		h.driven(ctx, ar)
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Admitted, metav1.ConditionFalse, reason))
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeEscalated))
		Expect(why(ar)).To(And(ContainSubstring(says), ContainSubstring("tried for 10m0s"), HaveSuffix(command)))
	},
		Entry("a kind that no API serves", v1alpha1.ObjectReference{APIVersion: "example.test/v1", Kind: "Widget", Name: "w"},
			v1alpha1.ReasonUnknownKind, `no matches for kind "Widget"`, "kubectl api-resources"),
		Entry("a version that no API serves", v1alpha1.ObjectReference{APIVersion: "apps/v9", Kind: "Deployment", Name: "shop"},
			v1alpha1.ReasonUnknownKind, `no matches for kind "Deployment"`, "kubectl api-resources"),
		Entry("a kind that the operator may not read", v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Secret", Name: "password"},
			v1alpha1.ReasonReadForbidden, `cannot get resource "secrets"`, "kubectl describe clusterrole kubernaut"),
	)

	It("may become readable in time", func(ctx SpecContext) {
		h := newHouse(ctx)
		h.Resolver = unreadableTarget{&meta.NoKindMatchError{GroupKind: schema.GroupKind{Group: "example.test", Kind: "Widget"}}}
		ar := build.Remediation(h.ns, "late").Target(h.deploy.ObjectReference).Obj()
		server.Create(ctx, ar)
		h.driven(ctx, ar)
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Admitted, metav1.ConditionUnknown, v1alpha1.ReasonUnknownKind))
		h.Resolver = h
		h.driven(ctx, ar)
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Admitted, metav1.ConditionTrue, v1alpha1.ReasonTargetFound))
	})

	DescribeTable("by a later phase is waited for as long", func(ctx SpecContext, condition, reason string, blind func(h *house, remedy *early)) {
		h := newHouse(ctx)
		remedy := whose(h)
		remedy.err = nil
		ar := h.diagnosed(ctx, "blind")
		if condition == v1alpha1.Approved { // it waits for something else first, which does not use up its deadline
			h.judgement.Refusals = waiting(v1alpha1.ReasonPaused)
			h.driven(ctx, ar)
			h.clock.SetTime(since(ar, v1alpha1.Approved).Add(time.Hour))
			h.judgement.Refusals = nil
		}
		blind(h, remedy)
		h.driven(ctx, ar)
		Expect(ar).To(kubetest.HaveCondition(condition, metav1.ConditionUnknown, reason))
		Expect(ar.Finished()).To(BeFalse())

		h.clock.SetTime(since(ar, condition).Add(10 * time.Minute))
		h.driven(ctx, ar)
		Expect(ar).To(kubetest.HaveCondition(condition, metav1.ConditionFalse, reason))
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeEscalated))
		Expect(why(ar)).To(ContainSubstring("kubectl "))
		Expect(ar.Status.RunRef).To(BeEmpty())
	},
		Entry("planning, an unknown kind", v1alpha1.Planned, v1alpha1.ReasonUnknownKind, func(_ *house, remedy *early) { remedy.err = &meta.NoKindMatchError{} }),
		Entry("planning, a forbidden read", v1alpha1.Planned, v1alpha1.ReasonReadForbidden, func(_ *house, remedy *early) { remedy.err = forbidden() }),
		Entry("planning again", v1alpha1.Approved, v1alpha1.ReasonReadForbidden, func(_ *house, remedy *early) { remedy.err = forbidden() }),
		Entry("a gate", v1alpha1.Approved, v1alpha1.ReasonReadForbidden, func(h *house, _ *early) { h.judgement.Refusals = waiting(v1alpha1.ReasonReadForbidden) }),
	)
})

// unreadableTarget is a resolver that can't read what an alert is about.
type unreadableTarget struct{ err error }

func (u unreadableTarget) Trace(context.Context, string, v1alpha1.Alert) (evidence.Found, error) {
	return evidence.Found{}, u.err
}

func (u unreadableTarget) Climb(context.Context, v1alpha1.ObjectReference) (v1alpha1.TargetReference, error) {
	return v1alpha1.TargetReference{}, u.err
}

var _ = Describe("A remediation that has not begun", func() {
	// pass is one pass, which may fail.
	pass := func(ctx context.Context, h *house, ar *v1alpha1.AlertRemediation) {
		GinkgoHelper()
		_, _ = h.Reconcile(ctx, ar.DeepCopy())
		h.read(ctx, ar)
	}

	DescribeTable("ends after a day, whatever holds it up", func(ctx SpecContext, making func(h *house) build.RemediationBuilder, says string) {
		h := newHouse(ctx)
		ar := making(h).Obj()
		server.Create(ctx, ar)
		pass(ctx, h, ar)
		Expect(ar.Status.PhaseTimes).NotTo(BeEmpty())
		h.clock.SetTime(ar.Status.PhaseTimes[0].At.Add(23 * time.Hour))
		pass(ctx, h, ar)
		Expect(ar.Finished()).To(BeFalse())

		h.clock.Step(time.Hour)
		pass(ctx, h, ar)
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeExpired))
		Expect(why(ar)).To(And(ContainSubstring(says), HaveSuffix("kubectl -n "+ar.Namespace+" delete ar "+ar.Name)))
		Expect(ar.Status.RunRef).To(BeEmpty())
	},
		Entry("a pause", func(h *house) build.RemediationBuilder {
			h.judgement.Refusals = waiting(v1alpha1.ReasonPaused)
			return h.known("paused", "Pause")
		}, ": Paused: because"),
		Entry("a source that can't be read for now", func(h *house) build.RemediationBuilder {
			h.judgement.Refusals = waiting(v1alpha1.ReasonUnreadable)
			return h.known("unread", "Pause")
		}, ": Unreadable: because"),
		Entry("a plan that was approved, while the budget is spent", func(h *house) build.RemediationBuilder {
			h.reserved = &policy.RefusedError{Refusal: waiting(v1alpha1.ReasonBudgetSpent)[0]}
			return h.known("unbooked", "Pause")
		}, ": BudgetSpent: because"),
		Entry("a diagnosis that never comes", func(h *house) build.RemediationBuilder {
			return build.Remediation(h.ns, "undiagnosed")
		}, ": Running"),
		Entry("a first look that fails", func(h *house) build.RemediationBuilder {
			h.blind = errors.New("the sources are away")
			return build.Remediation(h.ns, "blind")
		}, "the sources are away"),
		Entry("a target that can't be read for another reason", func(h *house) build.RemediationBuilder {
			h.Resolver = unreadableTarget{errors.New("the aggregated API is away")}
			return build.Remediation(h.ns, "away")
		}, "the aggregated API is away"),
	)

	It("is looked at when its day is over, though nothing is written to it", func(ctx SpecContext) {
		h := newHouse(ctx)
		ar := build.Remediation(h.ns, "quiet").Obj()
		server.Create(ctx, ar)
		h.driven(ctx, ar)
		h.clock.SetTime(ar.Status.PhaseTimes[0].At.Add(time.Hour))
		result, err := h.Reconcile(ctx, ar.DeepCopy())
		Expect(err).NotTo(HaveOccurred())
		Expect(result.RequeueAfter).To(Equal(23 * time.Hour))
	})

	It("does not end while a person may still approve its plan", func(ctx SpecContext) {
		h := newHouse(ctx)
		h.judgement.Mode, h.judgement.ApprovalDeadline = v1alpha1.ModeApprove, 48*time.Hour
		h.judgement.Refusals = waiting(v1alpha1.ReasonAwaitingApproval)
		ar := h.driven(ctx, h.diagnosed(ctx, "slow"))
		h.clock.Step(47 * time.Hour)
		h.driven(ctx, ar)
		Expect(ar.Finished()).To(BeFalse())

		ar.Spec.Approval = &v1alpha1.Approval{Decision: v1alpha1.DecisionApproved, By: "jane", PlanDigest: ar.Status.Plan.Digest}
		Expect(server.Client.Update(ctx, ar)).To(Succeed())
		h.judgement.Refusals = nil
		h.driven(ctx, ar)
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Executed, metav1.ConditionUnknown, v1alpha1.ReasonRunMade))
	})

	It("has no deadline any more once its run is made", func(ctx SpecContext) {
		h := newHouse(ctx)
		ar := h.driven(ctx, h.diagnosed(ctx, "begun"))
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Executed, metav1.ConditionUnknown, v1alpha1.ReasonRunMade))
		h.clock.Step(48 * time.Hour)
		h.driven(ctx, ar)
		Expect(ar.Finished()).To(BeFalse())
		result, err := h.Reconcile(ctx, ar.DeepCopy())
		Expect(err).NotTo(HaveOccurred())
		Expect(result.RequeueAfter).To(BeZero(), "the run's changes wake it")
	})
})
