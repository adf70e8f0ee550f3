package guards_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/guard"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
)

const (
	approver = "anna" // has the verb approve
	editor   = "eve"  // may change and create remediations and runs, and nothing else
)

// people gives both their roles in the namespace of the stage.
func (s *stage) people(ctx context.Context) {
	server.GrantClusterRole(ctx, s.ns, approver, "kubernaut-approver")
	server.GrantClusterRole(ctx, s.ns, editor, "kubernaut-operator")
	server.Grant(ctx, s.ns, editor, rbacv1.PolicyRule{APIGroups: []string{"kubernaut.io"}, Resources: []string{"workflowruns"}, Verbs: []string{"create"}})
}

// answer writes an answer to the plan as a user, in a name.
func (s *stage) answer(ctx context.Context, user, by string, decision v1alpha1.Decision, ar *v1alpha1.AlertRemediation) error {
	changed := s.read(ctx, ar).DeepCopy()
	changed.Spec.Approval = &v1alpha1.Approval{Decision: decision, By: by, At: metav1.NewTime(s.clock.Now()), PlanDigest: ar.Status.Plan.Digest}
	return server.As(user).Update(ctx, changed)
}

// approve approves as the approver, once the API server enforces guard 1: 30 s of the
// leader's fake clock may be a moment only.
func (s *stage) approve(ctx context.Context, ar *v1alpha1.AlertRemediation) {
	GinkgoHelper()
	Eventually(func() (string, error) { return guard.Forge(ctx, server.Client, s.ns, []string{"kubernaut-approval"}) }).
		WithContext(ctx).WithTimeout(time.Minute).WithPolling(50 * time.Millisecond).Should(BeEmpty())
	Expect(s.answer(ctx, approver, approver, v1alpha1.DecisionApproved, ar)).To(Succeed())
}

// forge approves in the approver's name as the editor, as soon as no guard refuses it.
func (s *stage) forge(ctx context.Context, ar *v1alpha1.AlertRemediation) {
	GinkgoHelper()
	Eventually(func() error { return s.answer(ctx, editor, approver, v1alpha1.DecisionApproved, ar) }).
		WithContext(ctx).WithTimeout(time.Minute).WithPolling(50 * time.Millisecond).Should(Succeed())
}

// settled lets the leader see the guards unchanged for long enough.
func (s *stage) settled(ctx context.Context, ar *v1alpha1.AlertRemediation) *v1alpha1.AlertRemediation {
	GinkgoHelper()
	s.driven(ctx, ar)
	s.clock.Step(guard.SettleTime)
	return s.driven(ctx, ar)
}

func (s *stage) approved(status metav1.ConditionStatus, reason string) OmegaMatcher {
	return kubetest.HaveCondition(v1alpha1.Approved, status, reason)
}

// asked is a remediation whose plan is shown under guards that have settled.
func (s *stage) asked(ctx context.Context) *v1alpha1.AlertRemediation {
	GinkgoHelper()
	s.people(ctx)
	ar := s.settled(ctx, s.created(ctx, "ar-1"))
	Expect(ar).To(s.approved(metav1.ConditionUnknown, v1alpha1.ReasonAwaitingApproval))
	Expect(ar.Status.Plan.Guards).To(HaveLen(32))
	return ar
}

// nothingDone expects that the Deployment is as it was.
func (s *stage) nothingDone(ctx context.Context, ar *v1alpha1.AlertRemediation) {
	GinkgoHelper()
	Expect(s.image(ctx)).To(Equal(before), s.standing(ctx, ar))
}

var _ = Describe("An approval", func() {
	It("counts where the guards were in force all the time, and a forgery is tried once for it", func(ctx SpecContext) {
		s := newStage(ctx, v1alpha1.ModeApprove)
		ar := s.asked(ctx)
		s.approve(ctx, ar)
		s.driven(ctx, ar)
		Expect(s.image(ctx)).To(Equal(after), s.standing(ctx, ar))
		Expect(s.forgeries).To(Equal(1))
	})

	It("does not count where it was forged while its guard was away, and is asked again", func(ctx SpecContext) {
		s := newStage(ctx, v1alpha1.ModeApprove)
		ar := s.asked(ctx)
		missing := lose(ctx, "approval")
		s.forge(ctx, ar)
		s.driven(ctx, ar)
		Expect(ar).To(s.approved(metav1.ConditionUnknown, v1alpha1.ReasonGuardMissing))
		restore(ctx, missing)
		s.settled(ctx, ar)
		s.nothingDone(ctx, ar)
		Expect(ar).To(s.approved(metav1.ConditionUnknown, v1alpha1.ReasonAwaitingApproval))
		Expect(s.standing(ctx, ar)).To(ContainSubstring("Ask for the approval again: kubectl kubernaut approve ar-1 -n " + s.ns))
		s.settled(ctx, ar)
		s.nothingDone(ctx, ar)
		s.approve(ctx, ar)
		s.driven(ctx, ar)
		Expect(s.image(ctx)).To(Equal(after), s.standing(ctx, ar))
	})

	It("does not count where the operator saw only the guards that replaced the others", func(ctx SpecContext) {
		s := newStage(ctx, v1alpha1.ModeApprove)
		ar := s.asked(ctx)
		missing := lose(ctx, "approval")
		s.forge(ctx, ar)
		restore(ctx, missing) // as replace --force does, within a second
		s.settled(ctx, ar)
		s.nothingDone(ctx, ar)
		Expect(ar).To(s.approved(metav1.ConditionUnknown, v1alpha1.ReasonAwaitingApproval))
	})

	It("does not count where it came before the new guards had settled", func(ctx SpecContext) {
		s := newStage(ctx, v1alpha1.ModeApprove)
		ar := s.asked(ctx)
		restore(ctx, lose(ctx, "approval"))
		s.driven(ctx, ar)
		s.clock.Step(guard.SettleTime - time.Second)
		s.approve(ctx, ar)
		s.driven(ctx, ar)
		Expect(ar).To(s.approved(metav1.ConditionUnknown, v1alpha1.ReasonGuardMissing))
		s.settled(ctx, ar)
		s.nothingDone(ctx, ar)
		s.clock.Step(time.Second)
		s.approve(ctx, ar)
		s.driven(ctx, ar)
		Expect(s.image(ctx)).To(Equal(after), s.standing(ctx, ar))
	})

	It("does not count where guard 1 is stored and not in force", func(ctx SpecContext) {
		s := newStage(ctx, v1alpha1.ModeApprove)
		ar := s.asked(ctx)
		s.open = true
		s.approve(ctx, ar)
		s.driven(ctx, ar)
		Expect(ar).To(s.approved(metav1.ConditionUnknown, v1alpha1.ReasonGuardMissing))
		s.open = false
		s.settled(ctx, ar)
		s.nothingDone(ctx, ar)
		Expect(ar).To(s.approved(metav1.ConditionUnknown, v1alpha1.ReasonAwaitingApproval))
		s.clock.Step(time.Second)
		s.approve(ctx, ar)
		s.driven(ctx, ar)
		Expect(s.image(ctx)).To(Equal(after), s.standing(ctx, ar))
	})

	It("is asked again where the guards were replaced before its run begins", func(ctx SpecContext) {
		s := newStage(ctx, v1alpha1.ModeApprove)
		ar := s.asked(ctx)
		s.making = func() { restore(ctx, lose(ctx, "approval")) }
		s.approve(ctx, ar)
		s.settled(ctx, ar)
		s.nothingDone(ctx, ar)
		Expect(ar.Status.RunRef).NotTo(BeEmpty())
		s.clock.Step(time.Second)
		s.approve(ctx, ar)
		s.driven(ctx, ar)
		Expect(s.image(ctx)).To(Equal(after), s.standing(ctx, ar))
	})

	It("waits for a new leader to see the guards unchanged, and is not asked again", func(ctx SpecContext) {
		s := newStage(ctx, v1alpha1.ModeApprove)
		ar := s.asked(ctx)
		s.approve(ctx, ar)
		s.start(ctx)
		s.driven(ctx, ar)
		s.nothingDone(ctx, ar)
		s.clock.Step(guard.SettleTime)
		s.driven(ctx, ar)
		Expect(s.image(ctx)).To(Equal(after), s.standing(ctx, ar))
	})

	It("that does not count does not keep the plan from expiring", func(ctx SpecContext) {
		s := newStage(ctx, v1alpha1.ModeApprove)
		ar := s.asked(ctx)
		restore(ctx, lose(ctx, "run"))
		s.approve(ctx, ar)
		s.settled(ctx, ar)
		s.clock.Step(time.Hour)
		s.driven(ctx, ar)
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeExpired), s.standing(ctx, ar))
	})

	It("holds if it is a no, whatever the guards are", func(ctx SpecContext) {
		s := newStage(ctx, v1alpha1.ModeApprove)
		ar := s.asked(ctx)
		lose(ctx, "approval")
		Expect(s.answer(ctx, approver, approver, v1alpha1.DecisionRejected, ar)).To(Succeed())
		s.driven(ctx, ar)
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeRejected), s.standing(ctx, ar))
	})
})

var _ = Describe("A run made by hand", func() {
	made := func(s *stage) *v1alpha1.WorkflowRun {
		return build.Run(s.ns, "mine", s.target()).Step("remedy", "SetImage", map[string]string{"image": after}).Obj()
	}
	root := func(ctx context.Context, run *v1alpha1.WorkflowRun) *v1alpha1.WorkflowRun {
		Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(run), run)).To(Succeed())
		return run
	}
	drive := func(ctx context.Context, s *stage) {
		for range 5 {
			s.runsDriven(ctx)
		}
	}

	It("must be made again where it was made while its guard was away", func(ctx SpecContext) {
		s := newStage(ctx, v1alpha1.ModeAuto)
		s.people(ctx)
		missing := lose(ctx, "run")
		forged := made(s)
		Eventually(func() error { return server.As(editor).Create(ctx, forged.DeepCopy()) }).
			WithContext(ctx).WithTimeout(time.Minute).WithPolling(50 * time.Millisecond).Should(Succeed())
		drive(ctx, s)
		Expect(root(ctx, forged)).To(kubetest.HaveCondition(v1alpha1.Succeeded, metav1.ConditionUnknown, v1alpha1.ReasonGuardMissing))
		restore(ctx, missing)
		drive(ctx, s)
		Expect(root(ctx, forged)).To(kubetest.HaveCondition(v1alpha1.Succeeded, metav1.ConditionFalse, v1alpha1.ReasonGuardMissing))
		Expect(s.image(ctx)).To(Equal(before))
	})

	It("must be made again where it is seen first under guards that have not settled, and is carried out then", func(ctx SpecContext) {
		s := newStage(ctx, v1alpha1.ModeAuto)
		drive(ctx, s)
		first := made(s)
		first.Name = "paused"
		change := func(paused bool) {
			var p v1alpha1.RemediationPolicy
			Expect(server.Client.Get(ctx, client.ObjectKey{Namespace: s.ns, Name: "own"}, &p)).To(Succeed())
			p.Spec.PauseRequests = nil
			if paused {
				p.Spec.PauseRequests = []v1alpha1.PauseRequest{{By: "ann", Reason: "drill"}}
			}
			Expect(server.Client.Update(ctx, &p)).To(Succeed())
		}
		change(true)
		Expect(server.Client.Create(ctx, first)).To(Succeed())
		drive(ctx, s)
		Expect(root(ctx, first)).To(kubetest.HaveCondition(v1alpha1.Succeeded, metav1.ConditionUnknown, v1alpha1.ReasonPaused))
		restore(ctx, lose(ctx, "run"))
		change(false)
		drive(ctx, s)
		Expect(root(ctx, first)).To(kubetest.HaveCondition(v1alpha1.Succeeded, metav1.ConditionFalse, v1alpha1.ReasonGuardMissing))

		s.clock.Step(guard.SettleTime)
		again := made(s)
		Expect(server.Client.Create(ctx, again)).To(Succeed())
		drive(ctx, s)
		Expect(root(ctx, again)).To(kubetest.HaveCondition(v1alpha1.Succeeded, metav1.ConditionTrue, v1alpha1.ReasonCompleted))
		Expect(s.image(ctx)).To(Equal(after))
	})
})

// says is an Alertmanager that knows these alerts.
type says []map[string]string

func (s says) Firing(context.Context, string) ([]map[string]string, error) { return s, nil }

func (says) Since(context.Context) (time.Time, error) { return time.Time{}, nil }

var _ = Describe("An alert that arrived while guard 4 was away", func() {
	// forged makes one as the editor, under a mode that asks nobody, and puts the guard back.
	forged := func(ctx context.Context, s *stage) *v1alpha1.AlertRemediation {
		GinkgoHelper()
		s.people(ctx)
		missing := lose(ctx, "origin")
		ar := s.remediation("ar-1")
		status := ar.Status
		Eventually(func() error { return server.As(editor).Create(ctx, ar) }).
			WithContext(ctx).WithTimeout(time.Minute).WithPolling(50 * time.Millisecond).Should(Succeed())
		ar.Status = status
		Expect(server.Operator(ctx).Status().Update(ctx, ar)).To(Succeed())
		s.driven(ctx, ar)
		restore(ctx, missing)
		s.driven(ctx, ar)
		s.nothingDone(ctx, ar)
		return s.settled(ctx, ar)
	}
	It("starts nothing where no Alertmanager can confirm it", func(ctx SpecContext) {
		s := newStage(ctx, v1alpha1.ModeAuto)
		ar := forged(ctx, s)
		s.nothingDone(ctx, ar)
		Expect(ar).To(s.approved(metav1.ConditionUnknown, v1alpha1.ReasonGuardMissing))
		Expect(s.standing(ctx, ar)).To(ContainSubstring("kubectl -n " + s.ns + " delete ar ar-1"))
		s.start(ctx)
		s.settled(ctx, ar)
		s.nothingDone(ctx, ar)
	})
	It("starts nothing where Alertmanager does not know it", func(ctx SpecContext) {
		s := newStage(ctx, v1alpha1.ModeAuto)
		s.alertmanager = says{}
		s.start(ctx)
		ar := forged(ctx, s)
		s.nothingDone(ctx, ar)
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeResolvedItself), s.standing(ctx, ar))
	})
	It("is no other that arrives once the new guards have settled", func(ctx SpecContext) {
		s := newStage(ctx, v1alpha1.ModeAuto)
		look := func() guard.Standing { // as the watch does
			GinkgoHelper()
			found, err := s.guards.Look(ctx, server.Operator(ctx))
			Expect(err).NotTo(HaveOccurred())
			return found
		}
		look()
		missing := lose(ctx, "origin")
		look()
		restore(ctx, missing)
		Expect(look().Replaced).To(BeTrue())
		s.clock.Step(guard.SettleTime)
		s.begun(ctx, "ar-1")
	})
	It("is planned again and carried out where Alertmanager confirms it", func(ctx SpecContext) {
		s := newStage(ctx, v1alpha1.ModeAuto)
		s.alertmanager = says{{"namespace": s.ns, "deployment": "web"}}
		s.start(ctx)
		ar := forged(ctx, s)
		Expect(s.image(ctx)).To(Equal(after), s.standing(ctx, ar))
	})
})
