package loops

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/cli"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/pkg/action"
	"github.com/kubernaut/kubernaut/pkg/alert"
)

// labels of an alert.
type labels = map[string]string

// nodes that the pods of the loops are on.
var nodes = []string{"node-a", "node-b"}

// site is the real operator, as config/ ships its roles and guards, with the ceiling raised to Auto, at work on an API server.
type site struct {
	*kubetest.Server
	alerts  *kubetest.AlertSender
	kubelet *kubetest.Kubelet
	log     string // path of the operator's log
}

// open starts the operator, and waits until it is ready.
func open(t *testing.T) *site {
	t.Helper()
	ctrl.SetLogger(logr.Discard()) // without any the client logs a stack
	ctx := t.Context()
	s := &site{Server: kubetest.Start(t)}
	s.Install(ctx, "config", "rbac")
	s.InstallDefaultPolicy(ctx, v1alpha1.ModeAuto)
	s.InstallGuards(ctx)
	s.kubelet = s.RunKubelet(ctx, nodes...)
	s.launch(t, kubetest.Compile(t))
	return s
}

// launch starts the program with the operator's own account.
func (s *site) launch(t *testing.T, program string) {
	t.Helper()
	ctx, dir, intake, health := t.Context(), t.TempDir(), kubetest.FreeAddress(t), kubetest.FreeAddress(t)
	config, kubeconfig := filepath.Join(dir, "config.yaml"), filepath.Join(dir, "kubeconfig")
	text := fmt.Sprintf("namespace: %s\nintake: {address: %q}\nmetrics: {address: \"0\"}\nhealth: {address: %q}\n", kubetest.OperatorNamespace, intake, health)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := clientcmd.WriteToFile(kubeconfigOf(s.OperatorConfig(ctx)), kubeconfig); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.alerts, err = kubetest.NewAlertSender(ctx, s.Client, intake, true); err != nil {
		t.Fatal(err)
	}
	s.log = filepath.Join(dir, "log")
	log, err := os.Create(s.log)
	if err != nil {
		t.Fatal(err)
	}
	operator, err := kubetest.Launch(program, kubeconfig, config, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := operator.Stop(); err != nil {
			t.Error(err)
		}
	})
	s.await(t, time.Minute, "the operator to be ready", func(context.Context) (bool, error) {
		if operator.Gone() {
			return false, fmt.Errorf("the operator ended: %s\n%s", operator.End(), s.said())
		}
		answer, err := http.Get("http://" + health + "/readyz")
		if err != nil {
			return false, nil //nolint:nilerr // the operator does not listen yet
		}
		return answer.StatusCode == http.StatusOK, answer.Body.Close()
	})
}

func kubeconfigOf(account *rest.Config) clientcmdapi.Config {
	access := clientcmdapi.NewConfig()
	access.Clusters["test"] = &clientcmdapi.Cluster{Server: account.Host, CertificateAuthorityData: account.CAData}
	access.AuthInfos["operator"] = &clientcmdapi.AuthInfo{Token: account.BearerToken}
	access.Contexts["test"] = &clientcmdapi.Context{Cluster: "test", AuthInfo: "operator"}
	access.CurrentContext = "test"
	return *access
}

// tenant creates a namespace whose policy lets every plan run without approval, and
// grants the operator all that it can be granted there. If the test fails, what
// happened in the namespace is in the test's log.
func (s *site) tenant(t *testing.T) string {
	t.Helper()
	ctx := t.Context()
	ns := s.Namespace(ctx)
	s.Create(ctx, build.Policy(ns, "auto", v1alpha1.ModeAuto).Rule(v1alpha1.ModeAuto, "").Verification(2*time.Second, 20*time.Second).Obj())
	grant := cli.Grant{Namespace: ns, Level: action.LevelFull, Operator: cli.Operator{Namespace: kubetest.OperatorNamespace, Account: kubetest.OperatorAccount}}
	var manifests bytes.Buffer
	if err := grant.Print(&manifests); err != nil {
		t.Fatal(err)
	}
	s.Apply(ctx, manifests.Bytes())
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.report(ns))
		}
	})
	return ns
}

// post sends alerts as Alertmanager does: again, until they are accepted.
func (s *site) post(t *testing.T, status alert.Status, alerts ...labels) {
	t.Helper()
	body := kubetest.MessageSince(status, time.Now().Add(-time.Minute), alerts...)
	s.await(t, time.Minute, "the alerts to be accepted", func(ctx context.Context) (bool, error) {
		code, answer, err := s.alerts.Post(ctx, body)
		if err == nil && code != http.StatusOK && code != http.StatusServiceUnavailable {
			err = fmt.Errorf("the webhook answers %d: %s", code, answer)
		}
		return code == http.StatusOK, err
	})
}

// remediations returns those of a namespace.
func (s *site) remediations(ctx context.Context, ns string) ([]v1alpha1.AlertRemediation, error) {
	var list v1alpha1.AlertRemediationList
	err := s.Client.List(ctx, &list, client.InNamespace(ns))
	return list.Items, err
}

// finished waits until so many remediations of a namespace have ended, and returns
// them. It fails as soon as the check does.
func (s *site) finished(t *testing.T, ns string, many int, check func(ns string) error) []v1alpha1.AlertRemediation {
	t.Helper()
	var all []v1alpha1.AlertRemediation
	s.await(t, 45*time.Second, fmt.Sprintf("%d remediations to end", many), func(ctx context.Context) (bool, error) {
		if err := check(ns); err != nil {
			return false, err
		}
		var err error
		all, err = s.remediations(ctx, ns)
		ended := 0
		for i := range all {
			if all[i].Finished() {
				ended++
			}
		}
		return ended == many, err
	})
	return all
}

// watched is how long a remediation that waits to look again is watched: longer
// than the operator takes for a diagnosis, a plan and its execution together.
const watched = 12 * time.Second

// settled waits until the one remediation of a namespace has ended, or has put its
// diagnosis off for as long as it is watched, and returns it. It fails as soon as the
// operator writes to a workload.
func (s *site) settled(t *testing.T, ns string) v1alpha1.AlertRemediation {
	t.Helper()
	var ar v1alpha1.AlertRemediation
	var began time.Time
	s.await(t, 45*time.Second, "the remediation to end or to wait", func(ctx context.Context) (bool, error) {
		if err := s.unchanged(ns); err != nil {
			return false, err
		}
		all, err := s.remediations(ctx, ns)
		if err != nil || len(all) != 1 {
			return false, err
		}
		ar = all[0]
		diagnosed := meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Diagnosed)
		switch {
		case ar.Finished():
			return true, nil
		case diagnosed == nil || diagnosed.Status != metav1.ConditionUnknown:
			began = time.Time{} // it goes on
			return false, nil
		case began.IsZero():
			began = time.Now()
		}
		return time.Since(began) > watched, nil
	})
	return ar
}

// await polls until something holds, and fails with what was waited for.
func (s *site) await(t *testing.T, patience time.Duration, what string, holds wait.ConditionWithContextFunc) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, patience, true, holds); err != nil {
		t.Fatalf("waiting for %s: %v", what, err)
	}
}
