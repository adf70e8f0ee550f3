package gate_test

import (
	"context"
	"errors"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/gate"
	"github.com/kubernaut/kubernaut/internal/kubeclient"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
)

func TestGate(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "gate")
}

var (
	server *kubetest.Server
	door   *gate.Gate
)

var _ = BeforeSuite(func(ctx SpecContext) {
	server = kubetest.Start(GinkgoTB())
	server.Install(ctx, "config", "rbac")
	door = gate.New(server.Config, server.Scheme, server.Client.RESTMapper(), kubetest.OperatorNamespace)
})

func open(ns string) *gate.Tenant {
	GinkgoHelper()
	tenant, err := door.Open(ns)
	Expect(err).NotTo(HaveOccurred())
	return tenant
}

func may(verb, group, resource string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{Verbs: []string{verb}, APIGroups: []string{group}, Resources: []string{resource}}
}

func on(verb v1alpha1.Verb, target v1alpha1.TargetReference, body string) v1alpha1.Operation {
	op := v1alpha1.Operation{Verb: verb, Object: target.ObjectReference, Precondition: v1alpha1.Precondition{UID: target.UID}}
	if body != "" {
		op.Body = &apiextensionsv1.JSON{Raw: []byte(body)}
	}
	return op
}

func deployed(ctx context.Context, ns string) v1alpha1.TargetReference {
	GinkgoHelper()
	d := build.Deployment(ns, "web").Obj()
	server.Create(ctx, d)
	return build.TargetOf(d, build.DeploymentKind)
}

func configMap(ctx context.Context, ns, name string) v1alpha1.TargetReference {
	GinkgoHelper()
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}, Data: map[string]string{"a": "1"}}
	cm.Annotations = map[string]string{"example.test/a": "1"}
	server.Create(ctx, cm)
	return build.TargetOf(cm, corev1.SchemeGroupVersion.WithKind("ConfigMap"))
}

func replicas(ctx context.Context, target v1alpha1.TargetReference) int32 {
	GinkgoHelper()
	d := &appsv1.Deployment{}
	Expect(server.Client.Get(ctx, target.NamespacedName(), d)).To(Succeed())
	return *d.Spec.Replicas
}

func look(ctx context.Context, op v1alpha1.Operation) gate.SeenState {
	GinkgoHelper()
	seen, err := gate.Look(ctx, server.Client, op)
	Expect(err).NotTo(HaveOccurred())
	return seen.State
}

const toThree = `[{"op":"replace","path":"/spec/replicas","value":3}]`

var _ = Describe("The tenant", func() {
	It("may do nothing that its namespace did not grant, and is told what is missing", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		op := on(v1alpha1.VerbPatch, deployed(ctx, ns), toThree)
		for name, attempt := range map[string]func(context.Context, v1alpha1.Operation) error{
			"review":  func(ctx context.Context, op v1alpha1.Operation) error { return open(ns).Review(ctx, op) },
			"dry run": open(ns).DryRun, "apply": open(ns).Apply,
		} {
			var denied *gate.Denied
			err := attempt(ctx, op)
			Expect(errors.As(err, &denied)).To(BeTrue(), "%s: %v", name, err)
			Expect(denied.Actor).To(Equal(kubetest.RemediatorUser(ns)))
			Expect(denied.Need.Verb + " " + denied.Need.Resource + " " + denied.Need.Name).To(Equal("patch deployments web"))
			Expect(err).To(MatchError(ContainSubstring("may not patch deployments.apps in namespace " + ns)))
		}
		Expect(replicas(ctx, build.TargetOf(build.Deployment(ns, "web").Obj(), build.DeploymentKind))).To(BeEquivalentTo(1))
	})

	It("is judged by name and by subresource", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		web := deployed(ctx, ns)
		rule := may("patch", "apps", "deployments")
		rule.ResourceNames = []string{"web"}
		server.Grant(ctx, ns, kubetest.RemediatorUser(ns), rule)
		Expect(open(ns).Review(ctx, on(v1alpha1.VerbPatch, web, toThree))).To(Succeed())

		other, scale, evict := on(v1alpha1.VerbPatch, web, toThree), on(v1alpha1.VerbPatch, web, toThree), on(v1alpha1.VerbEvict, web, "")
		other.Object.Name = "api"
		scale.Subresource = "scale"
		evict.Object.APIVersion, evict.Object.Kind = "v1", "Pod"
		Expect(open(ns).Review(ctx, on(v1alpha1.VerbPatch, web, toThree), other)).To(MatchError(ContainSubstring("may not patch deployments.apps in")))
		Expect(open(ns).Review(ctx, scale)).To(MatchError(ContainSubstring("may not patch deployments.apps/scale in")))
		Expect(open(ns).Review(ctx, evict)).To(MatchError(ContainSubstring("may not create pods/eviction in")))
	})

	It("can't be acted as by an operator that was not let", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		web := deployed(ctx, ns)
		server.Grant(ctx, ns, kubetest.RemediatorUser(ns), may("patch", "apps", "deployments"))
		own := gate.New(server.OperatorConfig(ctx), server.Scheme, server.Client.RESTMapper(), kubetest.OperatorNamespace)
		tenant, err := own.Open(ns)
		Expect(err).NotTo(HaveOccurred())
		for _, attempt := range []error{tenant.Review(ctx, on(v1alpha1.VerbPatch, web, toThree)), tenant.Apply(ctx, on(v1alpha1.VerbPatch, web, toThree))} {
			var denied *gate.Denied
			Expect(errors.As(attempt, &denied)).To(BeTrue(), "%v", attempt)
			Expect(denied.Need.Verb).To(Equal("impersonate"))
			Expect(attempt).To(MatchError(ContainSubstring("the operator may not impersonate serviceaccounts kubernaut-remediator in namespace " + ns)))
		}

		let := may("impersonate", "", "serviceaccounts")
		let.ResourceNames = []string{v1alpha1.RemediatorAccount}
		server.Grant(ctx, ns, kubetest.OperatorUser, let)
		Expect(tenant.Review(ctx, on(v1alpha1.VerbPatch, web, toThree))).To(Succeed())
		Expect(tenant.Apply(ctx, on(v1alpha1.VerbPatch, web, toThree))).To(Succeed())
		Expect(replicas(ctx, web)).To(BeEquivalentTo(3))
	})

	It("patches a subresource, and the fields of an object whose names have slashes", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		web, settings := deployed(ctx, ns), configMap(ctx, ns, "settings")
		server.Grant(ctx, ns, kubetest.RemediatorUser(ns), may("patch", "", "configmaps"), may("patch", "apps", "deployments/scale"))
		server.AwaitRight(ctx, ns, kubetest.RemediatorUser(ns), may("patch", "", "configmaps"))
		scale := on(v1alpha1.VerbPatch, web, toThree)
		scale.Subresource = "scale"
		scale.Precondition.Fields = []v1alpha1.FieldValue{{Path: "/spec/replicas", Value: &apiextensionsv1.JSON{Raw: []byte("1")}}}
		Expect(open(ns).DryRun(ctx, scale)).To(Succeed())
		Expect(look(ctx, scale)).To(Equal(gate.SeenBefore))
		Expect(open(ns).Apply(ctx, scale)).To(Succeed())
		Expect(look(ctx, scale)).To(Equal(gate.SeenApplied))

		data := on(v1alpha1.VerbPatch, settings, `[{"op":"replace","path":"/metadata/annotations/example.test~1a","value":"2"},{"op":"add","path":"/data/c","value":"3"}]`)
		data.Precondition.Fields = []v1alpha1.FieldValue{{Path: "/metadata/annotations/example.test~1a", Value: &apiextensionsv1.JSON{Raw: []byte(`"1"`)}}, {Path: "/data/c"}}
		Expect(open(ns).Apply(ctx, data)).To(Succeed())
		Expect(look(ctx, data)).To(Equal(gate.SeenApplied))
		Expect(open(ns).Apply(ctx, data)).To(MatchError(gate.ErrPrecondition), "a field that had to be absent is there")
	})

	It("sends nothing to an object whose scope is not what its reference says", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: ns}}
		server.Create(ctx, node)
		web := deployed(ctx, ns)
		// As a cluster administrator may have bound them, which grant never does.
		for _, user := range []string{kubetest.RemediatorUser(ns), kubetest.RemediatorUser(kubetest.OperatorNamespace)} {
			server.GrantEverywhere(ctx, user, may("patch", "", "nodes"), may("patch", "apps", "deployments"), may("delete", "", "nodes"))
		}
		cordon := `[{"op":"add","path":"/spec/unschedulable","value":true}]`
		target := build.TargetOf(node, corev1.SchemeGroupVersion.WithKind("Node"))
		inside := func(namespace string) v1alpha1.TargetReference {
			moved := target
			moved.Namespace = namespace
			return moved
		}
		nowhere := web
		nowhere.Namespace = ""
		for name, op := range map[string]struct {
			opener string
			op     v1alpha1.Operation
		}{
			"a Node in the tenant's namespace":              {ns, on(v1alpha1.VerbPatch, inside(ns), cordon)},
			"the deletion of such a Node":                   {ns, on(v1alpha1.VerbDelete, inside(ns), "")},
			"a Node in the operator's namespace":            {kubetest.OperatorNamespace, on(v1alpha1.VerbPatch, inside(kubetest.OperatorNamespace), cordon)},
			"a Deployment in no namespace":                  {kubetest.OperatorNamespace, on(v1alpha1.VerbPatch, nowhere, toThree)},
			"a Node in no namespace, as a tenant":           {ns, on(v1alpha1.VerbPatch, target, cordon)},
			"a Deployment of the tenant's, as the operator": {kubetest.OperatorNamespace, on(v1alpha1.VerbPatch, web, toThree)},
		} {
			var rejected *gate.Rejected
			Expect(errors.As(open(op.opener).DryRun(ctx, op.op), &rejected)).To(BeTrue(), name)
			Expect(errors.As(open(op.opener).Apply(ctx, op.op), &rejected)).To(BeTrue(), name)
		}
		seen, err := gate.Look(ctx, server.Client, on(v1alpha1.VerbDelete, inside(ns), ""))
		Expect(err).NotTo(HaveOccurred())
		Expect(seen.State).To(Equal(gate.SeenOther), seen.Says)
		scoped := kubeclient.NewScopedReader(server.Client, server.Client.RESTMapper(), server.Scheme)
		seen, err = gate.Look(ctx, scoped, on(v1alpha1.VerbDelete, inside(ns), ""))
		Expect(err).NotTo(HaveOccurred())
		Expect(seen.State).To(Equal(gate.SeenOther), seen.Says)
		for _, event := range server.Audit() {
			if ref, as := event.ObjectRef, event.ImpersonatedUser; ref != nil && as != nil && ref.Resource == "nodes" && ref.Name == node.Name {
				Expect(as.Username).NotTo(HaveSuffix(":"+kubetest.Remediator), "%s of the Node was sent", event.Verb)
			}
		}
		Expect(replicas(ctx, web)).To(BeEquivalentTo(1))

		Expect(open(kubetest.OperatorNamespace).Apply(ctx, on(v1alpha1.VerbPatch, target, cordon))).To(Succeed())
		Expect(open(ns).Apply(ctx, on(v1alpha1.VerbPatch, web, toThree))).To(Succeed())
	})

	It("deletes and evicts the one incarnation that was meant, and creates once", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		server.Grant(ctx, ns, kubetest.RemediatorUser(ns), may("delete", "", "configmaps"), may("create", "", "configmaps"), may("create", "", "pods/eviction"))
		tenant := open(ns)
		settings := configMap(ctx, ns, "settings")
		del := on(v1alpha1.VerbDelete, settings, "")
		stale := del
		stale.Precondition.UID = "00000000-0000-0000-0000-000000000000"
		Expect(tenant.Apply(ctx, stale)).To(MatchError(gate.ErrPrecondition))
		Expect(tenant.DryRun(ctx, del)).To(Succeed())
		Expect(look(ctx, del)).To(Equal(gate.SeenBefore))
		Expect(tenant.Apply(ctx, del)).To(Succeed())
		Expect(look(ctx, del)).To(Equal(gate.SeenApplied))
		Expect(tenant.Apply(ctx, del)).To(MatchError(gate.ErrPrecondition), "it is gone")

		again := on(v1alpha1.VerbCreate, settings, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings","namespace":"`+ns+`"},"data":{"x":"y"}}`)
		again.Precondition = v1alpha1.Precondition{Absent: true}
		Expect(tenant.DryRun(ctx, again)).To(Succeed())
		Expect(look(ctx, again)).To(Equal(gate.SeenBefore))
		Expect(tenant.Apply(ctx, again)).To(Succeed())
		Expect(look(ctx, again)).To(Equal(gate.SeenApplied))
		Expect(tenant.Apply(ctx, again)).To(MatchError(gate.ErrPrecondition), "it exists")

		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "p"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "example.test/c:1"}}}}
		server.Create(ctx, pod)
		evict := on(v1alpha1.VerbEvict, build.TargetOf(pod, build.PodKind), "")
		wrong := evict
		wrong.Precondition.UID = "00000000-0000-0000-0000-000000000000"
		Expect(tenant.Apply(ctx, wrong)).NotTo(Succeed())
		Expect(look(ctx, wrong)).To(Equal(gate.SeenApplied), "the one that was meant is gone")
		Expect(tenant.DryRun(ctx, evict)).To(Succeed())
		Expect(look(ctx, evict)).To(Equal(gate.SeenBefore))
		Expect(tenant.Apply(ctx, evict)).To(Succeed())
		Expect(look(ctx, evict)).To(Equal(gate.SeenApplied))
	})

	It("waits while an eviction would break a disruption budget", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		server.Grant(ctx, ns, kubetest.RemediatorUser(ns), may("create", "", "pods/eviction"))
		labels := map[string]string{"app": "p"}
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "p", Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "example.test/c:1"}}}}
		pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}
		server.Create(ctx, pod, &policyv1.PodDisruptionBudget{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "p"},
			Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: new(intstr.FromInt32(1)), Selector: &metav1.LabelSelector{MatchLabels: labels}},
		})
		err := open(ns).Apply(ctx, on(v1alpha1.VerbEvict, build.TargetOf(pod, build.PodKind), ""))
		var denied *gate.Denied
		var rejected *gate.Rejected
		Expect(err).To(HaveOccurred())
		Expect(errors.As(err, &denied) || errors.As(err, &rejected) || errors.Is(err, gate.ErrPrecondition)).To(BeFalse(), "%v", err)
	})

	It("says what admission has against it, in a dry run and in earnest", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		web := deployed(ctx, ns)
		server.Grant(ctx, ns, kubetest.RemediatorUser(ns), may("patch", "apps", "deployments"), may("create", "", "configmaps"))
		noThree(ctx, ns)
		op := on(v1alpha1.VerbPatch, web, toThree)
		var rejected *gate.Rejected
		Eventually(func(ctx context.Context) bool { return errors.As(open(ns).DryRun(ctx, op), &rejected) }).
			WithContext(ctx).WithTimeout(30 * time.Second).WithPolling(50 * time.Millisecond).Should(BeTrue())
		Expect(rejected.Why).To(ContainSubstring("three is too many"))
		Expect(open(ns).Apply(ctx, op)).To(MatchError(ContainSubstring("three is too many")))
		Expect(replicas(ctx, web)).To(BeEquivalentTo(1))

		quota := &corev1.ResourceQuota{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "none"},
			Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/configmaps": resource.MustParse("0")}},
		}
		quota.Status.Hard = quota.Spec.Hard
		quota.Status.Used = quota.Spec.Hard
		server.Create(ctx, quota)
		made := on(v1alpha1.VerbCreate, web, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"one","namespace":"`+ns+`"}}`)
		made.Object, made.Precondition = v1alpha1.ObjectReference{APIVersion: "v1", Kind: "ConfigMap", Namespace: ns, Name: "one"}, v1alpha1.Precondition{Absent: true}
		for _, attempt := range []func(context.Context, v1alpha1.Operation) error{open(ns).DryRun, open(ns).Apply} {
			err := attempt(ctx, made)
			Expect(errors.As(err, &rejected)).To(BeTrue(), "403 for want of quota is no missing right: %v", err)
			Expect(rejected.Why).To(ContainSubstring("exceeded quota"))
		}
	})

	It("is recorded as who it is", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		web := deployed(ctx, ns)
		server.Grant(ctx, ns, kubetest.RemediatorUser(ns), may("patch", "apps", "deployments"))
		Expect(open(ns).Apply(ctx, on(v1alpha1.VerbPatch, web, toThree))).To(Succeed())
		d := &appsv1.Deployment{}
		Expect(server.Client.Get(ctx, client.ObjectKey{Namespace: ns, Name: "web"}, d)).To(Succeed())
		Expect(d.ManagedFields).To(ContainElement(HaveField("Manager", "kubernaut")))
		log := server.AuditIn(ns)
		Expect(log[len(log)-1].ImpersonatedUser.Username).To(Equal(open(ns).Actor()))
	})
})

// noThree lets no Deployment of the namespace have three replicas.
func noThree(ctx context.Context, ns string) {
	GinkgoHelper()
	name := "no-three-" + ns
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
				RuleWithOperations: admissionregistrationv1.RuleWithOperations{
					Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Update},
					Rule:       admissionregistrationv1.Rule{APIGroups: []string{"apps"}, APIVersions: []string{"v1"}, Resources: []string{"deployments"}},
				},
			}}},
			Validations: []admissionregistrationv1.Validation{{Expression: "object.spec.replicas != 3", Message: "three is too many"}},
		},
	}
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: name, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
			MatchResources: &admissionregistrationv1.MatchResources{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: ns}}},
		},
	}
	server.Create(ctx, policy, binding)
}
