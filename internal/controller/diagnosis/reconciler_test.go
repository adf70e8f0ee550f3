package diagnosis_test

import (
	"context"
	"errors"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/controller/diagnosis"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// oracle is a chain and the gatherer before it: it answers as it is told, and
// remembers what it was asked.
type oracle struct {
	answer  v1alpha1.Diagnosis
	err     error
	between func() // happens while the source thinks
	seen    []v1alpha1.ObjectReference
	times   int
}

func (o *oracle) Gather(_ context.Context, subject v1alpha1.ObjectReference, target v1alpha1.TargetReference) *analysis.Snapshot {
	o.seen = append(o.seen, subject)
	return &analysis.Snapshot{Subject: subject, Target: target}
}

func (o *oracle) Diagnose(context.Context, analysis.Request) (v1alpha1.Diagnosis, error) {
	o.times++
	if o.between != nil {
		o.between()
	}
	return o.answer, o.err
}

func found(cause v1alpha1.Cause) v1alpha1.Diagnosis {
	return v1alpha1.Diagnosis{Source: v1alpha1.SourceRules, Cause: cause, Summary: "what was found", Confidence: 90}
}

var _ = Describe("The diagnosis controller", func() {
	var (
		namespace  string
		clock      *clocktesting.FakePassiveClock
		chain      *oracle
		reconciler *diagnosis.Reconciler
		web        v1alpha1.TargetReference
	)

	BeforeEach(func(ctx SpecContext) {
		namespace = server.Namespace(ctx)
		clock = clocktesting.NewFakePassiveClock(build.Started)
		chain = &oracle{answer: found(v1alpha1.CauseCrashBadRelease)}
		reconciler = diagnosis.New(server.Client, clock, chain, chain)
		web = build.DeploymentTarget(namespace, "web", "uid-1")
	})

	created := func(ctx context.Context, ar *v1alpha1.AlertRemediation) *v1alpha1.AlertRemediation {
		GinkgoHelper()
		status := ar.Status
		Expect(server.Client.Create(ctx, ar)).To(Succeed())
		ar.Status = status
		Expect(server.Client.Status().Update(ctx, ar)).To(Succeed())
		return ar
	}
	left := func() build.RemediationBuilder { // to the controller, by the first look
		return build.Remediation(namespace, "ar-1").Condition(v1alpha1.Diagnosed, metav1.ConditionUnknown, v1alpha1.ReasonRunning)
	}
	asked := func(ctx context.Context) *v1alpha1.AlertRemediation {
		GinkgoHelper()
		return created(ctx, left().Admitted(web).Obj())
	}
	read := func(ctx context.Context) *v1alpha1.AlertRemediation {
		GinkgoHelper()
		ar := &v1alpha1.AlertRemediation{}
		Expect(server.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "ar-1"}, ar)).To(Succeed())
		return ar
	}
	reconciled := func(ctx context.Context, ar *v1alpha1.AlertRemediation) ctrl.Result {
		GinkgoHelper()
		result, err := reconciler.Reconcile(ctx, ar)
		Expect(err).NotTo(HaveOccurred())
		return result
	}

	DescribeTable("writes what was found",
		func(ctx SpecContext, cause v1alpha1.Cause, status metav1.ConditionStatus, reason string) {
			chain.answer = found(cause)
			ar := build.Remediation(namespace, "ar-2").Admitted(web).Obj()
			Expect(reconciler.Look(ctx, ar)).To(Succeed())
			Expect(ar).To(kubetest.HaveCondition(v1alpha1.Diagnosed, status, reason), "at the first look")
			Expect(ar.Status.Diagnosis).To(HaveValue(Equal(chain.answer)))

			reconciled(ctx, asked(ctx))
			ar = read(ctx)
			Expect(ar).To(kubetest.HaveCondition(v1alpha1.Diagnosed, status, reason))
			Expect(ar.Status.Diagnosis).To(HaveValue(Equal(chain.answer)))
			Expect(meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Diagnosed).Message).To(Equal("what was found"))
		},
		Entry("a cause", v1alpha1.CauseCrashBadRelease, metav1.ConditionTrue, v1alpha1.ReasonCauseFound),
		Entry("nothing wrong", v1alpha1.CauseHealthy, metav1.ConditionTrue, v1alpha1.ReasonNothingWrong),
		Entry("not enough evidence", v1alpha1.CauseNotEnoughEvidence, metav1.ConditionFalse, v1alpha1.ReasonNotEnoughEvidence),
	)

	It("looks at the object that the spec names, with its owner as the target", func(ctx SpecContext) {
		pod := v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: namespace, Name: "web-1"}
		reconciled(ctx, created(ctx, left().Target(pod).Admitted(web).Obj()))
		Expect(chain.seen).To(ConsistOf(pod))
	})

	It("asks about an alert without a target, and gathers nothing", func(ctx SpecContext) {
		ar := left().Condition(v1alpha1.Admitted, metav1.ConditionTrue, v1alpha1.ReasonNoTarget).Obj()
		reconciled(ctx, created(ctx, ar))
		Expect(chain.times).To(Equal(1))
		Expect(chain.seen).To(BeEmpty())
	})

	DescribeTable("leaves alone what wants no diagnosis",
		func(ctx SpecContext, ar func() *v1alpha1.AlertRemediation) {
			reconciled(ctx, created(ctx, ar()))
			Expect(chain.times).To(BeZero())
		},
		Entry("not admitted yet", func() *v1alpha1.AlertRemediation { return left().Obj() }),
		Entry("not looked at yet", func() *v1alpha1.AlertRemediation { return build.Remediation(namespace, "ar-1").Admitted(web).Obj() }),
		Entry("diagnosed before", func() *v1alpha1.AlertRemediation {
			return build.Remediation(namespace, "ar-1").Admitted(web).Diagnosed(found(v1alpha1.CauseOOMKilled)).Obj()
		}),
		Entry("ended", func() *v1alpha1.AlertRemediation {
			return left().Admitted(web).Condition(v1alpha1.Succeeded, metav1.ConditionTrue, "ResolvedItself").Obj()
		}),
	)

	It("does not lose an answer because somebody wrote meanwhile, and keeps what they wrote", func(ctx SpecContext) {
		stale := asked(ctx)
		chain.between = func() {
			ar := read(ctx)
			ar.Status.ObservedBy = "replica-2"
			Expect(server.Client.Status().Update(ctx, ar)).To(Succeed())
		}
		reconciled(ctx, stale)
		ar := read(ctx)
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Diagnosed, metav1.ConditionTrue, v1alpha1.ReasonCauseFound))
		Expect(ar.Status.ObservedBy).To(Equal("replica-2"))
		Expect(chain.times).To(Equal(1), "an answer is not paid for twice")
	})

	It("drops an answer about a target that is no longer the target", func(ctx SpecContext) {
		stale := asked(ctx)
		chain.between = func() {
			ar := read(ctx)
			ar.Status.Target.UID = "uid-2"
			Expect(server.Client.Status().Update(ctx, ar)).To(Succeed())
		}
		reconciled(ctx, stale)
		Expect(read(ctx).Status.Diagnosis).To(BeNil())
	})

	It("comes back with backoff while no source can be asked", func(ctx SpecContext) {
		ar := asked(ctx)
		chain.err = analysis.ErrUnavailable
		_, err := reconciler.Reconcile(ctx, ar)
		Expect(errors.Is(err, analysis.ErrUnavailable)).To(BeTrue())
		Expect(read(ctx).Status.Diagnosis).To(BeNil())
	})

	It("looks again when it is too early, and takes what is known when patience ends", func(ctx SpecContext) {
		ar := asked(ctx)
		chain.err = &analysis.UnsettledError{After: 5 * time.Second, Now: found(v1alpha1.CauseNotEnoughEvidence)}
		Expect(reconciled(ctx, ar).RequeueAfter).To(Equal(5 * time.Second))
		ar = read(ctx)
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Diagnosed, metav1.ConditionUnknown, v1alpha1.ReasonRunning))
		Expect(ar.Status.Diagnosis).To(BeNil())

		clock.SetTime(build.Started.Add(11 * time.Minute))
		Expect(reconciled(ctx, ar).RequeueAfter).To(BeZero())
		Expect(read(ctx)).To(kubetest.HaveCondition(v1alpha1.Diagnosed, metav1.ConditionFalse, v1alpha1.ReasonNotEnoughEvidence))
	})

	It("leaves to the controller what the first look is too early for, and when", func(ctx SpecContext) {
		chain.err = &analysis.UnsettledError{After: 5 * time.Second, Now: found(v1alpha1.CauseNotEnoughEvidence)}
		ar := created(ctx, build.Remediation(namespace, "ar-1").Admitted(web).Obj())
		Expect(reconciler.Look(ctx, ar)).To(Succeed())
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Diagnosed, metav1.ConditionUnknown, v1alpha1.ReasonRunning))
		Expect(server.Client.Status().Update(ctx, ar)).To(Succeed())

		clock.SetTime(build.Started.Add(2 * time.Second))
		Expect(reconciled(ctx, ar).RequeueAfter).To(Equal(3 * time.Second))
		Expect(chain.times).To(Equal(1), "nothing can be seen yet that was not there at the first look")

		chain.err = nil
		clock.SetTime(build.Started.Add(5 * time.Second))
		Expect(reconciled(ctx, ar).RequeueAfter).To(BeZero())
		Expect(read(ctx)).To(kubetest.HaveCondition(v1alpha1.Diagnosed, metav1.ConditionTrue, v1alpha1.ReasonCauseFound))
	})

	It("changes nothing at a first look for which no source can be asked", func(ctx SpecContext) {
		chain.err = analysis.ErrUnavailable
		ar := build.Remediation(namespace, "ar-1").Admitted(web).Obj()
		before := ar.DeepCopy()
		Expect(reconciler.Look(ctx, ar)).To(MatchError(analysis.ErrUnavailable))
		Expect(ar).To(Equal(before))
	})
})
