package retention_test

import (
	"context"
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

const home = "kubernaut-system"

// yard is a namespace that keeps for an hour what has ended.
type yard struct {
	ns    string
	clock *clocktesting.FakePassiveClock
}

func newYard(ctx SpecContext) *yard {
	y := &yard{ns: server.Namespace(ctx), clock: clocktesting.NewFakePassiveClock(time.Now())}
	server.Create(ctx, build.Policy(y.ns, "p", v1alpha1.ModeAuto).With(func(p *v1alpha1.RemediationPolicy) {
		p.Spec.Retention = &v1alpha1.PolicyRetention{Keep: &metav1.Duration{Duration: time.Hour}}
	}).Obj())
	return y
}

func (y *yard) over() []metav1.Condition {
	return []metav1.Condition{{Type: v1alpha1.Succeeded, Status: metav1.ConditionTrue, Reason: "Remediated", LastTransitionTime: metav1.NewTime(y.clock.Now())}}
}

func (y *yard) ended(name string) *v1alpha1.AlertRemediation {
	return build.Remediation(y.ns, name).With(func(ar *v1alpha1.AlertRemediation) { ar.Status.Conditions = y.over() }).Obj()
}

// look reconciles once, and returns when the next look is.
func (y *yard) look(ctx SpecContext, c client.Client) time.Duration {
	GinkgoHelper()
	result, err := retention.New(c, y.clock, home).Reconcile(ctx, reconcile.Request{NamespacedName: types.NamespacedName{Name: y.ns}})
	Expect(err).NotTo(HaveOccurred())
	return result.RequeueAfter
}

// left returns what is there of a kind.
func (y *yard) left(ctx SpecContext, list client.ObjectList) client.ObjectList {
	GinkgoHelper()
	Expect(server.Client.List(ctx, list, client.InNamespace(y.ns))).To(Succeed())
	return list
}

var _ = Describe("What has ended", func() {
	It("is deleted when it is old, with the operator's own rights, lot by lot", func(ctx SpecContext) {
		y, operator := newYard(ctx), server.Operator(ctx)
		server.Create(ctx, build.Remediation(y.ns, "living").Obj())
		for i := range 60 {
			server.Create(ctx, y.ended(fmt.Sprintf("ended-%d", i)))
		}
		left := func() []v1alpha1.AlertRemediation {
			GinkgoHelper()
			return y.left(ctx, &v1alpha1.AlertRemediationList{}).(*v1alpha1.AlertRemediationList).Items
		}
		Expect(y.look(ctx, operator)).To(BeNumerically("~", time.Hour, 2*time.Second))
		Expect(left()).To(HaveLen(61))
		y.clock.SetTime(y.clock.Now().Add(2 * time.Hour))
		Expect(y.look(ctx, operator)).To(Equal(time.Second))
		Expect(left()).To(HaveLen(11))
		Expect(y.look(ctx, operator)).To(BeZero())
		Expect(left()).To(ConsistOf(HaveField("Name", "living")))
	})

	It("is deleted if it is a run that a person made, too", func(ctx SpecContext) {
		y, target := newYard(ctx), build.DeploymentTarget("", "web", "u")
		target.Namespace = y.ns
		server.Create(ctx, build.Run(y.ns, "living", target).Step("one", "RolloutRestart", nil).Obj(),
			build.Run(y.ns, "ended", target).Step("one", "RolloutRestart", nil).With(func(run *v1alpha1.WorkflowRun) { run.Status.Conditions = y.over() }).Obj())
		y.clock.SetTime(y.clock.Now().Add(2 * time.Hour))
		y.look(ctx, server.Operator(ctx))
		Expect(y.left(ctx, &v1alpha1.WorkflowRunList{}).(*v1alpha1.WorkflowRunList).Items).To(ConsistOf(HaveField("Name", "living")))
	})

	It("stays if somebody wrote to it since it was looked at", func(ctx SpecContext) {
		y := newYard(ctx)
		server.Create(ctx, y.ended("a"))
		y.clock.SetTime(y.clock.Now().Add(2 * time.Hour))
		y.look(ctx, meddled{server.Operator(ctx)})
		Expect(y.left(ctx, &v1alpha1.AlertRemediationList{}).(*v1alpha1.AlertRemediationList).Items).To(ConsistOf(HaveField("Name", "a")))
		y.look(ctx, server.Operator(ctx))
		Expect(y.left(ctx, &v1alpha1.AlertRemediationList{}).(*v1alpha1.AlertRemediationList).Items).To(BeEmpty())
	})
})

// meddled is a client between whose look and deletion somebody labels the object.
type meddled struct{ client.Client }

func (m meddled) Delete(ctx context.Context, obj client.Object, options ...client.DeleteOption) error {
	label := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"seen":"yes"}}}`))
	if err := server.Client.Patch(ctx, obj.DeepCopyObject().(client.Object), label); err != nil {
		return err
	}
	return m.Client.Delete(ctx, obj, options...)
}
