package workflowrun_test

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
	"github.com/prometheus/client_golang/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/actions"
	"github.com/kubernaut/kubernaut/internal/clearance"
	"github.com/kubernaut/kubernaut/internal/controller/workflowrun"
	"github.com/kubernaut/kubernaut/internal/evidence"
	"github.com/kubernaut/kubernaut/internal/gate"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/internal/lease"
	"github.com/kubernaut/kubernaut/internal/policy"
	"github.com/kubernaut/kubernaut/pkg/action"
)

func TestWorkflowRun(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "workflowrun")
}

var (
	server *kubetest.Server
	config *rest.Config // the operator's own account, with the rights that are shipped
)

var _ = BeforeSuite(func(ctx SpecContext) {
	ctrl.SetLogger(GinkgoLogr)
	server = kubetest.Start(GinkgoTB())
	server.Install(ctx, "config", "rbac")
	server.Create(ctx, build.Policy(kubetest.OperatorNamespace, v1alpha1.DefaultPolicyName, v1alpha1.ModeRecommend).Ceiling(v1alpha1.ModeAuto).Obj())
	config = server.OperatorConfig(ctx)
})

// Images the Deployment of a scene has and may get.
const (
	bad   = "example.test/web:2"
	good  = "example.test/web:1"
	third = "example.test/web:0"
)

// scene is one namespace with a Deployment of a bad image, a remediator that may
// patch it, a policy that lets it, and a remediation that wants to.
type scene struct {
	namespace string
	web       *appsv1.Deployment
	ar        *v1alpha1.AlertRemediation
	clock     *clocktesting.FakeClock
	image     *setImage
	events    *events.FakeRecorder
	process   *workflowrun.Reconciler
}

// set makes a scene in which nothing keeps a run back.
func set(ctx context.Context) *scene {
	s := &scene{namespace: server.Namespace(ctx), clock: clocktesting.NewFakeClock(kubetest.OperatorTime()), image: &setImage{arrived: action.Progress{Done: true}}}
	s.web = build.Deployment(s.namespace, "web").Image(bad).Obj()
	server.Create(ctx, s.web, build.Policy(s.namespace, "auto", v1alpha1.ModeAuto).Obj())
	target := s.target()
	s.ar = build.Remediation(s.namespace, "ar-1").FromAlertmanager("f1").Admitted(target).Diagnosed(v1alpha1.Diagnosis{
		Source: v1alpha1.SourceRules, Cause: v1alpha1.CauseCrashBadRelease, Target: &target,
	}).Obj()
	server.Create(ctx, s.ar)
	server.Grant(ctx, s.namespace, kubetest.OperatorUser, rbacv1.PolicyRule{
		APIGroups: []string{""}, Resources: []string{"serviceaccounts"}, Verbs: []string{"impersonate"}, ResourceNames: []string{kubetest.Remediator},
	})
	server.Grant(ctx, s.namespace, kubetest.RemediatorUser(s.namespace), rbacv1.PolicyRule{
		APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"patch"},
	})
	s.restart(nil)
	return s
}

// restart starts a new process, with empty hands; wrap, if any, is around all it sends.
func (s *scene) restart(wrap func(http.RoundTripper) http.RoundTripper) {
	cfg := rest.CopyConfig(config)
	cfg.QPS = -1
	if wrap != nil {
		cfg.Wrap(wrap)
	}
	c, err := client.New(cfg, client.Options{Scheme: server.Scheme, Mapper: server.Client.RESTMapper()})
	Expect(err).NotTo(HaveOccurred())
	door := gate.New(cfg, server.Scheme, c.RESTMapper(), kubetest.OperatorNamespace)
	catalog, err := action.NewCatalog(append(nodeActions(), s.image, rolloutUndo())...)
	Expect(err).NotTo(HaveOccurred())
	s.events = events.NewFakeRecorder(1000)
	s.process = workflowrun.New(workflowrun.Needs{
		Client: c, Live: c, Clock: s.clock,
		Desk: clearance.New(clearance.Deps{
			Client: c, Live: c,
			Open: func(namespace string) (clearance.Tenant, error) { return door.Open(namespace) },
			Guards: func(context.Context, client.Reader) (policy.Guards, error) {
				return policy.Guards{Epoch: "first", Settled: true}, nil
			},
			Forge:     func(context.Context, string) (string, error) { return "", nil },
			Resolver:  evidence.NewResolver(c),
			Clock:     s.clock,
			Namespace: kubetest.OperatorNamespace, NodeLeases: nodeLeases,
		}),
		Gate: door, Leases: lease.New(c, c, s.clock, kubetest.OperatorNamespace, nodeLeases), Catalog: catalog, History: actions.NewHistory(c), Events: s.events,
	}, prometheus.NewRegistry())
}

func (s *scene) target() v1alpha1.TargetReference { return build.TargetOf(s.web, build.DeploymentKind) }

// byHand makes a run that somebody asks for, of these images one after another.
func (s *scene) byHand(ctx context.Context, name string, images ...string) *v1alpha1.WorkflowRun {
	b := build.Run(s.namespace, name, s.target())
	for i, image := range images {
		b = b.Step("step-"+string(rune('1'+i)), "SetImage", map[string]string{"image": image})
	}
	run := b.Obj()
	server.Create(ctx, run)
	return run
}

// owned makes the remediation's run, bound to the plan as it is now.
func (s *scene) owned(ctx context.Context, name string, edits ...func(*v1alpha1.WorkflowRun)) *v1alpha1.WorkflowRun {
	params := action.Params{"image": good}
	run := build.Run(s.namespace, name, s.target()).Step("remedy", "SetImage", params).Digest(s.digest(ctx, params)).OwnedBy(s.ar).Obj()
	for _, edit := range edits {
		edit(run)
	}
	s.refers(ctx, name)
	server.Create(ctx, run)
	return run
}

// refers lets the remediation say which run it makes, as it does before it makes it.
func (s *scene) refers(ctx context.Context, run string) {
	writer := server.As(kubetest.OperatorUser, "system:masters")
	Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(s.ar), s.ar)).To(Succeed())
	s.ar.Status.RunRef, s.ar.Status.Runs = run, s.ar.Status.Runs+1
	Expect(writer.Status().Update(ctx, s.ar)).To(Succeed())
}

// twoSteps makes the remediation's run of two operations, the second of which
// rests on the first.
func (s *scene) twoSteps(ctx context.Context) *v1alpha1.WorkflowRun {
	second := action.Params{"from": good, "image": third}
	return s.owned(ctx, "ar-1-run-1", func(r *v1alpha1.WorkflowRun) {
		r.Spec.Steps = append(r.Spec.Steps, v1alpha1.Step{Name: "more", Action: v1alpha1.StepAction{Name: "SetImage", Parameters: second}})
		r.Spec.PlanDigest = s.digest(ctx, action.Params{"image": good}, second)
	})
}

// digest of the plan of an image after another, as it would be made now.
func (s *scene) digest(ctx context.Context, steps ...action.Params) string {
	var plans []action.Plan
	for _, params := range steps {
		planned, err := s.image.Plan(ctx, action.World{Objects: server.Client}, s.target(), params)
		Expect(err).NotTo(HaveOccurred())
		plans = append(plans, planned)
	}
	digest, err := action.Digest(plans...)
	Expect(err).NotTo(HaveOccurred())
	return digest
}

// undoing makes the remediation's run that takes another back.
func (s *scene) undoing(ctx context.Context, name, undone string, edits ...func(*v1alpha1.WorkflowRun)) *v1alpha1.WorkflowRun {
	run := build.Run(s.namespace, name, s.target()).Undoes(undone).OwnedBy(s.ar).Obj()
	for _, edit := range edits {
		edit(run)
	}
	if run.OwnerReferences != nil {
		s.refers(ctx, name)
	}
	server.Create(ctx, run)
	return run
}

// concluded lets the verdict over the remediation fall.
func (s *scene) concluded(ctx context.Context) {
	writer := server.As(kubetest.OperatorUser, "system:masters")
	Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(s.ar), s.ar)).To(Succeed())
	s.ar.Status.Conditions = append(s.ar.Status.Conditions, metav1.Condition{
		Type: v1alpha1.Succeeded, Status: metav1.ConditionTrue, Reason: "Remediated", LastTransitionTime: metav1.Now(),
	})
	Expect(writer.Status().Update(ctx, s.ar)).To(Succeed())
}

// reconciled is one pass over a run as it is now, and the run after it.
func (s *scene) reconciled(ctx context.Context, run *v1alpha1.WorkflowRun) (ctrl.Result, error) {
	Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(run), run)).To(Succeed())
	result, err := s.process.Reconcile(ctx, run.DeepCopy())
	if getting := server.Client.Get(ctx, client.ObjectKeyFromObject(run), run); !apierrors.IsNotFound(getting) {
		Expect(getting).NotTo(HaveOccurred())
	}
	return result, err
}

// driven passes over a run until a pass changes nothing, and returns what that one wants.
func (s *scene) driven(ctx context.Context, run *v1alpha1.WorkflowRun) ctrl.Result {
	for range 30 {
		before := run.ResourceVersion
		result, err := s.reconciled(ctx, run)
		Expect(err).NotTo(HaveOccurred())
		if run.ResourceVersion == before {
			return result
		}
	}
	Fail("the run never comes to rest")
	return ctrl.Result{}
}

// change updates an object as the administrator.
func change[T client.Object](ctx context.Context, obj T, how func(T)) {
	Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj)).To(Succeed())
	how(obj)
	Expect(server.Client.Update(ctx, obj)).To(Succeed())
}

// edited gives the Deployment another image, as a person would.
func (s *scene) edited(ctx context.Context, image string) {
	change(ctx, s.web, func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = image })
}

// running is the image the Deployment has now.
func (s *scene) running(ctx context.Context) string {
	var d appsv1.Deployment
	Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(s.web), &d)).To(Succeed())
	return d.Spec.Template.Spec.Containers[0].Image
}

// effects counts the writes of the remediator that changed the Deployment, by
// the audit log: a patch that changed nothing keeps the resourceVersion.
func (s *scene) effects() int {
	versions := map[string]bool{}
	for _, event := range server.AuditIn(s.namespace) {
		if event.ImpersonatedUser == nil || event.ImpersonatedUser.Username != kubetest.RemediatorUser(s.namespace) ||
			event.ObjectRef.Resource != "deployments" || event.ResponseStatus.Code >= 300 {
			continue
		}
		var answer metav1.PartialObjectMetadata
		Expect(json.Unmarshal(event.ResponseObject.Raw, &answer)).To(Succeed())
		if !strings.Contains(event.RequestURI, "dryRun") {
			versions[answer.ResourceVersion] = true
		}
	}
	return len(versions)
}

// holder signs the lease on the Deployment; empty when there is none.
func (s *scene) holder(ctx context.Context) string {
	var found coordinationv1.Lease
	err := server.Client.Get(ctx, client.ObjectKey{Namespace: kubetest.OperatorNamespace, Name: lease.Name(s.web.UID)}, &found)
	if apierrors.IsNotFound(err) {
		return ""
	}
	Expect(err).NotTo(HaveOccurred())
	return *found.Spec.HolderIdentity
}

// told are the events of this process so far.
func (s *scene) told() []string {
	var all []string
	for len(s.events.Events) > 0 {
		all = append(all, <-s.events.Events)
	}
	return all
}

// succeeded matches a run by its root condition.
func succeeded(status metav1.ConditionStatus, reason string) types.GomegaMatcher {
	return kubetest.HaveCondition(v1alpha1.Succeeded, status, reason)
}

// setImage is an action that can be planned, and whose effect arrives, when a test says so.
type setImage struct {
	arrived action.Progress
	early   error        // what planning ends with
	world   action.World // in which it was last planned
}

func (*setImage) Spec() action.Spec {
	return action.Spec{
		Name: "SetImage", Kinds: []schema.GroupKind{build.DeploymentKind.GroupKind()}, Risk: v1alpha1.RiskMedium, Level: action.LevelFull,
		Parameters: []action.Parameter{{Name: "image", Type: action.TypeString, Required: true}, {Name: "from", Type: action.TypeString}},
	}
}

func (a *setImage) Plan(ctx context.Context, world action.World, target action.Target, params action.Params) (action.Plan, error) {
	a.world = world
	if a.early != nil {
		return action.Plan{}, a.early
	}
	var d appsv1.Deployment
	err := world.Objects.Get(ctx, target.NamespacedName(), &d)
	if apierrors.IsNotFound(err) || err == nil && d.UID != target.UID {
		return action.Plan{}, action.NotApplicable("%s is gone", target)
	}
	if err != nil {
		return action.Plan{}, err
	}
	from, to := cmp.Or(params["from"], d.Spec.Template.Spec.Containers[0].Image), params["image"]
	undo := patch(target, to, from)
	return action.Plan{Operations: []action.Operation{{Operation: patch(target, from, to), Undo: &undo}}}, nil
}

func (a *setImage) Settled(context.Context, action.World, action.Target, action.Plan) (action.Progress, error) {
	return a.arrived, nil
}

func patch(target action.Target, from, to string) v1alpha1.Operation {
	const path = "/spec/template/spec/containers/0/image"
	return v1alpha1.Operation{
		Verb: v1alpha1.VerbPatch, Object: target.ObjectReference,
		Precondition: v1alpha1.Precondition{UID: target.UID, Fields: []v1alpha1.FieldValue{{Path: path, Value: raw(`"` + from + `"`)}}},
		Body:         raw(`[{"op":"replace","path":"` + path + `","value":"` + to + `"}]`),
	}
}

func raw(text string) *apiextensionsv1.JSON { return &apiextensionsv1.JSON{Raw: []byte(text)} }
