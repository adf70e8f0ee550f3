package clearance_test

import (
	"context"
	"errors"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/clearance"
	"github.com/kubernaut/kubernaut/internal/evidence"
	"github.com/kubernaut/kubernaut/internal/gate"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/internal/policy"
	"github.com/kubernaut/kubernaut/pkg/action"
)

func TestClearance(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "clearance")
}

var (
	server   *kubetest.Server
	operator client.WithWatch // the operator's own account, with the rights that are shipped
	doors    *gate.Gate
)

var errDown = errors.New("the server is away")

var _ = BeforeSuite(func(ctx SpecContext) {
	server = kubetest.Start(GinkgoTB())
	server.Install(ctx, "config", "rbac")
	server.Create(ctx, build.Policy(kubetest.OperatorNamespace, v1alpha1.DefaultPolicyName, v1alpha1.ModeRecommend).Ceiling(v1alpha1.ModeAuto).Obj())
	config := server.OperatorConfig(ctx)
	var err error
	operator, err = client.NewWithWatch(config, client.Options{Scheme: server.Scheme})
	Expect(err).NotTo(HaveOccurred())
	doors = gate.New(config, server.Scheme, operator.RESTMapper(), kubetest.OperatorNamespace)
})

// scene is one namespace with a Deployment, a policy that lets it be changed,
// and a remediation that plans to.
type scene struct {
	namespace string
	web       *appsv1.Deployment
	ar        *v1alpha1.AlertRemediation
	deps      clearance.Deps
}

// set makes a scene that no gate is against.
func set(ctx context.Context) *scene {
	s := &scene{namespace: server.Namespace(ctx)}
	s.web = build.Deployment(s.namespace, "web").Image("example.test/web:2").Obj()
	// In our own name, which counts for nobody's change: what others write to it afterwards does.
	Expect(server.Client.Create(ctx, s.web, client.FieldOwner("kubernaut"))).To(Succeed())
	server.Create(ctx, build.Policy(s.namespace, "auto", v1alpha1.ModeAuto).Obj())
	target := build.TargetOf(s.web, build.DeploymentKind)
	s.ar = build.Remediation(s.namespace, "ar-1").FromAlertmanager("f1").Admitted(target).Diagnosed(v1alpha1.Diagnosis{
		Source: v1alpha1.SourceRules, Cause: v1alpha1.CauseCrashBadRelease, Target: &target,
	}).Obj()
	server.Create(ctx, s.ar)
	server.Grant(ctx, s.namespace, kubetest.OperatorUser, rbacv1.PolicyRule{
		APIGroups: []string{""}, Resources: []string{"serviceaccounts"}, Verbs: []string{"impersonate"}, ResourceNames: []string{kubetest.Remediator},
	})
	server.Grant(ctx, s.namespace, kubetest.RemediatorUser(s.namespace), rbacv1.PolicyRule{
		APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"patch", "get"},
	})
	s.deps = clearance.Deps{
		Client: operator,
		Live:   operator,
		Open:   func(namespace string) (clearance.Tenant, error) { return doors.Open(namespace) },
		Guards: func(context.Context, client.Reader) (policy.Guards, error) {
			return policy.Guards{Epoch: "first", Settled: true}, nil
		},
		Forge:     func(context.Context, string) (string, error) { return "", nil },
		Resolver:  evidence.NewResolver(operator),
		Clock:     clocktesting.NewFakePassiveClock(kubetest.OperatorTime()),
		Namespace: kubetest.OperatorNamespace,
	}
	return s
}

// desk is where the gates are asked in this scene.
func (s *scene) desk() *clearance.Desk { return clearance.New(s.deps) }

// planned is the remediation with a plan that puts the image back.
func (s *scene) planned() clearance.Case {
	target := build.TargetOf(s.web, build.DeploymentKind)
	undo := patch(target, `"example.test/web:1"`, `"example.test/web:2"`)
	return clearance.Case{
		Remediation: s.ar,
		Steps: []clearance.Step{{
			Name: "remedy", Action: action.Spec{Name: "RolloutUndo", Risk: v1alpha1.RiskMedium}, Target: target,
			Plan: action.Plan{Operations: []action.Operation{{
				Operation: patch(target, `"example.test/web:2"`, `"example.test/web:1"`), Undo: &undo,
			}}},
		}},
		Digest: build.Digest,
	}
}

// begun is the run of the remediation, about to begin.
func (s *scene) begun() clearance.Case {
	c := s.planned()
	c.Run = build.Run(s.namespace, "ar-1-run-1", c.Steps[0].Target).Step("remedy", "RolloutUndo", nil).Digest(build.Digest).Obj()
	return c
}

func patch(target v1alpha1.TargetReference, from, to string) v1alpha1.Operation {
	const image = "/spec/template/spec/containers/0/image"
	return v1alpha1.Operation{
		Verb: v1alpha1.VerbPatch, Object: target.ObjectReference,
		Precondition: v1alpha1.Precondition{UID: target.UID, Fields: []v1alpha1.FieldValue{{Path: image, Value: raw(from)}}},
		Body:         raw(`[{"op":"replace","path":"` + image + `","value":` + to + `}]`),
	}
}

func raw(text string) *apiextensionsv1.JSON { return &apiextensionsv1.JSON{Raw: []byte(text)} }

// reasons of a judgement, in order, as "Reason Kind".
func reasons(refusals []policy.Refusal) []string {
	var all []string
	for _, r := range refusals {
		all = append(all, r.Reason+" "+r.Kind.String())
	}
	return all
}

// broken is the operator's client, to which the API server gives no answer where fails says so.
func broken(fails func(kind string, name types.NamespacedName) bool) client.WithWatch {
	return interceptor.NewClient(operator, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			if fails(kindOf(obj), key) {
				return errDown
			}
			return c.Get(ctx, key, obj, opts...)
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if fails(kindOf(list), types.NamespacedName{}) {
				return errDown
			}
			return c.List(ctx, list, opts...)
		},
	})
}

func kindOf(obj runtime.Object) string {
	gvk, err := operator.GroupVersionKindFor(obj)
	Expect(err).NotTo(HaveOccurred())
	return gvk.Kind
}
