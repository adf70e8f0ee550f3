package workflowrun_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/internal/lease"
	"github.com/kubernaut/kubernaut/pkg/action"
)

var _ = Describe("Beginning a run", func() {
	DescribeTable("refuses, and changes nothing", func(ctx SpecContext, making func(context.Context, *scene) *v1alpha1.WorkflowRun, reason, says string) {
		s := set(ctx)
		run := making(ctx, s)
		image := s.running(ctx)
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionFalse, reason))
		Expect(run.Status.Conditions[0].Message).To(ContainSubstring(says))
		Expect(run.Finalizers).To(BeEmpty())
		Expect(s.running(ctx)).To(Equal(image))
		Expect(s.effects()).To(BeZero())
		Expect(s.holder(ctx)).To(BeEmpty())
		Expect(s.told()).To(ContainElement(HavePrefix("Warning ")))
	},
		Entry("when the target was edited since the plan was approved", func(ctx context.Context, s *scene) *v1alpha1.WorkflowRun {
			run := s.owned(ctx, "ar-1-run-1")
			s.edited(ctx, "example.test/web:3")
			return run
		}, v1alpha1.ReasonChangedMeanwhile, ""),
		Entry("when the target was made anew", func(ctx context.Context, s *scene) *v1alpha1.WorkflowRun {
			run := s.owned(ctx, "ar-1-run-1")
			Expect(server.Client.Delete(ctx, s.web)).To(Succeed())
			server.Create(ctx, build.Deployment(s.namespace, "web").Image(bad).Obj())
			return run
		}, v1alpha1.ReasonNotApplicable, "gone"),
		Entry("what the catalogue does not hold", func(ctx context.Context, s *scene) *v1alpha1.WorkflowRun {
			run := build.Run(s.namespace, "mine", s.target()).Step("a", "RunScript", nil).Obj()
			server.Create(ctx, run)
			return run
		}, v1alpha1.ReasonUnknownAction, "RunScript"),
		Entry("parameters that do not fit", func(ctx context.Context, s *scene) *v1alpha1.WorkflowRun {
			run := build.Run(s.namespace, "mine", s.target()).Step("a", "SetImage", map[string]string{"shell": "x"}).Obj()
			server.Create(ctx, run)
			return run
		}, v1alpha1.ReasonInvalidParameters, "image is required"),
		Entry("a target without a uid", func(ctx context.Context, s *scene) *v1alpha1.WorkflowRun {
			target := s.target()
			target.UID = ""
			run := build.Run(s.namespace, "mine", target).Step("a", "SetImage", map[string]string{"image": good}).Obj()
			server.Create(ctx, run)
			return run
		}, v1alpha1.ReasonInvalidParameters, "uid"),
		Entry("a target with a uid that no API server gives", func(ctx context.Context, s *scene) *v1alpha1.WorkflowRun {
			target := s.target()
			target.UID = "../victim"
			run := build.Run(s.namespace, "mine", target).Step("a", "SetImage", map[string]string{"image": good}).Obj()
			server.Create(ctx, run)
			return run
		}, v1alpha1.ReasonInvalidParameters, "is not the uid of Deployment/web"),
		Entry("a run that names a remediation which did not make it", func(ctx context.Context, s *scene) *v1alpha1.WorkflowRun {
			run := s.owned(ctx, "ar-1-run-1")
			s.refers(ctx, "ar-1-run-2")
			return run
		}, v1alpha1.ReasonCancelled, "did not make this run"),
		Entry("a remediation's run that names no approved plan", func(ctx context.Context, s *scene) *v1alpha1.WorkflowRun {
			return s.owned(ctx, "ar-1-run-1", func(r *v1alpha1.WorkflowRun) { r.Spec.PlanDigest = "" })
		}, v1alpha1.ReasonInvalidParameters, "planDigest"),
		Entry("a run whose remediation is gone", func(ctx context.Context, s *scene) *v1alpha1.WorkflowRun {
			return s.owned(ctx, "ar-1-run-1", func(r *v1alpha1.WorkflowRun) { r.OwnerReferences[0].UID = "another" })
		}, v1alpha1.ReasonCancelled, "is gone"),
		Entry("a run that somebody took out of its remediation's hands", func(ctx context.Context, s *scene) *v1alpha1.WorkflowRun {
			return s.owned(ctx, "ar-1-run-1", func(r *v1alpha1.WorkflowRun) { r.OwnerReferences = nil })
		}, v1alpha1.ReasonCancelled, "no remediation controls it"),
		Entry("a run whose remediation has ended", func(ctx context.Context, s *scene) *v1alpha1.WorkflowRun {
			run := s.owned(ctx, "ar-1-run-1")
			s.concluded(ctx)
			return run
		}, v1alpha1.ReasonCancelled, "has ended"),
		Entry("a run that was cancelled before it began", func(ctx context.Context, s *scene) *v1alpha1.WorkflowRun {
			return s.owned(ctx, "ar-1-run-1", func(r *v1alpha1.WorkflowRun) { r.Spec.Cancelled = true })
		}, v1alpha1.ReasonCancelled, "before anything was done"),
	)

	It("names the verb and the resource that the tenant did not grant, in the condition and an event", func(ctx SpecContext) {
		s := set(ctx)
		Expect(server.Client.DeleteAllOf(ctx, &rbacv1.RoleBinding{}, client.InNamespace(s.namespace))).To(Succeed())
		server.Grant(ctx, s.namespace, kubetest.OperatorUser, rbacv1.PolicyRule{
			APIGroups: []string{""}, Resources: []string{"serviceaccounts"}, Verbs: []string{"impersonate"}, ResourceNames: []string{kubetest.Remediator},
		})
		run := s.owned(ctx, "ar-1-run-1")
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionFalse, v1alpha1.ReasonForbidden))
		Expect(run.Status.Conditions[0].Message).To(ContainSubstring("may not patch deployments.apps"))
		Expect(s.told()).To(ContainElement(And(HavePrefix("Warning Refused Forbidden"), ContainSubstring("patch deployments.apps"))))
		Expect(s.running(ctx)).To(Equal(bad))
		Expect(s.effects()).To(BeZero())
	})

	It("waits while everything is stopped, then goes on", Serial, func(ctx SpecContext) {
		s := set(ctx)
		stop := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: kubetest.OperatorNamespace, Name: v1alpha1.EmergencyStopName}}
		server.Create(ctx, stop)
		DeferCleanup(func(ctx SpecContext) { Expect(client.IgnoreNotFound(server.Client.Delete(ctx, stop))).To(Succeed()) })
		run := s.owned(ctx, "ar-1-run-1")
		Expect(s.driven(ctx, run).RequeueAfter).To(Equal(2 * time.Second))
		Expect(run).To(succeeded(metav1.ConditionUnknown, v1alpha1.ReasonEmergencyStop))
		Expect(s.effects()).To(BeZero())

		Expect(server.Client.Delete(ctx, stop)).To(Succeed())
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionTrue, v1alpha1.ReasonCompleted))
		Expect(s.running(ctx)).To(Equal(good))
	})

	It("waits while its action can't be planned yet, then does what was approved", func(ctx SpecContext) {
		s := set(ctx)
		run := s.owned(ctx, "ar-1-run-1")
		s.image.early = action.NotYet(time.Minute, "Deployment/web has been ready since 12:00")
		Expect(s.driven(ctx, run).RequeueAfter).To(Equal(2 * time.Second))
		Expect(run).To(succeeded(metav1.ConditionUnknown, v1alpha1.ReasonNotYet))
		Expect(run.Status.Conditions[0].Message).To(ContainSubstring("ready since 12:00"))
		Expect(s.effects()).To(BeZero())
		Expect(s.holder(ctx)).To(BeEmpty())

		s.image.early = nil
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionTrue, v1alpha1.ReasonCompleted))
		Expect(s.running(ctx)).To(Equal(good))
	})

	DescribeTable("waits for what can't be read until a person helps, and ends then", func(ctx SpecContext, reason, command string, read func(ctx context.Context, s *scene) error) {
		s := set(ctx)
		run, neighbour := s.byHand(ctx, "mine", good), s.byHand(ctx, "theirs", good)
		s.image.early = read(ctx, s)
		s.driven(ctx, run)
		s.driven(ctx, neighbour)
		Expect(run).To(succeeded(metav1.ConditionUnknown, reason))
		Expect(neighbour).To(succeeded(metav1.ConditionUnknown, reason))

		s.clock.Step(9 * time.Minute)
		Expect(s.driven(ctx, run).RequeueAfter).To(BeNumerically("<=", 30*time.Second))
		Expect(run).To(succeeded(metav1.ConditionUnknown, reason))
		s.clock.Step(2 * time.Minute)
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionFalse, reason))
		Expect(run.Status.Conditions[0].Message).To(HaveSuffix(command))
		Expect(s.effects()).To(BeZero())

		s.image.early = nil // in time for the other, which was not looked at since
		s.driven(ctx, neighbour)
		Expect(neighbour).To(succeeded(metav1.ConditionTrue, v1alpha1.ReasonCompleted))
	},
		Entry("a kind that no API serves", v1alpha1.ReasonUnknownKind, "kubectl api-resources", func(ctx context.Context, s *scene) error {
			widget := &unstructured.Unstructured{}
			widget.SetGroupVersionKind(schema.GroupVersionKind{Group: "example.test", Version: "v1", Kind: "Widget"})
			return s.process.Live.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: "w"}, widget)
		}),
		Entry("a kind that the operator may not read", v1alpha1.ReasonReadForbidden, "kubectl describe clusterrole kubernaut", func(ctx context.Context, s *scene) error {
			return s.process.Live.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: "password"}, &corev1.Secret{})
		}),
	)

	It("does not begin a day after it was made", func(ctx SpecContext) {
		s := set(ctx)
		run := s.byHand(ctx, "mine", good)
		change(ctx, run, func(r *v1alpha1.WorkflowRun) { r.Spec.Paused = true })
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionUnknown, v1alpha1.ReasonPaused))
		s.clock.Step(24*time.Hour + time.Minute)
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionFalse, v1alpha1.ReasonDeadlineExceeded))
		Expect(run.Status.Conditions[0].Message).To(ContainSubstring("Paused: "))
		Expect(run.Finalizers).To(BeEmpty())
		Expect(s.effects()).To(BeZero())
	})

	It("ends without a change when the target has become well", func(ctx SpecContext) {
		s := set(ctx)
		run := s.owned(ctx, "ar-1-run-1")
		s.image.early = action.NotApplicable("Deployment/web has been well for 12m0s")
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionFalse, v1alpha1.ReasonNotApplicable))
		Expect(s.effects()).To(BeZero())
	})

	It("says to its action what time it is, and whether a user asks by hand", func(ctx SpecContext) {
		s := set(ctx)
		_, err := s.reconciled(ctx, s.owned(ctx, "ar-1-run-1", func(r *v1alpha1.WorkflowRun) { r.Spec.Paused = true }))
		Expect(err).NotTo(HaveOccurred())
		Expect(s.image.world.ByHand).To(BeFalse())
		Expect(s.image.world.Now).To(Equal(s.clock.Now()))

		run := s.byHand(ctx, "mine", good)
		_, err = s.reconciled(ctx, run)
		Expect(err).NotTo(HaveOccurred())
		Expect(s.image.world.ByHand).To(BeTrue())
	})

	It("binds a run made by hand to its first plan", func(ctx SpecContext) {
		s := set(ctx)
		run := s.byHand(ctx, "mine", good)
		change(ctx, run, func(r *v1alpha1.WorkflowRun) { r.Spec.Paused = true })
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionUnknown, v1alpha1.ReasonPaused))
		Expect(run.Status.PlanDigest).NotTo(BeEmpty())

		s.edited(ctx, "example.test/web:3")
		change(ctx, run, func(r *v1alpha1.WorkflowRun) { r.Spec.Paused = false })
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionFalse, v1alpha1.ReasonChangedMeanwhile))
		Expect(s.effects()).To(BeZero())
	})

	It("takes a place in the budget for a run made by hand", func(ctx SpecContext) {
		s := set(ctx)
		s.driven(ctx, s.byHand(ctx, "mine", good))
		var p v1alpha1.RemediationPolicy
		Expect(server.Client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: "auto"}, &p)).To(Succeed())
		Expect(p.Status.Reservations).To(HaveLen(1))
		Expect(p.Status.Reservations[0].Run).To(Equal(s.namespace + "/mine"))

		next := s.byHand(ctx, "again", bad)
		s.driven(ctx, next)
		Expect(next).To(succeeded(metav1.ConditionUnknown, v1alpha1.ReasonCooldown))
	})

	It("lets one of two runs hold the target, and the other wait for the verdict", func(ctx SpecContext) {
		s := set(ctx)
		first, second := s.owned(ctx, "ar-1-run-1"), s.byHand(ctx, "mine", "example.test/web:4")
		s.driven(ctx, first)
		Expect(first).To(succeeded(metav1.ConditionTrue, v1alpha1.ReasonCompleted))
		Expect(s.holder(ctx)).To(Equal(lease.Identity(first)))

		Expect(s.driven(ctx, second).RequeueAfter).To(Equal(2 * time.Second))
		Expect(second).To(succeeded(metav1.ConditionUnknown, v1alpha1.ReasonTargetBusy))
		Expect(s.running(ctx)).To(Equal(good))

		s.concluded(ctx)
		s.driven(ctx, second)
		Expect(second).To(succeeded(metav1.ConditionTrue, v1alpha1.ReasonCompleted))
		Expect(s.running(ctx)).To(Equal("example.test/web:4"))
	})
})
