package bench

import (
	"runtime"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/controller/alertremediation"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
)

// BenchmarkReconcile: what the most frequent pass allocates, one over a
// remediation that waits for its diagnosis and changes nothing.
//
//	go test -run '^$' -bench Reconcile ./test/bench
func BenchmarkReconcile(b *testing.B) {
	scheme, err := kubetest.Scheme()
	if err != nil {
		b.Fatal(err)
	}
	ar := build.Remediation("shop", "ar-1").Admitted(build.DeploymentTarget("shop", "web", "uid-1")).
		Condition(v1alpha1.Diagnosed, metav1.ConditionUnknown, v1alpha1.ReasonRunning).Obj()
	writes := fake.NewClientBuilder().WithScheme(scheme).WithObjects(ar).WithStatusSubresource(ar).Build()
	r := alertremediation.New(alertremediation.Needs{
		Client: writes, Live: writes, Clock: clock.RealClock{}, Events: events.NewFakeRecorder(1),
	}, alertremediation.Config{Namespace: kubetest.OperatorNamespace, Identity: "bench"})
	pass := func() {
		if _, err := r.Reconcile(b.Context(), ar); err != nil {
			b.Fatal(err)
		}
	}
	if err := writes.Get(b.Context(), client.ObjectKeyFromObject(ar), ar); err != nil {
		b.Fatal(err)
	}
	pass() // it writes what follows from the rest
	seen := ar.ResourceVersion

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	b.ReportAllocs()
	for b.Loop() {
		pass()
	}
	runtime.ReadMemStats(&after)
	if ar.ResourceVersion != seen {
		b.Fatal("a pass wrote, and there was nothing to write")
	}
	note(b, "reconcile_allocs", figure{float64(after.Mallocs-before.Mallocs) / float64(b.N), "allocations", below(400)})
}
