package kubetest

import (
	"fmt"

	"github.com/onsi/gomega/format"
	"github.com/onsi/gomega/types"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// HaveCondition succeeds if the object (*AlertRemediation, *WorkflowRun or a
// list of conditions) has the condition with this status and reason.
func HaveCondition(conditionType string, status metav1.ConditionStatus, reason string) types.GomegaMatcher {
	return &conditionMatcher{conditionType: conditionType, status: status, reason: reason}
}

type conditionMatcher struct {
	conditionType string
	status        metav1.ConditionStatus
	reason        string
}

func (m *conditionMatcher) Match(actual any) (bool, error) {
	conditions, err := conditionsOf(actual)
	if err != nil {
		return false, err
	}
	found := meta.FindStatusCondition(conditions, m.conditionType)
	return found != nil && found.Status == m.status && found.Reason == m.reason, nil
}

func (m *conditionMatcher) FailureMessage(actual any) string {
	conditions, _ := conditionsOf(actual)
	return fmt.Sprintf("Expected condition %s=%s/%s among\n%s", m.conditionType, m.status, m.reason, format.Object(conditions, 1))
}

func (m *conditionMatcher) NegatedFailureMessage(actual any) string {
	conditions, _ := conditionsOf(actual)
	return fmt.Sprintf("Expected no condition %s=%s/%s among\n%s", m.conditionType, m.status, m.reason, format.Object(conditions, 1))
}

func conditionsOf(actual any) ([]metav1.Condition, error) {
	switch obj := actual.(type) {
	case *v1alpha1.AlertRemediation:
		return obj.Status.Conditions, nil
	case *v1alpha1.WorkflowRun:
		return obj.Status.Conditions, nil
	case []metav1.Condition:
		return obj, nil
	}
	return nil, fmt.Errorf("HaveCondition expects an AlertRemediation, a WorkflowRun or conditions, not %T", actual)
}
