// Package tenants shows what tenants of one cluster can't do to each other through
// Kubernaut: the real program, with the shipped roles, guards and default policy, on
// a real API server, and two tenants of which one is hostile.
package tenants

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
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
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
)

func TestTenants(t *testing.T) {
	ctrl.SetLogger(logr.Discard()) // without any the client logs a stack
	RegisterFailHandler(Fail)
	RunSpecs(t, "tenants")
}

// node is one of the cluster's.
const node = "worker-1"

var (
	server *kubetest.Server
	// hostile and honest are the two tenants.
	hostile, honest tenant
	// alertmanager sends alerts to the operator.
	alertmanager *kubetest.AlertSender
)

var _ = BeforeSuite(func(ctx SpecContext) {
	server = kubetest.Start(GinkgoTB())
	server.Install(ctx, "config", "rbac")
	server.Install(ctx, "config", "policies")
	server.InstallGuards(ctx)
	raiseCeiling(ctx)
	server.RunKubelet(ctx, node, "worker-2")
	hostile, honest = newTenant(ctx, "mallory"), newTenant(ctx, "anna")
	launch(ctx, kubetest.Compile(GinkgoTB()))
})

// tenant is a namespace that Kubernaut heals, and its people.
type tenant struct {
	namespace string
	// editor holds what Kubernetes' role edit gives, with Kubernaut's part of it.
	editor string
	// creator may create remediations, and nothing else.
	creator string
}

// newTenant makes a namespace whose policy lets every plan run without approval, and
// grants the operator all that it can be granted there.
func newTenant(ctx context.Context, person string) tenant {
	GinkgoHelper()
	t := tenant{namespace: server.Namespace(ctx), editor: person, creator: person + "-sends"}
	server.Create(ctx, build.Policy(t.namespace, "auto", v1alpha1.ModeAuto).Rule(v1alpha1.ModeAuto, "").Cooldown(0).MaxPerHour(200).Obj())
	// There is no controller here that aggregates these into edit.
	for _, role := range []string{"system:aggregate-to-edit", "system:aggregate-to-view", "kubernaut-operator", "kubernaut-viewer"} {
		server.GrantClusterRole(ctx, t.namespace, t.editor, role)
	}
	server.Grant(ctx, t.namespace, t.creator, rbacv1.PolicyRule{
		APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"alertremediations"}, Verbs: []string{"create"},
	})
	grant := cli.Grant{Namespace: t.namespace, Level: action.LevelFull, Operator: cli.Operator{Namespace: kubetest.OperatorNamespace, Account: kubetest.OperatorAccount}}
	var manifests bytes.Buffer
	Expect(grant.Print(&manifests)).To(Succeed())
	server.Apply(ctx, manifests.Bytes())
	server.AwaitRight(ctx, t.namespace, kubetest.OperatorUser, rbacv1.PolicyRule{
		APIGroups: []string{""}, Resources: []string{"serviceaccounts"}, Verbs: []string{"impersonate"}, ResourceNames: []string{kubetest.Remediator},
	})
	return t
}

// raiseCeiling lets namespaces give themselves every mode, as an administrator who trusts them would.
func raiseCeiling(ctx context.Context) {
	GinkgoHelper()
	shipped := build.Policy(kubetest.OperatorNamespace, v1alpha1.DefaultPolicyName, "").Obj()
	Expect(server.Client.Patch(ctx, shipped, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"ceiling":"Auto"}}`)))).To(Succeed())
}

// launch starts the program with the operator's own account, and waits until it is ready.
func launch(ctx context.Context, program string) {
	GinkgoHelper()
	dir, intake, health := GinkgoT().TempDir(), kubetest.FreeAddress(GinkgoTB()), kubetest.FreeAddress(GinkgoTB())
	config, kubeconfig := filepath.Join(dir, "config.yaml"), filepath.Join(dir, "kubeconfig")
	text := fmt.Sprintf("namespace: %s\nintake: {address: %q}\nmetrics: {address: \"0\"}\nhealth: {address: %q}\n",
		kubetest.OperatorNamespace, intake, health)
	Expect(os.WriteFile(config, []byte(text), 0o600)).To(Succeed())
	Expect(clientcmd.WriteToFile(kubeconfigOf(server.OperatorConfig(ctx)), kubeconfig)).To(Succeed())
	var err error
	alertmanager, err = kubetest.NewAlertSender(ctx, server.Client, intake, true)
	Expect(err).NotTo(HaveOccurred())
	operator, err := kubetest.Launch(program, kubeconfig, config, GinkgoWriter)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(operator.Stop()).To(Succeed()) })
	Eventually(func(g Gomega) {
		g.Expect(operator.Gone()).To(BeFalse(), "the operator ended")
		answer, err := http.Get("http://" + health + "/readyz")
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(answer.Body.Close()).To(Succeed())
		g.Expect(answer.StatusCode).To(Equal(http.StatusOK))
	}).WithTimeout(time.Minute).WithPolling(100 * time.Millisecond).Should(Succeed())
}

func kubeconfigOf(account *rest.Config) clientcmdapi.Config {
	access := clientcmdapi.NewConfig()
	access.Clusters["test"] = &clientcmdapi.Cluster{Server: account.Host, CertificateAuthorityData: account.CAData}
	access.AuthInfos["operator"] = &clientcmdapi.AuthInfo{Token: account.BearerToken}
	access.Contexts["test"] = &clientcmdapi.Context{Cluster: "test", AuthInfo: "operator"}
	access.CurrentContext = "test"
	return *access
}
