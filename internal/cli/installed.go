package cli

import (
	"context"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// What config/manager installs carries this label, whatever prefix its names are given.
var ofOperator = client.MatchingLabels{"app.kubernetes.io/name": "kubernaut"}

// byLabel is how kubectl is told of it.
const byLabel = "-l app.kubernetes.io/name=kubernaut"

// leaderLease is the name of the Lease that the leading replica holds; it is the
// program's own, and has no prefix.
const leaderLease = "kubernaut-leader"

// stopIt is the command that stops the operator.
func (o Operator) stopIt() string {
	return "kubectl -n " + o.Namespace + " scale deployment " + byLabel + " --replicas=0"
}

// deployment is the operator's; none if it is not installed.
func (c Cluster) deployment(ctx context.Context, o Operator) (*appsv1.Deployment, error) {
	var found appsv1.DeploymentList
	err := c.List(ctx, &found, client.InNamespace(o.Namespace), ofOperator)
	if err != nil || len(found.Items) == 0 {
		return nil, err
	}
	return &found.Items[0], nil
}

// isShipped reports whether a role is one of ours, with or without a prefix: the
// roles carry no label.
func isShipped(role rbacv1.RoleRef, name string) bool {
	return role.Kind == "ClusterRole" && (role.Name == name || strings.HasSuffix(role.Name, "-"+name))
}

// intake is the Service that takes alerts, told from the one for metrics by the
// name of its port; none if it is not installed.
func (c Cluster) intake(ctx context.Context, o Operator) (*corev1.Service, error) {
	var found corev1.ServiceList
	if err := c.List(ctx, &found, client.InNamespace(o.Namespace), ofOperator); err != nil {
		return nil, err
	}
	for i := range found.Items {
		for _, port := range found.Items[i].Spec.Ports {
			if port.Name == "intake" {
				return &found.Items[i], nil
			}
		}
	}
	return nil, nil
}
