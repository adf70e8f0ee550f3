package clearance_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/clearance"
	"github.com/kubernaut/kubernaut/internal/guard"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/internal/lease"
	"github.com/kubernaut/kubernaut/internal/policy"
)

var _ = Describe("Judging a plan", func() {
	It("lets through what nothing is against, with the operator's own rights", func(ctx SpecContext) {
		s := set(ctx)
		for _, c := range []clearance.Case{s.planned(), s.begun()} {
			judged, err := s.desk().Judge(ctx, c)
			Expect(err).NotTo(HaveOccurred())
			Expect(judged.Refusals).To(BeEmpty())
			Expect(judged.Mode).To(Equal(v1alpha1.ModeAuto))
			Expect(judged.Policy).To(Equal(s.namespace + "/auto"))
		}
	})

	DescribeTable("refuses", func(ctx SpecContext, against func(context.Context, *scene), want, says string) {
		s := set(ctx)
		against(ctx, s)
		judged, err := s.desk().Judge(ctx, s.planned())
		Expect(err).NotTo(HaveOccurred())
		Expect(reasons(judged.Refusals)).To(Equal([]string{want}))
		Expect(judged.Refusals[0].Message).To(ContainSubstring(says))
	},
		Entry("while the namespace is paused", func(ctx context.Context, s *scene) {
			change(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}, func(o client.Object) {
				o.SetAnnotations(map[string]string{v1alpha1.PauseAnnotation: "release"})
			})
		}, "Paused Waits", "(release)"),
		Entry("while the object is paused", func(ctx context.Context, s *scene) {
			merge(ctx, s.web, "kubectl-annotate", `{"metadata":{"annotations":{"kubernaut.io/pause":""}}}`)
		}, "Paused Waits", "annotate Deployment/web"),
		Entry("a protected object", func(ctx context.Context, s *scene) {
			change(ctx, s.web, func(o client.Object) { o.SetLabels(map[string]string{v1alpha1.ProtectedLabel: "true"}) })
		}, "Protected Ends", "Deployment/web"),
		Entry("a protected namespace", func(ctx context.Context, s *scene) {
			change(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}, func(o client.Object) {
				o.SetLabels(map[string]string{v1alpha1.ProtectedLabel: "true"})
			})
		}, "Protected Ends", "Namespace/"),
		Entry("what no policy is about", func(ctx context.Context, s *scene) {
			p := &v1alpha1.RemediationPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "auto"}}
			change(ctx, p, func(client.Object) { p.Spec.Selectors.Kinds = []string{"Service"} })
		}, "OutOfScope Ends", "No RemediationPolicy is about Deployment/web"),
		Entry("when the object was made anew", func(ctx context.Context, s *scene) {
			Expect(server.Client.Delete(ctx, s.web.DeepCopy())).To(Succeed())
			server.Create(ctx, build.Deployment(s.namespace, "web").Image("example.test/web:2").Obj())
			s.deps.Open = accepting
		}, "ChangedMeanwhile Ends", "made anew"),
		Entry("when somebody changed it since the diagnosis", func(ctx context.Context, s *scene) {
			change(ctx, s.web, func(client.Object) { s.web.Spec.Template.Labels["by"] = "hand" })
		}, "ChangedMeanwhile Ends", "after it was diagnosed"),
		Entry("while another run holds the target", func(ctx context.Context, s *scene) {
			other := build.Run(s.namespace, "other", build.TargetOf(s.web, build.DeploymentKind)).Step("a", "RolloutUndo", nil).Obj()
			server.Create(ctx, other)
			holds(ctx, s, other)
		}, "TargetBusy Waits", "/other holds the target"),
		Entry("what the remediator has no right to", func(_ context.Context, s *scene) {
			s.deps.Open = func(namespace string) (clearance.Tenant, error) {
				tenant, err := doors.Open(namespace)
				return beyond{tenant}, err
			}
		}, "Forbidden Ends", "may not delete deployments.apps"),
		Entry("what the API server rejects", func(_ context.Context, s *scene) {
			s.deps.Open = func(namespace string) (clearance.Tenant, error) {
				tenant, err := doors.Open(namespace)
				return nonsense{tenant}, err
			}
		}, "DryRunRejected Ends", "was rejected"),
		Entry("while the guards are not installed", func(_ context.Context, s *scene) {
			s.deps.Guards = func(ctx context.Context, reader client.Reader) (policy.Guards, error) {
				state, err := guard.Check(ctx, reader, kubetest.OperatorUser)
				return policy.Guards{Fault: strings.Join(state.Faults, "; "), Epoch: state.Epoch}, err
			}
		}, "GuardMissing Waits", "is missing"),
		Entry("while a definition in the cluster is older than the program", func(_ context.Context, s *scene) {
			s.deps.Outdated = func(context.Context) (string, error) { return "WorkflowRun lacks a field", nil }
		}, "CRDOutdated Waits", "lacks a field"),
		Entry("once Alertmanager says that nothing fires any more", func(_ context.Context, s *scene) {
			s.deps.Alertmanager = says{}
		}, "AlertResolved Resolved", "KubePodCrashLooping"),
	)

	It("refuses where the operator may not act as the remediator", func(ctx SpecContext) {
		s := set(ctx)
		elsewhere := server.Namespace(ctx)
		s.deps.Open = func(string) (clearance.Tenant, error) { return doors.Open(elsewhere) }
		judged, err := s.desk().Judge(ctx, s.planned())
		Expect(err).NotTo(HaveOccurred())
		Expect(reasons(judged.Refusals)).To(ConsistOf("Forbidden Ends"))
		Expect(judged.Refusals[0].Message).To(And(ContainSubstring("impersonate"), ContainSubstring("kubectl kubernaut grant")))
	})

	It("lets through what was only scaled since the diagnosis", func(ctx SpecContext) {
		s := set(ctx)
		scaled := merge(ctx, s.web, "autoscaler", `{"spec":{"replicas":3}}`)
		Expect(scaled.GetGeneration()).To(BeNumerically(">", s.web.Generation))
		judged, err := s.desk().Judge(ctx, s.planned())
		Expect(err).NotTo(HaveOccurred())
		Expect(judged.Refusals).To(BeEmpty())
	})

	It("stops everything while the ConfigMap exists", Serial, func(ctx SpecContext) {
		s := set(ctx)
		stop := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: kubetest.OperatorNamespace, Name: v1alpha1.EmergencyStopName}}
		server.Create(ctx, stop)
		DeferCleanup(func(ctx SpecContext) { Expect(client.IgnoreNotFound(server.Client.Delete(ctx, stop))).To(Succeed()) })
		judged, err := s.desk().Judge(ctx, s.planned())
		Expect(err).NotTo(HaveOccurred())
		Expect(reasons(judged.Refusals)).To(Equal([]string{"EmergencyStop Waits"}))
		Expect(reasons(s.desk().JudgeEach(ctx, s.begun()))).To(Equal([]string{"EmergencyStop Waits"}))
		s.deps.Client = without("ConfigMap") // a cache that no longer hears of it
		Expect(reasons(s.desk().JudgeEach(ctx, s.begun()))).To(Equal([]string{"EmergencyStop Waits"}))

		Expect(server.Client.Delete(ctx, stop)).To(Succeed())
		Expect(s.desk().JudgeEach(ctx, s.begun())).To(BeEmpty())
	})

	It("asks the stop and the pause only, before every operation", func(ctx SpecContext) {
		s := set(ctx)
		s.deps.Open, s.deps.Guards, s.deps.Alertmanager = nil, nil, nil
		Expect(s.desk().JudgeEach(ctx, s.begun())).To(BeEmpty())
		server.Create(ctx, build.Policy(s.namespace, "a-pause", v1alpha1.ModeAuto).Paused("ann", "drill").Obj())
		s.deps.Client = without("RemediationPolicyList") // a cache that has not heard of it
		Expect(reasons(s.desk().JudgeEach(ctx, s.begun()))).To(Equal([]string{"Paused Waits"}))
	})

	It("does not take the caller's own end for a source that can't be read", func(ctx SpecContext) {
		s := set(ctx)
		ended, end := context.WithCancel(ctx)
		end()
		_, err := s.desk().Judge(ended, s.planned())
		Expect(err).To(MatchError(context.Canceled))
	})

	It("is not kept back by the run whose verdict the remediation waits for", func(ctx SpecContext) {
		s := set(ctx)
		first := build.Run(s.namespace, "ar-1-run-1", build.TargetOf(s.web, build.DeploymentKind)).Step("a", "RolloutUndo", nil).OwnedBy(s.ar).Obj()
		server.Create(ctx, first)
		holds(ctx, s, first)
		s.ar.Status.RunRef, s.ar.Status.Runs = first.Name, 1
		judged, err := s.desk().Judge(ctx, s.planned())
		Expect(err).NotTo(HaveOccurred())
		Expect(judged.Refusals).To(BeEmpty())

		s.ar.Status.RunRef = "ar-1-run-2"
		judged, err = s.desk().Judge(ctx, s.planned())
		Expect(err).NotTo(HaveOccurred())
		Expect(reasons(judged.Refusals)).To(Equal([]string{"TargetBusy Waits"}))
	})
})

var _ = Describe("A source that can't be read", func() {
	DescribeTable("is a refusal that waits and says what", func(ctx SpecContext, breaks func(*scene), says string) {
		s := set(ctx)
		breaks(s)
		judged, err := s.desk().Judge(ctx, s.planned())
		Expect(err).NotTo(HaveOccurred())
		Expect(reasons(judged.Refusals)).To(Equal([]string{"Unreadable Waits"}))
		Expect(judged.Refusals[0].Message).To(ContainSubstring(says))
		Expect(judged.Refusals[0].Message).To(ContainSubstring(errDown.Error()))
	},
		Entry("the emergency stop", func(s *scene) { s.deps.Live = without("ConfigMap") }, "ConfigMap kubernaut-system/kubernaut-emergency-stop"),
		Entry("the policies of the namespace", func(s *scene) { s.deps.Live = without("RemediationPolicyList") }, "RemediationPolicies of namespace"),
		Entry("the ceiling", func(s *scene) { s.deps.Live = without("RemediationPolicy") }, "RemediationPolicy kubernaut-system/default"),
		Entry("the namespace", func(s *scene) { s.deps.Live = without("Namespace") }, "Namespace/"),
		Entry("the object", func(s *scene) { s.deps.Live = without("Deployment") }, "Deployment/web"),
		Entry("the lease", func(s *scene) { s.deps.Live = without("Lease") }, "whether another run holds the target"),
		Entry("the remediations, for the webhook's word", func(s *scene) { s.deps.Client = without("AlertRemediationList") }, "whether alert KubePodCrashLooping still fires"),
		Entry("Alertmanager", func(s *scene) { s.deps.Alertmanager = says{err: errDown} }, "whether alert KubePodCrashLooping still fires"),
		Entry("the tenant's account", func(s *scene) {
			s.deps.Open = func(string) (clearance.Tenant, error) { return nil, errDown }
		}, "what account kubernaut-remediator"),
		Entry("the access review", func(s *scene) {
			s.deps.Open = func(string) (clearance.Tenant, error) { return mute{review: errDown}, nil }
		}, "what account kubernaut-remediator"),
		Entry("the dry run", func(s *scene) {
			s.deps.Open = func(string) (clearance.Tenant, error) { return mute{dryRun: errDown}, nil }
		}, "dry run"),
		Entry("the guards", func(s *scene) {
			s.deps.Guards = func(context.Context, client.Reader) (policy.Guards, error) { return policy.Guards{}, errDown }
		}, "whether the guards are in force"),
	)
})

var _ = Describe("Reserving", func() {
	reservation := func(n int, target string) v1alpha1.Reservation {
		return v1alpha1.Reservation{Run: fmt.Sprintf("shop/run-%d", n), UID: types.UID(fmt.Sprintf("uid-%d", n)), TargetUID: types.UID(target), Action: "RolloutUndo", At: metav1.Now()}
	}
	places := func(ctx context.Context, s *scene) []v1alpha1.Reservation {
		var p v1alpha1.RemediationPolicy
		Expect(server.Client.Get(ctx, types.NamespacedName{Namespace: s.namespace, Name: "auto"}, &p)).To(Succeed())
		return p.Status.Reservations
	}

	It("gives one target to one of twenty that ask at once", func(ctx SpecContext) {
		s := set(ctx)
		errs := atOnce(20, func(n int) error { return s.desk().Reserve(ctx, s.namespace+"/auto", reservation(n, "web")) })
		var got int
		for _, err := range errs {
			var refused *policy.RefusedError
			if err == nil {
				got++
				continue
			}
			Expect(errors.As(err, &refused)).To(BeTrue(), "%v", err)
			Expect(refused.Reason).To(Equal(v1alpha1.ReasonCooldown))
			Expect(refused.Kind).To(Equal(policy.Waits))
		}
		Expect(got).To(Equal(1))
		Expect(places(ctx, s)).To(HaveLen(1))
	})

	It("loses no place of those that ask at once for other targets", func(ctx SpecContext) {
		s := set(ctx)
		errs := atOnce(5, func(n int) error {
			return s.desk().Reserve(ctx, s.namespace+"/auto", reservation(n, fmt.Sprint("target-", n)))
		})
		Expect(errs).To(HaveEach(BeNil()))
		Expect(places(ctx, s)).To(HaveLen(5))
	})

	It("gives the same run its place only once, and needs no write for it", func(ctx SpecContext) {
		s := set(ctx)
		Expect(s.desk().Reserve(ctx, s.namespace+"/auto", reservation(1, "web"))).To(Succeed())
		before := places(ctx, s)
		Expect(s.desk().Reserve(ctx, s.namespace+"/auto", reservation(1, "web"))).To(Succeed())
		Expect(places(ctx, s)).To(Equal(before))
	})

	It("fails where there is no such policy", func(ctx SpecContext) {
		s := set(ctx)
		Expect(s.desk().Reserve(ctx, s.namespace+"/none", reservation(1, "web"))).To(MatchError(ContainSubstring("reserving a place for shop/run-1")))
		Expect(s.desk().Reserve(ctx, "", reservation(1, "web"))).To(MatchError(ContainSubstring("names no policy")))
	})
})

// atOnce calls so many times at the same time, and returns what each returned.
func atOnce(n int, call func(int) error) []error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = call(i) })
	}
	all.Wait()
	return errs
}

// change updates an object as the administrator.
func change(ctx context.Context, obj client.Object, how func(client.Object)) {
	Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj)).To(Succeed())
	how(obj)
	Expect(server.Client.Update(ctx, obj)).To(Succeed())
}

// merge patches an object in the name of one of its writers, and returns what became of it.
func merge(ctx context.Context, obj client.Object, writer, body string) client.Object {
	obj = obj.DeepCopyObject().(client.Object)
	Expect(server.Client.Patch(ctx, obj, client.RawPatch(types.MergePatchType, []byte(body)), client.FieldOwner(writer))).To(Succeed())
	return obj
}

// holds gives the lease on the scene's target to a run.
func holds(ctx context.Context, s *scene, run *v1alpha1.WorkflowRun) {
	identity := lease.Identity(run)
	server.Create(ctx, &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: kubetest.OperatorNamespace, Name: lease.Name(s.web.UID)},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &identity, AcquireTime: new(metav1.NewMicroTime(time.Now()))},
	})
}

// without is a client that gets no answer about one kind.
func without(kind string) client.WithWatch {
	return broken(func(asked string, _ types.NamespacedName) bool { return asked == kind })
}

// beyond asks for more than was granted.
type beyond struct{ clearance.Tenant }

func (b beyond) Review(ctx context.Context, ops ...v1alpha1.Operation) error {
	more := ops[0]
	more.Verb, more.Body, more.Precondition.Fields = v1alpha1.VerbDelete, nil, nil
	return b.Tenant.Review(ctx, append(ops, more)...)
}

// nonsense tries what no API server accepts.
type nonsense struct{ clearance.Tenant }

func (n nonsense) DryRun(ctx context.Context, op v1alpha1.Operation) error {
	op.Body = raw(`[{"op":"replace","path":"/spec/selector/matchLabels/app","value":"other"}]`)
	return n.Tenant.DryRun(ctx, op)
}

// mute answers what it is told to.
type mute struct{ review, dryRun error }

func (m mute) Review(context.Context, ...v1alpha1.Operation) error { return m.review }
func (m mute) DryRun(context.Context, v1alpha1.Operation) error    { return m.dryRun }
func (m mute) Rights(context.Context) (string, error)              { return "", m.review }

// accepting lets every operation through.
func accepting(string) (clearance.Tenant, error) { return mute{}, nil }

// says is an Alertmanager in which these alerts fire, started long ago unless since says another time.
type says struct {
	alerts []map[string]string
	err    error
	since  time.Time
	silent error // about when it was started
}

func (s says) Firing(context.Context, string) ([]map[string]string, error) { return s.alerts, s.err }
func (s says) Since(context.Context) (time.Time, error)                    { return s.since, s.silent }
