//go:build e2e

package e2e

import (
	"context"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
)

// nodePolicy lets nodes be cordoned without asking.
const nodePolicy = `
apiVersion: kubernaut.io/v1alpha1
kind: RemediationPolicy
metadata: {name: nodes, namespace: kubernaut-system}
spec:
  mode: Auto
  selectors: {alerts: [KubeNodeNotReady], kinds: [Node]}
  rules: [{actions: [Cordon], maxRisk: medium, mode: Auto}]
  verification: {window: 5s, deadline: 4m}`

var _ = Describe("A node that nobody hears of", Serial, func() {
	It("is cordoned by the remediator of the operator's namespace, and uncordoned once it stays well", func(ctx SpecContext) {
		leader, standby := replicas(ctx)
		at := slices.IndexFunc(cluster.Status.NodeList, func(n nodeStatus) bool {
			return n.Name != leader.Spec.NodeName && n.Name != standby.Spec.NodeName
		})
		name := cluster.Status.NodeList[at].Name
		sender, err := kubetest.NewAlertSender(ctx, cluster.Client, leader.Status.PodIP+":9094", false)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func(through *kubetest.AlertSender) { cluster.Alerts = through }, cluster.Alerts)
		cluster.Alerts = sender

		cluster.apply(ctx, []byte(`{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "medik8s-leases"}}`))
		cluster.apply(ctx, []byte(nodePolicy)) // before the grant, whose quota is counted a moment after it was made
		cluster.apply(ctx, cluster.output(ctx, cluster.bin("kubectl-kubernaut"), "grant", operatorNamespace, "--level", "node"))
		DeferCleanup(func(ctx SpecContext) {
			cluster.kubectl(ctx, "-n", operatorNamespace, "delete", "remediationpolicies", "nodes")
		})

		link := linkOf(name)
		link.set(ctx, "down")
		DeferCleanup(link.set, "up")
		began := time.Now()
		Eventually(ready).WithContext(ctx).WithArguments(name).Should(Equal(corev1.ConditionUnknown))
		home := &tenant{ns: operatorNamespace}
		alert := home.alert("KubeNodeNotReady", map[string]string{"node": name})
		home.post(ctx, "firing", alert)
		Eventually(cordoned).WithContext(ctx).WithArguments(name).Should(BeTrue())
		AddReportEntry("cordoned", time.Since(began).Round(time.Second).String()+" after its link went down", ReportEntryVisibilityAlways)
		Expect(cluster.kubectl(ctx, "-n", "medik8s-leases", "get", "lease", "node-"+name, "-o", "jsonpath={.spec.holderIdentity}")).
			To(ContainSubstring(operatorNamespace+"/"), "other remediators know that one is at work")

		link.set(ctx, "up")
		Eventually(ready).WithContext(ctx).WithArguments(name).Should(Equal(corev1.ConditionTrue))
		home.post(ctx, "resolved", alert)
		ar := home.endedAbout(ctx, name)
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeResolvedItself), "%+v", ar.Status.Conditions)
		Expect(ar.Status.Diagnosis.Cause).To(Equal(v1alpha1.CauseNodeNotReady), ar.Status.Diagnosis.Summary)
		Expect(cordoned(ctx, name)).To(BeFalse())
		Expect(patchesOf(name)).To(HaveExactElements(kubetest.RemediatorUser(operatorNamespace), kubetest.RemediatorUser(operatorNamespace)))
		AddReportEntry("over", time.Since(began).Round(time.Second).String(), ReportEntryVisibilityAlways)
	}, SpecTimeout(5*time.Minute))
})

// ready is what a node's condition says.
func ready(ctx context.Context, name string) (corev1.ConditionStatus, error) {
	var node corev1.Node
	err := cluster.Get(ctx, client.ObjectKey{Name: name}, &node)
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status, err
		}
	}
	return "", err
}

func cordoned(ctx context.Context, name string) (bool, error) {
	var node corev1.Node
	err := cluster.Get(ctx, client.ObjectKey{Name: name}, &node)
	return node.Spec.Unschedulable, err
}

// endedAbout waits for the remediation of an object to end, and returns it.
func (t *tenant) endedAbout(ctx context.Context, name string) *v1alpha1.AlertRemediation {
	GinkgoHelper()
	var found *v1alpha1.AlertRemediation
	Eventually(func(g Gomega) {
		all, err := t.remediations(ctx)
		g.Expect(err).NotTo(HaveOccurred())
		at := slices.IndexFunc(all, func(ar v1alpha1.AlertRemediation) bool {
			return ar.Status.Target != nil && ar.Status.Target.Name == name
		})
		g.Expect(at).To(BeNumerically(">=", 0), "no remediation about %s", name)
		found = &all[at]
		g.Expect(found.Finished()).To(BeTrue(), "%+v", found.Status.Conditions)
	}).WithContext(ctx).Should(Succeed())
	return found
}

// patchesOf returns as whom a node was patched by the operator, by the audit log.
func patchesOf(node string) []string {
	GinkgoHelper()
	var users []string
	for _, e := range audited("") {
		if e.ObjectRef.Resource == "nodes" && e.ObjectRef.Name == node && e.Verb == "patch" && e.ImpersonatedUser != nil {
			users = append(users, e.ImpersonatedUser.Username)
		}
	}
	return users
}
