package loops

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/kubetest/build"
)

const revisionAnnotation = "deployment.kubernetes.io/revision"

// app is a Deployment of one container, which has its name.
type app struct {
	name        string
	replicas    int32
	unavailable int32 // how many pods an update may make unavailable
	strategy    appsv1.DeploymentStrategyType
	lost        time.Duration // how long ago it became unavailable; zero: it is available
	rolling     bool          // the rollout of the last release is not complete
	releases    []release     // oldest first; each has another tag of the image
}

// release is a revision of a Deployment and its pods now.
type release struct {
	age         time.Duration
	pods, ready int32
}

// workload is a Deployment with the objects that its controller made.
type workload struct {
	app  app
	dep  *appsv1.Deployment
	sets []*appsv1.ReplicaSet // by revision
	pods []*corev1.Pod
}

// imageOf is the image of a revision.
func (w *workload) imageOf(revision int) string {
	return "example.test/" + w.app.name + ":1." + strconv.Itoa(revision)
}

// deploy creates a Deployment and its ReplicaSets as the Deployment's controller
// would leave them after the releases.
func (s *site) deploy(ctx context.Context, ns string, a app) *workload {
	w := &workload{app: a}
	last := len(a.releases)
	w.dep = build.Deployment(ns, a.name).Replicas(a.replicas).Revision(last).Image(w.imageOf(last)).Obj()
	w.dep.Spec.Strategy.Type = a.strategy
	if a.unavailable > 0 {
		w.dep.Spec.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{
			MaxUnavailable: new(intstr.FromInt32(a.unavailable)), MaxSurge: new(intstr.FromInt32(0)),
		}
	}
	w.dep.Status = a.status()
	s.Create(ctx, w.dep)
	s.Age(ctx, w.dep, a.releases[0].age, a.releases[last-1].age)
	for i, r := range a.releases {
		then := w.dep.DeepCopy()
		then.Spec.Template.Spec.Containers[0].Image = w.imageOf(i + 1)
		set := build.ReplicaSetOf(then, i+1)
		set.Spec.Replicas = &r.pods
		set.Status = appsv1.ReplicaSetStatus{Replicas: r.pods, FullyLabeledReplicas: r.pods, ReadyReplicas: r.ready, AvailableReplicas: r.ready, ObservedGeneration: 1}
		s.Create(ctx, set)
		s.Age(ctx, set, r.age, r.age)
		w.sets = append(w.sets, set)
	}
	if r := a.releases[last-1]; r.age < time.Hour { // which is how long the API server keeps events
		s.Create(ctx, event(w.dep, build.DeploymentKind.Kind, corev1.EventTypeNormal, "ScalingReplicaSet",
			fmt.Sprintf("Scaled up replica set %s from 0 to %d", w.sets[last-1].Name, r.pods), r.age, r.age))
	}
	return w
}

// status of a Deployment as its controller counts the pods of the releases.
func (a app) status() appsv1.DeploymentStatus {
	status := appsv1.DeploymentStatus{ObservedGeneration: 1}
	for _, r := range a.releases {
		status.Replicas += r.pods
		status.ReadyReplicas += r.ready
		status.UpdatedReplicas = r.pods
	}
	last := a.releases[len(a.releases)-1]
	status.AvailableReplicas = status.ReadyReplicas
	status.UnavailableReplicas = a.replicas - status.ReadyReplicas
	available := appsv1.DeploymentCondition{
		Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue, Reason: "MinimumReplicasAvailable",
		LastTransitionTime: since(a.releases[0].age), LastUpdateTime: since(a.releases[0].age),
	}
	if a.lost > 0 {
		available.Status, available.Reason = corev1.ConditionFalse, "MinimumReplicasUnavailable"
		available.LastTransitionTime, available.LastUpdateTime = since(a.lost), since(a.lost)
	}
	progressing := appsv1.DeploymentCondition{
		Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable",
		LastTransitionTime: since(a.releases[0].age), LastUpdateTime: since(max(last.age-10*time.Second, 0)),
	}
	if a.rolling {
		progressing.Reason = "ReplicaSetUpdated"
	}
	status.Conditions = []appsv1.DeploymentCondition{available, progressing}
	return status
}

// podState is how a pod is and was; times are how long ago something happened.
type podState struct {
	name     string
	age      time.Duration
	ready    time.Duration // since when it is ready; zero: it is not ready
	lost     time.Duration // when it stopped being ready; zero: it never was
	restarts int32
	exitCode int32         // of its last end
	ended    time.Duration // when it ended last
}

// pod creates a pod of a revision. Its container runs if it is ready; else it ended and is backed off.
func (s *site) pod(ctx context.Context, w *workload, revision int, p podState) *corev1.Pod {
	pod := build.PodOf(w.sets[revision-1], p.name)
	pod.Spec.NodeName = nodes[len(w.pods)%len(nodes)]
	container := corev1.ContainerStatus{Name: w.app.name, Image: w.imageOf(revision), RestartCount: p.restarts}
	began := since(p.age)
	if p.restarts > 0 {
		ran := time.Second
		if p.ready > 0 {
			ran = 9*day - p.ended
		}
		container.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{
			ExitCode: p.exitCode, Reason: reasonOf(p.exitCode), StartedAt: since(p.ended + ran), FinishedAt: since(p.ended),
		}
		began = since(p.ready + 5*time.Second)
	}
	if container.Ready = p.ready > 0; container.Ready {
		container.State.Running = &corev1.ContainerStateRunning{StartedAt: began}
	} else {
		container.State.Waiting = &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off 1m20s restarting failed container"}
	}
	pod.Status = corev1.PodStatus{
		Phase: corev1.PodRunning, StartTime: new(since(p.age)), Conditions: p.conditions(), ContainerStatuses: []corev1.ContainerStatus{container},
	}
	s.Create(ctx, pod)
	s.Age(ctx, pod, p.age, p.age)
	if !container.Ready {
		first := p.lost
		if first == 0 {
			first = p.age
		}
		s.Create(ctx, event(pod, build.PodKind.Kind, corev1.EventTypeWarning, "BackOff",
			fmt.Sprintf("Back-off restarting failed container %s in pod %s", w.app.name, pod.Name), first-2*time.Second, 5*time.Second))
	}
	w.pods = append(w.pods, pod)
	return pod
}

func reasonOf(exitCode int32) string {
	if exitCode == 255 {
		return "Unknown" // the kubelet was not there to see it end
	}
	return "Error"
}

func (p podState) conditions() []corev1.PodCondition {
	started := since(p.age)
	ready, changed := corev1.ConditionTrue, since(p.ready)
	if p.ready == 0 {
		ready, changed = corev1.ConditionFalse, started
	}
	if p.lost > 0 {
		changed = since(p.lost)
	}
	return []corev1.PodCondition{
		{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: started},
		{Type: corev1.PodInitialized, Status: corev1.ConditionTrue, LastTransitionTime: started},
		{Type: corev1.ContainersReady, Status: ready, LastTransitionTime: changed},
		{Type: corev1.PodReady, Status: ready, LastTransitionTime: changed},
	}
}

// evict leaves so many pods of a revision behind that the kubelet evicted within the last days.
func (s *site) evict(ctx context.Context, w *workload, revision, many int) {
	for i := range many {
		age := time.Duration(i+2) * 6 * time.Hour
		pod := build.PodOf(w.sets[revision-1], "evicted"+strconv.Itoa(i))
		pod.Spec.NodeName = nodes[i%len(nodes)]
		pod.Status = corev1.PodStatus{
			Phase: corev1.PodFailed, Reason: "Evicted", StartTime: new(since(age)),
			Message: "The node was low on resource: ephemeral-storage. Threshold quantity: 4Gi, available: 3Gi.",
			Conditions: []corev1.PodCondition{
				{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "TerminationByKubelet", LastTransitionTime: since(age - time.Hour)},
				{Type: corev1.PodReady, Status: corev1.ConditionFalse, Reason: "PodFailed", LastTransitionTime: since(age - time.Hour)},
			},
		}
		if i%2 == 0 { // the container had begun
			pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
				Name: w.app.name, Image: w.imageOf(revision),
				State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "Error", StartedAt: since(age), FinishedAt: since(age - time.Hour)}},
			}}
		}
		s.Create(ctx, pod)
		s.Age(ctx, pod, age, age)
	}
}

// restore does what the Deployment's controller and a kubelet do once the first
// revision is asked for again: the pod of the second one goes, and another comes.
func (s *site) restore(t *testing.T, w *workload, crashing *corev1.Pod) {
	t.Helper()
	ctx, g := t.Context(), NewWithT(t)
	good, bad := w.sets[0], w.sets[1]
	good.Annotations[revisionAnnotation], good.Annotations[revisionAnnotation+"-history"] = "3", "1"
	good.Spec.Replicas, bad.Spec.Replicas = &w.app.replicas, new(int32(0))
	g.Expect(s.Client.Update(ctx, good)).To(Succeed())
	g.Expect(s.Client.Update(ctx, bad)).To(Succeed())
	g.Expect(s.Client.Delete(ctx, crashing, client.GracePeriodSeconds(0))).To(Succeed())
	s.pod(ctx, w, 1, podState{name: "b", age: 2 * time.Second, ready: time.Second})
	ready := w.app.replicas
	good.Status = appsv1.ReplicaSetStatus{Replicas: ready, FullyLabeledReplicas: ready, ReadyReplicas: ready, AvailableReplicas: ready, ObservedGeneration: good.Generation}
	bad.Status = appsv1.ReplicaSetStatus{ObservedGeneration: bad.Generation}
	g.Expect(s.Client.Status().Update(ctx, good)).To(Succeed())
	g.Expect(s.Client.Status().Update(ctx, bad)).To(Succeed())

	g.Expect(s.Client.Get(ctx, client.ObjectKeyFromObject(w.dep), w.dep)).To(Succeed())
	w.dep.Annotations[revisionAnnotation] = "3"
	g.Expect(s.Client.Update(ctx, w.dep)).To(Succeed())
	restored := w.app
	restored.rolling = false
	restored.releases = []release{w.app.releases[1], {age: time.Second, pods: ready, ready: ready}}
	restored.releases[0].pods = 0
	w.dep.Status = restored.status()
	w.dep.Status.ObservedGeneration = w.dep.Generation
	g.Expect(s.Client.Status().Update(ctx, w.dep)).To(Succeed())
}

// image of the container of a Deployment now.
func (s *site) image(ctx context.Context, w *workload) (string, error) {
	dep := &appsv1.Deployment{}
	if err := s.Client.Get(ctx, client.ObjectKeyFromObject(w.dep), dep); err != nil {
		return "", fmt.Errorf("reading the Deployment: %w", err)
	}
	return dep.Spec.Template.Spec.Containers[0].Image, nil
}

// database creates a database that crashes, and its Service.
func (s *site) database(ctx context.Context, ns string) {
	service := build.Service(ns, "db", "db")
	service.Spec.Ports[0].Port, service.Spec.Ports[0].TargetPort = 5432, intstr.FromInt32(5432)
	s.Create(ctx, service)
	w := s.deploy(ctx, ns, app{name: "db", replicas: 1, lost: down, releases: []release{{age: 40 * day, pods: 1}}})
	pod := s.pod(ctx, w, 1, podState{name: "a", age: 40 * day, lost: down, restarts: 4, exitCode: 1, ended: down - backedOff})
	s.kubelet.Log(pod, "db", "database system is starting up", `PANIC: could not write to file "pg_wal/xlogtemp.29": No space left on device`)
}

// event is about an object, seen from the first to the last of two times, as long ago as given.
func event(obj client.Object, kind, severity, reason, message string, first, last time.Duration) *corev1.Event {
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: obj.GetNamespace(), GenerateName: obj.GetName() + "."},
		InvolvedObject: corev1.ObjectReference{Kind: kind, Namespace: obj.GetNamespace(), Name: obj.GetName(), UID: obj.GetUID()},
		Type:           severity, Reason: reason, Message: message,
		FirstTimestamp: since(first), LastTimestamp: since(last), Count: 5,
		Source: corev1.EventSource{Component: "kubelet"},
	}
}

// since is the time that was so long ago.
func since(ago time.Duration) metav1.Time { return metav1.NewTime(time.Now().Add(-ago)) }
