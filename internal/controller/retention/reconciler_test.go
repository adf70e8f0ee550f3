package retention_test

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/controller/retention"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
)

func TestRetention(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "retention controller")
}

var server *kubetest.Server

var _ = BeforeSuite(func(ctx SpecContext) {
	server = kubetest.Start(GinkgoTB())
	server.Install(ctx, "config", "rbac")
})

var _ = Describe("What has ended", func() {
	It("is deleted when it is old, with the operator's own rights, lot by lot", func(ctx SpecContext) {
		ns, clock := server.Namespace(ctx), clocktesting.NewFakePassiveClock(time.Now())
		r := retention.New(server.Operator(ctx), clock, "kubernaut-system")
		left := func() []v1alpha1.AlertRemediation {
			GinkgoHelper()
			var list v1alpha1.AlertRemediationList
			Expect(server.Client.List(ctx, &list, client.InNamespace(ns))).To(Succeed())
			return list.Items
		}
		again := func() time.Duration {
			GinkgoHelper()
			result, err := r.Reconcile(ctx, reconcile.Request{NamespacedName: types.NamespacedName{Name: ns}})
			Expect(err).NotTo(HaveOccurred())
			return result.RequeueAfter
		}
		server.Create(ctx, build.Policy(ns, "p", v1alpha1.ModeAuto).With(func(p *v1alpha1.RemediationPolicy) {
			p.Spec.Retention = &v1alpha1.PolicyRetention{Keep: &metav1.Duration{Duration: time.Hour}}
		}).Obj(), build.Remediation(ns, "living").Obj())
		for i := range 60 {
			server.Create(ctx, build.Remediation(ns, fmt.Sprintf("ended-%d", i)).With(func(ar *v1alpha1.AlertRemediation) {
				ar.Status.Conditions = []metav1.Condition{{Type: v1alpha1.Succeeded, Status: metav1.ConditionTrue, Reason: "Remediated", LastTransitionTime: metav1.NewTime(clock.Now())}}
			}).Obj())
		}
		Expect(again()).To(BeNumerically("~", time.Hour, 2*time.Second))
		Expect(left()).To(HaveLen(61))
		clock.SetTime(clock.Now().Add(2 * time.Hour))
		Expect(again()).To(Equal(time.Second))
		Expect(left()).To(HaveLen(11))
		Expect(again()).To(BeZero())
		Expect(left()).To(ConsistOf(HaveField("Name", "living")))
	})
})
