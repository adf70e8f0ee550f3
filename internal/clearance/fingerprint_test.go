package clearance_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/clearance"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/internal/policy"
)

// shown is the remediation of a scene with its plan in view.
func (s *scene) shown() *v1alpha1.AlertRemediation {
	ar := s.ar.DeepCopy()
	ar.Status.Plan = &v1alpha1.PlanStatus{Digest: build.Digest, Mode: v1alpha1.ModeAuto, Steps: []v1alpha1.PlanStep{{
		Name: "remedy", Action: "RolloutUndo", Risk: v1alpha1.RiskMedium, Target: build.TargetOf(s.web, build.DeploymentKind),
	}}}
	return ar
}

// policyOf is the policy of a scene, to be changed.
func (s *scene) policyOf() *v1alpha1.RemediationPolicy {
	return &v1alpha1.RemediationPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "auto"}}
}

// reserved takes a place in the policy of a scene for a target.
func (s *scene) reserved(ctx context.Context, uid types.UID) {
	p := s.policyOf()
	Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(p), p)).To(Succeed())
	p.Status.Reservations = append(p.Status.Reservations, v1alpha1.Reservation{Run: s.namespace + "/other-run-1", TargetUID: uid, Action: "RolloutUndo", At: metav1.NewTime(s.deps.Clock.Now())})
	Expect(server.Client.Status().Update(ctx, p)).To(Succeed())
}

// ungrant takes back what was granted in the namespace of a scene to one account.
func (s *scene) ungrant(ctx context.Context, user string) {
	var bindings rbacv1.RoleBindingList
	Expect(server.Client.List(ctx, &bindings, client.InNamespace(s.namespace))).To(Succeed())
	removed := 0
	for i := range bindings.Items {
		for _, subject := range bindings.Items[i].Subjects {
			if subject.Name == user || "system:serviceaccount:"+subject.Namespace+":"+subject.Name == user {
				Expect(server.Client.Delete(ctx, &bindings.Items[i])).To(Succeed())
				removed++
			}
		}
	}
	Expect(removed).To(BeNumerically(">=", 1))
}

var _ = Describe("The fingerprint of what a waiting plan depends on", func() {
	fingerprint := func(ctx context.Context, desk *clearance.Desk, ar *v1alpha1.AlertRemediation) string {
		GinkgoHelper()
		hash, err := desk.Fingerprint(ctx, ar)
		Expect(err).NotTo(HaveOccurred())
		return hash
	}
	// A long time after the first fingerprint, so that nothing is kept from it but a time.
	later := 2 * time.Minute

	DescribeTable("differs", func(ctx SpecContext, change func(context.Context, *scene, *v1alpha1.AlertRemediation)) {
		s := set(ctx)
		clock := clocktesting.NewFakePassiveClock(time.Now())
		s.deps.Clock = clock
		epoch := "first"
		s.deps.Guards = func(context.Context, client.Reader) (policy.Guards, error) { return policy.Guards{Epoch: epoch}, nil }
		desk, ar := s.desk(), s.shown()
		before := fingerprint(ctx, desk, ar)
		clock.SetTime(clock.Now().Add(later))
		Expect(fingerprint(ctx, desk, ar)).To(Equal(before), "though nothing changed")
		if change == nil {
			epoch = "second"
		} else {
			change(ctx, s, ar)
		}
		clock.SetTime(clock.Now().Add(later))
		Eventually(func() string { // an authorizer knows of a new binding a moment later
			clock.SetTime(clock.Now().Add(later))
			return fingerprint(ctx, desk, ar)
		}).ShouldNot(Equal(before))
	},
		Entry("when the target's spec changed", func(ctx context.Context, s *scene, _ *v1alpha1.AlertRemediation) {
			change(ctx, s.web, func(client.Object) { s.web.Spec.Template.Labels["by"] = "hand" })
		}),
		Entry("when the target was made anew", func(ctx context.Context, s *scene, _ *v1alpha1.AlertRemediation) {
			Expect(server.Client.Delete(ctx, s.web.DeepCopy())).To(Succeed())
			server.Create(ctx, build.Deployment(s.namespace, "web").Image("example.test/web:2").Obj())
		}),
		Entry("when the target is gone", func(ctx context.Context, s *scene, _ *v1alpha1.AlertRemediation) {
			Expect(server.Client.Delete(ctx, s.web.DeepCopy())).To(Succeed())
		}),
		Entry("when the target is paused", func(ctx context.Context, s *scene, _ *v1alpha1.AlertRemediation) {
			merge(ctx, s.web, "kubectl-annotate", `{"metadata":{"annotations":{"kubernaut.io/pause":""}}}`)
		}),
		Entry("when the target is protected", func(ctx context.Context, s *scene, _ *v1alpha1.AlertRemediation) {
			merge(ctx, s.web, "kubectl-label", `{"metadata":{"labels":{"kubernaut.io/protected":"true"}}}`)
		}),
		Entry("when the namespace is paused", func(ctx context.Context, s *scene, _ *v1alpha1.AlertRemediation) {
			change(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}, func(o client.Object) {
				o.SetAnnotations(map[string]string{v1alpha1.PauseAnnotation: "release"})
			})
		}),
		Entry("when the object that the alert is about is paused", func(ctx context.Context, s *scene, ar *v1alpha1.AlertRemediation) {
			other := build.Deployment(s.namespace, "caller").Obj()
			other.Annotations = map[string]string{v1alpha1.PauseAnnotation: "release"}
			server.Create(ctx, other)
			about := build.TargetOf(other, build.DeploymentKind)
			ar.Status.Target = &about
		}),
		Entry("when the policy changed", func(ctx context.Context, s *scene, _ *v1alpha1.AlertRemediation) {
			p := s.policyOf()
			change(ctx, p, func(client.Object) { p.Spec.Limits.MaxPerHour++ })
		}),
		Entry("when the policy is paused", func(ctx context.Context, s *scene, _ *v1alpha1.AlertRemediation) {
			p := s.policyOf()
			change(ctx, p, func(client.Object) {
				p.Spec.PauseRequests = []v1alpha1.PauseRequest{{By: "jane", Reason: "release"}}
			})
		}),
		Entry("when there is another policy", func(ctx context.Context, s *scene, _ *v1alpha1.AlertRemediation) {
			server.Create(ctx, build.Policy(s.namespace, "another", v1alpha1.ModeObserve).Obj())
		}),
		Entry("when the target begins to cool down", func(ctx context.Context, s *scene, _ *v1alpha1.AlertRemediation) {
			s.reserved(ctx, s.web.UID)
		}),
		Entry("when a right of the remediator was taken away", func(ctx context.Context, s *scene, _ *v1alpha1.AlertRemediation) {
			s.ungrant(ctx, kubetest.RemediatorUser(s.namespace))
		}),
		Entry("when a right was given to the remediator", func(ctx context.Context, s *scene, _ *v1alpha1.AlertRemediation) {
			server.Grant(ctx, s.namespace, kubetest.RemediatorUser(s.namespace), rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"patch"}})
		}),
		Entry("when the operator may no longer act as the remediator", func(ctx context.Context, s *scene, _ *v1alpha1.AlertRemediation) {
			s.ungrant(ctx, kubetest.OperatorUser)
		}),
		Entry("when a guard changed", nil),
		Entry("when an answer arrived", func(_ context.Context, _ *scene, ar *v1alpha1.AlertRemediation) { ar.Generation++ }),
		Entry("when another plan is shown", func(_ context.Context, _ *scene, ar *v1alpha1.AlertRemediation) { ar.Status.Plan.Digest += "1" }),
		Entry("when the alert is over", func(_ context.Context, _ *scene, ar *v1alpha1.AlertRemediation) {
			ar.Status.Alert = &v1alpha1.AlertStatus{State: v1alpha1.AlertResolved}
		}),
	)

	DescribeTable("stays the same", func(ctx SpecContext, change func(context.Context, *scene)) {
		s := set(ctx)
		clock := clocktesting.NewFakePassiveClock(time.Now())
		s.deps.Clock = clock
		desk, ar := s.desk(), s.shown()
		before := fingerprint(ctx, desk, ar)
		change(ctx, s)
		clock.SetTime(clock.Now().Add(later))
		Expect(fingerprint(ctx, desk, ar)).To(Equal(before))
	},
		Entry("when only the target's status changed", func(ctx context.Context, s *scene) {
			s.web.Status.ObservedGeneration = 1
			Expect(server.Client.Status().Update(ctx, s.web)).To(Succeed())
		}),
		Entry("when a neighbour changed", func(ctx context.Context, s *scene) {
			server.Create(ctx, build.Deployment(s.namespace, "neighbour").Obj())
		}),
		Entry("when another target's run took a place", func(ctx context.Context, s *scene) { s.reserved(ctx, "another") }),
		Entry("when another namespace changes its policies and grants", func(ctx context.Context, _ *scene) { set(ctx) }),
	)

	It("differs with the emergency stop, and with what Alertmanager says", func(ctx SpecContext) {
		s := set(ctx)
		about := []map[string]string{{"namespace": s.namespace, "deployment": "web"}}
		s.deps.Alertmanager = says{alerts: about}
		ar := s.shown()
		firing := fingerprint(ctx, s.desk(), ar)
		s.deps.Alertmanager = says{alerts: append(about, map[string]string{"namespace": "elsewhere", "deployment": "web"})}
		Expect(fingerprint(ctx, s.desk(), ar)).To(Equal(firing), "what fires elsewhere is nothing new")
		s.deps.Alertmanager = says{since: s.deps.Clock.Now().Add(-time.Hour)}
		Expect(fingerprint(ctx, s.desk(), ar)).NotTo(Equal(firing))
		s.deps.Alertmanager = says{alerts: about}
		s.deps.Live = stopped{operator}
		Expect(fingerprint(ctx, s.desk(), ar)).NotTo(Equal(firing))
	})

	DescribeTable("is not known", func(ctx SpecContext, breaks func(*scene)) {
		s := set(ctx)
		breaks(s)
		_, err := s.desk().Fingerprint(ctx, s.shown())
		Expect(err).To(MatchError(errDown))
	},
		Entry("without the emergency stop", func(s *scene) { s.deps.Live = without("ConfigMap") }),
		Entry("without the policies", func(s *scene) { s.deps.Client = without("RemediationPolicyList") }),
		Entry("without the default policy", func(s *scene) { s.deps.Client = without("RemediationPolicy") }),
		Entry("without the namespace", func(s *scene) { s.deps.Client = without("Namespace") }),
		Entry("without the target", func(s *scene) { s.deps.Client = without("Deployment") }),
		Entry("without the guards", func(s *scene) {
			s.deps.Guards = func(context.Context, client.Reader) (policy.Guards, error) { return policy.Guards{}, errDown }
		}),
		Entry("without the tenant", func(s *scene) {
			s.deps.Open = func(string) (clearance.Tenant, error) { return nil, errDown }
		}),
		Entry("without the remediator's rights", func(s *scene) {
			s.deps.Open = func(string) (clearance.Tenant, error) { return mute{review: errDown}, nil }
		}),
		Entry("without Alertmanager", func(s *scene) { s.deps.Alertmanager = says{err: errDown} }),
		Entry("without knowing when a silent Alertmanager was started", func(s *scene) { s.deps.Alertmanager = says{silent: errDown} }),
	)

	It("is one of the metadata that the cache keeps: what the gates look at is among it", func() {
		whole := metav1.ObjectMeta{
			Namespace: "shop", Name: "web", UID: "uid", ResourceVersion: "7", Generation: 3, Labels: map[string]string{"team": "a"},
			Annotations:   map[string]string{v1alpha1.PauseAnnotation: "release", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
		}
		lean := clearance.LeanMetadata(&metav1.PartialObjectMetadata{ObjectMeta: whole})
		whole.Annotations, whole.ManagedFields = map[string]string{v1alpha1.PauseAnnotation: "release"}, nil
		Expect(lean.ObjectMeta).To(Equal(whole))
	})
})

// stopped is a reader of a cluster in which the emergency stop is set.
type stopped struct{ client.Reader }

func (s stopped) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	if key.Name == v1alpha1.EmergencyStopName {
		return nil
	}
	return s.Reader.Get(ctx, key, obj, opts...)
}
