package lease

import (
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
		"not renewed in time":                          {spec: coordinationv1.LeaseSpec{RenewTime: renewed(61 * time.Second), LeaseDurationSeconds: ptr.To[int32](60)}, want: true},
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
