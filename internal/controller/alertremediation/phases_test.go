package alertremediation_test

import (
	"errors"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/internal/policy"
)

var _ = Describe("Admission", func() {
	It("lets one remediation live for a target, and names it in the others", func(ctx SpecContext) {
		h := newHouse(ctx)
		first := build.Remediation(h.ns, "first").Obj()
		second := build.Remediation(h.ns, "second").Obj()
		server.Create(ctx, first, second)

		h.driven(ctx, first)
		Expect(first).To(kubetest.HaveCondition(v1alpha1.Admitted, metav1.ConditionTrue, v1alpha1.ReasonTargetFound))
		Expect(first.Status.Target.UID).To(Equal(h.deploy.UID))

		h.driven(ctx, second)
		Expect(second).To(kubetest.HaveCondition(v1alpha1.Succeeded, metav1.ConditionTrue, string(v1alpha1.OutcomeDuplicate)))
		Expect(second.Status.DuplicateOf).To(Equal("first"))
	})

	It("lets nobody else in while it is not known who is the first", func(ctx SpecContext) {
		h := newHouse(ctx)
		first, second := build.Remediation(h.ns, "first").Obj(), build.Remediation(h.ns, "second").Obj()
		server.Create(ctx, first, second)
		h.during = func() {
			h.during = nil
			result, err := h.Reconcile(ctx, second.DeepCopy())
			Expect(err).NotTo(HaveOccurred())
			Expect(result.RequeueAfter).NotTo(BeZero())
		}
		h.driven(ctx, first)
		h.read(ctx, second)
		Expect(second.Status.Conditions).To(BeEmpty(), "it was written to before anything was known")
		h.driven(ctx, second)
		Expect(second.Status.DuplicateOf).To(Equal("first"))
	})

	It("knows what an alert is about that had to ask again, though its pod is gone by then", func(ctx SpecContext) {
		h := newHouse(ctx)
		first, second := build.Remediation(h.ns, "first").FromAlertmanager("first").Obj(), build.Remediation(h.ns, "second").FromAlertmanager("second").Obj()
		server.Create(ctx, first, second)
		h.during = func() {
			h.during = nil
			_, err := h.Reconcile(ctx, second.DeepCopy())
			Expect(err).NotTo(HaveOccurred())
		}
		h.driven(ctx, first)
		h.gone = true
		h.driven(ctx, second)
		Expect(second.Status.Outcome).To(Equal(v1alpha1.OutcomeDuplicate))
		Expect(second.Status.DuplicateOf).To(Equal("first"))
	})

	DescribeTable("ends a remediation as a duplicate only of one with the same standing", func(ctx SpecContext, first, second func(*house) build.RemediationBuilder, duplicate bool) {
		h := newHouse(ctx)
		one, other := first(h).Obj(), second(h).Obj()
		server.Create(ctx, one, other)
		h.driven(ctx, one)
		Expect(one).To(kubetest.HaveCondition(v1alpha1.Admitted, metav1.ConditionTrue, v1alpha1.ReasonTargetFound))
		h.driven(ctx, other)
		if duplicate {
			Expect(other.Status.DuplicateOf).To(Equal(one.Name))
			return
		}
		Expect(other).To(kubetest.HaveCondition(v1alpha1.Admitted, metav1.ConditionTrue, v1alpha1.ReasonTargetFound))
		Expect(other.Status.DuplicateOf).To(BeEmpty())
	},
		Entry("an alert's, of another alert's", alerted("one"), alerted("other"), true),
		Entry("an alert's, of what a trigger saw", watched("one"), alerted("other"), true),
		Entry("a user's, of another user's", written("one"), written("other"), true),
		Entry("not an alert's, of a user's", written("one"), alerted("other"), false),
		Entry("not an alert's, of a user's that is suspended", suspended("one"), alerted("other"), false),
		Entry("not an alert's, of a user's with its fingerprint", impostor("one", "other"), alerted("other"), false),
		Entry("not what a trigger saw, of a user's", written("one"), watched("other"), false),
		Entry("not a user's, of an alert's: a user gets an answer of their own", alerted("one"), written("other"), false),
	)

	It("is not misled by what a user writes while the cache is behind", func(ctx SpecContext) {
		h := newHouse(ctx)
		h.Client = behind{server.Client}
		first, forged, second := alerted("first")(h).Obj(), written("forged")(h).Obj(), alerted("second")(h).Obj()
		server.Create(ctx, first, forged, second)
		h.driven(ctx, first)
		h.driven(ctx, forged)
		h.driven(ctx, second)
		Expect(second.Status.DuplicateOf).To(Equal("first"))
	})

	It("lets the operator's own in while a user's is being admitted", func(ctx SpecContext) {
		h := newHouse(ctx)
		forged, own := written("forged")(h).Obj(), alerted("own")(h).Obj()
		server.Create(ctx, forged, own)
		h.during = func() {
			h.during = nil
			h.driven(ctx, own)
			Expect(own).To(kubetest.HaveCondition(v1alpha1.Admitted, metav1.ConditionTrue, v1alpha1.ReasonTargetFound))
		}
		h.driven(ctx, forged)
		Expect(own.Status.Target).NotTo(BeNil())
	})

	It("ends no remediation of a namespace for one of the operator's namespace, which can't act there", func(ctx SpecContext) {
		h := newHouse(ctx)
		there := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: operator}}
		Expect(client.IgnoreAlreadyExists(server.Client.Create(ctx, there))).To(Succeed())
		elsewhere := build.Remediation(operator, "elsewhere").FromAlertmanager("e").Admitted(h.deploy).Obj()
		own := alerted("own")(h).Obj()
		server.Create(ctx, elsewhere, own)
		h.driven(ctx, own)
		Expect(own).To(kubetest.HaveCondition(v1alpha1.Admitted, metav1.ConditionTrue, v1alpha1.ReasonTargetFound))
	})

	It("says by what it knows the workload of a pod that is gone", func(ctx SpecContext) {
		h := newHouse(ctx)
		h.traced = true
		ar := build.Remediation(h.ns, "late").FromAlertmanager("late").Obj()
		server.Create(ctx, ar)
		h.driven(ctx, ar)
		Expect(ar.Status.Target.UID).To(Equal(h.deploy.UID))
		admitted := meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Admitted)
		Expect(admitted.Message).To(Equal("the alert is about Pod/shop-x2b9k, which is gone: by its name it was one of Deployment/shop"))
	})

	It("lets the next one in when the pass of the first came to nothing", func(ctx SpecContext) {
		h := newHouse(ctx)
		first, second := build.Remediation(h.ns, "first").Obj(), build.Remediation(h.ns, "second").Obj()
		server.Create(ctx, first, second)
		h.blind = errors.New("nothing can be seen")
		h.during = func() { // somebody writes: nothing of the pass is saved
			ar := first.DeepCopy()
			h.read(ctx, ar)
			ar.Status.ObservedBy = "somebody"
			Expect(server.Client.Status().Update(ctx, ar)).To(Succeed())
		}
		_, err := h.Reconcile(ctx, first.DeepCopy())
		Expect(err).To(MatchError(h.blind))
		h.blind, h.during = nil, nil
		h.driven(ctx, second)
		Expect(second).To(kubetest.HaveCondition(v1alpha1.Admitted, metav1.ConditionTrue, v1alpha1.ReasonTargetFound))
		h.read(ctx, first)
		h.driven(ctx, first)
		Expect(first.Status.DuplicateOf).To(Equal("second"))
	})

	DescribeTable("takes the answer that another remediation was given with words only", func(ctx SpecContext, change func(h *house, first, second *v1alpha1.AlertRemediation), duplicate bool) {
		h := newHouse(ctx)
		h.judgement.Mode = v1alpha1.ModeRecommend
		first := h.known("first", "Pause").Obj()
		second := build.Remediation(h.ns, "second").FromAlertmanager("of-another-pod").Obj()
		h.found = first.Status.Diagnosis
		server.Create(ctx, first)
		h.driven(ctx, first)
		Expect(first.Status.Outcome).To(Equal(v1alpha1.OutcomeRecommended))
		change(h, first, second)
		Expect(server.Client.Status().Update(ctx, first)).To(Succeed())
		server.Create(ctx, second)
		h.driven(ctx, second)
		if !duplicate {
			Expect(second.Status.Outcome).To(Equal(v1alpha1.OutcomeRecommended))
			return
		}
		Expect(second.Status.Outcome).To(Equal(v1alpha1.OutcomeDuplicate))
		Expect(second.Status.DuplicateOf).To(Equal("first"))
	},
		Entry("when it was there already", func(_ *house, first, _ *v1alpha1.AlertRemediation) { endedAt(first, time.Now()) }, true),
		Entry("but not when it came later", func(_ *house, first, _ *v1alpha1.AlertRemediation) { endedAt(first, time.Now().Add(-time.Minute)) }, false),
		Entry("but not when it is looked at long after", func(h *house, first, _ *v1alpha1.AlertRemediation) {
			endedAt(first, time.Now())
			h.clock.Step(2 * time.Minute)
		}, false),
		Entry("but not when nothing was wrong then", func(_ *house, first, _ *v1alpha1.AlertRemediation) {
			endedAt(first, time.Now())
			first.Status.Outcome = v1alpha1.OutcomeNoActionNeeded
		}, false),
		Entry("but not when it was not known what is wrong", func(_ *house, first, _ *v1alpha1.AlertRemediation) {
			endedAt(first, time.Now())
			first.Status.Outcome = v1alpha1.OutcomeEscalated
			meta.FindStatusCondition(first.Status.Conditions, v1alpha1.Diagnosed).Status = metav1.ConditionFalse
		}, false),
		Entry("but not as another alert", func(_ *house, first, second *v1alpha1.AlertRemediation) {
			endedAt(first, time.Now())
			second.Spec.Alert.Name = "KubeDeploymentReplicasMismatch"
		}, false),
		Entry("but not for a person", func(_ *house, first, second *v1alpha1.AlertRemediation) {
			endedAt(first, time.Now())
			second.Spec.Alert.Source = v1alpha1.SourceManual
		}, false),
		Entry("but not when more was done", func(_ *house, first, _ *v1alpha1.AlertRemediation) {
			endedAt(first, time.Now())
			first.Status.RunRef = "first-run-1"
		}, false),
		Entry("but not when it ended because its own alert was over", func(_ *house, first, _ *v1alpha1.AlertRemediation) {
			endedAt(first, time.Now())
			first.Status.Outcome = v1alpha1.OutcomeResolvedItself
		}, false),
	)

	It("refuses a target in another namespace", func(ctx SpecContext) {
		h := newHouse(ctx)
		ar := build.Remediation(h.ns, "elsewhere").Target(v1alpha1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "other", Name: "shop"}).Obj()
		server.Create(ctx, ar)
		h.driven(ctx, ar)
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Admitted, metav1.ConditionTrue, v1alpha1.ReasonNoTarget))
		Expect(ar.Status.Target).To(BeNil())
	})
})

// endedAt changes when a remediation ended (a second later: what was created within that one is there already).
func endedAt(ar *v1alpha1.AlertRemediation, at time.Time) {
	meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Succeeded).LastTransitionTime = metav1.NewTime(at.Add(time.Second))
}

var _ = Describe("A diagnosis", func() {
	It("of nothing wrong ends the remediation with nothing done", func(ctx SpecContext) {
		h := newHouse(ctx)
		ar := build.Remediation(h.ns, "well").Admitted(h.deploy).Diagnosed(v1alpha1.Diagnosis{Source: v1alpha1.SourceRules, Cause: v1alpha1.CauseHealthy}).Obj()
		server.Create(ctx, ar)
		h.driven(ctx, ar)
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Succeeded, metav1.ConditionTrue, string(v1alpha1.OutcomeNoActionNeeded)))
		Expect(ar.Status.RunRef).To(BeEmpty())
	})

	It("without enough evidence is for a person", func(ctx SpecContext) {
		h := newHouse(ctx)
		ar := build.Remediation(h.ns, "dark").Admitted(h.deploy).Diagnosed(v1alpha1.Diagnosis{Source: v1alpha1.SourceRules, Cause: v1alpha1.CauseNotEnoughEvidence}).Obj()
		server.Create(ctx, ar)
		h.driven(ctx, ar)
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Succeeded, metav1.ConditionFalse, string(v1alpha1.OutcomeEscalated)))
	})

	It("that the first look finds is acted on in the pass that admitted the alert", func(ctx SpecContext) {
		h := newHouse(ctx)
		h.found = h.known("at-once", "Pause").Obj().Status.Diagnosis
		ar := build.Remediation(h.ns, "at-once").FromAlertmanager("at-once").Obj()
		server.Create(ctx, ar)
		_, err := h.Reconcile(ctx, ar.DeepCopy())
		Expect(err).NotTo(HaveOccurred())
		h.read(ctx, ar)
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Planned, metav1.ConditionTrue, v1alpha1.ReasonPlanReady))
		Expect(ar.Status.Diagnosis).To(Equal(h.found))
	})

	It("that the first look is too early for is waited for, and not looked for again here", func(ctx SpecContext) {
		h := newHouse(ctx)
		ar := build.Remediation(h.ns, "early").FromAlertmanager("early").Obj()
		server.Create(ctx, ar)
		h.driven(ctx, ar)
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Diagnosed, metav1.ConditionUnknown, v1alpha1.ReasonRunning))
		Expect(h.looks).To(Equal(1))
	})

	It("whose remedy is not in the catalogue is for a person, with the cause first", func(ctx SpecContext) {
		h := newHouse(ctx)
		ar := build.Remediation(h.ns, "strange").Admitted(h.deploy).Diagnosed(v1alpha1.Diagnosis{
			Source: v1alpha1.SourceRules, Cause: v1alpha1.CauseCrashBadRelease, Summary: "revision 2 crashes", Remedies: []v1alpha1.Remedy{{Action: "RunShell"}},
		}).Obj()
		server.Create(ctx, ar)
		h.driven(ctx, ar)
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Planned, metav1.ConditionFalse, v1alpha1.ReasonUnknownAction))
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeEscalated))
		Expect(why(ar)).To(HavePrefix("revision 2 crashes: no remedy of CrashBadRelease can be planned: "))
		Expect(ar.Status.Diagnosis.Remedies[0].Refused.Reason).To(Equal(v1alpha1.ReasonUnknownAction))
	})
})

var _ = Describe("Approval", func() {
	It("waits for a person with the plan in view, and goes on with their word", func(ctx SpecContext) {
		h := newHouse(ctx)
		h.judgement.Mode, h.judgement.Guards = v1alpha1.ModeApprove, "first"
		h.judgement.Refusals = []policy.Refusal{{Kind: policy.Waits, Refusal: v1alpha1.Refusal{Reason: v1alpha1.ReasonAwaitingApproval, Message: "a person"}}}
		ar := h.driven(ctx, h.diagnosed(ctx, "asked"))
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Approved, metav1.ConditionUnknown, v1alpha1.ReasonAwaitingApproval))
		Expect(ar.Status.Phase).To(Equal(v1alpha1.PhaseAwaitingApproval))
		Expect(ar.Status.Plan.Steps[0].Diff).To(ContainSubstring("spec.paused: true"))
		Expect(ar.Status.Plan.Steps[0].Undo).NotTo(BeEmpty())
		Expect(ar.Status.Plan.Guards).To(Equal("first"))
		Expect(ar.Status.RunRef).To(BeEmpty())

		ar.Spec.Approval = &v1alpha1.Approval{Decision: v1alpha1.DecisionApproved, By: "jane", PlanDigest: ar.Status.Plan.Digest}
		Expect(server.Client.Update(ctx, ar)).To(Succeed())
		h.judgement.Refusals = nil
		h.driven(ctx, ar)
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Approved, metav1.ConditionTrue, v1alpha1.ReasonPersonApproved))
		Expect(h.run(ctx, ar).Spec.PlanDigest).To(Equal(ar.Status.Plan.Digest))
	})

	It("never comes by silence", func(ctx SpecContext) {
		h := newHouse(ctx)
		h.judgement.Mode = v1alpha1.ModeApprove
		h.judgement.Refusals = []policy.Refusal{{Kind: policy.Waits, Refusal: v1alpha1.Refusal{Reason: v1alpha1.ReasonAwaitingApproval}}}
		ar := h.driven(ctx, h.diagnosed(ctx, "silent"))
		h.clock.Step(61 * time.Minute)
		h.driven(ctx, ar)
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Succeeded, metav1.ConditionFalse, string(v1alpha1.OutcomeExpired)))
		Expect(ar.Status.RunRef).To(BeEmpty())
	})

	It("makes no run where the mode only recommends", func(ctx SpecContext) {
		h := newHouse(ctx)
		h.judgement.Mode = v1alpha1.ModeRecommend
		ar := h.driven(ctx, h.diagnosed(ctx, "shown"))
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeRecommended))
		Expect(ar.Status.Plan.Digest).To(HavePrefix("v1:sha256:"))
		Expect(ar.Status.RunRef).To(BeEmpty())
	})
})

var _ = Describe("Execution", func() {
	It("asks the gates again where the policy that allowed it is gone", func(ctx SpecContext) {
		h := newHouse(ctx)
		h.reserved = apierrors.NewNotFound(v1alpha1.GroupVersion.WithResource("remediationpolicies").GroupResource(), "auto")
		ar := h.driven(ctx, h.diagnosed(ctx, "unruled"))
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Approved, metav1.ConditionUnknown, v1alpha1.ReasonUnreadable))

		h.judgement.Refusals = []policy.Refusal{{Kind: policy.Ends, Refusal: v1alpha1.Refusal{Reason: v1alpha1.ReasonOutOfScope, Message: "no policy is about it"}}}
		h.driven(ctx, ar)
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeRefused))
		Expect(ar.Status.RunRef).To(BeEmpty())
	})

	It("takes no place in a budget on the strength of what somebody changed meanwhile", func(ctx SpecContext) {
		h := newHouse(ctx)
		ar := h.diagnosed(ctx, "stale")
		stale := ar.DeepCopy()
		ar.Labels = map[string]string{"seen": "yes"}
		Expect(server.Client.Update(ctx, ar)).To(Succeed())
		result, err := h.Reconcile(ctx, stale)
		Expect(err).NotTo(HaveOccurred())
		Expect(result.RequeueAfter).To(BeNumerically(">", 0))
		Expect(h.places).To(BeZero())

		h.driven(ctx, ar)
		Expect(h.places).To(Equal(1))
	})

	It("takes no place in a budget before what it is for is stored", func(ctx SpecContext) {
		h := newHouse(ctx)
		h.found = h.known("booked", "Pause").Obj().Status.Diagnosis
		ar := build.Remediation(h.ns, "booked").FromAlertmanager("booked").Obj()
		server.Create(ctx, ar)
		var stored v1alpha1.AlertRemediation
		h.reserving = func() {
			Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(ar), &stored)).To(Succeed())
		}
		_, err := h.Reconcile(ctx, ar.DeepCopy())
		Expect(err).NotTo(HaveOccurred())
		Expect(&stored).To(kubetest.HaveCondition(v1alpha1.Admitted, metav1.ConditionTrue, v1alpha1.ReasonTargetFound))
		Expect(&stored).To(kubetest.HaveCondition(v1alpha1.Planned, metav1.ConditionTrue, v1alpha1.ReasonPlanReady))
		Expect(stored.Status.RunRef).To(BeEmpty())
	})

	It("tells of the plan that it saved, though somebody wrote before a place was taken for it", func(ctx SpecContext) {
		h := newHouse(ctx)
		h.found = h.known("told", "Pause").Obj().Status.Diagnosis
		ar := build.Remediation(h.ns, "told").FromAlertmanager("told").Obj()
		server.Create(ctx, ar)
		h.reserving = func() {
			h.reserving = nil
			h.read(ctx, ar)
			ar.Status.Alert = &v1alpha1.AlertStatus{State: v1alpha1.AlertFiring}
			Expect(server.Client.Status().Update(ctx, ar)).To(Succeed())
		}
		result, err := h.Reconcile(ctx, ar.DeepCopy())
		Expect(err).NotTo(HaveOccurred())
		Expect(result.RequeueAfter).NotTo(BeZero())
		Expect(h.told()).To(ConsistOf(ContainSubstring(v1alpha1.ReasonPlanReady)))
	})

	It("leaves a run alone that somebody else made under the decided name", func(ctx SpecContext) {
		h := newHouse(ctx)
		squatter := build.Run(h.ns, "taken-run-1", h.deploy).Step("remedy", "RolloutRestart", nil).Obj()
		server.Create(ctx, squatter)
		ar := h.driven(ctx, h.diagnosed(ctx, "taken"))
		Expect(ar.Status.RunRef).To(Equal("taken-run-2"))
		Expect(h.told()).To(ContainElement(ContainSubstring(v1alpha1.ReasonNameTaken)))
	})

	It("takes a gate's late no for a refusal", func(ctx SpecContext) {
		h := newHouse(ctx)
		ar := h.driven(ctx, h.diagnosed(ctx, "late"))
		h.ended(ctx, h.run(ctx, ar), metav1.ConditionFalse, v1alpha1.ReasonForbidden)
		h.driven(ctx, ar)
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Approved, metav1.ConditionFalse, v1alpha1.ReasonForbidden))
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeRefused))
	})

	It("says so when its run was deleted", func(ctx SpecContext) {
		h := newHouse(ctx)
		ar := h.driven(ctx, h.diagnosed(ctx, "gone"))
		Expect(server.Client.Delete(ctx, h.run(ctx, ar))).To(Succeed())
		h.driven(ctx, ar)
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeEscalated))
	})

	It("says so when its run was deleted while it was looked whether it helped", func(ctx SpecContext) {
		h := newHouse(ctx)
		ar := h.driven(ctx, h.diagnosed(ctx, "bereft"))
		h.ended(ctx, h.run(ctx, ar), metav1.ConditionTrue, v1alpha1.ReasonCompleted, h.pausing(ctx, true, true))
		h.driven(ctx, ar)
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Verified, metav1.ConditionUnknown, v1alpha1.ReasonObserving))
		Expect(server.Client.Delete(ctx, h.run(ctx, ar))).To(Succeed())
		h.driven(ctx, ar)
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Verified, metav1.ConditionFalse, v1alpha1.ReasonTargetGone))
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeEscalated))
	})

	It("says so when its run was deleted before what it did could be taken back", func(ctx SpecContext) {
		h := newHouse(ctx)
		ar := h.driven(ctx, h.diagnosed(ctx, "unrecorded"))
		h.ended(ctx, h.run(ctx, ar), metav1.ConditionTrue, v1alpha1.ReasonCompleted, h.pausing(ctx, true, true))
		h.health, h.state = v1alpha1.HealthUnhealthy, v1alpha1.AlertFiring
		h.driven(ctx, ar)
		h.clock.Step(deadline)
		h.driven(ctx, ar)
		Expect(ar.Status.RunRef).To(Equal("unrecorded-run-2"))
		var first v1alpha1.WorkflowRun
		Expect(server.Client.Get(ctx, client.ObjectKey{Namespace: h.ns, Name: "unrecorded-run-1"}, &first)).To(Succeed())
		Expect(server.Client.Delete(ctx, &first)).To(Succeed())
		h.driven(ctx, ar)
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeEscalated))
	})
})

var _ = Describe("Verification", func() {
	type row struct {
		alert         v1alpha1.AlertState
		health        v1alpha1.Health
		edited, fixed bool // the change was edited away; it has no undo
		after         time.Duration
		outcome       v1alpha1.Outcome
		undo          bool
	}
	DescribeTable("the verdict", func(ctx SpecContext, r row) {
		h := newHouse(ctx)
		ar := h.driven(ctx, h.diagnosed(ctx, "verdict"))
		h.ended(ctx, h.run(ctx, ar), metav1.ConditionTrue, v1alpha1.ReasonCompleted, h.pausing(ctx, !r.edited, !r.fixed))
		h.health, h.state = r.health, r.alert
		h.driven(ctx, ar)
		if !r.edited {
			Expect(ar).To(kubetest.HaveCondition(v1alpha1.Verified, metav1.ConditionUnknown, v1alpha1.ReasonObserving))
		}
		h.clock.Step(r.after)
		h.driven(ctx, ar)
		if r.undo {
			run := h.run(ctx, ar)
			Expect(run.Name).To(Equal("verdict-run-2"))
			Expect(run.Spec.Undoes).To(Equal("verdict-run-1"))
			h.ended(ctx, run, metav1.ConditionTrue, v1alpha1.ReasonCompleted)
			h.driven(ctx, ar)
		} else {
			Expect(ar.Status.RunRef).To(Equal("verdict-run-1"), "nothing is undone")
		}
		Expect(ar.Status.Outcome).To(Equal(r.outcome), "%+v", ar.Status.Verification)
		Expect(ar.Finished()).To(BeTrue())
	},
		Entry("resolved and healthy for the window: remediated", row{alert: v1alpha1.AlertResolved, health: v1alpha1.HealthHealthy, after: window + time.Second, outcome: v1alpha1.OutcomeRemediated}),
		Entry("unhealthy at the deadline: undone in a run of its own", row{alert: v1alpha1.AlertFiring, health: v1alpha1.HealthUnhealthy, after: deadline, outcome: v1alpha1.OutcomeRolledBack, undo: true}),
		Entry("unhealthy at the deadline although resolved: undone", row{alert: v1alpha1.AlertResolved, health: v1alpha1.HealthUnhealthy, after: deadline, outcome: v1alpha1.OutcomeRolledBack, undo: true}),
		Entry("unhealthy at the deadline without an undo: a person", row{alert: v1alpha1.AlertFiring, health: v1alpha1.HealthUnhealthy, fixed: true, after: deadline, outcome: v1alpha1.OutcomeEscalated}),
		Entry("firing at the deadline but healthy: never undone", row{alert: v1alpha1.AlertFiring, health: v1alpha1.HealthHealthy, after: deadline, outcome: v1alpha1.OutcomeEscalated}),
		Entry("unknown alert, healthy: unknown is no success", row{alert: v1alpha1.AlertUnknown, health: v1alpha1.HealthHealthy, after: deadline, outcome: v1alpha1.OutcomeEscalated}),
		Entry("unknown health at the deadline: a person", row{alert: v1alpha1.AlertResolved, health: v1alpha1.HealthUnknown, after: deadline, outcome: v1alpha1.OutcomeEscalated}),
		Entry("the change edited away: never undone over the edit", row{alert: v1alpha1.AlertFiring, health: v1alpha1.HealthUnhealthy, edited: true, after: deadline, outcome: v1alpha1.OutcomeEscalated}),
	)

	It("takes back what contained a fault, once the target is well by itself, and calls that no cure", func(ctx SpecContext) {
		h := newHouse(ctx)
		ar := h.driven(ctx, h.remedied(ctx, "held", "Hold"))
		h.ended(ctx, h.run(ctx, ar), metav1.ConditionTrue, v1alpha1.ReasonCompleted, h.pausing(ctx, true, true))
		h.health, h.state = v1alpha1.HealthHealthy, v1alpha1.AlertResolved
		h.driven(ctx, ar)
		h.clock.Step(window + time.Second)
		h.driven(ctx, ar)
		run := h.run(ctx, ar)
		Expect(run.Spec.Undoes).To(Equal("held-run-1"))
		h.ended(ctx, run, metav1.ConditionTrue, v1alpha1.ReasonCompleted)
		h.driven(ctx, ar)
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeResolvedItself))
	})

	It("leaves what contains a fault in place where the target is not well, for a person", func(ctx SpecContext) {
		h := newHouse(ctx)
		ar := h.driven(ctx, h.remedied(ctx, "ill", "Hold"))
		h.ended(ctx, h.run(ctx, ar), metav1.ConditionTrue, v1alpha1.ReasonCompleted, h.pausing(ctx, true, true))
		h.health, h.state = v1alpha1.HealthUnhealthy, v1alpha1.AlertFiring
		h.driven(ctx, ar)
		h.clock.Step(deadline)
		h.driven(ctx, ar)
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeEscalated))
		Expect(ar.Status.RunRef).To(Equal("ill-run-1"), "nothing is undone")
	})

	It("calls an undo that did not work a failure", func(ctx SpecContext) {
		h := newHouse(ctx)
		ar := h.driven(ctx, h.diagnosed(ctx, "stuck"))
		h.ended(ctx, h.run(ctx, ar), metav1.ConditionTrue, v1alpha1.ReasonCompleted, h.pausing(ctx, true, true))
		h.health = v1alpha1.HealthUnhealthy
		h.driven(ctx, ar)
		h.clock.Step(deadline)
		h.driven(ctx, ar)
		h.ended(ctx, h.run(ctx, ar), metav1.ConditionFalse, v1alpha1.ReasonChangedMeanwhile)
		h.driven(ctx, ar)
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeFailed))
	})
})

var _ = Describe("An alert that comes later than what a trigger saw", func() {
	const late = "KubeDeploymentReplicasMismatch"
	// seen returns a remediation that a trigger made, with its change in place, its
	// target healthy again and its own trouble over.
	seen := func(ctx SpecContext) (*house, *v1alpha1.AlertRemediation) {
		GinkgoHelper()
		h := newHouse(ctx)
		h.state = v1alpha1.AlertResolved
		ar := h.known("seen", "Pause").With(func(ar *v1alpha1.AlertRemediation) {
			ar.Spec.Alert.Source, ar.Status.Alert = v1alpha1.SourceWatch, &v1alpha1.AlertStatus{State: v1alpha1.AlertResolved}
		}).Obj()
		server.Create(ctx, ar)
		h.driven(ctx, ar)
		h.ended(ctx, h.run(ctx, ar), metav1.ConditionTrue, v1alpha1.ReasonCompleted, h.pausing(ctx, true, true))
		h.health = v1alpha1.HealthHealthy
		return h, ar
	}
	// comes lets an alert arrive about the same target, from where it says.
	comes := func(ctx SpecContext, h *house, source v1alpha1.AlertSource, firing v1alpha1.AlertState) {
		GinkgoHelper()
		h.others = map[string]v1alpha1.AlertState{late: firing}
		other := build.Remediation(h.ns, "later").Alert(late, nil).FromAlertmanager(late).With(func(ar *v1alpha1.AlertRemediation) { ar.Spec.Alert.Source = source }).Obj()
		server.Create(ctx, other)
		h.driven(ctx, other)
		Expect(other.Status.Outcome).To(Equal(v1alpha1.OutcomeDuplicate))
		Expect(other.Status.DuplicateOf).To(Equal("seen"))
	}

	It("keeps it from being called remediated, until it resolves", func(ctx SpecContext) {
		h, ar := seen(ctx)
		comes(ctx, h, v1alpha1.SourceAlertmanager, v1alpha1.AlertFiring)
		h.driven(ctx, ar)
		h.clock.Step(window + time.Second)
		h.driven(ctx, ar)
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Verified, metav1.ConditionUnknown, v1alpha1.ReasonObserving))
		Expect(ar.Status.Verification.Alert).To(Equal(v1alpha1.AlertFiring))
		Expect(ar.Finished()).To(BeFalse())

		h.others[late] = v1alpha1.AlertResolved
		h.driven(ctx, ar)
		Expect(ar.Status.Verification.Alert).To(Equal(v1alpha1.AlertResolved))
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeRemediated))
	})

	DescribeTable("at the deadline", func(ctx SpecContext, source v1alpha1.AlertSource, firing v1alpha1.AlertState, outcome v1alpha1.Outcome) {
		h, ar := seen(ctx)
		comes(ctx, h, source, firing)
		h.driven(ctx, ar)
		h.clock.Step(deadline)
		h.driven(ctx, ar)
		Expect(ar.Status.Outcome).To(Equal(outcome), "%+v", ar.Status.Verification)
		Expect(ar.Status.RunRef).To(Equal("seen-run-1"), "nothing is undone")
	},
		Entry("still firing: a person, though the target is healthy", v1alpha1.SourceAlertmanager, v1alpha1.AlertFiring, v1alpha1.OutcomeEscalated),
		Entry("unknown whether it fires: unknown is no success", v1alpha1.SourceAlertmanager, v1alpha1.AlertUnknown, v1alpha1.OutcomeEscalated),
		Entry("seen by a trigger, which sees it to the end itself: health decides", v1alpha1.SourceWatch, v1alpha1.AlertFiring, v1alpha1.OutcomeRemediated),
	)

	It("waits for the trouble that the trigger saw too", func(ctx SpecContext) {
		h, ar := seen(ctx)
		h.read(ctx, ar)
		ar.Status.Alert.State = v1alpha1.AlertFiring
		Expect(server.Client.Status().Update(ctx, ar)).To(Succeed())
		h.driven(ctx, ar)
		h.clock.Step(window + time.Second)
		h.driven(ctx, ar)
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Verified, metav1.ConditionUnknown, v1alpha1.ReasonObserving))
	})

	It("has no say about a remediation that it is no duplicate of", func(ctx SpecContext) {
		h, ar := seen(ctx)
		h.others = map[string]v1alpha1.AlertState{late: v1alpha1.AlertFiring}
		ended := build.Remediation(h.ns, "before").Alert(late, nil).FromAlertmanager("before").Admitted(h.deploy).
			Condition(v1alpha1.Succeeded, metav1.ConditionTrue, string(v1alpha1.OutcomeDuplicate)).
			With(func(other *v1alpha1.AlertRemediation) {
				other.Status.Outcome, other.Status.DuplicateOf = v1alpha1.OutcomeDuplicate, "another"
			}).Obj()
		server.Create(ctx, ended)
		h.driven(ctx, ar)
		h.clock.Step(window + time.Second)
		h.driven(ctx, ar)
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeRemediated))
	})
})
