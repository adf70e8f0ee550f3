//go:build record

package rules_test

import (
	"cmp"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// hopeless is longer than the rules wait for a node.
const hopeless = 5*time.Minute + 2*time.Second

// pools are what the last three nodes of the recorder's cluster are; the others
// are plain.
var pools = map[string]func(*corev1.Node){
	"red": func(n *corev1.Node) {
		n.Spec.Taints = []corev1.Taint{{Key: "team", Value: "red", Effect: corev1.TaintEffectNoSchedule}}
	},
	"infra": func(n *corev1.Node) {
		n.Spec.Taints = []corev1.Taint{{Key: "node-role.kubernetes.io/infra", Effect: corev1.TaintEffectNoSchedule}}
	},
	"old": func(n *corev1.Node) { n.Spec.Unschedulable = true },
}

// scheduleScenes are pods that find no node, and what looks like it.
var scheduleScenes = map[string]scene{
	"taint-toleration-lost": {kind: "Deployment", name: "dye", play: bad(shell("dye", serves, inPool("red"), tolerates("red")), tolerates()), moment: homelessFor(hopeless)},
	"taint-not-tolerated":   {kind: "Deployment", name: "rust", play: only(shell("rust", serves, inPool("red"))), moment: homelessFor(hopeless)},
	"taint-not-yet":         {kind: "Deployment", name: "blush", play: only(shell("blush", serves, inPool("red"))), moment: homelessFor(31 * time.Second)},
	"taint-elsewhere":       {kind: "Deployment", name: "azure", play: only(shell("azure", serves, inPool("blue"))), moment: homelessFor(31 * time.Second)},
	"taint-of-a-role":       {kind: "Deployment", name: "moss", play: only(shell("moss", serves, inPool("infra"))), moment: homelessFor(31 * time.Second)},
	"taint-of-a-cordon":     {kind: "Deployment", name: "ivy", play: only(shell("ivy", serves, inPool("old"))), moment: homelessFor(31 * time.Second)},
	"taint-nodes-forbidden": {kind: "Deployment", name: "veil", blind: []string{"nodes"}, play: only(shell("veil", serves, inPool("red"))), moment: both(homelessFor(31*time.Second), forbidden("nodes"))},

	"cpu-release": {kind: "Deployment", name: "mill", play: bad(shell("mill", serves, limited("cpu", "100m")), limited("cpu", "64")), moment: homelessFor(hopeless)},
	"cpu-crowded": {kind: "Deployment", name: "barn", moment: homelessFor(hopeless), play: func(p *player) {
		p.settled(shell("herd", serves, replicas(2), requesting("cpu", "1500m")))
		p.settled(shell("barn", serves, requesting("cpu", "300m")))
		p.release("barn", replicas(3))
	}},
	"cpu-not-yet":   {kind: "Deployment", name: "plough", play: bad(shell("plough", serves, requesting("cpu", "10m")), requesting("cpu", "64")), moment: homelessFor(31 * time.Second)},
	"cpu-elsewhere": {kind: "Deployment", name: "scythe", play: only(shell("scythe", serves, inPool("blue"), requesting("cpu", "64"))), moment: homelessFor(31 * time.Second)},
	"cpu-cards":     {kind: "Deployment", name: "yoke", play: only(shell("yoke", serves, requesting("example.test/cpu", "1"))), moment: homelessFor(31 * time.Second)},
	"cpu-quota":     {kind: "Deployment", name: "crop", play: inQuota("requests.cpu", shell("crop", serves, deadline(8), requesting("cpu", "64"))), moment: rollout("ProgressDeadlineExceeded")},

	"room-release":   {kind: "StatefulSet", name: "hall", play: badSet(statefulSet(shell("hall", serves, replicas(2), requesting("memory", "8Mi"))), requesting("memory", "512Gi")), moment: homelessFor(hopeless)},
	"room-first":     {kind: "Deployment", name: "attic", play: only(shell("attic", serves, requesting("memory", "512Gi"))), moment: homelessFor(hopeless)},
	"room-not-yet":   {kind: "Deployment", name: "loft", play: bad(shell("loft", serves), requesting("memory", "512Gi")), moment: homelessFor(31 * time.Second)},
	"room-elsewhere": {kind: "Deployment", name: "shed", play: only(shell("shed", serves, inPool("blue"), requesting("memory", "512Gi"))), moment: homelessFor(31 * time.Second)},
	"room-pages":     {kind: "Deployment", name: "nook", play: only(shell("nook", serves, limited("memory", "8Mi"), limited("hugepages-2Mi", "64Mi"))), moment: homelessFor(31 * time.Second)},
	"room-quota":     {kind: "Deployment", name: "den", play: inQuota("requests.memory", shell("den", serves, deadline(8), requesting("memory", "512Gi"))), moment: rollout("ProgressDeadlineExceeded")},

	"stuck-no-claim": {kind: "Deployment", name: "shaft", play: bad(shell("shaft", serves, deadline(12)), template(func(s *corev1.PodSpec) {
		s.Volumes = append(s.Volumes, corev1.Volume{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "shaft"}}})
	})), moment: rollout("ProgressDeadlineExceeded")},
}

// prepareNodes makes the last three nodes what the scenes need them to be.
func prepareNodes(p *player) {
	var nodes corev1.NodeList
	p.must(p.client.List(p.ctx, &nodes))
	if len(nodes.Items) < 5 {
		p.t.Fatalf("the scenes need a cluster of five nodes, and this one has %d: localcluster up --nodes 5", len(nodes.Items))
	}
	slices.SortFunc(nodes.Items, func(a, b corev1.Node) int { return cmp.Compare(a.Name, b.Name) })
	last := nodes.Items[len(nodes.Items)-3:]
	for i, pool := range []string{"red", "infra", "old"} {
		before := last[i].DeepCopy()
		metav1.SetMetaDataLabel(&last[i].ObjectMeta, "pool", pool)
		pools[pool](&last[i])
		p.must(p.client.Patch(p.ctx, &last[i], client.MergeFrom(before)))
	}
}

func template(change func(*corev1.PodSpec)) option {
	return func(d *appsv1.Deployment) { change(&d.Spec.Template.Spec) }
}

func inPool(name string) option {
	return template(func(s *corev1.PodSpec) { s.NodeSelector = map[string]string{"pool": name} })
}

// tolerates gives the pods these teams' tolerations and no others.
func tolerates(teams ...string) option {
	return template(func(s *corev1.PodSpec) {
		s.Tolerations = nil
		for _, team := range teams {
			s.Tolerations = append(s.Tolerations, corev1.Toleration{Key: "team", Value: team, Effect: corev1.TaintEffectNoSchedule})
		}
	})
}

func requesting(name corev1.ResourceName, amount string) option {
	return func(d *appsv1.Deployment) {
		resources := &app(d).Resources
		resources.Requests = corev1.ResourceList{name: resource.MustParse(amount)}
		if strings.Contains(string(name), "/") {
			resources.Limits = resources.Requests
		}
	}
}

func limited(name corev1.ResourceName, amount string) option {
	return func(d *appsv1.Deployment) {
		limits := &app(d).Resources.Limits
		if *limits == nil {
			*limits = corev1.ResourceList{}
		}
		(*limits)[name] = resource.MustParse(amount)
	}
}

// inQuota plays a Deployment that a quota has no room for.
func inQuota(name corev1.ResourceName, d *appsv1.Deployment) func(*player) {
	return func(p *player) {
		p.create(&corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "small"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{name: resource.MustParse("1")}}})
		p.await("the quota", func() bool {
			var q corev1.ResourceQuota
			p.must(p.client.Get(p.ctx, client.ObjectKey{Namespace: p.namespace, Name: "small"}, &q))
			return len(q.Status.Hard) > 0
		})
		p.create(d)
	}
}

// homelessFor: the scheduler has found no node for a pod for so long.
func homelessFor(least time.Duration) func(*snapshot) bool {
	return func(s *snapshot) bool {
		return slices.ContainsFunc(s.Pods, func(p corev1.Pod) bool {
			return s.TakenAt.Sub(p.CreationTimestamp.Time) > least+time.Second && slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
				return c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonUnschedulable && strings.Contains(c.Message, "nodes are available")
			})
		})
	}
}
