//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
)

var _ = Describe("The operator's namespace", Serial, func() {
	It("may have a quota for no more than its two replicas, and limits of its own: a rollout fits, and one of them serves all the while", func(ctx SpecContext) {
		declared := declaredBy(ctx)
		quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: "two-replicas"}}
		quota.Spec.Hard = corev1.ResourceList{corev1.ResourcePods: resource.MustParse("2")}
		limits := &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: "small"}}
		limits.Spec.Limits = []corev1.LimitRangeItem{{Type: corev1.LimitTypeContainer, Default: corev1.ResourceList{}, DefaultRequest: corev1.ResourceList{}, Max: declared.Limits}}
		for name, limit := range declared.Limits {
			request := declared.Requests[name]
			quota.Spec.Hard["requests."+name], quota.Spec.Hard["limits."+name] = twice(request), twice(limit)
			limits.Spec.Limits[0].Default[name], limits.Spec.Limits[0].DefaultRequest[name] = request, request
		}
		for _, obj := range []client.Object{quota, limits} {
			Expect(cluster.Create(ctx, obj)).To(Succeed())
			DeferCleanup(func(ctx SpecContext) { Expect(client.IgnoreNotFound(cluster.Delete(ctx, obj))).To(Succeed()) })
		}
		Eventually(func() (corev1.ResourceList, error) {
			err := cluster.Get(ctx, client.ObjectKeyFromObject(quota), quota)
			return quota.Status.Used, err
		}).WithContext(ctx).Should(HaveLen(len(quota.Spec.Hard)))

		began := time.Now()
		cluster.kubectl(ctx, "-n", operatorNamespace, "rollout", "restart", "deployment/kubernaut")
		fewest := int32(2)
		Eventually(func(g Gomega) {
			dep, err := cluster.clients.AppsV1().Deployments(operatorNamespace).Get(ctx, "kubernaut", metav1.GetOptions{})
			g.Expect(err).NotTo(HaveOccurred())
			fewest = min(fewest, dep.Status.AvailableReplicas)
			g.Expect(dep.Status.ObservedGeneration).To(Equal(dep.Generation))
			g.Expect([]int32{dep.Status.Replicas, dep.Status.UpdatedReplicas, dep.Status.AvailableReplicas}).To(HaveEach(int32(2)), "%+v", dep.Status.Conditions)
		}).WithContext(ctx).WithPolling(200 * time.Millisecond).Should(Succeed())
		AddReportEntry("rollout", fmt.Sprintf("under a quota of two replicas: %s, %d available at the least", time.Since(began).Round(time.Second), fewest), ReportEntryVisibilityAlways)
		Expect(fewest).To(BeNumerically(">=", 1))
		leader, standby := replicas(ctx)
		for _, pod := range []corev1.Pod{leader, standby} {
			Expect(pod.Spec.Containers[0].Resources.Limits).To(Equal(declared.Limits))
		}
	}, SpecTimeout(3*time.Minute))
})

// declaredBy returns what the operator's one container declares.
func declaredBy(ctx context.Context) corev1.ResourceRequirements {
	GinkgoHelper()
	dep, err := cluster.clients.AppsV1().Deployments(operatorNamespace).Get(ctx, "kubernaut", metav1.GetOptions{})
	Expect(err).NotTo(HaveOccurred())
	Expect(dep.Spec.Template.Spec.InitContainers).To(BeEmpty())
	Expect(dep.Spec.Template.Spec.Containers).To(HaveLen(1))
	return dep.Spec.Template.Spec.Containers[0].Resources
}

func twice(q resource.Quantity) resource.Quantity {
	all := q.DeepCopy()
	all.Add(q)
	return all
}

var _ = Describe("The leader's node", Serial, func() {
	// What a leader's silence may cost: the standby last saw it renew a moment after it
	// did, waits for the lease's 15 s, and looks every few seconds.
	const takeover = 30 * time.Second

	It("is cut off in the middle of a remediation: the other replica goes on, nothing is done twice, and no alert is lost", func(ctx SpecContext) {
		leader, standby := replicas(ctx)
		Expect(leader.Spec.NodeName).NotTo(Equal(standby.Spec.NodeName), "the replicas are spread")
		cluster.kubectl(ctx, "cordon", leader.Spec.NodeName)
		DeferCleanup(func(ctx SpecContext) { cluster.kubectl(ctx, "uncordon", leader.Spec.NodeName) })
		survivor, err := kubetest.NewAlertSender(ctx, cluster.Client, standby.Status.PodIP+":9094", false)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func(through *kubetest.AlertSender) { cluster.Alerts = through }, cluster.Alerts)
		cluster.Alerts = survivor

		t := newTenant(ctx, "full")
		alert := t.alert("KubePodCrashLooping", map[string]string{"pod": t.crash(ctx), "container": t.container})
		t.post(ctx, "firing", alert)
		Eventually(t.run).WithContext(ctx).WithPolling(10 * time.Millisecond).ShouldNot(BeNil())
		link := linkOf(leader.Spec.NodeName)
		link.set(ctx, "down")
		DeferCleanup(link.set, "up")
		cut := time.Now()
		run, err := t.run(ctx)
		Expect(err).NotTo(HaveOccurred())
		AddReportEntry("cut off", "with "+stateOf(run), ReportEntryVisibilityAlways)

		other := t.alert("QueueTooLong", nil)
		Eventually(func(g Gomega) {
			t.post(ctx, "firing", alert, other) // whoever leads, or nobody
			g.Expect(leading(ctx)).To(Equal(standby.Name))
		}).WithContext(ctx).WithPolling(time.Second).Should(Succeed())
		taken := time.Now()
		AddReportEntry("taken over", fmt.Sprintf("after %s", taken.Sub(cut).Round(100*time.Millisecond)), ReportEntryVisibilityAlways)
		Expect(taken.Sub(cut)).To(BeNumerically("<", takeover))

		Eventually(t.serves).WithContext(ctx).Should(Succeed())
		t.post(ctx, "resolved", alert, other)
		Eventually(t.outcomes).WithContext(ctx).Should(And(HaveLen(2), HaveKey("QueueTooLong"), HaveKeyWithValue("KubePodCrashLooping", v1alpha1.OutcomeRemediated)))
		Expect(changes(t.ns)).To(Equal([]string{"patch deployments/" + t.app}))

		link.set(ctx, "up")
		Eventually(func(g Gomega) {
			old, err := cluster.clients.CoreV1().Pods(operatorNamespace).Get(ctx, leader.Name, metav1.GetOptions{})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(old.Status.ContainerStatuses).To(ContainElement(And(HaveField("Ready", true), HaveField("RestartCount", BeNumerically(">", 0)))))
		}).WithContext(ctx).Should(Succeed(), "it gave up, was started anew, and stands by")
		Expect(leading(ctx)).To(Equal(standby.Name))
		Expect(writersIn(t.ns, taken)).To(HaveEach(standby.Name))
		AddReportEntry("wrote", fmt.Sprintf("the old leader %d times before, the new one %d times after",
			count(writersIn(t.ns, time.Time{}), leader.Name), count(writersIn(t.ns, taken), standby.Name)), ReportEntryVisibilityAlways)
	}, SpecTimeout(5*time.Minute))
})

// replicas returns the operator's pods, both ready, the leader's first.
func replicas(ctx context.Context) (leader, standby corev1.Pod) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		var pods corev1.PodList
		g.Expect(cluster.List(ctx, &pods, client.InNamespace(operatorNamespace), client.MatchingLabels{"app.kubernetes.io/name": "kubernaut"})).To(Succeed())
		g.Expect(pods.Items).To(HaveLen(2))
		name, err := leading(ctx)
		g.Expect(err).NotTo(HaveOccurred())
		at := slices.IndexFunc(pods.Items, func(p corev1.Pod) bool { return p.Name == name })
		g.Expect(at).To(BeNumerically(">=", 0), "%s leads, which is neither", name)
		leader, standby = pods.Items[at], pods.Items[1-at]
		for _, pod := range pods.Items {
			g.Expect(pod.Status.ContainerStatuses).To(ContainElement(HaveField("Ready", true)))
		}
	}).WithContext(ctx).Should(Succeed())
	return leader, standby
}

// leading returns the pod that holds the lease.
func leading(ctx context.Context) (string, error) {
	lease, err := cluster.clients.CoordinationV1().Leases(operatorNamespace).Get(ctx, "kubernaut-leader", metav1.GetOptions{})
	if err != nil || lease.Spec.HolderIdentity == nil {
		return "", err
	}
	pod, _, _ := strings.Cut(*lease.Spec.HolderIdentity, "_")
	return pod, nil
}

// link is what connects a node with everything else.
type link string

func linkOf(node string) link {
	GinkgoHelper()
	for _, n := range cluster.Status.NodeList {
		if n.Name == node {
			return link(n.Veth)
		}
	}
	Fail("localcluster has no node " + node)
	return ""
}

// set takes it down or up.
func (l link) set(ctx context.Context, state string) {
	GinkgoHelper()
	out, err := exec.CommandContext(ctx, "ip", "link", "set", string(l), state).CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s", out)
}

// run returns the tenant's run, if there is one.
func (t *tenant) run(ctx context.Context) (*v1alpha1.WorkflowRun, error) {
	var list v1alpha1.WorkflowRunList
	if err := cluster.List(ctx, &list, client.InNamespace(t.ns)); err != nil || len(list.Items) == 0 {
		return nil, err
	}
	return &list.Items[0], nil
}

// outcomes returns how the tenant's remediations ended, by the alert's name.
func (t *tenant) outcomes(ctx context.Context) (map[string]v1alpha1.Outcome, error) {
	all, err := t.remediations(ctx)
	ended := map[string]v1alpha1.Outcome{}
	for i := range all {
		ended[all[i].Spec.Alert.Name] = all[i].Status.Outcome
	}
	return ended, err
}

// stateOf says how far a run has come.
func stateOf(run *v1alpha1.WorkflowRun) string {
	for _, step := range run.Status.Steps {
		for _, op := range step.Operations {
			return "the operation " + string(op.State)
		}
	}
	return "the run made, and nothing claimed"
}

// writersIn returns the pods of the operator that wrote in a namespace since a
// moment, as often as they did: the API server knows which pod a token is bound to.
func writersIn(namespace string, since time.Time) []string {
	GinkgoHelper()
	var pods []string
	for _, e := range audited(namespace) {
		name := e.User.Extra["authentication.kubernetes.io/pod-name"]
		if len(name) == 1 && strings.HasPrefix(name[0], "kubernaut-") && e.RequestReceivedTimestamp.After(since) {
			pods = append(pods, name[0])
		}
	}
	return pods
}

func count(names []string, name string) int {
	n := 0
	for _, each := range names {
		if each == name {
			n++
		}
	}
	return n
}
