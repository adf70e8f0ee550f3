package actions_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/actions"
	"github.com/kubernaut/kubernaut/internal/evidence"
	"github.com/kubernaut/kubernaut/internal/gate"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/pkg/action"
)

var (
	statefulSetKind = appsv1.SchemeGroupVersion.WithKind("StatefulSet")
	daemonSetKind   = appsv1.SchemeGroupVersion.WithKind("DaemonSet")
	podKind         = corev1.SchemeGroupVersion.WithKind("Pod")
)

// use is one action on one target that it applies to.
type use struct {
	action string
	target func(ctx context.Context, ns string) action.Target
	params action.Params
	// pods that are replaced.
	pods int32
	// shows is what the object's spec holds afterwards and not before.
	shows string
}

var uses = map[string]use{
	"RolloutUndo of a Deployment": {action: "RolloutUndo", target: releasedTarget, pods: 2, shows: `"image":"example.test/web:1"`},
	"RolloutUndo to a revision":   {action: "RolloutUndo", target: releasedTarget, params: action.Params{"toRevision": "1"}, pods: 2, shows: `"image":"example.test/web:1"`},
	"RolloutUndo of a StatefulSet": {action: "RolloutUndo", pods: 1, shows: `"image":"example.test/db:1"`, target: func(ctx context.Context, ns string) action.Target {
		return build.TargetOf(releasedStatefulSet(ctx, ns), statefulSetKind)
	}},
	"RolloutUndo of a DaemonSet": {action: "RolloutUndo", pods: 1, shows: `"image":"example.test/agent:1"`, target: func(ctx context.Context, ns string) action.Target {
		return build.TargetOf(releasedDaemonSet(ctx, ns), daemonSetKind)
	}},
	"SetImage of a Deployment": {action: "SetImage", target: releasedTarget, params: action.Params{"container": "web", "image": "example.test/web:1"}, pods: 3, shows: `"image":"example.test/web:1"`},
	"SetImage of a StatefulSet": {action: "SetImage", params: action.Params{"container": "db", "image": "example.test/db:1"}, pods: 2, shows: `"image":"example.test/db:1"`, target: func(ctx context.Context, ns string) action.Target {
		return build.TargetOf(releasedStatefulSet(ctx, ns), statefulSetKind)
	}},
	"SetImage of a DaemonSet": {action: "SetImage", params: action.Params{"container": "agent", "image": "example.test/agent:1"}, pods: 2, shows: `"image":"example.test/agent:1"`, target: func(ctx context.Context, ns string) action.Target {
		return build.TargetOf(releasedDaemonSet(ctx, ns), daemonSetKind)
	}},
	"Scale of a Deployment, up":        {action: "Scale", target: releasedTarget, params: action.Params{"delta": "1"}, shows: `"replicas":3`},
	"Scale of a Deployment, down":      {action: "Scale", target: releasedTarget, params: action.Params{"replicas": "1"}, pods: 1, shows: `"replicas":1`},
	"Scale of a StatefulSet":           {action: "Scale", target: statefulSetTarget, params: action.Params{"replicas": "2"}, shows: `"replicas":2`},
	"Scale of a ReplicaSet":            {action: "Scale", target: bareReplicaSet, params: action.Params{"delta": "-1"}, pods: 1, shows: `"replicas":1`},
	"AdjustResources of a Deployment":  {action: "AdjustResources", target: releasedTarget, params: action.Params{"container": "web"}, pods: 3, shows: `"memory":"128Mi"`},
	"AdjustResources, the larger step": {action: "AdjustResources", target: releasedTarget, params: action.Params{"container": "web", "factor": "4"}, pods: 3, shows: `"memory":"256Mi"`},
	"AdjustResources of a StatefulSet": {action: "AdjustResources", target: statefulSetTarget, params: action.Params{"container": "db", "limit": "131072Ki"}, pods: 1, shows: `"memory":"128Mi"`},
	"AdjustResources of a DaemonSet":   {action: "AdjustResources", target: daemonSetTarget, params: action.Params{"container": "agent", "resource": "memory"}, pods: 2, shows: `"memory":"128Mi"`},
	"FixServiceSelector of a Service":  {action: "FixServiceSelector", target: brokenService, params: action.Params{"selector": "app=web"}, shows: `"selector":{"app":"web"}`},
	"RolloutRestart of a Deployment":   {action: "RolloutRestart", target: releasedTarget, pods: 3, shows: `"kubernaut.io/restarted-by":"ar-1/1/restart"`},
	"RolloutRestart of a StatefulSet":  {action: "RolloutRestart", target: statefulSetTarget, pods: 1, shows: `"kubernaut.io/restarted-by":"ar-1/1/restart"`},
	"Cordon of a Node":                 {action: "Cordon", target: bareNode, shows: `"unschedulable":true`},
	"Uncordon of a Node":               {action: "Uncordon", target: cordonedNode, shows: `"key":"node.kubernetes.io/not-ready"}]}`},
	"UntaintNode of a Node":            {action: "UntaintNode", target: taintedNode, params: untaint(nil), shows: `"taints":[{"effect":"NoSchedule","key":"node.kubernetes.io/not-ready"}]`},
	"RolloutRestart of a DaemonSet":    {action: "RolloutRestart", target: daemonSetTarget, pods: 2, shows: `"kubernaut.io/restarted-by":"ar-1/1/restart"`},
}

func releasedTarget(ctx context.Context, ns string) action.Target {
	return build.TargetOf(released(ctx, ns), build.DeploymentKind)
}

func statefulSetTarget(ctx context.Context, ns string) action.Target {
	return build.TargetOf(statefulSet(ctx, ns), statefulSetKind)
}

func daemonSetTarget(ctx context.Context, ns string) action.Target {
	return build.TargetOf(daemonSet(ctx, ns), daemonSetKind)
}

func bareReplicaSet(ctx context.Context, ns string) action.Target {
	rs := build.ReplicaSetOf(build.Deployment(ns, "jobs").Replicas(2).Obj(), 1)
	rs.OwnerReferences = nil
	server.Create(ctx, rs)
	observed(ctx, rs, func(rs *appsv1.ReplicaSet) {
		rs.Status = appsv1.ReplicaSetStatus{ObservedGeneration: rs.Generation, Replicas: 2}
	})
	return build.TargetOf(rs, build.ReplicaSetKind)
}

func brokenService(ctx context.Context, ns string) action.Target {
	server.Create(ctx, build.Deployment(ns, "web").Ready().Obj())
	service := build.Service(ns, "front", "wbe")
	server.Create(ctx, service)
	return build.TargetOf(service, build.ServiceKind)
}

var _ = Describe("An action", func() {
	for name, u := range uses {
		It("is done and taken back by the tenant's account with the rights it names: "+name, func(ctx SpecContext) {
			ns := server.Namespace(ctx)
			act, target := find(u.action), u.target(ctx, ns)
			tenant := granted(ctx, ns, act)
			before := spec(ctx, target)
			plan := planned(ctx, act, target, u.params)
			op := plan.Operations[0]
			Expect(digest(planned(ctx, act, target, u.params))).To(Equal(digest(plan)), "the same world, the same plan")
			Expect(plan.Pods).To(Equal(u.pods))

			Expect(tenant.Review(ctx, op.Operation)).To(Succeed())
			Expect(tenant.DryRun(ctx, op.Operation)).To(Succeed())
			Expect(spec(ctx, target)).To(Equal(before), "a dry run changes nothing")
			Expect(look(ctx, op.Operation)).To(Equal(gate.SeenBefore))

			Expect(tenant.Apply(ctx, op.Operation)).To(Succeed())
			Expect(look(ctx, op.Operation)).To(Equal(gate.SeenApplied))
			Expect(before).NotTo(ContainSubstring(u.shows))
			Expect(spec(ctx, target)).To(ContainSubstring(u.shows))
			Expect(tenant.Apply(ctx, op.Operation)).To(MatchError(gate.ErrPrecondition), "it is not done twice")

			if op.Undo == nil {
				Expect(act.Spec().Irreversible).NotTo(BeEmpty())
				return
			}
			Expect(tenant.Review(ctx, *op.Undo)).To(Succeed())
			Expect(look(ctx, *op.Undo)).To(Equal(gate.SeenBefore))
			Expect(tenant.Apply(ctx, *op.Undo)).To(Succeed())
			Expect(look(ctx, *op.Undo)).To(Equal(gate.SeenApplied))
			Expect(spec(ctx, target)).To(Equal(before), "byte by byte")
		})
	}

	It("is planned from what was seen when its target was found and looked at", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		target := releasedTarget(ctx, ns)
		asked := &counting{Reader: operator}
		seen := evidence.NewReader(asked, server.Scheme)
		pass := evidence.AtAGlance(ctx)
		found, err := evidence.NewResolver(seen).Resolve(pass, ns, v1alpha1.Alert{Labels: map[string]string{"namespace": ns, "deployment": target.Name}})
		Expect(err).NotTo(HaveOccurred())
		Expect(evidence.NewGatherer(seen, nil, clock.RealClock{}).Gather(pass, found.Subject, found.Target).Deployments).To(HaveLen(1))
		plan, err := find("RolloutUndo").Plan(pass, action.World{Objects: seen, History: actions.NewHistory(seen)}, target, nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(asked.workloads).To(ConsistOf("Deployment "+target.Name, "ReplicaSetList"))
		Expect(digest(plan)).To(Equal(digest(planned(ctx, find("RolloutUndo"), target, nil))))
	})

	It("names the rights its operations need, and no others", func(ctx SpecContext) {
		needed := map[string][]string{}
		for _, u := range uses {
			plan := planned(ctx, find(u.action), u.target(ctx, server.Namespace(ctx)), u.params)
			needed[u.action] = append(needed[u.action], rights(plan)...)
		}
		needed["RestartPod"] = rights(planned(ctx, find("RestartPod"), ownedPod(ctx, server.Namespace(ctx)), nil))
		for _, s := range catalog.Specs() {
			var named []string
			for _, rule := range s.Rules {
				Expect(rule.APIGroups).To(HaveLen(1))
				for _, resource := range rule.Resources {
					for _, verb := range rule.Verbs {
						named = append(named, verb+" "+resource+"."+rule.APIGroups[0])
					}
				}
			}
			slices.Sort(named)
			slices.Sort(needed[s.Name])
			Expect(named).To(HaveExactElements(slices.Compact(needed[s.Name])), s.Name)
		}
	})

	It("plans the same although somebody writes elsewhere in the object, and another plan when a field it tests changes", func(ctx SpecContext) {
		d := released(ctx, server.Namespace(ctx))
		target := build.TargetOf(d, build.DeploymentKind)
		first := digest(planned(ctx, find("RolloutUndo"), target, nil))

		update(ctx, d, func(d *appsv1.Deployment) { metav1.SetMetaDataLabel(&d.ObjectMeta, "example.test/note", "hello") })
		Expect(digest(planned(ctx, find("RolloutUndo"), target, nil))).To(Equal(first))

		update(ctx, d, func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "example.test/web:3" })
		server.Create(ctx, build.ReplicaSetOf(d, 3))
		observed(ctx, d, func(d *appsv1.Deployment) { d.Status.ObservedGeneration = d.Generation })
		Expect(digest(planned(ctx, find("RolloutUndo"), target, nil))).NotTo(Equal(first))
	})

	It("does not touch an element that took the place of the planned one", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		d := released(ctx, ns)
		act := find("AdjustResources")
		tenant := granted(ctx, ns, act)
		op := planned(ctx, act, build.TargetOf(d, build.DeploymentKind), action.Params{"container": "web"}).Operations[0]
		update(ctx, d, func(d *appsv1.Deployment) {
			web := d.Spec.Template.Spec.Containers[0]
			proxy := corev1.Container{Name: "proxy", Image: "example.test/proxy:1", Resources: web.Resources}
			d.Spec.Template.Spec.Containers = []corev1.Container{proxy, web}
		})
		Expect(tenant.Apply(ctx, op.Operation)).To(MatchError(gate.ErrPrecondition))
		seen, err := gate.Look(ctx, operator, op.Operation)
		Expect(err).NotTo(HaveOccurred())
		Expect(seen.State).To(Equal(gate.SeenOther))
		Expect(seen.Says).To(ContainSubstring(`/spec/template/spec/containers/0/name is "proxy", not "web"`))
	})

	It("takes no edit of somebody else back, and says who made it", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		d := released(ctx, ns)
		act := find("RolloutUndo")
		tenant := granted(ctx, ns, act)
		op := planned(ctx, act, build.TargetOf(d, build.DeploymentKind), nil).Operations[0]
		Expect(tenant.Apply(ctx, op.Operation)).To(Succeed())
		Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(d), d)).To(Succeed())
		d.Spec.Template.Spec.Containers[0].Image = "example.test/web:4"
		Expect(server.Client.Update(ctx, d, client.FieldOwner("jane"))).To(Succeed())

		Expect(tenant.Apply(ctx, *op.Undo)).To(MatchError(gate.ErrPrecondition))
		seen, err := gate.Look(ctx, operator, *op.Undo)
		Expect(err).NotTo(HaveOccurred())
		Expect(seen.State).To(Equal(gate.SeenOther))
		Expect(seen.Says).To(MatchRegexp(`/image is "example.test/web:4", not "example.test/web:1"; jane wrote it last, at 20`))
	})
})

var _ = Describe("A plan is refused", func() {
	rows := map[string]struct {
		action string
		target func(ctx context.Context, ns string) action.Target
		params action.Params
		why    string
	}{
		"for another incarnation": {action: "RolloutUndo", why: "is not the one that was diagnosed", target: func(ctx context.Context, ns string) action.Target {
			target := releasedTarget(ctx, ns)
			target.UID = "00000000-0000-0000-0000-000000000000"
			return target
		}},
		"for no incarnation in particular": {action: "RolloutRestart", why: "is not the one that was diagnosed", target: func(ctx context.Context, ns string) action.Target {
			target := releasedTarget(ctx, ns)
			target.UID = ""
			return target
		}},
		"for a Deployment that is gone": {action: "RolloutRestart", why: "is gone", target: func(ctx context.Context, ns string) action.Target {
			d := released(ctx, ns)
			Expect(server.Client.Delete(ctx, d)).To(Succeed())
			return build.TargetOf(d, build.DeploymentKind)
		}},
		"for a Deployment that is being deleted": {action: "RolloutUndo", why: "is being deleted", target: func(ctx context.Context, ns string) action.Target {
			d := released(ctx, ns)
			update(ctx, d, func(d *appsv1.Deployment) { d.Finalizers = []string{"example.test/hold"} })
			Expect(server.Client.Delete(ctx, d)).To(Succeed())
			DeferCleanup(func(ctx SpecContext) { update(ctx, d, func(d *appsv1.Deployment) { d.Finalizers = nil }) })
			return build.TargetOf(d, build.DeploymentKind)
		}},
		"for a Deployment that another object makes": {action: "RolloutUndo", why: "is controlled by Shop/shop", target: func(ctx context.Context, ns string) action.Target {
			d := released(ctx, ns)
			update(ctx, d, func(d *appsv1.Deployment) {
				d.OwnerReferences = []metav1.OwnerReference{{APIVersion: "example.test/v1", Kind: "Shop", Name: "shop", UID: "1", Controller: new(true)}}
			})
			return build.TargetOf(d, build.DeploymentKind)
		}},
		"for a paused Deployment": {action: "RolloutUndo", why: "is paused", target: func(ctx context.Context, ns string) action.Target {
			d := released(ctx, ns)
			update(ctx, d, func(d *appsv1.Deployment) { d.Spec.Paused = true })
			return build.TargetOf(d, build.DeploymentKind)
		}},
		"for a first revision": {action: "RolloutUndo", why: "first revision", target: func(ctx context.Context, ns string) action.Target {
			d := build.Deployment(ns, "web").Ready().Obj()
			server.Create(ctx, d)
			server.Create(ctx, build.ReplicaSetOf(d, 1))
			return build.TargetOf(d, build.DeploymentKind)
		}},
		"for a kind the action does not know":               {action: "RolloutUndo", why: "not done to a Service", target: brokenService},
		"for a set whose first revision is the current one": {action: "RolloutUndo", why: "first revision", target: statefulSetTarget},
		"for a set of which no older pod is ready": {action: "RolloutUndo", why: "nothing shows that a revision", target: func(ctx context.Context, ns string) action.Target {
			d := daemonSet(ctx, ns)
			update(ctx, d, func(d *appsv1.DaemonSet) { d.Spec.Template.Spec.Containers[0].Image = "example.test/agent:2" })
			kept(ctx, d, daemonSetKind, d.Spec.Template, 2)
			observed(ctx, d, func(d *appsv1.DaemonSet) { d.Status.ObservedGeneration = d.Generation })
			return build.TargetOf(d, daemonSetKind)
		}},
		"for an image that was never seen healthy": {action: "SetImage", params: action.Params{"container": "web", "image": "example.test/web:9"}, why: "nothing shows", target: releasedTarget},
		"for the image that fails now":             {action: "SetImage", params: action.Params{"container": "web", "image": "example.test/web:2"}, why: "nothing shows", target: releasedTarget},
		"for an image of another container":        {action: "SetImage", params: action.Params{"container": "proxy", "image": "example.test/web:1"}, why: "nothing shows", target: releasedTarget},
		"for replicas that an autoscaler decides on": {action: "Scale", params: action.Params{"delta": "1"}, why: "HorizontalPodAutoscaler/web decides", target: func(ctx context.Context, ns string) action.Target {
			server.Create(ctx, &autoscalingv2.HorizontalPodAutoscaler{
				ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "web"},
				Spec:       autoscalingv2.HorizontalPodAutoscalerSpec{MaxReplicas: 5, ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"}},
			})
			return releasedTarget(ctx, ns)
		}},
		"for more than twice as many": {action: "Scale", params: action.Params{"replicas": "9"}, why: "more than a factor of 2", target: releasedTarget},
		"for none at all":             {action: "Scale", params: action.Params{"delta": "-2"}, why: "not taken away", target: releasedTarget},
		"for what somebody scaled to nothing": {action: "Scale", params: action.Params{"replicas": "1"}, why: "somebody meant", target: func(ctx context.Context, ns string) action.Target {
			d := build.Deployment(ns, "web").Replicas(0).Obj()
			server.Create(ctx, d)
			return build.TargetOf(d, build.DeploymentKind)
		}},
		"for a ReplicaSet that a Deployment scales": {action: "Scale", params: action.Params{"delta": "1"}, why: "is controlled by Deployment/web", target: func(ctx context.Context, ns string) action.Target {
			d := build.Deployment(ns, "web").Obj()
			server.Create(ctx, d)
			rs := build.ReplicaSetOf(d, 1)
			server.Create(ctx, rs)
			return build.TargetOf(rs, build.ReplicaSetKind)
		}},
		"for a pod that nobody would make again": {action: "RestartPod", why: "has no owner", target: func(ctx context.Context, ns string) action.Target {
			p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "lone"}, Spec: template("lone").Spec}
			server.Create(ctx, p)
			return build.TargetOf(p, podKind)
		}},
		"for a pod of a Job": {action: "RestartPod", why: "belongs to Job/import", target: func(ctx context.Context, ns string) action.Target {
			p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "import-x", OwnerReferences: []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: "import", UID: "1", Controller: new(true)}}}, Spec: template("import").Spec}
			server.Create(ctx, p)
			return build.TargetOf(p, podKind)
		}},
		"for a set that replaces nothing by itself": {action: "RolloutRestart", why: "OnDelete", target: func(ctx context.Context, ns string) action.Target {
			d := daemonSet(ctx, ns)
			update(ctx, d, func(d *appsv1.DaemonSet) {
				d.Spec.UpdateStrategy.Type = appsv1.OnDeleteDaemonSetStrategyType
				d.Spec.UpdateStrategy.RollingUpdate = nil
			})
			return build.TargetOf(d, daemonSetKind)
		}},
		"for a set held at a partition": {action: "AdjustResources", params: action.Params{"container": "db"}, why: "partition 1", target: func(ctx context.Context, ns string) action.Target {
			s := statefulSet(ctx, ns)
			update(ctx, s, func(s *appsv1.StatefulSet) {
				s.Spec.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{Partition: new(int32(1))}
			})
			return build.TargetOf(s, statefulSetKind)
		}},
		"for a Deployment without pods": {action: "RolloutRestart", why: "no pods", target: func(ctx context.Context, ns string) action.Target {
			d := build.Deployment(ns, "web").Replicas(0).Obj()
			server.Create(ctx, d)
			return build.TargetOf(d, build.DeploymentKind)
		}},
		"for a limit beyond the LimitRange": {action: "AdjustResources", params: action.Params{"container": "web"}, why: "LimitRange/small lets a container have 100Mi", target: func(ctx context.Context, ns string) action.Target {
			server.Create(ctx, &corev1.LimitRange{
				ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "small"},
				Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
					Type: corev1.LimitTypeContainer, Max: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("100Mi")},
				}}},
			})
			return releasedTarget(ctx, ns)
		}},
		"for a Service without a selector": {action: "FixServiceSelector", params: action.Params{"selector": "app=web"}, why: "has no selector", target: func(ctx context.Context, ns string) action.Target {
			service := build.Service(ns, "front", "x")
			service.Spec.Selector = nil
			server.Create(ctx, service)
			return build.TargetOf(service, build.ServiceKind)
		}},
		"for a Service that is a name elsewhere": {action: "FixServiceSelector", params: action.Params{"selector": "app=web"}, why: "external name", target: func(ctx context.Context, ns string) action.Target {
			service := build.Service(ns, "front", "x")
			service.Spec.Type, service.Spec.ExternalName = corev1.ServiceTypeExternalName, "example.test"
			server.Create(ctx, service)
			return build.TargetOf(service, build.ServiceKind)
		}},
		"for a Service that has ready endpoints": {action: "FixServiceSelector", params: action.Params{"selector": "app=web"}, why: "ready endpoints", target: func(ctx context.Context, ns string) action.Target {
			target := brokenService(ctx, ns)
			endpoint(ctx, ns, true)
			return target
		}},
		"for labels that select nothing": {action: "FixServiceSelector", params: action.Params{"selector": "app=ghost"}, why: "no workload", target: brokenService},
		"for the selector that is there": {action: "FixServiceSelector", params: action.Params{"selector": "app=web"}, why: "already", target: func(ctx context.Context, ns string) action.Target {
			server.Create(ctx, build.Deployment(ns, "web").Ready().Obj())
			service := build.Service(ns, "front", "web")
			server.Create(ctx, service)
			return build.TargetOf(service, build.ServiceKind)
		}},
	}
	for name, row := range rows {
		It(name, func(ctx SpecContext) {
			plan, err := find(row.action).Plan(ctx, world(), row.target(ctx, server.Namespace(ctx)), row.params)
			var refusal *action.NotApplicableError
			Expect(errors.As(err, &refusal)).To(BeTrue(), "%v", err)
			Expect(refusal.Why).To(ContainSubstring(row.why))
			Expect(plan.Operations).To(BeEmpty())
		})
	}

	It("but only for now, while the controller has not seen the latest change", func(ctx SpecContext) {
		d := released(ctx, server.Namespace(ctx))
		update(ctx, d, func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "example.test/web:3" })
		_, err := find("RolloutUndo").Plan(ctx, world(), build.TargetOf(d, build.DeploymentKind), nil)
		var refusal *action.NotApplicableError
		Expect(err).To(HaveOccurred())
		Expect(errors.As(err, &refusal)).To(BeFalse(), "%v", err)
	})

	It("for parameters that do not validate", func(ctx SpecContext) {
		for name, params := range map[string]action.Params{
			"RolloutUndo": {"toRevision": "latest"}, "RolloutRestart": {"force": "yes"}, "FixServiceSelector": {"selector": "app in (a,b)"}, "AdjustResources": {"limit": "1Gi"},
		} {
			_, err := find(name).Plan(ctx, world(), action.Target{}, params)
			Expect(err).To(MatchError(action.ErrInvalidParameters), name)
		}
	})
})

var _ = Describe("An applied plan", func() {
	It("has settled when the rollout is complete, and failed when its own deadline passed", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		d := released(ctx, ns)
		act, target := find("RolloutUndo"), build.TargetOf(d, build.DeploymentKind)
		plan := planned(ctx, act, target, nil)
		Expect(granted(ctx, ns, act).Apply(ctx, plan.Operations[0].Operation)).To(Succeed())
		progress := func() action.Progress {
			p, err := act.Settled(ctx, world(), target, plan)
			Expect(err).NotTo(HaveOccurred())
			return p
		}
		Expect(progress()).To(Equal(action.Progress{Message: "its controller has not seen the change yet"}))

		stuck := func(of string) {
			observed(ctx, d, func(d *appsv1.Deployment) {
				d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: 3, UpdatedReplicas: 1, Conditions: []appsv1.DeploymentCondition{{
					Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Reason: "ProgressDeadlineExceeded", Message: `ReplicaSet "` + of + `" has timed out progressing.`,
				}}}
			})
		}
		stuck("web-rev2")
		Expect(progress().Failed).To(BeFalse(), "that was the rollout before")
		stuck("web-rev1")
		Expect(progress().Failed).To(BeTrue())

		observed(ctx, d, func(d *appsv1.Deployment) {
			d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: 2, UpdatedReplicas: 2, ReadyReplicas: 2, AvailableReplicas: 2}
		})
		Expect(progress().Done).To(BeTrue())

		Expect(server.Client.Delete(ctx, d)).To(Succeed())
		Expect(progress()).To(Equal(action.Progress{Failed: true, Message: "Deployment/web is gone"}))
	})

	It("of a Service has settled when an endpoint is ready", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		target := brokenService(ctx, ns)
		settled := func() bool {
			progress, err := find("FixServiceSelector").Settled(ctx, world(), target, action.Plan{})
			Expect(err).NotTo(HaveOccurred())
			return progress.Done
		}
		endpoint(ctx, ns, false)
		Expect(settled()).To(BeFalse())
		endpoint(ctx, ns, true)
		Expect(settled()).To(BeTrue())
	})

	It("is riskier when nothing serves meanwhile", func(ctx SpecContext) {
		d := build.Deployment(server.Namespace(ctx), "web").With(func(d *appsv1.Deployment) { d.Spec.Strategy.Type = appsv1.RecreateDeploymentStrategyType }).Obj()
		server.Create(ctx, d)
		observed(ctx, d, func(d *appsv1.Deployment) { d.Status.ObservedGeneration = d.Generation })
		plan := planned(ctx, find("RolloutRestart"), build.TargetOf(d, build.DeploymentKind), nil)
		Expect(plan.Risk).To(Equal(v1alpha1.RiskHigh))
	})
})

// endpoint is what the Service front leads to, as its controller would say.
func endpoint(ctx context.Context, ns string, ready bool) {
	name := map[bool]string{true: "front-ready", false: "front-unready"}[ready]
	server.Create(ctx, &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: ns, Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: "front"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"10.1.2.3"}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
	})
}

func look(ctx context.Context, op v1alpha1.Operation) gate.SeenState {
	GinkgoHelper()
	seen, err := gate.Look(ctx, operator, op)
	Expect(err).NotTo(HaveOccurred())
	return seen.State
}

// rights lists what a plan's operations and their undos need.
func rights(plan action.Plan) []string {
	GinkgoHelper()
	var all []string
	add := func(op v1alpha1.Operation) {
		gvk := op.Object.GroupVersionKind()
		mapping, err := server.Client.RESTMapper().RESTMapping(schema.GroupKind{Group: gvk.Group, Kind: gvk.Kind}, gvk.Version)
		Expect(err).NotTo(HaveOccurred())
		verb, resource := string(op.Verb), strings.TrimSuffix(mapping.Resource.Resource+"/"+op.Subresource, "/")
		if op.Verb == v1alpha1.VerbEvict {
			verb, resource = "create", resource+"/eviction"
		}
		all = append(all, verb+" "+resource+"."+gvk.Group)
	}
	for _, op := range plan.Operations {
		add(op.Operation)
		if op.Undo != nil {
			add(*op.Undo)
		}
	}
	return all
}

// counting notes which workloads are read.
type counting struct {
	client.Reader
	mu        sync.Mutex
	workloads []string
}

func (c *counting) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	c.note(obj, " "+key.Name)
	return c.Reader.Get(ctx, key, obj, opts...)
}

func (c *counting) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	c.note(list, "")
	return c.Reader.List(ctx, list, opts...)
}

func (c *counting) note(obj runtime.Object, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if kind, err := apiutil.GVKForObject(obj, server.Scheme); err == nil && kind.Group == appsv1.GroupName {
		c.workloads = append(c.workloads, kind.Kind+name)
	}
}
