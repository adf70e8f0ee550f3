package v1alpha1_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
)

func TestAPI(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "api")
}

var server *kubetest.Server

var _ = BeforeSuite(func() { server = kubetest.Start(GinkgoTB()) })

// row breaks one rule, and then does almost the same without breaking it.
type row struct {
	breaks func(ctx context.Context, ns string) error
	passes func(ctx context.Context, ns string) error
}

// created makes a row of two objects to be created.
func created(breaks, passes func(ns string) client.Object) row {
	create := func(obj func(string) client.Object) func(context.Context, string) error {
		return func(ctx context.Context, ns string) error { return server.Client.Create(ctx, obj(ns)) }
	}
	return row{breaks: create(breaks), passes: create(passes)}
}

// changed makes a row of two changes to an object that exists.
func changed[T client.Object](existing func(ns string) T, breaks, passes func(T)) row {
	update := func(change func(T)) func(context.Context, string) error {
		return func(ctx context.Context, ns string) error {
			obj := existing(ns)
			obj.SetName(obj.GetName() + "-" + ns)
			server.Create(ctx, obj)
			change(obj)
			return server.Client.Update(ctx, obj)
		}
	}
	return row{
		breaks: update(breaks),
		passes: func(ctx context.Context, ns string) error { return update(passes)(ctx, server.Namespace(ctx)) },
	}
}

// observed makes a row of two statuses to be written.
func observed(breaks, passes func(*v1alpha1.AlertRemediationStatus)) row {
	write := func(change func(*v1alpha1.AlertRemediationStatus)) func(context.Context, string) error {
		return func(ctx context.Context, ns string) error {
			ar := &v1alpha1.AlertRemediation{}
			*ar = *build.Remediation(ns, "observed").Obj()
			if err := client.IgnoreAlreadyExists(server.Client.Create(ctx, ar)); err != nil {
				return err
			}
			if err := server.Client.Get(ctx, client.ObjectKeyFromObject(ar), ar); err != nil {
				return err
			}
			change(&ar.Status)
			return server.Client.Status().Update(ctx, ar)
		}
	}
	return row{breaks: write(breaks), passes: write(passes)}
}

func remediation(ns string) *v1alpha1.AlertRemediation { return build.Remediation(ns, "ar").Obj() }

func aimed(ns string) *v1alpha1.AlertRemediation {
	return build.Remediation(ns, "aimed").Target(build.DeploymentTarget(ns, "web", "").ObjectReference).Obj()
}

func run(ns string) *v1alpha1.WorkflowRun {
	return build.Run(ns, "run", build.DeploymentTarget(ns, "web", "u")).Step("restart", "RolloutRestart", nil).Obj()
}

func cancelled(ns string) *v1alpha1.WorkflowRun {
	r := run(ns)
	r.Spec.Cancelled = true
	return r
}

// aimedElsewhere is a run on two objects whose spec.target is another one: with
// their uids, or with the uid of an object of another namespace.
func aimedElsewhere(uid types.UID) func(string) client.Object {
	return func(ns string) client.Object {
		r := build.Run(ns, "elsewhere", build.DeploymentTarget(ns, "web", uid)).Step("a", "RolloutRestart", nil).Step("b", "RolloutRestart", nil).Obj()
		r.Spec.Steps[0].Action.Target = new(build.DeploymentTarget(ns, "db", "v"))
		r.Spec.Steps[1].Action.Target = new(build.DeploymentTarget(ns, "web", "u"))
		return r
	}
}

func labelled(labels map[string]string) func(string) client.Object {
	return func(ns string) client.Object { return build.Remediation(ns, "labelled").Alert("A", labels).Obj() }
}

func annotated(text string) func(string) client.Object {
	return func(ns string) client.Object {
		return build.Remediation(ns, "annotated").With(func(ar *v1alpha1.AlertRemediation) {
			ar.Spec.Alert.Annotations = map[string]string{"description": text}
		}).Obj()
	}
}

func timedOut(d time.Duration) func(string) client.Object {
	return func(ns string) client.Object {
		r := run(ns)
		r.Name = "timed"
		r.Spec.Timeout = &metav1.Duration{Duration: d}
		return r
	}
}

func policy(change func(build.PolicyBuilder) build.PolicyBuilder) func(string) client.Object {
	return func(ns string) client.Object { return change(build.Policy(ns, "p", v1alpha1.ModeAuto)).Obj() }
}

func parameters(value string) map[string]string { return map[string]string{"container": value} }

func verified(window, deadline time.Duration) func(string) client.Object {
	return policy(func(b build.PolicyBuilder) build.PolicyBuilder { return b.Verification(window, deadline) })
}

func triggered(change func(*v1alpha1.PolicyTrigger)) func(string) client.Object {
	return policy(func(b build.PolicyBuilder) build.PolicyBuilder {
		t := v1alpha1.PolicyTrigger{Kind: v1alpha1.TriggerCrashLoop, MinOccurrences: 2}
		change(&t)
		return b.Trigger(t)
	})
}

func kept(d time.Duration) func(string) client.Object {
	return policy(func(b build.PolicyBuilder) build.PolicyBuilder {
		return b.With(func(p *v1alpha1.RemediationPolicy) {
			p.Spec.Retention = &v1alpha1.PolicyRetention{Keep: &metav1.Duration{Duration: d}}
		})
	})
}

// clusterScoped is what the schema says to a namespace in a reference to a Node and its like.
const clusterScoped = "objects of this kind are in no namespace: leave the namespace out; only remediations and runs of the operator's namespace are about them"

// node is a reference to a Node, in a namespace if one is given.
func node(namespace string) v1alpha1.TargetReference {
	return v1alpha1.TargetReference{ObjectReference: v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Node", Namespace: namespace, Name: "worker-1"}, UID: "u"}
}

// about returns a remediation of what a reference names, in a namespace of its own name.
func about(ref v1alpha1.ObjectReference) func(string) client.Object {
	return func(ns string) client.Object { return build.Remediation(ns, "about").Target(ref).Obj() }
}

// ran returns a run whose target, or whose step's target, is a reference.
func ran(target v1alpha1.TargetReference, ofStep bool) func(string) client.Object {
	return func(ns string) client.Object {
		r := run(ns)
		r.Name = "ran"
		if ofStep {
			own := r.Spec.Steps[0]
			own.Name = "own" // on the run's own target
			r.Spec.Steps[0].Action.Target = &target
			r.Spec.Steps = append(r.Spec.Steps, own)
			return r
		}
		r.Spec.Target = target
		return r
	}
}

const longName = "a parameter's name has at most 63 characters, its value at most 1024"

// rules has a row for every CEL rule of the CRDs, by path and message.
var rules = map[string]row{
	"WorkflowRun.spec: spec.target must be the target of one of the steps: name the object that the run changes": created(
		aimedElsewhere("uid-of-another-namespace"), aimedElsewhere("u"),
	),
	"AlertRemediation.spec.alert: only an alert that is written by hand has no fingerprint": created(
		func(ns string) client.Object { return build.Remediation(ns, "from").FromAlertmanager("").Obj() },
		func(ns string) client.Object { return build.Remediation(ns, "from").FromAlertmanager("f00d").Obj() },
	),
	"AlertRemediation.spec.alert: spec.alert can't be changed: create another AlertRemediation": changed(remediation,
		func(ar *v1alpha1.AlertRemediation) { ar.Spec.Alert.Name = "Another" },
		func(ar *v1alpha1.AlertRemediation) { ar.Spec.Mode = v1alpha1.ModeObserve },
	),
	"AlertRemediation.spec: spec.target can't be changed once it is set: create another AlertRemediation": changed(aimed,
		func(ar *v1alpha1.AlertRemediation) { ar.Spec.Target = nil },
		func(ar *v1alpha1.AlertRemediation) { ar.Spec.Suspend = true },
	),
	"AlertRemediation.spec.target: " + clusterScoped:           created(about(node("shop").ObjectReference), about(node("").ObjectReference)),
	"WorkflowRun.spec.target: " + clusterScoped:                created(ran(node("shop"), false), ran(node(""), false)),
	"WorkflowRun.spec.steps[].action.target: " + clusterScoped: created(ran(node("shop"), true), ran(node(""), true)),
	"AlertRemediation.spec.alert.labels: the alert's labels have at most 6144 characters in all": created(
		labelled(map[string]string{"pod": strings.Repeat("x", v1alpha1.MaxAlertText-2)}),
		labelled(map[string]string{"pod": strings.Repeat("x", v1alpha1.MaxAlertText-3)}),
	),
	"AlertRemediation.spec.alert.annotations: the alert's annotations have at most 6144 characters in all": created(
		annotated(strings.Repeat("x", v1alpha1.MaxAlertText-len("description")+1)),
		annotated(strings.Repeat("x", v1alpha1.MaxAlertText-len("description"))),
	),
	"AlertRemediation.status.diagnosis.remedies[].parameters: " + longName: observed(
		func(s *v1alpha1.AlertRemediationStatus) { s.Diagnosis = remedied(strings.Repeat("x", 1025)) },
		func(s *v1alpha1.AlertRemediationStatus) { s.Diagnosis = remedied(strings.Repeat("x", 1024)) },
	),
	"AlertRemediation.status.plan.steps[].parameters: " + longName: observed(
		func(s *v1alpha1.AlertRemediationStatus) { s.Plan = stepped(strings.Repeat("x", 1025)) },
		func(s *v1alpha1.AlertRemediationStatus) { s.Plan = stepped(strings.Repeat("x", 1024)) },
	),
	"WorkflowRun.spec: a run has either steps, or undoes: the run it takes back": created(
		func(ns string) client.Object { r := run(ns); r.Name, r.Spec.Undoes = "both", "first"; return r },
		func(ns string) client.Object {
			r := run(ns)
			r.Name, r.Spec.Undoes, r.Spec.Steps = "both", "first", nil
			return r
		},
	),
	"WorkflowRun.spec: a run can't be changed but for paused and cancelled: create another one": changed(run,
		func(r *v1alpha1.WorkflowRun) { r.Spec.Steps[0].Action.Name = "RolloutUndo" },
		func(r *v1alpha1.WorkflowRun) { r.Spec.Paused, r.Spec.Cancelled = true, true },
	),
	"WorkflowRun.spec: a cancelled run stays cancelled: create another one": changed(cancelled,
		func(r *v1alpha1.WorkflowRun) { r.Spec.Cancelled = false },
		func(r *v1alpha1.WorkflowRun) { r.Spec.Paused = true },
	),
	"WorkflowRun.spec.timeout: timeout is between 10s and 24h": created(timedOut(9*time.Second), timedOut(10*time.Second)),
	"WorkflowRun.spec.steps[].action.parameters: " + longName: created(
		func(ns string) client.Object {
			r := run(ns)
			r.Spec.Steps[0].Action.Parameters = parameters(strings.Repeat("x", 1025))
			return r
		},
		func(ns string) client.Object {
			r := run(ns)
			r.Spec.Steps[0].Action.Parameters = parameters(strings.Repeat("x", 1024))
			return r
		},
	),
	"RemediationPolicy.spec.limits.cooldown: limits.cooldown is between 0s and 168h": created(
		policy(func(b build.PolicyBuilder) build.PolicyBuilder { return b.Cooldown(-time.Second) }),
		policy(func(b build.PolicyBuilder) build.PolicyBuilder { return b.Cooldown(0) }),
	),
	"RemediationPolicy.spec.approval.deadline: approval.deadline is between 1s and 168h": created(
		policy(func(b build.PolicyBuilder) build.PolicyBuilder { return b.ApprovalDeadline(169 * time.Hour) }),
		policy(func(b build.PolicyBuilder) build.PolicyBuilder { return b.ApprovalDeadline(168 * time.Hour) }),
	),
	"RemediationPolicy.spec.verification.window: verification.window is between 1s and 24h": created(
		verified(0, time.Minute), verified(time.Second, time.Minute),
	),
	"RemediationPolicy.spec.verification.deadline: verification.deadline is between 1s and 24h": created(
		verified(time.Minute, 25*time.Hour), verified(time.Minute, 24*time.Hour),
	),
	"RemediationPolicy.spec.retention.keep: retention.keep is between 1h and 8760h": created(kept(time.Minute), kept(time.Hour)),
	"RemediationPolicy.spec.triggers[]: minOccurrences is for CrashLoop and OOMKill: nothing else is counted": created(
		triggered(func(t *v1alpha1.PolicyTrigger) { t.Kind = v1alpha1.TriggerImagePull }),
		triggered(func(t *v1alpha1.PolicyTrigger) { t.Kind = v1alpha1.TriggerOOMKill }),
	),
	"RemediationPolicy.spec.triggers[].holdFor: triggers.holdFor is between 0s and 24h": created(
		triggered(func(t *v1alpha1.PolicyTrigger) { t.HoldFor = &metav1.Duration{Duration: 25 * time.Hour} }),
		triggered(func(t *v1alpha1.PolicyTrigger) { t.HoldFor = &metav1.Duration{} }),
	),
	"RemediationPolicy.spec.triggers[].repeatAfter: triggers.repeatAfter is between 1m and 168h": created(
		triggered(func(t *v1alpha1.PolicyTrigger) { t.RepeatAfter = &metav1.Duration{Duration: time.Second} }),
		triggered(func(t *v1alpha1.PolicyTrigger) { t.RepeatAfter = &metav1.Duration{Duration: time.Minute} }),
	),
	"RemediationPolicy.spec.verification: verification.window is not longer than verification.deadline": created(
		verified(2*time.Minute, time.Minute), verified(time.Minute, time.Minute),
	),
}

// of changes the kind of a reference, and its namespace if one is given.
func of(apiVersion, kind string, namespace ...string) func(*v1alpha1.ObjectReference) {
	return func(ref *v1alpha1.ObjectReference) {
		ref.APIVersion, ref.Kind = apiVersion, kind
		if len(namespace) > 0 {
			ref.Namespace = namespace[0]
		}
	}
}

func called(name string) func(*v1alpha1.ObjectReference) {
	return func(ref *v1alpha1.ObjectReference) { ref.Name = name }
}

func remedied(value string) *v1alpha1.Diagnosis {
	return &v1alpha1.Diagnosis{
		Source: v1alpha1.SourceRules, Cause: v1alpha1.CauseOOMKilled,
		Remedies: []v1alpha1.Remedy{{Action: "AdjustResources", Parameters: parameters(value)}},
	}
}

func stepped(value string) *v1alpha1.PlanStatus {
	return &v1alpha1.PlanStatus{Steps: []v1alpha1.PlanStep{{
		Name: "one", Action: "AdjustResources", Parameters: parameters(value), Risk: v1alpha1.RiskMedium,
		Target: build.DeploymentTarget("ns", "web", "u"),
	}}}
}

var _ = Describe("The schema", func() {
	It("has a breaking row and a passing neighbour for each of its rules", func() {
		Expect(slices.Sorted(maps.Keys(rules))).To(Equal(validations()))
	})

	for name, row := range rules {
		_, message, _ := strings.Cut(name, ": ")
		It("refuses what breaks "+name+", and takes what does not", func(ctx SpecContext) {
			ns := server.Namespace(ctx)
			Expect(row.breaks(ctx, ns)).To(MatchError(ContainSubstring(message)))
			Expect(row.passes(ctx, ns)).To(Succeed())
		})
	}

	DescribeTable("knows what can name no object", func(ctx SpecContext, breaks, passes func(*v1alpha1.ObjectReference)) {
		ns := server.Namespace(ctx)
		refers := func(change func(*v1alpha1.ObjectReference)) error {
			ref := build.DeploymentTarget(ns, "web", "").ObjectReference
			change(&ref)
			return server.Client.Create(ctx, about(ref)(ns))
		}
		Expect(apierrors.IsInvalid(refers(breaks))).To(BeTrue())
		Expect(refers(passes)).To(Succeed())
	},
		Entry("a Namespace in a namespace", of("v1", "Namespace"), of("v1", "Namespace", "")),
		Entry("a PersistentVolume in a namespace", of("v1", "PersistentVolume"), of("v1", "PersistentVolume", "")),
		Entry("a Node in a namespace, but not another group's kind of that name", of("v1", "Node"), of("example.test/v1", "Node")),
		Entry("a name with a slash", called("web/scale"), called("web-scale")),
		Entry("a name that leads up", called(".."), called("..web")),
		Entry("a name that is this place", called("."), called(".web")),
		Entry("an encoded slash in a name", called("web%2fscale"), called("web:2fscale")),
		Entry("a subresource in the kind", of("v1", "Pod/eviction"), of("v1", "Pod")),
		Entry("a dotted kind", of("v1", "Pod.v1"), of("v1", "Podv1")),
		Entry("an internal version", of("apps/__internal", "Deployment"), of("apps/v1", "Deployment")),
		Entry("a path for a version", of("apps/v1/namespaces", "Deployment"), of("apps/v1", "Deployment")),
		Entry("a namespace that leads elsewhere", of("v1", "Pod", "../kube-system"), of("v1", "Pod", "kube-system")),
	)

	It("bounds every string, list and map", func() {
		eachField(func(path string, schema apiextensionsv1.JSONSchemaProps) {
			if !bounded(schema) && !excused(path) {
				Fail(path + " has no bound: give it MaxLength, MaxItems or MaxProperties")
			}
		})
	})

	It("fills in what a policy leaves out", func(ctx SpecContext) {
		p := build.Policy(server.Namespace(ctx), "bare", v1alpha1.ModeAuto).Trigger(v1alpha1.PolicyTrigger{Kind: v1alpha1.TriggerOOMKill}).Obj()
		Expect(server.Client.Create(ctx, p)).To(Succeed())
		Expect(p.Spec.Limits.Cooldown.Duration).To(Equal(10 * time.Minute))
		Expect(p.Spec.Limits.MaxPerHour).To(BeEquivalentTo(20))
		Expect(p.Spec.Approval.Deadline.Duration).To(Equal(4 * time.Hour))
		Expect(p.Spec.Verification.Window.Duration).To(Equal(5 * time.Minute))
		Expect(p.Spec.Verification.Deadline.Duration).To(Equal(15 * time.Minute))
		Expect(p.Spec.Triggers[0].HoldFor.Duration).To(Equal(30 * time.Second))
		Expect(p.Spec.Triggers[0].RepeatAfter.Duration).To(Equal(time.Hour))
	})

	It("fills in what a remediation and a run leave out", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		ar := &v1alpha1.AlertRemediation{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "bare"},
			Spec:       v1alpha1.AlertRemediationSpec{Alert: v1alpha1.Alert{Name: "A"}},
		}
		Expect(server.Client.Create(ctx, ar)).To(Succeed())
		Expect(ar.Spec.Alert.Source).To(Equal(v1alpha1.SourceManual))
		Expect(ar.Spec.Alert.Severity).To(Equal(v1alpha1.SeverityUnknown))
		r := run(ns)
		Expect(server.Client.Create(ctx, r)).To(Succeed())
		Expect(r.Spec.Timeout.Duration).To(Equal(10 * time.Minute))
	})

	It("tells strict clients of fields that nothing acts on yet", func(ctx SpecContext) {
		strict := client.WithFieldValidation(server.Client, metav1.FieldValidationStrict)
		p := build.Policy(server.Namespace(ctx), "future", v1alpha1.ModeAuto).Obj()
		raw := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"freezes":[]}}`))
		Expect(server.Client.Create(ctx, p)).To(Succeed())
		Expect(strict.Patch(ctx, p, raw)).To(MatchError(ContainSubstring(`unknown field "spec.freezes"`)))
	})
})
