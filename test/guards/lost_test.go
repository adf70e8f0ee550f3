package guards_test

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
)

// lose deletes the binding of a guard, and returns it. It comes back when the spec ends.
func lose(ctx context.Context, guard string) *admissionregistrationv1.ValidatingAdmissionPolicyBinding {
	GinkgoHelper()
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{}
	Expect(server.Client.Get(ctx, client.ObjectKey{Name: "kubernaut-" + guard}, binding)).To(Succeed())
	Expect(server.Client.Delete(ctx, binding)).To(Succeed())
	DeferCleanup(restore, binding)
	return binding
}

// restore creates a guard's binding again.
func restore(ctx context.Context, binding *admissionregistrationv1.ValidatingAdmissionPolicyBinding) {
	GinkgoHelper()
	again := binding.DeepCopy()
	again.ObjectMeta = metav1.ObjectMeta{Name: binding.Name, Labels: binding.Labels}
	Expect(client.IgnoreAlreadyExists(server.Client.Create(ctx, again))).To(Succeed())
}

// moments of a remediation at which a guard is taken away.
const (
	beforeTheRun = "before the run begins"
	afterClaim   = "between claim and apply"
	verifying    = "in verification"
	undoing      = "in an undo"
)

var _ = Describe("A guard that is taken away", func() {
	type row struct {
		guard, moment string
		// away is how it stands while the guard is missing; empty: as in the end.
		away string
		// end is the outcome once the guard is back, and the image there.
		end   v1alpha1.Outcome
		image string
	}
	DescribeTable("leaves a remediation in a defined state", func(ctx SpecContext, r row) {
		s := newStage(ctx, v1alpha1.ModeAuto)
		s.alertmanager = says{{"namespace": s.ns, "deployment": "web"}}
		s.start(ctx)
		ar := s.created(ctx, "ar-1")
		var missing *admissionregistrationv1.ValidatingAdmissionPolicyBinding
		gone := func() { missing = lose(ctx, r.guard) }
		switch r.moment {
		case beforeTheRun:
			gone()
		case afterClaim:
			s.claimed = gone
		}
		s.driven(ctx, ar)
		switch r.moment {
		case verifying:
			gone()
		case undoing:
			s.claimed = gone
		}
		s.clock.Step(deadline)
		s.driven(ctx, ar)
		if r.away != "" {
			Expect(s.standing(ctx, ar)).To(ContainSubstring(r.away))
			Expect(ar.Finished()).To(BeFalse())
			Expect(s.standing(ctx, ar)).NotTo(ContainSubstring("taken back"), "nothing was taken back")
			restore(ctx, missing)
			s.settled(ctx, ar)
			s.clock.Step(deadline)
			s.driven(ctx, ar)
		}
		Expect(ar.Status.Outcome).To(Equal(r.end), s.standing(ctx, ar))
		Expect(s.image(ctx)).To(Equal(r.image))
	},
		func(r row) string { return fmt.Sprintf("%s, guard %s: %s", r.moment, r.guard, r.end) },
		Entry(nil, row{"approval", beforeTheRun, "guard approval is missing", v1alpha1.OutcomeRolledBack, before}),
		Entry(nil, row{"status", beforeTheRun, "guard status is missing", v1alpha1.OutcomeRolledBack, before}),
		Entry(nil, row{"run", beforeTheRun, "guard run is missing", v1alpha1.OutcomeRolledBack, before}),
		Entry(nil, row{"origin", afterClaim, "", v1alpha1.OutcomeRolledBack, before}),
		Entry(nil, row{"approval", verifying, "", v1alpha1.OutcomeRolledBack, before}),
		Entry(nil, row{"run", verifying, "", v1alpha1.OutcomeRolledBack, before}),
		Entry(nil, row{"origin", verifying, "", v1alpha1.OutcomeRolledBack, before}),
		Entry(nil, row{"status", verifying, "is still in place: WorkflowRun ar-1-run-2 is to take it back, and waits (GuardMissing)", v1alpha1.OutcomeRolledBack, before}),
		Entry(nil, row{"approval", undoing, "", v1alpha1.OutcomeRolledBack, before}),
		Entry(nil, row{"status", undoing, "", v1alpha1.OutcomeRolledBack, before}),
	)

	It("keeps no cure from counting: health and alert decide that", func(ctx SpecContext) {
		s := newStage(ctx, v1alpha1.ModeAuto)
		ar := s.begun(ctx, "ar-1")
		lose(ctx, "approval")
		s.health = v1alpha1.HealthHealthy
		ar.Status.Alert = &v1alpha1.AlertStatus{State: v1alpha1.AlertResolved}
		Expect(server.Operator(ctx).Status().Update(ctx, ar)).To(Succeed())
		s.driven(ctx, ar)
		s.clock.Step(window)
		s.driven(ctx, ar)
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeRemediated), s.standing(ctx, ar))
		Expect(s.image(ctx)).To(Equal(after))
	})

	DescribeTable("holds or ends an undo that is not the operator's own", func(ctx SpecContext, edit func(*v1alpha1.WorkflowRun, *v1alpha1.AlertRemediation), reasons ...string) {
		s := newStage(ctx, v1alpha1.ModeAuto)
		ar := s.begun(ctx, "ar-1")
		lose(ctx, "run")
		undo := build.Run(s.ns, "mine", s.target()).Undoes("ar-1-run-1").Obj()
		edit(undo, ar)
		Expect(server.Client.Create(ctx, undo)).To(Succeed())
		s.runsDriven(ctx)
		Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(undo), undo)).To(Succeed())
		root := meta.FindStatusCondition(undo.Status.Conditions, v1alpha1.Succeeded)
		Expect(root.Reason).To(BeElementOf(reasons), root.Message)
		Expect(undo.Status.StartedAt.IsZero()).To(BeTrue())
		Expect(s.image(ctx)).To(Equal(after))
	},
		Entry("made by hand", func(*v1alpha1.WorkflowRun, *v1alpha1.AlertRemediation) {}, v1alpha1.ReasonGuardMissing, v1alpha1.ReasonTargetBusy),
		Entry("forged with the remediation as its owner", func(undo *v1alpha1.WorkflowRun, ar *v1alpha1.AlertRemediation) {
			undo.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(ar, v1alpha1.GroupVersion.WithKind("AlertRemediation"))}
		}, v1alpha1.ReasonCancelled), // the remediation did not make it
		Entry("forged under the name of the undo to come", func(undo *v1alpha1.WorkflowRun, ar *v1alpha1.AlertRemediation) {
			undo.Name = "ar-1-run-2"
			undo.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(ar, v1alpha1.GroupVersion.WithKind("AlertRemediation"))}
		}, v1alpha1.ReasonCancelled), // the remediation did not make it
	)

	It("does not keep a cancelled run from taking back what it did", func(ctx SpecContext) {
		s := newStage(ctx, v1alpha1.ModeAuto)
		ar := s.created(ctx, "ar-1")
		s.claimed = func() { // a person cancels while the first operation is on its way
			run := &v1alpha1.WorkflowRun{}
			Expect(server.Client.Get(ctx, client.ObjectKey{Namespace: s.ns, Name: "ar-1-run-1"}, run)).To(Succeed())
			run.Spec.Cancelled = true
			Expect(server.Client.Update(ctx, run)).To(Succeed())
			lose(ctx, "origin")
		}
		s.driven(ctx, ar)
		Expect(s.image(ctx)).To(Equal(before))
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeRolledBack), s.standing(ctx, ar))
	})
})

// standing is what the conditions of a remediation and of its runs say.
func (s *stage) standing(ctx context.Context, ar *v1alpha1.AlertRemediation) string {
	var said strings.Builder
	add := func(name string, conditions []metav1.Condition) {
		for _, c := range conditions {
			fmt.Fprintf(&said, "%s: %s=%s %s: %s\n", name, c.Type, c.Status, c.Reason, c.Message)
		}
	}
	add(ar.Name, ar.Status.Conditions)
	for _, run := range s.allRuns(ctx) {
		add(run.Name, run.Status.Conditions)
	}
	return said.String()
}
