// Package taint knows which program sets a node's taint, from the taint's key.
// Evidence and actions use the same list, so that they judge a taint alike.
package taint

import "strings"

// Owner says what sets a taint and takes it off.
type Owner string

const (
	// Person: no known program sets it, so a person did.
	Person Owner = "Person"
	// Role: it keeps a node for the control plane or another role.
	Role Owner = "Role"
	// Kubernetes: its controllers set it for the node's condition, and take it off with the condition.
	Kubernetes Owner = "Kubernetes"
	// Lifecycle: an autoscaler, or a controller that starts and ends nodes, set it. The
	// node is on its way out or not set up yet, and another node may take its place.
	Lifecycle Owner = "Lifecycle"
	// Reserved: a person set it, but no action takes it off. Its key is in a domain of
	// Kubernetes that no controller of Kubernetes uses, or the cloud's node pool puts it back.
	Reserved Owner = "Reserved"
)

const rolePrefix = "node-role.kubernetes.io/"

// conditions are the taints that Kubernetes sets by itself. A key beside them in the
// same domain is a person's.
var conditions = map[string]bool{
	"node.kubernetes.io/not-ready":                   true,
	"node.kubernetes.io/unreachable":                 true,
	"node.kubernetes.io/out-of-disk":                 true, // until 1.12
	"node.kubernetes.io/memory-pressure":             true,
	"node.kubernetes.io/disk-pressure":               true,
	"node.kubernetes.io/pid-pressure":                true,
	"node.kubernetes.io/network-unavailable":         true,
	"node.kubernetes.io/unschedulable":               true,
	"node.kubernetes.io/out-of-service":              true,
	"node.cloudprovider.kubernetes.io/uninitialized": true,
	"node.alpha.kubernetes.io/notReady":              true, // until 1.12
	"node.alpha.kubernetes.io/unreachable":           true,
}

// program sets the taints of one key, or all in a domain where the key ends in a slash.
type program struct {
	key  string
	name string
}

// lifecycle are the programs that bring nodes, set them up and take them away.
var lifecycle = []program{
	{"ToBeDeletedByClusterAutoscaler", "Cluster Autoscaler"},
	{"DeletionCandidateOfClusterAutoscaler", "Cluster Autoscaler"},
	{"cluster-autoscaler.kubernetes.io/", "Cluster Autoscaler"},
	{"ignore-taint.cluster-autoscaler.kubernetes.io/", "Cluster Autoscaler"},
	{"startup-taint.cluster-autoscaler.kubernetes.io/", "Cluster Autoscaler"},
	{"status-taint.cluster-autoscaler.kubernetes.io/", "Cluster Autoscaler"},
	{"karpenter.sh/", "Karpenter"},
	{"karpenter.k8s.aws/", "Karpenter"},
	{"karpenter.azure.com/", "Karpenter"},
	{"aws-node-termination-handler/", "AWS Node Termination Handler"},
	{"cloud.google.com/impending-node-termination", "Google Kubernetes Engine"},
	{"remediation.medik8s.io/", "Node Healthcheck Operator"},
	{"medik8s.io/", "Node Healthcheck Operator"},
	{"node.cloudprovider.kubernetes.io/shutdown", "the cloud's node lifecycle controller"},
	{"node.cluster.x-k8s.io/", "Cluster API"},
	{"deletion.cluster.x-k8s.io/", "Cluster API"},
	{"node.gardener.cloud/", "Gardener"},
	{"node.machine.sapcloud.io/", "Gardener"},
	{"node.cilium.io/agent-not-ready", "Cilium"},
	{"ebs.csi.aws.com/agent-not-ready", "the EBS CSI driver"},
	{"efs.csi.aws.com/agent-not-ready", "the EFS CSI driver"},
	{"fsx.csi.aws.com/agent-not-ready", "the FSx CSI driver"},
	{"readiness.k8s.io/", "the node readiness controller"},
	{"UpdateInProgress", "the machine config operator"},
}

// pools are the taints that a cloud keeps on the nodes of a pool.
var pools = []program{
	{"kubernetes.azure.com/", "Azure Kubernetes Service"},
	{"cloud.google.com/", "Google Kubernetes Engine"},
	{"eks.amazonaws.com/", "Amazon EKS"},
}

// OwnerOf says what sets the taints of a key.
func OwnerOf(key string) Owner {
	switch {
	case Program(key) != "":
		return Lifecycle
	case conditions[key]:
		return Kubernetes
	case strings.HasPrefix(key, rolePrefix):
		return Role
	case ofKubernetes(key) || among(pools, key) != "":
		return Reserved
	}
	return Person
}

// Program names the autoscaler or controller that sets the taints of a key while a
// node comes or goes; empty: none that is known does.
func Program(key string) string { return among(lifecycle, key) }

func among(programs []program, key string) string {
	for _, p := range programs {
		family := strings.HasSuffix(p.key, "/")
		if key == p.key || family && len(key) > len(p.key) && strings.HasPrefix(key, p.key) {
			return p.name
		}
	}
	return ""
}

// ofKubernetes reports whether a key is in a domain whose name ends like Kubernetes'
// own. It is wider than it need be: no action touches what looks like Kubernetes' own.
func ofKubernetes(key string) bool {
	domain, _, found := strings.Cut(key, "/")
	return found && strings.HasSuffix(domain, "kubernetes.io")
}
