package clearance_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kubernaut/kubernaut/internal/clearance"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/internal/lease"
	"github.com/kubernaut/kubernaut/internal/policy"
)

// The specs share one namespace of leases, whose first spec is about a right that is lacking.
var _ = Describe("The gate of other remediators", Ordered, func() {
	const leases = "node-leases"
	now := time.Now()
	var node *corev1.Node

	BeforeAll(func(ctx SpecContext) {
		server.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: leases}})
	})
	BeforeEach(func(ctx SpecContext) {
		node = &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: server.Namespace(ctx)}}
		server.Create(ctx, node)
	})

	// judged is what the gates say to a person's run on the node, looked at with a desk like this.
	judged := func(ctx context.Context, change ...func(*clearance.Deps)) []policy.Refusal {
		GinkgoHelper()
		deps := set(ctx).deps
		deps.NodeLeases, deps.Clock = leases, clocktesting.NewFakePassiveClock(now)
		for _, c := range change {
			c(&deps)
		}
		run := build.Run(kubetest.OperatorNamespace, "by-hand", build.TargetOf(node, corev1.SchemeGroupVersion.WithKind("Node"))).Step("cordon", "Cordon", nil).Obj()
		judgement, err := clearance.New(deps).Judge(ctx, clearance.Case{Run: run})
		Expect(err).NotTo(HaveOccurred())
		return judgement.Refusals
	}
	held := func(ctx context.Context, renewed time.Duration) {
		at := metav1.NewMicroTime(now.Add(-renewed))
		server.Create(ctx, &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: leases, Name: lease.NodeName(node.Name)},
			Spec:       coordinationv1.LeaseSpec{HolderIdentity: new("somebody"), LeaseDurationSeconds: new(int32(60)), RenewTime: &at},
		})
	}

	It("ends what may not look, with what helps", func(ctx SpecContext) {
		found := judged(ctx)
		Expect(reasons(found)).To(Equal([]string{"Forbidden Ends"}))
		Expect(found[0].Message).To(ContainSubstring("in namespace " + leases))
		Expect(found[0].Message).To(ContainSubstring("grant kubernaut-system --level node"))
		server.Grant(ctx, leases, kubetest.OperatorUser, rbacv1.PolicyRule{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"get"}})
		Expect(reasons(judged(ctx))).To(BeEmpty())
	})
	It("ends what would come between another's work", func(ctx SpecContext) {
		held(ctx, time.Second)
		Expect(reasons(judged(ctx))).To(Equal([]string{"OwnedByOther Ends"}))
	})
	It("heeds no lease that ran out", func(ctx SpecContext) {
		held(ctx, 2*time.Minute)
		Expect(reasons(judged(ctx))).To(BeEmpty())
	})
	It("waits while nobody can tell", func(ctx SpecContext) {
		Expect(reasons(judged(ctx, func(d *clearance.Deps) { d.Live = without("Lease") }))).To(ContainElement("Unreadable Waits"))
	})
})
