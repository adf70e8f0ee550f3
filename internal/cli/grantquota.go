package cli

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// objectQuota is the name of the ResourceQuota that a grant brings.
const objectQuota = "kubernaut-objects"

const quotaHeader = "# The ResourceQuota bounds how many of Kubernaut's objects the namespace may hold: the operator keeps each of\n" +
	"# them in memory. Raise it together with the operator's memory limit.\n"

// The hard limits of one namespace. The webhook refuses alerts before the first of
// them is reached (intake.maxPerNamespace), and a policy's retention keeps less.
// A WorkflowRun that a user creates may be 128 KiB long, an AlertRemediation takes
// 6 KiB of the operator's memory until something is found out about it.
const (
	mostRemediations = 2000
	mostRuns         = 500
	mostPolicies     = 20
)

// quota bounds what those who may create objects in the namespace can store. The
// roles edit and admin may not change it.
func (g Grant) quota() *corev1.ResourceQuota {
	hard := corev1.ResourceList{}
	for kind, most := range map[string]int64{
		"alertremediations": mostRemediations, "workflowruns": mostRuns, "remediationpolicies": mostPolicies,
	} {
		hard[corev1.ResourceName("count/"+kind+"."+v1alpha1.GroupVersion.Group)] = *resource.NewQuantity(most, resource.DecimalSI)
	}
	return &corev1.ResourceQuota{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ResourceQuota"},
		ObjectMeta: metav1.ObjectMeta{Namespace: g.Namespace, Name: objectQuota},
		Spec:       corev1.ResourceQuotaSpec{Hard: hard},
	}
}
