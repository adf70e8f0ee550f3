package workflowrun_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/internal/lease"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// image is the parameter of SetImage.
func image(name string) map[string]string { return map[string]string{"image": name} }

// leased reports whether there is a lease on a target.
func leased(ctx context.Context, uid types.UID) bool {
	err := server.Client.Get(ctx, client.ObjectKey{Namespace: kubetest.OperatorNamespace, Name: lease.Name(uid)}, &coordinationv1.Lease{})
	Expect(client.IgnoreNotFound(err)).To(Succeed())
	return !apierrors.IsNotFound(err)
}

// reserves reports whether a place of a policy is for a target.
func reserves(ctx context.Context, namespace string, uid types.UID) bool {
	var list v1alpha1.RemediationPolicyList
	Expect(server.Client.List(ctx, &list, client.InNamespace(namespace))).To(Succeed())
	for _, p := range list.Items {
		for _, place := range p.Status.Reservations {
			if place.TargetUID == uid {
				return true
			}
		}
	}
	return false
}

var _ = Describe("The target of a run", func() {
	It("is that of one of its steps, or the API server refuses the run", func(ctx SpecContext) {
		s := set(ctx)
		other := build.Deployment(s.namespace, "other").Obj()
		server.Create(ctx, other)
		run := build.Run(s.namespace, "mine", build.TargetOf(other, build.DeploymentKind)).Step("a", "SetImage", image(good)).Obj()
		run.Spec.Steps[0].Action.Target = new(s.target())
		Expect(server.Client.Create(ctx, run)).To(MatchError(ContainSubstring("spec.target must be the target of one of the steps")))

		run.Spec.Target = s.target()
		server.Create(ctx, run)
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionTrue, v1alpha1.ReasonCompleted))
		next := s.byHand(ctx, "again", bad)
		s.driven(ctx, next)
		Expect(next).To(succeeded(metav1.ConditionUnknown, v1alpha1.ReasonCooldown))
	})

	DescribeTable("takes nothing that the victim needs", func(ctx SpecContext, attack func(victim, hostile *scene) v1alpha1.TargetReference) {
		victim, hostile := set(ctx), set(ctx)
		run := build.Run(hostile.namespace, "hostile", attack(victim, hostile)).Step("a", "SetImage", image(good)).Obj()
		server.Create(ctx, run)
		hostile.takesNothing(ctx, run, victim.web.UID)

		mine, own := victim.byHand(ctx, "mine", good), hostile.byHand(ctx, "own", good)
		victim.driven(ctx, mine)
		Expect(mine).To(succeeded(metav1.ConditionTrue, v1alpha1.ReasonCompleted))
		hostile.driven(ctx, own)
		Expect(own).To(succeeded(metav1.ConditionTrue, v1alpha1.ReasonCompleted))
	},
		Entry("an own object, with the uid of another namespace's", func(victim, hostile *scene) v1alpha1.TargetReference {
			return build.DeploymentTarget(hostile.namespace, "web", victim.web.UID)
		}),
		Entry("another namespace's object", func(victim, _ *scene) v1alpha1.TargetReference { return victim.target() }),
		Entry("an object without the namespace that its kind has", func(victim, _ *scene) v1alpha1.TargetReference {
			return build.DeploymentTarget("", "web", victim.web.UID)
		}),
		Entry("an object of a kind that the API server does not serve", func(victim, hostile *scene) v1alpha1.TargetReference {
			target := build.DeploymentTarget(hostile.namespace, "web", victim.web.UID)
			target.Kind = "Deploymint"
			return target
		}),
	)
})

// takesNothing drives a run whose target is another tenant's: it ends, or waits for a
// source that can't be read, with no lease and no place taken for that target.
func (s *scene) takesNothing(ctx context.Context, run *v1alpha1.WorkflowRun, victim types.UID) {
	GinkgoHelper()
	s.driven(ctx, run)
	Expect(meta.IsStatusConditionTrue(run.Status.Conditions, v1alpha1.Succeeded)).To(BeFalse())
	Expect(leased(ctx, victim)).To(BeFalse())
	Expect(reserves(ctx, s.namespace, victim)).To(BeFalse())
	Expect(reserves(ctx, kubetest.OperatorNamespace, victim)).To(BeFalse())
	Expect(s.effects()).To(BeZero())
}

var _ = Describe("The owner of a run", func() {
	rival := func(ctx context.Context, s *scene) *v1alpha1.AlertRemediation {
		ar := build.Remediation(s.namespace, "ar-2").FromAlertmanager("f2").Admitted(s.target()).Obj()
		server.Create(ctx, ar)
		return ar
	}
	moved := func(ctx context.Context, run *v1alpha1.WorkflowRun, to *v1alpha1.AlertRemediation) {
		change(ctx, run, func(r *v1alpha1.WorkflowRun) {
			r.OwnerReferences = nil
			if to != nil {
				r.OwnerReferences = build.Run("", "", v1alpha1.TargetReference{}).OwnedBy(to).Obj().OwnerReferences
			}
		})
	}

	It("is recorded at the first reconcile: a changed ownerReference keeps no lease", func(ctx SpecContext) {
		s := set(ctx)
		run := s.owned(ctx, "ar-1-run-1")
		s.driven(ctx, run)
		Expect(run.Status.Owner).To(HaveValue(Equal(v1alpha1.RunOwner{Name: "ar-1", UID: s.ar.UID})))
		moved(ctx, run, rival(ctx, s))
		s.driven(ctx, run)
		Expect(s.holder(ctx)).To(Equal(lease.Identity(run)), "the verdict that counts has not fallen")
		s.concluded(ctx)
		s.driven(ctx, run)
		Expect(s.holder(ctx)).To(BeEmpty())
		Expect(run.Finalizers).To(BeEmpty())
	})

	It("that a run made by hand gets while it runs keeps no lease", func(ctx SpecContext) {
		s := set(ctx)
		s.image.arrived = action.Progress{Message: "1 of 2 pods"}
		run := s.byHand(ctx, "mine", good)
		s.driven(ctx, run)
		moved(ctx, run, rival(ctx, s))
		s.image.arrived = action.Progress{Done: true}
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionTrue, v1alpha1.ReasonCompleted))
		Expect(run.Status.Owner).To(HaveValue(BeZero()))
		Expect(s.holder(ctx)).To(BeEmpty())
	})

	It("that is taken away while it runs neither stops it nor gives its lease back before the verdict", func(ctx SpecContext) {
		s := set(ctx)
		run := s.twoSteps(ctx)
		s.image.arrived = action.Progress{Message: "1 of 2 pods"}
		s.driven(ctx, run)
		moved(ctx, run, nil)
		s.image.arrived = action.Progress{Done: true}
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionTrue, v1alpha1.ReasonCompleted))
		Expect(s.running(ctx)).To(Equal(third))
		Expect(s.holder(ctx)).To(Equal(lease.Identity(run)))
	})
})

var _ = Describe("The deadline of a lease", func() {
	// The run's time, the policy's deadline for the verdict, and a quarter of an hour.
	const term = 10*time.Minute + 15*time.Minute + 15*time.Minute

	It("ends the wait for a verdict that never falls, whatever is changed in the namespace", func(ctx SpecContext) {
		s := set(ctx)
		first := s.owned(ctx, "ar-1-run-1")
		s.driven(ctx, first)
		change(ctx, s.ar, func(ar *v1alpha1.AlertRemediation) { ar.Spec.Suspend = true })
		p := &v1alpha1.RemediationPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "auto"}}
		change(ctx, p, func(p *v1alpha1.RemediationPolicy) {
			p.Spec.Verification.Deadline = &metav1.Duration{Duration: 24 * time.Hour}
		})
		s.clock.Step(term - time.Second)
		s.driven(ctx, first)
		second := s.byHand(ctx, "mine", third)
		s.driven(ctx, second)
		Expect(second).To(succeeded(metav1.ConditionUnknown, v1alpha1.ReasonTargetBusy))

		s.clock.Step(time.Second)
		s.driven(ctx, first)
		s.driven(ctx, second)
		Expect(second).To(succeeded(metav1.ConditionTrue, v1alpha1.ReasonCompleted))
		Expect(s.running(ctx)).To(Equal(third))
	})

	It("stops a run whose lease another run has taken over: before its next operation, and in an undo", func(ctx SpecContext) {
		s := set(ctx)
		run := halfway(ctx, s)
		identity := s.namespace + "/other/0"
		held := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: kubetest.OperatorNamespace, Name: lease.Name(s.web.UID)}}
		change(ctx, held, func(l *coordinationv1.Lease) { l.Spec.HolderIdentity = &identity })
		change(ctx, run, cancelled)
		s.driven(ctx, run)
		Expect(run).To(kubetest.HaveCondition(v1alpha1.RolledBack, metav1.ConditionFalse, v1alpha1.ReasonOwnedByOther))
		Expect(s.running(ctx)).To(Equal(third))
		Expect(s.holder(ctx)).To(Equal(identity))

		s = set(ctx)
		run = s.twoSteps(ctx)
		s.image.arrived = action.Progress{Message: "1 of 2 pods"}
		s.driven(ctx, run)
		held = &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: kubetest.OperatorNamespace, Name: lease.Name(s.web.UID)}}
		Expect(server.Client.Delete(ctx, held)).To(Succeed())
		s.image.arrived = action.Progress{Done: true}
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionFalse, v1alpha1.ReasonOwnedByOther))
		Expect(s.running(ctx)).To(Equal(good), "the second operation was not done")
	})
})

var _ = Describe("The reservation of a run", func() {
	skewed := func(ctx context.Context, ahead time.Duration) *scene {
		s := set(ctx)
		s.clock.SetTime(time.Now().Add(ahead))
		return s
	}
	reserve := func(ctx context.Context, s *scene, run string, uid types.UID) {
		Expect(s.process.Desk.Reserve(ctx, s.namespace+"/auto", v1alpha1.Reservation{
			Run: s.namespace + "/" + run, UID: uid, TargetUID: s.web.UID, Action: "SetImage", At: metav1.NewTime(s.clock.Now()),
		})).To(Succeed())
	}

	for skew, ahead := range map[string]time.Duration{"ahead of": kubetest.Skew, "behind": -kubetest.Skew} {
		Context("while the operator's clock is 5 s "+skew+" the API server's", func() {
			It("is known by the remediation's run", func(ctx SpecContext) {
				s := skewed(ctx, ahead)
				reserve(ctx, s, "ar-1-run-1", s.ar.UID)
				run := s.owned(ctx, "ar-1-run-1")
				s.driven(ctx, run)
				Expect(run).To(succeeded(metav1.ConditionTrue, v1alpha1.ReasonCompleted))
			})

			It("is known by a run made by hand", func(ctx SpecContext) {
				s := skewed(ctx, ahead)
				run := s.byHand(ctx, "mine", good)
				reserve(ctx, s, "mine", run.UID)
				s.driven(ctx, run)
				Expect(run).To(succeeded(metav1.ConditionTrue, v1alpha1.ReasonCompleted))
			})

			It("is not taken for that of a run of the same name that is made anew", func(ctx SpecContext) {
				s := skewed(ctx, ahead)
				run := s.byHand(ctx, "mine", good)
				s.driven(ctx, run)
				Expect(server.Client.Delete(ctx, run)).To(Succeed())
				again := s.byHand(ctx, "mine", bad)
				s.driven(ctx, again)
				Expect(again).To(succeeded(metav1.ConditionUnknown, v1alpha1.ReasonCooldown))
			})
		})
	}
})
