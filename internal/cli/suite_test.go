package cli_test

import (
	"bytes"
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/cli"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
)

func TestCLI(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "cli")
}

var server *kubetest.Server

var _ = BeforeSuite(func(ctx SpecContext) {
	server = kubetest.Start(GinkgoTB())
	server.Install(ctx, "config", "rbac")
	server.InstallGuards(ctx)
})

var _ = Describe("A person at the tool", func() {
	var (
		ns   string
		out  *bytes.Buffer
		anna cli.Cluster // may approve
		ed   cli.Cluster // may edit remediations, but not approve
	)
	BeforeEach(func(ctx SpecContext) {
		ns, out = server.Namespace(ctx), &bytes.Buffer{}
		server.GrantClusterRole(ctx, ns, "anna", "kubernaut-approver")
		server.GrantClusterRole(ctx, ns, "ed", "kubernaut-operator")
		anna, ed = cli.Cluster{Client: server.As("anna"), Namespace: ns}, cli.Cluster{Client: server.As("ed"), Namespace: ns}
	})
	waiting := func(ctx SpecContext) *v1alpha1.AlertRemediation {
		ar := build.Remediation(ns, "a").Planned(v1alpha1.PlanStatus{
			Digest: build.Digest, Mode: v1alpha1.ModeApprove, Policy: ns + "/approve",
			Steps: []v1alpha1.PlanStep{{Name: "remedy", Action: "RolloutUndo", Target: build.DeploymentTarget(ns, "web", "u"), Risk: v1alpha1.RiskMedium, Diff: "-   image: web:2\n+   image: web:1\n"}},
		}).Obj()
		server.Create(ctx, ar)
		return ar
	}
	approval := func(ctx SpecContext, ar *v1alpha1.AlertRemediation) *v1alpha1.Approval {
		Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(ar), ar)).To(Succeed())
		return ar.Spec.Approval
	}
	yes := cli.Answer{Name: "a", Decision: v1alpha1.DecisionApproved, Yes: true, Reason: "seen it before"}

	It("approves what is shown, in their own name", func(ctx SpecContext) {
		ar := waiting(ctx)
		Expect(yes.Give(ctx, anna, cli.Person{}, out)).To(Succeed())
		Expect(out.String()).To(And(ContainSubstring("+   image: web:1"), ContainSubstring("Approved as anna")))
		Expect(approval(ctx, ar)).To(And(HaveField("By", "anna"), HaveField("PlanDigest", build.Digest), HaveField("Reason", "seen it before")))
	})
	It("is asked first, and answers nothing by another word", func(ctx SpecContext) {
		ar := waiting(ctx)
		ask := yes
		ask.Yes = false
		Expect(ask.Give(ctx, anna, cli.Person{In: strings.NewReader("yes\n"), Terminal: true}, out)).To(MatchError("nothing was answered"))
		Expect(ask.Give(ctx, anna, cli.Person{}, out)).To(MatchError(ContainSubstring("say --yes to approve")))
		Expect(approval(ctx, ar)).To(BeNil())
		Expect(ask.Give(ctx, anna, cli.Person{In: strings.NewReader("approve\n"), Terminal: true}, out)).To(Succeed())
		Expect(approval(ctx, ar)).NotTo(BeNil())
	})
	It("can't approve without the verb, and is told which right is missing", func(ctx SpecContext) {
		ar := waiting(ctx)
		Expect(yes.Give(ctx, ed, cli.Person{}, out)).To(MatchError(ContainSubstring("ed may not set, change or remove spec.approval: ask for the verb approve")))
		Expect(approval(ctx, ar)).To(BeNil())
	})
	It("rejects", func(ctx SpecContext) {
		ar := waiting(ctx)
		no := cli.Answer{Name: "a", Decision: v1alpha1.DecisionRejected, Yes: true}
		Expect(no.Give(ctx, anna, cli.Person{}, out)).To(Succeed())
		Expect(approval(ctx, ar).Decision).To(Equal(v1alpha1.DecisionRejected))
	})
	It("is told why there is nothing to answer", func(ctx SpecContext) {
		Expect(yes.Give(ctx, anna, cli.Person{}, out)).To(MatchError(ContainSubstring(`there is no AlertRemediation "a" in namespace ` + ns)))
		ar := build.Remediation(ns, "a").Obj()
		server.Create(ctx, ar)
		Expect(yes.Give(ctx, anna, cli.Person{}, out)).To(MatchError(ContainSubstring("a has no plan yet (it is Pending)")))
	})
	It("is told when the plan is another one than they mean", func(ctx SpecContext) {
		waiting(ctx)
		stale := yes
		stale.Digest = strings.Replace(build.Digest, "0001", "0002", 1)
		Expect(stale.Give(ctx, anna, cli.Person{}, out)).To(MatchError(ContainSubstring("its digest is " + build.Digest)))
	})
	It("sees what waits, and what it is", func(ctx SpecContext) {
		ar := waiting(ctx)
		Expect(cli.Get(ctx, anna, false, cli.Screen{Writer: out})).To(Succeed())
		Expect(out.String()).To(And(ContainSubstring("KubePodCrashLooping"), ContainSubstring("RolloutUndo")))
		run := build.Run(ns, "a-run-1", build.DeploymentTarget(ns, "web", "u")).Step("remedy", "RolloutUndo", nil).OwnedBy(ar).With(func(run *v1alpha1.WorkflowRun) {
			run.Status.Actor = kubetest.RemediatorUser(ns)
			run.Status.Steps = []v1alpha1.StepStatus{{Name: "remedy", State: v1alpha1.StepSucceeded, Operations: []v1alpha1.OperationStatus{{
				Operation: v1alpha1.Operation{Verb: v1alpha1.VerbPatch, Object: build.DeploymentTarget(ns, "web", "u").ObjectReference},
				State:     v1alpha1.OperationApplied, AppliedAt: metav1.NowMicro(),
			}}}}
		}).Obj()
		server.Create(ctx, run)
		DeferCleanup(func(ctx SpecContext) { Expect(server.Client.Delete(ctx, run)).To(Succeed()) }) // it would keep an uninstall waiting
		Expect(cli.Describe(ctx, anna, "a", out)).To(Succeed())
		Expect(out.String()).To(ContainSubstring("a-run-1: patch Deployment/web as system:serviceaccount:" + ns + ":kubernaut-remediator: Applied"))
		Expect(cli.Diff(ctx, anna, "a", out)).To(Succeed())
		Expect(cli.Timeline(ctx, anna, "a", out)).To(Succeed())
	})
	It("pauses and resumes a namespace, and leaves others' pauses alone", func(ctx SpecContext) {
		pause := cli.Pause{Reason: "moving the database"}
		server.GrantClusterRole(ctx, ns, "adam", "kubernaut-admin")
		adam := cli.Cluster{Client: server.As("adam"), Namespace: ns}
		Expect(pause.Ask(ctx, adam, out)).To(MatchError(ContainSubstring("has no RemediationPolicy of its own")))
		policy := build.Policy(ns, "auto", v1alpha1.ModeAuto).Paused("night shift", "storm").Obj()
		server.Create(ctx, policy)
		Expect(pause.Ask(ctx, anna, out)).To(MatchError(ContainSubstring("you may not update RemediationPolicy auto: ask for ClusterRole kubernaut-admin")))
		Expect(cli.Pause{}.Ask(ctx, adam, out)).To(MatchError(ContainSubstring("say why with --reason")))
		Expect(pause.Ask(ctx, adam, out)).To(Succeed())
		Expect(pause.Ask(ctx, adam, out)).To(Succeed(), "twice is once")
		Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(policy), policy)).To(Succeed())
		Expect(policy.Spec.PauseRequests).To(HaveExactElements(HaveField("By", "night shift"), HaveField("By", "adam")))
		Expect(cli.Resume(ctx, adam, out)).To(Succeed())
		Expect(out.String()).To(ContainSubstring("auto is still paused by night shift: storm"))
		Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(policy), policy)).To(Succeed())
		Expect(policy.Spec.PauseRequests).To(HaveExactElements(HaveField("By", "night shift")))
	})
})
