package tenants

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
)

// How long the operator is waited for, and how often it is looked at.
const (
	patience = 45 * time.Second
	often    = 50 * time.Millisecond
)

// records are the groups of what the operator writes beside what it heals: its own
// kinds, events, leases, and the questions that change nothing.
var records = []string{
	v1alpha1.GroupVersion.Group, "events.k8s.io", "coordination.k8s.io", "authorization.k8s.io", "authentication.k8s.io",
}

// effects are the writes since the log had so many lines, dry runs apart, by which the
// operator or a remediator asked to change anything but one Deployment of the hostile
// tenant's: refused ones too.
func effects(since int, but string) []string {
	var found []string
	for _, event := range server.Audit()[since:] {
		ref := event.ObjectRef
		if ref == nil || !byOperator(event) || slices.Contains(records, ref.APIGroup) || ref.Resource == "events" || strings.Contains(event.RequestURI, "dryRun=All") {
			continue
		}
		if ref.Namespace == hostile.namespace && ref.Resource == "deployments" && ref.Name == but {
			continue
		}
		found = append(found, event.Verb+" "+event.RequestURI)
	}
	return found
}

// byOperator reports whether the operator sent a request, in its own name or as a remediator.
func byOperator(event auditv1.Event) bool {
	as := event.User.Username
	if event.ImpersonatedUser != nil {
		as = event.ImpersonatedUser.Username
	}
	return event.User.Username == kubetest.OperatorUser || strings.HasSuffix(as, ":"+kubetest.Remediator)
}

// ended waits until the operator has ended a remediation or a run, and returns why.
func ended(ctx context.Context, obj client.Object) (succeeded metav1.Condition, said string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj)).To(Succeed())
		root := meta.FindStatusCondition(conditions(obj), v1alpha1.Succeeded)
		g.Expect(root).NotTo(BeNil())
		g.Expect(root.Status).NotTo(Equal(metav1.ConditionUnknown), root.Message)
		succeeded = *root
	}).WithContext(ctx).WithTimeout(patience).WithPolling(often).Should(Succeed())
	status, err := json.Marshal(conditions(obj))
	Expect(err).NotTo(HaveOccurred())
	return succeeded, string(status)
}

func conditions(obj client.Object) []metav1.Condition {
	switch o := obj.(type) {
	case *v1alpha1.AlertRemediation:
		return o.Status.Conditions
	case *v1alpha1.WorkflowRun:
		return o.Status.Conditions
	}
	Fail("neither a remediation nor a run")
	return nil
}
