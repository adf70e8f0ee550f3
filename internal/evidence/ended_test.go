package evidence_test

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/evidence"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// shortPages reads lists of pods with pages of so many.
type shortPages struct {
	client.Reader
	size int64
}

func (r shortPages) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if _, pods := list.(*corev1.PodList); pods {
		opts = append(opts, client.Limit(r.size))
	}
	return r.Reader.List(ctx, list, opts...)
}

// readyFor gives a pod the status of one that has been ready for a while.
func readyFor(pod *corev1.Pod, d time.Duration) *corev1.Pod {
	since := metav1.NewTime(build.Started.Add(-d))
	pod.Status = corev1.PodStatus{
		Phase:      corev1.PodRunning,
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: since}},
		ContainerStatuses: []corev1.ContainerStatus{{
			Name: pod.Spec.Containers[0].Name, Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: since}},
		}},
	}
	return pod
}

// over gives a pod the status of one that ended.
func over(pod *corev1.Pod, phase corev1.PodPhase, reason string) *corev1.Pod {
	pod.Status = corev1.PodStatus{Phase: phase, Reason: reason}
	return pod
}

var _ = Describe("Gathering beside pods that have ended", func() {
	var namespace string
	var deployment *appsv1.Deployment
	var replicaSet *appsv1.ReplicaSet
	clock := clocktesting.NewFakePassiveClock(build.Started)

	BeforeEach(func(ctx SpecContext) {
		namespace = server.Namespace(ctx)
		deployment = build.Deployment(namespace, "thumbs").Revision(1).Ready().Obj()
		server.Create(ctx, deployment)
		replicaSet = build.ReplicaSetOf(deployment, 1)
		server.Create(ctx, replicaSet)
	})

	gathered := func(ctx context.Context, page int64, target v1alpha1.TargetReference) *analysis.Snapshot {
		return evidence.NewGatherer(shortPages{server.Client, page}, paper{}, clock).Gather(ctx, target.ObjectReference, target)
	}

	DescribeTable("judges by the pod that lives",
		func(ctx SpecContext, phase corev1.PodPhase, reason string, page int64) {
			for i := range 14 { // they come first in the list
				server.Create(ctx, over(build.PodOf(replicaSet, fmt.Sprintf("a%04d", i)), phase, reason))
			}
			server.Create(ctx, readyFor(build.PodOf(replicaSet, "zzzzz"), 2*time.Hour))

			seen := gathered(ctx, page, build.TargetOf(deployment, build.DeploymentKind))
			Expect(seen.Missing).To(BeEmpty())
			Expect(seen.Pods[0].Name).To(HaveSuffix("zzzzz"))
			Expect(len(seen.Pods)).To(BeNumerically("<=", 3))
			vitals := evidence.Judge(seen)
			Expect(vitals.Health).To(Equal(v1alpha1.HealthHealthy), vitals.Why)
			Expect(vitals.Since).To(BeTemporally("==", build.Started.Add(-2*time.Hour)))
		},
		Entry("beside evicted ones", corev1.PodFailed, "Evicted", int64(500)),
		Entry("beside completed ones", corev1.PodSucceeded, "Completed", int64(500)),
		Entry("beside more evicted ones than a page holds", corev1.PodFailed, "Evicted", int64(5)),
		Entry("beside more completed ones than a page holds", corev1.PodSucceeded, "Completed", int64(5)),
		Entry("beside more of a node that shut down than a page holds", corev1.PodFailed, "Terminated", int64(14)),
		Entry("beside those that the node rejected", corev1.PodFailed, "OutOfcpu", int64(14)),
	)

	It("sees a living pod that is not ready beyond a page of evicted ones", func(ctx SpecContext) {
		for i := range 6 {
			server.Create(ctx, over(build.PodOf(replicaSet, fmt.Sprintf("a%04d", i)), corev1.PodFailed, "Evicted"))
		}
		server.Create(ctx, build.PodOf(replicaSet, "zzzzz"))
		seen := gathered(ctx, 5, build.TargetOf(deployment, build.DeploymentKind))
		Expect(seen.Missing).To(BeEmpty())
		Expect(evidence.Judge(seen)).To(And(HaveField("Health", v1alpha1.HealthUnhealthy), HaveField("Why", ContainSubstring("zzzzz is not ready"))))
	})

	It("concludes nothing where more pods live than a page holds", func(ctx SpecContext) {
		for i := range 6 {
			server.Create(ctx, readyFor(build.PodOf(replicaSet, fmt.Sprintf("a%04d", i)), time.Hour))
		}
		seen := gathered(ctx, 5, build.TargetOf(deployment, build.DeploymentKind))
		Expect(seen.Missing).To(ConsistOf(HaveField("What", "some of pods of Deployment/thumbs")))
		Expect(evidence.Judge(seen).Health).To(Equal(v1alpha1.HealthUnknown))
	})

	It("still names evicted pods where no other is left", func(ctx SpecContext) {
		for i := range 6 {
			server.Create(ctx, over(build.PodOf(replicaSet, fmt.Sprintf("a%04d", i)), corev1.PodFailed, "Evicted"))
		}
		seen := gathered(ctx, 500, build.TargetOf(deployment, build.DeploymentKind))
		Expect(seen.Pods).To(HaveLen(2))
		Expect(evidence.Judge(seen)).To(And(HaveField("Health", v1alpha1.HealthUnhealthy), HaveField("Why", ContainSubstring("no pod of Deployment/thumbs"))))
	})

	It("judges a Service by the pod that lives", func(ctx SpecContext) {
		svc := build.Service(namespace, "thumbs", "thumbs")
		server.Create(ctx, svc, &discoveryv1.EndpointSlice{
			ObjectMeta:  metav1.ObjectMeta{Namespace: namespace, Name: "thumbs-1", Labels: map[string]string{discoveryv1.LabelServiceName: "thumbs"}},
			AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.9"}}},
		})
		for i := range 14 {
			server.Create(ctx, over(build.PodOf(replicaSet, fmt.Sprintf("a%04d", i)), corev1.PodFailed, "Evicted"))
		}
		server.Create(ctx, readyFor(build.PodOf(replicaSet, "zzzzz"), 2*time.Hour))
		for _, page := range []int64{500, 5} {
			seen := gathered(ctx, page, build.TargetOf(svc, build.ServiceKind))
			Expect(seen.Missing).To(BeEmpty())
			Expect(seen.Deployments).To(HaveLen(1))
			vitals := evidence.Judge(seen)
			Expect(vitals.Health).To(Equal(v1alpha1.HealthHealthy), vitals.Why)
		}
	})

	DescribeTable("judges sets by the pods that live",
		func(ctx SpecContext, set client.Object, kind string, page int64) {
			set.SetNamespace(namespace)
			server.Create(ctx, set)
			owned := func(name string) *corev1.Pod {
				pod := build.PodOf(replicaSet, "x")
				pod.Name = name
				pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(set, appsv1.SchemeGroupVersion.WithKind(kind))}
				return pod
			}
			for i := range 6 {
				server.Create(ctx, over(owned(fmt.Sprintf("agent-a%04d", i)), corev1.PodFailed, "UnexpectedAdmissionError"))
			}
			server.Create(ctx, readyFor(owned("agent-zzzzz"), time.Hour))
			vitals := evidence.Judge(gathered(ctx, page, build.TargetOf(set, appsv1.SchemeGroupVersion.WithKind(kind))))
			Expect(vitals.Health).To(Equal(v1alpha1.HealthHealthy), vitals.Why)
		},
		Entry("a DaemonSet", readyDaemonSet(), "DaemonSet", int64(500)),
		Entry("a DaemonSet beyond a page", readyDaemonSet(), "DaemonSet", int64(5)),
		Entry("a StatefulSet", readyStatefulSet(), "StatefulSet", int64(500)),
		Entry("a StatefulSet beyond a page", readyStatefulSet(), "StatefulSet", int64(5)),
	)
})

// The sets select the pods of the Deployment thumbs, and own some of their own.
func readyDaemonSet() client.Object {
	d := build.Deployment("", "thumbs").Obj()
	return &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "agent"}, Spec: appsv1.DaemonSetSpec{Selector: d.Spec.Selector, Template: d.Spec.Template}, Status: appsv1.DaemonSetStatus{
		ObservedGeneration: 1, DesiredNumberScheduled: 1, CurrentNumberScheduled: 1, UpdatedNumberScheduled: 1, NumberReady: 1, NumberAvailable: 1,
	}}
}

func readyStatefulSet() client.Object {
	d := build.Deployment("", "thumbs").Obj()
	return &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "agent"}, Spec: appsv1.StatefulSetSpec{Selector: d.Spec.Selector, Template: d.Spec.Template}, Status: appsv1.StatefulSetStatus{
		ObservedGeneration: 1, Replicas: 1, UpdatedReplicas: 1, ReadyReplicas: 1, AvailableReplicas: 1,
	}}
}
