package workflowrun_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/actions"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/internal/lease"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// nodeLeases is where remediators of nodes keep their leases.
const nodeLeases = "medik8s-leases"

var nodeKind = corev1.SchemeGroupVersion.WithKind("Node")

// nodeActions are the real ones; Cordon is the first.
func nodeActions() []action.Action {
	var found []action.Action
	for _, act := range actions.All() {
		if act.Spec().Level == action.LevelNode {
			found = append(found, act)
		}
	}
	return found
}

// mayKeepLeases lets the operator keep leases of nodes.
var mayKeepLeases = rbacv1.PolicyRule{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"get", "create", "update", "delete"}}

// nodeScene is the operator's namespace, whose remediator may patch nodes, and a node.
type nodeScene struct {
	*scene
	node *corev1.Node
}

func setNode(ctx context.Context, rights ...rbacv1.PolicyRule) *nodeScene {
	GinkgoHelper()
	s := &nodeScene{scene: &scene{
		namespace: kubetest.OperatorNamespace, clock: clocktesting.NewFakeClock(kubetest.OperatorTime()), image: &setImage{arrived: action.Progress{Done: true}},
	}}
	s.node = &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: server.Namespace(ctx)}}
	server.Create(ctx, s.node)
	if err := server.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: nodeLeases}}); err != nil {
		Expect(apierrors.IsAlreadyExists(err)).To(BeTrue(), "%v", err)
	}
	server.Grant(ctx, s.namespace, kubetest.OperatorUser, rbacv1.PolicyRule{
		APIGroups: []string{""}, Resources: []string{"serviceaccounts"}, Verbs: []string{"impersonate"}, ResourceNames: []string{kubetest.Remediator},
	})
	server.GrantEverywhere(ctx, kubetest.RemediatorUser(s.namespace), rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"patch"}})
	if len(rights) > 0 {
		server.Grant(ctx, nodeLeases, kubetest.OperatorUser, rights...)
	}
	s.restart(nil)
	return s
}

// cordon makes a run that cordons the node.
func (s *nodeScene) cordon(ctx context.Context, name string, edits ...func(*v1alpha1.WorkflowRun)) *v1alpha1.WorkflowRun {
	run := build.Run(s.namespace, name+"-"+s.node.Name, build.TargetOf(s.node, nodeKind)).Step("cordon", "Cordon", nil).Obj()
	for _, edit := range edits {
		edit(run)
	}
	server.Create(ctx, run)
	return run
}

// root is the condition that says how a run stands.
func root(run *v1alpha1.WorkflowRun) metav1.Condition {
	found := meta.FindStatusCondition(run.Status.Conditions, v1alpha1.Succeeded)
	Expect(found).NotTo(BeNil())
	return *found
}

func (s *nodeScene) cordoned(ctx context.Context) bool {
	Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(s.node), s.node)).To(Succeed())
	return s.node.Spec.Unschedulable
}

// lease on the node; nil when there is none.
func (s *nodeScene) lease(ctx context.Context) *coordinationv1.Lease {
	found := &coordinationv1.Lease{}
	err := server.Client.Get(ctx, client.ObjectKey{Namespace: nodeLeases, Name: lease.NodeName(s.node.Name)}, found)
	if apierrors.IsNotFound(err) {
		return nil
	}
	Expect(err).NotTo(HaveOccurred())
	return found
}

// heldByOther is another remediator's lease on the node, renewed so long ago.
func (s *nodeScene) heldByOther(ctx context.Context, ago time.Duration) {
	renewed := metav1.NewMicroTime(s.clock.Now().Add(-ago))
	server.Create(ctx, &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: nodeLeases, Name: lease.NodeName(s.node.Name)},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: new("node-healthcheck"), LeaseDurationSeconds: new(int32(600)), RenewTime: &renewed},
	})
}

// The specs share the operator's namespace and what is granted there: the first
// is about what is lacking.
var _ = Describe("A run on a node", Ordered, func() {
	It("is refused where the operator was not let keep the leases of nodes, with what helps", func(ctx SpecContext) {
		s := setNode(ctx)
		run := s.cordon(ctx, "unlet")
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionFalse, v1alpha1.ReasonForbidden))
		Expect(run.Status.Conditions).To(ContainElement(HaveField("Message", ContainSubstring("grant kubernaut-system --level node"))))
		Expect(s.cordoned(ctx)).To(BeFalse())
	})

	It("is carried out as the remediator of the operator's namespace, with the lease by which other remediators know", func(ctx SpecContext) {
		s := setNode(ctx, mayKeepLeases)
		run := s.cordon(ctx, "mine")
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionTrue, v1alpha1.ReasonCompleted))
		Expect(run.Status.Actor).To(Equal(kubetest.RemediatorUser(kubetest.OperatorNamespace)))
		Expect(s.cordoned(ctx)).To(BeTrue())
		Expect(s.lease(ctx)).To(BeNil(), "given back")
	})

	It("holds and renews the lease until the verdict, and its undo inherits it", func(ctx SpecContext) {
		s := setNode(ctx, mayKeepLeases)
		target := build.TargetOf(s.node, nodeKind)
		s.ar = build.Remediation(s.namespace, "ar-"+s.node.Name).Admitted(target).Diagnosed(v1alpha1.Diagnosis{
			Source: v1alpha1.SourceRules, Cause: v1alpha1.CauseOOMKilled, Target: &target,
		}).Obj()
		server.Create(ctx, s.ar, build.Policy(s.namespace, "nodes", v1alpha1.ModeAuto).With(func(p *v1alpha1.RemediationPolicy) { p.Spec.Selectors.Kinds = []string{"Node"} }).Obj())
		planned, err := nodeActions()[0].Plan(ctx, action.World{Objects: server.Client}, target, nil)
		Expect(err).NotTo(HaveOccurred())
		digest, err := action.Digest(planned)
		Expect(err).NotTo(HaveOccurred())
		owned := func(run *v1alpha1.WorkflowRun) {
			owner := build.Run("", "", target).OwnedBy(s.ar).Obj()
			run.OwnerReferences, run.Spec.PlanDigest = owner.OwnerReferences, digest
		}
		s.refers(ctx, "forward-"+s.node.Name)
		run := s.cordon(ctx, "forward", owned)
		again := s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionTrue, v1alpha1.ReasonCompleted))
		Expect(s.lease(ctx).Spec.HolderIdentity).To(HaveValue(Equal(lease.Identity(run))))
		Expect(s.lease(ctx).OwnerReferences).To(ConsistOf(HaveField("Name", s.node.Name)))
		Expect(again.RequeueAfter).To(Equal(lease.NodeRenewal))

		renewed := s.lease(ctx).Spec.RenewTime
		s.clock.Step(lease.NodeRenewal)
		_, err = s.reconciled(ctx, run)
		Expect(err).NotTo(HaveOccurred())
		Expect(s.lease(ctx).Spec.RenewTime.After(renewed.Time)).To(BeTrue())

		kept := s.clock.Now()
		s.clock.SetTime(run.Status.StartedAt.Add(lease.LongestTerm))
		renewed = s.lease(ctx).Spec.RenewTime
		s.driven(ctx, run)
		Expect(s.lease(ctx).Spec.RenewTime).To(Equal(renewed), "no verdict in two days: the lease is left to run out")
		s.clock.SetTime(kept)

		undo := build.Run(s.namespace, "undo-"+s.node.Name, target).Undoes(run.Name).OwnedBy(s.ar).Obj()
		s.refers(ctx, undo.Name)
		server.Create(ctx, undo)
		s.driven(ctx, undo)
		Expect(undo).To(succeeded(metav1.ConditionTrue, v1alpha1.ReasonCompleted))
		Expect(s.cordoned(ctx)).To(BeFalse())
		Expect(s.lease(ctx).Spec.HolderIdentity).To(HaveValue(Equal(lease.Identity(undo))))

		s.concluded(ctx)
		s.driven(ctx, undo)
		Expect(s.lease(ctx)).To(BeNil())
	})

	It("of another namespace takes neither its leases nor a place for it, even where that namespace may change nodes", func(ctx SpecContext) {
		s, hostile := setNode(ctx, mayKeepLeases), set(ctx)
		server.GrantEverywhere(ctx, kubetest.RemediatorUser(hostile.namespace), rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"patch"}})
		for name, namespace := range map[string]string{"with-namespace": hostile.namespace, "without": ""} {
			target := build.TargetOf(s.node, nodeKind)
			target.Namespace = namespace
			run := build.Run(hostile.namespace, name, target).Step("cordon", "Cordon", nil).Obj()
			if err := server.Client.Create(ctx, run); apierrors.IsInvalid(err) { // the schema refuses it
				continue
			}
			hostile.takesNothing(ctx, run, s.node.UID)
			Expect(run).To(kubetest.HaveCondition(v1alpha1.Succeeded, metav1.ConditionFalse, root(run).Reason))
			Expect(s.lease(ctx)).To(BeNil())
			Expect(s.cordoned(ctx)).To(BeFalse())
		}

		own := s.cordon(ctx, "own")
		s.driven(ctx, own)
		Expect(own).To(succeeded(metav1.ConditionTrue, v1alpha1.ReasonCompleted))
	})

	It("leaves a node alone that another remediator is at work on", func(ctx SpecContext) {
		s := setNode(ctx, mayKeepLeases)
		s.heldByOther(ctx, time.Minute)
		run := s.cordon(ctx, "late")
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionFalse, v1alpha1.ReasonOwnedByOther))
		Expect(run.Status.Conditions).To(ContainElement(HaveField("Message", ContainSubstring("node-healthcheck on Node/"+s.node.Name))))
		Expect(s.cordoned(ctx)).To(BeFalse())
		Expect(s.lease(ctx).Spec.HolderIdentity).To(HaveValue(Equal("node-healthcheck")))
	})

	It("takes a lease over that ran out", func(ctx SpecContext) {
		s := setNode(ctx, mayKeepLeases)
		s.heldByOther(ctx, time.Hour)
		run := s.cordon(ctx, "next")
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionTrue, v1alpha1.ReasonCompleted))
		Expect(s.cordoned(ctx)).To(BeTrue())
	})
})
