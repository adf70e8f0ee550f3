//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// goBack rolls the bad release out, and back.
func (t *tenant) goBack(ctx context.Context) {
	GinkgoHelper()
	t.release(ctx)
	cluster.kubectl(ctx, "-n", t.ns, "rollout", "undo", "deployment/"+t.app)
	cluster.kubectl(ctx, "-n", t.ns, "rollout", "status", "deployment/"+t.app, "--timeout=60s")
}

// asksByHand applies a remediation about a pod, in mode Recommend, and returns it once it has ended.
func (t *tenant) asksByHand(ctx context.Context, pod string) *v1alpha1.AlertRemediation {
	GinkgoHelper()
	cluster.apply(ctx, []byte(fmt.Sprintf(`
apiVersion: kubernaut.io/v1alpha1
kind: AlertRemediation
metadata: {name: by-hand, namespace: %s}
spec:
  mode: Recommend
  alert:
    name: KubePodCrashLooping
    labels: {alertname: KubePodCrashLooping, namespace: %[1]s, pod: %s}
    startsAt: %q`, t.ns, pod, time.Now().UTC().Format(time.RFC3339))))
	return t.ended(ctx)
}

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
