package evidence_test

import (
	"context"
	"errors"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/evidence"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
)

// shop is a Deployment with a ReplicaSet and a pod of it.
type shop struct {
	deployment *appsv1.Deployment
	replicaSet *appsv1.ReplicaSet
	pod        *corev1.Pod
}

func shopIn(ctx context.Context, namespace string) shop {
	GinkgoHelper()
	var s shop
	s.deployment = build.Deployment(namespace, "shop").Revision(1).Obj()
	Expect(server.Client.Create(ctx, s.deployment)).To(Succeed())
	s.replicaSet = build.ReplicaSetOf(s.deployment, 1)
	Expect(server.Client.Create(ctx, s.replicaSet)).To(Succeed())
	s.pod = build.PodOf(s.replicaSet, "abcde")
	Expect(server.Client.Create(ctx, s.pod)).To(Succeed())
	return s
}

func statefulSetIn(namespace, name string) client.Object {
	set := statefulSet(name)
	set.SetNamespace(namespace)
	return set
}

func statefulSet(name string) client.Object {
	d := build.Deployment("", name).Obj()
	return &appsv1.StatefulSet{ObjectMeta: d.ObjectMeta, Spec: appsv1.StatefulSetSpec{Selector: d.Spec.Selector, Template: d.Spec.Template}}
}

func daemonSet(name string) client.Object {
	d := build.Deployment("", name).Obj()
	return &appsv1.DaemonSet{ObjectMeta: d.ObjectMeta, Spec: appsv1.DaemonSetSpec{Selector: d.Spec.Selector, Template: d.Spec.Template}}
}

// dying is an API server that answers so many reads more.
type dying struct {
	client.Reader
	reads int
}

func (d *dying) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	if d.reads--; d.reads < 0 {
		return errors.New("the API server is away")
	}
	return d.Reader.Get(ctx, key, obj, opts...)
}

func alertAbout(labels map[string]string) v1alpha1.Alert {
	return v1alpha1.Alert{Name: "KubePodCrashLooping", Labels: labels}
}

var _ = Describe("Resolving", func() {
	var namespace string
	var resolver *evidence.Resolver

	BeforeEach(func(ctx SpecContext) {
		namespace = server.Namespace(ctx)
		resolver = evidence.NewResolver(server.Client)
	})

	It("climbs from a pod to its Deployment, with uid and generation", func(ctx SpecContext) {
		s := shopIn(ctx, namespace)
		found, err := resolver.Resolve(ctx, namespace, alertAbout(map[string]string{"namespace": namespace, "pod": s.pod.Name}))
		Expect(err).NotTo(HaveOccurred())
		Expect(found.Subject).To(Equal(build.Reference(s.pod, build.PodKind)))
		Expect(found.Target).To(Equal(build.TargetOf(s.deployment, build.DeploymentKind)))
		Expect(found.Target.UID).NotTo(BeEmpty())
		Expect(found.Target.Generation).To(Equal(s.deployment.Generation))
	})

	It("stops below an owner that is not Kubernetes' own", func(ctx SpecContext) {
		pod := build.PodOf(shopIn(ctx, namespace).replicaSet, "other")
		pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "example.test/v1", Kind: "Shop", Name: "shop", UID: "uid-1", Controller: new(true)}}
		Expect(server.Client.Create(ctx, pod)).To(Succeed())
		target, err := resolver.Climb(ctx, build.Reference(pod, build.PodKind))
		Expect(err).NotTo(HaveOccurred())
		Expect(target.Kind).To(Equal("Pod"))
	})

	It("finds no target in an owner of the same name that came later", func(ctx SpecContext) {
		pod := build.PodOf(shopIn(ctx, namespace).replicaSet, "late")
		pod.OwnerReferences[0].UID = "uid-of-the-one-before"
		Expect(server.Client.Create(ctx, pod)).To(Succeed())
		_, err := resolver.Climb(ctx, build.Reference(pod, build.PodKind))
		Expect(err).To(MatchError(evidence.ErrNoTarget))
	})

	DescribeTable("finds no target",
		func(ctx SpecContext, labels func() map[string]string) {
			shopIn(ctx, namespace)
			_, err := resolver.Resolve(ctx, namespace, alertAbout(labels()))
			Expect(err).To(MatchError(evidence.ErrNoTarget))
		},
		Entry("in labels that name nothing", func() map[string]string { return map[string]string{"severity": "page"} }),
		Entry("in labels that name what does not exist", func() map[string]string {
			return map[string]string{"namespace": namespace, "deployment": "gone"}
		}),
		Entry("in labels that speak of another namespace", func() map[string]string {
			return map[string]string{"namespace": "kube-system", "deployment": "shop"}
		}),
	)

	It("does not take what it may not read for what does not exist", func(ctx SpecContext) {
		resolver := evidence.NewResolver(server.As("nobody"))
		_, err := resolver.Resolve(ctx, namespace, alertAbout(map[string]string{"namespace": namespace, "deployment": "shop"}))
		Expect(err).NotTo(MatchError(evidence.ErrNoTarget))
		Expect(apierrors.IsForbidden(err)).To(BeTrue())
	})

	DescribeTable("traces a pod that is gone", func(ctx SpecContext, pod string, there []client.Object, kind string) {
		for _, obj := range there {
			obj.SetNamespace(namespace)
			Expect(server.Client.Create(ctx, obj)).To(Succeed())
		}
		found, err := resolver.Trace(ctx, namespace, alertAbout(map[string]string{"namespace": namespace, "pod": pod}))
		if kind == "" {
			Expect(err).To(MatchError(evidence.ErrNoTarget))
			return
		}
		Expect(err).NotTo(HaveOccurred())
		Expect(found.Gone).To(BeTrue())
		Expect(found.Subject.Name).To(Equal(pod))
		Expect(found.Target.Kind + " " + found.Target.Name).To(Equal(kind))
		Expect(found.Target.UID).NotTo(BeEmpty())
	},
		Entry("to its Deployment", "web-7c5ddbdf54-x2b9k", []client.Object{build.Deployment("", "web").Obj()}, "Deployment web"),
		Entry("to the Deployment of a long name", "web-with-a-word-7c5ddbdf54-x2b9k", []client.Object{build.Deployment("", "web").Obj(), build.Deployment("", "web-with-a-word").Obj()}, "Deployment web-with-a-word"),
		Entry("to its StatefulSet", "db-12", []client.Object{statefulSet("db")}, "StatefulSet db"),
		Entry("to its DaemonSet", "agent-x2b9k", []client.Object{daemonSet("agent")}, "DaemonSet agent"),
		Entry("to none of two that it can be of", "web-7c5ddbdf54-x2b9k", []client.Object{build.Deployment("", "web").Obj(), daemonSet("web-7c5ddbdf54")}, ""),
		Entry("to none that only begins as it does", "web-7c5ddbdf54-x2b9k", []client.Object{build.Deployment("", "we").Obj(), statefulSet("web")}, ""),
		Entry("to none by the minute of a CronJob's Job", "report-29929456-x2b9k", []client.Object{build.Deployment("", "report").Obj()}, ""),
		Entry("to none by the index of a Job's pod", "train-4-x2b9k", []client.Object{build.Deployment("", "train").Obj()}, ""),
		Entry("to none by a word that looks like a hash", "app-db-x2b9k", []client.Object{build.Deployment("", "app").Obj()}, ""),
		Entry("to none by a name that no controller gives", "web-aeiou", []client.Object{daemonSet("web")}, ""),
	)

	It("traces a pod to its Deployment once, though its ReplicaSet is there too", func(ctx SpecContext) {
		s := shopIn(ctx, namespace)
		Expect(server.Client.Delete(ctx, s.pod, client.GracePeriodSeconds(0))).To(Succeed())
		found, err := resolver.Trace(ctx, namespace, alertAbout(map[string]string{"namespace": namespace, "pod": s.replicaSet.Name + "-x2b9k"}))
		Expect(err).NotTo(HaveOccurred())
		Expect(found.Target).To(Equal(build.TargetOf(s.deployment, build.DeploymentKind)))
	})

	It("traces no pod that is there, and whose owner is gone", func(ctx SpecContext) {
		s := shopIn(ctx, namespace)
		pod := build.PodOf(s.replicaSet, "x2b9k")
		pod.OwnerReferences[0].UID = "uid-of-the-one-before"
		Expect(server.Client.Create(ctx, pod)).To(Succeed())
		_, err := resolver.Trace(ctx, namespace, alertAbout(map[string]string{"namespace": namespace, "pod": pod.Name}))
		Expect(err).To(MatchError(evidence.ErrNoTarget))
	})

	DescribeTable("traces a pod only to what was there when the alert began", func(ctx SpecContext, since time.Duration, there bool) {
		Expect(server.Client.Create(ctx, statefulSetIn(namespace, "db"))).To(Succeed())
		a := alertAbout(map[string]string{"namespace": namespace, "pod": "db-0"})
		a.StartsAt = metav1.NewTime(time.Now().Add(since))
		_, err := resolver.Trace(ctx, namespace, a)
		if there {
			Expect(err).NotTo(HaveOccurred())
			return
		}
		Expect(err).To(MatchError(evidence.ErrNoTarget))
	},
		Entry("a workload that was", time.Hour, true),
		Entry("none that was made anew", -time.Hour, false),
	)

	It("does not take what it can't read for what is gone", func(ctx SpecContext) {
		_, err := evidence.NewResolver(&dying{Reader: server.Client, reads: 1}).Trace(ctx, namespace, alertAbout(map[string]string{"namespace": namespace, "pod": "db-0"}))
		Expect(err).To(MatchError(ContainSubstring("is away")))
		Expect(err).NotTo(MatchError(evidence.ErrNoTarget))
	})
})
