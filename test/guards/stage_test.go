// Package guards takes guards away, forges and replaces them while a remediation is on its
// way: both controllers with the shipped roles and guards, on a real API server.
package guards_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
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
	"github.com/kubernaut/kubernaut/internal/controller/alertremediation"
	"github.com/kubernaut/kubernaut/internal/controller/workflowrun"
	"github.com/kubernaut/kubernaut/internal/crd"
	"github.com/kubernaut/kubernaut/internal/evidence"
	"github.com/kubernaut/kubernaut/internal/gate"
	"github.com/kubernaut/kubernaut/internal/guard"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/internal/lease"
	"github.com/kubernaut/kubernaut/internal/policy"
	"github.com/kubernaut/kubernaut/pkg/action"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

func TestGuards(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "guards during a remediation")
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
	server.InstallGuards(ctx)
	config = server.OperatorConfig(ctx)
})

// Images of the Deployment: before the remediation and after it.
const (
	before = "example.test/web:2"
	after  = "example.test/web:1"
)

const (
	window   = time.Minute
	deadline = 3 * time.Minute
)

// stage is a namespace with a Deployment, a granted remediator and both controllers of the
// operator. Spec code decides whether the target is healthy, and steps the clock.
type stage struct {
	ns     string
	web    *appsv1.Deployment
	clock  *clocktesting.FakeClock
	health v1alpha1.Health
	ars    *alertremediation.Reconciler
	runs   *workflowrun.Reconciler
	guards *guard.Watcher
	// claimed is called when the operator has claimed an operation, before it applies it.
	claimed func()
	// making is called before the operator makes a run.
	making func()
	// open: the API server accepts forged approvals, as if guard 1 were stored and not enforced.
	open bool
	// forgeries are the operator's own attempts to forge an approval.
	forgeries int
	// looks is how often it was asked whether anything changed.
	looks int
	// alertmanager that is asked; nil: none is configured.
	alertmanager clearance.Alertmanager
}

func newStage(ctx context.Context, mode v1alpha1.Mode) *stage {
	s := &stage{ns: server.Namespace(ctx), clock: clocktesting.NewFakeClock(time.Now().Add(5 * time.Second)), health: v1alpha1.HealthUnhealthy}
	s.web = build.Deployment(s.ns, "web").Image(before).Obj()
	server.Create(ctx, s.web, build.Policy(s.ns, "own", mode).Verification(window, deadline).ApprovalDeadline(time.Hour).Obj())
	server.Grant(ctx, s.ns, kubetest.OperatorUser, rbacv1.PolicyRule{
		APIGroups: []string{""}, Resources: []string{"serviceaccounts"}, Verbs: []string{"impersonate"}, ResourceNames: []string{kubetest.Remediator},
	})
	server.Grant(ctx, s.ns, kubetest.RemediatorUser(s.ns), rbacv1.PolicyRule{
		APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"patch"},
	})
	s.start(ctx)
	return s
}

// start starts a new leader, which remembers nothing.
func (s *stage) start(ctx context.Context) {
	cfg := rest.CopyConfig(config)
	cfg.QPS = -1
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return hook{next, s} })
	c, err := client.New(cfg, client.Options{Scheme: server.Scheme, Mapper: server.Client.RESTMapper()})
	Expect(err).NotTo(HaveOccurred())
	door := gate.New(cfg, server.Scheme, c.RESTMapper(), kubetest.OperatorNamespace)
	catalog, err := action.NewCatalog(setImage{})
	Expect(err).NotTo(HaveOccurred())
	guards := guard.NewWatcher(c, s.clock, kubetest.OperatorUser)
	s.guards = guards
	desk := clearance.New(clearance.Deps{
		Client: c, Live: c,
		Open: func(namespace string) (clearance.Tenant, error) { return door.Open(namespace) },
		Guards: func(ctx context.Context, reader client.Reader) (policy.Guards, error) {
			found, err := guards.Look(ctx, reader)
			return policy.Guards{
				Fault: strings.Join(found.Faults, "; "), StatusFault: found.StatusFault,
				Epoch: found.Epoch, Settled: found.Settled, Replaced: found.Replaced,
			}, err
		},
		Forge:    guards.Forge,
		Outdated: crd.NewWatcher(c, s.clock).Outdated,
		Resolver: evidence.NewResolver(c), Clock: s.clock, Namespace: kubetest.OperatorNamespace, NodeLeases: "none", Alertmanager: s.alertmanager,
	})
	s.ars = alertremediation.New(alertremediation.Needs{
		Client: c, Live: c, Clock: s.clock, Resolver: s, Diagnosis: s, Gatherer: s, Desk: desk, Changes: s,
		Guards: func(ctx context.Context) (string, error) { return guards.First(ctx, c) }, Catalog: catalog, Events: events.NewFakeRecorder(1000),
	}, alertremediation.Config{Namespace: kubetest.OperatorNamespace, Identity: "test"})
	s.runs = workflowrun.New(workflowrun.Needs{
		Client: c, Live: c, Clock: s.clock, Desk: desk, Gate: door, Leases: lease.New(c, c, s.clock, kubetest.OperatorNamespace, "none"),
		Catalog: catalog, History: actions.NewHistory(c), Events: events.NewFakeRecorder(1000),
	}, prometheus.NewRegistry())
}

// hook lets a spec act between two requests of the operator. That an operation was claimed
// shows in the request after it: a patch of the Deployment that is no dry run.
type hook struct {
	next  http.RoundTripper
	stage *stage
}

func (h hook) RoundTrip(r *http.Request) (*http.Response, error) {
	dry := r.URL.Query().Get("dryRun") != ""
	switch {
	case r.Method == http.MethodPatch && strings.Contains(r.URL.Path, "/deployments/") && !dry:
		once(&h.stage.claimed)
	case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/workflowruns"):
		once(&h.stage.making)
	case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/alertremediations") && dry:
		h.stage.forgeries++
		if h.stage.open {
			header := http.Header{"Content-Type": {"application/json"}}
			return &http.Response{StatusCode: http.StatusCreated, Header: header, Body: r.Body, Request: r}, nil
		}
	}
	return h.next.RoundTrip(r)
}

// once calls what is to happen, if anything is.
func once(happens *func()) {
	if f := *happens; f != nil {
		*happens = nil
		f()
	}
}

// Fingerprint differs each time, so that a waiting plan is judged anew in each pass.
func (s *stage) Fingerprint(context.Context, *v1alpha1.AlertRemediation) (string, error) {
	s.looks++
	return strconv.Itoa(s.looks), nil
}

func (s *stage) target() v1alpha1.TargetReference { return build.TargetOf(s.web, build.DeploymentKind) }

// remediation is one whose cause and remedy are known.
func (s *stage) remediation(name string) *v1alpha1.AlertRemediation {
	target := s.target()
	return build.Remediation(s.ns, name).FromAlertmanager(name).Diagnosed(v1alpha1.Diagnosis{
		Source: v1alpha1.SourceRules, Cause: v1alpha1.CauseCrashBadRelease, Target: &target,
		Remedies: []v1alpha1.Remedy{{Action: "SetImage", Parameters: map[string]string{"image": after}}},
	}).Obj()
}

// created makes the remediation as the operator does.
func (s *stage) created(ctx context.Context, name string) *v1alpha1.AlertRemediation {
	GinkgoHelper()
	ar := s.remediation(name)
	status := ar.Status
	Expect(server.Operator(ctx).Create(ctx, ar)).To(Succeed())
	ar.Status = status
	Expect(server.Operator(ctx).Status().Update(ctx, ar)).To(Succeed())
	return ar
}

// begun makes a remediation and drives it until its change is in place and is verified.
func (s *stage) begun(ctx context.Context, name string) *v1alpha1.AlertRemediation {
	ar := s.driven(ctx, s.created(ctx, name))
	Expect(s.image(ctx)).To(Equal(after), s.standing(ctx, ar))
	return ar
}

// driven passes over the remediation and all runs of the namespace until nothing changes.
func (s *stage) driven(ctx context.Context, ar *v1alpha1.AlertRemediation) *v1alpha1.AlertRemediation {
	GinkgoHelper()
	for range 40 {
		was := s.versions(ctx, ar)
		_, err := s.ars.Reconcile(ctx, s.read(ctx, ar).DeepCopy())
		Expect(err).NotTo(HaveOccurred())
		s.runsDriven(ctx)
		if s.versions(ctx, ar) == was {
			return s.read(ctx, ar)
		}
	}
	Fail("the remediation never comes to rest")
	return nil
}

// runsDriven is one pass over each run of the namespace.
func (s *stage) runsDriven(ctx context.Context) {
	GinkgoHelper()
	for _, run := range s.allRuns(ctx) {
		_, err := s.runs.Reconcile(ctx, run.DeepCopy())
		Expect(err).NotTo(HaveOccurred())
	}
}

func (s *stage) allRuns(ctx context.Context) []v1alpha1.WorkflowRun {
	GinkgoHelper()
	var list v1alpha1.WorkflowRunList
	Expect(server.Client.List(ctx, &list, client.InNamespace(s.ns))).To(Succeed())
	return list.Items
}

func (s *stage) read(ctx context.Context, ar *v1alpha1.AlertRemediation) *v1alpha1.AlertRemediation {
	GinkgoHelper()
	Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(ar), ar)).To(Succeed())
	return ar
}

func (s *stage) versions(ctx context.Context, ar *v1alpha1.AlertRemediation) string {
	GinkgoHelper()
	all := []string{s.read(ctx, ar).ResourceVersion}
	for _, run := range s.allRuns(ctx) {
		all = append(all, run.Name+"@"+run.ResourceVersion)
	}
	return strings.Join(all, " ")
}

// image of the Deployment now.
func (s *stage) image(ctx context.Context) string {
	GinkgoHelper()
	var d appsv1.Deployment
	Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(s.web), &d)).To(Succeed())
	return d.Spec.Template.Spec.Containers[0].Image
}

func (s *stage) Trace(context.Context, string, v1alpha1.Alert) (evidence.Found, error) {
	return evidence.Found{Subject: s.target().ObjectReference, Target: s.target()}, nil
}

func (s *stage) Climb(context.Context, v1alpha1.ObjectReference) (v1alpha1.TargetReference, error) {
	return s.target(), nil
}

func (s *stage) Look(context.Context, *v1alpha1.AlertRemediation) error { return nil }

// Gather shows a pod that is as healthy as the stage.
func (s *stage) Gather(context.Context, v1alpha1.ObjectReference, v1alpha1.TargetReference) *analysis.Snapshot {
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "web-1"}}
	ready := corev1.ConditionTrue
	if s.health != v1alpha1.HealthHealthy {
		ready = corev1.ConditionFalse
	}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: ready, LastTransitionTime: metav1.NewTime(s.clock.Now().Add(-time.Hour))}}
	snapshot := &analysis.Snapshot{Pods: []corev1.Pod{pod}}
	snapshot.Target = v1alpha1.TargetReference{ObjectReference: v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: s.ns, Name: "web-1"}}
	return snapshot
}

// setImage is an action that sets the image of a Deployment, and takes effect at once.
type setImage struct{}

func (setImage) Spec() action.Spec {
	return action.Spec{
		Name: "SetImage", Kinds: []schema.GroupKind{build.DeploymentKind.GroupKind()}, Risk: v1alpha1.RiskLow, Level: action.LevelFull,
		Parameters: []action.Parameter{{Name: "image", Type: action.TypeString, Required: true}},
	}
}

func (setImage) Plan(ctx context.Context, world action.World, target action.Target, params action.Params) (action.Plan, error) {
	var d appsv1.Deployment
	if err := world.Objects.Get(ctx, target.NamespacedName(), &d); err != nil {
		return action.Plan{}, err
	}
	from, to := d.Spec.Template.Spec.Containers[0].Image, params["image"]
	undo := patch(target, to, from)
	return action.Plan{Operations: []action.Operation{{Operation: patch(target, from, to), Undo: &undo}}}, nil
}

func (setImage) Settled(context.Context, action.World, action.Target, action.Plan) (action.Progress, error) {
	return action.Progress{Done: true}, nil
}

func patch(target action.Target, from, to string) v1alpha1.Operation {
	const path = "/spec/template/spec/containers/0/image"
	raw := func(text string) *apiextensionsv1.JSON { return &apiextensionsv1.JSON{Raw: []byte(text)} }
	return v1alpha1.Operation{
		Verb: v1alpha1.VerbPatch, Object: target.ObjectReference,
		Precondition: v1alpha1.Precondition{UID: target.UID, Fields: []v1alpha1.FieldValue{{Path: path, Value: raw(`"` + from + `"`)}}},
		Body:         raw(`[{"op":"replace","path":"` + path + `","value":"` + to + `"}]`),
	}
}
