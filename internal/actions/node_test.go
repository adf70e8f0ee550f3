package actions_test

import (
	"context"
	"errors"
	"maps"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/pkg/action"
)

var nodeKind = corev1.SchemeGroupVersion.WithKind("Node")

func nodeTarget(node *corev1.Node) action.Target { return build.TargetOf(node, nodeKind) }

// machine is a ready node of a name of its own. The API server gives it the taint
// of a node that is not ready yet, which nobody takes off here.
func machine(ctx context.Context, name string, changes ...func(*corev1.Node)) *corev1.Node {
	GinkgoHelper()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	now := metav1.Now()
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", LastHeartbeatTime: now, LastTransitionTime: now}}
	for _, c := range changes {
		c(node)
	}
	server.Create(ctx, node)
	return node
}

func bareNode(ctx context.Context, ns string) action.Target { return nodeTarget(machine(ctx, ns)) }

func cordonedNode(ctx context.Context, ns string) action.Target {
	return nodeTarget(machine(ctx, ns, func(n *corev1.Node) { n.Spec.Unschedulable, n.Spec.ProviderID = true, "example://1" }))
}

// taintedNode has a pod of Deployment web of namespace default, and a taint that
// came a minute later.
func taintedNode(ctx context.Context, ns string) action.Target {
	node := machine(ctx, ns, tainted("team", time.Minute))
	placed(ctx, node.Name, "web")
	return nodeTarget(node)
}

func tainted(key string, after time.Duration) func(*corev1.Node) {
	return func(n *corev1.Node) {
		at := metav1.NewTime(time.Now().Add(after).Truncate(time.Second))
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: key, Value: "red", Effect: corev1.TaintEffectNoSchedule, TimeAdded: &at})
	}
}

// placed makes a pod of a Deployment of namespace default that runs on a node.
func placed(ctx context.Context, node, app string, tolerations ...corev1.Toleration) {
	GinkgoHelper()
	d := build.Deployment("default", app).Obj()
	if err := server.Client.Create(ctx, d); apierrors.IsAlreadyExists(err) {
		Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(d), d)).To(Succeed())
	} else {
		Expect(err).NotTo(HaveOccurred())
	}
	rs := build.ReplicaSetOf(d, 1)
	Expect(client.IgnoreAlreadyExists(server.Client.Create(ctx, rs))).To(Succeed())
	Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(rs), rs)).To(Succeed())
	pod := build.PodOf(rs, node)
	pod.Spec.NodeName, pod.Spec.Tolerations = node, tolerations
	server.Create(ctx, pod)
}

// untaint takes team=red:NoSchedule off for Deployment web, with these parameters changed.
func untaint(changed action.Params) action.Params {
	params := action.Params{"key": "team", "value": "red", "effect": "NoSchedule", "workload": "default/Deployment/web"}
	maps.Copy(params, changed)
	return params
}

var _ = Describe("A plan for a node is refused", func() {
	type row struct {
		action string
		target func(ctx context.Context, ns string) action.Target
		params action.Params
		why    string
	}
	untainting := func(why string, changed action.Params, onNode func(ctx context.Context, node string), changes ...func(*corev1.Node)) row {
		return row{action: "UntaintNode", params: untaint(changed), why: why, target: func(ctx context.Context, ns string) action.Target {
			node := machine(ctx, ns, changes...)
			onNode(ctx, node.Name)
			return nodeTarget(node)
		}}
	}
	web := func(ctx context.Context, node string) { placed(ctx, node, "web") }
	rows := map[string]row{
		"that is cordoned already": {action: "Cordon", why: "is cordoned already", target: cordonedNode},
		"that is not cordoned":     {action: "Uncordon", why: "is not cordoned", target: bareNode},
		"that could run no pod": {action: "Uncordon", why: "is not ready", target: func(ctx context.Context, ns string) action.Target {
			return nodeTarget(machine(ctx, ns, func(n *corev1.Node) {
				n.Spec.Unschedulable, n.Status.Conditions[0].Status = true, corev1.ConditionUnknown
			}))
		}},
		"of another incarnation": {action: "Cordon", why: "is not the one that was diagnosed", target: func(ctx context.Context, ns string) action.Target {
			target := bareNode(ctx, ns)
			target.UID = "00000000-0000-0000-0000-000000000000"
			return target
		}},
		"that is gone": {action: "Cordon", why: "is gone", target: func(ctx context.Context, ns string) action.Target {
			node := machine(ctx, ns)
			Expect(server.Client.Delete(ctx, node)).To(Succeed())
			return nodeTarget(node)
		}},
		"that is a Deployment":           {action: "Cordon", why: "not done to a Deployment", target: releasedTarget},
		"that carries no such taint":     untainting("carries no taint team=blue:NoSchedule", action.Params{"value": "blue"}, web, tainted("team", time.Minute)),
		"whose taint is Kubernetes' own": untainting("it is a program's", action.Params{"key": "node.kubernetes.io/unschedulable"}, web, tainted("node.kubernetes.io/unschedulable", time.Minute)),
		"whose taint an autoscaler set":  untainting("it is a program's", action.Params{"key": "ToBeDeletedByClusterAutoscaler"}, web, tainted("ToBeDeletedByClusterAutoscaler", time.Minute)),
		"whose taint Karpenter set":      untainting("it is a program's", action.Params{"key": "karpenter.sh/disrupted"}, web, tainted("karpenter.sh/disrupted", time.Minute)),
		"whose taint is a pool's":        untainting("whose taints no action takes off", action.Params{"key": "kubernetes.azure.com/scalesetpriority"}, web, tainted("kubernetes.azure.com/scalesetpriority", time.Minute)),
		"whose key is of Kubernetes":     untainting("whose taints no action takes off", action.Params{"key": "example.kubernetes.io/team"}, web, tainted("example.kubernetes.io/team", time.Minute)),
		"where the workload never ran":   untainting("no pod of the workload", nil, func(ctx context.Context, node string) { placed(ctx, node, "api") }, tainted("team", time.Minute)),
		"where it came after the taint":  untainting("no pod of the workload", nil, web, tainted("team", -time.Hour)),
		"where its pods tolerate every taint": untainting("no pod of the workload", nil, func(ctx context.Context, node string) {
			placed(ctx, node, "web", corev1.Toleration{Operator: corev1.TolerationOpExists})
		}, tainted("team", time.Minute)),
		"where a pod tolerates the taint by name": untainting("tolerates it by name", nil, func(ctx context.Context, node string) {
			placed(ctx, node, "web")
			placed(ctx, node, "red", corev1.Toleration{Key: "team", Operator: corev1.TolerationOpExists})
		}, tainted("team", time.Minute)),
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

	It("for a workload that can't be one", func(ctx SpecContext) {
		for _, workload := range []string{"web", "default/Pod/web", "default//web"} {
			_, err := find("UntaintNode").Plan(ctx, world(), action.Target{}, untaint(action.Params{"workload": workload}))
			Expect(err).To(MatchError(action.ErrInvalidParameters), workload)
		}
	})
})

var _ = Describe("A node", func() {
	It("that somebody tainted is known by the pod that does not tolerate it, whether the taint says when it came or not", func(ctx SpecContext) {
		name := server.Namespace(ctx)
		node := machine(ctx, name)
		placed(ctx, name, "web")
		server.Kubectl(ctx, nil, "taint", "node", name, "team=red:NoSchedule")
		planned(ctx, find("UntaintNode"), nodeTarget(node), untaint(nil))
	})

	It("is done with once it is as wanted, and given up where somebody takes it back, or the node is gone", func(ctx SpecContext) {
		uses := map[string]struct {
			target func(ctx context.Context, ns string) action.Target
			params action.Params
		}{"Cordon": {bareNode, nil}, "Uncordon": {cordonedNode, nil}, "UntaintNode": {taintedNode, untaint(nil)}}
		for name, u := range uses {
			act, target := find(name), u.target(ctx, server.Namespace(ctx))
			op := planned(ctx, act, target, u.params).Operations[0]
			plan := action.Plan{Operations: []action.Operation{op}}
			progress := func() action.Progress {
				p, err := act.Settled(ctx, world(), target, plan)
				Expect(err).NotTo(HaveOccurred())
				return p
			}
			tenant := granted(ctx, "", act)
			Expect(tenant.Apply(ctx, op.Operation)).To(Succeed())
			Expect(progress().Done).To(BeTrue(), name)
			Expect(tenant.Apply(ctx, *op.Undo)).To(Succeed())
			Expect(progress().Failed).To(BeTrue(), name)
			Expect(server.Client.Delete(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: target.Name}})).To(Succeed())
			Expect(progress()).To(Equal(action.Progress{Failed: true, Message: "Node/" + target.Name + " is gone"}), name)
		}
	})

	It("is not done with because another taint is off it than the one that was meant", func(ctx SpecContext) {
		name := server.Namespace(ctx)
		node := machine(ctx, name, tainted("team", time.Minute), tainted("zone", time.Minute))
		placed(ctx, name, "web")
		act, target := find("UntaintNode"), nodeTarget(node)
		op := planned(ctx, act, target, untaint(nil)).Operations[0]
		for key, done := range map[string]bool{"team": false, "zone": true} {
			Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(node), node)).To(Succeed())
			node.Spec.Taints = []corev1.Taint{{Key: key, Value: "red", Effect: corev1.TaintEffectNoSchedule}}
			Expect(server.Client.Update(ctx, node)).To(Succeed())
			progress, err := act.Settled(ctx, world(), target, action.Plan{Operations: []action.Operation{op}})
			Expect(err).NotTo(HaveOccurred())
			Expect(progress.Done).To(Equal(done), "only the taint %s is left", key)
		}
	})

	It("is changed by no tenant's account, whatever that was granted", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		act, target := find("Cordon"), bareNode(ctx, ns)
		op := planned(ctx, act, target, nil).Operations[0]
		server.GrantEverywhere(ctx, "system:serviceaccount:"+ns+":kubernaut-remediator", act.Spec().Rules...)
		tenant, err := door.Open(ns)
		Expect(err).NotTo(HaveOccurred())
		Expect(tenant.Apply(ctx, op.Operation)).To(MatchError(ContainSubstring("acts in its own only")))
	})
})
