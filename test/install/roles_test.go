package install_test

import (
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/kubetest"
)

// operatorMay is typed by hand: who changes the shipped role changes it here too, and says why.
var operatorMay = []string{
	"get list watch /namespaces",
	"get list watch /nodes",
	"get list watch /pods",
	"get /pods/log",
	"get /configmaps",                       // metadata: who wrote one last, and does it exist; its keys where a revision names one
	"get /serviceaccounts",                  // does the one of a revision exist?
	"get scheduling.k8s.io/priorityclasses", // the same
	"get node.k8s.io/runtimeclasses",        // the same
	"get list watch /services",
	"get list watch create patch /events",
	"get list watch /persistentvolumeclaims",
	"get list watch /limitranges",
	"get list watch /resourcequotas",
	"get list watch apps/deployments",
	"get list watch apps/statefulsets",
	"get list watch apps/daemonsets",
	"get list watch apps/replicasets",
	"get list watch apps/controllerrevisions",
	"get list watch batch/jobs",
	"get list watch batch/cronjobs",
	"get list watch autoscaling/horizontalpodautoscalers",
	"get list watch discovery.k8s.io/endpointslices",
	"list watch admissionregistration.k8s.io/validatingadmissionpolicies",
	"list watch admissionregistration.k8s.io/validatingadmissionpolicybindings",
	"get apiextensions.k8s.io/customresourcedefinitions=alertremediations.kubernaut.io=remediationpolicies.kubernaut.io=workflowruns.kubernaut.io",
	"get list watch create update patch delete kubernaut.io/alertremediations",
	"get update patch kubernaut.io/alertremediations/status",
	"update kubernaut.io/alertremediations/finalizers",
	"get list watch create update patch delete kubernaut.io/workflowruns",
	"get update patch kubernaut.io/workflowruns/status",
	"update kubernaut.io/workflowruns/finalizers",
	"get list watch kubernaut.io/remediationpolicies",
	"get update patch kubernaut.io/remediationpolicies/status",
	"get apiextensions.k8s.io/customresourcedefinitions=workflowruns.kubernaut.io", // is it being deleted?
	"create patch events.k8s.io/events",
	"create authentication.k8s.io/tokenreviews",
	"create authorization.k8s.io/subjectaccessreviews",
}

var operatorMayAtHome = []string{
	"get list watch create update patch delete coordination.k8s.io/leases",
	"get /configmaps=kubernaut-emergency-stop",
	"get list watch create update patch /secrets=kubernaut-intake-tls", // create: by apply only
	"create kubernaut.io/remediationpolicies",
}

// rights spells rules out, one line for each resource.
func rights(rules []rbacv1.PolicyRule) []string {
	verbs := map[string][]string{}
	for _, rule := range rules {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				key := strings.Join(append([]string{group + "/" + resource}, rule.ResourceNames...), "=")
				verbs[key] = append(verbs[key], rule.Verbs...)
			}
		}
		Expect(rule.NonResourceURLs).To(BeEmpty())
	}
	var lines []string
	for key, v := range verbs {
		lines = append(lines, strings.Join(slices.Compact(v), " ")+" "+key)
	}
	return lines
}

var _ = Describe("The operator's rights", func() {
	It("equal the list that was typed by hand", func(ctx SpecContext) {
		cluster := &rbacv1.ClusterRole{}
		Expect(server.Client.Get(ctx, client.ObjectKey{Name: "kubernaut"}, cluster)).To(Succeed())
		Expect(rights(cluster.Rules)).To(ConsistOf(operatorMay))
		Expect(cluster.AggregationRule).To(BeNil())

		home := &rbacv1.Role{}
		Expect(server.Client.Get(ctx, client.ObjectKey{Namespace: kubetest.OperatorNamespace, Name: "kubernaut"}, home)).To(Succeed())
		Expect(rights(home.Rules)).To(ConsistOf(operatorMayAtHome))
	})

	It("come from one ClusterRoleBinding, one RoleBinding, and grants", func(ctx SpecContext) {
		var bindings rbacv1.ClusterRoleBindingList
		Expect(server.Client.List(ctx, &bindings)).To(Succeed())
		var roles []string
		for _, binding := range bindings.Items {
			if slices.ContainsFunc(binding.Subjects, isOperator) {
				roles = append(roles, binding.RoleRef.Name)
			}
		}
		Expect(roles).To(ConsistOf("kubernaut"))

		var local rbacv1.RoleBindingList
		Expect(server.Client.List(ctx, &local)).To(Succeed())
		var places []string
		for _, binding := range local.Items {
			granted := binding.Name == "kubernaut-impersonates-remediator" || binding.Name == "kubernaut-node-leases"
			if slices.ContainsFunc(binding.Subjects, isOperator) && !granted {
				places = append(places, binding.Namespace+"/"+binding.Name)
			}
		}
		Expect(places).To(ConsistOf("kubernaut-system/kubernaut"))
	})
})

func isOperator(subject rbacv1.Subject) bool {
	return subject.Kind == rbacv1.ServiceAccountKind && subject.Name == kubetest.OperatorAccount
}

var _ = Describe("The roles for people", func() {
	role := func(ctx SpecContext, name string) *rbacv1.ClusterRole {
		found := &rbacv1.ClusterRole{}
		Expect(server.Client.Get(ctx, client.ObjectKey{Name: name}, found)).To(Succeed())
		return found
	}
	It("have no wildcard, and give the verb approve to approvers only", func(ctx SpecContext) {
		for _, name := range []string{"kubernaut-viewer", "kubernaut-operator", "kubernaut-approver", "kubernaut-admin"} {
			for _, line := range rights(role(ctx, name).Rules) {
				Expect(line).NotTo(ContainSubstring("*"), name)
				Expect(strings.Contains(line, "approve")).To(
					Equal(name == "kubernaut-approver" && strings.HasSuffix(line, "kubernaut.io/alertremediations")), "%s: %s", name, line)
				Expect(strings.HasSuffix(line, "/status") && line != "get "+line[strings.LastIndex(line, " ")+1:]).To(BeFalse(), "%s may write %s", name, line)
			}
		}
	})
	It("belong to Kubernetes' own, but for the approver", func(ctx SpecContext) {
		const prefix = "rbac.authorization.k8s.io/aggregate-to-"
		Expect(role(ctx, "kubernaut-viewer").Labels).To(HaveKeyWithValue(prefix+"view", "true"))
		Expect(role(ctx, "kubernaut-operator").Labels).To(HaveKeyWithValue(prefix+"edit", "true"))
		Expect(role(ctx, "kubernaut-admin").Labels).To(HaveKeyWithValue(prefix+"admin", "true"))
		for label := range role(ctx, "kubernaut-approver").Labels {
			Expect(label).NotTo(HavePrefix(prefix))
		}
	})
})
