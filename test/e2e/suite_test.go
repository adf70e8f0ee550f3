//go:build e2e

// Package e2e breaks workloads on a real cluster and watches the operator heal
// them, or leave them alone. The names of everything are drawn anew each time.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
)

func TestEndToEnd(t *testing.T) {
	RegisterFailHandler(Fail)
	log.SetLogger(GinkgoLogr)
	SetDefaultEventuallyTimeout(2 * time.Minute)
	SetDefaultEventuallyPollingInterval(500 * time.Millisecond)
	RunSpecs(t, "end to end")
}

const (
	operatorNamespace = "kubernaut-system"
	image             = "ghcr.io/kubernaut/kubernaut:dev"
	clusterName       = "e2e"
)

// lab is the cluster of the suite.
type lab struct {
	client.Client
	config  *rest.Config
	clients kubernetes.Interface
	root    string
	Kubectl string
	Alerts  *kubetest.AlertSender
	Status  status
}

// status is what localcluster tells.
type status struct {
	Kubeconfig string       `json:"kubeconfig"`
	AuditLog   string       `json:"auditLog"`
	Binaries   string       `json:"binaries"`
	NodeList   []nodeStatus `json:"nodeList"`
}

type nodeStatus struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Veth    string `json:"veth"`
}

var cluster *lab

var _ = BeforeSuite(func(ctx SpecContext) {
	cluster = &lab{root: root()}
	DeferCleanup(func(ctx SpecContext) {
		if os.Getenv("KEEP") != "1" {
			cluster.localcluster(ctx, "down")
		}
	}, NodeTimeout(2*time.Minute))
	cluster.localcluster(ctx, "up", "--nodes", "3", "--metrics", "--storage", "--kubernetes", version())
	Expect(json.Unmarshal(cluster.localcluster(ctx, "status", "-o", "json"), &cluster.Status)).To(Succeed())
	cluster.Kubectl = filepath.Join(cluster.Status.Binaries, "kubectl")
	cluster.connect()
	cluster.install(ctx)
	var err error
	cluster.Alerts, err = kubetest.NewAlertSender(ctx, cluster.Client, cluster.Status.NodeList[0].Address+":30994", true)
	Expect(err).NotTo(HaveOccurred())
}, NodeTimeout(45*time.Minute))

// version is that of the cluster.
func version() string {
	if asked := os.Getenv("KUBERNETES"); asked != "" {
		return asked
	}
	return "1.37.2"
}

// root is the top of the repository.
func root() string {
	dir, err := os.Getwd()
	Expect(err).NotTo(HaveOccurred())
	return filepath.Dir(filepath.Dir(dir))
}

func (l *lab) bin(name string) string { return filepath.Join(l.root, "bin", name) }

// localcluster runs the program that makes the cluster.
func (l *lab) localcluster(ctx context.Context, command string, args ...string) []byte {
	GinkgoHelper()
	return l.output(ctx, l.bin("localcluster"), append([]string{command, "--name", clusterName}, args...)...)
}

// command is kubectl for the administrator.
func (l *lab) command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, l.Kubectl, append([]string{"--kubeconfig", l.Status.Kubeconfig}, args...)...)
}

// kubectl runs kubectl as the administrator.
func (l *lab) kubectl(ctx context.Context, args ...string) []byte {
	GinkgoHelper()
	return l.output(ctx, l.Kubectl, append([]string{"--kubeconfig", l.Status.Kubeconfig}, args...)...)
}

// output runs a program in the root of the repository; its complaints are the failure.
func (l *lab) output(ctx context.Context, name string, args ...string) []byte {
	GinkgoHelper()
	var complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stderr = l.root, &complaint
	out, err := cmd.Output()
	Expect(err).NotTo(HaveOccurred(), "%s %v\n%s", name, args, complaint.String())
	return out
}

// apply sends manifests to the API server.
func (l *lab) apply(ctx context.Context, manifests []byte) {
	GinkgoHelper()
	cmd := l.command(ctx, "apply", "--server-side", "-f", "-")
	cmd.Stdin = bytes.NewReader(manifests)
	out, err := cmd.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s\n%s", out, manifests)
}

// connect makes the clients.
func (l *lab) connect() {
	var err error
	l.config, err = clientcmd.BuildConfigFromFlags("", l.Status.Kubeconfig)
	Expect(err).NotTo(HaveOccurred())
	l.config.QPS, l.config.Burst = 200, 400
	scheme := runtime.NewScheme()
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	l.Client, err = client.New(l.config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	l.clients, err = kubernetes.NewForConfig(l.config)
	Expect(err).NotTo(HaveOccurred())
}

// install puts the operator into the cluster, as a user of OpenShift would, with a NodePort.
func (l *lab) install(ctx context.Context) {
	tar := filepath.Join(GinkgoT().TempDir(), "kubernaut.tar")
	l.output(ctx, l.bin("localcluster"), "image", "--binary", l.bin("kubernaut"), "--ref", image, "--out", tar)
	l.localcluster(ctx, "load", tar)
	l.kubectl(ctx, "apply", "-k", "test/e2e/testdata/operator")
	l.kubectl(ctx, "-n", operatorNamespace, "rollout", "status", "deployment/kubernaut", "--timeout=120s")
	l.raiseCeiling(ctx)
	l.awaitQuotas(ctx)
}

// awaitQuotas waits until quotas on our kinds are counted. The controller manager looks for
// new kinds every half a minute, and counts a quota that was there before minutes later.
func (l *lab) awaitQuotas(ctx context.Context) {
	GinkgoHelper()
	many := resource.MustParse("1000")
	Eventually(func(g Gomega) {
		quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, GenerateName: "counted-"}, Spec: corev1.ResourceQuotaSpec{
			Hard: corev1.ResourceList{"count/alertremediations.kubernaut.io": many, "count/workflowruns.kubernaut.io": many, "count/remediationpolicies.kubernaut.io": many},
		}}
		g.Expect(l.Create(ctx, quota)).To(Succeed())
		defer func() { g.Expect(l.Delete(ctx, quota)).To(Succeed()) }()
		g.Eventually(func(g Gomega) {
			g.Expect(l.Get(ctx, client.ObjectKeyFromObject(quota), quota)).To(Succeed())
			g.Expect(quota.Status.Used).To(HaveLen(3))
		}).WithContext(ctx).WithTimeout(2 * time.Second).WithPolling(100 * time.Millisecond).Should(Succeed())
	}).WithContext(ctx).Should(Succeed())
}

// raiseCeiling lets policies with mode Auto act without a person, which the shipped
// ceiling does not. The operator creates the policy when it begins to lead.
func (l *lab) raiseCeiling(ctx context.Context) {
	shipped := &v1alpha1.RemediationPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: v1alpha1.DefaultPolicyName}}
	Eventually(func(ctx context.Context) error { return l.Get(ctx, client.ObjectKeyFromObject(shipped), shipped) }).WithContext(ctx).Should(Succeed())
	Expect(shipped.Spec.Ceiling).To(BeElementOf(v1alpha1.ModeApprove, v1alpha1.ModeAuto), "as config/ ships it, or raised before in a cluster that was kept")
	Expect(l.Patch(ctx, shipped, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"ceiling":"Auto"}}`)))).To(Succeed())
}

// ReportAfterEach prints what a person needs to find the cause of a failure.
var _ = ReportAfterEach(func(ctx SpecContext, report SpecReport) {
	if !report.Failed() || cluster == nil || cluster.Client == nil {
		return
	}
	for _, args := range [][]string{
		{"get", "ar,wr,deployments,pods,services", "-A", "-o", "wide"},
		{"get", "ar,wr", "-A", "-o", "yaml"},
		{"get", "events", "-A", "--sort-by=.lastTimestamp"},
		{"-n", operatorNamespace, "logs", "deployment/kubernaut", "--tail=100"},
	} {
		out, err := cluster.command(ctx, args...).CombinedOutput()
		fmt.Fprintf(GinkgoWriter, "\n$ kubectl %v\n%s", args, out)
		if err != nil {
			fmt.Fprintf(GinkgoWriter, "%v\n", err)
		}
	}
})
