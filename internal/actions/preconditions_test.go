package actions_test

import (
	"context"
	"errors"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/actions"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// releasedWith is a Deployment at its second revision whose first, which has a ready pod
// still, had another pod spec.
func releasedWith(ctx context.Context, ns string, first func(*corev1.PodSpec)) *appsv1.Deployment {
	GinkgoHelper()
	d := build.Deployment(ns, "web").Replicas(2).MemoryLimit("64Mi").Obj()
	second := d.Spec.Template.Spec.DeepCopy()
	first(&d.Spec.Template.Spec)
	server.Create(ctx, d)
	before := build.ReplicaSetOf(d, 1)
	before.Status = appsv1.ReplicaSetStatus{Replicas: 1, ReadyReplicas: 1}
	server.Create(ctx, before)
	update(ctx, d, func(d *appsv1.Deployment) {
		d.Spec.Template.Spec = *second
		d.Spec.Template.Spec.Containers[0].Image = "example.test/web:2"
	})
	server.Create(ctx, build.ReplicaSetOf(d, 2))
	observed(ctx, d, func(d *appsv1.Deployment) {
		d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: 3, UpdatedReplicas: 2, ReadyReplicas: 1, AvailableReplicas: 1}
	})
	return d
}

// mounts gives the pod a volume that its container mounts.
func mounts(source corev1.VolumeSource) func(*corev1.PodSpec) {
	return func(spec *corev1.PodSpec) {
		spec.Volumes = []corev1.Volume{{Name: "extra", VolumeSource: source}}
		spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "extra", MountPath: "/extra"}}
	}
}

func variable(source corev1.EnvVarSource) func(*corev1.PodSpec) {
	return func(spec *corev1.PodSpec) {
		spec.Containers[0].Env = []corev1.EnvVar{{Name: "EXTRA", ValueFrom: &source}}
	}
}

func local(name string) corev1.LocalObjectReference { return corev1.LocalObjectReference{Name: name} }

var _ = Describe("Going back to a revision", func() {
	// Each is tried without what the revision needs, and with it.
	rows := map[string]struct {
		needs func(*corev1.PodSpec)
		says  string
		given func(ns string) client.Object
		short func(ns string) client.Object // something of its name that is not enough
	}{
		"that mounts a ConfigMap": {
			needs: mounts(corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: local("settings-1")}}),
			says:  "revision 1 of Deployment/web needs ConfigMap/settings-1, which does not exist",
			given: func(ns string) client.Object {
				return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "settings-1"}}
			},
		},
		"that takes all of a ConfigMap as variables": {
			needs: func(spec *corev1.PodSpec) {
				spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: local("settings-1")}}}
			},
			says: "needs ConfigMap/settings-1",
			given: func(ns string) client.Object {
				return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "settings-1"}}
			},
		},
		"that takes one key of a ConfigMap": {
			needs: variable(corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: local("settings"), Key: "URL"}}),
			says:  "needs key URL of ConfigMap/settings",
			short: func(ns string) client.Object {
				return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "settings"}, Data: map[string]string{"URI": "x"}}
			},
			given: func(ns string) client.Object {
				return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "settings"}, Data: map[string]string{"URL": "x"}}
			},
		},
		"of another ServiceAccount": {
			needs: func(spec *corev1.PodSpec) { spec.ServiceAccountName = "web" },
			says:  "needs ServiceAccount/web",
			given: func(ns string) client.Object {
				return &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "web"}}
			},
		},
		"that keeps its data in a claim": {
			needs: mounts(corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}),
			says:  "needs PersistentVolumeClaim/data",
			given: func(ns string) client.Object {
				return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "data"}, Spec: corev1.PersistentVolumeClaimSpec{
					AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
					Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
				}}
			},
		},
		"of a priority": {
			needs: func(spec *corev1.PodSpec) { spec.PriorityClassName = "front" },
			says:  "needs PriorityClass/front",
			given: func(string) client.Object {
				return &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: "front"}, Value: 10}
			},
		},
		"of a runtime": {
			needs: func(spec *corev1.PodSpec) { spec.RuntimeClassName = new("gvisor") },
			says:  "needs RuntimeClass/gvisor",
			given: func(string) client.Object {
				return &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: "gvisor"}, Handler: "runsc"}
			},
		},
	}
	for name, row := range rows {
		It(name+" is refused while that is missing", func(ctx SpecContext) {
			ns := server.Namespace(ctx)
			target := build.TargetOf(releasedWith(ctx, ns, row.needs), build.DeploymentKind)
			refused := func() {
				GinkgoHelper()
				_, err := find("RolloutUndo").Plan(ctx, world(), target, nil)
				var refusal *action.NotApplicableError
				Expect(errors.As(err, &refusal)).To(BeTrue(), "%v", err)
				Expect(refusal.Why).To(ContainSubstring(row.says))
			}
			refused()
			if row.short != nil {
				short := row.short(ns)
				server.Create(ctx, short)
				refused()
				Expect(server.Client.Delete(ctx, short)).To(Succeed())
			}
			given := row.given(ns)
			server.Create(ctx, given)
			DeferCleanup(func(ctx SpecContext) { _ = server.Client.Delete(ctx, given) })
			Expect(planned(ctx, find("RolloutUndo"), target, nil).NotChecked).To(BeEmpty())
		})
	}

	It("is not refused for what is optional", func(ctx SpecContext) {
		target := build.TargetOf(releasedWith(ctx, server.Namespace(ctx), func(spec *corev1.PodSpec) {
			mounts(corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: local("settings"), Optional: new(true)}})(spec)
			variable(corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: local("db"), Key: "password", Optional: new(true)}})(spec)
		}), build.DeploymentKind)
		Expect(planned(ctx, find("RolloutUndo"), target, nil).NotChecked).To(BeEmpty())
	})

	It("is not refused for a Secret that images are pulled with, but names it", func(ctx SpecContext) {
		target := build.TargetOf(releasedWith(ctx, server.Namespace(ctx), func(spec *corev1.PodSpec) {
			spec.ImagePullSecrets = []corev1.LocalObjectReference{local("registry")}
		}), build.DeploymentKind)
		Expect(planned(ctx, find("RolloutUndo"), target, nil).NotChecked).To(ConsistOf(ContainSubstring("Secret/registry")))
	})

	It("of a StatefulSet is refused in the same way", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		s := statefulSet(ctx, ns)
		needy := s.Spec.Template.DeepCopy()
		mounts(corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: local("settings-1")}})(&needy.Spec)
		kept(ctx, s, statefulSetKind, *needy, 2)
		podOf(ctx, s, statefulSetKind, 2, true)
		update(ctx, s, func(s *appsv1.StatefulSet) { s.Spec.Template.Spec.Containers[0].Image = "example.test/db:3" })
		kept(ctx, s, statefulSetKind, s.Spec.Template, 3)
		observed(ctx, s, func(s *appsv1.StatefulSet) { s.Status.ObservedGeneration = s.Generation })
		_, err := find("RolloutUndo").Plan(ctx, world(), build.TargetOf(s, statefulSetKind), nil)
		Expect(err).To(MatchError(ContainSubstring("revision 2 of StatefulSet/db needs ConfigMap/settings-1")))
	})

	It("reads no Secret: it names those that are not checked, and believes a kubelet that finds none", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		d := releasedWith(ctx, ns, mounts(corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "db"}}))
		target := build.TargetOf(d, build.DeploymentKind)
		Expect(planned(ctx, find("RolloutUndo"), target, nil).NotChecked).To(ConsistOf(ContainSubstring("Secret/db")))

		now := metav1.Now()
		said := &corev1.Event{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "web-rev1-a.1"}, Type: corev1.EventTypeWarning, Reason: "FailedMount",
			Message:        `MountVolume.SetUp failed for volume "extra" : secret "db-2" not found`,
			InvolvedObject: corev1.ObjectReference{Kind: "Pod", APIVersion: "v1", Namespace: ns, Name: "web-rev1-a", UID: "gone"},
			FirstTimestamp: now, LastTimestamp: now, Count: 1,
		}
		server.Create(ctx, said)
		Expect(planned(ctx, find("RolloutUndo"), target, nil).NotChecked).To(HaveLen(1), "that is another Secret")

		said.ObjectMeta = metav1.ObjectMeta{Namespace: ns, Name: "web-rev1-a.2"}
		said.Message = `MountVolume.SetUp failed for volume "extra" : secret "db" not found`
		server.Create(ctx, said)
		_, err := find("RolloutUndo").Plan(ctx, world(), target, nil)
		Expect(err).To(MatchError(ContainSubstring("revision 1 of Deployment/web needs Secret/db, which a kubelet does not find")))
	})

	It("waits while the operator may not read what the revision needs, and names the right", func(ctx SpecContext) {
		target := build.TargetOf(releasedWith(ctx, server.Namespace(ctx), func(spec *corev1.PodSpec) { spec.ServiceAccountName = "web" }), build.DeploymentKind)
		w := world()
		w.Objects = forbidding{Reader: operator, resource: "serviceaccounts", of: "ServiceAccount"}
		_, err := find("RolloutUndo").Plan(ctx, w, target, nil)
		var notYet *action.NotYetError
		Expect(errors.As(err, &notYet)).To(BeTrue(), "%v", err)
		Expect(notYet.Why).To(ContainSubstring("the operator may not get serviceaccounts in namespace " + target.Namespace))
	})
})

// forbidding is a reader that answers every get of one kind with 403.
type forbidding struct {
	client.Reader
	resource, of string
}

func (f forbidding) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	if obj.GetObjectKind().GroupVersionKind().Kind == f.of {
		return apierrors.NewForbidden(schema.GroupResource{Resource: f.resource}, key.Name, errors.New("no role lets it"))
	}
	return f.Reader.Get(ctx, key, obj, opts...)
}

// quota is one that its controller has counted.
func quota(ctx context.Context, ns, hard, used string) {
	GinkgoHelper()
	q := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "team"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourceLimitsMemory: resource.MustParse(hard)}},
	}
	server.Create(ctx, q)
	observed(ctx, q, func(q *corev1.ResourceQuota) {
		q.Status = corev1.ResourceQuotaStatus{Hard: q.Spec.Hard, Used: corev1.ResourceList{corev1.ResourceLimitsMemory: resource.MustParse(used)}}
	})
}

var _ = Describe("Room for what is to be", func() {
	DescribeTable("in a quota", func(ctx SpecContext, name string, params action.Params, hard, says string) {
		ns := server.Namespace(ctx)
		target := releasedTarget(ctx, ns) // two replicas of 64Mi, three pods at the moment
		quota(ctx, ns, hard, "192Mi")
		_, err := find(name).Plan(ctx, world(), target, params)
		if says == "" {
			Expect(err).NotTo(HaveOccurred())
			return
		}
		Expect(err).To(MatchError(ContainSubstring(says)))
	},
		Entry("is missing for twice the memory", "AdjustResources", action.Params{"container": "web"}, "192Mi", "allows 192Mi of limits.memory, and 320Mi would be in use"),
		Entry("is there for twice the memory", "AdjustResources", action.Params{"container": "web"}, "320Mi", ""),
		Entry("is missing for one pod more", "Scale", action.Params{"replicas": "4"}, "192Mi", "64Mi for each of 4 pods"),
		Entry("is there for one pod more", "Scale", action.Params{"replicas": "4"}, "256Mi", ""),
		Entry("is not needed for fewer pods", "Scale", action.Params{"replicas": "1"}, "64Mi", ""),
		Entry("is missing for the pod that a restart begins with", "RolloutRestart", nil, "128Mi", "beside one old pod"),
		Entry("is there for a way back to pods of the same size", "RolloutUndo", nil, "192Mi", ""),
		Entry("is missing for the way back", "RolloutUndo", nil, "128Mi", "ResourceQuota/team"),
	)

	It("on a node is missing where the largest has less memory than a pod would request", Serial, func(ctx SpecContext) {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "largest", Labels: map[string]string{"kubernetes.io/os": "linux"}}}
		server.Create(ctx, node)
		DeferCleanup(func(ctx SpecContext) { Expect(server.Client.Delete(ctx, node)).To(Succeed()) })
		has := func(memory string) {
			observed(ctx, node, func(n *corev1.Node) {
				n.Status.Allocatable = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(memory)}
			})
			update(ctx, node, func(n *corev1.Node) { n.Spec.Taints = nil }) // the API server takes a new one for not ready
		}
		target := releasedTarget(ctx, server.Namespace(ctx))
		has("100Mi")
		_, err := find("AdjustResources").Plan(ctx, world(), target, action.Params{"container": "web"})
		Expect(err).To(MatchError(ContainSubstring("would request 128Mi of memory, and the largest node that takes it, Node/largest, has 100Mi")))
		has("128Mi")
		planned(ctx, find("AdjustResources"), target, action.Params{"container": "web"})
	})
})

// well makes a Deployment that was released be well, with pods ready since a moment.
func well(ctx context.Context, ns string, since time.Time) *appsv1.Deployment {
	GinkgoHelper()
	d := released(ctx, ns)
	observed(ctx, d, func(d *appsv1.Deployment) {
		d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: 2, UpdatedReplicas: 2, ReadyReplicas: 2, AvailableReplicas: 2}
	})
	rs := &appsv1.ReplicaSet{}
	Expect(server.Client.Get(ctx, client.ObjectKey{Namespace: ns, Name: "web-rev2"}, rs)).To(Succeed())
	for _, suffix := range []string{"a", "b"} {
		p := build.PodOf(rs, suffix)
		server.Create(ctx, p)
		observed(ctx, p, func(p *corev1.Pod) {
			p.Status = corev1.PodStatus{Phase: corev1.PodRunning,
				Conditions:        []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(since)}},
				ContainerStatuses: []corev1.ContainerStatus{{Name: "web", Image: "x", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(since)}}}},
			}
		})
	}
	return d
}

var _ = Describe("A remedy for what is well", func() {
	remedies := map[string]action.Params{
		"RolloutUndo": nil, "AdjustResources": {"container": "web"}, "Scale": {"delta": "1"}, "RolloutRestart": nil,
		"SetImage": {"container": "web", "image": "example.test/web:1"},
	}
	for name, params := range remedies {
		It("is refused, or waited for, unless a user asks for it: "+name, func(ctx SpecContext) {
			ns := server.Namespace(ctx)
			since := time.Now().Add(-time.Hour).Truncate(time.Second)
			d := well(ctx, ns, since)
			target := build.TargetOf(d, build.DeploymentKind)
			failed := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "web-evicted", Labels: d.Spec.Template.Labels,
				OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web-rev2", UID: "u", Controller: new(true)}}}, Spec: d.Spec.Template.Spec}
			server.Create(ctx, failed)
			observed(ctx, failed, func(p *corev1.Pod) { p.Status.Phase, p.Status.Reason = corev1.PodFailed, "Evicted" })
			at := func(now time.Time) error {
				w := world()
				w.Now = now
				_, err := find(name).Plan(ctx, w, target, params)
				return err
			}
			var never *action.NotApplicableError
			Expect(errors.As(at(since.Add(12*time.Minute)), &never)).To(BeTrue())
			Expect(never.Why).To(ContainSubstring("has been well for 12m0s"))

			var notYet *action.NotYetError
			Expect(errors.As(at(since.Add(10*time.Second)), &notYet)).To(BeTrue())
			Expect(notYet.After).To(Equal(20 * time.Second))

			w := world()
			w.ByHand = true
			_, err := find(name).Plan(ctx, w, target, params)
			Expect(err).NotTo(HaveOccurred())

			// One that another workload with these labels owns says nothing about this one.
			other := build.PodOf(build.ReplicaSetOf(d, 9), "x")
			other.OwnerReferences[0].UID = "another"
			server.Create(ctx, other)
			Expect(errors.As(at(since.Add(12*time.Minute)), &never)).To(BeTrue())

			p := &corev1.Pod{}
			Expect(server.Client.Get(ctx, client.ObjectKey{Namespace: ns, Name: "web-rev2-a"}, p)).To(Succeed())
			observed(ctx, p, func(p *corev1.Pod) { p.Status.Conditions[0].Status = corev1.ConditionFalse })
			Expect(at(since.Add(12 * time.Minute))).To(Succeed())
		})
	}

	It("is planned with the operator's history only", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		d := well(ctx, ns, time.Now().Add(-time.Hour))
		_, err := find("RolloutUndo").Plan(ctx, action.World{Objects: operator, History: actions.NewHistory(operator)}, build.TargetOf(d, build.DeploymentKind), nil)
		Expect(err).To(MatchError(ContainSubstring("has been well for 1h0m")), "without a time it is the present")
	})

	It("is refused for a ready pod, and not for one that is not", func(ctx SpecContext) {
		d := daemonSet(ctx, server.Namespace(ctx))
		ready := podOf(ctx, d, daemonSetKind, 1, true)
		_, err := find("RestartPod").Plan(ctx, world(), build.TargetOf(ready, podKind), nil)
		Expect(err).To(MatchError(ContainSubstring("nothing to cure")))
		Expect(server.Client.Delete(ctx, ready, client.GracePeriodSeconds(0))).To(Succeed())
		planned(ctx, find("RestartPod"), build.TargetOf(podOf(ctx, d, daemonSetKind, 1, false), podKind), nil)
	})
})
