package cli

import (
	"errors"
	"fmt"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

const (
	// nodeLeases is the name of the Roles by which the operator takes and reads leases of nodes.
	nodeLeases = "kubernaut-node-leases"
	// nodeRemediator is the name of the ClusterRole of the actions on nodes.
	nodeRemediator = "kubernaut-remediator-nodes"
	// heartbeats is the namespace in which each kubelet renews a lease.
	heartbeats = "kube-node-lease"
)

const nodeHeader = "# Lets Kubernaut heal nodes, from its own namespace %s, level %s: %s.\n" +
	"# It acts as the ServiceAccount %s there, which is bound cluster-wide: nodes have no namespace.\n" +
	"# Whoever may edit that namespace may act as that account too: give it to nobody who may not patch nodes.\n" +
	"# The namespace of the leases must be there: it is shared with other remediators of nodes.\n" +
	quotaHeader

func (g Grant) validateNode() error {
	if err := g.Operator.validate(); err != nil {
		return err
	}
	if g.Namespace != g.Operator.Namespace {
		return fmt.Errorf("--level node is for the operator's own namespace only, and %s is not %s: no tenant's account is bound cluster-wide", g.Namespace, g.Operator.Namespace)
	}
	if faults := validation.IsDNS1123Label(g.NodeLeases); len(faults) > 0 {
		return fmt.Errorf("--node-leases %q is not the name of a namespace: %s", g.NodeLeases, strings.Join(faults, "; "))
	}
	if g.NodeLeases == g.Namespace || g.NodeLeases == heartbeats {
		return errors.New("--node-leases is a namespace of its own: its leases are everybody's who remediates nodes")
	}
	return nil
}

// nodeObjects lets the operator's own remediator patch nodes, and the operator
// keep the leases of nodes and read when a kubelet was last heard of. The leases'
// namespace is everybody's, and so not among them: who deletes a grant keeps it.
func (g Grant) nodeObjects(rules []rbacv1.PolicyRule) []any {
	leases := func(verbs ...string) []rbacv1.PolicyRule {
		return []rbacv1.PolicyRule{{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: verbs}}
	}
	clusterRole := &rbacv1.ClusterRole{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRole"},
		ObjectMeta: metav1.ObjectMeta{Name: nodeRemediator}, Rules: rules,
	}
	clusterBinding := &rbacv1.ClusterRoleBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRoleBinding"},
		ObjectMeta: metav1.ObjectMeta{Name: nodeRemediator},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: nodeRemediator},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: g.Namespace, Name: v1alpha1.RemediatorAccount}},
	}
	objects := append([]any{g.account(), clusterRole, clusterBinding, g.quota()}, g.actAs()...)
	return append(objects,
		role(g.NodeLeases, nodeLeases, leases("get", "create", "update", "delete")),
		binding(g.NodeLeases, nodeLeases, g.Operator.subject()),
		role(heartbeats, nodeLeases, leases("get")),
		binding(heartbeats, nodeLeases, g.Operator.subject()),
	)
}
