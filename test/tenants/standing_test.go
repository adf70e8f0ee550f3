package tenants

import (
	"context"
	"net/http"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/pkg/alert"
)

// fires sends an alert as Alertmanager does: again, until it is accepted.
func fires(ctx context.Context, labels map[string]string) {
	GinkgoHelper()
	body := kubetest.MessageSince(alert.Firing, time.Now().Add(-time.Minute), labels)
	Eventually(func(g Gomega) {
		code, answer, err := alertmanager.Post(ctx, body)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(code).To(Equal(http.StatusOK), string(answer))
	}).WithContext(ctx).WithTimeout(patience).WithPolling(often).Should(Succeed())
}

// received waits until the one remediation that the webhook made of an alert in a
// namespace has found its target, and returns it.
func received(ctx context.Context, namespace string, labels map[string]string) v1alpha1.AlertRemediation {
	GinkgoHelper()
	var list v1alpha1.AlertRemediationList
	Eventually(func(g Gomega) {
		g.Expect(server.Client.List(ctx, &list, client.InNamespace(namespace), client.MatchingFields{"spec.alert.fingerprint": alert.Fingerprint(labels)})).To(Succeed())
		var ours []v1alpha1.AlertRemediation
		for _, ar := range list.Items {
			if ar.Spec.Alert.Source == v1alpha1.SourceAlertmanager {
				ours = append(ours, ar)
			}
		}
		list.Items = ours
		g.Expect(ours).To(HaveLen(1))
		g.Expect(ours[0].Status.Target).NotTo(BeNil())
	}).WithContext(ctx).WithTimeout(patience).WithPolling(often).Should(Succeed())
	return list.Items[0]
}

var _ = Describe("What a user writes", func() {
	It("does not end the remediation of an alert about the same target, which is healed", func(ctx SpecContext) {
		labels := server.CrashLoop(ctx, honest.namespace, "web")
		forged := build.Remediation(honest.namespace, "forged").Alert(labels["alertname"], labels).Suspended().
			With(func(ar *v1alpha1.AlertRemediation) { ar.Spec.Alert.Fingerprint = alert.Fingerprint(labels) }).Obj()
		Expect(server.As(honest.creator).Create(ctx, forged)).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(forged), forged)).To(Succeed())
			g.Expect(forged.Status.Target).NotTo(BeNil())
		}).WithContext(ctx).WithTimeout(patience).WithPolling(often).Should(Succeed())

		fires(ctx, labels)
		own := received(ctx, honest.namespace, labels)
		Expect(own.Status.Target.UID).To(Equal(forged.Status.Target.UID))
		Expect(own.Status.DuplicateOf).To(BeEmpty())
		web := build.Deployment(honest.namespace, "web").Obj()
		Eventually(func(g Gomega) {
			g.Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(web), web)).To(Succeed())
			g.Expect(web.Spec.Template.Spec.Containers[0].Image).To(Equal("example.test/web:1"), "the bad release is there still")
		}).WithContext(ctx).WithTimeout(patience).WithPolling(often).Should(Succeed())
	})

	It("does not end the operator's remediation of a Node, nor show how many Nodes there are", func(ctx SpecContext) {
		down := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "worker-down"}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{
			Type: corev1.NodeReady, Status: corev1.ConditionUnknown, Reason: "NodeStatusUnknown", LastTransitionTime: metav1.NewTime(time.Now().Add(-time.Hour)),
		}}}}
		server.Create(ctx, down)
		DeferCleanup(func(ctx SpecContext) { Expect(server.Client.Delete(ctx, down)).To(Succeed()) })
		labels := map[string]string{"alertname": "KubeNodeNotReady", "node": down.Name, "severity": "critical"}
		forged := build.Remediation(hostile.namespace, "node-down").Alert(labels["alertname"], labels).Obj()
		Expect(server.As(hostile.creator).Create(ctx, forged)).To(Succeed())
		refusedByOperator(ctx, forged, "name no object of namespace "+hostile.namespace)

		fires(ctx, labels)
		own := received(ctx, kubetest.OperatorNamespace, labels)
		Expect(own.Status.Target.UID).To(Equal(down.UID))
		Expect(own.Status.DuplicateOf).To(BeEmpty())
	})
})
