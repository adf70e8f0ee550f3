//go:build e2e

package e2e

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// The Deployment controller uses the ReplicaSets of both revisions again: their creation
// tells nothing about this release.
var _ = Describe("A bad release that was gone back from, and is rolled out again unchanged", func() {
	It("is blamed and planned for by when it was rolled out this time", func(ctx SpecContext) {
		t := newTenant(ctx, "full")
		t.release(ctx)
		cluster.kubectl(ctx, "-n", t.ns, "rollout", "undo", "deployment/"+t.app)
		cluster.kubectl(ctx, "-n", t.ns, "rollout", "status", "deployment/"+t.app, "--timeout=60s")
		t.release(ctx)
		rolledOut := time.Now()
		pod := t.crashed(ctx)
		cluster.apply(ctx, []byte(fmt.Sprintf(`
apiVersion: kubernaut.io/v1alpha1
kind: AlertRemediation
metadata: {name: again, namespace: %s}
spec:
  mode: Recommend
  alert:
    name: KubePodCrashLooping
    labels: {alertname: KubePodCrashLooping, namespace: %[1]s, pod: %s}
    startsAt: %q`, t.ns, pod, time.Now().UTC().Format(time.RFC3339))))
		ar := t.ended(ctx)
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeRecommended), "%+v", ar.Status.Conditions)
		Expect(ar.Status.Diagnosis.Cause).To(Equal(v1alpha1.CauseCrashBadRelease))
		Expect(ar.Status.Plan.Steps).To(ConsistOf(And(HaveField("Action", "RolloutUndo"), HaveField("Parameters", HaveKeyWithValue("toRevision", "3")))))
		Expect(whenRolledOut(ar)).To(BeTemporally("~", rolledOut, 5*time.Second))
		Expect(changes(t.ns)).To(BeEmpty())
	}, SpecTimeout(4*time.Minute))
})

// whenRolledOut reads from a diagnosis when the release that it blames was rolled out.
func whenRolledOut(ar *v1alpha1.AlertRemediation) time.Time {
	GinkgoHelper()
	for _, e := range ar.Status.Diagnosis.Evidence {
		var number int
		var at string
		if n, _ := fmt.Sscanf(e.Says, "revision %d was rolled out at %s", &number, &at); n == 2 {
			parsed, err := time.Parse(time.RFC3339, at)
			Expect(err).NotTo(HaveOccurred())
			return parsed
		}
	}
	Fail(fmt.Sprintf("no evidence says when the release was rolled out: %+v", ar.Status.Diagnosis.Evidence))
	return time.Time{}
}
