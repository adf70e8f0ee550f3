package cli_test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
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
		ns     string
		out    *bytes.Buffer
		screen cli.Screen
		anna   cli.Cluster // may approve
		ed     cli.Cluster // may edit remediations, but not approve
	)
	BeforeEach(func(ctx SpecContext) {
		ns, out = server.Namespace(ctx), &bytes.Buffer{}
		screen = cli.Screen{Writer: out}
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

	It("approves what is shown, in their own name, once", func(ctx SpecContext) {
		ar := waiting(ctx)
		Expect(yes.Give(ctx, anna, cli.Person{}, screen)).To(Succeed())
		Expect(approval(ctx, ar)).To(And(HaveField("By", "anna"), HaveField("PlanDigest", build.Digest), HaveField("Reason", "seen it before")))
		Expect(yes.Give(ctx, anna, cli.Person{}, screen)).To(Succeed(), "what a script says twice is no fault")
		printed("approve.txt", ns, out, nil)
	})
	It("is asked first, and answers nothing by another word", func(ctx SpecContext) {
		ar := waiting(ctx)
		ask := yes
		ask.Yes = false
		printed("approve-another-word.txt", ns, out, ask.Give(ctx, anna, cli.Person{In: strings.NewReader("yes\n"), Terminal: true}, screen))
		printed("approve-no-terminal.txt", ns, out, ask.Give(ctx, anna, cli.Person{}, screen))
		Expect(approval(ctx, ar)).To(BeNil())
		printed("approve-asked.txt", ns, out, ask.Give(ctx, anna, cli.Person{In: strings.NewReader("approve\n"), Terminal: true}, screen))
		Expect(approval(ctx, ar)).NotTo(BeNil())
	})
	It("can't approve without the verb, and is told which right is missing", func(ctx SpecContext) {
		ar := waiting(ctx)
		printed("approve-forbidden.txt", ns, out, yes.Give(ctx, ed, cli.Person{}, screen))
		Expect(approval(ctx, ar)).To(BeNil())
	})
	It("rejects", func(ctx SpecContext) {
		ar := waiting(ctx)
		no := cli.Answer{Name: "a", Decision: v1alpha1.DecisionRejected, Yes: true}
		printed("reject.txt", ns, out, no.Give(ctx, anna, cli.Person{}, screen))
		Expect(approval(ctx, ar).Decision).To(Equal(v1alpha1.DecisionRejected))
	})
	It("is told why there is nothing to answer", func(ctx SpecContext) {
		printed("approve-nothing.txt", ns, out, yes.Give(ctx, anna, cli.Person{}, screen))
		ar := build.Remediation(ns, "a").Obj()
		server.Create(ctx, ar)
		printed("approve-no-plan.txt", ns, out, yes.Give(ctx, anna, cli.Person{}, screen))
		printed("diff-no-plan.txt", ns, out, cli.Diff(ctx, anna, "a", screen))
	})
	It("is told when the plan is another one than they mean", func(ctx SpecContext) {
		waiting(ctx)
		stale := yes
		stale.Digest = strings.Replace(build.Digest, "0001", "0002", 1)
		printed("approve-stale.txt", ns, out, stale.Give(ctx, anna, cli.Person{}, screen))
	})
	It("is told where a remediation is, or which one is meant", func(ctx SpecContext) {
		waiting(ctx)
		for _, name := range []string{"checkout-crashes", "database-is-slow"} {
			server.Create(ctx, build.Remediation(ns, name).Obj())
		}
		printed("describe-near.txt", ns, out, cli.Describe(ctx, anna, "checkout-crasches", screen))
		printed("describe-nowhere.txt", ns, out, cli.Describe(ctx, anna, "nonsense", screen))
		elsewhere := cli.Cluster{Client: server.Client, Namespace: "default"}
		printed("describe-elsewhere.txt", ns, out, cli.Describe(ctx, elsewhere, "database-is-slow", screen))
		Expect(cli.Describe(ctx, elsewhere, ns+"/database-is-slow", screen)).To(Succeed(), "as doctor and policies write it")
		Expect(cli.Describe(ctx, anna, "ar/database-is-slow", screen)).To(Succeed(), "as kubectl writes it")
	})
	It("may look at nothing, and is told who lets them", func(ctx SpecContext) {
		nobody := cli.Cluster{Client: server.As("nobody"), Namespace: ns}
		robot := cli.Cluster{Client: server.As("system:serviceaccount:ci:robot"), Namespace: ns}
		printed("get-forbidden.txt", ns, out, cli.Listing{}.Print(ctx, nobody, screen))
		printed("get-all-forbidden.txt", ns, out, cli.Listing{Everywhere: true}.Print(ctx, robot, screen))
		printed("describe-forbidden.txt", ns, out, cli.Describe(ctx, nobody, "a", screen))
		printed("why-forbidden.txt", ns, out, cli.Why{Workload: ns + "/web", Operator: shipped}.Print(ctx, nobody, screen))
		printed("test-alert-forbidden.txt", ns, out, cli.TestAlert{Workload: ns + "/web"}.Walk(ctx, nobody, screen))
		printed("uninstall-forbidden.txt", ns, out, cli.Uninstall{Operator: shipped}.Run(ctx, anna, screen))
		printed("pause-forbidden-too.txt", ns, out, cli.Pause{Reason: "r"}.Ask(ctx, nobody, screen))
	})
	It("sees what waits, and what it is", func(ctx SpecContext) {
		printed("get-nothing.txt", ns, out, cli.Listing{}.Print(ctx, anna, screen))
		printed("get-absent.txt", ns, out, cli.Listing{}.Print(ctx, cli.Cluster{Client: server.Client, Namespace: "kube-sistem"}, screen))
		ar := waiting(ctx)
		Expect(cli.Listing{}.Print(ctx, anna, screen)).To(Succeed())
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
		out.Reset()
		printed("describe-tenant.txt", ns, out, cli.Describe(ctx, anna, "a", screen))
	})
	It("gets the objects themselves, for a program", func(ctx SpecContext) {
		waiting(ctx)
		Expect(cli.Listing{Name: "a", Format: "yaml"}.Print(ctx, anna, screen)).To(Succeed())
		Expect(out.String()).To(And(HavePrefix("apiVersion: kubernaut.io/v1alpha1\nkind: AlertRemediation\n"), Not(ContainSubstring("managedFields"))))
		out.Reset()
		Expect(cli.Listing{Format: "json"}.Print(ctx, anna, screen)).To(Succeed())
		var list v1alpha1.AlertRemediationList
		Expect(json.Unmarshal(out.Bytes(), &list)).To(Succeed())
		Expect(list.Items).To(ConsistOf(And(HaveField("Name", "a"), HaveField("Kind", "AlertRemediation"))))
		out.Reset()
		printed("get-format.txt", ns, out, cli.Listing{Format: "wide"}.Print(ctx, anna, screen))
	})
	It("sees who held it back and who wrote to its target, in a namespace they may view", func(ctx SpecContext) {
		web := build.Deployment(ns, "web").Obj()
		server.Create(ctx, web)
		gvk := appsv1.SchemeGroupVersion.WithKind("Deployment")
		ar := build.Remediation(ns, "a").Admitted(build.TargetOf(web, gvk)).Obj()
		server.Create(ctx, ar)
		web.Spec.Template.Spec.Containers[0].Image = "example.test/web:2" // so that it was written to last
		Expect(server.Client.Update(ctx, web)).To(Succeed())
		server.Create(ctx, &corev1.Event{
			ObjectMeta:     metav1.ObjectMeta{Namespace: ns, Name: "e"},
			InvolvedObject: corev1.ObjectReference{APIVersion: v1alpha1.GroupVersion.String(), Kind: "AlertRemediation", Namespace: ns, Name: "a", UID: ar.UID},
			Action:         v1alpha1.Approved, Reason: v1alpha1.ReasonPaused, Message: "Approved: ben paused it", Type: "Normal",
			EventTime: metav1.NewMicroTime(build.Started.Add(time.Minute)), ReportingController: "kubernaut", ReportingInstance: "kubernaut",
		})
		server.Grant(ctx, ns, "anna", // as the role view has it
			rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"events"}, Verbs: []string{"list"}},
			rbacv1.PolicyRule{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"get"}})
		printed("timeline-viewer.txt", ns, out, cli.Timeline(ctx, anna, "a", screen))
	})
	It("pauses and resumes a namespace, and leaves others' pauses alone", func(ctx SpecContext) {
		pause := cli.Pause{Reason: "moving the database"}
		server.GrantClusterRole(ctx, ns, "adam", "kubernaut-admin")
		adam := cli.Cluster{Client: server.As("adam"), Namespace: ns}
		printed("pause-no-policy.txt", ns, out, pause.Ask(ctx, adam, screen))
		policy := build.Policy(ns, "auto", v1alpha1.ModeAuto).Paused("night shift", "storm").Obj()
		server.Create(ctx, policy)
		printed("pause-forbidden.txt", ns, out, pause.Ask(ctx, anna, screen))
		printed("pause-no-reason.txt", ns, out, cli.Pause{}.Ask(ctx, adam, screen))
		printed("pause-backwards.txt", ns, out, cli.Pause{Reason: "r", For: -time.Hour}.Ask(ctx, adam, screen))
		printed("pause.txt", ns, out, pause.Ask(ctx, adam, screen))
		pause.For = time.Hour
		printed("pause-for.txt", ns, out, pause.Ask(ctx, adam, screen)) // twice is once
		Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(policy), policy)).To(Succeed())
		Expect(policy.Spec.PauseRequests).To(HaveExactElements(HaveField("By", "night shift"), HaveField("By", "adam")))
		printed("resume.txt", ns, out, cli.Resume(ctx, adam, screen))
		Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(policy), policy)).To(Succeed())
		Expect(policy.Spec.PauseRequests).To(HaveExactElements(HaveField("By", "night shift")))
		policy.Spec.PauseRequests[0].Until = metav1.NewTime(time.Now().Add(-time.Minute))
		Expect(server.Client.Update(ctx, policy)).To(Succeed())
		printed("resume-over.txt", ns, out, cli.Resume(ctx, adam, screen))
	})
})

// variable is what differs from one run of the tests to the next.
var variable = []struct {
	what *regexp.Regexp
	as   string
}{
	{regexp.MustCompile(`after \d+s`), "after Ns"},
	{regexp.MustCompile(`last heard of \S+ ago`), "last heard of N ago"},
	{regexp.MustCompile(`test-alert-[a-z0-9]{5}`), "made-up-name"},
	{regexp.MustCompile(`grant-[a-z0-9]{5}\b`), "anna-approves"},
	{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), "UID"},
	{regexp.MustCompile(`(?m)^  kubectl -n test-[a-z0-9]{5} .*\n`), ""}, // what other specs granted
	{regexp.MustCompile(`test-[a-z0-9]{5}\b`), "other"},
}

var stamps = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ`)

// printed compares all that a person sees of a command with what is golden, and
// forgets it.
func printed(name, namespace string, out *bytes.Buffer, err error) {
	GinkgoHelper()
	text := out.String()
	out.Reset()
	if err != nil {
		text += "Error: " + err.Error() + "\n"
	}
	text = strings.ReplaceAll(text, namespace, "shop")
	text = stamps.ReplaceAllStringFunc(text, func(stamp string) string {
		if strings.HasPrefix(stamp, build.Started.Format(time.DateOnly)) {
			return stamp
		}
		return "YYYY-MM-DD HH:MM:SSZ"
	})
	for _, v := range variable {
		text = v.what.ReplaceAllString(text, v.as)
	}
	cli.Golden(GinkgoTB(), name, text)
}
