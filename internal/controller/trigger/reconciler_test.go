package trigger_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/controller/trigger"
	"github.com/kubernaut/kubernaut/internal/evidence"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/pkg/alert"
)

func TestTrigger(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "trigger controller")
}

var server *kubetest.Server

var _ = BeforeSuite(func(ctx SpecContext) {
	server = kubetest.Start(GinkgoTB())
	server.Install(ctx, "config", "rbac")
	server.InstallGuards(ctx)
})

const home = "kubernaut-system"

var _ = Describe("The operator's own eyes", func() {
	var (
		ns       string
		clock    *clocktesting.FakePassiveClock
		operator client.Client
		r        *trigger.Reconciler
		told     *events.FakeRecorder
		crashing *corev1.Pod
	)
	BeforeEach(func(ctx SpecContext) {
		ns = server.Namespace(ctx)
		labels := server.CrashLoop(ctx, ns, "web")
		crashing = &corev1.Pod{}
		Expect(server.Client.Get(ctx, client.ObjectKey{Namespace: ns, Name: labels["pod"]}, crashing)).To(Succeed())
		clock = clocktesting.NewFakePassiveClock(time.Now())
		operator = server.Operator(ctx)
		told = events.NewFakeRecorder(10)
		r = trigger.New(trigger.Needs{Client: operator, Live: operator, Clock: clock, Resolver: evidence.NewResolver(operator), Events: told}, trigger.Config{Namespace: home, Namespaces: []string{"*"}})
	})
	// lookAt looks as often as a trouble that need not hold has to be seen.
	lookAt := func(ctx SpecContext, kind string, obj client.Object) time.Duration {
		GinkgoHelper()
		result, err := r.Look(ctx, kind, obj)
		Expect(err).NotTo(HaveOccurred())
		if result.RequeueAfter == trigger.SecondLook {
			clock.SetTime(clock.Now().Add(trigger.SecondLook))
			result, err = r.Look(ctx, kind, obj)
			Expect(err).NotTo(HaveOccurred())
		}
		return result.RequeueAfter
	}
	look := func(ctx SpecContext) time.Duration {
		GinkgoHelper()
		return lookAt(ctx, "Pod", crashing)
	}
	made := func(ctx SpecContext) []v1alpha1.AlertRemediation {
		GinkgoHelper()
		var list v1alpha1.AlertRemediationList
		Expect(server.Client.List(ctx, &list, client.InNamespace(ns))).To(Succeed())
		return list.Items
	}
	opted := func(ctx SpecContext, t v1alpha1.PolicyTrigger) {
		t.Kind = v1alpha1.TriggerCrashLoop
		server.Create(ctx, build.Policy(ns, "watches", v1alpha1.ModeRecommend).Trigger(t).Obj())
	}
	seen := func(ctx SpecContext) *v1alpha1.AlertRemediation {
		GinkgoHelper()
		opted(ctx, v1alpha1.PolicyTrigger{HoldFor: new(metav1.Duration{})})
		look(ctx)
		Expect(made(ctx)).To(HaveLen(1))
		return &made(ctx)[0]
	}
	ends := func(ctx SpecContext, ar *v1alpha1.AlertRemediation) {
		ar.Status.Outcome = v1alpha1.OutcomeEscalated
		ar.Status.Conditions = []metav1.Condition{{Type: v1alpha1.Succeeded, Status: metav1.ConditionFalse, Reason: "Escalated", LastTransitionTime: metav1.NewTime(clock.Now())}}
		Expect(operator.Status().Update(ctx, ar)).To(Succeed())
	}

	It("does nothing that no policy asks for", func(ctx SpecContext) {
		Expect(look(ctx)).To(BeZero())
		Expect(made(ctx)).To(BeEmpty())
	})
	It("makes one remediation of the workload, once the trouble has held", func(ctx SpecContext) {
		opted(ctx, v1alpha1.PolicyTrigger{HoldFor: &metav1.Duration{Duration: time.Minute}})
		Expect(look(ctx)).To(Equal(time.Minute))
		Expect(made(ctx)).To(BeEmpty())
		clock.SetTime(clock.Now().Add(time.Minute))
		Expect(look(ctx)).To(Equal(10 * time.Second))
		Expect(made(ctx)).To(HaveLen(1))
		ar := made(ctx)[0]
		Expect(ar.Name).To(MatchRegexp(`^ar-[0-9a-f]{16}$`))
		Expect(ar.Spec.Alert).To(And(
			HaveField("Source", v1alpha1.SourceWatch), HaveField("Name", "KubePodCrashLooping"),
			HaveField("Labels", Equal(map[string]string{"alertname": "KubePodCrashLooping", "namespace": ns, "deployment": "web", "container": "web"})),
			HaveField("Annotations", HaveKeyWithValue("summary", "container web ended with exit code 1 (Error); restarts so far: 4")),
		))
		Expect(*ar.Spec.Target).To(Equal(build.DeploymentTarget(ns, "web", "").ObjectReference))
	})
	DescribeTable("knows a trouble from what is nearly one", func(ctx SpecContext, row trouble) {
		var web appsv1.Deployment
		Expect(server.Client.Get(ctx, client.ObjectKey{Namespace: ns, Name: "web"}, &web)).To(Succeed())
		server.Create(ctx, build.Policy(ns, "watches", v1alpha1.ModeRecommend).
			Trigger(v1alpha1.PolicyTrigger{Kind: row.kind, HoldFor: new(metav1.Duration{})}).Obj())
		shows := func(show func(*corev1.ContainerStatus, *appsv1.DeploymentStatus)) []v1alpha1.AlertRemediation {
			GinkgoHelper()
			show(&crashing.Status.ContainerStatuses[0], &web.Status)
			Expect(server.Client.Status().Update(ctx, crashing)).To(Succeed())
			Expect(server.Client.Status().Update(ctx, &web)).To(Succeed())
			for kind, obj := range map[string]client.Object{"Pod": crashing, "Deployment": &web} {
				lookAt(ctx, kind, obj)
			}
			return made(ctx)
		}
		Expect(shows(row.nearly)).To(BeEmpty())
		all := shows(row.ill)
		Expect(all).To(HaveLen(1))
		labels := map[string]string{"alertname": row.alert, "namespace": ns, "deployment": "web"}
		if row.container {
			labels["container"] = "web"
		}
		Expect(all[0].Name).To(Equal(alert.ObjectName("", labels, clock.Now().UTC().Truncate(time.Second))))
		Expect(all[0].Labels).To(HaveKeyWithValue(v1alpha1.FingerprintLabel, alert.Fingerprint(labels)))
		Expect(all[0].Spec.Alert).To(And(
			HaveField("Source", v1alpha1.SourceWatch), HaveField("Name", row.alert), HaveField("Severity", v1alpha1.SeverityWarning),
			HaveField("Fingerprint", alert.Fingerprint(labels)), HaveField("Labels", labels), HaveField("Annotations", HaveKeyWithValue("summary", row.says)),
		))
		Expect(*all[0].Spec.Target).To(Equal(build.DeploymentTarget(ns, "web", "").ObjectReference))
		Expect(shows(row.ill)).To(HaveLen(1), "it is made once")
	},
		Entry("a kill for memory, from any other kill", trouble{
			kind: v1alpha1.TriggerOOMKill, alert: "KubeContainerOOMKilled", container: true, says: "container web was killed for its memory; restarts so far: 4",
			nearly: func(c *corev1.ContainerStatus, _ *appsv1.DeploymentStatus) {
				c.LastTerminationState.Terminated.ExitCode, c.LastTerminationState.Terminated.Reason = 137, "Error"
			},
			ill: func(c *corev1.ContainerStatus, _ *appsv1.DeploymentStatus) {
				c.LastTerminationState.Terminated.Reason = "OOMKilled"
			},
		}),
		Entry("an image that can't be pulled, from a container that is being made", trouble{
			kind: v1alpha1.TriggerImagePull, alert: "KubeContainerWaiting", container: true, says: "container web waits: ImagePullBackOff: no such tag",
			nearly: func(c *corev1.ContainerStatus, _ *appsv1.DeploymentStatus) {
				c.State.Waiting = &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}
			},
			ill: func(c *corev1.ContainerStatus, _ *appsv1.DeploymentStatus) {
				c.State.Waiting = &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "no such tag"}
			},
		}),
		Entry("a rollout past its deadline, from one that was changed since", trouble{
			kind: v1alpha1.TriggerStuckRollout, alert: "KubeDeploymentRolloutStuck", says: "timed out",
			nearly: func(_ *corev1.ContainerStatus, d *appsv1.DeploymentStatus) {
				d.ObservedGeneration, d.Conditions = 0, []appsv1.DeploymentCondition{{
					Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Reason: "ProgressDeadlineExceeded", Message: "timed out",
				}}
			},
			ill: func(_ *corev1.ContainerStatus, d *appsv1.DeploymentStatus) { d.ObservedGeneration = 1 },
		}),
		Entry("a rollout past its deadline, from one that makes progress", trouble{
			kind: v1alpha1.TriggerStuckRollout, alert: "KubeDeploymentRolloutStuck", says: "timed out",
			nearly: func(_ *corev1.ContainerStatus, d *appsv1.DeploymentStatus) {
				d.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "ReplicaSetUpdated", Message: "timed out"}}
			},
			ill: func(_ *corev1.ContainerStatus, d *appsv1.DeploymentStatus) {
				d.Conditions[0].Status, d.Conditions[0].Reason = corev1.ConditionFalse, "ProgressDeadlineExceeded"
			},
		}),
	)
	It("acts on nothing that is well at the moment, however often it was restarted", func(ctx SpecContext) {
		opted(ctx, v1alpha1.PolicyTrigger{HoldFor: new(metav1.Duration{})})
		down := *crashing.Status.ContainerStatuses[0].DeepCopy()
		up := *down.DeepCopy()
		up.Ready, up.State = true, corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(clock.Now())}}
		becomes := func(status corev1.ContainerStatus) {
			GinkgoHelper()
			crashing.Status.ContainerStatuses[0] = status
			Expect(server.Client.Status().Update(ctx, crashing)).To(Succeed())
		}
		becomes(up)
		look(ctx)
		Expect(made(ctx)).To(BeEmpty(), "it was never seen to be unwell")
		becomes(down)
		Expect(r.Look(ctx, "Pod", crashing)).To(HaveField("RequeueAfter", trigger.SecondLook))
		becomes(up)
		clock.SetTime(clock.Now().Add(trigger.SecondLook))
		Expect(r.Look(ctx, "Pod", crashing)).To(HaveField("RequeueAfter", 10*time.Second))
		Expect(made(ctx)).To(BeEmpty(), "it is well at the second look")
		becomes(down)
		clock.SetTime(clock.Now().Add(10 * time.Second))
		look(ctx)
		Expect(made(ctx)).To(HaveLen(1))
	})
	It("counts: what was restarted too seldom is left alone", func(ctx SpecContext) {
		opted(ctx, v1alpha1.PolicyTrigger{HoldFor: new(metav1.Duration{}), MinOccurrences: 5})
		Expect(look(ctx)).To(BeZero())
		Expect(made(ctx)).To(BeEmpty())
	})
	Describe("in a namespace that the configuration does not allow", func() {
		follow := func(ctx SpecContext, policy *v1alpha1.RemediationPolicy) {
			GinkgoHelper()
			result, err := r.Look(ctx, "RemediationPolicy", policy)
			Expect(err).NotTo(HaveOccurred())
			Expect(result.RequeueAfter).To(BeZero())
		}
		BeforeEach(func() { r = trigger.New(r.Needs, trigger.Config{Namespace: home, Namespaces: []string{"allowed"}}) })

		It("watches and makes nothing for a tenant's policy, and says so once", func(ctx SpecContext) {
			policy := build.Policy(ns, "watches", v1alpha1.ModeRecommend).
				Trigger(v1alpha1.PolicyTrigger{Kind: v1alpha1.TriggerCrashLoop, HoldFor: new(metav1.Duration{})}).
				Trigger(v1alpha1.PolicyTrigger{Kind: v1alpha1.TriggerNodeNotReady, HoldFor: new(metav1.Duration{})}).Obj()
			server.Create(ctx, policy)
			follow(ctx, policy)
			follow(ctx, policy)
			Expect(told.Events).To(Receive(And(ContainSubstring("TriggersNotAllowed"), ContainSubstring(ns), ContainSubstring("triggers.namespaces"))))
			Expect(told.Events).To(BeEmpty())
			for _, kind := range []string{"Pod", "Node"} {
				Expect(r.Watches(kind)).To(BeFalse(), kind)
			}
			Expect(look(ctx)).To(BeZero())
			Expect(made(ctx)).To(BeEmpty())
		})
		It("makes nothing for the operator's default policy either", func(ctx SpecContext) {
			shipped := build.Policy(home, v1alpha1.DefaultPolicyName, v1alpha1.ModeRecommend).
				Trigger(v1alpha1.PolicyTrigger{Kind: v1alpha1.TriggerCrashLoop, HoldFor: new(metav1.Duration{})}).Obj()
			server.Create(ctx, shipped)
			DeferCleanup(func(ctx SpecContext) { Expect(server.Client.Delete(ctx, shipped)).To(Succeed()) })
			Expect(look(ctx)).To(BeZero())
			Expect(made(ctx)).To(BeEmpty())
		})
		It("leaves a remediation alone that was made while it was allowed", func(ctx SpecContext) {
			ar := build.Remediation(ns, "before").Target(v1alpha1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: ns, Name: "web"}).
				With(func(ar *v1alpha1.AlertRemediation) {
					ar.Spec.Alert.Source, ar.Spec.Alert.Fingerprint = v1alpha1.SourceWatch, "f"
				}).Obj()
			Expect(operator.Create(ctx, ar)).To(Succeed())
			Expect(r.Look(ctx, "AlertRemediation", ar)).To(HaveField("RequeueAfter", BeZero()))
			Expect(made(ctx)).To(ConsistOf(HaveField("Status.Alert", BeNil())))
		})
		It("serves the allowed one beside it, but knows no nodes there", func(ctx SpecContext) {
			r = trigger.New(r.Needs, trigger.Config{Namespace: home, Namespaces: []string{"allowed", ns}})
			policy := build.Policy(ns, "watches", v1alpha1.ModeRecommend).
				Trigger(v1alpha1.PolicyTrigger{Kind: v1alpha1.TriggerCrashLoop, HoldFor: new(metav1.Duration{})}).
				Trigger(v1alpha1.PolicyTrigger{Kind: v1alpha1.TriggerNodeNotReady}).Obj()
			server.Create(ctx, policy)
			_, err := r.Look(ctx, "RemediationPolicy", policy)
			Expect(err).NotTo(HaveOccurred())
			Expect(r.Watches("Pod")).To(BeTrue())
			Expect(r.Watches("Node")).To(BeFalse(), "nodes are the operator's own namespace's")
			look(ctx)
			Expect(made(ctx)).To(HaveLen(1))
			Expect(told.Events).To(BeEmpty())
		})
	})
	It("makes no other while one lives, nor for repeatAfter after it", func(ctx SpecContext) {
		ar := seen(ctx)
		clock.SetTime(clock.Now().Add(time.Minute))
		look(ctx)
		Expect(made(ctx)).To(HaveLen(1))
		r = trigger.New(r.Needs, trigger.Config{Namespace: home, Namespaces: []string{"*"}}) // after a restart nothing is remembered
		look(ctx)
		Expect(made(ctx)).To(HaveLen(1))
		ends(ctx, ar)
		clock.SetTime(clock.Now().Add(time.Minute))
		Expect(look(ctx)).To(BeNumerically("~", 59*time.Minute, 2*time.Second))
		Expect(made(ctx)).To(HaveLen(1))
	})
	It("says so where the namespace's quota has no room for a remediation, and does not insist", func(ctx SpecContext) {
		server.Quota(ctx, ns, "alertremediations.kubernaut.io", build.Remediation(ns, "probe").Obj())
		opted(ctx, v1alpha1.PolicyTrigger{HoldFor: new(metav1.Duration{})})
		Expect(look(ctx)).To(Equal(time.Minute))
		Expect(made(ctx)).To(BeEmpty())
		Expect(told.Events).To(Receive(ContainSubstring("exceeded quota")))
	})
	It("makes nothing in a namespace that is being deleted", func(ctx SpecContext) {
		opted(ctx, v1alpha1.PolicyTrigger{HoldFor: new(metav1.Duration{})})
		Expect(server.Client.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}})).To(Succeed())
		Expect(look(ctx)).To(Equal(10 * time.Second))
		Expect(made(ctx)).To(BeEmpty())
		Expect(told.Events).To(BeEmpty())
	})
	It("makes another when the trouble is still there after that", func(ctx SpecContext) {
		ends(ctx, seen(ctx))
		clock.SetTime(clock.Now().Add(time.Hour + time.Second))
		end := crashing.Status.ContainerStatuses[0].LastTerminationState.Terminated
		end.StartedAt, end.FinishedAt = metav1.NewTime(clock.Now().Add(-time.Minute)), metav1.NewTime(clock.Now())
		Expect(server.Client.Status().Update(ctx, crashing)).To(Succeed())
		look(ctx)
		Expect(made(ctx)).To(HaveLen(2))
	})
	It("says that the trouble is over, and that it is back", func(ctx SpecContext) {
		ar := seen(ctx)
		state := func() v1alpha1.AlertState {
			GinkgoHelper()
			result, err := r.Look(ctx, "AlertRemediation", ar)
			Expect(err).NotTo(HaveOccurred())
			Expect(result.RequeueAfter).To(Equal(10 * time.Second))
			return made(ctx)[0].AlertState()
		}
		Expect(state()).To(Equal(v1alpha1.AlertFiring))
		clock.SetTime(clock.Now().Add(11 * time.Minute)) // the pod has run that long
		Expect(state()).To(Equal(v1alpha1.AlertResolved))
		Expect(made(ctx)[0].Status.Alert.ResolvedAt.Time).To(BeTemporally("~", clock.Now(), time.Second))
		clock.SetTime(clock.Now().Add(-11 * time.Minute))
		Expect(state()).To(Equal(v1alpha1.AlertFiring))
		Expect(made(ctx)[0].Status.Alert.ResolvedAt.IsZero()).To(BeTrue())
		ends(ctx, &made(ctx)[0])
		Expect(r.Look(ctx, "AlertRemediation", ar)).To(HaveField("RequeueAfter", BeZero()))
	})
	It("looks at what was there before the policy, and comes back to it", func(ctx SpecContext) {
		opted(ctx, v1alpha1.PolicyTrigger{})
		again, err := r.Look(ctx, "RemediationPolicy", build.Policy(ns, "watches", v1alpha1.ModeRecommend).Obj())
		Expect(err).NotTo(HaveOccurred())
		Expect(again.RequeueAfter).To(Equal(30 * time.Second))
		clock.SetTime(clock.Now().Add(30 * time.Second))
		_, err = r.Look(ctx, "RemediationPolicy", build.Policy(ns, "watches", v1alpha1.ModeRecommend).Obj())
		Expect(err).NotTo(HaveOccurred())
		Expect(made(ctx)).To(HaveLen(1))
	})
	It("looks at the others although one can't be looked at", func(ctx SpecContext) {
		hidden := server.CrashLoop(ctx, ns, "a-hidden") // the first of the list
		needs := r.Needs
		needs.Resolver = blindTo{evidence.NewResolver(operator), hidden["pod"]}
		r = trigger.New(needs, trigger.Config{Namespace: home, Namespaces: []string{"*"}})
		opted(ctx, v1alpha1.PolicyTrigger{HoldFor: new(metav1.Duration{})})
		_, err := r.Look(ctx, "RemediationPolicy", build.Policy(ns, "watches", v1alpha1.ModeRecommend).Obj())
		Expect(err).NotTo(HaveOccurred())
		clock.SetTime(clock.Now().Add(trigger.SecondLook))
		_, err = r.Look(ctx, "RemediationPolicy", build.Policy(ns, "watches", v1alpha1.ModeRecommend).Obj())
		Expect(err).To(MatchError(errDown), "it is tried again")
		Expect(made(ctx)).To(ConsistOf(HaveField("Spec.Target.Name", "web")))
	})
	It("is not upset by a remediation of its kind that names no target", func(ctx SpecContext) {
		forged := build.Remediation(ns, "forged").Alert("KubePodCrashLooping", nil).FromAlertmanager("f").
			With(func(ar *v1alpha1.AlertRemediation) { ar.Spec.Alert.Source = v1alpha1.SourceWatch }).Obj()
		Expect(operator.Create(ctx, forged)).To(Succeed())
		_, err := r.Look(ctx, "AlertRemediation", forged)
		Expect(err).NotTo(HaveOccurred())
	})
	DescribeTable("sees a node for the policies of the operator's namespace only", Serial, func(ctx SpecContext, policy string) {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{GenerateName: "node-"}}
		Expect(server.Client.Create(ctx, node)).To(Succeed())
		node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown, Reason: "NodeStatusUnknown"}}
		Expect(server.Client.Status().Update(ctx, node)).To(Succeed())
		about := func(ctx SpecContext) []v1alpha1.AlertRemediation {
			lookAt(ctx, "Node", node)
			var list v1alpha1.AlertRemediationList
			Expect(server.Client.List(ctx, &list, client.InNamespace(home))).To(Succeed())
			return slices.DeleteFunc(list.Items, func(ar v1alpha1.AlertRemediation) bool { return ar.Spec.Target.Name != node.Name })
		}
		asks := v1alpha1.PolicyTrigger{Kind: v1alpha1.TriggerNodeNotReady, HoldFor: new(metav1.Duration{})}
		server.Create(ctx, build.Policy(ns, "watches", v1alpha1.ModeRecommend).Trigger(asks).Obj())
		Expect(about(ctx)).To(BeEmpty(), "a tenant has no word about nodes")
		ours := build.Policy(home, policy, v1alpha1.ModeRecommend).Trigger(asks).Obj()
		server.Create(ctx, ours)
		DeferCleanup(func(ctx SpecContext) { Expect(server.Client.Delete(ctx, ours)).To(Succeed()) })
		Expect(about(ctx)).To(ConsistOf(HaveField("Spec.Alert.Severity", v1alpha1.SeverityCritical)))
	},
		Entry("the default", v1alpha1.DefaultPolicyName),
		Entry("one of its own for nodes", "nodes"),
	)
})

// trouble is what a trigger sees, and what it must not take for that.
type trouble struct {
	kind        v1alpha1.TriggerKind
	alert, says string
	container   bool // it is about a container
	nearly, ill func(*corev1.ContainerStatus, *appsv1.DeploymentStatus)
}

var errDown = errors.New("the API server is away")

// blindTo is a resolver that gets no answer about one pod.
type blindTo struct {
	seeing *evidence.Resolver
	pod    string
}

func (b blindTo) Climb(ctx context.Context, ref v1alpha1.ObjectReference) (v1alpha1.TargetReference, error) {
	if ref.Name == b.pod {
		return v1alpha1.TargetReference{}, errDown
	}
	return b.seeing.Climb(ctx, ref)
}
