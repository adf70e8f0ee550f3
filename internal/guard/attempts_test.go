package guard_test

import (
	"context"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
)

func TestGuards(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "guards")
}

var server *kubetest.Server

var _ = BeforeSuite(func(ctx SpecContext) {
	server = kubetest.Start(GinkgoTB())
	server.Install(ctx, "config", "rbac")
	server.InstallGuards(ctx)
})

const (
	approver = "anna" // holds kubernaut-approver
	editor   = "ed"   // holds kubernaut-operator: may change remediations, but not approve
	planned  = "v1:sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	stale    = "v1:sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

func people(ctx context.Context) string {
	ns := server.Namespace(ctx)
	server.GrantClusterRole(ctx, ns, approver, "kubernaut-approver")
	server.GrantClusterRole(ctx, ns, editor, "kubernaut-operator")
	return ns
}

// answer changes the approval of a remediation as somebody.
func answer(ctx context.Context, user string, ar *v1alpha1.AlertRemediation, approval *v1alpha1.Approval) error {
	changed := ar.DeepCopy()
	changed.Spec.Approval = approval
	return server.As(user).Update(ctx, changed)
}

func yes(by, digest string) *v1alpha1.Approval {
	return &v1alpha1.Approval{Decision: v1alpha1.DecisionApproved, By: by, PlanDigest: digest}
}

var _ = Describe("Guard 1, approval", func() {
	var (
		ns string
		ar *v1alpha1.AlertRemediation
	)
	BeforeEach(func(ctx SpecContext) {
		ns = people(ctx)
		ar = build.Remediation(ns, "waiting").Planned(v1alpha1.PlanStatus{Digest: planned}).Obj()
		server.Create(ctx, ar)
	})

	It("lets an approver approve the plan as it is, in their own name", func(ctx SpecContext) {
		Expect(answer(ctx, approver, ar, yes(approver, planned))).To(Succeed())
	})
	It("lets an approver reject the plan", func(ctx SpecContext) {
		Expect(answer(ctx, approver, ar, &v1alpha1.Approval{Decision: v1alpha1.DecisionRejected, By: approver, PlanDigest: planned})).To(Succeed())
	})
	It("refuses an approval by somebody without the verb approve", func(ctx SpecContext) {
		Expect(answer(ctx, editor, ar, yes(editor, planned))).To(MatchError(ContainSubstring("ask for the verb approve on alertremediations in namespace " + ns)))
	})
	It("refuses an approval in another's name", func(ctx SpecContext) {
		Expect(answer(ctx, approver, ar, yes("boss", planned))).To(MatchError(ContainSubstring("must be your own name: " + approver)))
	})
	It("refuses an approval with a stale digest, and names the right one", func(ctx SpecContext) {
		Expect(answer(ctx, approver, ar, yes(approver, stale))).To(MatchError(ContainSubstring("then approve " + planned)))
	})
	It("refuses an approval before there is a plan", func(ctx SpecContext) {
		early := build.Remediation(ns, "early").Obj()
		server.Create(ctx, early)
		Expect(answer(ctx, approver, early, yes(approver, planned))).To(MatchError(ContainSubstring("no plan to approve yet")))
	})
	It("refuses an approval on create, even by an approver, but not the same object without one", func(ctx SpecContext) {
		server.GrantClusterRole(ctx, ns, approver, "kubernaut-operator")
		Expect(server.As(approver).Create(ctx, build.Remediation(ns, "born").Approved(approver, planned).Obj())).
			To(MatchError(ContainSubstring("can't be created approved")))
		Expect(server.As(approver).Create(ctx, build.Remediation(ns, "born").Obj())).To(Succeed())
	})
	It("refuses an approver's approval in a namespace they don't answer for", func(ctx SpecContext) {
		elsewhere := server.Namespace(ctx)
		server.GrantClusterRole(ctx, elsewhere, approver, "kubernaut-operator")
		other := build.Remediation(elsewhere, "waiting").Planned(v1alpha1.PlanStatus{Digest: planned}).Obj()
		server.Create(ctx, other)
		Expect(answer(ctx, approver, other, yes(approver, planned))).To(MatchError(ContainSubstring("ask for the verb approve")))
	})

	Context("once answered", func() {
		BeforeEach(func(ctx SpecContext) {
			Expect(answer(ctx, approver, ar, yes(approver, planned))).To(Succeed())
			Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(ar), ar)).To(Succeed())
		})
		It("refuses to let others erase the answer", func(ctx SpecContext) {
			Expect(answer(ctx, editor, ar, nil)).To(MatchError(ContainSubstring("may not set, change or remove spec.approval")))
		})
		It("refuses to let others change the answer", func(ctx SpecContext) {
			turned := ar.Spec.Approval.DeepCopy()
			turned.Decision = v1alpha1.DecisionRejected
			Expect(answer(ctx, editor, ar, turned)).To(MatchError(ContainSubstring("may not set, change or remove spec.approval")))
		})
		It("refuses to let an approver put words into another approver's mouth", func(ctx SpecContext) {
			server.GrantClusterRole(ctx, ns, "boss", "kubernaut-approver")
			turned := ar.Spec.Approval.DeepCopy()
			turned.Reason = "boss says so"
			Expect(answer(ctx, "boss", ar, turned)).To(MatchError(ContainSubstring("must be your own name: boss")))
		})
		It("lets an approver take it back", func(ctx SpecContext) {
			Expect(answer(ctx, approver, ar, nil)).To(Succeed())
		})
		It("lets others change what is not the answer", func(ctx SpecContext) {
			ar.Spec.Suspend = true
			Expect(server.As(editor).Update(ctx, ar)).To(Succeed())
		})
	})
})

var _ = Describe("Guard 2, status", func() {
	It("lets the operator alone write the status of each kind", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		ar := build.Remediation(ns, "ar").Obj()
		run := build.Run(ns, "run", build.DeploymentTarget(ns, "web", "u")).Step("restart", "RolloutRestart", nil).Obj()
		policy := build.Policy(ns, "policy", v1alpha1.ModeAuto).Obj()
		server.Create(ctx, ar, run, policy)
		for _, obj := range []client.Object{ar, run, policy} {
			By("forging the status of a " + kindOf(obj))
			forged := obj.DeepCopyObject().(client.Object)
			Expect(server.Client.Status().Update(ctx, forged)).To(MatchError(ContainSubstring("is written by " + kubetest.OperatorUser + " only")))
			Expect(server.Client.Status().Patch(ctx, forged, client.RawPatch("application/merge-patch+json", []byte(`{"status":{"observedGeneration":7}}`)))).
				To(MatchError(ContainSubstring("change the spec instead")))
			Expect(server.Operator(ctx).Status().Update(ctx, obj)).To(Succeed())
		}
	})
})

func kindOf(obj client.Object) string {
	gvk, err := server.Client.GroupVersionKindFor(obj)
	Expect(err).NotTo(HaveOccurred())
	return gvk.Kind
}

var _ = Describe("Guard 3, run", func() {
	It("lets only those make a run who may act as the namespace's remediator", func(ctx SpecContext) {
		ns := people(ctx)
		run := func() client.Object {
			return build.Run(ns, "ar-0123456789abcdef-run-1", build.DeploymentTarget(ns, "web", "u")).Step("restart", "RolloutRestart", nil).Obj()
		}
		Expect(server.As(editor).Create(ctx, run())).To(MatchError(ContainSubstring("right to impersonate the ServiceAccount kubernaut-remediator")))
		Expect(server.Operator(ctx).Create(ctx, run())).To(MatchError(ContainSubstring("kubectl kubernaut grant "+ns)), "the namespace was not granted")

		server.Grant(ctx, ns, "someone-else", mayImpersonate("default"))
		server.Grant(ctx, ns, editor, mayImpersonate("default"))
		Expect(server.As(editor).Create(ctx, run())).To(MatchError(ContainSubstring("impersonate the ServiceAccount")), "another account's rights don't count")

		server.Grant(ctx, ns, editor, mayImpersonate(kubetest.Remediator))
		Expect(server.As(editor).Create(ctx, run())).To(Succeed())
	})
})

var _ = Describe("Guard 3, where a run acts", func() {
	run := func(ns, name, target, step string) client.Object {
		return build.Run(ns, name, build.DeploymentTarget(target, "web", "u")).Step("own", "RolloutRestart", nil).Step("restart", "RolloutRestart", nil).
			With(func(r *v1alpha1.WorkflowRun) {
				of := build.DeploymentTarget(step, "web", "u")
				r.Spec.Steps[1].Action.Target = &of
			}).Obj()
	}
	It("keeps a run and each of its steps in its own namespace", func(ctx SpecContext) {
		ns, elsewhere := server.Namespace(ctx), server.Namespace(ctx)
		Expect(server.Client.Create(ctx, run(ns, "out", elsewhere, ns))).To(MatchError(ContainSubstring("spec.target must be in namespace " + ns)))
		Expect(server.Client.Create(ctx, run(ns, "out", ns, elsewhere))).To(MatchError(ContainSubstring("the target of every step must be in namespace " + ns)))
		Expect(server.Client.Create(ctx, run(ns, "in", ns, ns))).To(Succeed())
		Expect(server.Client.Create(ctx, run(kubetest.OperatorNamespace, "in-"+ns, elsewhere, elsewhere))).To(Succeed())
	})
})

func mayImpersonate(account string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"serviceaccounts"}, ResourceNames: []string{account}, Verbs: []string{"impersonate"}}
}

var _ = Describe("Guard 4, origin", func() {
	var ns string
	BeforeEach(func(ctx SpecContext) { ns = people(ctx) })

	It("refuses a target in another namespace, on create and when it is set later", func(ctx SpecContext) {
		foreign := build.DeploymentTarget("kube-system", "coredns", "").ObjectReference
		Expect(server.As(editor).Create(ctx, build.Remediation(ns, "out").Target(foreign).Obj())).
			To(MatchError(ContainSubstring("must be in namespace " + ns)))
		ar := build.Remediation(ns, "later").Obj()
		Expect(server.As(editor).Create(ctx, ar)).To(Succeed())
		ar.Spec.Target = &foreign
		Expect(server.As(editor).Update(ctx, ar)).To(MatchError(ContainSubstring("must be in namespace " + ns)))
		own := build.DeploymentTarget(ns, "web", "").ObjectReference
		ar.Spec.Target = &own
		Expect(server.As(editor).Update(ctx, ar)).To(Succeed())
	})
	It("takes cluster-scoped targets and other namespaces in the operator's own namespace only", func(ctx SpecContext) {
		node := v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: "n1"}
		Expect(server.As(editor).Create(ctx, build.Remediation(ns, "node").Target(node).Obj())).
			To(MatchError(ContainSubstring("for cluster-scoped kinds: " + kubetest.OperatorNamespace)))
		Expect(server.Client.Create(ctx, build.Remediation(kubetest.OperatorNamespace, "node-"+ns).Target(node).Obj())).To(Succeed())
	})
	It("refuses an alert that only looks as if Alertmanager had sent it", func(ctx SpecContext) {
		Expect(server.Client.Create(ctx, build.Remediation(ns, "forged").FromAlertmanager("f00d").Obj())).
			To(MatchError(ContainSubstring("use source Manual")))
		Expect(server.Operator(ctx).Create(ctx, build.Remediation(ns, "real").FromAlertmanager("f00d").Obj())).To(Succeed())
	})
	It("refuses the names of alerts that are still to come", func(ctx SpecContext) {
		Expect(server.Client.Create(ctx, build.Remediation(ns, "ar-0123456789abcdef").Obj())).
			To(MatchError(ContainSubstring("choose another name")))
		Expect(server.As(editor).Create(ctx, build.Remediation(ns, "ar-0123456789abcde").Obj())).To(Succeed())
		Expect(server.Operator(ctx).Create(ctx, build.Remediation(ns, "ar-0123456789abcdef").Obj())).To(Succeed())
	})
	It("lets people change what the operator made", func(ctx SpecContext) {
		ar := build.Remediation(ns, "ar-00000000000000ff").FromAlertmanager("f00d").Obj()
		Expect(server.Operator(ctx).Create(ctx, ar)).To(Succeed())
		ar.Spec.Suspend = true
		Expect(server.As(editor).Update(ctx, ar)).To(Succeed())
	})
})
