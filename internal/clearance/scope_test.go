package clearance_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/clearance"
	"github.com/kubernaut/kubernaut/internal/kubeclient"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
)

var _ = Describe("The gate of scope", func() {
	DescribeTable("refuses a Node that a run of a tenant's namespace says is there", func(ctx SpecContext, reader func() client.Reader) {
		s := set(ctx)
		s.deps.Live = reader()
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}
		server.Create(ctx, node)
		target := build.TargetOf(node, corev1.SchemeGroupVersion.WithKind("Node"))
		target.Namespace = s.namespace
		judged := func(step v1alpha1.TargetReference) []string {
			GinkgoHelper()
			run := build.Run(s.namespace, "by-hand", step).Step("one", "RolloutUndo", nil).Obj()
			c := clearance.Case{Run: run, Steps: s.planned().Steps}
			c.Steps[0].Target = step
			judgement, err := s.desk().Judge(ctx, c)
			Expect(err).NotTo(HaveOccurred())
			return reasons(judgement.Refusals)
		}
		Expect(judged(target)).To(ConsistOf("OutOfScope Ends"))
		Expect(judged(build.TargetOf(s.web, build.DeploymentKind))).To(BeEmpty())
	},
		Entry("read with the client, which drops the namespace", func() client.Reader { return operator }),
		Entry("read with the reader that the operator uses", func() client.Reader {
			return kubeclient.NewScopedReader(operator, operator.RESTMapper(), server.Scheme)
		}),
	)
})
