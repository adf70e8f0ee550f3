package guard

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// forgeryName is the name of the AlertRemediation that Forge tries to create.
const forgeryName = "kubernaut-forgery"

// Forge tries, as a server-side dry run, to create a remediation with an approval in a
// namespace, which guard 1 must refuse. It returns a sentence where the API server does not
// refuse it in the name of one of these policies: that guard is shown, and not in force.
func Forge(ctx context.Context, c client.Client, namespace string, policies []string) (fault string, err error) {
	err = c.Create(ctx, forgery(namespace), client.DryRunAll)
	switch {
	case err == nil:
		return "a dry run that creates an approved AlertRemediation was accepted, so guard approval is stored but not in force", nil
	case !apierrors.IsInvalid(err) && !apierrors.IsForbidden(err):
		return "", fmt.Errorf("trying in namespace %s whether guard approval is in force: %w", namespace, err)
	}
	for _, policy := range policies {
		if strings.Contains(err.Error(), "ValidatingAdmissionPolicy '"+policy+"' ") {
			return "", nil
		}
	}
	return fmt.Sprintf("a dry run that creates an approved AlertRemediation was refused, but not by guard approval: %.300s", err.Error()), nil
}

func forgery(namespace string) *v1alpha1.AlertRemediation {
	return &v1alpha1.AlertRemediation{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: forgeryName},
		Spec: v1alpha1.AlertRemediationSpec{
			Alert: v1alpha1.Alert{Source: v1alpha1.SourceManual, Name: "GuardCheck"},
			Approval: &v1alpha1.Approval{
				Decision: v1alpha1.DecisionApproved, By: "kubernaut", PlanDigest: "v1:sha256:" + strings.Repeat("0", 64),
			},
		},
	}
}
