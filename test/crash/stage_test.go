//go:build e2e

package crash

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
)

// stage is what every round is played on: one API server without a node, as
// config/ ships it with the ceiling raised to Auto, and one build of the operator.
type stage struct {
	server   *kubetest.Server
	operator *rest.Config // the operator's own account
	program  string
	config   string
	intake   string // address of the webhook
	metrics  string // address of the metrics
	alerts   *kubetest.AlertSender
	dir      string
	// elects: the operator is one of several, and gives up when it can't renew its lease.
	elects bool
}

func newStage(t *testing.T, program string, options ...kubetest.Option) *stage {
	t.Helper()
	s := &stage{dir: t.TempDir(), program: program}
	s.intake, s.metrics = kubetest.FreeAddress(t), kubetest.FreeAddress(t)
	s.config = filepath.Join(s.dir, "config.yaml")
	s.server = kubetest.Start(t, options...)
	s.server.Install(t.Context(), "config", "rbac")
	s.server.InstallDefaultPolicy(t.Context(), v1alpha1.ModeAuto)
	s.server.InstallGuards(t.Context())
	s.operator = s.server.OperatorConfig(t.Context())
	var err error
	if s.alerts, err = kubetest.NewAlertSender(t.Context(), s.server.Client, s.intake, false); err != nil {
		t.Fatal(err)
	}
	return s
}

// patience is what the policy of a round allows.
type patience struct {
	cooldown time.Duration
	deadline time.Duration // of the verification
}

// tenant makes a namespace that may be healed without asking anybody.
func (s *stage) tenant(ctx context.Context, p patience) string {
	ns := s.server.Namespace(ctx)
	s.server.Create(ctx, build.Policy(ns, "crash", v1alpha1.ModeAuto).Rule(v1alpha1.ModeAuto, "").
		Cooldown(p.cooldown).Verification(time.Second, p.deadline).Obj())
	s.server.Grant(ctx, ns, kubetest.RemediatorUser(ns), rbacv1.PolicyRule{
		APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"patch"},
	})
	s.server.Grant(ctx, ns, kubetest.OperatorUser, rbacv1.PolicyRule{
		APIGroups: []string{""}, Resources: []string{"serviceaccounts"}, ResourceNames: []string{v1alpha1.RemediatorAccount}, Verbs: []string{"impersonate"},
	})
	return ns
}

// configure writes the operator's configuration.
func (s *stage) configure() error {
	text := fmt.Sprintf("namespace: %s\nintake: {address: %q}\nmetrics: {address: %q}\nhealth: {address: \"0\"}\nleaderElection: {enabled: %t}\n",
		kubetest.OperatorNamespace, s.intake, s.metrics, s.elects)
	return os.WriteFile(s.config, []byte(text), 0o600)
}

// start runs the operator behind a wire of its own.
func (s *stage) start(l *ledger, log *os.File) (*wire, error) {
	if err := s.configure(); err != nil {
		return nil, err
	}
	w, err := lay(s.operator, l)
	if err != nil {
		return nil, err
	}
	kubeconfig := filepath.Join(s.dir, "kubeconfig")
	if err := clientcmd.WriteToFile(w.kubeconfig(s.operator.BearerToken), kubeconfig); err != nil {
		return nil, err
	}
	l.mu.Lock() // its first write must find it
	defer l.mu.Unlock()
	w.operator, err = kubetest.Launch(s.program, kubeconfig, s.config, log)
	return w, err
}
