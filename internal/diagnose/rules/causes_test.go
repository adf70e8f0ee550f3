package rules_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/diagnose/rules"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// picture is a snapshot drawn by hand: Deployment web, whose first revision
// serves, and one pod of its second revision, which does not.
type picture struct {
	*analysis.Snapshot
	good, bad *corev1.Container // of the two revisions
	pod       *corev1.Pod       // of the second
}

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func draw(touches ...func(*picture)) *analysis.Snapshot {
	p := &picture{Snapshot: &analysis.Snapshot{TakenAt: noon}}
	p.Target = v1alpha1.TargetReference{UID: "d", ObjectReference: v1alpha1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "web"}}
	p.Subject = p.Target.ObjectReference
	meta := metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "d", Annotations: map[string]string{"deployment.kubernetes.io/revision": "2"}}
	p.Deployments = []appsv1.Deployment{{ObjectMeta: meta, Status: appsv1.DeploymentStatus{Replicas: 2, UpdatedReplicas: 1, ReadyReplicas: 1, AvailableReplicas: 1}}}
	p.ReplicaSets = []appsv1.ReplicaSet{setOf(1, noon.Add(-time.Hour)), setOf(2, noon.Add(-7*time.Minute))}
	p.ReplicaSets[0].Status.ReadyReplicas = 1
	p.good, p.bad = &p.ReplicaSets[0].Spec.Template.Spec.Containers[0], &p.ReplicaSets[1].Spec.Template.Spec.Containers[0]
	p.Pods = []corev1.Pod{{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "web-2-abcde", UID: "p", CreationTimestamp: metav1.NewTime(noon.Add(-6 * time.Minute)), OwnerReferences: controlled("ReplicaSet", "rs2"),
	}}}
	p.pod = &p.Pods[0]
	for _, touch := range touches {
		touch(p)
	}
	newest := p.ReplicaSets[len(p.ReplicaSets)-1].Spec.Template
	p.pod.Spec, p.Deployments[0].Spec.Template = newest.Spec, newest
	return p.Snapshot
}

func setOf(n int, at time.Time) appsv1.ReplicaSet {
	c := corev1.Container{Name: "app", Image: "shop/web:1", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}}
	return appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: fmt.Sprintf("web-%d", n), UID: types.UID(fmt.Sprintf("rs%d", n)), CreationTimestamp: metav1.NewTime(at),
			Annotations: map[string]string{"deployment.kubernetes.io/revision": fmt.Sprint(n)}, OwnerReferences: controlled("Deployment", "d"),
		},
		Spec: appsv1.ReplicaSetSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{c}}}},
	}
}

func controlled(kind string, uid types.UID) []metav1.OwnerReference {
	return []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: kind, Name: "web", UID: uid, Controller: new(true)}}
}

func newImage(name string) func(*picture) { return func(p *picture) { p.bad.Image = name } }

func alone(p *picture) { p.ReplicaSets[0].Status.ReadyReplicas = 0; p.ReplicaSets = p.ReplicaSets[1:] }

func waits(reason, message string) func(*picture) {
	return func(p *picture) {
		p.pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}}
	}
}

func warns(reason, message string) func(*picture) {
	return func(p *picture) {
		p.Events = append(p.Events, corev1.Event{InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: p.pod.Name, UID: "p"}, Reason: reason, Message: message, LastTimestamp: metav1.NewTime(noon)})
	}
}

// lackToo: pods of others have lacked their images for so long.
func lackToo(since time.Duration, pods ...string) func(*picture) {
	return func(p *picture) {
		for _, pod := range pods {
			p.Elsewhere = append(p.Elsewhere, corev1.Event{
				InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: pod}, Reason: "Failed", Message: `Failed to pull image "shop/other:2": not found`,
				FirstTimestamp: metav1.NewTime(noon.Add(-since)), LastTimestamp: metav1.NewTime(noon),
			})
		}
	}
}

func crashesWith(code int32, lines ...string) func(*picture) {
	return func(p *picture) {
		ended := &corev1.ContainerStateTerminated{ExitCode: code, StartedAt: metav1.NewTime(noon.Add(-40 * time.Second)), FinishedAt: metav1.NewTime(noon.Add(-38 * time.Second))}
		p.pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
			Name: "app", RestartCount: 3, LastTerminationState: corev1.ContainerState{Terminated: ended},
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
		}}
		p.Logs = []analysis.Log{{Pod: p.pod.Name, Container: "app", Previous: true, Lines: lines}}
	}
}

func runs(since time.Duration) func(*picture) {
	return func(p *picture) {
		p.pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(noon.Add(-since))}}}}
	}
}

func asks(c **corev1.Container, port any) {
	probe := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/", Port: intstr.Parse(fmt.Sprint(port))}}}
	(*c).ReadinessProbe = probe
}

func probes(before, after any) func(*picture) {
	return func(p *picture) { asks(&p.good, before); asks(&p.bad, after) }
}

func refused(port int) func(*picture) {
	return warns("Unhealthy", fmt.Sprintf(`Readiness probe failed: Get "http://10.0.0.9:%d/": dial tcp 10.0.0.9:%[1]d: connect: connection refused`, port))
}

func env(name, before, after string) func(*picture) {
	return func(p *picture) {
		p.good.Env = append(p.good.Env, corev1.EnvVar{Name: name, Value: before})
		p.bad.Env = append(p.bad.Env, corev1.EnvVar{Name: name, Value: after})
	}
}

func mounts(before, after string) func(*picture) {
	return func(p *picture) {
		for i, name := range []string{before, after} {
			spec := &p.ReplicaSets[i].Spec.Template.Spec
			spec.Volumes = []corev1.Volume{{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}}}}
			spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "config", MountPath: "/etc/web"}}
		}
	}
}

func written(configMap string, ago time.Duration) func(*picture) {
	return func(p *picture) {
		p.Changes = append(p.Changes, analysis.Change{
			Object: v1alpha1.ObjectReference{APIVersion: "v1", Kind: "ConfigMap", Namespace: "shop", Name: configMap}, Field: "data", By: "editor", At: noon.Add(-ago),
		})
	}
}

func homeless(message string) func(*picture) {
	return func(p *picture) {
		p.pod.Status = corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: message}}}
	}
}

func nodes(codes ...analysis.NodeCode) func(*picture) {
	return func(p *picture) {
		for i, code := range codes {
			p.Nodes = append(p.Nodes, analysis.Node{Name: fmt.Sprintf("node-%d", i), Code: code})
		}
	}
}

const (
	absent  = `rpc error: code = NotFound desc = failed to pull and unpack image "docker.io/shop/web:2": failed to resolve reference "docker.io/shop/web:2": docker.io/shop/web:2: not found`
	refusal = `failed to pull and unpack image "docker.io/shop/web:2": failed to resolve reference "docker.io/shop/web:2": pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed`
)

func TestDiagnoseDrawnPictures(t *testing.T) {
	rows := map[string]struct {
		touches  []func(*picture)
		cause    v1alpha1.Cause
		remedies string
	}{
		"older kubelets say so in an event": {
			touches: []func(*picture){newImage("shop/web:2"), waits("ImagePullBackOff", `Back-off pulling image "shop/web:2"`), warns("Failed", `Failed to pull image "shop/web:2": `+absent)}, cause: v1alpha1.CauseImageNotFound, remedies: "RolloutUndo SetImage"},
		"other runtimes say it in other words": {
			touches: []func(*picture){newImage("shop/web:2"), waits("ErrImagePull", "reading manifest 2 in docker.io/shop/web: manifest unknown")}, cause: v1alpha1.CauseImageNotFound, remedies: "RolloutUndo SetImage"},
		"an image that vanished under a revision that runs elsewhere is a person's": {
			touches: []func(*picture){newImage("shop/web:2"), waits("ErrImagePull", absent), func(p *picture) { p.ReplicaSets[1].Status.ReadyReplicas = 1 }}, cause: v1alpha1.CauseImageNotFound, remedies: "Escalate"},
		"an image that the older revision has too is not brought by going back": {
			touches: []func(*picture){waits("ErrImagePull", absent), env("MODE", "a", "b")}, cause: v1alpha1.CauseImageNotFound, remedies: "Escalate"},
		"a registry that is away is no absent image": {
			touches: []func(*picture){newImage("shop/web:2"), waits("ErrImagePull", `failed to resolve reference "docker.io/shop/web:2": dial tcp: lookup docker.io: no such host`)}, cause: unknown, remedies: "Escalate"},
		"an image for other machines is there": {
			touches: []func(*picture){newImage("shop/web:2"), waits("ErrImagePull", "rpc error: code = NotFound desc = no match for platform in manifest: not found")}, cause: unknown, remedies: "Escalate"},
		"a layer that the node itself lost is no absent image": {
			touches: []func(*picture){newImage("shop/web:2"), waits("ErrImagePull", "rpc error: code = NotFound desc = failed to extract layer sha256:ab: failed to get reader from content store: blob not found: not found")}, cause: unknown, remedies: "Escalate"},
		"neighbours that have lacked their images for days say nothing about today": {
			touches: []func(*picture){newImage("shop/web:2"), waits("ErrImagePull", absent), lackToo(72*time.Hour, "mail-1-a", "stock-1-a")}, cause: v1alpha1.CauseImageNotFound, remedies: "RolloutUndo SetImage"},
		"neighbours that lack theirs since the same time speak against the registry": {
			touches: []func(*picture){newImage("shop/web:2"), waits("ErrImagePull", absent), lackToo(8*time.Minute, "mail-1-a", "stock-1-a")}, cause: v1alpha1.CauseImageNotFound, remedies: "Escalate"},
		"the name of an image is not what is said about it": {
			touches: []func(*picture){newImage("shop/unauthorized: not found"), waits("ErrImagePull", `pulling shop/unauthorized: not found: unexpected EOF`)}, cause: unknown, remedies: "Escalate"},

		"a certificate that is not trusted is no denial": {
			touches: []func(*picture){newImage("shop/web:2"), waits("ErrImagePull", "tls: x509: certificate signed by unknown authority, authentication required")}, cause: unknown, remedies: "Escalate"},
		"a container that is still being made was not denied anything": {
			touches: []func(*picture){newImage("shop/web:2"), waits("ContainerCreating", refusal)}, cause: unknown, remedies: "Escalate"},

		"a ConfigMap that the kubelet has not got yet is not absent": {
			touches: []func(*picture){mounts("web-a", "web-b"), waits("ContainerCreating", ""), warns("FailedMount", `MountVolume.SetUp failed for volume "config" : object "shop"/"web-b" not registered`)}, cause: unknown, remedies: "Escalate"},
		"content that changed after the container last began": {
			touches: []func(*picture){mounts("web-a", "web-a"), crashesWith(1, "error: parsing /etc/web/app.yaml: line 3"), written("web-a", time.Second), alone}, cause: unknown, remedies: "Escalate"},
		"content that changed yesterday": {
			touches: []func(*picture){mounts("web-a", "web-a"), crashesWith(1, "error: parsing /etc/web/app.yaml: line 3"), written("web-a", 24*time.Hour), alone}, cause: unknown, remedies: "Escalate"},

		"a program that was started a moment ago": {
			touches: []func(*picture){probes(8080, 8081), runs(3 * time.Second), refused(8081)}, cause: unknown, remedies: "Escalate"},

		"nodes that somebody tainted": {
			touches: []func(*picture){homeless("0/2 nodes are available: 2 node(s) had untolerated taint(s). no new claims to deallocate, preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."), nodes("Tainted", "Tainted")}, cause: v1alpha1.CauseUntoleratedTaint, remedies: "Escalate"},
		"a toleration that the release lost": {
			touches: []func(*picture){homeless("0/2 nodes are available: 1 node(s) had untolerated taint {team: red}, 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }."), nodes("Reserved", "Tainted"), func(p *picture) {
				p.ReplicaSets[0].Spec.Template.Spec.Tolerations = []corev1.Toleration{{Key: "team", Operator: corev1.TolerationOpExists}}
			}}, cause: v1alpha1.CauseUntoleratedTaint, remedies: "RolloutUndo"},
		"room that only preemption lacks": {
			touches: []func(*picture){homeless("0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector. preemption: 0/2 nodes are available: 2 Insufficient cpu, 2 Insufficient memory.")}, cause: unknown, remedies: "Escalate"},
		"nodes that are not ready are not tainted by anybody": {
			touches: []func(*picture){homeless("0/2 nodes are available: 2 node(s) had untolerated taint(s)."), nodes("NotReady", "NotReady")}, cause: unknown, remedies: "Escalate"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			found := rules.Diagnose(v1alpha1.Alert{Name: "Alert"}, draw(row.touches...))[0]
			var remedies []string
			for _, r := range found.Remedies {
				remedies = append(remedies, r.Action)
			}
			if got := strings.Join(remedies, " "); found.Code != row.cause || got != row.remedies {
				t.Errorf("%s with %q, want %s with %q: %s", found.Code, got, row.cause, row.remedies, found.Message)
			}
		})
	}
}
