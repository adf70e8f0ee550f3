package evidence_test

import (
	"context"
	"encoding/json"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kubernaut/kubernaut/internal/evidence"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

var _ = Describe("Gathering what is around a workload", func() {
	var namespace string
	clock := clocktesting.NewFakePassiveClock(build.Started)

	BeforeEach(func(ctx SpecContext) { namespace = server.Namespace(ctx) })

	gathered := func(ctx context.Context, s shop) *analysis.Snapshot {
		target := build.TargetOf(s.deployment, build.DeploymentKind)
		return evidence.NewGatherer(server.Client, paper{}, clock).Gather(ctx, target.ObjectReference, target)
	}

	It("tells in one word how each node is to the pod that found no place", func(ctx SpecContext) {
		taint := func(key string) []corev1.Taint {
			return []corev1.Taint{{Key: key, Value: "secret-project", Effect: corev1.TaintEffectNoSchedule}}
		}
		want := map[string]analysis.NodeCode{}
		for _, row := range []struct {
			name, pool string
			spec       corev1.NodeSpec
			sick       bool
			code       analysis.NodeCode
		}{
			{name: "plain", pool: "red", code: analysis.NodeReady},
			{name: "tainted", pool: "red", spec: corev1.NodeSpec{Taints: taint("team")}, code: analysis.NodeTainted},
			{name: "tolerated", pool: "red", spec: corev1.NodeSpec{Taints: taint("mine")}, code: analysis.NodeReady},
			{name: "kept", pool: "red", spec: corev1.NodeSpec{Taints: taint("example.kubernetes.io/team")}, code: analysis.NodeTaintKept},
			{name: "disrupted", pool: "red", spec: corev1.NodeSpec{Taints: append(taint("team"), taint("karpenter.sh/disrupted")...)}, code: analysis.NodeLifecycle},
			{name: "deleted", pool: "red", spec: corev1.NodeSpec{Taints: taint("ToBeDeletedByClusterAutoscaler")}, code: analysis.NodeLifecycle},
			{name: "reserved", pool: "red", spec: corev1.NodeSpec{Taints: taint("node-role.kubernetes.io/infra")}, code: analysis.NodeReserved},
			{name: "pressed", pool: "red", spec: corev1.NodeSpec{Taints: taint("node.kubernetes.io/disk-pressure")}, code: analysis.NodePressed},
			{name: "cordoned", pool: "red", spec: corev1.NodeSpec{Unschedulable: true}, code: analysis.NodeCordoned},
			{name: "sick", pool: "red", sick: true, code: analysis.NodeNotReady},
			{name: "unwanted", pool: "blue", spec: corev1.NodeSpec{Taints: taint("team")}, code: analysis.NodeUnwanted},
		} {
			node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: namespace + "-" + row.name, Labels: map[string]string{"pool": row.pool}}, Spec: row.spec}
			server.Create(ctx, node)
			DeferCleanup(server.Client.Delete, node)
			node.Spec.Taints = row.spec.Taints // an admission plugin gave it one more
			Expect(server.Client.Update(ctx, node)).To(Succeed())
			if !row.sick {
				node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
				Expect(server.Client.Status().Update(ctx, node)).To(Succeed())
			}
			want[node.Name] = row.code
		}
		s := shopIn(ctx, namespace)
		Expect(server.Client.Delete(ctx, s.pod)).To(Succeed())
		homeless := build.PodOf(s.replicaSet, "zzzzz")
		homeless.Spec.NodeSelector = map[string]string{"pool": "red"}
		homeless.Spec.Tolerations = []corev1.Toleration{{Key: "mine", Operator: corev1.TolerationOpExists}}
		Expect(server.Client.Create(ctx, homeless)).To(Succeed())
		homeless.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable}}
		Expect(server.Client.Status().Update(ctx, homeless)).To(Succeed())

		seen := gathered(ctx, s)
		got := map[string]analysis.NodeCode{}
		for _, n := range seen.Nodes {
			if _, ours := want[n.Name]; ours {
				got[n.Name] = n.Code
			}
		}
		Expect(got).To(Equal(want))
		Expect(seen.Nodes).To(ContainElements(
			analysis.Node{Name: namespace + "-disrupted", Code: analysis.NodeLifecycle, By: "Karpenter"},
			analysis.Node{Name: namespace + "-deleted", Code: analysis.NodeLifecycle, By: "Cluster Autoscaler"},
		))
		raw, err := json.Marshal(seen.Nodes)
		Expect(err).NotTo(HaveOccurred())
		Expect(string(raw)).NotTo(Or(ContainSubstring("team"), ContainSubstring("secret-project")))
	})

	It("notes once for each owner that others can't get their images either", func(ctx SpecContext) {
		s := shopIn(ctx, namespace)
		warn := func(name, pod, uid, message string) {
			Expect(server.Client.Create(ctx, &corev1.Event{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Type: corev1.EventTypeWarning, Reason: "Failed", Message: message,
				InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: namespace, Name: pod, UID: types.UID(uid)},
			})).To(Succeed())
		}
		const failed = `Failed to pull image "a:1": not found`
		warn("ours", s.pod.Name, string(s.pod.UID), failed)
		warn("gone", s.replicaSet.Name+"-fghij", "gone", failed)
		warn("mail-1", "mail-5d9c-aaaaa", "m1", failed)
		warn("mail-2", "mail-5d9c-bbbbb", "m2", failed)
		warn("stock", "stock-7f-ccccc", "s1", failed+` token=hunter2`)
		warn("other", "prices-1-ddddd", "p1", "Back-off restarting failed container")

		seen := gathered(ctx, s)
		Expect(seen.Events).To(HaveLen(2))
		Expect(seen.Elsewhere).To(ConsistOf(
			HaveField("InvolvedObject.Name", HavePrefix("mail-5d9c-")), HaveField("InvolvedObject.Name", "stock-7f-ccccc"),
		))
		Expect(seen.Elsewhere).NotTo(ContainElement(HaveField("Message", ContainSubstring("hunter2"))))
	})
})
