package guard_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/guard"
	"github.com/kubernaut/kubernaut/internal/kubetest"
)

// stored is a cluster that has these guards, in the order they are in.
type stored struct {
	client.Reader
	policies []admissionregistrationv1.ValidatingAdmissionPolicy
	bindings []admissionregistrationv1.ValidatingAdmissionPolicyBinding
}

func (s stored) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	switch l := list.(type) {
	case *admissionregistrationv1.ValidatingAdmissionPolicyList:
		l.Items = slices.Clone(s.policies)
	case *admissionregistrationv1.ValidatingAdmissionPolicyBindingList:
		l.Items = slices.Clone(s.bindings)
	}
	return nil
}

// add stores the guards as they are shipped, once more.
func (s *stored) add(t *testing.T, prefix string, at time.Time) {
	t.Helper()
	shipped, err := guard.Shipped(kubetest.OperatorUser)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range shipped {
		made := metav1.ObjectMeta{
			Name: prefix + g.Policy.Name, UID: types.UID(prefix + g.Name), Generation: 1,
			CreationTimestamp: metav1.NewTime(at), Labels: map[string]string{guard.Label: g.Name},
		}
		g.Policy.ObjectMeta, g.Binding.ObjectMeta = made, made
		g.Binding.Spec.PolicyName = made.Name
		s.policies, s.bindings = append(s.policies, g.Policy), append(s.bindings, g.Binding)
	}
}

func (s stored) reversed() stored {
	s.policies, s.bindings = slices.Clone(s.policies), slices.Clone(s.bindings)
	slices.Reverse(s.policies)
	slices.Reverse(s.bindings)
	return s
}

func TestASecondCopyOfTheGuardsIsNoOtherGuard(t *testing.T) {
	look := func(s stored) guard.State {
		t.Helper()
		there, err := guard.Check(t.Context(), s, kubetest.OperatorUser)
		if err != nil {
			t.Fatal(err)
		}
		if back, _ := guard.Check(t.Context(), s.reversed(), kubetest.OperatorUser); fmt.Sprint(back) != fmt.Sprint(there) {
			t.Errorf("in another order they are %+v, not %+v", back, there)
		}
		return there
	}
	installed := time.Date(2026, time.March, 1, 3, 0, 0, 0, time.UTC)
	var s stored
	s.add(t, "z-", installed)
	first := look(s)
	s.add(t, "a-", installed.Add(time.Hour))
	if both := look(s); len(first.Faults) > 0 || both.Epoch != first.Epoch {
		t.Errorf("alone %+v, beside a copy %+v", first, both)
	}
	s.bindings = s.bindings[1:] // the first of guard approval
	if left := look(s); len(left.Faults) > 0 || left.Epoch == first.Epoch {
		t.Errorf("with the copy alone %+v", left)
	}
}

func TestAnAlteredCopyWithAPrefixIsNotReplaced(t *testing.T) {
	for prefix, want := range map[string]string{
		"": "the policy of guard approval is altered: kubectl kubernaut guards | kubectl replace -f -",
		// There is nothing of the shipped name to replace; the shipped guard is created beside it.
		"my-": "the policy of guard approval is altered: kubectl kubernaut guards | kubectl apply -f -",
	} {
		var s stored
		s.add(t, prefix, time.Now())
		altered := *s.policies[0].Spec.DeepCopy()
		altered.Validations = altered.Validations[1:]
		s.policies[0].Spec = altered
		found, err := guard.Check(t.Context(), s, kubetest.OperatorUser)
		if err != nil || !slices.Equal(found.Faults, []string{want}) {
			t.Errorf("prefix %q: %q (%v), want %q", prefix, found.Faults, err, want)
		}
	}
}
