package evidence

import (
	"context"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/kubernaut/kubernaut/internal/kubetest/build"
)

// TestGatheringsShareTheirMemory: what there is no room for is missing, and not healthy.
func TestGatheringsShareTheirMemory(t *testing.T) {
	d := build.Deployment("shop", "web").Obj()
	d.UID, d.Status = "uid-1", appsv1.DeploymentStatus{Replicas: 100_000}
	target := build.TargetOf(d, build.DeploymentKind)
	g := NewGatherer(fake.NewClientBuilder().WithObjects(d).Build(), nil, clocktesting.NewFakePassiveClock(build.Started))

	if !g.memory.TryAcquire(roomy) {
		t.Fatal("the memory is taken from the beginning")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	s := g.Gather(ended, target.ObjectReference, target)
	if len(s.Deployments) != 0 || len(s.Missing) != 1 || !s.Missing[0].Transient || s.Missing[0].Detail {
		t.Errorf("without room: %d Deployments, missing %+v; want nothing, and that it may be there later", len(s.Deployments), s.Missing)
	}
	g.memory.Release(roomy)

	if s := g.Gather(t.Context(), target.ObjectReference, target); len(s.Deployments) != 1 {
		t.Errorf("with room: no Deployment, missing %+v", s.Missing)
	}
	if !g.memory.TryAcquire(roomy) {
		t.Error("a gathering that is over keeps memory")
	}
}
