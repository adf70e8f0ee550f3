package evidence_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kubernaut/kubernaut/internal/evidence"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/internal/vitals"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// byPod holds what each pod's container wrote; other pods' logs can't be read.
type byPod map[string][]string

func (l byPod) Tail(_ context.Context, _ string, of analysis.Log) ([]string, error) {
	lines, ok := l[of.Pod]
	if !ok {
		return nil, errors.New("no kubelet")
	}
	return lines, nil
}

var _ = Describe("Gathering what fails beside a workload", func() {
	var namespace string
	now := time.Now().Truncate(time.Second)
	clock := clocktesting.NewFakePassiveClock(now)

	BeforeEach(func(ctx SpecContext) { namespace = server.Namespace(ctx) })

	gathered := func(ctx context.Context, s shop, logs evidence.Logs) *analysis.Snapshot {
		target := build.TargetOf(s.deployment, build.DeploymentKind)
		return evidence.NewGatherer(server.Client, logs, clock).Gather(ctx, target.ObjectReference, target)
	}
	named := func(ctx context.Context, name string) shop {
		GinkgoHelper()
		var s shop
		s.deployment = build.Deployment(namespace, name).Revision(1).Obj()
		s.deployment.Spec.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "LEDGER", Value: "postgres://app:hunter2@ledger-db:5432/" + name}}
		server.Create(ctx, s.deployment)
		s.replicaSet = build.ReplicaSetOf(s.deployment, 1)
		server.Create(ctx, s.replicaSet)
		s.pod = build.PodOf(s.replicaSet, "abcde")
		server.Create(ctx, s.pod)
		return s
	}
	backedOff := func(ctx context.Context, pod *corev1.Pod, since, last time.Duration) {
		GinkgoHelper()
		server.Create(ctx, &corev1.Event{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("%s.%d", pod.Name, since)}, Type: corev1.EventTypeWarning,
			Reason: "BackOff", Message: "Back-off restarting failed container", Source: corev1.EventSource{Component: "kubelet", Host: "node-a"},
			InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: namespace, Name: pod.Name, UID: pod.UID, FieldPath: "spec.containers{" + pod.Spec.Containers[0].Name + "}"},
			FirstTimestamp: metav1.NewTime(now.Add(-since)), LastTimestamp: metav1.NewTime(now.Add(-last)), Count: 9,
		})
	}

	It("notes each other workload that is backed off, when it was rolled out and what it says", func(ctx SpecContext) {
		ours, other, past := named(ctx, "shop"), named(ctx, "till"), named(ctx, "mail")
		crashed(ctx, ours.pod)
		for _, pod := range []*corev1.Pod{ours.pod, other.pod} {
			backedOff(ctx, pod, 5*time.Minute, time.Minute)
		}
		backedOff(ctx, past.pod, time.Hour, 20*time.Minute)
		const line = "fatal: dial tcp 10.20.0.9:5432: connect: connection refused password=hunter2"
		seen := gathered(ctx, ours, byPod{ours.pod.Name: {line}, other.pod.Name: {"starting", line}})
		Expect(seen.Neighbours).To(HaveLen(1))
		n := seen.Neighbours[0]
		Expect(n).To(And(HaveField("Name", "Deployment/till"), HaveField("Node", "node-a"), HaveField("Since", now.Add(-5*time.Minute).UTC())))
		Expect(n.Changed).To(BeTemporally("==", other.replicaSet.CreationTimestamp.Time))
		Expect(n.Lines).To(ConsistOf(And(ContainSubstring("10.20.0.9:5432"), Not(ContainSubstring("hunter2")))))
		Expect(seen.Missing).To(BeEmpty())
	})
	It("prefers those that were not changed where many fail", func(ctx SpecContext) {
		later := clocktesting.NewFakePassiveClock(now.Add(time.Hour))
		ours, old := named(ctx, "shop"), named(ctx, "till")
		crashed(ctx, ours.pod)
		const line, next = "could not connect to server: Connection refused", "Is the server running on host \"ledger-db\" and accepting"
		logs := byPod{ours.pod.Name: {line, next}, old.pod.Name: {line, next}}
		backedOff(ctx, old.pod, -52*time.Minute, -59*time.Minute)
		for i := range 4 {
			released := named(ctx, fmt.Sprintf("released-%d", i))
			released.replicaSet.Annotations[vitals.ReusedAnnotation] = "1"
			Expect(server.Client.Update(ctx, released.replicaSet)).To(Succeed())
			logs[released.pod.Name] = []string{line, next}
			backedOff(ctx, released.pod, -55*time.Minute, -59*time.Minute)
		}
		target := build.TargetOf(ours.deployment, build.DeploymentKind)
		seen := evidence.NewGatherer(server.Client, logs, later).Gather(ctx, target.ObjectReference, target)
		Expect(seen.Neighbours).To(HaveLen(3))
		Expect(seen.Neighbours[0]).To(And(HaveField("Name", "Deployment/till"), HaveField("Endpoint", "ledger-db"), HaveField("Lines", ConsistOf(line))))
	})
	It("does not ask about others while the target is well, nor fail if they can't be read", func(ctx SpecContext) {
		ours, other := named(ctx, "shop"), named(ctx, "till")
		backedOff(ctx, other.pod, 5*time.Minute, time.Minute)
		ours.pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}
		Expect(server.Client.Status().Update(ctx, ours.pod)).To(Succeed())
		Expect(gathered(ctx, ours, byPod{}).Neighbours).To(BeEmpty())
		crashed(ctx, ours.pod)
		seen := gathered(ctx, ours, byPod{ours.pod.Name: {"error: no ledger"}})
		Expect(seen.Neighbours).To(ConsistOf(And(HaveField("Name", "Deployment/till"), HaveField("Lines", BeEmpty()))))
		Expect(seen.Missing).To(BeEmpty(), "what a neighbour says is a detail")
	})
	It("tells which revisions name the host that a log complains of, and none of the values", func(ctx SpecContext) {
		s := named(ctx, "shop")
		crashed(ctx, s.pod)
		seen := gathered(ctx, s, byPod{s.pod.Name: {"error: lookup ledger-db on 10.96.0.10:53: no such host"}})
		Expect(seen.Endpoints).To(ConsistOf(analysis.Endpoint{Host: "ledger-db", Templates: []string{s.replicaSet.Name}}))
		seen = gathered(ctx, s, byPod{s.pod.Name: {"error: lookup cards on 10.96.0.10:53: no such host"}})
		Expect(seen.Endpoints).To(ConsistOf(analysis.Endpoint{Host: "cards"}))
		raw, err := json.Marshal(seen)
		Expect(err).NotTo(HaveOccurred())
		Expect(string(raw)).NotTo(Or(ContainSubstring("postgres://"), ContainSubstring("hunter2")))
	})
	It("tells how the node is on which a container crashes", func(ctx SpecContext) {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: namespace + "-node"}}
		server.Create(ctx, node)
		DeferCleanup(server.Client.Delete, node)
		node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionFalse, LastTransitionTime: metav1.NewTime(now.Add(-time.Minute))}}
		Expect(server.Client.Status().Update(ctx, node)).To(Succeed())
		s := named(ctx, "shop")
		Expect(server.Client.Delete(ctx, s.pod)).To(Succeed())
		placed := build.PodOf(s.replicaSet, "fghij")
		placed.Spec.NodeName = node.Name
		server.Create(ctx, placed)
		crashed(ctx, placed)
		Expect(gathered(ctx, s, byPod{}).Hosts).To(ConsistOf(analysis.Host{Name: node.Name, Code: analysis.NodeNotReady, Since: now.Add(-time.Minute).UTC()}))
	})
	It("reads when a ReplicaSet that is used again was scaled up", func(ctx SpecContext) {
		s := named(ctx, "shop")
		crashed(ctx, s.pod)
		event := &corev1.Event{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "scaled"}, Type: corev1.EventTypeNormal, Reason: vitals.ScalingReason,
			Message:        "Scaled up replica set " + s.replicaSet.Name + " from 0 to 1",
			InvolvedObject: corev1.ObjectReference{Kind: "Deployment", Namespace: namespace, Name: "shop", UID: s.deployment.UID}, LastTimestamp: metav1.NewTime(now),
		}
		server.Create(ctx, event)
		Expect(gathered(ctx, s, byPod{}).ScaledUp).To(BeEmpty(), "its creation says when it was rolled out")
		s.replicaSet.Annotations[vitals.ReusedAnnotation] = "1"
		Expect(server.Client.Update(ctx, s.replicaSet)).To(Succeed())
		Expect(gathered(ctx, s, byPod{}).ScaledUp).To(HaveKeyWithValue(s.replicaSet.Name, now.UTC()))
	})
})
