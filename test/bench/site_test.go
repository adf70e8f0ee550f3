package bench

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
)

// site is the real operator, the leader and a process of its own, at work on an
// API server without nodes.
type site struct {
	*kubetest.Server
	account  *rest.Config // the operator's own
	operator *kubetest.Operator
	alerts   *kubetest.AlertSender
}

// open installs what config/ ships, with the ceiling raised to Auto, and starts the operator; it is ready when it answers.
func open(b *testing.B) *site {
	b.Helper()
	return openAudited(b, kubetest.AuditStatuses)
}

// openAudited opens a site whose API server keeps another audit log.
func openAudited(b *testing.B, audit func(*envtest.ControlPlane)) *site {
	b.Helper()
	ctrl.SetLogger(logr.Discard()) // with none at all the client logs a stack
	ctx := b.Context()
	s := &site{Server: kubetest.Start(b, audit)}
	s.Install(ctx, "config", "rbac")
	s.InstallDefaultPolicy(ctx, v1alpha1.ModeAuto)
	s.InstallGuards(ctx)
	s.account = s.OperatorConfig(ctx)

	dir, intake, health := b.TempDir(), kubetest.FreeAddress(b), kubetest.FreeAddress(b)
	var err error
	if s.alerts, err = kubetest.NewAlertSender(ctx, s.Client, intake, true); err != nil {
		b.Fatal(err)
	}
	config := filepath.Join(dir, "config.yaml")
	text := fmt.Sprintf("namespace: %s\nleaderElection: {enabled: true}\nintake: {address: %q}\nmetrics: {address: \"0\"}\nhealth: {address: %q}\ntriggers: {namespaces: [\"*\"]}\n", kubetest.OperatorNamespace, intake, health)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := clientcmd.WriteToFile(kubeconfigOf(s.account), kubeconfig); err != nil {
		b.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		b.Fatal(err)
	}
	if s.operator, err = kubetest.Launch(kubetest.Compile(b), kubeconfig, config, log); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.shut(b, log) })
	s.await(b, time.Minute, "the intake to listen", func(context.Context) (bool, error) {
		conn, err := net.Dial("tcp", intake)
		if err != nil {
			return false, nil //nolint:nilerr // not yet
		}
		return true, conn.Close()
	})
	s.await(b, time.Minute, "the operator to answer", func(ctx context.Context) (bool, error) {
		answer, err := http.Get("http://" + health + "/readyz")
		if err != nil {
			return false, nil //nolint:nilerr // not yet
		}
		return answer.StatusCode == http.StatusOK, answer.Body.Close()
	})
	return s
}

// shut stops the operator, and shows what it said if anything went wrong.
func (s *site) shut(b *testing.B, log *os.File) {
	if err := s.operator.Stop(); err != nil {
		b.Error(err)
	}
	if !b.Failed() {
		return
	}
	said, err := os.ReadFile(log.Name())
	b.Logf("the operator said (%v):\n%s", err, said[max(0, len(said)-16<<10):])
}

func kubeconfigOf(account *rest.Config) clientcmdapi.Config {
	cfg := clientcmdapi.NewConfig()
	cfg.Clusters["bench"] = &clientcmdapi.Cluster{Server: account.Host, CertificateAuthorityData: account.CAData}
	cfg.AuthInfos["operator"] = &clientcmdapi.AuthInfo{Token: account.BearerToken}
	cfg.Contexts["bench"] = &clientcmdapi.Context{Cluster: "bench", AuthInfo: "operator"}
	cfg.CurrentContext = "bench"
	return *cfg
}

// pause is how long await waits before each look: what it asks costs the API
// server what is measured.
const pause = 3 * time.Second

// await waits until something holds, and fails with what was waited for.
func (s *site) await(b *testing.B, patience time.Duration, what string, holds wait.ConditionWithContextFunc) {
	b.Helper()
	err := wait.PollUntilContextTimeout(b.Context(), pause, patience, false, func(ctx context.Context) (bool, error) {
		if s.operator.Gone() {
			return false, fmt.Errorf("the operator ended: %s", s.operator.End())
		}
		return holds(ctx)
	})
	if err != nil {
		b.Fatalf("waiting for %s: %v", what, err)
	}
}

// retry is how Alertmanager waits before it sends again; it goes on longer than any of this lasts.
var retry = wait.Backoff{Duration: 500 * time.Millisecond, Factor: 1.5, Jitter: 0.5, Steps: 12}

// post sends a message until it is taken, as Alertmanager does, and returns how
// often it was told to come again. Only a 503 may say that: any other answer than
// 200, and none at all, is a fault.
func (s *site) post(ctx context.Context, body []byte) (again int, err error) {
	err = wait.ExponentialBackoffWithContext(ctx, retry, func(ctx context.Context) (bool, error) {
		status, said, err := s.alerts.Post(ctx, body)
		switch {
		case err != nil:
			return false, err
		case status == http.StatusServiceUnavailable:
			again++
		case status != http.StatusOK:
			return false, fmt.Errorf("posting: %d: %s", status, said)
		}
		return status == http.StatusOK, nil
	})
	return again, err
}

// finished returns the remediations of a namespace once there are so many, all
// ended. If they never are, it shows how those stand that have not.
func (s *site) finished(b *testing.B, namespace string, many int) []v1alpha1.AlertRemediation {
	b.Helper()
	var list v1alpha1.AlertRemediationList
	b.Cleanup(func() {
		for _, ar := range list.Items {
			if b.Failed() && !ar.Finished() {
				b.Logf("%s has not ended: %+v", ar.Name, ar.Status.Conditions)
			}
		}
	})
	s.await(b, 10*time.Minute, fmt.Sprintf("%d remediations in %s to end", many, namespace), func(ctx context.Context) (bool, error) {
		if err := s.Client.List(ctx, &list, client.InNamespace(namespace)); err != nil {
			return false, err
		}
		living := slices.ContainsFunc(list.Items, func(ar v1alpha1.AlertRemediation) bool { return !ar.Finished() })
		return len(list.Items) == many && !living, nil
	})
	return list.Items
}
