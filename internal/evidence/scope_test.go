package evidence_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/evidence"
	"github.com/kubernaut/kubernaut/internal/kubeclient"
	"github.com/kubernaut/kubernaut/internal/kubetest"
)

var _ = Describe("An object without a namespace", func() {
	var (
		namespace string
		node      *corev1.Node
	)
	BeforeEach(func(ctx SpecContext) {
		namespace = server.Namespace(ctx)
		node = &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
		server.Create(ctx, node)
		DeferCleanup(func(ctx SpecContext) { Expect(server.Client.Delete(ctx, node)).To(Succeed()) })
	})
	readers := func() map[string]client.Reader {
		return map[string]client.Reader{
			"the client":                        server.Client, // it drops the namespace
			"the reader that the operator uses": kubeclient.NewScopedReader(server.Client, server.Client.RESTMapper(), server.Scheme),
		}
	}
	named := func(apiVersion, kind, namespace, name string) v1alpha1.ObjectReference {
		return v1alpha1.ObjectReference{APIVersion: apiVersion, Kind: kind, Namespace: namespace, Name: name}
	}

	It("is not in a namespace because a reference says so", func(ctx SpecContext) {
		for with, reader := range readers() {
			resolver := evidence.NewResolver(reader)
			for _, ref := range []v1alpha1.ObjectReference{
				named("v1", "Node", namespace, node.Name),
				named("v1", "Namespace", namespace, namespace),
				named("rbac.authorization.k8s.io/v1", "ClusterRole", namespace, "cluster-admin"),
				named("apiextensions.k8s.io/v1", "CustomResourceDefinition", namespace, "workflowruns.kubernaut.io"),
			} {
				_, err := resolver.Climb(ctx, ref)
				Expect(err).To(MatchError(evidence.ErrNoTarget), "%s with %s", ref, with)
				Expect(err).To(MatchError(ContainSubstring("does not exist in namespace " + namespace)))
				ref.Namespace = ""
				found, err := resolver.Climb(ctx, ref)
				Expect(err).NotTo(HaveOccurred(), "%s with %s", ref, with)
				Expect(found.UID).NotTo(BeEmpty())
			}
		}
	})

	It("is what an alert of the operator's namespace may be about, and no other namespace's", func(ctx SpecContext) {
		resolver := evidence.NewResolver(readers()["the client"]).WithClusterScope(kubetest.OperatorNamespace)
		about := func(name string) v1alpha1.Alert {
			return v1alpha1.Alert{Name: "KubeNodeNotReady", Labels: map[string]string{"node": name}}
		}
		found, err := resolver.Trace(ctx, kubetest.OperatorNamespace, about(node.Name))
		Expect(err).NotTo(HaveOccurred())
		Expect(found.Target.UID).To(Equal(node.UID))

		_, there := resolver.Trace(ctx, namespace, about(node.Name))
		_, absent := resolver.Trace(ctx, namespace, about("no-such-node"))
		Expect(there).To(MatchError(evidence.ErrNoTarget))
		Expect(there).To(MatchError(absent.Error()), "the answer tells whether a Node exists")
		Expect(evidence.NewResolver(server.Client).Trace(ctx, kubetest.OperatorNamespace, about(node.Name))).Error().To(MatchError(evidence.ErrNoTarget))
	})
})
