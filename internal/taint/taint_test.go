package taint_test

import (
	"testing"

	"github.com/kubernaut/kubernaut/internal/taint"
)

func TestOwnerOf(t *testing.T) {
	rows := map[taint.Owner][]string{
		taint.Person: {
			"team", "dedicated", "gpu", "nvidia.com/gpu", "example.com/maintenance", "example.com/karpenter.sh", "karpenter.shop/disrupted",
			"ToBeDeletedByClusterAutoscalerOrNot", "karpenter.sh", "UpdateInProgressByHand", "",
		},
		taint.Role: {"node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master", "node-role.kubernetes.io/infra"},
		taint.Kubernetes: {
			"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable", "node.kubernetes.io/memory-pressure", "node.kubernetes.io/disk-pressure",
			"node.kubernetes.io/pid-pressure", "node.kubernetes.io/network-unavailable", "node.kubernetes.io/unschedulable",
			"node.kubernetes.io/out-of-service", "node.cloudprovider.kubernetes.io/uninitialized",
		},
		taint.Lifecycle: {
			"karpenter.sh/disrupted", "karpenter.sh/unregistered", "karpenter.sh/disruption", "karpenter.k8s.aws/x",
			"ToBeDeletedByClusterAutoscaler", "DeletionCandidateOfClusterAutoscaler", "startup-taint.cluster-autoscaler.kubernetes.io/driver",
			"aws-node-termination-handler/spot-itn", "aws-node-termination-handler/scheduled-maintenance", "cloud.google.com/impending-node-termination",
			"node.cloudprovider.kubernetes.io/shutdown", "node.cluster.x-k8s.io/uninitialized", "node.cluster.x-k8s.io/outdated-revision",
			"node.cilium.io/agent-not-ready", "ebs.csi.aws.com/agent-not-ready",
		},
		taint.Reserved: {
			"kubernetes.io/maintenance", "node.kubernetes.io/maintenance", "node.kubernetes.io/not-readyish", "example.kubernetes.io/team",
			"notkubernetes.io/team", "kubernetes.azure.com/scalesetpriority", "cloud.google.com/gke-spot", "eks.amazonaws.com/compute-type",
		},
	}
	for want, keys := range rows {
		for _, key := range keys {
			t.Run(key, func(t *testing.T) {
				if got := taint.OwnerOf(key); got != want {
					t.Errorf("taint %q is set by %s, want %s", key, got, want)
				}
				if named := taint.Program(key) != ""; named != (want == taint.Lifecycle) {
					t.Errorf("taint %q: the program is named: %t", key, named)
				}
			})
		}
	}
}
