package actions_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/actions"
	"github.com/kubernaut/kubernaut/internal/gate"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/pkg/action"
)

func TestActions(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "actions")
}

var (
	server   *kubetest.Server
	operator client.Client // reads with the operator's own rights
	door     *gate.Gate
	catalog  action.Catalog
)

var _ = BeforeSuite(func(ctx SpecContext) {
	server = kubetest.Start(GinkgoTB())
	server.Install(ctx, "config", "rbac")
	operator = server.Operator(ctx)
	door = gate.New(server.Config, server.Scheme, server.Client.RESTMapper(), kubetest.OperatorNamespace)
	var err error
	catalog, err = action.NewCatalog(actions.All()...)
	Expect(err).NotTo(HaveOccurred())
})

func find(name string) action.Action {
	GinkgoHelper()
	act, err := catalog.Find(name)
	Expect(err).NotTo(HaveOccurred())
	return act
}

func world() action.World {
	return action.World{Objects: operator, History: actions.NewHistory(operator), Stamp: "ar-1/1/restart"}
}

// granted lets the remediator of the namespace, for nodes of the operator's, do
// what the action says it needs, and opens it.
func granted(ctx context.Context, ns string, act action.Action) *gate.Tenant {
	GinkgoHelper()
	if act.Spec().Level == action.LevelNode {
		server.GrantEverywhere(ctx, kubetest.RemediatorUser(kubetest.OperatorNamespace), act.Spec().Rules...)
		tenant, err := door.Open(kubetest.OperatorNamespace)
		Expect(err).NotTo(HaveOccurred())
		return tenant
	}
	server.Grant(ctx, ns, kubetest.RemediatorUser(ns), act.Spec().Rules...)
	tenant, err := door.Open(ns)
	Expect(err).NotTo(HaveOccurred())
	return tenant
}

func planned(ctx context.Context, act action.Action, target action.Target, params action.Params) action.Plan {
	GinkgoHelper()
	plan, err := act.Plan(ctx, world(), target, params)
	Expect(err).NotTo(HaveOccurred())
	Expect(plan.Operations).NotTo(BeEmpty())
	return plan
}

func digest(plan action.Plan) string {
	GinkgoHelper()
	text, err := action.Digest(plan)
	Expect(err).NotTo(HaveOccurred())
	return text
}

// spec returns the spec of an object, byte by byte, as the API server serves it.
func spec(ctx context.Context, target action.Target) string {
	GinkgoHelper()
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(target.GroupVersionKind())
	Expect(server.Client.Get(ctx, target.NamespacedName(), obj)).To(Succeed())
	raw, err := json.Marshal(obj.Object["spec"])
	Expect(err).NotTo(HaveOccurred())
	return string(raw)
}

// update changes an object as somebody else would.
func update[T client.Object](ctx context.Context, obj T, change func(T)) {
	GinkgoHelper()
	Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj)).To(Succeed())
	change(obj)
	Expect(server.Client.Update(ctx, obj)).To(Succeed())
}

// observed writes a status as the object's controller would, which has seen its latest generation.
func observed[T client.Object](ctx context.Context, obj T, change func(T)) {
	GinkgoHelper()
	Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj)).To(Succeed())
	change(obj)
	Expect(server.Client.Status().Update(ctx, obj)).To(Succeed())
}

// released is a Deployment at its second revision, whose first has a ready pod still.
func released(ctx context.Context, ns string) *appsv1.Deployment {
	GinkgoHelper()
	d := build.Deployment(ns, "web").Replicas(2).MemoryLimit("64Mi").Obj()
	server.Create(ctx, d)
	first := build.ReplicaSetOf(d, 1)
	first.Status = appsv1.ReplicaSetStatus{Replicas: 1, ReadyReplicas: 1}
	server.Create(ctx, first)
	update(ctx, d, release)
	server.Create(ctx, build.ReplicaSetOf(d, 2))
	observed(ctx, d, func(d *appsv1.Deployment) {
		d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: 3, UpdatedReplicas: 2, ReadyReplicas: 1, AvailableReplicas: 1}
	})
	return d
}

// release changes many things at once, as releases do.
func release(d *appsv1.Deployment) {
	c := &d.Spec.Template.Spec.Containers[0]
	c.Image = "example.test/web:2"
	c.Command = []string{"/bin/web", "--new"}
	c.Env = []corev1.EnvVar{{Name: "MODE", Value: "fast"}}
	d.Spec.Template.Annotations = map[string]string{"example.test/config": "2"}
	d.Spec.Template.Spec.NodeSelector = map[string]string{"kubernetes.io/os": "linux"}
}

func template(app string) corev1.PodTemplateSpec {
	return build.Deployment("", app).MemoryLimit("64Mi").Obj().Spec.Template
}

// statefulSet is one at its first revision; its only pod is not ready.
func statefulSet(ctx context.Context, ns string) *appsv1.StatefulSet {
	GinkgoHelper()
	s := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "db"},
		Spec:       appsv1.StatefulSetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "db"}}, Template: template("db")},
	}
	server.Create(ctx, s)
	kept(ctx, s, statefulSetKind, s.Spec.Template, 1)
	observed(ctx, s, func(s *appsv1.StatefulSet) {
		s.Status = appsv1.StatefulSetStatus{ObservedGeneration: s.Generation, Replicas: 1}
	})
	return s
}

// daemonSet is one at its first revision; one of its two pods is not ready.
func daemonSet(ctx context.Context, ns string) *appsv1.DaemonSet {
	GinkgoHelper()
	d := &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "agent"},
		Spec:       appsv1.DaemonSetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "agent"}}, Template: template("agent")},
	}
	server.Create(ctx, d)
	kept(ctx, d, daemonSetKind, d.Spec.Template, 1)
	observed(ctx, d, func(d *appsv1.DaemonSet) {
		d.Status = appsv1.DaemonSetStatus{ObservedGeneration: d.Generation, DesiredNumberScheduled: 2, CurrentNumberScheduled: 2, NumberReady: 1}
	})
	return d
}

// kept keeps a template as a set's controller does.
func kept(ctx context.Context, owner client.Object, kind schema.GroupVersionKind, template corev1.PodTemplateSpec, number int64) {
	GinkgoHelper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&template)
	Expect(err).NotTo(HaveOccurred())
	content["$patch"] = "replace"
	raw, err := json.Marshal(map[string]any{"spec": map[string]any{"template": content}})
	Expect(err).NotTo(HaveOccurred())
	server.Create(ctx, &appsv1.ControllerRevision{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: owner.GetNamespace(), Name: fmt.Sprintf("%s-%d", owner.GetName(), number), Labels: template.Labels,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(owner, kind)},
		},
		Data: runtime.RawExtension{Raw: raw}, Revision: number,
	})
}

// podOf is a pod of a set's revision, as its controller makes it.
func podOf(ctx context.Context, owner client.Object, kind schema.GroupVersionKind, number int64, ready bool) *corev1.Pod {
	GinkgoHelper()
	return podAt(ctx, owner, kind, number, number-1, ready)
}

// podAt is a pod with an ordinal.
func podAt(ctx context.Context, owner client.Object, kind schema.GroupVersionKind, number, at int64, ready bool) *corev1.Pod {
	GinkgoHelper()
	revision := fmt.Sprintf("%s-%d", owner.GetName(), number)
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: owner.GetNamespace(), Name: fmt.Sprintf("%s-%d", owner.GetName(), at),
			Labels:          map[string]string{"app": owner.GetName(), appsv1.ControllerRevisionHashLabelKey: revision},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(owner, kind)},
		},
		Spec: template(owner.GetName()).Spec,
	}
	server.Create(ctx, p)
	observed(ctx, p, func(p *corev1.Pod) {
		p.Status.Phase = corev1.PodRunning
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: map[bool]corev1.ConditionStatus{true: "True", false: "False"}[ready]}}
	})
	return p
}

// releasedStatefulSet is a set of two at its second revision; the pod of the first,
// db-0, is ready, that of the second, db-1, is not.
func releasedStatefulSet(ctx context.Context, ns string) *appsv1.StatefulSet {
	GinkgoHelper()
	s := statefulSet(ctx, ns)
	update(ctx, s, func(s *appsv1.StatefulSet) {
		s.Spec.Replicas, s.Spec.Template.Spec.Containers[0].Image = new(int32(2)), "example.test/db:2"
	})
	kept(ctx, s, statefulSetKind, s.Spec.Template, 2)
	podOf(ctx, s, statefulSetKind, 1, true)
	podOf(ctx, s, statefulSetKind, 2, false)
	observed(ctx, s, func(s *appsv1.StatefulSet) {
		s.Status = appsv1.StatefulSetStatus{ObservedGeneration: s.Generation, Replicas: 2, ReadyReplicas: 1}
	})
	return s
}

// releasedDaemonSet is the same of a DaemonSet, but for the ill pod.
func releasedDaemonSet(ctx context.Context, ns string) *appsv1.DaemonSet {
	GinkgoHelper()
	d := daemonSet(ctx, ns)
	update(ctx, d, func(d *appsv1.DaemonSet) { d.Spec.Template.Spec.Containers[0].Image = "example.test/agent:2" })
	kept(ctx, d, daemonSetKind, d.Spec.Template, 2)
	podOf(ctx, d, daemonSetKind, 1, true)
	observed(ctx, d, func(d *appsv1.DaemonSet) {
		d.Status = appsv1.DaemonSetStatus{ObservedGeneration: d.Generation, DesiredNumberScheduled: 2, CurrentNumberScheduled: 2, NumberReady: 1}
	})
	return d
}
