package evidence_test

import (
	"encoding/json"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kubernaut/kubernaut/internal/evidence"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

var _ = Describe("Gathering about a node", func() {
	var node *corev1.Node
	clock := clocktesting.NewFakePassiveClock(build.Started)

	BeforeEach(func(ctx SpecContext) {
		namespace := server.Namespace(ctx)
		now := metav1.Now()
		node = &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: namespace}, Spec: corev1.NodeSpec{Unschedulable: true}}
		node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown, Reason: "NodeStatusUnknown", Message: "token=hunter2", LastHeartbeatTime: now, LastTransitionTime: now}}
		server.Create(ctx, node)
		pod := build.PodOf(build.ReplicaSetOf(build.Deployment(namespace, "shop").Obj(), 1), "abcde")
		pod.Spec.NodeName, pod.OwnerReferences = node.Name, nil
		server.Create(ctx, pod)
		ended := build.PodOf(build.ReplicaSetOf(build.Deployment(namespace, "shop").Obj(), 1), "ended")
		ended.Spec.NodeName, ended.OwnerReferences, ended.Status.Phase = node.Name, nil, corev1.PodSucceeded
		server.Create(ctx, ended)
		if err := server.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-node-lease"}}); err != nil {
			Expect(apierrors.IsAlreadyExists(err)).To(BeTrue(), "%v", err)
		}
		renewed := metav1.NewMicroTime(build.Started.Add(-time.Minute))
		server.Create(ctx,
			&coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-node-lease", Name: node.Name}, Spec: coordinationv1.LeaseSpec{RenewTime: &renewed}},
			&corev1.Event{
				ObjectMeta: metav1.ObjectMeta{Namespace: "default", GenerateName: "e-"}, Type: corev1.EventTypeNormal, Reason: "NodeNotReady",
				InvolvedObject: corev1.ObjectReference{Kind: "Node", Name: node.Name}, Message: "Node is not ready",
			})
	})

	gathered := func(ctx SpecContext, user string) *analysis.Snapshot {
		reader := server.Client
		if user != "" {
			reader = server.As(user)
		}
		target := build.TargetOf(node, corev1.SchemeGroupVersion.WithKind("Node"))
		return evidence.NewGatherer(reader, paper{}, clock).Gather(ctx, target.ObjectReference, target)
	}

	It("sees its conditions, when its kubelet was last heard of, and of all else how many", func(ctx SpecContext) {
		seen := gathered(ctx, "")
		Expect(seen.Missing).To(BeEmpty())
		Expect(seen.Machine.RenewedAt).To(BeTemporally("==", build.Started.Add(-time.Minute)))
		Expect(seen.Machine.Unschedulable).To(BeTrue())
		Expect(seen.Machine.Taints).NotTo(BeEmpty())
		Expect(seen.Machine.Pods).To(Equal(1))
		Expect(seen.Machine.Nodes).To(BeNumerically(">=", seen.Machine.Down))
		Expect(seen.Machine.Down).To(BeNumerically(">", 0))
		Expect(seen.Events).To(HaveLen(1))
		raw, err := json.Marshal(seen)
		Expect(err).NotTo(HaveOccurred())
		Expect(string(raw)).NotTo(ContainSubstring("hunter2"))
		Expect(string(raw)).NotTo(ContainSubstring("abcde"), "a pod of another namespace")
	})

	It("does without the lease where that was not granted", func(ctx SpecContext) {
		server.GrantEverywhere(ctx, "far-sighted", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"nodes", "pods", "events"}, Verbs: []string{"get", "list"}})
		seen := gathered(ctx, "far-sighted")
		Expect(seen.Missing).To(BeEmpty())
		Expect(seen.Machine.RenewedAt).To(BeZero())
		Expect(evidence.Judge(seen).Why).To(ContainSubstring("silent"))
	})

	It("tells one from many by no node at all where the others can't be counted", func(ctx SpecContext) {
		server.GrantEverywhere(ctx, "one-eyed", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"get"}})
		seen := gathered(ctx, "one-eyed")
		Expect(seen.Missing).To(ContainElement(And(HaveField("What", "the other nodes"), HaveField("Detail", false), HaveField("Forbidden", true))))
	})
})
