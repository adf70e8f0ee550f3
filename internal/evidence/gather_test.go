package evidence_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/evidence"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// paper holds what the containers wrote; an API server without nodes has no logs.
type paper struct {
	lines []string
	err   error
}

func (p paper) Tail(context.Context, string, analysis.Log) ([]string, error) {
	return slices.Clone(p.lines), p.err
}

// onlyCurrent is a kubelet that has removed the logs of all runs but the last.
type onlyCurrent []string

func (o onlyCurrent) Tail(_ context.Context, _ string, of analysis.Log) ([]string, error) {
	if of.Previous {
		return nil, apierrors.NewBadRequest("previous terminated container not found")
	}
	return slices.Clone(o), nil
}

// crashed gives a pod a container that was restarted and is down.
func crashed(ctx context.Context, pod *corev1.Pod) {
	GinkgoHelper()
	pod.Status.Phase = corev1.PodRunning
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: "shop", RestartCount: 4, Image: "shop", ImageID: "shop",
		State:                corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
		LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", Message: "password=hunter2"}},
	}}
	Expect(server.Client.Status().Update(ctx, pod)).To(Succeed())
}

var _ = Describe("Gathering", func() {
	var namespace string
	clock := clocktesting.NewFakePassiveClock(build.Started)

	BeforeEach(func(ctx SpecContext) { namespace = server.Namespace(ctx) })

	gathered := func(ctx context.Context, reader client.Reader, logs evidence.Logs) *analysis.Snapshot {
		GinkgoHelper()
		target, err := evidence.NewResolver(server.Client).Climb(ctx, build.Reference(build.Deployment(namespace, "shop").Obj(), build.DeploymentKind))
		Expect(err).NotTo(HaveOccurred())
		return evidence.NewGatherer(reader, logs, clock).Gather(ctx, target.ObjectReference, target)
	}

	It("sees the workload, its revisions, its own pods and their logs", func(ctx SpecContext) {
		s := shopIn(ctx, namespace)
		crashed(ctx, s.pod)
		stranger := build.PodOf(s.replicaSet, "stray")
		stranger.OwnerReferences = nil // it carries the labels, and belongs to nobody
		Expect(server.Client.Create(ctx, stranger)).To(Succeed())

		seen := gathered(ctx, server.Client, paper{lines: []string{"starting", "error: no ledger"}})
		Expect(seen.Missing).To(BeEmpty())
		Expect(seen.TakenAt).To(Equal(build.Started))
		Expect(seen.Deployments).To(HaveLen(1))
		Expect(seen.ReplicaSets).To(HaveLen(1))
		Expect(seen.Pods).To(HaveLen(1))
		Expect(seen.Pods[0].Name).To(Equal(s.pod.Name))
		Expect(seen.Logs).To(ConsistOf(analysis.Log{Pod: s.pod.Name, Container: "shop", Previous: true, Lines: []string{"starting", "error: no ledger"}}))
		Expect(seen.Changes).To(HaveLen(1), "who wrote the template")
	})

	It("says that the log of the last run is gone, and takes an empty one for what it is", func(ctx SpecContext) {
		s := shopIn(ctx, namespace)
		crashed(ctx, s.pod)
		gone := apierrors.NewBadRequest("previous terminated container shop in pod " + s.pod.Name + " not found")
		of := "log of shop in pod " + s.pod.Name

		seen := gathered(ctx, server.Client, paper{})
		Expect(seen.Logs).To(BeEmpty())
		Expect(seen.Missing).To(BeEmpty())

		Expect(gathered(ctx, server.Client, paper{err: gone}).Missing).To(BeEmpty(), "the kubelet does not know that it ever ran")
		ran := &s.pod.Status.ContainerStatuses[0].LastTerminationState.Terminated
		(*ran).StartedAt, (*ran).FinishedAt = metav1.NewTime(build.Started), metav1.NewTime(build.Started)
		Expect(server.Client.Status().Update(ctx, s.pod)).To(Succeed())
		Expect(gathered(ctx, server.Client, paper{err: gone}).Missing).To(ConsistOf(And(HaveField("What", of), HaveField("Detail", true))))

		// It ended once more: its log is the current one, and the previous one may be gone.
		status := &s.pod.Status.ContainerStatuses[0]
		status.State = corev1.ContainerState{Terminated: (*ran).DeepCopy()}
		Expect(server.Client.Status().Update(ctx, s.pod)).To(Succeed())
		seen = gathered(ctx, server.Client, onlyCurrent{"error: no ledger"})
		Expect(seen.Missing).To(BeEmpty())
		Expect(seen.Logs).To(ConsistOf(analysis.Log{Pod: s.pod.Name, Container: "shop", Lines: []string{"error: no ledger"}}))
	})

	It("holds no secret, whoever wrote it where", func(ctx SpecContext) {
		deployment := build.Deployment(namespace, "shop").Revision(1).Obj()
		deployment.Annotations["kubectl.kubernetes.io/last-applied-configuration"] = `{"password":"hunter2"}`
		container := &deployment.Spec.Template.Spec.Containers[0]
		container.Env = []corev1.EnvVar{{Name: "REGION", Value: "hunter2"}}
		container.Args = []string{"--db-password", "hunter2", "--api-token=hunter2"}
		container.Command = []string{"sh", "-c", "exec server password=hunter2"}
		Expect(server.Client.Create(ctx, deployment)).To(Succeed())
		rs := build.ReplicaSetOf(deployment, 1)
		Expect(server.Client.Create(ctx, rs)).To(Succeed())
		pod := build.PodOf(rs, "abcde")
		Expect(server.Client.Create(ctx, pod)).To(Succeed())
		crashed(ctx, pod)
		Expect(server.Client.Create(ctx, &corev1.Event{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "e"}, Type: corev1.EventTypeWarning, Reason: "Failed",
			Message: "token=hunter2", InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: namespace, Name: pod.Name, UID: pod.UID},
		})).To(Succeed())

		seen := gathered(ctx, server.Client, paper{lines: []string{"login password=hunter2"}})
		Expect(seen.Events).To(HaveLen(1))
		Expect(seen.Logs).NotTo(BeEmpty())
		raw, err := json.Marshal(seen)
		Expect(err).NotTo(HaveOccurred())
		Expect(string(raw)).NotTo(ContainSubstring("hunter2"))
		Expect(string(raw)).NotTo(ContainSubstring("managedFields"))
	})

	It("tells revisions apart by what it does not show", func(ctx SpecContext) {
		s := shopIn(ctx, namespace)
		s.deployment.Spec.Template.Spec.ServiceAccountName = "another"
		rs := build.ReplicaSetOf(s.deployment, 2)
		Expect(server.Client.Create(ctx, rs)).To(Succeed())
		marks := map[string]bool{}
		for _, r := range gathered(ctx, server.Client, paper{}).ReplicaSets {
			marks[r.Spec.Template.Annotations[analysis.PodSpecAnnotation]] = true
		}
		Expect(marks).To(HaveLen(2))
	})

	It("stays within its bounds, whatever there is, and keeps what fails", func(ctx SpecContext) {
		s := shopIn(ctx, namespace)
		for i := range 30 {
			pod := build.PodOf(s.replicaSet, fmt.Sprintf("p%04d", i))
			Expect(server.Client.Create(ctx, pod)).To(Succeed())
			if i == 29 {
				crashed(ctx, pod)
			}
		}
		seen := gathered(ctx, server.Client, paper{lines: slices.Repeat([]string{strings.Repeat("error ", 4000)}, 500)})
		Expect(len(seen.Deployments) + len(seen.ReplicaSets) + len(seen.Pods)).To(BeNumerically("<=", 40))
		Expect(seen.Pods[0].Name).To(HaveSuffix("p0029"))
		size := 0
		for _, log := range seen.Logs {
			size += len(strings.Join(log.Lines, "\n"))
		}
		Expect(size).To(And(BeNumerically(">", 0), BeNumerically("<=", 64<<10)))
	})

	It("names what it may not read, and takes nothing for broken", func(ctx SpecContext) {
		s := shopIn(ctx, namespace)
		crashed(ctx, s.pod)
		server.Grant(ctx, namespace, "near-sighted", rbacv1.PolicyRule{
			APIGroups: []string{"apps"}, Resources: []string{"deployments", "replicasets"}, Verbs: []string{"get", "list"},
		})
		seen := gathered(ctx, server.As("near-sighted"), paper{})
		Expect(seen.Deployments).To(HaveLen(1))
		Expect(seen.Pods).To(BeEmpty())
		Expect(seen.Missing).To(ConsistOf(
			And(HaveField("What", "pods of Deployment/shop"), HaveField("Forbidden", true), HaveField("Detail", false), HaveField("Transient", false)),
			And(HaveField("What", "events about Deployment/shop"), HaveField("Forbidden", true), HaveField("Detail", true)),
		))
		Expect(evidence.Judge(seen).Why).To(ContainSubstring("could not be read"))
	})

	It("notes what other workloads with the image have, where there is too little memory to begin", func(ctx SpecContext) {
		s := shopIn(ctx, namespace)
		image := s.pod.Spec.Containers[0].Image
		for name, d := range map[string]*appsv1.Deployment{
			"ready":   build.Deployment(namespace, "ready").Image(image).MemoryLimit("64Mi").Ready().Obj(),
			"unready": build.Deployment(namespace, "unready").Image(image).MemoryLimit("32Mi").Obj(),
			"other":   build.Deployment(namespace, "other").Image("example.test/other:1").MemoryLimit("48Mi").Ready().Obj(),
		} {
			d.Status.UpdatedReplicas, d.Status.ObservedGeneration = d.Status.Replicas, 1
			Expect(d.Name).To(Equal(name))
			server.Create(ctx, d)
		}
		Expect(gathered(ctx, server.Client, paper{}).Siblings).To(BeEmpty(), "as long as nothing says so")
		Expect(server.Client.Create(ctx, &corev1.Event{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "e"}, Type: corev1.EventTypeWarning, Reason: "FailedCreatePodSandBox",
			Message:        "container init was OOM-killed (memory limit too low?): unknown",
			InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: namespace, Name: s.pod.Name, UID: s.pod.UID},
		})).To(Succeed())
		seen := gathered(ctx, server.Client, paper{}).Siblings
		Expect(seen).To(HaveLen(1))
		Expect(seen[0].Workload).To(Equal("Deployment/ready"))
		Expect(seen[0].MemoryLimit.String()).To(Equal("64Mi"))
	})

	DescribeTable("says why a log is not there, unless there never was one",
		func(ctx SpecContext, err error, missing int) {
			crashed(ctx, shopIn(ctx, namespace).pod)
			seen := gathered(ctx, server.Client, paper{err: err})
			Expect(seen.Logs).To(BeEmpty())
			Expect(seen.Missing).To(HaveLen(missing))
			for _, m := range seen.Missing {
				Expect(m.Detail).To(BeTrue())
			}
		},
		Entry("forbidden", apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "log", errors.New("no")), 1),
		Entry("the kubelet is away", errors.New("dial tcp: connection refused"), 1),
		Entry("no container ran before", apierrors.NewBadRequest("previous terminated container not found"), 0),
	)

	It("does not take another object of the same name for the target", func(ctx SpecContext) {
		target := build.TargetOf(shopIn(ctx, namespace).deployment, build.DeploymentKind)
		target.UID = "uid-of-the-one-before"
		seen := evidence.NewGatherer(server.Client, paper{}, clock).Gather(ctx, target.ObjectReference, target)
		Expect(seen.Deployments).To(BeEmpty())
		Expect(seen.Missing).To(ConsistOf(HaveField("Why", ContainSubstring("took its place"))))
	})

	It("gathers what a Service that selects nothing could have meant", func(ctx SpecContext) {
		shopIn(ctx, namespace)
		for _, name := range []string{"stock", "mail"} {
			Expect(server.Client.Create(ctx, build.Deployment(namespace, name).Obj())).To(Succeed())
			Expect(server.Client.Create(ctx, build.Service(namespace, name, name))).To(Succeed())
		}
		svc := build.Service(namespace, "shop", "shpo")
		Expect(server.Client.Create(ctx, svc)).To(Succeed())
		target := build.TargetOf(svc, build.ServiceKind)
		seen := evidence.NewGatherer(server.Client, paper{}, clock).Gather(ctx, target.ObjectReference, target)
		Expect(seen.Missing).To(BeEmpty())
		Expect(seen.Pods).To(BeEmpty())
		Expect(seen.Deployments).To(HaveLen(3))
		Expect(seen.Services).To(HaveLen(3))
		Expect(seen.Services[0].Name).To(Equal("shop"))
		Expect(seen.PodLabels).To(Equal(map[string][]string{"app": {"shop"}}), "what pods carry, though none is kept")
	})

	It("tells which labels of a selector pods carry at run time, however many pods there are", func(ctx SpecContext) {
		s := shopIn(ctx, namespace)
		for i := range 14 {
			Expect(server.Client.Create(ctx, build.PodOf(s.replicaSet, fmt.Sprintf("p%04d", i)))).To(Succeed())
		}
		last := build.PodOf(s.replicaSet, "zzzzz")
		last.Labels["role"] = "follower"
		Expect(server.Client.Create(ctx, last)).To(Succeed())
		svc := build.Service(namespace, "leader", "shop")
		svc.Spec.Selector["role"], svc.Spec.Selector["zone"] = "leader", "a"
		Expect(server.Client.Create(ctx, svc)).To(Succeed())
		target := build.TargetOf(svc, build.ServiceKind)
		seen := evidence.NewGatherer(server.Client, paper{}, clock).Gather(ctx, target.ObjectReference, target)
		Expect(seen.PodLabels).To(Equal(map[string][]string{"app": {"shop"}, "role": {"follower"}}))
	})

	It("keeps the memory limits in force, of a container and of the pod, and a resize that waits", func(ctx SpecContext) {
		s := shopIn(ctx, namespace)
		crashed(ctx, s.pod)
		limit := func(amount string) *corev1.ResourceRequirements {
			return &corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(amount)}}
		}
		s.pod.Status.ContainerStatuses[0].Resources, s.pod.Status.Resources = limit("64Mi"), limit("96Mi")
		s.pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodResizePending, Status: corev1.ConditionTrue, Reason: corev1.PodReasonDeferred, Message: "password=hunter2"}}
		Expect(server.Client.Status().Update(ctx, s.pod)).To(Succeed())
		seen := gathered(ctx, server.Client, paper{}).Pods[0].Status
		Expect(seen.ContainerStatuses[0].Resources.Limits.Memory().String()).To(Equal("64Mi"))
		Expect(seen.Resources.Limits.Memory().String()).To(Equal("96Mi"))
		Expect(seen.Conditions).To(ConsistOf(And(HaveField("Type", corev1.PodResizePending), HaveField("Message", Not(ContainSubstring("hunter2"))))))
	})
})
