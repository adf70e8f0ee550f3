//go:build record

package rules_test

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/vitals"
)

// bad plays a healthy Deployment, and a release that is not.
func bad(d *appsv1.Deployment, changes ...option) func(*player) {
	return func(p *player) {
		p.settled(d)
		p.release(d.Name, changes...)
	}
}

// badSet plays a healthy StatefulSet or DaemonSet, and a change of its template
// that is not.
func badSet(set client.Object, changes ...option) func(*player) {
	return func(p *player) {
		p.create(set)
		p.await(set.GetName()+" to be well", func() bool {
			return p.ready(set.GetName()) == 2 && time.Since(set.GetCreationTimestamp().Time) > 25*time.Second
		})
		p.await("the release of "+set.GetName(), func() bool {
			p.must(p.client.Get(p.ctx, client.ObjectKeyFromObject(set), set))
			d := &appsv1.Deployment{}
			d.Spec.Template = *templateOf(set)
			for _, change := range changes {
				change(d)
			}
			*templateOf(set) = d.Spec.Template
			return p.client.Update(p.ctx, set, client.FieldOwner("delivery")) == nil
		})
	}
}

// only plays Deployments and nothing else.
func only(deployments ...*appsv1.Deployment) func(*player) {
	return func(p *player) {
		for _, d := range deployments {
			p.create(d)
		}
	}
}

var scenes = map[string]scene{
	// A release that crashes, and what looks like one.
	"release-beside-serving":  {kind: "Deployment", name: "checkout", play: bad(shell("checkout", serves, replicas(2), proves), script(crashes)), moment: backedOff(1)},
	"release-all-at-once":     {kind: "Deployment", name: "billing", play: bad(shell("billing", serves, allAtOnce, replicas(2)), script(crashes)), moment: backedOff(1)},
	"release-recreate":        {kind: "Deployment", name: "ledger", play: bad(shell("ledger", serves, recreate), script(crashes)), moment: backedOff(1)},
	"release-between-crashes": {kind: "Deployment", name: "mail", play: bad(shell("mail", serves), script(limps)), moment: running(2, 0, 3*time.Second)},
	"release-bad-command": {kind: "Deployment", name: "search", play: bad(shell("search", serves, proves), func(d *appsv1.Deployment) {
		app(d).Command = []string{"/srv/search", "--api-key", "s3cr3t-key"}
	}), moment: backedOff(1)},
	"release-behind-service": {kind: "Service", name: "front", play: func(p *player) {
		p.create(service("front", map[string]string{"app": "front"}, 8080))
		bad(shell("front", serves, allAtOnce, listening(8080)), script(crashes))(p)
	}, moment: backedOff(1)},
	"release-logs-forbidden": {kind: "Deployment", name: "checkout", blind: []string{"pods/log", "events"},
		play: bad(shell("checkout", serves, proves), script(crashes)), moment: backedOff(1)},
	"release-after-bad-release": {kind: "Deployment", name: "quotes", play: func(p *player) {
		bad(shell("quotes", serves, replicas(2), proves), script(crashes))(p)
		p.release("quotes", script("echo again; "+crashes))
	}, moment: both(backedOff(1), readyPods(2))},
	"first-revision-crashes":     {kind: "Deployment", name: "intake", play: only(shell("intake", crashes)), moment: backedOff(3)},
	"first-revision-crashes-yet": {kind: "Deployment", name: "intake", play: only(shell("intake", crashes)), moment: backedOffOnce},
	"crashed-before-release": {kind: "Deployment", name: "prices", play: func(p *player) {
		p.create(shell("prices", crashes))
		p.await("a loop", func() bool { return p.restarts("prices") >= 2 })
		p.release("prices", script("echo 'other words'; exit 4"))
	}, moment: backedOff(2)},
	"crashed-before-recreate": {kind: "Deployment", name: "stock", play: func(p *player) {
		p.create(shell("stock", crashes, recreate))
		p.await("a loop", func() bool { return p.restarts("stock") >= 2 })
		p.release("stock", script("echo 'other words'; exit 4"))
	}, moment: both(backedOff(2), func(s *snapshot) bool { return len(s.Pods) == 1 })},
	"recreated-never-ready": {kind: "Deployment", name: "frost", play: neverReady(shell("frost", serves, recreate, readyAfter("false")), script(crashes)), moment: backedOff(2)},
	"replaced-never-ready":  {kind: "Deployment", name: "thaw", play: neverReady(shell("thaw", serves, allAtOnce, readyAfter("false")), script(crashes)), moment: backedOff(2)},
	"restarted-into-crash": {kind: "Deployment", name: "orders", play: func(p *player) {
		p.create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "orders"}, Data: map[string]string{"run": serves}})
		p.settled(shell("orders", "sh /config/run || exit 5", func(d *appsv1.Deployment) {
			spec := &d.Spec.Template.Spec
			spec.Volumes = append(spec.Volumes, corev1.Volume{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
				LocalObjectReference: corev1.LocalObjectReference{Name: "orders"}}}})
			app(d).VolumeMounts = append(app(d).VolumeMounts, corev1.VolumeMount{Name: "config", MountPath: "/config"})
		}))
		p.must(p.client.Update(p.ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "orders", Namespace: p.namespace}, Data: map[string]string{"run": "exit 1"}}))
		p.release("orders", annotated("kubectl.kubernetes.io/restartedAt", time.Now().UTC().Format(time.RFC3339)))
	}, moment: backedOff(3)},

	// A container that is killed for its memory, and what looks like it.
	"memory-first-revision":   {kind: "Deployment", name: "render", play: only(python("render", devours, "48Mi")), moment: backedOff(1)},
	"memory-lowered":          {kind: "Deployment", name: "images", play: bad(python("images", eats, "96Mi"), memory("20Mi")), moment: backedOff(1)},
	"memory-lowered-recreate": {kind: "Deployment", name: "thumbs", play: bad(python("thumbs", eats, "96Mi", recreate), memory("20Mi")), moment: backedOff(2)},
	"memory-hungrier-release": {kind: "Deployment", name: "video", play: bad(python("video", eats, "64Mi"), program(devours)), moment: backedOff(1)},
	"memory-statefulset": {kind: "StatefulSet", name: "shards", play: func(p *player) {
		p.create(statefulSet(python("shards", devours, "48Mi")))
	}, moment: backedOff(1)},
	"memory-recovered": {kind: "Deployment", name: "cache", play: only(python("cache", eatsOnce, "48Mi")), moment: running(1, 32*time.Second, time.Minute)},
	"exit-137":         {kind: "Deployment", name: "batch", play: only(shell("batch", killsSelf, func(d *appsv1.Deployment) { memory("32Mi")(d) })), moment: backedOff(3)},
	"killed-by-liveness": {kind: "Deployment", name: "feed", play: only(shell("feed", "trap '' TERM; while true; do sleep 1; done", func(d *appsv1.Deployment) {
		memory("32Mi")(d)
		app(d).LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"false"}}}, PeriodSeconds: 1, FailureThreshold: 1}
	})), moment: backedOff(3)},
	"evicted": {kind: "Deployment", name: "upload", play: only(shell("upload", "dd if=/dev/zero of=/state/big bs=1M count=8; sleep 3600", readyAfter("false"), func(d *appsv1.Deployment) {
		memory("32Mi")(d)
		d.Spec.Template.Spec.Volumes[0].EmptyDir.SizeLimit = ptr.To(resource.MustParse("1Mi"))
	})), moment: evicted},

	// A rollout that does not end, and what looks like it.
	"stuck-image":       {kind: "Deployment", name: "web", play: bad(shell("web", serves, replicas(2), deadline(12)), image("busybox:0.0.1-missing")), moment: both(rollout("ProgressDeadlineExceeded"), olderThan(31*time.Second))},
	"stuck-unready":     {kind: "Deployment", name: "api", play: bad(shell("api", serves, deadline(12)), readyAfter("false")), moment: rollout("ProgressDeadlineExceeded")},
	"stuck-bad-release": {kind: "Deployment", name: "tax", play: bad(shell("tax", serves, deadline(12), proves), script(crashes)), moment: both(rollout("ProgressDeadlineExceeded"), backedOff(2))},
	"stuck-memory":      {kind: "Deployment", name: "pdf", play: bad(python("pdf", eats, "96Mi", deadline(12), proves), memory("20Mi")), moment: both(rollout("ProgressDeadlineExceeded"), backedOff(1))},
	"stuck-first":       {kind: "Deployment", name: "fresh", play: only(shell("fresh", serves, deadline(8), readyAfter("false"))), moment: rollout("ProgressDeadlineExceeded")},
	"stuck-quota": {kind: "Deployment", name: "crowd", play: func(p *player) {
		p.settled(shell("crowd", serves, deadline(8)))
		p.create(&corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "full"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("1")}}})
		p.release("crowd", script("echo new; "+serves))
	}, moment: rollout("ProgressDeadlineExceeded")},
	"rollout-under-way": {kind: "Deployment", name: "slow", play: bad(shell("slow", serves), readyAfter("false")), moment: both(rollout("ReplicaSetUpdated"), func(s *snapshot) bool { return len(s.Pods) == 2 })},
	"rollout-paused": {kind: "Deployment", name: "held", play: func(p *player) {
		p.settled(shell("held", serves, deadline(8)))
		p.release("held", func(d *appsv1.Deployment) { d.Spec.Paused = true }, script("echo new; "+serves))
	}, moment: both(rollout("DeploymentPaused"), func(s *snapshot) bool {
		return s.Deployments[0].Status.ObservedGeneration == s.Deployments[0].Generation
	})},
	"rollout-late": {kind: "Deployment", name: "late", play: func(p *player) {
		p.settled(shell("late", serves, deadline(6)))
		p.release("late", script("sleep 15; touch /tmp/ready; "+serves), readyAfter("cat", "/tmp/ready"))
		p.await("the deadline", func() bool {
			var d appsv1.Deployment
			p.must(p.client.Get(p.ctx, client.ObjectKey{Namespace: p.namespace, Name: "late"}, &d))
			return rollout("ProgressDeadlineExceeded")(&snapshot{Deployments: []appsv1.Deployment{d}})
		})
	}, moment: both(rollout("NewReplicaSetAvailable"), func(s *snapshot) bool { return len(s.Pods) == 1 })},

	// A Service whose selector was broken, and what looks like it.
	"selector-slip": {kind: "Service", name: "cart", play: func(p *player) {
		svc := service("cart", map[string]string{"app": "cart"}, 8080)
		p.create(svc, shell("catalog", serves, listening(8080)), shell("customers", serves, replicas(0)))
		p.settled(shell("cart", serves, replicas(2), listening(8080)))
		p.reselect(svc, map[string]string{"app": "crat"})
	}, moment: noEndpoints},
	"selector-elsewhere": {kind: "Service", name: "entrance", play: func(p *player) {
		svc := service("entrance", map[string]string{"app": "shop"}, 8080)
		p.create(svc)
		p.settled(shell("shop", serves, listening(8080)))
		p.reselect(svc, map[string]string{"app": "nobody"})
	}, moment: noEndpoints},
	"selector-other-key": {kind: "Service", name: "door", play: func(p *player) {
		p.create(service("door", map[string]string{"application": "lobby"}, 8080), shell("cellar", serves, listening(8080)))
		p.settled(shell("lobby", serves, listening(8080)))
	}, moment: noEndpoints},
	"selector-half-wrong": {kind: "Service", name: "desk", play: func(p *player) {
		p.create(service("desk", map[string]string{"part-of": "hotel", "tier": "dask"}, 8080),
			shell("kitchen", serves, labelled("part-of", "hotel"), labelled("tier", "kitchen"), listening(8080)))
		p.settled(shell("reception", serves, labelled("part-of", "hotel"), labelled("tier", "desk"), listening(8080)))
	}, moment: noEndpoints},
	"selector-right-unready": {kind: "Service", name: "gate", play: func(p *player) {
		p.create(service("gate", map[string]string{"app": "gate"}, 8080), shell("gate", serves, listening(8080), readyAfter("false")), shell("other", serves, listening(8080)))
	}, moment: func(s *snapshot) bool {
		return len(s.Pods) == 1 && s.Pods[0].Status.Phase == corev1.PodRunning && len(s.EndpointSlices) == 1 && len(s.EndpointSlices[0].Endpoints) == 1
	}},
	"selector-right-scaled-to-zero": {kind: "Service", name: "hall", play: func(p *player) {
		p.create(service("hall", map[string]string{"app": "hall"}, 8080), shell("hall", serves, listening(8080), replicas(0)))
		p.settled(shell("halls", serves, listening(8080)))
	}, moment: noEndpoints},
	"selector-two-candidates": {kind: "Service", name: "stage", play: func(p *player) {
		p.create(service("stage", map[string]string{"app": "stage", "track": "live"}, 8080), shell("blue", serves, listening(8080), labelled("app", "stage"), labelled("track", "blue")))
		p.settled(shell("green", serves, listening(8080), labelled("app", "stage"), labelled("track", "green")))
	}, moment: noEndpoints},
	"selector-none": {kind: "Service", name: "outside", play: func(p *player) {
		p.create(service("outside", nil, 8080))
		p.settled(shell("outside", serves, listening(8080)))
	}, moment: always},
	"selector-other-port": {kind: "Service", name: "vault", play: func(p *player) {
		p.create(service("vault", map[string]string{"app": "valut"}, 8080))
		p.settled(shell("vault", serves, listening(9090)))
	}, moment: noEndpoints},
	"selector-workload-deleted": {kind: "Service", name: "canary", play: func(p *player) {
		p.create(service("main", map[string]string{"app": "main"}, 8080), service("canary", map[string]string{"app": "main-canary"}, 8080))
		d := shell("main-canary", serves, listening(8080))
		p.settled(shell("main", serves, listening(8080)), d)
		p.must(p.client.Delete(p.ctx, d, client.PropagationPolicy(metav1.DeletePropagationForeground)))
		p.await("it to be gone", func() bool {
			return apierrors.IsNotFound(p.client.Get(p.ctx, client.ObjectKeyFromObject(d), &appsv1.Deployment{})) && p.pods() == 1
		})
	}, moment: noEndpoints},
	"selector-target-unready": {kind: "Service", name: "bell", play: func(p *player) {
		p.create(service("bell", map[string]string{"app": "bel"}, 8080), shell("bell", serves, listening(8080), readyAfter("false")))
		p.settled(shell("book", serves, listening(8080)))
	}, moment: noEndpoints},

	// Nothing wrong, and what looks like it.
	"quiet": {kind: "Deployment", name: "calm", play: func(p *player) { p.settled(shell("calm", serves, replicas(2))) }, moment: readyPods(2)},
	"quiet-service": {kind: "Service", name: "calm", play: func(p *player) {
		p.create(service("calm", map[string]string{"app": "calm"}, 8080))
		p.settled(shell("calm", serves, replicas(2), listening(8080)))
	}, moment: readyPods(2)},
	"recovered":         {kind: "Deployment", name: "ledger", play: only(shell("ledger", recovers), shell("reports", crashes)), moment: running(2, 32*time.Second, time.Minute)},
	"recovered-release": {kind: "Deployment", name: "journal", play: bad(shell("journal", serves, allAtOnce), script(recovers)), moment: running(2, 32*time.Second, time.Minute)},
	"recovering":        {kind: "Deployment", name: "ledger", play: only(shell("ledger", recovers)), moment: running(2, 2*time.Second, 10*time.Second)},
	"slow-loop":         {kind: "Deployment", name: "turtle", play: only(shell("turtle", strolls)), moment: running(2, 33*time.Second, 44*time.Second)},
	"never-ready":       {kind: "Deployment", name: "shy", play: only(shell("shy", serves, deadline(600), readyAfter("false"), func(d *appsv1.Deployment) { d.Spec.Paused = false })), moment: func(s *snapshot) bool { return len(s.Pods) == 1 && s.Pods[0].Status.Phase == corev1.PodRunning }},
	"lost-readiness": {kind: "Deployment", name: "fade", play: func(p *player) {
		p.settled(shell("fade", "touch /tmp/ready; sleep 30; rm /tmp/ready; "+serves, readyAfter("cat", "/tmp/ready")))
	}, moment: readyPods(0)},
	"scaled-to-zero": {kind: "Deployment", name: "none", play: only(shell("none", serves, replicas(0))), moment: rollout("NewReplicaSetAvailable")},

	// What could not be read.
	"pods-forbidden":   {kind: "Deployment", name: "calm", blind: []string{"pods"}, play: func(p *player) { p.settled(shell("calm", serves)) }, moment: forbidden("pods")},
	"target-forbidden": {kind: "Deployment", name: "calm", blind: []string{"deployments"}, play: func(p *player) { p.settled(shell("calm", serves)) }, moment: forbidden("Deployment/calm")},
	"stuck-pods-forbidden": {kind: "Deployment", name: "web", blind: []string{"pods"},
		play: bad(shell("web", serves, deadline(12)), image("busybox:0.0.1-missing")), moment: rollout("ProgressDeadlineExceeded")},
	"workloads-forbidden": {kind: "Service", name: "cart", blind: []string{"statefulsets"}, play: func(p *player) {
		p.create(service("cart", map[string]string{"app": "crat"}, 8080))
		p.settled(shell("cart", serves, listening(8080)))
	}, moment: noEndpoints},
}

// neverReady plays a Deployment whose first revision runs and is never ready, and
// a release that crashes.
func neverReady(d *appsv1.Deployment, changes ...option) func(*player) {
	return func(p *player) {
		p.create(d)
		p.await("it to have run for a while", func() bool { return time.Since(d.CreationTimestamp.Time) > 35*time.Second && p.pods() == 1 })
		p.release(d.Name, changes...)
	}
}

// ready counts the ready pods that carry a name.
func (p *player) ready(name string) int {
	var pods corev1.PodList
	p.must(p.client.List(p.ctx, &pods, client.InNamespace(p.namespace), client.MatchingLabels{"app": name}))
	ready := 0
	for i := range pods.Items {
		if vitals.Ready(&pods.Items[i]) {
			ready++
		}
	}
	return ready
}

// restarts counts those of a Deployment's containers.
func (p *player) restarts(name string) int32 {
	var pods corev1.PodList
	p.must(p.client.List(p.ctx, &pods, client.InNamespace(p.namespace), client.MatchingLabels{"app": name}))
	var n int32
	for _, pod := range pods.Items {
		for _, c := range pod.Status.ContainerStatuses {
			n += c.RestartCount
		}
	}
	return n
}

func (p *player) pods() int {
	var pods corev1.PodList
	p.must(p.client.List(p.ctx, &pods, client.InNamespace(p.namespace)))
	return len(pods.Items)
}
