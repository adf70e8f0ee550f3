package v1alpha1_test

import (
	"encoding/json"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
)

const kib = 1 << 10

// text is a long sentence, as messages are; the schema would let through 1 KiB.
var text = strings.Repeat("nothing is ready ", 15)

var _ = Describe("The size of an object", func() {
	It("stays under 32 KiB for a remediation that met everything there is", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		ar := build.Remediation(ns, "ar-0123456789abcdef").Alert("KubePodCrashLooping", bulk("label", 32, 96)).Obj()
		ar.Spec.Alert.Annotations = bulk("annotation", 8, 256)
		ar.Status = fullStatus(ns)
		server.Create(ctx, ar)
		Expect(size(ar)).To(And(BeNumerically(">", 16*kib), BeNumerically("<", 32*kib)))
	})

	It("stays under 128 KiB for a run of eight steps with 64 KiB of bodies and undos", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		run := build.Run(ns, "ar-0123456789abcdef-run-1", build.DeploymentTarget(ns, "web", "u")).Digest(build.Digest).Obj()
		for i := range 8 {
			name := fmt.Sprintf("step-%d", i)
			run.Spec.Steps = append(run.Spec.Steps, v1alpha1.Step{Name: name, Action: v1alpha1.StepAction{Name: "SetEnv", Parameters: bulk("parameter", 16, 64)}})
			run.Status.Steps = append(run.Status.Steps, v1alpha1.StepStatus{Name: name, State: v1alpha1.StepRunning, Message: text, Operations: operations(ns, 4)})
		}
		run.Status.Conditions = conditions(v1alpha1.Succeeded, v1alpha1.Claimed, v1alpha1.RolledBack)
		server.Create(ctx, run)
		Expect(size(run)).To(And(BeNumerically(">", 64*kib), BeNumerically("<", 128*kib)))
	})
})

func size(obj any) int {
	raw, err := json.Marshal(obj)
	Expect(err).NotTo(HaveOccurred())
	return len(raw)
}

// bulk returns n pairs that are size bytes long together.
func bulk(prefix string, n, size int) map[string]string {
	pairs := make(map[string]string, n)
	for i := range n {
		name := fmt.Sprintf("%s_%02d", prefix, i)
		pairs[name] = strings.Repeat("v", size-len(name))
	}
	return pairs
}

func conditions(types ...string) []metav1.Condition {
	var all []metav1.Condition
	for _, t := range types {
		all = append(all, metav1.Condition{
			Type: t, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonAwaitingApproval, Message: text, LastTransitionTime: metav1.NewTime(build.Started),
		})
	}
	return all
}

// fullStatus has every list at its bound and a diff of 4 KiB with its undo.
func fullStatus(ns string) v1alpha1.AlertRemediationStatus {
	target := build.DeploymentTarget(ns, strings.Repeat("w", 63), "00000000-0000-0000-0000-000000000000")
	object := target.ObjectReference
	diagnosis := &v1alpha1.Diagnosis{Source: v1alpha1.SourceRules, Cause: v1alpha1.CauseRolloutStuck, Summary: text, Target: &target}
	for range 12 {
		diagnosis.Evidence = append(diagnosis.Evidence, v1alpha1.Evidence{Kind: v1alpha1.EvidenceLog, Object: &object, Says: text})
	}
	for range 6 {
		diagnosis.Alternatives = append(diagnosis.Alternatives, v1alpha1.Alternative{Cause: v1alpha1.CauseOOMKilled, Object: &object, Summary: text})
	}
	for range 4 {
		diagnosis.Remedies = append(diagnosis.Remedies, v1alpha1.Remedy{
			Action: "RolloutUndo", Refused: &v1alpha1.Refusal{Reason: v1alpha1.ReasonIneffective, Message: text},
		})
	}
	plan := &v1alpha1.PlanStatus{Digest: build.Digest, Mode: v1alpha1.ModeApprove, Steps: []v1alpha1.PlanStep{{
		Name: "undo", Action: "RolloutUndo", Target: target, Risk: v1alpha1.RiskMedium, Note: text + text, Change: build.Digest,
		Diff: strings.Repeat("+ line\n", 4*kib/7), Undo: strings.Repeat("- line\n", 4*kib/7),
	}}}
	for range 8 {
		plan.Refusals = append(plan.Refusals, v1alpha1.Refusal{Reason: v1alpha1.ReasonForbidden, Message: text})
	}
	return v1alpha1.AlertRemediationStatus{
		Conditions: conditions(v1alpha1.Succeeded, v1alpha1.Admitted, v1alpha1.Diagnosed, v1alpha1.Planned, v1alpha1.Approved, v1alpha1.Executed, v1alpha1.Verified),
		Target:     &target, Diagnosis: diagnosis, Plan: plan, ObservedBy: "kubernaut-7d9f/v0.1.0",
	}
}

// operations returns n patches, with bodies and undos of 2 KiB together each.
func operations(ns string, n int) []v1alpha1.OperationStatus {
	var all []v1alpha1.OperationStatus
	for range n {
		body := &apiextensionsv1.JSON{Raw: fmt.Appendf(nil, `[{"op":"replace","path":"/spec","value":%q}]`, strings.Repeat("v", kib))}
		patch := v1alpha1.Operation{Verb: v1alpha1.VerbPatch, Object: build.DeploymentTarget(ns, "web", "u").ObjectReference, Body: body}
		all = append(all, v1alpha1.OperationStatus{Operation: patch, State: v1alpha1.OperationApplied, Undo: &patch})
	}
	return all
}
