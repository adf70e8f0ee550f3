// Package node plays the kubelet of a node that falls silent and comes back, to
// the real operator at work on an API server.
package node

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/cli"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/pkg/action"
)

const home = kubetest.OperatorNamespace

// site is the operator, a node, and whoever alerts about it.
type site struct {
	*kubetest.Server
	alerts *kubetest.AlertSender
}

// TestANodeThatFallsSilent is cordoned with the rights of the operator's own
// remediator, and uncordoned once it has been heard of again for the window.
func TestANodeThatFallsSilent(t *testing.T) {
	ctx := t.Context()
	s := open(t)
	for _, name := range []string{"n1", "n2", "n3"} {
		s.beats(t, name, corev1.ConditionTrue, time.Now())
	}
	s.beats(t, "n2", corev1.ConditionUnknown, time.Now().Add(-2*time.Minute))
	s.post(t, "firing")
	s.await(t, "the node to be cordoned", func(ctx context.Context) (bool, error) {
		node, err := s.node(ctx, "n2")
		return node.Spec.Unschedulable, err
	})
	lease := &coordinationv1.Lease{}
	if err := s.Client.Get(ctx, client.ObjectKey{Namespace: "medik8s-leases", Name: "node-n2"}, lease); err != nil {
		t.Errorf("other remediators do not know that one is at work: %v", err)
	}

	s.beats(t, "n2", corev1.ConditionTrue, time.Now())
	s.post(t, "resolved")
	var ar v1alpha1.AlertRemediation
	s.await(t, "the verdict", func(ctx context.Context) (bool, error) {
		s.beats(t, "n2", corev1.ConditionTrue, time.Now())
		var list v1alpha1.AlertRemediationList
		if err := s.Client.List(ctx, &list, client.InNamespace(home)); err != nil || len(list.Items) == 0 {
			return false, err
		}
		ar = list.Items[0]
		return ar.Finished(), nil
	})
	if ar.Status.Outcome != v1alpha1.OutcomeResolvedItself || ar.Status.Diagnosis.Cause != v1alpha1.CauseNodeNotReady {
		t.Errorf("ended as %s with cause %s: %+v", ar.Status.Outcome, ar.Status.Diagnosis.Cause, ar.Status.Conditions)
	}
	if node, err := s.node(ctx, "n2"); err != nil || node.Spec.Unschedulable {
		t.Errorf("the node is still cordoned (%v)", err)
	}
	if got := s.patchers("n2"); len(got) != 2 || got[0] != kubetest.RemediatorUser(home) || got[1] != got[0] {
		t.Errorf("the node was patched as %q, want twice as the operator's own remediator", got)
	}
	s.await(t, "the lease to be given back", func(ctx context.Context) (bool, error) {
		err := s.Client.Get(ctx, client.ObjectKeyFromObject(lease), lease)
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	})
}

// open installs what config/ ships, with the ceiling raised to Auto, grants what nodes need, and starts the operator.
func open(t *testing.T) *site {
	t.Helper()
	ctx := t.Context()
	s := &site{Server: kubetest.Start(t)}
	s.Install(ctx, "config", "rbac")
	s.InstallDefaultPolicy(ctx, v1alpha1.ModeAuto)
	s.InstallGuards(ctx)
	nodes := build.Policy(home, "nodes", v1alpha1.ModeAuto).Verification(2*time.Second, 2*time.Minute).Obj()
	nodes.Spec.Selectors.Kinds = []string{"Node"}
	s.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "medik8s-leases"}}, nodes)
	var grant bytes.Buffer
	operator := cli.Operator{Namespace: home, Account: kubetest.OperatorAccount}
	if err := (cli.Grant{Namespace: home, Level: action.LevelNode, NodeLeases: "medik8s-leases", Operator: operator}).Print(&grant); err != nil {
		t.Fatal(err)
	}
	s.Kubectl(ctx, grant.Bytes(), "apply", "-f", "-")
	s.CountQuotas(ctx, home)
	s.launch(t)
	return s
}

// launch starts the real program with the operator's own account.
func (s *site) launch(t *testing.T) {
	t.Helper()
	dir, intake, health := t.TempDir(), kubetest.FreeAddress(t), kubetest.FreeAddress(t)
	config, kubeconfig := filepath.Join(dir, "config.yaml"), filepath.Join(dir, "kubeconfig")
	text := fmt.Sprintf("namespace: %s\nintake: {address: %q}\nmetrics: {address: \"0\"}\nhealth: {address: %q}\n", home, intake, health)
	account, log := s.OperatorConfig(t.Context()), &bytes.Buffer{}
	access := clientcmdapi.NewConfig()
	access.Clusters["test"] = &clientcmdapi.Cluster{Server: account.Host, CertificateAuthorityData: account.CAData}
	access.AuthInfos["operator"] = &clientcmdapi.AuthInfo{Token: account.BearerToken}
	access.Contexts["test"] = &clientcmdapi.Context{Cluster: "test", AuthInfo: "operator"}
	access.CurrentContext = "test"
	if err := clientcmd.WriteToFile(*access, kubeconfig); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	operator, err := kubetest.Launch(kubetest.Compile(t), kubeconfig, config, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := operator.Stop(); err != nil || t.Failed() {
			t.Errorf("the operator (%v) said:\n%s", err, log)
		}
	})
	if s.alerts, err = kubetest.NewAlertSender(t.Context(), s.Client, intake, true); err != nil {
		t.Fatal(err)
	}
	s.await(t, "the operator to answer", func(context.Context) (bool, error) {
		answer, err := http.Get("http://" + health + "/readyz")
		if err != nil {
			return false, nil //nolint:nilerr // not yet
		}
		return answer.StatusCode == http.StatusOK, answer.Body.Close()
	})
}

// beats writes what the kubelet of a node, or about it, would be written.
func (s *site) beats(t *testing.T, name string, ready corev1.ConditionStatus, renewed time.Time) {
	t.Helper()
	ctx, at := t.Context(), metav1.NewMicroTime(renewed)
	node, err := s.node(ctx, name)
	if apierrors.IsNotFound(err) {
		node = &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
		s.Create(ctx, node, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceNodeLease, Name: name}})
	} else if err != nil {
		t.Fatal(err)
	}
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceNodeLease, Name: name}}
	patch := client.MergeFrom(lease.DeepCopy())
	lease.Spec.RenewTime = &at
	if err := s.Client.Patch(ctx, lease, patch); err != nil {
		t.Fatal(err)
	}
	if len(node.Status.Conditions) > 0 && node.Status.Conditions[0].Status == ready {
		return
	}
	since := metav1.NewTime(renewed)
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready, Reason: "Test", LastHeartbeatTime: since, LastTransitionTime: since}}
	if err := s.Client.Status().Update(ctx, node); err != nil {
		t.Fatal(err)
	}
}

func (s *site) node(ctx context.Context, name string) (*corev1.Node, error) {
	node := &corev1.Node{}
	return node, s.Client.Get(ctx, client.ObjectKey{Name: name}, node)
}

// post sends the alert about n2 as Alertmanager does, with the labels that
// kube-state-metrics gives it.
func (s *site) post(t *testing.T, status string) {
	t.Helper()
	alert := map[string]any{
		"status": status, "startsAt": "2026-11-25T03:00:00Z", "endsAt": "0001-01-01T00:00:00Z",
		"labels": map[string]string{"alertname": "KubeNodeNotReady", "severity": "critical", "node": "n2", "namespace": "monitoring", "pod": "kube-state-metrics-0", "job": "kube-state-metrics"},
	}
	if status == "resolved" {
		alert["endsAt"] = time.Now().UTC().Format(time.RFC3339)
	}
	body, err := json.Marshal(map[string]any{
		"version": "4", "groupKey": "{}:{}", "status": status, "receiver": "kubernaut", "externalURL": "http://alertmanager",
		"groupLabels": map[string]string{}, "commonLabels": map[string]string{}, "commonAnnotations": map[string]string{}, "alerts": []any{alert},
	})
	if err != nil {
		t.Fatal(err)
	}
	code, said, err := s.alerts.Post(t.Context(), body)
	if err != nil || code != http.StatusOK {
		t.Fatalf("the webhook answered %d %s, %v", code, said, err)
	}
}

// patchers returns as whom a node was patched with effect, in order.
func (s *site) patchers(name string) []string {
	var users []string
	for _, e := range s.Audit() {
		if e.ObjectRef != nil && e.ObjectRef.Resource == "nodes" && e.ObjectRef.Name == name && e.Verb == "patch" &&
			e.ImpersonatedUser != nil && !bytes.Contains([]byte(e.RequestURI), []byte("dryRun")) {
			users = append(users, e.ImpersonatedUser.Username)
		}
	}
	return users
}

func (s *site) await(t *testing.T, what string, done func(context.Context) (bool, error)) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, 2*time.Minute, true, done); err != nil {
		t.Fatalf("waiting for %s: %v", what, err)
	}
}
