package lease

import (
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

func TestExpired(t *testing.T) {
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	renewed := func(ago time.Duration) *metav1.MicroTime { return ptr.To(metav1.NewMicroTime(now.Add(-ago))) }
	rows := map[string]struct {
		spec coordinationv1.LeaseSpec
		want bool
	}{
		"renewed within its term":                      {spec: coordinationv1.LeaseSpec{RenewTime: renewed(time.Minute), LeaseDurationSeconds: ptr.To[int32](60)}},
		"not renewed in time, but by a clock behind":   {spec: coordinationv1.LeaseSpec{RenewTime: renewed(65 * time.Second), LeaseDurationSeconds: ptr.To[int32](60)}},
		"not renewed in time by any clock":             {spec: coordinationv1.LeaseSpec{RenewTime: renewed(121 * time.Second), LeaseDurationSeconds: ptr.To[int32](60)}, want: true},
		"for ever: it does not say when it was signed": {spec: coordinationv1.LeaseSpec{LeaseDurationSeconds: ptr.To[int32](60)}},
		"for ever: it does not say for how long":       {spec: coordinationv1.LeaseSpec{RenewTime: renewed(time.Hour)}},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := expired(&coordinationv1.Lease{Spec: row.spec}, now); got != row.want {
				t.Errorf("expired is %t, want %t", got, row.want)
			}
		})
	}
}

func TestOverdue(t *testing.T) {
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	taken := func(ago time.Duration) *metav1.MicroTime { return ptr.To(metav1.NewMicroTime(now.Add(-ago))) }
	rows := map[string]struct {
		spec coordinationv1.LeaseSpec
		want bool
	}{
		"within its term":                          {spec: coordinationv1.LeaseSpec{AcquireTime: taken(time.Minute), LeaseDurationSeconds: ptr.To[int32](61)}},
		"its term is over":                         {spec: coordinationv1.LeaseSpec{AcquireTime: taken(time.Minute), LeaseDurationSeconds: ptr.To[int32](60)}, want: true},
		"without a term it has the longest":        {spec: coordinationv1.LeaseSpec{AcquireTime: taken(LongestTerm - time.Second)}},
		"without a term it ends after the longest": {spec: coordinationv1.LeaseSpec{AcquireTime: taken(LongestTerm)}, want: true},
		"a renewal does not move it":               {spec: coordinationv1.LeaseSpec{AcquireTime: taken(time.Minute), RenewTime: taken(0), LeaseDurationSeconds: ptr.To[int32](60)}, want: true},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := overdue(&coordinationv1.Lease{Spec: row.spec}, now); got != row.want {
				t.Errorf("overdue is %t, want %t", got, row.want)
			}
		})
	}
}

func TestValidUID(t *testing.T) {
	rows := map[types.UID]bool{
		"0b0f6e1c-4d1d-4c5e-9d0a-2f1f0a9c7b11": true,
		"d3b07384d113edec49eaa6238ad5ff00":     true,
		"":                                     false,
		"../secrets":                           false,
		"a/b":                                  false,
		"UPPER":                                false,
		"with space":                           false,
		"ends-":                                false,
	}
	for uid, want := range rows {
		if got := ValidUID(uid); got != want {
			t.Errorf("valid is %t for %q, want %t", got, uid, want)
		}
	}
}

func TestANodeHasNoNamespace(t *testing.T) {
	for namespace, want := range map[string]bool{"": true, "shop": false} {
		if got := IsNode(v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Node", Namespace: namespace, Name: "n1"}); got != want {
			t.Errorf("is a node: %t with namespace %q, want %t", got, namespace, want)
		}
	}
}

func TestNodesAreThoseOfTargetsStepsAndOperationsEachOnce(t *testing.T) {
	node := func(name string) v1alpha1.ObjectReference {
		return v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: name}
	}
	r := run("a", func(r *v1alpha1.WorkflowRun) {
		r.Spec.Target.ObjectReference = node("n1")
		r.Spec.Steps = []v1alpha1.Step{{Name: "own"}, {Name: "other", Action: v1alpha1.StepAction{Target: &v1alpha1.TargetReference{ObjectReference: node("n2")}}}}
		r.Status.Steps = []v1alpha1.StepStatus{{Operations: []v1alpha1.OperationStatus{
			{Operation: v1alpha1.Operation{Object: node("n3")}}, {Operation: v1alpha1.Operation{Object: node("n1")}},
			{Operation: v1alpha1.Operation{Object: v1alpha1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "web"}}},
		}}}
	})
	var names string
	for _, n := range Nodes(r) {
		names += n.Name + " "
	}
	if names != "n1 n2 n3 " {
		t.Errorf("got %q", names)
	}
}
