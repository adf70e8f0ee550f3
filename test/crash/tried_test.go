//go:build e2e

package crash

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
)

// TestTried shows that a change which was taken back, since it did not help, is not
// made again when the alert fires on after the cooldown: a person is called.
func TestTried(t *testing.T) {
	s := newStage(t, kubetest.Compile(t))
	r := s.open(t, undisturbed, patience{cooldown: time.Second, deadline: takenBack.patience.deadline})
	r.play(takenBack.act)
	again := act{startsAt: firing.Add(time.Hour)}
	r.play(again)
	r.close()

	g := NewWithT(t)
	ar, err := r.remediation(t.Context(), again)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(ar.Status.Diagnosis.Cause).To(Equal(v1alpha1.CauseCrashBadRelease))
	g.Expect(ar).To(kubetest.HaveCondition(v1alpha1.Planned, metav1.ConditionFalse, v1alpha1.ReasonIneffective))
	g.Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeEscalated))
	said := meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Succeeded).Message
	g.Expect(said).To(MatchRegexp(`RolloutUndo of Deployment/%s .* was tried by WorkflowRun ar-[0-9a-f]{16}-run-1 at .*: it did not help and was taken back`, shop))
	log := s.server.AuditIn(r.ns)
	g.Expect(effects(log, r.ns)).To(Equal(changes(2)), "the undo, and what took it back")
	g.Expect(made(log, r.ns)).To(Equal(map[string]int{"alertremediations": 2, "workflowruns": 2}))
}
