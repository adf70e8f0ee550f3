package cli_test

import (
	"bytes"
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/cli"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/pkg/action"
)

const home = "kubernaut-system"

var shipped = cli.Operator{Namespace: home, Account: "kubernaut"}

var _ = Describe("Whoever looks after it", func() {
	var (
		ns   string
		out  *bytes.Buffer
		root cli.Cluster
	)
	BeforeEach(func(ctx SpecContext) {
		ns, out = server.Namespace(ctx), &bytes.Buffer{}
		root = cli.Cluster{Client: server.Client, Namespace: ns}
	})
	granted := func(ctx context.Context) {
		var manifests bytes.Buffer
		Expect(cli.Grant{Namespace: ns, Level: action.LevelFull, Operator: shipped}.Print(&manifests)).To(Succeed())
		server.Apply(ctx, manifests.Bytes())
	}
	ceiling := func(ctx context.Context) {
		p := build.Policy(home, v1alpha1.DefaultPolicyName, v1alpha1.ModeRecommend).Ceiling(v1alpha1.ModeAuto).Obj()
		server.Create(ctx, p)
		DeferCleanup(func(ctx SpecContext) { Expect(server.Client.Delete(ctx, p)).To(Succeed()) })
	}

	It("asks why, and learns what is in the way of a workload, and what mends it", Serial, func(ctx SpecContext) {
		ceiling(ctx)
		server.Create(ctx, build.Deployment(ns, "web").Obj())
		why := cli.Why{Workload: ns + "/web", Operator: shipped}
		Expect(why.Print(ctx, root, out)).To(Succeed())
		Expect(out.String()).To(And(
			ContainSubstring("policy "+home+"/default, mode Recommend: no plan is ever carried out"),
			ContainSubstring("Forbidden: system:serviceaccount:"+ns+":kubernaut-remediator may not patch deployments: kubectl kubernaut grant "+ns+" | kubectl apply -f -"),
		))

		out.Reset()
		granted(ctx)
		server.Create(ctx, build.Policy(ns, "auto", v1alpha1.ModeAuto).Paused("anna", "moving").Obj())
		Expect(why.Print(ctx, root, out)).To(Succeed())
		Expect(out.String()).To(And(
			ContainSubstring("policy "+ns+"/auto, mode Auto"), ContainSubstring("Paused: anna paused RemediationPolicy "+ns+"/auto"), Not(ContainSubstring("Forbidden")),
		))

		out.Reset()
		Expect(server.Client.Delete(ctx, build.Policy(ns, "auto", v1alpha1.ModeAuto).Obj())).To(Succeed())
		server.Create(ctx, build.Policy(ns, "auto", v1alpha1.ModeApprove).Obj())
		why.Workload = ns + "/deployment/web"
		Expect(why.Print(ctx, root, out)).To(Succeed())
		Expect(out.String()).To(Equal("Deployment/web in " + ns + "\n" +
			"  policy " + ns + "/auto, mode Approve: a plan waits for a person\n" +
			"  no gate is in the way; the dry run, the diff and whether an alert fires are looked at when there is a plan\n"))
	})
	It("is told what a workload is called", func(ctx SpecContext) {
		Expect(cli.Why{Workload: "web", Operator: shipped}.Print(ctx, root, out)).To(MatchError(ContainSubstring("say NAMESPACE/NAME")))
		Expect(cli.Why{Workload: ns + "/nobody", Operator: shipped}.Print(ctx, root, out)).To(MatchError(ContainSubstring("there is no workload " + ns + "/nobody")))
	})
	It("is told what whoever types may not look at", func(ctx SpecContext) {
		server.Create(ctx, build.Deployment(ns, "web").Obj())
		server.GrantClusterRole(ctx, ns, "vera", "kubernaut-viewer")
		server.Grant(ctx, ns, "vera", rbacv1.PolicyRule{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"get"}})
		vera := cli.Cluster{Client: server.As("vera"), Namespace: ns}
		Expect(cli.Why{Workload: ns + "/web", Operator: shipped}.Print(ctx, vera, out)).To(Succeed())
		Expect(out.String()).To(ContainSubstring("whether the emergency stop is set"))
		Expect(cli.Doctor{Operator: shipped}.Print(ctx, vera, out)).To(MatchError(ContainSubstring("ask for ClusterRole kubernaut-viewer")))
	})

	It("has it all looked through, with what mends each fault", Serial, func(ctx SpecContext) {
		doctor := cli.Doctor{Operator: shipped}
		server.Create(ctx, build.Policy(ns, "auto", v1alpha1.ModeAuto).Obj())
		Expect(doctor.Print(ctx, root, out)).To(MatchError(cli.ErrUnwell))
		Expect(out.String()).To(And(
			ContainSubstring("FAIL  the operator is not in namespace "+home+" (--operator-namespace names another)\n      kubectl apply -k config/default\n"),
			ContainSubstring("ok    the guards are as shipped\n"),
			ContainSubstring("ok    no emergency stop\n"),
			ContainSubstring("FAIL  there is no policy default"),
			ContainSubstring("FAIL  no replica takes alerts\n"),
			ContainSubstring("FAIL  policy "+ns+"/auto lets plans run (Auto), but the namespace granted nothing\n      kubectl kubernaut grant "+ns+" | kubectl apply -f -\n"),
		))

		out.Reset()
		ceiling(ctx)
		granted(ctx)
		deployment := build.Deployment(home, "kubernaut").Replicas(2).Ready().Obj()
		server.Create(ctx, deployment, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: v1alpha1.EmergencyStopName}})
		DeferCleanup(func(ctx SpecContext) {
			Expect(server.Client.Delete(ctx, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: "kubernaut"}})).To(Succeed())
			Expect(server.Client.Delete(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: v1alpha1.EmergencyStopName}})).To(Succeed())
		})
		Expect(doctor.Print(ctx, root, out)).To(MatchError(cli.ErrUnwell))
		Expect(out.String()).To(And(
			ContainSubstring("ok    the operator runs, replicas ready: 2\n"),
			ContainSubstring("FAIL  the emergency stop is set: nothing is done\n      kubectl -n "+home+" delete configmap kubernaut-emergency-stop\n"),
			ContainSubstring("ok    namespaces without a policy are in mode Recommend, none is above Auto\n"),
			ContainSubstring("ok    namespace "+ns+": policy auto, mode Auto, granted\n"),
		))
	})

	It("walks the path with an alert of their own, which nobody takes up without an operator", func(ctx SpecContext) {
		server.Create(ctx, build.Deployment(ns, "web").Obj())
		walk := cli.TestAlert{Workload: ns + "/web", Timeout: time.Second}
		Expect(walk.Walk(ctx, root, out)).To(MatchError(ContainSubstring("nobody took it up within 1s: `kubectl kubernaut doctor` says why")))
		var left v1alpha1.AlertRemediationList
		Expect(server.Client.List(ctx, &left, client.InNamespace(ns))).To(Succeed())
		Expect(left.Items).To(BeEmpty())
	})
	It("sees the walk to its end", func(ctx SpecContext) {
		server.Create(ctx, build.Deployment(ns, "web").Obj())
		done := make(chan error, 1)
		go func() {
			done <- cli.TestAlert{Workload: ns + "/web", Timeout: 20 * time.Second, Keep: true}.Walk(ctx, root, out)
		}()
		operator := server.Operator(ctx)
		var all v1alpha1.AlertRemediationList
		Eventually(func() ([]v1alpha1.AlertRemediation, error) {
			err := server.Client.List(ctx, &all, client.InNamespace(ns))
			return all.Items, err
		}).WithContext(ctx).Should(HaveLen(1))
		ar := &all.Items[0]
		Expect(ar.Spec.Mode).To(Equal(v1alpha1.ModeObserve))
		ar.Status.Outcome = v1alpha1.OutcomeObserved
		ar.Status.Conditions = []metav1.Condition{{Type: v1alpha1.Succeeded, Status: metav1.ConditionTrue, Reason: "Observed", Message: "nothing is wrong", LastTransitionTime: metav1.Now()}}
		Expect(operator.Status().Update(ctx, ar)).To(Succeed())
		Eventually(done).WithContext(ctx).WithTimeout(10 * time.Second).Should(Receive(BeNil()))
		Expect(out.String()).To(And(ContainSubstring("Succeeded  Observed: nothing is wrong\n"), ContainSubstring("ended as Observed after ")))
	})

	It("frees what nobody lets go of, however late the answers come", Serial, func(ctx SpecContext) {
		run := build.Run(ns, "held", build.DeploymentTarget(ns, "web", "u")).Step("one", "RolloutRestart", nil).With(func(r *v1alpha1.WorkflowRun) {
			r.Finalizers = []string{v1alpha1.RunFinalizer}
		}).Obj()
		server.Create(ctx, run)
		Expect(cli.Uninstall{Operator: shipped, Yes: true}.Run(ctx, root, out)).To(Succeed(), "even with no patience at all")
		Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(run), run)).To(MatchError(apierrors.IsNotFound, "is gone"))
	})
	It("removes everything, and leaves no finalizer behind", Serial, func(ctx SpecContext) {
		ar := build.Remediation(ns, "a").Obj()
		server.Create(ctx, ar, build.Policy(ns, "p", v1alpha1.ModeAuto).Obj())
		run := build.Run(ns, "held", build.DeploymentTarget(ns, "web", "u")).Step("one", "RolloutRestart", nil).With(func(r *v1alpha1.WorkflowRun) {
			r.Finalizers = []string{v1alpha1.RunFinalizer}
			r.Status.Actor = kubetest.RemediatorUser(ns)
		}).Obj()
		server.Create(ctx, run)
		off := cli.Uninstall{Operator: shipped, Patience: time.Second}
		Expect(off.Run(ctx, root, out)).To(MatchError(ContainSubstring("run held in " + ns + " is under way: wait for it, or stop it with")))

		run.Status.Conditions = []metav1.Condition{{Type: v1alpha1.Succeeded, Status: metav1.ConditionTrue, Reason: "Completed", LastTransitionTime: metav1.Now()}}
		Expect(server.Operator(ctx).Status().Update(ctx, run)).To(Succeed())
		Expect(off.Run(ctx, root, out)).To(Succeed())
		Expect(out.String()).To(ContainSubstring("Nothing was removed: say --yes"))
		Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(run), run)).To(Succeed())

		off.Yes = true
		Expect(off.Run(ctx, root, out)).To(Succeed())
		Expect(out.String()).To(ContainSubstring("They are gone. What is left, in this order:\n  kubectl delete -k config/default\n"))
		for _, list := range []client.ObjectList{&v1alpha1.AlertRemediationList{}, &v1alpha1.WorkflowRunList{}, &v1alpha1.RemediationPolicyList{}} {
			Expect(server.Client.List(ctx, list)).To(Succeed())
			Expect(list).To(HaveField("Items", BeEmpty()))
		}
	})
})
