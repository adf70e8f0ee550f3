package guards_test

import (
	"bytes"
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/cli"
	"github.com/kubernaut/kubernaut/internal/crd"
	"github.com/kubernaut/kubernaut/internal/kubetest"
)

// definition reads the CustomResourceDefinition of WorkflowRun.
func definition(ctx context.Context) *unstructured.Unstructured {
	GinkgoHelper()
	found := &unstructured.Unstructured{}
	found.SetGroupVersionKind(crd.Kind)
	Expect(server.Client.Get(ctx, client.ObjectKey{Name: "workflowruns.kubernaut.io"}, found)).To(Succeed())
	return found
}

// partOf returns the part of a definition that describes the spec or the status, to be changed.
func partOf(definition *unstructured.Unstructured, part string) map[string]any {
	version := definition.Object["spec"].(map[string]any)["versions"].([]any)[0].(map[string]any)
	root := version["schema"].(map[string]any)["openAPIV3Schema"].(map[string]any)
	return root["properties"].(map[string]any)[part].(map[string]any)
}

// renew puts the shipped definition back.
func renew(ctx context.Context, shipped *unstructured.Unstructured) {
	GinkgoHelper()
	now := definition(ctx)
	now.Object["spec"] = shipped.DeepCopy().Object["spec"]
	Expect(server.Client.Update(ctx, now)).To(Succeed())
}

var _ = Describe("A CustomResourceDefinition that is older than the program", func() {
	DescribeTable("holds what would be lost in it, and doctor says so", func(ctx SpecContext, lacks string, age func(*unstructured.Unstructured)) {
		shipped := definition(ctx)
		old := shipped.DeepCopy()
		age(old)
		Expect(server.Client.Update(ctx, old)).To(Succeed())
		DeferCleanup(renew, shipped)
		s := newStage(ctx, v1alpha1.ModeAuto)
		ar := s.driven(ctx, s.created(ctx, "ar-1"))
		s.nothingDone(ctx, ar)
		Expect(ar).To(s.approved(metav1.ConditionUnknown, v1alpha1.ReasonCRDOutdated))
		Expect(s.standing(ctx, ar)).To(And(ContainSubstring(lacks), ContainSubstring(crd.Command)))
		var out bytes.Buffer
		doctor := cli.Doctor{Operator: cli.Operator{Namespace: kubetest.OperatorNamespace, Account: kubetest.OperatorAccount}}
		Expect(doctor.Print(ctx, cli.Cluster{Client: server.Client, Namespace: s.ns}, cli.Screen{Writer: &out})).To(MatchError(cli.ErrUnwell))
		Expect(out.String()).To(And(ContainSubstring("FAIL  nothing is done (CRDOutdated)"), ContainSubstring(lacks), ContainSubstring(crd.Command)))

		renew(ctx, shipped)
		s.clock.Step(30 * time.Second)
		s.driven(ctx, ar)
		Expect(s.image(ctx)).To(Equal(after), s.standing(ctx, ar))
	},
		Entry("by a field of a status", "the field v1alpha1 .status.guards", func(old *unstructured.Unstructured) {
			delete(partOf(old, "status")["properties"].(map[string]any), "guards")
		}),
		Entry("by a rule of a spec", "the rule of v1alpha1 .spec", func(old *unstructured.Unstructured) {
			delete(partOf(old, "spec"), "x-kubernetes-validations")
		}),
	)
})
