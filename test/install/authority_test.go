package install_test

import (
	"bytes"
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/admission"
	"github.com/kubernaut/kubernaut/internal/cli"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/pkg/action"
)

func beForbidden() OmegaMatcher {
	return WithTransform(apierrors.IsForbidden, BeTrue())
}

// relabel is a patch that changes nothing of importance.
var relabel = client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"touched":"yes"}}}`))

// actingAs returns a client with which the operator acts as a ServiceAccount.
func actingAs(ctx context.Context, namespace, account string) client.Client {
	cfg := rest.CopyConfig(server.OperatorConfig(ctx))
	cfg.Impersonate.UserName = "system:serviceaccount:" + namespace + ":" + account
	c, err := client.New(cfg, client.Options{Scheme: server.Scheme})
	Expect(err).NotTo(HaveOccurred())
	return c
}

func grant(ctx context.Context, namespace string, level action.Level) {
	var manifests bytes.Buffer
	wanted := cli.Grant{Namespace: namespace, Level: level, Operator: cli.Operator{Namespace: kubetest.OperatorNamespace, Account: kubetest.OperatorAccount}}
	Expect(wanted.Print(&manifests)).To(Succeed())
	server.Kubectl(ctx, manifests.Bytes(), "apply", "-f", "-")
	server.CountQuotas(ctx, namespace)
	server.AwaitRight(ctx, namespace, kubetest.OperatorUser, rbacv1.PolicyRule{
		APIGroups: []string{""}, Resources: []string{"serviceaccounts"}, ResourceNames: []string{kubetest.Remediator}, Verbs: []string{"impersonate"},
	})
	server.AwaitRight(ctx, namespace, kubetest.RemediatorUser(namespace), rbacv1.PolicyRule{
		APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"patch"},
	})
}

var _ = Describe("The operator's own account", func() {
	var (
		ns       string
		operator client.Client
		web      *appsv1.Deployment
	)
	BeforeEach(func(ctx SpecContext) {
		ns, operator = server.Namespace(ctx), server.Operator(ctx)
		web = build.Deployment(ns, "web").Obj()
		server.Create(ctx, web,
			&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "password"}},
			&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "settings"}})
	})

	It("reads workloads", func(ctx SpecContext) {
		Expect(operator.Get(ctx, client.ObjectKeyFromObject(web), &appsv1.Deployment{})).To(Succeed())
	})
	It("can't read a Secret, nor list ConfigMaps, nor delete one", func(ctx SpecContext) {
		Expect(operator.Get(ctx, client.ObjectKey{Namespace: ns, Name: "password"}, &corev1.Secret{})).To(beForbidden())
		Expect(operator.List(ctx, &corev1.ConfigMapList{}, client.InNamespace(ns))).To(beForbidden())
		Expect(operator.Delete(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "settings"}})).To(beForbidden())
	})
	It("keeps the one Secret of its certificate, and can neither read nor make another at home", func(ctx SpecContext) {
		home := func(name string) *corev1.Secret {
			return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: kubetest.OperatorNamespace, Name: name}}
		}
		server.Create(ctx, home("others"))
		apply := func(name string) error {
			return operator.Apply(ctx, corev1ac.Secret(name, kubetest.OperatorNamespace), client.FieldOwner("test"))
		}
		Expect(apply("kubernaut-intake-tls")).To(Succeed())
		Expect(operator.Get(ctx, client.ObjectKeyFromObject(home("kubernaut-intake-tls")), &corev1.Secret{})).To(Succeed())
		Expect(operator.Delete(ctx, home("kubernaut-intake-tls"))).To(beForbidden())
		Expect(operator.Get(ctx, client.ObjectKeyFromObject(home("others")), &corev1.Secret{})).To(beForbidden())
		Expect(operator.List(ctx, &corev1.SecretList{}, client.InNamespace(kubetest.OperatorNamespace))).To(beForbidden())
		Expect(apply("mine")).To(beForbidden())
		Expect(operator.Create(ctx, home("mine"))).To(beForbidden())
	})
	It("can't patch a Deployment", func(ctx SpecContext) {
		err := operator.Patch(ctx, web, relabel)
		Expect(err).To(beForbidden())
		Expect(admission.Unauthorized(err)).To(BeTrue(), "what intake takes for a missing right: %v", err)
	})
	It("can't act as another account", func(ctx SpecContext) {
		Expect(actingAs(ctx, ns, "default").Get(ctx, client.ObjectKeyFromObject(web), &appsv1.Deployment{})).To(beForbidden())
		Expect(actingAs(ctx, ns, kubetest.Remediator).Patch(ctx, web, relabel)).To(beForbidden())
	})
	It("can't give itself rights", func(ctx SpecContext) {
		Expect(operator.Create(ctx, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "mine"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: kubetest.OperatorNamespace, Name: kubetest.OperatorAccount}},
		})).To(beForbidden())
	})
	It("can't write the policies that bind it, nor approve", func(ctx SpecContext) {
		policy := &v1alpha1.RemediationPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: kubetest.OperatorNamespace, Name: "default"}}
		Expect(operator.Patch(ctx, policy, relabel)).To(beForbidden())
		Expect(operator.Create(ctx, build.Policy(ns, "own", v1alpha1.ModeAuto).Obj())).To(beForbidden(), "it creates policies at home only")
		ar := build.Remediation(ns, "waiting").Planned(v1alpha1.PlanStatus{Digest: build.Digest}).Obj()
		server.Create(ctx, ar)
		ar.Spec.Approval = &v1alpha1.Approval{Decision: v1alpha1.DecisionApproved, By: kubetest.OperatorUser, PlanDigest: build.Digest}
		Expect(operator.Update(ctx, ar)).To(MatchError(ContainSubstring("ask for the verb approve")))
	})
	It("sees the emergency stop, and can list no ConfigMap of its namespace", func(ctx SpecContext) {
		stop := client.ObjectKey{Namespace: kubetest.OperatorNamespace, Name: v1alpha1.EmergencyStopName}
		Expect(operator.Get(ctx, stop, &corev1.ConfigMap{})).To(MatchError(apierrors.IsNotFound, "not found"))
		Expect(operator.List(ctx, &corev1.ConfigMapList{}, client.InNamespace(kubetest.OperatorNamespace))).To(beForbidden())
	})
})

var _ = Describe("kubectl kubernaut grant", func() {
	It("lets the operator act as the remediator there, within the level, and nowhere else", func(ctx SpecContext) {
		ns, elsewhere := server.Namespace(ctx), server.Namespace(ctx)
		web, shop := build.Deployment(ns, "web").Obj(), build.Service(ns, "shop", "web")
		other := build.Deployment(elsewhere, "web").Obj()
		server.Create(ctx, web, shop, other)
		grant(ctx, ns, action.LevelRestart)

		remediator := actingAs(ctx, ns, kubetest.Remediator)
		Expect(remediator.Patch(ctx, web, relabel)).To(Succeed())
		Expect(remediator.Patch(ctx, shop, relabel)).To(beForbidden(), "level restart is about workloads only")
		Expect(remediator.Delete(ctx, web)).To(beForbidden())
		Expect(remediator.Patch(ctx, other, relabel)).To(beForbidden())
		Expect(actingAs(ctx, ns, "default").Patch(ctx, web, relabel)).To(beForbidden())
		Expect(actingAs(ctx, elsewhere, kubetest.Remediator).Patch(ctx, other, relabel)).To(beForbidden())
		Expect(server.Operator(ctx).Create(ctx, build.Run(ns, "run", build.TargetOf(web, build.DeploymentKind)).Step("restart", "RolloutRestart", nil).Obj())).
			To(Succeed(), "a granted namespace is one where the operator may make runs")

		grant(ctx, ns, action.LevelFull)
		server.AwaitRight(ctx, ns, kubetest.RemediatorUser(ns), rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"patch"}})
		Expect(remediator.Patch(ctx, shop, relabel)).To(Succeed(), "a higher level replaces the lower one")
	})

	It("lets the operator patch nodes as its own namespace's remediator only, at level node", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: ns}}
		server.Create(ctx, node, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "medik8s-leases"}})
		grant(ctx, ns, action.LevelFull)
		var manifests bytes.Buffer
		Expect(cli.Grant{Namespace: kubetest.OperatorNamespace, Level: action.LevelNode, NodeLeases: "medik8s-leases",
			Operator: cli.Operator{Namespace: kubetest.OperatorNamespace, Account: kubetest.OperatorAccount}}.Print(&manifests)).To(Succeed())
		server.Kubectl(ctx, manifests.Bytes(), "apply", "-f", "-")
		server.CountQuotas(ctx, kubetest.OperatorNamespace)
		server.AwaitRight(ctx, "", kubetest.RemediatorUser(kubetest.OperatorNamespace), rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"patch"}})
		server.AwaitRight(ctx, "kube-node-lease", kubetest.OperatorUser, rbacv1.PolicyRule{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"get"}})

		remediator := actingAs(ctx, kubetest.OperatorNamespace, kubetest.Remediator)
		Expect(remediator.Patch(ctx, node, relabel)).To(Succeed())
		Expect(remediator.Delete(ctx, node)).To(beForbidden())
		Expect(actingAs(ctx, ns, kubetest.Remediator).Patch(ctx, node, relabel)).To(beForbidden(), "a tenant's account has no word about nodes")
		Expect(server.Operator(ctx).Patch(ctx, node, relabel)).To(beForbidden(), "nor has the operator itself")

		lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "medik8s-leases", Name: "node-" + ns}}
		Expect(server.Operator(ctx).Create(ctx, lease)).To(Succeed())
		Expect(server.Operator(ctx).Delete(ctx, lease)).To(Succeed())
		lease.Namespace, lease.ResourceVersion = "kube-node-lease", ""
		Expect(server.Operator(ctx).Create(ctx, lease)).To(beForbidden())
	})

	It("gives a tenant's account no word about what decides", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		grant(ctx, ns, action.LevelFull)
		remediator := actingAs(ctx, ns, kubetest.Remediator)
		Expect(remediator.Create(ctx, build.Policy(ns, "mine", v1alpha1.ModeAuto).Obj())).To(beForbidden())
		stop := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: kubetest.OperatorNamespace, Name: v1alpha1.EmergencyStopName}}
		Expect(remediator.Delete(ctx, stop)).To(beForbidden())
	})
})
