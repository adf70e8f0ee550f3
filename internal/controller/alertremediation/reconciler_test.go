package alertremediation_test

import (
	"cmp"
	"context"
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/clearance"
	"github.com/kubernaut/kubernaut/internal/controller/alertremediation"
	"github.com/kubernaut/kubernaut/internal/evidence"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/internal/policy"
	"github.com/kubernaut/kubernaut/pkg/action"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

func TestAlertRemediation(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "controller/alertremediation")
}

var server *kubetest.Server

var _ = BeforeSuite(func(ctx SpecContext) {
	server = kubetest.Start(GinkgoTB())
})

const (
	operator = "kubernaut-system"
	window   = 20 * time.Second
	deadline = 3 * time.Minute
)

// house is the reconciler in a world whose words the spec decides: what the
// gates say, whether the alert fires, how the target is.
type house struct {
	*alertremediation.Reconciler
	ns        string
	clock     *clocktesting.FakeClock
	deploy    v1alpha1.TargetReference
	judgement policy.Judgement
	judged    int    // how often the gates were asked, and so a plan made
	depends   string // what a waiting plan depends on
	unclear   error  // whether that changed
	state     v1alpha1.AlertState
	others    map[string]v1alpha1.AlertState // of the alerts, by name, for which state is not the answer
	health    v1alpha1.Health
	gone      bool                // the pod that an alert names
	traced    bool                // it is gone, and was of the Deployment by its name
	found     *v1alpha1.Diagnosis // at the first look
	looks     int
	during    func() // the first look
	blind     error  // what the first look ends with
	reserved  error  // what comes of asking for a place in the budget
	reserving func() // while a place is asked for
	places    int    // that were taken in it
	events    *events.FakeRecorder
}

// newHouse builds it around a Deployment with one healthy and one bad revision.
func newHouse(ctx context.Context) *house {
	h := &house{ns: server.Namespace(ctx), clock: clocktesting.NewFakeClock(kubetest.OperatorTime()), state: v1alpha1.AlertFiring, events: events.NewFakeRecorder(100)}
	dep := build.Deployment(h.ns, "shop").Obj()
	server.Create(ctx, dep)
	server.Create(ctx, build.Policy(h.ns, "auto", v1alpha1.ModeAuto).Verification(window, deadline).Obj())
	h.deploy = build.TargetOf(dep, build.DeploymentKind)
	h.judgement = policy.Judgement{Mode: v1alpha1.ModeAuto, Policy: h.ns + "/auto", ApprovalDeadline: time.Hour}
	catalog, err := action.NewCatalog(pauses{}, holds{}, waits{}, calls{})
	Expect(err).NotTo(HaveOccurred())
	h.Reconciler = alertremediation.New(alertremediation.Needs{
		Client: server.Client, Live: server.Client, Clock: h.clock,
		Resolver: h, Diagnosis: h, Gatherer: h, Desk: h, Changes: h, Catalog: catalog, Events: h.events,
	}, alertremediation.Config{Namespace: operator, Identity: "test"})
	return h
}

// restarted puts a reconciler that remembers nothing in the place of this one.
func (h *house) restarted() {
	h.Reconciler = alertremediation.New(h.Needs, alertremediation.Config{Namespace: operator, Identity: "test"})
}

func (h *house) Trace(context.Context, string, v1alpha1.Alert) (evidence.Found, error) {
	if h.gone {
		return evidence.Found{}, evidence.ErrNoTarget
	}
	return evidence.Found{Subject: v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: h.ns, Name: "shop-x2b9k"}, Target: h.deploy, Gone: h.traced}, nil
}

func (h *house) Climb(context.Context, v1alpha1.ObjectReference) (v1alpha1.TargetReference, error) {
	return h.deploy, nil
}

// Look sees what the spec wants it to see, or that it is too early to tell.
func (h *house) Look(_ context.Context, ar *v1alpha1.AlertRemediation) error {
	h.looks++
	if h.during != nil {
		h.during()
	}
	if h.blind != nil {
		return h.blind
	}
	condition := metav1.Condition{Type: v1alpha1.Diagnosed, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonRunning}
	if h.found != nil {
		ar.Status.Diagnosis = h.found
		condition.Status, condition.Reason = metav1.ConditionTrue, v1alpha1.ReasonCauseFound
	}
	meta.SetStatusCondition(&ar.Status.Conditions, condition)
	return nil
}

func (h *house) Judge(context.Context, clearance.Case) (policy.Judgement, error) {
	h.judged++
	return h.judgement, nil
}

// Fingerprint differs once the object's spec changes, or what the gates say; or if
// the test says so, nothing but that.
func (h *house) Fingerprint(_ context.Context, ar *v1alpha1.AlertRemediation) (string, error) {
	return fmt.Sprint(ar.Generation, cmp.Or(h.depends, fmt.Sprint(h.judgement))), h.unclear
}

func (h *house) Reserve(context.Context, string, v1alpha1.Reservation) error {
	if h.reserving != nil {
		h.reserving()
	}
	if h.reserved == nil {
		h.places++
	}
	return h.reserved
}

func (h *house) AlertState(_ context.Context, alert string, about v1alpha1.TargetReference) (v1alpha1.AlertState, string, error) {
	if about.UID != h.deploy.UID {
		return v1alpha1.AlertUnknown, "", fmt.Errorf("asked about %s", about)
	}
	return cmp.Or(h.others[alert], h.state), "", nil
}

// Gather shows a pod that is as the spec wants it.
func (h *house) Gather(context.Context, v1alpha1.ObjectReference, v1alpha1.TargetReference) *analysis.Snapshot {
	ready := corev1.ConditionTrue
	snapshot := &analysis.Snapshot{}
	switch h.health {
	case v1alpha1.HealthUnknown:
		snapshot.Missing = []analysis.Missing{{What: "pods of Deployment/shop", Why: "forbidden"}}
	case v1alpha1.HealthUnhealthy:
		ready = corev1.ConditionFalse
	}
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: h.ns, Name: "shop-1"}}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: ready, LastTransitionTime: metav1.NewTime(h.clock.Now().Add(-time.Hour))}}
	snapshot.Pods = []corev1.Pod{pod}
	snapshot.Target = v1alpha1.TargetReference{ObjectReference: v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: h.ns, Name: "shop-1"}}
	return snapshot
}

// driven reconciles an object until it no longer changes, and returns it.
func (h *house) driven(ctx context.Context, ar *v1alpha1.AlertRemediation) *v1alpha1.AlertRemediation {
	GinkgoHelper()
	for range 20 {
		before := ar.ResourceVersion
		_, err := h.Reconcile(ctx, ar.DeepCopy())
		Expect(err).NotTo(HaveOccurred())
		h.read(ctx, ar)
		if ar.ResourceVersion == before {
			return ar
		}
	}
	Fail("the remediation never comes to rest: " + string(ar.Status.Phase))
	return nil
}

func (h *house) read(ctx context.Context, obj client.Object) {
	GinkgoHelper()
	Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj)).To(Succeed())
}

// diagnosed creates a remediation whose cause is known.
func (h *house) diagnosed(ctx context.Context, name string) *v1alpha1.AlertRemediation {
	GinkgoHelper()
	return h.remedied(ctx, name, "Pause")
}

// remedied creates one whose remedy is this action.
func (h *house) remedied(ctx context.Context, name, remedy string) *v1alpha1.AlertRemediation {
	GinkgoHelper()
	ar := h.known(name, remedy).Obj()
	server.Create(ctx, ar)
	return ar
}

// known is one whose cause and remedy are known.
func (h *house) known(name, remedy string) build.RemediationBuilder {
	return build.Remediation(h.ns, name).FromAlertmanager(name).Admitted(h.deploy).Diagnosed(v1alpha1.Diagnosis{
		Source: v1alpha1.SourceRules, Cause: v1alpha1.CauseCrashBadRelease, Target: &h.deploy,
		Remedies: []v1alpha1.Remedy{{Action: remedy}},
	})
}

// run returns the current run of a remediation.
func (h *house) run(ctx context.Context, ar *v1alpha1.AlertRemediation) *v1alpha1.WorkflowRun {
	GinkgoHelper()
	run := &v1alpha1.WorkflowRun{}
	Expect(server.Client.Get(ctx, types.NamespacedName{Namespace: h.ns, Name: ar.Status.RunRef}, run)).To(Succeed())
	return run
}

// ended writes what the run controller would: how the run ended, and what it applied.
func (h *house) ended(ctx context.Context, run *v1alpha1.WorkflowRun, status metav1.ConditionStatus, reason string, ops ...v1alpha1.OperationStatus) {
	GinkgoHelper()
	run.Status.FinishedAt = metav1.NewMicroTime(h.clock.Now())
	run.Status.Steps = []v1alpha1.StepStatus{{Name: "remedy", State: v1alpha1.StepSucceeded, Operations: ops}}
	run.Status.Conditions = []metav1.Condition{{Type: v1alpha1.Succeeded, Status: status, Reason: reason, Message: "so it ended", LastTransitionTime: metav1.Now()}}
	Expect(server.Client.Status().Update(ctx, run)).To(Succeed())
}

// pausing is the operation of the action Pause, as a run records it; done really does it.
func (h *house) pausing(ctx context.Context, done, undo bool) v1alpha1.OperationStatus {
	GinkgoHelper()
	plan, err := pauses{}.Plan(ctx, action.World{}, h.deploy, nil)
	Expect(err).NotTo(HaveOccurred())
	op := v1alpha1.OperationStatus{Operation: plan.Operations[0].Operation, State: v1alpha1.OperationApplied}
	if undo {
		op.Undo = plan.Operations[0].Undo
	}
	if done {
		Expect(server.Client.Patch(ctx, build.Deployment(h.ns, "shop").Obj(), client.RawPatch(types.JSONPatchType, op.Body.Raw))).To(Succeed())
	}
	return op
}

// told returns the events so far.
func (h *house) told() []string {
	var told []string
	for len(h.events.Events) > 0 {
		told = append(told, <-h.events.Events)
	}
	return told
}
