// Package actions holds the built-in actions, one file each. An action reads,
// and returns a plan; it never writes.
package actions

import (
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubernaut/kubernaut/pkg/action"
)

// All returns every built-in action, in the order of the documents.
func All() []action.Action {
	return []action.Action{
		restartPod{}, rolloutRestart{}, rolloutUndo{}, scale{}, adjustResources{}, setImage{}, fixServiceSelector{},
		cordon{}, uncordon{}, untaintNode{}, escalate{},
	}
}

// The kinds that actions change.
var (
	deployments  = schema.GroupKind{Group: "apps", Kind: "Deployment"}
	statefulSets = schema.GroupKind{Group: "apps", Kind: "StatefulSet"}
	daemonSets   = schema.GroupKind{Group: "apps", Kind: "DaemonSet"}
	replicaSets  = schema.GroupKind{Group: "apps", Kind: "ReplicaSet"}
	pods         = schema.GroupKind{Kind: "Pod"}
	services     = schema.GroupKind{Kind: "Service"}
	nodes        = schema.GroupKind{Kind: "Node"}
)

// mayEvictPods is the rule that lets an account evict pods, as far as PodDisruptionBudgets allow.
var mayEvictPods = rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods/eviction"}, Verbs: []string{"create"}}

// mayPatch is the rule that lets an account patch these resources of one group.
func mayPatch(group string, resources ...string) []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{{APIGroups: []string{group}, Resources: resources, Verbs: []string{"patch"}}}
}
