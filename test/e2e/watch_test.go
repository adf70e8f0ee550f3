//go:build e2e

package e2e

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

var _ = Describe("A crash loop that nobody reports", func() {
	It("is seen by the operator itself, and the alert that comes late ends as its duplicate", func(ctx SpecContext) {
		t := newTenant(ctx, "full")
		cluster.kubectl(ctx, "-n", t.ns, "patch", "remediationpolicies", "own", "--type=merge",
			"-p", `{"spec":{"triggers":[{"kind":"CrashLoop","holdFor":"0s","minOccurrences":2}]}}`)
		t.crash(ctx)
		var seen v1alpha1.AlertRemediation
		Eventually(func(g Gomega) {
			all, err := t.remediations(ctx)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(all).To(HaveLen(1))
			seen = all[0]
		}).WithContext(ctx).Should(Succeed())
		Expect(seen.Spec.Alert.Source).To(Equal(v1alpha1.SourceWatch))
		late := t.alert("KubeDeploymentReplicasMismatch", map[string]string{"deployment": t.app})
		t.post(ctx, "firing", late)
		Eventually(t.serves).WithContext(ctx).Should(Succeed())
		t.post(ctx, "resolved", late)

		ar := t.ended(ctx)
		Expect(ar.Name).To(Equal(seen.Name))
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeRemediated), "%+v", ar.Status.Conditions)
		Expect(ar.Status.Diagnosis.Cause).To(Equal(v1alpha1.CauseCrashBadRelease))
		all, err := t.remediations(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(all).To(ContainElement(And(HaveField("Spec.Alert.Source", v1alpha1.SourceAlertmanager), HaveField("Status.DuplicateOf", seen.Name))))
		Expect(changes(t.ns)).To(Equal([]string{"patch deployments/" + t.app}))
	}, SpecTimeout(5*time.Minute))
})
