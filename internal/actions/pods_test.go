package actions_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/gate"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/internal/plan"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// ownedPod is a pod of a DaemonSet that is not ready.
func ownedPod(ctx context.Context, ns string) action.Target {
	d := daemonSet(ctx, ns)
	return build.TargetOf(podOf(ctx, d, daemonSetKind, 1, false), podKind)
}

var _ = Describe("What removes pods", func() {
	It("evicts one incarnation of a pod, and has settled when its owner has all its pods ready", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		act, target := find("RestartPod"), ownedPod(ctx, ns)
		tenant := granted(ctx, ns, act)
		made := planned(ctx, act, target, nil)
		Expect(made.Pods).To(BeEquivalentTo(1))
		op := made.Operations[0].Operation
		Expect(tenant.Review(ctx, op)).To(Succeed())
		Expect(tenant.DryRun(ctx, op)).To(Succeed())
		Expect(look(ctx, op)).To(Equal(gate.SeenBefore))
		settled := func() action.Progress {
			p, err := act.Settled(ctx, world(), target, made)
			Expect(err).NotTo(HaveOccurred())
			return p
		}
		Expect(settled().Done).To(BeFalse())

		Expect(tenant.Apply(ctx, op)).To(Succeed())
		Expect(look(ctx, op)).To(Equal(gate.SeenApplied))
		Expect(tenant.Apply(ctx, op)).To(MatchError(gate.ErrPrecondition), "it is not done twice")
		_, err := act.Plan(ctx, world(), target, nil)
		Expect(err).To(MatchError(Or(ContainSubstring("is gone"), ContainSubstring("is being deleted"))))
	})

	It("does not evict while a PodDisruptionBudget has nothing to spare: that is no answer, and is waited for", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		act, target := find("RestartPod"), ownedPod(ctx, ns)
		budget := &policyv1.PodDisruptionBudget{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "agent"},
			Spec: policyv1.PodDisruptionBudgetSpec{
				MinAvailable: new(intstr.FromInt32(1)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "agent"}},
			},
		}
		server.Create(ctx, budget)
		observed(ctx, budget, func(b *policyv1.PodDisruptionBudget) { b.Status.ObservedGeneration = b.Generation })
		tenant := granted(ctx, ns, act)
		op := planned(ctx, act, target, nil).Operations[0].Operation
		err := tenant.DryRun(ctx, op)
		Expect(apierrors.IsTooManyRequests(err)).To(BeTrue(), "%v", err)
		err = tenant.Apply(ctx, op)
		Expect(apierrors.IsTooManyRequests(err)).To(BeTrue(), "%v", err)
		Expect(look(ctx, op)).To(Equal(gate.SeenBefore))
	})

	It("has settled when an ordered set has its pod back under the same name", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		s := statefulSet(ctx, ns)
		pod := podOf(ctx, s, statefulSetKind, 1, true)
		target := build.TargetOf(pod, podKind)
		target.UID = "00000000-0000-0000-0000-000000000000"
		progress, err := find("RestartPod").Settled(ctx, world(), target, action.Plan{})
		Expect(err).NotTo(HaveOccurred())
		Expect(progress.Done).To(BeTrue())
	})

	It("evicts, after a StatefulSet went back, the pods of its bad revision that are not ready, and no others", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		s := releasedStatefulSet(ctx, ns)
		act, target := find("RolloutUndo"), build.TargetOf(s, statefulSetKind)
		tenant := granted(ctx, ns, act)
		made := planned(ctx, act, target, nil)
		Expect(made.Operations).To(HaveLen(2))
		Expect(made.Operations[1].Verb).To(Equal(v1alpha1.VerbEvict))
		Expect(made.Operations[1].Object.Name).To(Equal("db-1"))
		Expect(made.Operations[1].Precondition.Unready).To(BeTrue())
		Expect(plan.Diff(made)).To(ContainSubstring("evict Pod/db-1 in " + ns + ", only if it is not ready when its turn comes\n"))
		Expect(plan.UndoDiff(made)).To(ContainSubstring("example.test/db:2"), "the template can be taken back, the pods make themselves")
		for _, op := range made.Operations {
			Expect(tenant.Review(ctx, op.Operation)).To(Succeed())
			Expect(tenant.DryRun(ctx, op.Operation)).To(Succeed())
			Expect(tenant.Apply(ctx, op.Operation)).To(Succeed())
			Expect(look(ctx, op.Operation)).To(Equal(gate.SeenApplied))
		}
		left := &corev1.PodList{}
		Expect(server.Client.List(ctx, left, client.InNamespace(ns), client.MatchingLabels{"app": "db"})).To(Succeed())
		for _, p := range left.Items {
			if p.DeletionTimestamp == nil {
				Expect(p.Labels[appsv1.ControllerRevisionHashLabelKey]).To(Equal("db-1"))
			}
		}
	})

	It("lists every pod of the bad revision, and leaves a ready one alone though it restarted long ago", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		s := releasedStatefulSet(ctx, ns)
		update(ctx, s, func(s *appsv1.StatefulSet) { s.Spec.Replicas = new(int32(3)) })
		observed(ctx, s, func(s *appsv1.StatefulSet) { s.Status.ObservedGeneration = s.Generation })
		serves := podAt(ctx, s, statefulSetKind, 2, 2, true)
		observed(ctx, serves, func(p *corev1.Pod) {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "db", Image: "example.test/db:2", Ready: true, RestartCount: 1}}
		})
		act, target := find("RolloutUndo"), build.TargetOf(s, statefulSetKind)
		made := planned(ctx, act, target, nil)
		Expect(made.Operations).To(HaveLen(3))
		Expect(made.Operations[1].Object.Name).To(Equal("db-1"))
		Expect(made.Operations[2].Object.Name).To(Equal("db-2"))
		Expect(look(ctx, made.Operations[1].Operation)).To(Equal(gate.SeenBefore))
		Expect(look(ctx, made.Operations[2].Operation)).To(Equal(gate.SeenUnneeded))

		observed(ctx, serves, func(p *corev1.Pod) { p.Status.Conditions[0].Status = corev1.ConditionFalse })
		Expect(digest(planned(ctx, act, target, nil))).To(Equal(digest(made)), "readiness is no part of the plan")
		Expect(look(ctx, made.Operations[2].Operation)).To(Equal(gate.SeenBefore))
	})

	It("leaves it to a Parallel set's own controller to replace pods that are not ready", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		s := releasedStatefulSet(ctx, ns)
		parallel := s.DeepCopy()
		parallel.ObjectMeta = metav1.ObjectMeta{Namespace: ns, Name: "cache"}
		parallel.Spec.PodManagementPolicy = appsv1.ParallelPodManagement
		parallel.Spec.Template.Labels = map[string]string{"app": "cache"}
		parallel.Spec.Selector = &metav1.LabelSelector{MatchLabels: parallel.Spec.Template.Labels}
		server.Create(ctx, parallel)
		first := parallel.Spec.Template.DeepCopy()
		first.Spec.Containers[0].Image = "example.test/db:1"
		kept(ctx, parallel, statefulSetKind, *first, 1)
		kept(ctx, parallel, statefulSetKind, parallel.Spec.Template, 2)
		podOf(ctx, parallel, statefulSetKind, 1, true)
		podOf(ctx, parallel, statefulSetKind, 2, false)
		observed(ctx, parallel, func(s *appsv1.StatefulSet) {
			s.Status = appsv1.StatefulSetStatus{ObservedGeneration: s.Generation, Replicas: 2, ReadyReplicas: 1}
		})
		Expect(planned(ctx, find("RolloutUndo"), build.TargetOf(parallel, statefulSetKind), nil).Operations).To(HaveLen(1))
	})

	It("leaves a pod of an ordered set alone that took the ill one's name", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		s := releasedStatefulSet(ctx, ns)
		act := find("RolloutUndo")
		op := planned(ctx, act, build.TargetOf(s, statefulSetKind), nil).Operations[1].Operation
		op.Precondition.UID = "00000000-0000-0000-0000-000000000000"
		Expect(look(ctx, op)).To(Equal(gate.SeenApplied))
		Expect(granted(ctx, ns, act).Apply(ctx, op)).To(MatchError(gate.ErrPrecondition))
	})

	It("scales down at a higher risk than up", func(ctx SpecContext) {
		target := releasedTarget(ctx, server.Namespace(ctx))
		Expect(planned(ctx, find("Scale"), target, action.Params{"delta": "1"}).Risk).To(BeEmpty())
		Expect(planned(ctx, find("Scale"), target, action.Params{"delta": "-1"}).Risk).To(Equal(v1alpha1.RiskMedium))
		for _, params := range []action.Params{nil, {"replicas": "3", "delta": "1"}} {
			_, err := find("Scale").Plan(ctx, world(), target, params)
			Expect(err).To(MatchError(action.ErrInvalidParameters))
		}
	})
})
