package alertremediation_test

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/internal/policy"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// waits makes a Deployment wait for 10 s, or for so many as it is told, until a pod
// counts as available; its larger step are 40.
type waits struct{ pauses }

func (waits) Spec() action.Spec {
	return action.Spec{Name: "Wait", Risk: v1alpha1.RiskLow, Parameters: []action.Parameter{{Name: "seconds", Type: action.TypeInteger, Max: 100}}}
}

func (waits) Enlarged(params action.Params) (action.Params, bool) {
	return action.Params{"seconds": "40"}, params["seconds"] == ""
}

func (waits) Plan(_ context.Context, _ action.World, target action.Target, params action.Params) (action.Plan, error) {
	seconds := "10"
	if given := params["seconds"]; given != "" {
		seconds = given
	}
	patch := func(body string) v1alpha1.Operation {
		return v1alpha1.Operation{
			Verb: v1alpha1.VerbPatch, Object: target.ObjectReference, Precondition: v1alpha1.Precondition{UID: target.UID},
			Body: &apiextensionsv1.JSON{Raw: []byte(body)},
		}
	}
	undo := patch(`[{"op":"remove","path":"/spec/minReadySeconds"}]`)
	return action.Plan{Operations: []action.Operation{{Operation: patch(`[{"op":"add","path":"/spec/minReadySeconds","value":` + seconds + `}]`), Undo: &undo}}}, nil
}

// why is the message of the end.
func why(ar *v1alpha1.AlertRemediation) string {
	return meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Succeeded).Message
}

// patched changes the Deployment as its users do.
func (h *house) patched(ctx context.Context, patch string) {
	GinkgoHelper()
	Expect(server.Client.Patch(ctx, build.Deployment(h.ns, "shop").Obj(), client.RawPatch(types.StrategicMergePatchType, []byte(patch)))).To(Succeed())
}

// carriedOut has the run of a remediation do what its plan says, and returns the run.
func (h *house) carriedOut(ctx context.Context, ar *v1alpha1.AlertRemediation) *v1alpha1.WorkflowRun {
	GinkgoHelper()
	h.driven(ctx, ar)
	run := h.run(ctx, ar)
	step := run.Spec.Steps[0].Action
	act, err := h.Catalog.Find(step.Name)
	Expect(err).NotTo(HaveOccurred())
	made, err := act.Plan(ctx, action.World{}, h.deploy, action.Params(step.Parameters))
	Expect(err).NotTo(HaveOccurred())
	op := v1alpha1.OperationStatus{Operation: made.Operations[0].Operation, Undo: made.Operations[0].Undo, State: v1alpha1.OperationApplied}
	h.done(ctx, op.Operation)
	run.Status.StartedAt = metav1.NewMicroTime(h.clock.Now())
	h.ended(ctx, run, metav1.ConditionTrue, v1alpha1.ReasonCompleted, op)
	return run
}

// done really does an operation.
func (h *house) done(ctx context.Context, op v1alpha1.Operation) {
	GinkgoHelper()
	Expect(server.Client.Patch(ctx, build.Deployment(h.ns, "shop").Obj(), client.RawPatch(types.JSONPatchType, op.Body.Raw))).To(Succeed())
}

// takenBack drives a remediation until its change was taken back, since it did not help.
func (h *house) takenBack(ctx context.Context, ar *v1alpha1.AlertRemediation) *v1alpha1.AlertRemediation {
	GinkgoHelper()
	run := h.carriedOut(ctx, ar)
	h.health, h.state = v1alpha1.HealthUnhealthy, v1alpha1.AlertFiring
	h.driven(ctx, ar)
	h.clock.Step(deadline)
	h.driven(ctx, ar)
	undo := h.run(ctx, ar)
	Expect(undo.Spec.Undoes).To(Equal(run.Name))
	h.done(ctx, *run.Status.Steps[0].Operations[0].Undo)
	run.Status.Steps[0].Operations[0].State = v1alpha1.OperationUndone
	Expect(server.Client.Status().Update(ctx, run)).To(Succeed())
	h.ended(ctx, undo, metav1.ConditionTrue, v1alpha1.ReasonCompleted)
	h.driven(ctx, ar)
	Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeRolledBack))
	return ar
}

// remediationReads notes which remediations are read live.
type remediationReads struct {
	client.Reader
	names []string
}

func (r *remediationReads) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	if _, is := obj.(*v1alpha1.AlertRemediation); is {
		r.names = append(r.names, key.Name)
	}
	return r.Reader.Get(ctx, key, obj, opts...)
}

// calls is the action of which nothing comes but that a person is called.
type calls struct{ pauses }

func (calls) Spec() action.Spec { return action.Spec{Name: "Call", Risk: v1alpha1.RiskNone} }

func (calls) Plan(context.Context, action.World, action.Target, action.Params) (action.Plan, error) {
	return action.Plan{}, nil
}

var _ = Describe("A change that did not help", func() {
	refused := func(ar *v1alpha1.AlertRemediation, parts ...string) {
		GinkgoHelper()
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeEscalated))
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Planned, metav1.ConditionFalse, v1alpha1.ReasonIneffective))
		Expect(ar.Status.RunRef).To(BeEmpty())
		Expect(ar.Status.Diagnosis.Remedies[0].Refused.Reason).To(Equal(v1alpha1.ReasonIneffective))
		for _, part := range parts {
			Expect(why(ar)).To(ContainSubstring(part))
		}
	}

	It("is not made again: the next larger step is, once, and then a person is called", func(ctx SpecContext) {
		h := newHouse(ctx)
		h.takenBack(ctx, h.remedied(ctx, "first", "Wait"))

		second := h.remedied(ctx, "second", "Wait")
		h.driven(ctx, second)
		Expect(second.Status.Plan.Steps[0].Parameters).To(Equal(map[string]string{"seconds": "40"}))
		Expect(second.Status.Plan.Steps[0].Note).To(And(ContainSubstring("minReadySeconds: 10"), ContainSubstring("first-run-1"), ContainSubstring("taken back")))
		Expect(second.Status.Diagnosis.Remedies[0].Refused).To(BeNil())
		Expect(meta.FindStatusCondition(second.Status.Conditions, v1alpha1.Planned).Message).To(ContainSubstring("first-run-1"))
		run := h.run(ctx, second)
		Expect(run.Spec.Steps[0].Action.Parameters).To(Equal(map[string]string{"seconds": "40"}), "what the run plans again is the same plan")
		h.takenBack(ctx, second)

		third := h.driven(ctx, h.remedied(ctx, "third", "Wait"))
		refused(third, "first-run-1", "second-run-1", "minReadySeconds: 10", "minReadySeconds: 40", "taken back")
	})

	It("is not made again where there is no larger step", func(ctx SpecContext) {
		h := newHouse(ctx)
		h.takenBack(ctx, h.remedied(ctx, "first", "Pause"))
		refused(h.driven(ctx, h.remedied(ctx, "second", "Pause")), "first-run-1", "taken back")
		third := h.driven(ctx, h.remedied(ctx, "third", "Pause"))
		Expect(third.Status.Outcome).To(Equal(v1alpha1.OutcomeDuplicate), "a person was called by the second")
		Expect(third.Status.DuplicateOf).To(Equal("second"))
		Expect(why(third)).To(ContainSubstring("first-run-1"))
	})

	It("is not looked for in the remediations of other objects", func(ctx SpecContext) {
		h := newHouse(ctx)
		reads := &remediationReads{Reader: h.Live}
		h.Live = reads
		for i := range 5 {
			server.Create(ctx, h.known(fmt.Sprintf("other-%d", i), "Pause").With(func(ar *v1alpha1.AlertRemediation) {
				elsewhere := h.deploy
				elsewhere.Name, elsewhere.UID = fmt.Sprintf("other-%d", i), types.UID(fmt.Sprintf("uid-%d", i))
				ar.Status.Target, ar.Status.Diagnosis.Target = &elsewhere, &elsewhere
				ar.Status.RunRef = ar.Name + "-run-1"
			}).Obj())
		}
		server.Create(ctx, h.known("same", "Pause").With(func(ar *v1alpha1.AlertRemediation) { ar.Status.RunRef = "same-run-1" }).Obj())
		h.judgement.Mode = v1alpha1.ModeRecommend
		h.driven(ctx, h.diagnosed(ctx, "planned"))
		Expect(reads.names).NotTo(ContainElement(HavePrefix("other-")))
		Expect(reads.names).To(ContainElement("same"))
	})

	It("makes room for the next remedy, which says why it is not the first", func(ctx SpecContext) {
		h := newHouse(ctx)
		h.takenBack(ctx, h.remedied(ctx, "first", "Pause"))
		ar := h.known("second", "Pause").With(func(ar *v1alpha1.AlertRemediation) {
			ar.Status.Diagnosis.Remedies = append(ar.Status.Diagnosis.Remedies, v1alpha1.Remedy{Action: "Wait"})
		}).Obj()
		server.Create(ctx, ar)
		h.judgement.Mode = v1alpha1.ModeRecommend
		h.driven(ctx, ar)
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeRecommended))
		Expect(ar.Status.Plan.Steps[0].Action).To(Equal("Wait"))
		Expect(ar.Status.Diagnosis.Remedies[0].Refused.Reason).To(Equal(v1alpha1.ReasonIneffective))
		Expect(ar.Status.Diagnosis.Remedies[1].Refused).To(BeNil())
		Expect(why(ar)).To(And(ContainSubstring("Wait of Deployment/shop"), ContainSubstring("a better remedy can't be planned: Pause: ")))
	})

	It("is found while the plan waits, too", func(ctx SpecContext) {
		h := newHouse(ctx)
		h.judgement.Mode = v1alpha1.ModeApprove
		h.judgement.Refusals = []policy.Refusal{{Kind: policy.Waits, Refusal: v1alpha1.Refusal{Reason: v1alpha1.ReasonAwaitingApproval, Message: "a person"}}}
		waiting := h.driven(ctx, h.diagnosed(ctx, "waiting"))
		Expect(waiting).To(kubetest.HaveCondition(v1alpha1.Approved, metav1.ConditionUnknown, v1alpha1.ReasonAwaitingApproval))
		// Of a version that kept no fingerprints.
		old := h.known("old", "Pause").Planned(v1alpha1.PlanStatus{Steps: []v1alpha1.PlanStep{{Name: "remedy", Action: "Pause", Target: h.deploy, Risk: v1alpha1.RiskLow}}}).
			Condition(v1alpha1.Succeeded, metav1.ConditionFalse, string(v1alpha1.OutcomeRolledBack)).
			With(func(ar *v1alpha1.AlertRemediation) {
				ar.Status.Outcome, ar.Status.RunRef = v1alpha1.OutcomeRolledBack, "old-run-2"
			}).Obj()
		server.Create(ctx, old)
		h.clock.Step(10 * time.Minute) // by then it is planned again though nothing changed that is looked at
		h.driven(ctx, waiting)
		Expect(waiting).To(kubetest.HaveCondition(v1alpha1.Approved, metav1.ConditionFalse, v1alpha1.ReasonIneffective))
		Expect(waiting.Status.Outcome).To(Equal(v1alpha1.OutcomeEscalated))
		Expect(waiting.Status.Plan.Refusals).To(ConsistOf(HaveField("Reason", v1alpha1.ReasonIneffective)))
		Expect(why(waiting)).To(ContainSubstring("Pause of Deployment/shop was tried by AlertRemediation old"))
	})

	It("is not made larger against the will of a person who had it taken back", func(ctx SpecContext) {
		h := newHouse(ctx)
		first := h.remedied(ctx, "first", "Wait")
		run := h.carriedOut(ctx, first)
		h.done(ctx, *run.Status.Steps[0].Operations[0].Undo)
		run.Status.Conditions = []metav1.Condition{
			{Type: v1alpha1.Succeeded, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonCancelled, LastTransitionTime: metav1.Now()},
			{Type: v1alpha1.RolledBack, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonRolledBack, LastTransitionTime: metav1.Now()},
		}
		Expect(server.Client.Status().Update(ctx, run)).To(Succeed())
		h.driven(ctx, first)
		Expect(first.Status.Outcome).To(Equal(v1alpha1.OutcomeRolledBack))
		refused(h.driven(ctx, h.remedied(ctx, "second", "Wait")), "first-run-1", "taken back by a person")
	})

	// what happened between the first remediation and the second.
	type row struct {
		between func(ctx context.Context, h *house, first, second *v1alpha1.AlertRemediation)
		refused bool
	}
	DescribeTable("and the next firing", func(ctx SpecContext, r row) {
		h := newHouse(ctx)
		first := h.takenBack(ctx, h.remedied(ctx, "first", "Pause"))
		second := h.known("second", "Pause").Obj()
		r.between(ctx, h, first, second)
		server.Create(ctx, second)
		h.driven(ctx, second)
		if r.refused {
			refused(second)
			return
		}
		Expect(second.Status.RunRef).To(Equal("second-run-1"), "%+v", second.Status.Conditions)
	},
		Entry("is refused where nothing changed", row{refused: true, between: func(context.Context, *house, *v1alpha1.AlertRemediation, *v1alpha1.AlertRemediation) {}}),
		Entry("is refused where it was scaled", row{refused: true, between: func(ctx context.Context, h *house, _, _ *v1alpha1.AlertRemediation) {
			h.patched(ctx, `{"spec":{"replicas":5}}`)
		}}),
		Entry("is refused where its pods were restarted", row{refused: true, between: func(ctx context.Context, h *house, _, _ *v1alpha1.AlertRemediation) {
			h.patched(ctx, `{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"now"}}}}}`)
		}}),
		Entry("is refused where it was released and the release taken back", row{refused: true, between: func(ctx context.Context, h *house, _, _ *v1alpha1.AlertRemediation) {
			h.patched(ctx, `{"spec":{"template":{"spec":{"containers":[{"name":"shop","image":"example.test/shop:2"}]}}}}`)
			h.patched(ctx, `{"spec":{"template":{"spec":{"containers":[{"name":"shop","image":"example.test/shop:1"}]}}}}`)
		}}),
		Entry("is refused as another alert of the same cause", row{refused: true, between: func(_ context.Context, _ *house, _, second *v1alpha1.AlertRemediation) {
			second.Spec.Alert.Name = "KubeDeploymentReplicasMismatch"
		}}),
		Entry("is refused where the run was deleted", row{refused: true, between: func(ctx context.Context, h *house, _, _ *v1alpha1.AlertRemediation) {
			Expect(server.Client.DeleteAllOf(ctx, &v1alpha1.WorkflowRun{}, client.InNamespace(h.ns))).To(Succeed())
		}}),
		Entry("is planned after a release", row{between: func(ctx context.Context, h *house, _, _ *v1alpha1.AlertRemediation) {
			h.patched(ctx, `{"spec":{"template":{"spec":{"containers":[{"name":"shop","image":"example.test/shop:2"}]}}}}`)
		}}),
		Entry("is planned for another cause", row{between: func(_ context.Context, _ *house, _, second *v1alpha1.AlertRemediation) {
			second.Status.Diagnosis.Cause = v1alpha1.CauseRolloutStuck
		}}),
		Entry("is planned for another remedy", row{between: func(_ context.Context, _ *house, _, second *v1alpha1.AlertRemediation) {
			second.Status.Diagnosis.Remedies[0].Action = "Wait"
		}}),
		Entry("is planned for another incarnation", row{between: func(ctx context.Context, h *house, _, second *v1alpha1.AlertRemediation) {
			old := build.Deployment(h.ns, "shop").Obj()
			Expect(server.Client.Delete(ctx, old)).To(Succeed())
			server.Create(ctx, build.Deployment(h.ns, "shop").Obj())
			var anew appsv1.Deployment
			Expect(server.Client.Get(ctx, h.deploy.NamespacedName(), &anew)).To(Succeed())
			h.deploy = build.TargetOf(&anew, build.DeploymentKind)
			second.Status.Target, second.Status.Diagnosis.Target = &h.deploy, &h.deploy
		}}),
		Entry("is planned where the remediation was deleted, which a tenant may do", row{between: func(ctx context.Context, _ *house, first, _ *v1alpha1.AlertRemediation) {
			Expect(server.Client.Delete(ctx, first)).To(Succeed())
		}}),
		Entry("is planned where a gate refused the first", row{between: func(ctx context.Context, _ *house, first, _ *v1alpha1.AlertRemediation) {
			first.Status.Outcome = v1alpha1.OutcomeRefused
			Expect(server.Client.Status().Update(ctx, first)).To(Succeed())
		}}),
	)

	It("is told from one that helped: that one may be made again", func(ctx SpecContext) {
		h := newHouse(ctx)
		first := h.remedied(ctx, "first", "Pause")
		h.carriedOut(ctx, first)
		h.health, h.state = v1alpha1.HealthHealthy, v1alpha1.AlertResolved
		h.driven(ctx, first)
		h.clock.Step(window * 2)
		h.driven(ctx, first)
		Expect(first.Status.Outcome).To(Equal(v1alpha1.OutcomeRemediated))
		h.patched(ctx, `{"spec":{"paused":false}}`)
		h.health, h.state = v1alpha1.HealthUnhealthy, v1alpha1.AlertFiring
		Expect(h.driven(ctx, h.remedied(ctx, "second", "Pause")).Status.RunRef).To(Equal("second-run-1"))
	})

	It("counts where it is still in place, too, if nothing takes it back", func(ctx SpecContext) {
		h := newHouse(ctx)
		first := h.remedied(ctx, "first", "Pause")
		h.driven(ctx, first)
		h.ended(ctx, h.run(ctx, first), metav1.ConditionTrue, v1alpha1.ReasonCompleted, h.pausing(ctx, true, false))
		h.health, h.state = v1alpha1.HealthUnhealthy, v1alpha1.AlertFiring
		h.driven(ctx, first)
		h.clock.Step(deadline)
		h.driven(ctx, first)
		Expect(first.Status.Outcome).To(Equal(v1alpha1.OutcomeEscalated))
		h.patched(ctx, `{"spec":{"paused":false}}`)
		refused(h.driven(ctx, h.remedied(ctx, "second", "Pause")), "can't be taken back")
	})
})

var _ = Describe("Remedies that can't be planned", func() {
	It("leave the next one to be planned, and are shown as refused", func(ctx SpecContext) {
		h := newHouse(ctx)
		ar := h.known("second-best", "RunShell").With(func(ar *v1alpha1.AlertRemediation) {
			ar.Status.Diagnosis.Remedies = append(ar.Status.Diagnosis.Remedies, v1alpha1.Remedy{Action: "Pause"})
		}).Obj()
		server.Create(ctx, ar)
		h.driven(ctx, ar)
		Expect(ar.Status.Plan.Steps[0].Action).To(Equal("Pause"))
		Expect(ar.Status.Diagnosis.Remedies[0].Refused.Reason).To(Equal(v1alpha1.ReasonUnknownAction))
		Expect(meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Planned).Message).To(ContainSubstring("a better remedy can't be planned"))
	})

	It("are for a person, with the cause and why not of each", func(ctx SpecContext) {
		h := newHouse(ctx)
		ar := h.known("none", "RunShell").With(func(ar *v1alpha1.AlertRemediation) {
			ar.Status.Diagnosis.Summary = "revision 2 crashes"
			ar.Status.Diagnosis.Remedies = append(ar.Status.Diagnosis.Remedies, v1alpha1.Remedy{Action: "Wait", Parameters: map[string]string{"seconds": "long"}})
		}).Obj()
		server.Create(ctx, ar)
		h.driven(ctx, ar)
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Planned, metav1.ConditionFalse, v1alpha1.ReasonUnknownAction))
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeEscalated))
		Expect(why(ar)).To(And(HavePrefix("revision 2 crashes: "), ContainSubstring("RunShell"), ContainSubstring("Wait: invalid parameters: seconds")))
		raw, err := json.Marshal(ar.Status.Diagnosis.Remedies)
		Expect(err).NotTo(HaveOccurred())
		Expect(string(raw)).To(And(ContainSubstring(v1alpha1.ReasonUnknownAction), ContainSubstring(v1alpha1.ReasonInvalidParameters)))
		Expect(fmt.Sprint(h.told())).To(ContainSubstring(string(v1alpha1.OutcomeEscalated)))
	})

	It("leave a person as the remedy, who is told the cause and why not", func(ctx SpecContext) {
		h := newHouse(ctx)
		ar := h.known("person", "RunShell").With(func(ar *v1alpha1.AlertRemediation) {
			ar.Status.Diagnosis.Summary = "revision 2 crashes"
			ar.Status.Diagnosis.Remedies = append(ar.Status.Diagnosis.Remedies, v1alpha1.Remedy{Action: "Call"})
		}).Obj()
		server.Create(ctx, ar)
		h.driven(ctx, ar)
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Planned, metav1.ConditionTrue, v1alpha1.ReasonNothingToDo))
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeEscalated))
		Expect(why(ar)).To(HavePrefix("revision 2 crashes; a better remedy can't be planned: "))
		Expect(ar.Status.Diagnosis.Remedies[0].Refused.Reason).To(Equal(v1alpha1.ReasonUnknownAction))
	})

	It("call a person where an action says no at the start of its run", func(ctx SpecContext) {
		h := newHouse(ctx)
		ar := h.known("late", "Pause").With(func(ar *v1alpha1.AlertRemediation) { ar.Status.Diagnosis.Summary = "revision 2 crashes" }).Obj()
		server.Create(ctx, ar)
		h.driven(ctx, ar)
		h.ended(ctx, h.run(ctx, ar), metav1.ConditionFalse, v1alpha1.ReasonNotApplicable)
		h.driven(ctx, ar)
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Approved, metav1.ConditionFalse, v1alpha1.ReasonNotApplicable))
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeEscalated))
		Expect(why(ar)).To(HavePrefix("revision 2 crashes: no remedy of CrashBadRelease can be planned: so it ended"))
	})

	It("are for a person where the diagnosis names none", func(ctx SpecContext) {
		h := newHouse(ctx)
		ar := h.known("bare", "Pause").With(func(ar *v1alpha1.AlertRemediation) { ar.Status.Diagnosis.Remedies = nil }).Obj()
		server.Create(ctx, ar)
		h.driven(ctx, ar)
		Expect(ar).To(kubetest.HaveCondition(v1alpha1.Planned, metav1.ConditionFalse, v1alpha1.ReasonNoRemedy))
		Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeEscalated))
	})
})
