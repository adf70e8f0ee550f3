//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

var _ = Describe("A crash loop by a bad release", func() {
	// What the product promises; measured over ten runs, the maximum counts.
	const (
		runs          = 10
		decisionBound = 2 * time.Second
		servingBound  = time.Minute
	)

	It("is decided on within two seconds and serves again within a minute", func(ctx SpecContext) {
		loops := make([]*loop, runs)
		for i := range loops {
			loops[i] = &loop{tenant: newTenant(ctx, "full")}
		}
		for _, l := range loops { // one outage at a time; only the verifications overlap
			l.pod = l.crash(ctx)
			l.receive(ctx)
			l.resolve(ctx)
		}
		var slowest, longest time.Duration
		for i, l := range loops {
			decided, served := l.healed(ctx)
			AddReportEntry(fmt.Sprintf("run %d", i+1), fmt.Sprintf("decision %s, serving again %s", decided, served))
			slowest, longest = max(slowest, decided), max(longest, served)
		}
		AddReportEntry("maximum", fmt.Sprintf("of %d runs: decision %s, serving again %s", runs, slowest, longest), ReportEntryVisibilityAlways)
		Expect(slowest).To(BeNumerically("<", decisionBound))
		Expect(longest).To(BeNumerically("<", servingBound))
	}, SpecTimeout(10*time.Minute))

	It("of three replicas that two rules alert about takes one run and one patch", func(ctx SpecContext) {
		t := newTenant(ctx, "full", func(t *tenant) { t.replicas = 3 })
		t.release(ctx)
		var pods []corev1.Pod
		Eventually(func() (int, error) {
			var err error
			pods, err = t.crashing(ctx)
			return len(pods), err
		}).WithContext(ctx).Should(Equal(3))
		alerts := []map[string]any{t.alert("KubeDeploymentReplicasMismatch", map[string]string{"deployment": t.app})}
		for _, pod := range pods {
			alerts = append(alerts, t.alert("KubePodCrashLooping", map[string]string{"pod": pod.Name, "container": t.container}))
		}
		t.post(ctx, "firing", alerts...)
		Eventually(t.serves).WithContext(ctx).Should(Succeed())
		t.post(ctx, "resolved", alerts...)

		ar := t.ended(ctx)
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeRemediated))
		all, err := t.remediations(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(all).To(HaveLen(4), "one for each alert; three of them duplicates")
		var list v1alpha1.WorkflowRunList
		Expect(cluster.List(ctx, &list, client.InNamespace(t.ns))).To(Succeed())
		Expect(list.Items).To(HaveLen(1))
		Expect(changes(t.ns)).To(Equal([]string{"patch deployments/" + t.app}))
	}, SpecTimeout(5*time.Minute))

	It("is left alone where the tenant granted no right to patch it", func(ctx SpecContext) {
		t := newTenant(ctx, "full")
		cluster.apply(ctx, []byte(fmt.Sprintf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: %s, namespace: %s}
rules: [{apiGroups: [""], resources: [services], verbs: [patch]}]`, t.remediatorRole(ctx), t.ns)))
		pod := t.crash(ctx)
		t.post(ctx, "firing", t.alert("KubePodCrashLooping", map[string]string{"pod": pod}))

		ar := t.ended(ctx)
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeRefused))
		approved := meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Approved)
		Expect(approved.Reason).To(Equal(v1alpha1.ReasonForbidden))
		Expect(approved.Message).To(And(ContainSubstring("patch"), ContainSubstring("deployments")))
		Eventually(t.told).WithContext(ctx).Should(ContainElement(And(ContainSubstring("patch"), ContainSubstring("deployments"))))
		Expect(changes(t.ns)).To(BeEmpty())
	}, SpecTimeout(5*time.Minute))
})

// crash rolls the bad release out and returns a pod that crashes again and again.
func (t *tenant) crash(ctx context.Context) string {
	GinkgoHelper()
	t.release(ctx)
	return t.crashed(ctx)
}

// crashed waits for a pod that crashes again and again.
func (t *tenant) crashed(ctx context.Context) string {
	GinkgoHelper()
	var pods []corev1.Pod
	Eventually(func() ([]corev1.Pod, error) {
		var err error
		pods, err = t.crashing(ctx)
		return pods, err
	}).WithContext(ctx).ShouldNot(BeEmpty())
	return pods[0].Name
}

// loop is one crash loop on its way to a cure.
type loop struct {
	*tenant
	pod     string
	began   time.Time
	alert   map[string]any
	answers chan time.Duration
	served  time.Duration
}

// receive posts the alert, watches from the first byte on for the Service to
// answer again, and waits until there is a plan.
func (l *loop) receive(ctx context.Context) {
	GinkgoHelper()
	l.alert = l.tenant.alert("KubePodCrashLooping", map[string]string{"pod": l.pod, "container": l.container})
	l.began, l.answers = l.post(ctx, "firing", l.alert), make(chan time.Duration, 1)
	go func() {
		tick := time.NewTicker(250 * time.Millisecond)
		defer tick.Stop()
		for l.serves(ctx) != nil && ctx.Err() == nil {
			<-tick.C
		}
		l.answers <- time.Since(l.began)
	}()
	Eventually(func() (bool, error) {
		all, err := l.remediations(ctx)
		return len(all) == 1 && meta.IsStatusConditionTrue(all[0].Status.Conditions, v1alpha1.Planned), err
	}).WithContext(ctx).WithPolling(100 * time.Millisecond).Should(BeTrue())
}

// resolve waits until the Service answers, and posts that the alert is over.
func (l *loop) resolve(ctx context.Context) {
	GinkgoHelper()
	Eventually(l.answers).WithContext(ctx).Should(Receive(&l.served))
	l.post(ctx, "resolved", l.alert)
}

// healed returns how long the decision took, by the audit log, and how long it
// took until the Service answered; both from the webhook's first byte.
func (l *loop) healed(ctx context.Context) (decided, served time.Duration) {
	GinkgoHelper()
	ar := l.ended(ctx)
	Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeRemediated), "%+v", ar.Status.Conditions)
	Expect(ar.Status.Diagnosis.Cause).To(Equal(v1alpha1.CauseCrashBadRelease))
	Expect(changes(l.ns)).To(Equal([]string{"patch deployments/" + l.app}))
	return planned(ar).Sub(l.began), l.served
}

// remediatorRole returns the Role that grant made.
func (t *tenant) remediatorRole(ctx context.Context) string {
	GinkgoHelper()
	bindings, err := cluster.clients.RbacV1().RoleBindings(t.ns).List(ctx, metav1.ListOptions{})
	Expect(err).NotTo(HaveOccurred())
	for _, b := range bindings.Items {
		for _, s := range b.Subjects {
			if s.Name == v1alpha1.RemediatorAccount && s.Namespace == t.ns {
				return b.RoleRef.Name
			}
		}
	}
	Fail("grant bound nothing to " + v1alpha1.RemediatorAccount)
	return ""
}

// told returns the messages of the namespace's events.
func (t *tenant) told(ctx context.Context) ([]string, error) {
	events, err := cluster.clients.CoreV1().Events(t.ns).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	var messages []string
	for _, e := range events.Items {
		messages = append(messages, e.Message)
	}
	return messages, nil
}
