//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

var _ = Describe("The operator's own account", func() {
	It("may read no Secret, change no workload, be nobody else and grant nothing", func(ctx SpecContext) {
		t := newTenant(ctx, "full")
		token, err := cluster.clients.CoreV1().ServiceAccounts(operatorNamespace).CreateToken(ctx, "kubernaut", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
		Expect(err).NotTo(HaveOccurred())
		as := func(impersonated string) kubernetes.Interface {
			config := rest.AnonymousClientConfig(cluster.config)
			config.BearerToken = token.Status.Token
			config.Impersonate.UserName = impersonated
			clients, err := kubernetes.NewForConfig(config)
			Expect(err).NotTo(HaveOccurred())
			return clients
		}
		operator := as("")

		_, err = operator.CoreV1().Secrets(t.ns).List(ctx, metav1.ListOptions{})
		Expect(apierrors.IsForbidden(err)).To(BeTrue(), "reading Secrets: %v", err)
		_, err = operator.CoreV1().Secrets(operatorNamespace).Get(ctx, "any", metav1.GetOptions{})
		Expect(apierrors.IsForbidden(err)).To(BeTrue(), "reading a Secret at home: %v", err)
		_, err = operator.AppsV1().Deployments(t.ns).Patch(ctx, t.app, types.MergePatchType, []byte(`{"spec":{"paused":true}}`), metav1.PatchOptions{})
		Expect(apierrors.IsForbidden(err)).To(BeTrue(), "patching a Deployment: %v", err)
		_, err = as("system:serviceaccount:"+t.ns+":default").CoreV1().Pods(t.ns).List(ctx, metav1.ListOptions{})
		Expect(apierrors.IsForbidden(err)).To(BeTrue(), "impersonating default: %v", err)
		_, err = operator.RbacV1().RoleBindings(t.ns).Create(ctx, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "more"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "admin"},
		}, metav1.CreateOptions{})
		Expect(apierrors.IsForbidden(err)).To(BeTrue(), "creating a RoleBinding: %v", err)

		_, err = operator.AppsV1().Deployments(t.ns).Get(ctx, t.app, metav1.GetOptions{})
		Expect(err).NotTo(HaveOccurred(), "what it needs it may: reading workloads")
	}, SpecTimeout(3*time.Minute))

	It("runs as a pod that could do no more", func(ctx SpecContext) {
		pods, err := cluster.clients.CoreV1().Pods(operatorNamespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=kubernaut"})
		Expect(err).NotTo(HaveOccurred())
		Expect(pods.Items).NotTo(BeEmpty())
		c := pods.Items[0].Spec.Containers[0]
		Expect(*c.SecurityContext.ReadOnlyRootFilesystem).To(BeTrue())
		Expect(*c.SecurityContext.AllowPrivilegeEscalation).To(BeFalse())
		Expect(c.SecurityContext.Capabilities.Drop).To(ConsistOf(corev1.Capability("ALL")))
		Expect(*pods.Items[0].Spec.SecurityContext.RunAsNonRoot).To(BeTrue())
		Expect(c.Resources.Limits).NotTo(BeEmpty())
	})

	It("runs as whatever user it is given, in group root, and reads its files", func(ctx SpecContext) {
		pods, err := cluster.clients.CoreV1().Pods(operatorNamespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=kubernaut"})
		Expect(err).NotTo(HaveOccurred())
		Expect(pods.Items).To(HaveLen(2))
		for _, pod := range pods.Items {
			Expect(pod.Status.ContainerStatuses[0].Ready).To(BeTrue(), "it has read its configuration")
			status := processOf(pod)
			Expect(status).To(MatchRegexp(`(?m)^Uid:\s+1000680000\s+1000680000\s`))
			Expect(status).To(MatchRegexp(`(?m)^Gid:\s+0\s+0\s`))
		}
	})
})

// processOf returns what the kernel says about the operator's process in a pod: its image has no program that could be asked.
func processOf(pod corev1.Pod) string {
	GinkgoHelper()
	groups, err := filepath.Glob("/proc/[0-9]*/cgroup")
	Expect(err).NotTo(HaveOccurred())
	for _, group := range groups {
		b, err := os.ReadFile(group)
		if err != nil || !strings.Contains(string(b), string(pod.UID)) {
			continue // it may have ended since
		}
		status, err := os.ReadFile(filepath.Join(filepath.Dir(group), "status"))
		if err == nil && strings.HasPrefix(string(status), "Name:\tkubernaut\n") {
			return string(status)
		}
	}
	Fail("no process of pod " + pod.Name)
	return ""
}
