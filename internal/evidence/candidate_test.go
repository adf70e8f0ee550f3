package evidence_test

import (
	"context"
	"errors"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/evidence"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
)

// workload is a Deployment, one pod of it and its Service. The pod runs the images.
func workload(name string, images ...string) []client.Object {
	d := build.Deployment("", name).Revision(1).With(func(d *appsv1.Deployment) {
		if len(images) == 0 {
			return
		}
		spec := &d.Spec.Template.Spec
		spec.Containers = nil
		for i, image := range images {
			spec.Containers = append(spec.Containers, corev1.Container{Name: string(rune('a' + i)), Image: image})
		}
	}).Obj()
	return []client.Object{d, build.Service("", name, name)}
}

// made creates workloads in a namespace and returns the name of the pod of each.
func made(ctx context.Context, namespace string, objs ...client.Object) map[string]string {
	GinkgoHelper()
	pods := map[string]string{}
	for _, obj := range objs {
		obj.SetNamespace(namespace)
		Expect(server.Client.Create(ctx, obj)).To(Succeed())
		d, ok := obj.(*appsv1.Deployment)
		if !ok {
			continue
		}
		rs := build.ReplicaSetOf(d, 1)
		Expect(server.Client.Create(ctx, rs)).To(Succeed())
		pod := build.PodOf(rs, "x2b9k")
		Expect(server.Client.Create(ctx, pod)).To(Succeed())
		pods[d.Name] = pod.Name
	}
	return pods
}

func autoscaler(name, apiVersion, kind, target string) client.Object {
	return &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			MaxReplicas: 3, ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: apiVersion, Kind: kind, Name: target},
		},
	}
}

func claim(name string) client.Object {
	return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
	}}
}

func job(name string) client.Object {
	spec := build.Deployment("", name).Obj().Spec.Template
	spec.Spec.RestartPolicy = corev1.RestartPolicyNever
	return &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: batchv1.JobSpec{Template: spec}}
}

const stateMetrics = "registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.15.0"

// unreadable is an API server that refuses to serve pods.
type unreadable struct{ client.Reader }

func (u unreadable) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	if _, ok := obj.(*corev1.Pod); ok {
		return errors.New("pods can't be read")
	}
	return u.Reader.Get(ctx, key, obj, opts...)
}

var _ = Describe("The subject of an alert", func() {
	var namespace string
	BeforeEach(func(ctx SpecContext) { namespace = server.Namespace(ctx) })

	// about returns what an alert is about; "POD name" in a label stands for the pod of a Deployment.
	about := func(ctx context.Context, name string, labels map[string]string, objs []client.Object) string {
		GinkgoHelper()
		pods := made(ctx, namespace, objs...)
		for label, value := range labels {
			if pod, ok := pods[value]; ok && label == "pod" {
				labels[label] = pod
			}
		}
		labels["namespace"] = namespace
		found, err := evidence.NewResolver(server.Client).Trace(ctx, namespace, v1alpha1.Alert{Name: name, Labels: labels})
		if errors.Is(err, evidence.ErrNoTarget) {
			return ""
		}
		Expect(err).NotTo(HaveOccurred())
		Expect(found.Target.Namespace).To(Equal(namespace))
		return found.Target.Kind + "/" + found.Target.Name
	}
	type labels = map[string]string
	all := func(lists ...[]client.Object) []client.Object {
		var objs []client.Object
		for _, list := range lists {
			objs = append(objs, list...)
		}
		return objs
	}

	DescribeTable("is the first object its labels name that exists and was not only scraped",
		func(ctx SpecContext, name string, said labels, objs []client.Object, want string) {
			Expect(about(ctx, name, said, objs)).To(Equal(want))
		},
		Entry("the Service that is down", "TargetDown", labels{"service": "pricing", "job": "pricing"}, workload("pricing"), "Service/pricing"),
		Entry("the pod that is down, of its Deployment", "TargetDown", labels{"service": "pricing", "pod": "pricing"}, workload("pricing"), "Deployment/pricing"),
		Entry("an exporter that is down", "TargetDown", labels{"service": "kube-state-metrics"}, workload("kube-state-metrics", stateMetrics), "Service/kube-state-metrics"),
		Entry("the Service of an application named like the job", "ApiErrorRateHigh", labels{"service": "api", "job": "api"}, workload("api"), "Service/api"),
		Entry("nothing where no Service has the name", "ApiErrorRateHigh", labels{"service": "team-payments", "node": "n1"}, workload("api"), ""),

		Entry("the pod beside a job_name that names nothing", "StreamJobRestarting", labels{"pod": "stream", "job_name": "enrich-orders"}, workload("stream"), "Deployment/stream"),
		Entry("the pod beside a job_name that names another Job", "StreamJobRestarting", labels{"pod": "stream", "job_name": "enrich-orders"},
			append(workload("stream"), job("enrich-orders")), "Deployment/stream"),
		Entry("the pod, where the alert begins with job and no Job has the name", "JobRestarting", labels{"pod": "stream", "job_name": "enrich-orders"}, workload("stream"), "Deployment/stream"),
		Entry("the Job, where one has it", "JobFailed", labels{"pod": "metrics", "job_name": "import"},
			append(workload("metrics"), job("import")), "Job/import"),
		Entry("the pod beside a deployment that names nothing", "CheckoutLatencyHigh", labels{"pod": "checkout", "deployment": "blue"}, workload("checkout"), "Deployment/checkout"),
		Entry("the pod beside a deployment that names another workload", "CheckoutLatencyHigh", labels{"pod": "checkout", "deployment": "blue"},
			all(workload("checkout"), workload("blue")), "Deployment/checkout"),
		Entry("the Deployment that an alert about Deployments names", "KubeDeploymentReplicasMismatch", labels{"pod": "checkout", "deployment": "blue"},
			all(workload("checkout"), workload("blue")), "Deployment/blue"),
		Entry("nothing where that one is gone", "KubeDeploymentReplicasMismatch", labels{"pod": "checkout", "deployment": "blue"}, workload("checkout"), ""),
		Entry("the Service where a deployment names nothing", "CheckoutLatencyHigh", labels{"deployment": "blue", "service": "checkout"}, workload("checkout"), "Service/checkout"),
		Entry("a Deployment that an application's metric names", "QueueFull", labels{"deployment": "checkout"}, workload("checkout"), "Deployment/checkout"),

		Entry("the StatefulSet, not the exporter", "KubeStatefulSetReplicasMismatch", labels{"statefulset": "db", "pod": "kube-state-metrics", "service": "kube-state-metrics"},
			append(workload("kube-state-metrics", stateMetrics), statefulSet("db")), "StatefulSet/db"),
		Entry("the DaemonSet, not the exporter", "DaemonSetMisscheduled", labels{"daemonset": "agent", "pod": "metrics"},
			append(workload("metrics", stateMetrics), daemonSet("agent")), "DaemonSet/agent"),
		Entry("the claim, not the exporter", "VolumeFull", labels{"persistentvolumeclaim": "data", "pod": "metrics", "service": "metrics", "node": "n1"},
			append(workload("metrics", stateMetrics), claim("data")), "PersistentVolumeClaim/data"),
		Entry("what an autoscaler scales", "KubeHpaMaxedOut", labels{"horizontalpodautoscaler": "web-hpa", "pod": "metrics"},
			append(all(workload("metrics", stateMetrics), workload("web")), autoscaler("web-hpa", "apps/v1", "Deployment", "web")), "Deployment/web"),
		Entry("nothing where an autoscaler scales a custom resource", "KubeHpaMaxedOut", labels{"horizontalpodautoscaler": "web-hpa", "pod": "metrics"},
			append(all(workload("metrics", stateMetrics), workload("web")), autoscaler("web-hpa", "example.test/v1", "Rollout", "web")), ""),
		Entry("nothing where an autoscaler is gone", "KubeHpaMaxedOut", labels{"horizontalpodautoscaler": "web-hpa", "pod": "metrics"}, workload("metrics", stateMetrics), ""),

		Entry("what an exporter by its image reports on", "ReplicasTooFew", labels{"deployment": "web", "pod": "metrics", "service": "metrics"},
			all(workload("metrics", stateMetrics, "quay.io/brancz/kube-rbac-proxy:v0.18@sha256:0"), workload("web")), "Deployment/web"),
		Entry("nothing where an exporter reports on what no label names", "QuotaAlmostFull", labels{"resourcequota": "compute", "pod": "metrics", "service": "metrics"},
			workload("metrics", stateMetrics), ""),
		Entry("a pod that only has an exporter as a sidecar", "ReplicationLag", labels{"pod": "mysql", "container": "b"},
			workload("mysql", "mysql:9", "prom/mysqld-exporter:v0.17"), "Deployment/mysql"),
		Entry("an application that is named like an exporter", "ExportBacklogHigh", labels{"pod": "my-exporter", "job": "my-exporter"}, workload("my-exporter", "shop/my-exporter:1"), "Deployment/my-exporter"),
		Entry("an application that is named like an exporter and crashes", "KubePodCrashLooping", labels{"pod": "my-exporter", "job": "kube-state-metrics"}, workload("my-exporter"), "Deployment/my-exporter"),
		Entry("what else exists before what is named like an exporter", "QueueFull", labels{"pod": "my-exporter", "deployment": "web"},
			all(workload("my-exporter"), workload("web")), "Deployment/web"),
		Entry("kube-state-metrics that crashes", "KubePodCrashLooping", labels{"pod": "kube-state-metrics"}, workload("kube-state-metrics", stateMetrics), "Deployment/kube-state-metrics"),
		Entry("kube-state-metrics that fails", "KubeStateMetricsListErrors", labels{"pod": "kube-state-metrics"}, workload("kube-state-metrics", stateMetrics), "Deployment/kube-state-metrics"),

		Entry("the pod that was scraped, where an application's own pod was renamed and names nothing", "QueueFull", labels{"pod": "worker", "exported_pod": "podcast-7"},
			workload("worker"), "Deployment/worker"),
		Entry("nothing where an exporter reports on a pod that is gone", "PodNotReady", labels{"pod": "metrics", "service": "metrics", "exported_pod": "gone"},
			workload("metrics", stateMetrics), ""),

		Entry("a pod that was replaced, beside labels that name nothing", "StreamJobRestarting",
			labels{"pod": "stream-7c5ddbdf54-x2b9k", "job_name": "enrich-orders", "service": "stream", "node": "n1"}, workload("stream"), "Deployment/stream"),
		Entry("a pod that was replaced, beside a deployment that names another workload", "CheckoutLatencyHigh",
			labels{"pod": "checkout-7c5ddbdf54-x2b9k", "deployment": "blue"}, all(workload("checkout"), workload("blue")), "Deployment/checkout"),
		Entry("the Service where a pod was replaced and its name leads nowhere", "QueueFull", labels{"pod": "gone", "service": "web"}, workload("web"), "Service/web"),
		Entry("nothing where a pod that crashed is gone and its name leads nowhere", "KubePodCrashLooping", labels{"pod": "gone", "service": "web"}, workload("web"), ""),
		Entry("nothing where a pod can be of several workloads, whatever else is named", "QueueFull", labels{"pod": "web-7c5ddbdf54-x2b9z", "service": "api"},
			append(all(workload("web"), workload("api")), daemonSet("web-7c5ddbdf54")), ""),
		Entry("nothing where an exporter's pod was replaced", "QuotaAlmostFull", labels{"pod": "kube-state-metrics-7c5ddbdf54-x2b9k"}, workload("kube-state-metrics", stateMetrics), ""),
	)

	It("is never a Node in a namespace where the alert names something else", func(ctx SpecContext) {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
		Expect(server.Client.Create(ctx, node)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(server.Client.Delete(ctx, node)).To(Succeed()) })
		Expect(about(ctx, "BasketErrorRateHigh", labels{"service": "basket", "node": node.Name}, nil)).To(BeEmpty())
	})

	It("is not the next candidate where one can't be read", func(ctx SpecContext) {
		pods := made(ctx, namespace, workload("web")...)
		_, err := evidence.NewResolver(unreadable{server.Client}).Trace(ctx, namespace,
			v1alpha1.Alert{Name: "QueueFull", Labels: labels{"namespace": namespace, "pod": pods["web"], "service": "web"}})
		Expect(err).To(MatchError(ContainSubstring("pods can't be read")))
		Expect(err).NotTo(MatchError(evidence.ErrNoTarget))
	})

	It("is the pod that was scraped in the namespace of an application that calls something of its own a namespace", func(ctx SpecContext) {
		pods := made(ctx, namespace, workload("temporal")...)
		found, err := evidence.NewResolver(server.Client).Trace(ctx, namespace,
			v1alpha1.Alert{Name: "WorkflowTasksFail", Labels: labels{"namespace": namespace, "pod": pods["temporal"], "exported_namespace": "orders"}})
		Expect(err).NotTo(HaveOccurred())
		Expect(found.Target.Name).To(Equal("temporal"))
	})

	It("is nothing where the pod is there and its owner is gone, whatever else is named", func(ctx SpecContext) {
		s := shopIn(ctx, namespace)
		pod := build.PodOf(s.replicaSet, "x2b9k")
		pod.OwnerReferences[0].UID = "uid-of-the-one-before"
		Expect(server.Client.Create(ctx, pod)).To(Succeed())
		_, err := evidence.NewResolver(server.Client).Trace(ctx, namespace,
			v1alpha1.Alert{Name: "QueueFull", Labels: labels{"namespace": namespace, "pod": pod.Name, "deployment": "shop"}})
		Expect(err).To(MatchError(evidence.ErrNoTarget))
	})

	It("names every object that does not exist", func(ctx SpecContext) {
		_, err := evidence.NewResolver(server.Client).Trace(ctx, namespace,
			v1alpha1.Alert{Name: "QueueFull", Labels: labels{"namespace": namespace, "pod": "gone", "service": "web"}})
		Expect(err).To(MatchError("Pod/gone does not exist; Service/web does not exist: no target"))
	})
})
