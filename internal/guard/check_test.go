package guard_test

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/guard"
	"github.com/kubernaut/kubernaut/internal/kubetest"
)

// The operator asks, with the rights it ships with.
func faults(ctx context.Context) []string {
	found, err := guard.Check(ctx, server.Operator(ctx), kubetest.OperatorUser)
	Expect(err).NotTo(HaveOccurred())
	if len(found.Faults) > 0 {
		Expect(found.Epoch).To(BeEmpty())
	}
	return found.Faults
}

func epoch(ctx context.Context) string {
	found, err := guard.Check(ctx, server.Operator(ctx), kubetest.OperatorUser)
	Expect(err).NotTo(HaveOccurred())
	return found.Epoch
}

func policyNamed(ctx context.Context, name string) *admissionregistrationv1.ValidatingAdmissionPolicy {
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{}
	Expect(server.Client.Get(ctx, client.ObjectKey{Name: name}, policy)).To(Succeed())
	return policy
}

func bindingNamed(ctx context.Context, name string) *admissionregistrationv1.ValidatingAdmissionPolicyBinding {
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{}
	Expect(server.Client.Get(ctx, client.ObjectKey{Name: name}, binding)).To(Succeed())
	return binding
}

// Serial: the guards are the cluster's, and other tests rely on them.
var _ = Describe("Check", Serial, func() {
	BeforeEach(func(ctx SpecContext) {
		Expect(faults(ctx)).To(BeEmpty(), "as installed, all are in force")
		DeferCleanup(func(ctx SpecContext) {
			shipped, err := guard.Manifests(kubetest.OperatorUser)
			Expect(err).NotTo(HaveOccurred())
			for i := 0; i < 8 && len(faults(ctx)) > 0; i++ {
				_, command, found := strings.Cut(faults(ctx)[0], "kubectl kubernaut guards | kubectl ")
				Expect(found).To(BeTrue())
				Expect(command).NotTo(ContainSubstring("force"))
				server.Kubectl(ctx, shipped, strings.Fields(command)...)
			}
			server.AwaitGuards(ctx)
			Expect(faults(ctx)).To(BeEmpty(), "the remedies that the messages name put all in force")
		})
	})

	It("names a guard whose binding was deleted", func(ctx SpecContext) {
		Expect(server.Client.Delete(ctx, bindingNamed(ctx, "kubernaut-approval"))).To(Succeed())
		Expect(faults(ctx)).To(ConsistOf(HavePrefix("the binding of guard approval is missing: kubectl kubernaut guards")))
	})
	It("is put right without a moment in which a forged approval is let through", func(ctx SpecContext) {
		shipped, err := guard.Manifests(kubetest.OperatorUser)
		Expect(err).NotTo(HaveOccurred())
		uid, ns := bindingNamed(ctx, "kubernaut-approval").UID, server.Namespace(ctx)
		binding := bindingNamed(ctx, "kubernaut-run")
		binding.Spec.ValidationActions = []admissionregistrationv1.ValidationAction{admissionregistrationv1.Audit}
		Expect(server.Client.Update(ctx, binding)).To(Succeed())
		Expect(faults(ctx)).To(ConsistOf(HaveSuffix("altered: kubectl kubernaut guards | kubectl replace -f -")))

		done, let := make(chan struct{}), make(chan string, 1)
		go func() {
			defer close(let)
			for {
				if fault, _ := guard.Forge(ctx, server.Client, ns, []string{"kubernaut-approval"}); fault != "" {
					let <- fault
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		}()
		server.Kubectl(ctx, shipped, "replace", "-f", "-")
		close(done)
		Eventually(let).Should(BeClosed(), "no forgery was let through meanwhile")
		Expect(faults(ctx)).To(BeEmpty())
		Expect(bindingNamed(ctx, "kubernaut-approval").UID).To(Equal(uid), "it was there all the time")
	})
	It("names a guard whose policy was deleted", func(ctx SpecContext) {
		Expect(server.Client.Delete(ctx, policyNamed(ctx, "kubernaut-run"))).To(Succeed())
		Expect(faults(ctx)).To(ConsistOf(HavePrefix("the policy of guard run is missing")))
	})
	It("names a guard that only audits any more", func(ctx SpecContext) {
		binding := bindingNamed(ctx, "kubernaut-status")
		binding.Spec.ValidationActions = []admissionregistrationv1.ValidationAction{admissionregistrationv1.Audit}
		Expect(server.Client.Update(ctx, binding)).To(Succeed())
		Expect(faults(ctx)).To(ConsistOf(HavePrefix("the binding of guard status is altered")))
	})
	It("names a guard that was narrowed to some namespaces", func(ctx SpecContext) {
		binding := bindingNamed(ctx, "kubernaut-status")
		binding.Spec.MatchResources = &admissionregistrationv1.MatchResources{ExcludeResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
			RuleWithOperations: admissionregistrationv1.RuleWithOperations{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.OperationAll},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{"*"}, APIVersions: []string{"*"}, Resources: []string{"*/*"}},
			},
		}}}
		Expect(server.Client.Update(ctx, binding)).To(Succeed())
		Expect(faults(ctx)).To(ConsistOf(HavePrefix("the binding of guard status is altered")))
	})
	It("names each guard whose rule was weakened", func(ctx SpecContext) {
		for _, name := range []string{"kubernaut-approval", "kubernaut-origin"} {
			policy := policyNamed(ctx, name)
			policy.Spec.Validations[0].Expression = "true"
			Expect(server.Client.Update(ctx, policy)).To(Succeed())
		}
		Expect(faults(ctx)).To(ConsistOf(
			HavePrefix("the policy of guard approval is altered"), HavePrefix("the policy of guard origin is altered")))
	})
	It("names a guard that lets through what it can't judge", func(ctx SpecContext) {
		policy := policyNamed(ctx, "kubernaut-origin")
		policy.Spec.FailurePolicy = new(admissionregistrationv1.Ignore)
		Expect(server.Client.Update(ctx, policy)).To(Succeed())
		Expect(faults(ctx)).To(ConsistOf(HavePrefix("the policy of guard origin is altered")))
	})
	It("tells guards that were put back from those that nobody touched", func(ctx SpecContext) {
		before := epoch(ctx)
		shipped, err := guard.Manifests(kubetest.OperatorUser)
		Expect(err).NotTo(HaveOccurred())
		server.Kubectl(ctx, shipped, "apply", "--server-side", "--force-conflicts", "-f", "-")
		policy := policyNamed(ctx, "kubernaut-approval")
		policy.Annotations = map[string]string{"example.com/seen": "yes"}
		Expect(server.Client.Update(ctx, policy)).To(Succeed())
		Expect(epoch(ctx)).To(Equal(before), "they were applied again, and one was annotated")

		binding := bindingNamed(ctx, "kubernaut-approval")
		actions := binding.Spec.ValidationActions
		for _, a := range [][]admissionregistrationv1.ValidationAction{{admissionregistrationv1.Audit}, actions} {
			binding.Spec.ValidationActions = a
			Expect(server.Client.Update(ctx, binding)).To(Succeed())
		}
		altered := epoch(ctx)
		Expect(altered).NotTo(Equal(before), "it only audited for a moment")

		binding = bindingNamed(ctx, "kubernaut-approval")
		Expect(server.Client.Delete(ctx, binding)).To(Succeed())
		binding.ResourceVersion, binding.UID = "", ""
		Expect(server.Client.Create(ctx, binding)).To(Succeed())
		Expect(faults(ctx)).To(BeEmpty())
		Expect(epoch(ctx)).NotTo(Equal(altered), "it was away for a moment")
	})
	It("names the guards that trust another account than ours", func(ctx SpecContext) {
		found, err := guard.Check(ctx, server.Client, "system:serviceaccount:elsewhere:kubernaut")
		Expect(err).NotTo(HaveOccurred())
		Expect(found.Faults).To(ConsistOf(HavePrefix("the policy of guard status is altered"),
			HavePrefix("the policy of guard run is altered"), HavePrefix("the policy of guard origin is altered")))
	})
	It("refuses to check for somebody who is no service account", func(ctx SpecContext) {
		_, err := guard.Check(ctx, server.Client, "admin")
		Expect(err).To(MatchError(ContainSubstring("is not a ServiceAccount")))
	})
})
