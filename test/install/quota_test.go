package install_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/kubetest"
)

// outages is the page that says which quota and which limits leave room for the operator.
func outages() string {
	page, err := os.ReadFile(kubetest.Path("docs", "outages.md"))
	Expect(err).NotTo(HaveOccurred())
	return strings.Join(strings.Fields(string(page)), " ")
}

// ratio returns how many times a request the limit is.
func ratio(declared corev1.ResourceRequirements, name corev1.ResourceName) int64 {
	limit, request := declared.Limits[name], declared.Requests[name]
	return limit.MilliValue() / request.MilliValue()
}

var _ = Describe("A namespace with a quota and limits", func() {
	var (
		deployment appsv1.Deployment
		declared   corev1.ResourceRequirements
	)
	BeforeEach(func(ctx SpecContext) {
		Expect(server.Client.Get(ctx, client.ObjectKey{Namespace: kubetest.OperatorNamespace, Name: "kubernaut"}, &deployment)).To(Succeed())
		declared = deployment.Spec.Template.Spec.Containers[0].Resources
	})

	It("has room for two replicas under the quota of docs/outages.md", func() {
		hard := regexp.MustCompile(`kubectl create quota kubernaut -n kubernaut-system --hard=(\S+)`).FindStringSubmatch(outages())
		Expect(hard).NotTo(BeNil())
		said := map[string]string{}
		for pair := range strings.SplitSeq(hard[1], ",") {
			name, value, _ := strings.Cut(pair, "=")
			quantity := resource.MustParse(value)
			said[name] = quantity.String()
		}
		want := map[string]string{"pods": fmt.Sprint(*deployment.Spec.Replicas)}
		for kind, all := range map[string]corev1.ResourceList{"requests.": declared.Requests, "limits.": declared.Limits} {
			for name, one := range all {
				one.Mul(int64(*deployment.Spec.Replicas))
				want[kind+string(name)] = one.String()
			}
		}
		Expect(said).To(Equal(want))
	})

	It("takes the pod under the limits of docs/outages.md, and under no narrower ones", func(ctx SpecContext) {
		cpu, memory, storage := declared.Limits[corev1.ResourceCPU], declared.Limits[corev1.ResourceMemory], declared.Limits[corev1.ResourceEphemeralStorage]
		Expect(outages()).To(ContainSubstring(fmt.Sprintf("`cpu: %s`, `memory: %s`, `ephemeral-storage: %s`", &cpu, &memory, &storage)))
		Expect(outages()).To(ContainSubstring(fmt.Sprintf("%d for cpu, %d for memory, %d for ephemeral storage",
			ratio(declared, corev1.ResourceCPU), ratio(declared, corev1.ResourceMemory), ratio(declared, corev1.ResourceEphemeralStorage))))

		widest := corev1.LimitRangeItem{Type: corev1.LimitTypeContainer, Max: declared.Limits, MaxLimitRequestRatio: corev1.ResourceList{}}
		for name := range declared.Limits {
			widest.MaxLimitRequestRatio[name] = *resource.NewQuantity(ratio(declared, name), resource.DecimalSI)
		}
		Expect(placed(ctx, deployment.Spec.Template.Spec, widest)).To(Succeed())
		for name := range declared.Limits {
			narrower := widest.DeepCopy()
			narrower.MaxLimitRequestRatio[name] = *resource.NewQuantity(ratio(declared, name)-1, resource.DecimalSI)
			Expect(placed(ctx, deployment.Spec.Template.Spec, *narrower)).To(MatchError(ContainSubstring(
				"%s max limit to request ratio per Container", name)))
		}
	})
})

// placed asks the API server for a pod in a namespace of its own with these limits.
func placed(ctx context.Context, pod corev1.PodSpec, limits corev1.LimitRangeItem) error {
	ns := server.Namespace(ctx)
	server.Create(ctx, &corev1.LimitRange{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "limits"}, Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{limits}},
	})
	pod.ServiceAccountName, pod.DeprecatedServiceAccount = "default", "" // the operator's is in its own namespace
	return server.Client.Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "kubernaut"}, Spec: pod}, client.DryRunAll)
}
