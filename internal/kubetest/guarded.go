package kubetest

import (
	"context"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/kubetest/build"
)

// InstallGuards applies config/guards and waits until the API server, which
// compiles policies in the background, enforces each of them.
func (s *Server) InstallGuards(ctx context.Context) {
	s.tb.Helper()
	s.Install(ctx, "config", "guards")
	s.AwaitGuards(ctx)
}

// AwaitGuards waits until every guard refuses what it is there to refuse.
func (s *Server) AwaitGuards(ctx context.Context) {
	s.tb.Helper()
	ns := s.Namespace(ctx)
	attempts := s.forbiddenAttempts(ctx, ns)
	enforced := func(ctx context.Context) (bool, error) {
		for _, attempt := range attempts {
			if attempt(ctx) == nil {
				return false, nil
			}
		}
		return true, nil
	}
	if err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, time.Minute, true, enforced); err != nil {
		s.tb.Fatalf("waiting for the guards to be enforced: %v", err)
	}
}

// forbiddenAttempts returns one attempt for each guard, none of which changes anything,
// and one more for the rule that a test weakens while the others of its guard hold.
func (s *Server) forbiddenAttempts(ctx context.Context, ns string) []func(context.Context) error {
	seen := build.Remediation(ns, "probe").Obj()
	s.Create(ctx, seen)
	maker := s.withRun(ctx, ns)
	run := build.Run(ns, "probe", build.DeploymentTarget(ns, "probe", "")).Step("restart", "RolloutRestart", nil).Obj()
	dry := func(c client.Client, obj client.Object) func(context.Context) error {
		return func(ctx context.Context) error {
			return c.Create(ctx, obj.DeepCopyObject().(client.Object), client.DryRunAll)
		}
	}
	return []func(context.Context) error{
		dry(s.Client, build.Remediation(ns, "approved").Approved("admin", build.Digest).Obj()),
		func(ctx context.Context) error {
			return s.Client.Status().Update(ctx, seen.DeepCopy(), client.DryRunAll)
		},
		dry(maker, run),
		dry(s.Client, build.Remediation(ns, "forged").FromAlertmanager("f").Obj()),
		dry(s.Client, build.Remediation(ns, "elsewhere").Target(build.DeploymentTarget("kube-system", "probe", "").ObjectReference).Obj()),
	}
}

// withRun returns a client that may create runs in the namespace, and nothing else.
func (s *Server) withRun(ctx context.Context, ns string) client.Client {
	const user = "kubetest-probe"
	s.Grant(ctx, ns, user, rbacv1.PolicyRule{APIGroups: []string{"kubernaut.io"}, Resources: []string{"workflowruns"}, Verbs: []string{"create"}})
	return s.As(user)
}
