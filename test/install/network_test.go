package install_test

import (
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/kubetest"
)

// reachable returns the ports of the operator's pod that the policies of its namespace
// let a pod of a namespace with these labels connect to. Like a network does, it
// allows everything to a pod that no policy selects.
func reachable(pod *corev1.PodTemplateSpec, policies []networkingv1.NetworkPolicy, namespace map[string]string) []string {
	selected, open := false, map[string]bool{}
	for _, policy := range policies {
		if !matches(&policy.Spec.PodSelector, pod.Labels) || !slices.Contains(policy.Spec.PolicyTypes, networkingv1.PolicyTypeIngress) {
			continue
		}
		selected = true
		for _, rule := range policy.Spec.Ingress {
			peer := len(rule.From) == 0 || slices.ContainsFunc(rule.From, func(p networkingv1.NetworkPolicyPeer) bool {
				return p.IPBlock == nil && p.PodSelector == nil && matches(p.NamespaceSelector, namespace)
			})
			for _, port := range rule.Ports {
				open[port.Port.String()] = open[port.Port.String()] || peer
			}
		}
	}
	var ports []string
	for _, port := range pod.Spec.Containers[0].Ports {
		if !selected || open[port.Name] {
			ports = append(ports, port.Name)
		}
	}
	return ports
}

func matches(selector *metav1.LabelSelector, of map[string]string) bool {
	GinkgoHelper()
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	Expect(err).NotTo(HaveOccurred())
	return parsed.Matches(labels.Set(of))
}

var _ = Describe("The operator's NetworkPolicy", func() {
	DescribeTable("lets through by the labels of a namespace", func(ctx SpecContext, namespace map[string]string, want ...string) {
		deployment := &appsv1.Deployment{}
		Expect(server.Client.Get(ctx, client.ObjectKey{Namespace: kubetest.OperatorNamespace, Name: "kubernaut"}, deployment)).To(Succeed())
		var policies networkingv1.NetworkPolicyList
		Expect(server.Client.List(ctx, &policies, client.InNamespace(kubetest.OperatorNamespace))).To(Succeed())
		Expect(reachable(&deployment.Spec.Template, policies.Items, namespace)).To(ConsistOf(want))
	},
		Entry("a tenant's namespace: to nothing", map[string]string{"kubernetes.io/metadata.name": "shop"}),
		Entry("Alertmanager's: to the webhook only", map[string]string{"kubernaut.io/sends-alerts": "true"}, "intake"),
		Entry("Prometheus': to the metrics only", map[string]string{"kubernaut.io/scrapes-metrics": "true"}, "metrics"),
		Entry("the sample's namespace: to both", map[string]string{"kubernaut.io/sends-alerts": "true", "kubernaut.io/scrapes-metrics": "true"}, "intake", "metrics"),
		Entry("a label with another value: to nothing", map[string]string{"kubernaut.io/sends-alerts": "false"}),
		Entry("the operator's own namespace: to nothing", map[string]string{"kubernetes.io/metadata.name": kubetest.OperatorNamespace}),
	)

	It("has labels that the users of a namespace can't set", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		for _, role := range []string{"system:aggregate-to-edit", "system:aggregate-to-admin", "kubernaut-admin"} {
			server.GrantClusterRole(ctx, ns, "network-user", role)
		}
		user := server.As("network-user")
		Expect(user.Patch(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, relabel)).To(beForbidden())
		Expect(user.Create(ctx, &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: kubetest.OperatorNamespace, Name: "open"}})).To(beForbidden())
	})
})
