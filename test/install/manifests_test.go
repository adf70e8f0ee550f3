package install_test

import (
	"context"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/config/policies"
	"github.com/kubernaut/kubernaut/internal/app"
	"github.com/kubernaut/kubernaut/internal/config"
	"github.com/kubernaut/kubernaut/internal/guard"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
)

var _ = Describe("config/default", func() {
	It("begins with a policy that the operator creates, that changes nothing, and under which no namespace acts without a person", func(ctx SpecContext) {
		policy, recorder := removeDefaultPolicy(ctx), events.NewFakeRecorder(10)
		Expect(app.CreateDefaultPolicy(ctx, server.Operator(ctx), recorder, kubetest.OperatorNamespace)).To(Succeed())
		Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(policy), policy)).To(Succeed())
		Expect(policy.Spec.Mode).To(Equal(v1alpha1.ModeRecommend))
		Expect(policy.Spec.Ceiling).To(Equal(v1alpha1.ModeApprove))
		Expect(recorder.Events).To(Receive(ContainSubstring("created as shipped, with mode Recommend and ceiling Approve")))
		strict := &v1alpha1.RemediationPolicy{}
		Expect(yaml.UnmarshalStrict(policies.Default, strict)).To(Succeed())
		Expect(policy.Spec).To(Equal(strict.Spec), "the manifest says all that holds")
	})

	DescribeTable("leaves a policy default whose ceiling was set alone, and creates a deleted one as shipped, never with more",
		func(ctx SpecContext, set v1alpha1.Mode) {
			policy, recorder := removeDefaultPolicy(ctx), events.NewFakeRecorder(10)
			create := func() {
				GinkgoHelper()
				Expect(app.CreateDefaultPolicy(ctx, server.Operator(ctx), recorder, kubetest.OperatorNamespace)).To(Succeed())
				Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(policy), policy)).To(Succeed())
			}
			create()
			Expect(recorder.Events).To(Receive())
			policy.Spec.Ceiling = set
			Expect(server.Client.Update(ctx, policy)).To(Succeed())
			create() // the next leader
			Expect(policy.Spec.Ceiling).To(Equal(set))
			Expect(recorder.Events).NotTo(Receive())

			Expect(server.Client.Delete(ctx, policy)).To(Succeed())
			create()
			Expect(policy.Spec.Ceiling).To(Equal(v1alpha1.ModeApprove))
			Expect(recorder.Events).To(Receive(ContainSubstring("another ceiling or mode that was set in it no longer holds")))
		},
		Entry("raised to Auto", v1alpha1.ModeAuto),
		Entry("lowered to Recommend", v1alpha1.ModeRecommend),
		Entry("lowered to Observe", v1alpha1.ModeObserve),
		Entry("taken away", v1alpha1.Mode("")),
	)

	It("needs no room in a quota for the policy default once that is there", func(ctx SpecContext) {
		recorder := events.NewFakeRecorder(10)
		create := func() error {
			return app.CreateDefaultPolicy(ctx, server.Operator(ctx), recorder, kubetest.OperatorNamespace)
		}
		Expect(create()).To(Succeed())
		another := build.Policy(kubetest.OperatorNamespace, "another", v1alpha1.ModeRecommend).Obj()
		quota := server.Quota(ctx, kubetest.OperatorNamespace, "remediationpolicies.kubernaut.io", another)
		DeferCleanup(func(ctx SpecContext) { Expect(server.Client.Delete(ctx, quota)).To(Succeed()) })
		Expect(create()).To(Succeed())

		removeDefaultPolicy(ctx)
		Expect(apierrors.IsForbidden(create())).To(BeTrue(), "the operator tries again")
	})

	It("puts all guards in force", func(ctx SpecContext) {
		state, err := guard.Check(ctx, server.Operator(ctx), kubetest.OperatorUser)
		Expect(err).NotTo(HaveOccurred())
		Expect(state.Faults).To(BeEmpty())
	})

	It("runs the operator under the restricted Pod Security Standard", func(ctx SpecContext) {
		deployment := &appsv1.Deployment{}
		Expect(server.Client.Get(ctx, client.ObjectKey{Namespace: kubetest.OperatorNamespace, Name: "kubernaut"}, deployment)).To(Succeed())
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: kubetest.OperatorNamespace, Name: "probe"}, Spec: deployment.Spec.Template.Spec}
		Expect(server.Client.Create(ctx, pod.DeepCopy(), client.DryRunAll)).To(Succeed())
		pod.Spec.SecurityContext = nil
		Expect(server.Client.Create(ctx, pod, client.DryRunAll)).To(MatchError(ContainSubstring(`violates PodSecurity "restricted`)))
		Expect(*deployment.Spec.Template.Spec.Containers[0].SecurityContext.ReadOnlyRootFilesystem).To(BeTrue())
	})

	It("runs an image that is nobody's, should nobody else be named", func() {
		Expect(os.ReadFile(kubetest.Path("Dockerfile"))).To(ContainSubstring("\nUSER 65532:65532\n"))
	})

	It("runs two replicas, of which one may be evicted at a time", func(ctx SpecContext) {
		deployment := &appsv1.Deployment{}
		Expect(server.Client.Get(ctx, client.ObjectKey{Namespace: kubetest.OperatorNamespace, Name: "kubernaut"}, deployment)).To(Succeed())
		Expect(*deployment.Spec.Replicas).To(BeEquivalentTo(2))
		budget := &policyv1.PodDisruptionBudget{}
		Expect(server.Client.Get(ctx, client.ObjectKey{Namespace: kubetest.OperatorNamespace, Name: "kubernaut"}, budget)).To(Succeed())
		Expect(budget.Spec.MaxUnavailable.IntValue()).To(Equal(1))
		Expect(budget.Spec.Selector).To(Equal(deployment.Spec.Selector))
	})

	It("gives the intake an address inside the cluster only", func(ctx SpecContext) {
		var services corev1.ServiceList
		Expect(server.Client.List(ctx, &services, client.InNamespace(kubetest.OperatorNamespace))).To(Succeed())
		Expect(services.Items).To(HaveLen(2))
		for _, service := range services.Items {
			Expect(service.Spec.Type).To(Equal(corev1.ServiceTypeClusterIP), service.Name)
		}
	})

	It("configures the operator with fields that exist", func() {
		shipped, err := os.ReadFile(kubetest.Path("config", "manager", "config.yaml"))
		Expect(err).NotTo(HaveOccurred())
		path := filepath.Join(GinkgoT().TempDir(), "config.yaml")
		Expect(os.WriteFile(path, append(shipped, []byte("namespace: kubernaut-system\n")...), 0o600)).To(Succeed())
		cfg, err := config.Load(path)
		Expect(err).NotTo(HaveOccurred())
		Expect(cfg.LeaderElection.Enabled).To(BeTrue())
		Expect(cfg.Intake.Authentication).To(Equal(config.AuthenticationToken))
		Expect(cfg.Intake.TLS.SecretName).NotTo(BeEmpty())
	})

	It("tells the guards of another namespace and prefix", func(ctx SpecContext) {
		dir := GinkgoT().TempDir()
		Expect(os.CopyFS(dir, os.DirFS(kubetest.Path("config")))).To(Succeed())
		file := filepath.Join(dir, "default", "operator", "kustomization.yaml")
		edited := edit(file, map[string]any{"namespace": "ops", "namePrefix": "my-"})
		Expect(os.WriteFile(file, edited, 0o600)).To(Succeed())

		objs, err := kubetest.Decode(server.Render(ctx, filepath.Join(dir, "default")))
		Expect(err).NotTo(HaveOccurred())
		wanted, err := guard.Shipped("system:serviceaccount:ops:my-kubernaut")
		Expect(err).NotTo(HaveOccurred())
		for _, g := range wanted {
			Expect(expressions(objs, g.Name)).To(Equal(g.Policy.Spec.Variables), g.Name)
		}
		for _, obj := range objs {
			Expect(obj.GetNamespace()).To(BeElementOf("", "ops"), "%s %s", obj.GetKind(), obj.GetName())
			Expect(obj.GetAPIVersion()).NotTo(HavePrefix("kubernaut.io/"), "kubectl takes no object of a kind that the same apply defines")
		}
	})
})

// edit sets fields of a kustomization.
func edit(file string, fields map[string]any) []byte {
	raw, err := os.ReadFile(file)
	Expect(err).NotTo(HaveOccurred())
	kustomization := map[string]any{}
	Expect(yaml.Unmarshal(raw, &kustomization)).To(Succeed())
	for name, value := range fields {
		kustomization[name] = value
	}
	edited, err := yaml.Marshal(kustomization)
	Expect(err).NotTo(HaveOccurred())
	return edited
}

// expressions returns the variables of one guard's policy among rendered objects.
func expressions(objs []*unstructured.Unstructured, name string) []admissionregistrationv1.Variable {
	for _, obj := range objs {
		if obj.GetKind() != "ValidatingAdmissionPolicy" || obj.GetLabels()[guard.Label] != name {
			continue
		}
		var policy admissionregistrationv1.ValidatingAdmissionPolicy
		Expect(runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, &policy)).To(Succeed())
		return policy.Spec.Variables
	}
	Fail("no policy is rendered for guard " + name)
	return nil
}

var _ = Describe("The examples", func() {
	It("are taken by the API server, to the last field", func(ctx SpecContext) {
		printed := string(server.Kubectl(ctx, nil, "apply", "--validate=strict", "-k", kubetest.Path("config", "samples")))
		for _, kind := range []string{"alertremediation", "workflowrun", "remediationpolicy"} {
			Expect(printed).To(ContainSubstring(kind + ".kubernaut.io/"))
		}
	})
	It("for Alertmanager let its account send alerts, and nothing else", func(ctx SpecContext) {
		server.Kubectl(ctx, nil, "apply", "--validate=strict", "-k", kubetest.Path("config", "samples", "alertmanager"))
		const sender = "system:serviceaccount:monitoring:alertmanager"
		server.AwaitRight(ctx, "", sender, rbacv1.PolicyRule{APIGroups: []string{"kubernaut.io"}, Resources: []string{"alertremediations"}, Verbs: []string{"create"}})
		role := &rbacv1.ClusterRole{}
		Expect(server.Client.Get(ctx, client.ObjectKey{Name: "kubernaut-alert-sender"}, role)).To(Succeed())
		Expect(rights(role.Rules)).To(ConsistOf("create kubernaut.io/alertremediations"))
		Expect(role.Labels).To(BeEmpty(), "it belongs to no built-in role")
	})
	It("for policies are taken in any namespace", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		presets, err := filepath.Glob(kubetest.Path("config", "policies", "*-*.yaml"))
		Expect(err).NotTo(HaveOccurred())
		Expect(presets).To(ContainElements(HaveSuffix("phase-1-approve.yaml"), HaveSuffix("nodes-approve.yaml")))
		for _, preset := range presets {
			server.Kubectl(ctx, nil, "apply", "--validate=strict", "-n", ns, "-f", preset)
		}
	})
})

// removeDefaultPolicy deletes the policy default, if it exists, as an administrator may.
func removeDefaultPolicy(ctx context.Context) *v1alpha1.RemediationPolicy {
	GinkgoHelper()
	policy := &v1alpha1.RemediationPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: kubetest.OperatorNamespace, Name: v1alpha1.DefaultPolicyName}}
	Expect(client.IgnoreNotFound(server.Client.Delete(ctx, policy.DeepCopy()))).To(Succeed())
	return policy
}
