package kubetest_test

import (
	"testing"
	"time"

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

	It("makes an object as old as a test needs, and its last change too", func(ctx SpecContext) {
		dep := build.Deployment(server.Namespace(ctx), "web").Ready().Obj()
		server.Create(ctx, dep)
		before := dep.DeepCopy()
		server.Age(ctx, dep, 40*24*time.Hour, time.Hour)

		Expect(time.Since(dep.CreationTimestamp.Time)).To(BeNumerically("~", 40*24*time.Hour, time.Minute))
		for _, entry := range dep.ManagedFields {
			written := time.Hour
			if entry.Subresource == "status" {
				written = 0
			}
			Expect(time.Since(entry.Time.Time)).To(BeNumerically("~", written, time.Minute), entry.Subresource)
		}
		Expect(dep.UID).To(Equal(before.UID))
		Expect(dep.Spec).To(Equal(before.Spec))
		Expect(dep.Status).To(Equal(before.Status))
		dep.Labels["seen"] = "true"
		Expect(server.Client.Update(ctx, dep)).To(Succeed(), "the API server has to accept what is stored")
	})

	It("answers for the logs of pods as their kubelet does", func(ctx SpecContext) {
		kubelet := server.RunKubelet(ctx, "n1")
		dep := build.Deployment(server.Namespace(ctx), "web").Obj()
		server.Create(ctx, dep)
		rs := build.ReplicaSetOf(dep, 1)
		server.Create(ctx, rs)
		pod := build.PodOf(rs, "a")
		pod.Spec.NodeName = "n1"
		server.Create(ctx, pod)
		log := func() string {
			return string(server.Kubectl(ctx, nil, "-n", pod.Namespace, "logs", pod.Name))
		}

		Expect(log()).To(BeEmpty())
		kubelet.Log(pod, "web", "starting", "fatal: no database")
		Expect(log()).To(Equal("starting\nfatal: no database\n"))
		Expect(kubelet.Reads(pod, "web")).To(Equal(2))
		node := &corev1.Node{}
		Expect(server.Client.Get(ctx, client.ObjectKey{Name: "n1"}, node)).To(Succeed())
		Expect(node.Spec.Taints).To(BeEmpty())
	})
})
