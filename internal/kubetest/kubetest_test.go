package kubetest_test

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
)

func TestKubetest(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "kubetest")
}

var server *kubetest.Server

var _ = BeforeSuite(func(ctx SpecContext) {
	server = kubetest.Start(GinkgoTB())
	server.Install(ctx, "config", "rbac")
})

var _ = Describe("The test server", func() {
	It("keeps an object's status, and logs who wrote what, to the microsecond", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		dep := build.Deployment(ns, "web").Replicas(3).Ready().Obj()
		server.Create(ctx, dep)
		ar := build.Remediation(ns, "crash").Admitted(build.TargetOf(dep, build.DeploymentKind)).Obj()
		server.Create(ctx, ar)

		Expect(dep.Status.ReadyReplicas).To(BeEquivalentTo(3))
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Admitted, metav1.ConditionTrue, v1alpha1.ReasonTargetFound))
		Expect(ar).NotTo(kubetest.HaveCondition(v1alpha1.Diagnosed, metav1.ConditionTrue, v1alpha1.ReasonCauseFound))

		log := server.AuditIn(ns)
		last := log[len(log)-1]
		Expect(last.User.Username).To(Equal("admin"))
		Expect(last.ObjectRef.Resource + "/" + last.ObjectRef.Subresource).To(Equal("alertremediations/status"))
		Expect(last.RequestReceivedTimestamp.Nanosecond() % 1000).To(BeZero())
		Expect(last.ResponseObject).NotTo(BeNil())
	})

	It("lets users be impersonated, with no rights of their own", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		err := server.As("jane", "developers").List(ctx, &corev1.PodList{}, client.InNamespace(ns))
		Expect(apierrors.IsForbidden(err)).To(BeTrue(), "got %v", err)
	})

	It("is used by the operator with its own token and the rights it ships with", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		operator := server.Operator(ctx)
		Expect(operator.Create(ctx, build.Remediation(ns, "mine").Obj())).To(Succeed())
		Expect(apierrors.IsForbidden(operator.Create(ctx, build.Deployment(ns, "web").Obj()))).To(BeTrue())
	})
})
