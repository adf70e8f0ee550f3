package actions_test

import (
	"errors"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/actions"
	"github.com/kubernaut/kubernaut/internal/kubeclient"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/pkg/action"
)

var _ = Describe("An action on a Node", func() {
	DescribeTable("is not planned where the target says that the Node is in a namespace", func(ctx SpecContext, reader func() client.Reader) {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: server.Namespace(ctx)}}
		server.Create(ctx, node)
		catalog, err := action.NewCatalog(actions.All()...)
		Expect(err).NotTo(HaveOccurred())
		cordon, err := catalog.Find("Cordon")
		Expect(err).NotTo(HaveOccurred())
		target := build.TargetOf(node, corev1.SchemeGroupVersion.WithKind("Node"))
		target.Namespace = node.Name
		var unfit *action.NotApplicableError
		_, err = cordon.Plan(ctx, action.World{Objects: reader()}, target, nil)
		Expect(errors.As(err, &unfit)).To(BeTrue(), "%v", err)
		target.Namespace = ""
		_, err = cordon.Plan(ctx, action.World{Objects: reader()}, target, nil)
		Expect(err).NotTo(HaveOccurred())
	},
		Entry("read with the client, which drops the namespace", func() client.Reader { return server.Client }),
		Entry("read with the reader that the operator uses", func() client.Reader {
			return kubeclient.NewScopedReader(server.Client, server.Client.RESTMapper(), server.Scheme)
		}),
	)
})
