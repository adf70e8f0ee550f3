//go:build record

package rules_test

import (
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// What containers do.
const (
	serves    = "sleep 3600"
	crashes   = "echo 'error: configuration: PAYMENT_URL is not set'; exit 1"
	limps     = "echo starting; sleep 4; echo 'panic: no ledger'; exit 2" // four seconds, again and again
	strolls   = "sleep 45; echo 'fatal: lost the ledger'; exit 3"         // three quarters of a minute, again and again
	recovers  = "echo x >> /state/starts; [ $(wc -l < /state/starts) -gt 2 ] || { echo 'error: the ledger is locked'; exit 1; }; echo 'error: mail relay refused (this line means nothing)'; sleep 3600"
	killsSelf = "sleep 1; exit 137"
	devours   = "import time; time.sleep(1); held = bytearray(120 << 20); time.sleep(3600)"
	eats      = "import time; held = bytearray(24 << 20); time.sleep(3600)"
	eatsOnce  = "import os, time\nif not os.path.exists('/state/fed'):\n  open('/state/fed', 'w').close(); held = bytearray(120 << 20)\ntime.sleep(3600)"
)

type option func(*appsv1.Deployment)

// shell makes a Deployment of a busybox that runs a script.
func shell(name, script string, options ...option) *appsv1.Deployment {
	return deployment(name, corev1.Container{
		Name: "app", Image: "busybox:1.36", Command: []string{"sh", "-c", script},
		Env: []corev1.EnvVar{{Name: "DATABASE_PASSWORD", Value: "hunter2"}, {Name: "REGION", Value: "north"}},
	}, options...)
}

// python makes a Deployment of a Python program under a memory limit.
func python(name, program, limit string, options ...option) *appsv1.Deployment {
	return deployment(name, corev1.Container{
		Name: "app", Image: "python:3.12-slim", Command: []string{"python3", "-c", program},
		Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(limit)}},
	}, options...)
}

func deployment(name string, c corev1.Container, options ...option) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	c.VolumeMounts = []corev1.VolumeMount{{Name: "state", MountPath: "/state"}}
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To[int32](1), Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					TerminationGracePeriodSeconds: ptr.To[int64](1),
					Containers:                    []corev1.Container{c},
					Volumes:                       []corev1.Volume{{Name: "state", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
				},
			},
		},
	}
	for _, o := range options {
		o(d)
	}
	return d
}

// statefulSet makes a StatefulSet of a Deployment's pods.
func statefulSet(d *appsv1.Deployment) *appsv1.StatefulSet {
	return &appsv1.StatefulSet{ObjectMeta: d.ObjectMeta, Spec: appsv1.StatefulSetSpec{
		Replicas: d.Spec.Replicas, Selector: d.Spec.Selector, Template: d.Spec.Template, ServiceName: d.Name,
	}}
}

// daemonSet makes a DaemonSet of a Deployment's pods, on the two plain nodes.
func daemonSet(d *appsv1.Deployment) *appsv1.DaemonSet {
	template := d.Spec.Template
	template.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "pool", Operator: corev1.NodeSelectorOpDoesNotExist}}}},
	}}}
	return &appsv1.DaemonSet{ObjectMeta: d.ObjectMeta, Spec: appsv1.DaemonSetSpec{Selector: d.Spec.Selector, Template: template}}
}

func templateOf(set client.Object) *corev1.PodTemplateSpec {
	if s, ordered := set.(*appsv1.StatefulSet); ordered {
		return &s.Spec.Template
	}
	return &set.(*appsv1.DaemonSet).Spec.Template
}

func replicas(n int32) option { return func(d *appsv1.Deployment) { d.Spec.Replicas = &n } }
func deadline(seconds int32) option {
	return func(d *appsv1.Deployment) { d.Spec.ProgressDeadlineSeconds = &seconds }
}
func recreate(d *appsv1.Deployment) {
	d.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
}
func allAtOnce(d *appsv1.Deployment) {
	d.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{
		MaxUnavailable: ptr.To(intstr.FromString("100%")), MaxSurge: ptr.To(intstr.FromInt32(0)),
	}}
}
func labelled(key, value string) option {
	return func(d *appsv1.Deployment) {
		d.Spec.Template.Labels[key] = value
		d.Spec.Selector.MatchLabels[key] = value
	}
}
func listening(port int32) option {
	return func(d *appsv1.Deployment) { app(d).Ports = []corev1.ContainerPort{{ContainerPort: port}} }
}
func readyAfter(command ...string) option {
	return func(d *appsv1.Deployment) {
		app(d).ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: command}}, PeriodSeconds: 1}
	}
}

// proves gives it a probe, without which a container that ends at once may be
// ready for a moment and the old pods go.
func proves(d *appsv1.Deployment) { readyAfter("sleep", "0.3")(d) }

func script(text string) option {
	return func(d *appsv1.Deployment) { app(d).Command = []string{"sh", "-c", text} }
}
func program(text string) option {
	return func(d *appsv1.Deployment) { app(d).Command = []string{"python3", "-c", text} }
}
func image(name string) option { return func(d *appsv1.Deployment) { app(d).Image = name } }
func memory(limit string) option {
	return func(d *appsv1.Deployment) {
		app(d).Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(limit)}
	}
}
func annotated(key, value string) option {
	return func(d *appsv1.Deployment) { d.Spec.Template.Annotations = map[string]string{key: value} }
}
func app(d *appsv1.Deployment) *corev1.Container { return &d.Spec.Template.Spec.Containers[0] }

// create makes an object in the scene's namespace.
func (p *player) create(objects ...client.Object) {
	p.t.Helper()
	for _, o := range objects {
		o.SetNamespace(p.namespace)
		p.must(p.client.Create(p.ctx, o))
	}
}

// settled makes Deployments and waits until they have been well for longer than
// a revision must have run to be proven.
func (p *player) settled(deployments ...*appsv1.Deployment) {
	p.t.Helper()
	for _, d := range deployments {
		p.create(d)
	}
	for _, d := range deployments {
		p.await(d.Name+" to be well", func() bool {
			p.must(p.client.Get(p.ctx, client.ObjectKeyFromObject(d), d))
			return d.Status.ReadyReplicas == *d.Spec.Replicas && time.Since(d.CreationTimestamp.Time) > 25*time.Second
		})
	}
}

// release changes the template of a Deployment.
func (p *player) release(name string, options ...option) {
	p.t.Helper()
	p.await("the release of "+name, func() bool {
		var d appsv1.Deployment
		p.must(p.client.Get(p.ctx, client.ObjectKey{Namespace: p.namespace, Name: name}, &d))
		for _, o := range options {
			o(&d)
		}
		return p.client.Update(p.ctx, &d, client.FieldOwner("delivery")) == nil
	})
}

func service(name string, selector map[string]string, port int32) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.ServiceSpec{Selector: selector, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(port)}}},
	}
}

// select changes the selector of a Service, a moment after it was made.
func (p *player) reselect(svc *corev1.Service, selector map[string]string) {
	p.t.Helper()
	p.await("a later second", func() bool { return time.Since(svc.CreationTimestamp.Time) > 2*time.Second })
	p.must(p.client.Get(p.ctx, client.ObjectKeyFromObject(svc), svc))
	svc.Spec.Selector = selector
	p.must(p.client.Update(p.ctx, svc, client.FieldOwner("somebody")))
}

// nearSighted makes an account that may read what the operator reads, less some
// resources, and returns its name.
func (p *player) nearSighted(blind []string) string {
	all := []string{"pods", "pods/log", "services", "events", "deployments", "statefulsets", "daemonsets", "replicasets", "controllerrevisions", "endpointslices"}
	p.create(
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "near-sighted"}},
		&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "near-sighted"}, Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{"", "apps", "discovery.k8s.io"}, Verbs: []string{"get", "list"},
			Resources: slices.DeleteFunc(all, func(r string) bool { return slices.Contains(blind, r) }),
		}}},
		&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "near-sighted"},
			RoleRef:  rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "Role", Name: "near-sighted"},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: "near-sighted", Namespace: p.namespace}}},
	)
	return "system:serviceaccount:" + p.namespace + ":near-sighted"
}
