//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"text/template"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/rand"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// In one namespace a dependency dies while a release is rolled out. In another one
// the same happens beside a bad release. In a third one a bad release is gone back from, and
// rolled out again. All wait side by side. That a bad release alone is undone within a
// minute is in loop_test.go.
var _ = Describe("Whether a release is to blame", Ordered, ContinueOnFailure, func() {
	const undoneBound = time.Minute

	var alone, both *clientOf
	var again *tenant
	var bad map[string]any

	BeforeAll(func(ctx SpecContext) {
		alone, both, again = newClientOf(ctx), newClientOf(ctx), newTenant(ctx, "full")
		again.goBack(ctx)
		for _, c := range []*clientOf{alone, both} {
			Eventually(c.readyFor).WithContext(ctx).Should(BeNumerically(">=", proven))
		}
		alone.breakDown(ctx)
		both.breakDown(ctx)
		both.neighbour.release(ctx)

		c := both.neighbour
		bad = c.alert("KubePodCrashLooping", map[string]string{"pod": crashingPod(ctx, c), "container": c.container})
		alone.post(ctx, "firing", alone.crashAlert(ctx))
		both.post(ctx, "firing", both.crashAlert(ctx), bad)
	}, NodeTimeout(4*time.Minute))

	It("one whose dependency is down is not undone: a person is told which dependency does not answer", func(ctx SpecContext) {
		alone.escalates(ctx)
		Expect(changes(alone.ns)).To(BeEmpty())
	}, SpecTimeout(3*time.Minute))

	It("one whose dependency is down is not undone beside a bad release either, which is", func(ctx SpecContext) {
		c := both.neighbour
		Eventually(c.serves).WithContext(ctx).Should(Succeed())
		c.post(ctx, "resolved", bad)
		ar := c.endedAbout(ctx, c.app)
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeRemediated), "%+v", ar.Status.Conditions)
		Expect(ar.Status.Diagnosis.Cause).To(Equal(v1alpha1.CauseCrashBadRelease))
		undone := c.patched(c.app).Sub(ar.CreationTimestamp.Time)
		AddReportEntry("undone", undone.String(), ReportEntryVisibilityAlways)
		Expect(undone).To(BeNumerically("<", undoneBound))

		both.escalates(ctx)
		Expect(changes(both.ns)).To(Equal([]string{"patch deployments/" + c.app}))
	}, SpecTimeout(3*time.Minute))

	// The Deployment controller uses the ReplicaSets of both revisions again: their creation
	// tells nothing about this release.
	It("one that was gone back from, and is rolled out again unchanged, is blamed by when it was rolled out this time", func(ctx SpecContext) {
		again.release(ctx)
		rolledOut := time.Now()
		ar := again.asksByHand(ctx, again.crashed(ctx))
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeRecommended), "%+v", ar.Status.Conditions)
		Expect(ar.Status.Diagnosis.Cause).To(Equal(v1alpha1.CauseCrashBadRelease))
		Expect(ar.Status.Plan.Steps).To(ConsistOf(And(HaveField("Action", "RolloutUndo"), HaveField("Parameters", HaveKeyWithValue("toRevision", "3")))))
		Expect(whenRolledOut(ar)).To(BeTemporally("~", rolledOut, 5*time.Second))
		Expect(changes(again.ns)).To(BeEmpty())
	}, SpecTimeout(2*time.Minute))
})

// clientOf is a workload that ends as soon as its database does not answer. The
// tenant is about this workload; the neighbour is the one that every tenant has.
type clientOf struct {
	*tenant
	neighbour *tenant
	database  string
	sick      *appsv1.Deployment // as it was when its alert was sent
}

// newClientOf makes one, and waits until it is ready.
func newClientOf(ctx context.Context) *clientOf {
	GinkgoHelper()
	neighbour := newTenant(ctx, "full")
	t := *neighbour
	t.app = "w-" + rand.String(5)
	c := &clientOf{tenant: &t, neighbour: neighbour, database: "db-" + rand.String(5)}
	text, err := os.ReadFile(filepath.Join(cluster.root, "test", "e2e", "testdata", "dependency.yaml"))
	Expect(err).NotTo(HaveOccurred())
	var rendered bytes.Buffer
	Expect(template.Must(template.New("dependency").Parse(string(text))).Execute(&rendered, map[string]any{
		"Namespace": c.ns, "Database": c.database, "Shop": c.app, "Container": c.container,
	})).To(Succeed())
	cluster.apply(ctx, rendered.Bytes())
	for _, name := range []string{c.database, c.app} {
		cluster.kubectl(ctx, "-n", c.ns, "rollout", "status", "deployment/"+name, "--timeout=60s")
	}
	return c
}

// breakDown ends the database, and rolls a release out that changes only the image's
// tag; both tags are of the same image.
func (c *clientOf) breakDown(ctx context.Context) {
	GinkgoHelper()
	cluster.kubectl(ctx, "-n", c.ns, "scale", "deployment", c.database, "--replicas=0")
	cluster.kubectl(ctx, "-n", c.ns, "patch", "deployment", c.app, "--type=json",
		"-p", `[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"python:3.12"}]`)
}

// crashAlert waits until the workload crashes again and again, and returns the alert about it.
func (c *clientOf) crashAlert(ctx context.Context) map[string]any {
	GinkgoHelper()
	pod := crashingPod(ctx, c.tenant)
	c.sick = c.deployment(ctx)
	return c.alert("KubePodCrashLooping", map[string]string{"pod": pod, "container": c.container})
}

// escalates waits for the end of the remediation of the workload: the cause names
// the database, and the workload is as it was.
func (c *clientOf) escalates(ctx context.Context) {
	GinkgoHelper()
	ar := c.endedAbout(ctx, c.app)
	Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeEscalated), "%+v", ar.Status.Conditions)
	Expect(ar.Status.Diagnosis.Cause).To(BeEquivalentTo("CrashDependency"), ar.Status.Diagnosis.Summary)
	Expect(ar.Status.Diagnosis.Summary).To(ContainSubstring(c.database + "." + c.ns + ".svc"))
	Expect(ar.Status.Plan).To(BeNil())
	now := c.deployment(ctx)
	Expect(now.UID).To(Equal(c.sick.UID))
	Expect(now.Generation).To(Equal(c.sick.Generation))
	Expect(now.Spec.Template.Spec.Containers[0].Image).To(Equal("python:3.12"))
}

// deployment returns the tenant's workload as it is.
func (t *tenant) deployment(ctx context.Context) *appsv1.Deployment {
	GinkgoHelper()
	dep := &appsv1.Deployment{}
	Expect(cluster.Get(ctx, t.key(t.app), dep)).To(Succeed())
	return dep
}

// crashingPod waits for a pod of the tenant's workload that crashes again and again.
func crashingPod(ctx context.Context, t *tenant) string {
	GinkgoHelper()
	var name string
	Eventually(func(g Gomega) {
		pods, err := t.crashing(ctx)
		g.Expect(err).NotTo(HaveOccurred())
		i := slices.IndexFunc(pods, func(p corev1.Pod) bool { return p.Labels["run"] == t.app })
		g.Expect(i).To(BeNumerically(">=", 0), "no pod of %s crashes yet", t.app)
		name = pods[i].Name
	}).WithContext(ctx).Should(Succeed())
	return name
}

// patched returns when the API server had stored the first patch of a Deployment by the remediator.
func (t *tenant) patched(deployment string) time.Time {
	GinkgoHelper()
	for _, e := range audited(t.ns) {
		if e.Verb == "patch" && e.ObjectRef.Resource == "deployments" && e.ObjectRef.Name == deployment && e.ImpersonatedUser != nil {
			return e.StageTimestamp.Time
		}
	}
	Fail("the audit log has no patch of " + deployment + " by the remediator")
	return time.Time{}
}
