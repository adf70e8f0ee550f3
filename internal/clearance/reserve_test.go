package clearance_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/internal/policy"
)

var _ = Describe("Reserving among tenants", Serial, func() {
	const byDefault = kubetest.OperatorNamespace + "/" + v1alpha1.DefaultPolicyName
	reservation := func(namespace string, n int) v1alpha1.Reservation {
		return v1alpha1.Reservation{
			Run: fmt.Sprintf("%s/run-%d", namespace, n), UID: types.UID(fmt.Sprintf("%s-run-%d", namespace, n)), TargetUID: types.UID(fmt.Sprintf("%s-%d", namespace, n)), Action: "RolloutUndo", At: metav1.Now(),
		}
	}
	// spend reserves so many places for runs of a namespace, and returns the refusal it ended with.
	spend := func(ctx context.Context, s *scene, namespace, policyName string, most int) (int, *policy.RefusedError) {
		for n := range most {
			err := s.desk().Reserve(ctx, policyName, reservation(namespace, n))
			var refused *policy.RefusedError
			if errors.As(err, &refused) {
				return n, refused
			}
			Expect(err).NotTo(HaveOccurred())
		}
		return most, nil
	}
	shared := func(ctx context.Context) *v1alpha1.RemediationPolicy {
		p := &v1alpha1.RemediationPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: kubetest.OperatorNamespace, Name: v1alpha1.DefaultPolicyName}}
		Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(p), p)).To(Succeed())
		return p
	}
	// clusterMay sets what the cluster may make in an hour, of which nothing is made yet.
	clusterMay := func(ctx context.Context, n int32) {
		p := shared(ctx)
		p.Spec.Limits.ClusterMaxPerHour = n
		Expect(server.Client.Update(ctx, p)).To(Succeed())
		p.Status = v1alpha1.RemediationPolicyStatus{}
		Expect(server.Client.Status().Update(ctx, p)).To(Succeed())
	}
	BeforeEach(func(ctx SpecContext) {
		clusterMay(ctx, 0)
		DeferCleanup(clusterMay, int32(0))
	})

	It("gives each namespace without a policy its own budget under the default", func(ctx SpecContext) {
		s := set(ctx)
		spent, refused := spend(ctx, s, "mallory", byDefault, 30)
		Expect(spent).To(Equal(20))
		Expect(refused.Reason).To(Equal(v1alpha1.ReasonBudgetSpent))
		Expect(refused.Message).To(ContainSubstring("let 20 runs be made in namespace mallory"))

		Expect(s.desk().Reserve(ctx, byDefault, reservation("shop", 1))).To(Succeed())
		Expect(shared(ctx).Status.Reservations).To(HaveLen(21))
		Expect(shared(ctx).Status.ClusterRuns).To(HaveLen(21))
	})

	It("counts the runs under a namespace's own policy in the cluster, also once that policy was made anew", func(ctx SpecContext) {
		clusterMay(ctx, 16)
		s := set(ctx)
		own := s.namespace + "/auto"
		server.GrantClusterRole(ctx, s.namespace, "mallory", "kubernaut-admin")
		mallory := server.As("mallory")
		renew := func(limits v1alpha1.PolicyLimits) {
			p := build.Policy(s.namespace, "auto", v1alpha1.ModeAuto).Obj()
			Expect(mallory.Delete(ctx, p.DeepCopy())).To(Succeed())
			p.Spec.Limits = limits
			Expect(mallory.Create(ctx, p)).To(Succeed())
		}
		renew(v1alpha1.PolicyLimits{MaxPerHour: 200, ClusterMaxPerHour: 800})
		spent, _ := spend(ctx, s, s.namespace, own, 3)
		Expect(spent).To(Equal(3))
		renew(v1alpha1.PolicyLimits{MaxPerHour: 200, ClusterMaxPerHour: 800}) // which forgets the three
		spent, refused := spend(ctx, s, s.namespace, own, 3)
		Expect(spent).To(Equal(1))
		Expect(refused.Reason).To(Equal(v1alpha1.ReasonBudgetSpent))
		Expect(refused.Message).To(ContainSubstring("made 4 runs within an hour: that is its quarter of the 16"))

		neighbour := set(ctx)
		spent, _ = spend(ctx, neighbour, neighbour.namespace, neighbour.namespace+"/auto", 3)
		Expect(spent).To(Equal(3))
		Expect(neighbour.desk().Reserve(ctx, byDefault, reservation("shop", 1))).To(Succeed())
	})

	It("judges by what the cluster has counted", func(ctx SpecContext) {
		clusterMay(ctx, 4)
		s, neighbour := set(ctx), set(ctx)
		Expect(s.desk().Reserve(ctx, s.namespace+"/auto", reservation(s.namespace, 1))).To(Succeed())
		judged, err := s.desk().Judge(ctx, s.planned())
		Expect(err).NotTo(HaveOccurred())
		Expect(reasons(judged.Refusals)).To(Equal([]string{"BudgetSpent Waits"}))
		judged, err = neighbour.desk().Judge(ctx, neighbour.planned())
		Expect(err).NotTo(HaveOccurred())
		Expect(judged.Refusals).To(BeEmpty())
	})

	It("gives no place twice to those that ask at once", func(ctx SpecContext) {
		clusterMay(ctx, 8)
		s := set(ctx)
		errs := atOnce(5, func(n int) error { return s.desk().Reserve(ctx, s.namespace+"/auto", reservation(s.namespace, n)) })
		var refused *policy.RefusedError
		got := 0
		for _, err := range errs {
			if err == nil {
				got++
				continue
			}
			Expect(errors.As(err, &refused)).To(BeTrue(), "%v", err)
			Expect(refused.Reason).To(Equal(v1alpha1.ReasonBudgetSpent))
		}
		Expect(got).To(Equal(2))
		Expect(shared(ctx).Status.ClusterRuns).To(HaveLen(2))
	})

	It("counts a run once, although its own policy was written meanwhile", func(ctx SpecContext) {
		s := set(ctx)
		var conflicts atomic.Int32
		s.deps.Client = interceptor.NewClient(operator, interceptor.Funcs{
			SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, obj client.Object, opts ...client.SubResourceUpdateOption) error {
				if obj.GetNamespace() == s.namespace && conflicts.Add(1) <= 2 {
					return apierrors.NewConflict(schema.GroupResource{Resource: "remediationpolicies"}, obj.GetName(), errDown)
				}
				return c.SubResource(sub).Update(ctx, obj, opts...)
			},
		})
		Expect(s.desk().Reserve(ctx, s.namespace+"/auto", reservation(s.namespace, 1))).To(Succeed())
		Expect(conflicts.Load()).To(BeEquivalentTo(3))
		Expect(shared(ctx).Status.ClusterRuns).To(HaveLen(1))
		Expect(s.desk().Reserve(ctx, s.namespace+"/auto", reservation(s.namespace, 1))).To(Succeed())
		Expect(shared(ctx).Status.ClusterRuns).To(HaveLen(1))
	})

	It("gives no place while nothing counts the runs of the cluster", func(ctx SpecContext) {
		s := set(ctx)
		s.deps.Namespace = server.Namespace(ctx)
		var refused *policy.RefusedError
		err := s.desk().Reserve(ctx, s.namespace+"/auto", reservation(s.namespace, 1))
		Expect(errors.As(err, &refused)).To(BeTrue(), "%v", err)
		Expect(refused.Kind).To(Equal(policy.Waits))
		Expect(refused.Message).To(ContainSubstring("there is no RemediationPolicy " + s.deps.Namespace + "/default"))

		s.deps.Live = broken(func(_ string, key types.NamespacedName) bool { return key.Name == v1alpha1.DefaultPolicyName })
		Expect(s.desk().Reserve(ctx, s.namespace+"/auto", reservation(s.namespace, 1))).To(MatchError(errDown))
	})
})
