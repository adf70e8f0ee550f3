package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/plan"
	"github.com/kubernaut/kubernaut/pkg/action"
)

const (
	digest  = "v1:sha256:aaaa"
	another = "v1:sha256:bbbb"
)

var (
	noon    = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	errDown = errors.New("the API server is away")
	web     = v1alpha1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "web"}
	server  = v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: "node-1"}
)

// sound is a case that no gate is against: an alert in the namespace shop, whose
// policy lets Deployment/web be rolled back without asking.
func sound() Facts {
	target := v1alpha1.TargetReference{ObjectReference: web, UID: "web-1", Generation: 7}
	return Facts{
		Case: Case{
			Remediation: remediation(target),
			Steps: []Step{{
				Name:   "remedy",
				Action: action.Spec{Name: "RolloutUndo", Risk: v1alpha1.RiskMedium, Kinds: []schema.GroupKind{{Group: "apps", Kind: "Deployment"}}},
				Target: target,
				Plan: action.Plan{Operations: []action.Operation{{Operation: v1alpha1.Operation{
					Verb: v1alpha1.VerbPatch, Object: web, Precondition: v1alpha1.Precondition{UID: "web-1"},
				}}}},
			}},
			Digest:    digest,
			DiffBytes: 400,
		},
		Now:        noon,
		Operator:   "kubernaut-system",
		AlertState: Fact[v1alpha1.AlertState]{Value: v1alpha1.AlertFiring},
		Space:      Fact[Object]{Value: Object{Ref: v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Namespace", Name: "shop"}}},
		Objects:    []Fact[Object]{{Value: Object{Ref: web, UID: "web-1", Generation: 7, Labels: map[string]string{"app": "web"}}}},
		Policies:   Fact[[]v1alpha1.RemediationPolicy]{Value: []v1alpha1.RemediationPolicy{*written("shop", "auto", v1alpha1.ModeAuto)}},
		Default:    Fact[*v1alpha1.RemediationPolicy]{Value: ceiling(v1alpha1.ModeAuto)},
		Guards:     Fact[Guards]{Value: Guards{Epoch: "first", Settled: true}},
	}
}

func remediation(target v1alpha1.TargetReference) *v1alpha1.AlertRemediation {
	return &v1alpha1.AlertRemediation{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "ar-1", UID: "ar-1-uid", CreationTimestamp: metav1.NewTime(noon.Add(-time.Minute))},
		Spec:       v1alpha1.AlertRemediationSpec{Alert: v1alpha1.Alert{Name: "KubePodCrashLooping", Source: v1alpha1.SourceAlertmanager}},
		Status: v1alpha1.AlertRemediationStatus{
			Target:    &target,
			Diagnosis: &v1alpha1.Diagnosis{Target: &target},
			Plan:      &v1alpha1.PlanStatus{Digest: digest, Guards: "first"},
		},
	}
}

func written(namespace, name string, mode v1alpha1.Mode) *v1alpha1.RemediationPolicy {
	return &v1alpha1.RemediationPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.RemediationPolicySpec{Mode: mode},
	}
}

func ceiling(mode v1alpha1.Mode) *v1alpha1.RemediationPolicy {
	p := written("kubernaut-system", "default", v1alpha1.ModeRecommend)
	p.Spec.Ceiling = mode
	return p
}

// policyOf changes the policy of the namespace.
func policyOf(f *Facts, change func(*v1alpha1.RemediationPolicy)) { change(&f.Policies.Value[0]) }

func askPerson(f *Facts) { f.Policies.Value[0].Spec.Mode = v1alpha1.ModeApprove }

func answered(f *Facts, decision v1alpha1.Decision, digest string) {
	f.Remediation.Spec.Approval = &v1alpha1.Approval{Decision: decision, By: "ann", Reason: "looks right", PlanDigest: digest}
}

// approved makes it a plan that ann approved.
func approved(f *Facts) {
	askPerson(f)
	answered(f, v1alpha1.DecisionApproved, digest)
}

// begins makes it the case of the remediation's run that is about to begin.
func begins(f *Facts) {
	f.Run = &v1alpha1.WorkflowRun{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "ar-1-run-1"}}
	f.Run.Spec.Target, f.Run.Spec.PlanDigest = f.Steps[0].Target, digest
}

// undoes makes it the case of the undo run that the remediation's status names.
func undoes(f *Facts) {
	begins(f)
	f.Undo, f.Run.Name, f.Run.Spec.Undoes, f.Run.Spec.PlanDigest = true, "ar-1-run-2", "ar-1-run-1", ""
	f.Remediation.Status.RunRef = f.Run.Name
}

// byHand makes it the case of a run that a person made.
func byHand(f *Facts) {
	begins(f)
	f.Remediation, f.Run.Name, f.Run.UID, f.Run.Spec.PlanDigest = nil, "by-hand", "by-hand-uid", ""
}

// onNode makes it a change of a Node, from the operator's namespace.
func onNode(f *Facts) {
	target := v1alpha1.TargetReference{ObjectReference: server, UID: "node-1"}
	f.Remediation.Namespace = "kubernaut-system"
	f.Remediation.Status.Diagnosis.Target, f.Remediation.Status.Target = &target, &target
	f.Space.Value.Ref.Name = "kubernaut-system"
	f.Steps = []Step{{Name: "remedy", Target: target}}
	f.Objects = []Fact[Object]{{Value: Object{Ref: server, UID: "node-1"}}}
}

// nodeIn makes it a case about a Node that says it is in a namespace.
func nodeIn(f *Facts, namespace string) {
	onNode(f)
	f.Remediation.Namespace, f.Space.Value.Ref.Name = namespace, namespace
	ref := server
	ref.Namespace = namespace
	f.Remediation.Status.Target.Namespace, f.Steps[0].Target.Namespace = namespace, namespace
	f.Objects = []Fact[Object]{{Value: Object{Ref: ref, Elsewhere: "Node/node-1 is cluster-scoped and in no namespace"}}}
}

func reserved(run string, ago time.Duration) v1alpha1.Reservation {
	return v1alpha1.Reservation{Run: run, TargetUID: "web-1", Action: "RolloutUndo", At: metav1.NewTime(noon.Add(-ago))}
}

// reservedBy is the place that an object took for a run.
func reservedBy(uid types.UID, run string, ago time.Duration) v1alpha1.Reservation {
	r := reserved(run, ago)
	r.UID = uid
	return r
}

// skewed sets the API server's clock, which writes creationTimestamp, ahead of the operator's.
func skewed(ahead time.Duration) func(*Facts) {
	return func(f *Facts) {
		if f.Remediation != nil {
			f.Remediation.CreationTimestamp = metav1.NewTime(noon.Add(ahead))
		}
		if f.Run != nil {
			f.Run.CreationTimestamp = metav1.NewTime(noon.Add(ahead))
		}
	}
}

func writtenBy(manager, subresource, fields string, at time.Time) metav1.ManagedFieldsEntry {
	when := metav1.NewTime(at)
	return metav1.ManagedFieldsEntry{Manager: manager, Subresource: subresource, Time: &when, FieldsV1: metav1.NewFieldsV1(fields)}
}

// writtenSince makes the object another generation than the diagnosis saw, by somebody's write.
func writtenSince(f *Facts, entry metav1.ManagedFieldsEntry) {
	f.Objects[0].Value.Generation = 8
	f.Objects[0].Value.ManagedFields = []metav1.ManagedFieldsEntry{entry}
}

const (
	wholeSpec    = `{"f:metadata":{},"f:spec":{"f:replicas":{},"f:template":{"f:spec":{}}}}`
	onlyReplicas = `{"f:spec":{"f:replicas":{}}}`
)

// row of a gate's table: what differs from the sound case, and all that is refused then.
type row struct {
	given func(*Facts)
	// want is "Reason Kind" of every refusal, in order; nothing: it is let through.
	want []string
	// says is part of the first message.
	says string
}

func TestGates(t *testing.T) {
	for gate, rows := range map[string]map[string]row{
		"0 right cluster": rightCluster, "1 kill switch": killSwitch, "2 pause": pause, "3 alert still firing": stillFiring,
		"4 protected": isProtected, "5 scope": scope, "7 other remediators": others, "8 catalogue": catalogue,
		"12 budget": budget, "12 shared budget": sharedBudget, "12 budget of the cluster": clusterBudget, "13 cooldown": cooldown, "13 changed meanwhile": changed,
		"15 lease": leases, "16 authority": authority, "17 dry run": dryRun, "18 mode": mode, "18 approval": approval, "19 definitions": definitions, "19 guards": guards, "19 origin": origin,
	} {
		t.Run(gate, func(t *testing.T) {
			for name, row := range rows {
				t.Run(name, func(t *testing.T) { check(t, row) })
			}
		})
	}
}

func check(t *testing.T, row row) {
	t.Helper()
	facts := sound()
	if row.given != nil {
		row.given(&facts)
	}
	judged := Judge(facts)
	if got := reasons(judged.Refusals); !slices.Equal(got, row.want) {
		t.Fatalf("refused %q, want %q\n%+v", got, row.want, judged.Refusals)
	}
	for _, r := range judged.Refusals {
		if len(r.Message) > maxMessage || r.Message == "" {
			t.Errorf("the message of %s has %d bytes", r.Reason, len(r.Message))
		}
	}
	if row.says != "" && !strings.Contains(judged.Refusals[0].Message, row.says) {
		t.Errorf("it says %q, not %q", judged.Refusals[0].Message, row.says)
	}
}

func reasons(refusals []Refusal) []string {
	var all []string
	for _, r := range refusals {
		all = append(all, r.Reason+" "+r.Kind.String())
	}
	return all
}

var rightCluster = map[string]row{
	"lets an alert of this cluster through":            {given: func(f *Facts) { f.Cluster, f.Remediation.Spec.Alert.Cluster = "eu-1", "eu-1" }},
	"refuses an alert of another cluster":              {given: func(f *Facts) { f.Cluster, f.Remediation.Spec.Alert.Cluster = "eu-1", "us-2" }, want: []string{"ForeignCluster Ends"}, says: `cluster "us-2"`},
	"does not ask where this cluster has no name":      {given: func(f *Facts) { f.Remediation.Spec.Alert.Cluster = "us-2" }},
	"does not ask for an undo: it was asked before it": {given: func(f *Facts) { f.Undo, f.Cluster, f.Remediation.Spec.Alert.Cluster = true, "eu-1", "us-2" }},
}

var killSwitch = map[string]row{
	"refuses while the ConfigMap exists": {
		given: func(f *Facts) { f.EmergencyStop.Value = true }, want: []string{"EmergencyStop Waits"},
		says: "kubectl -n kubernaut-system delete configmap kubernaut-emergency-stop"},
	"stops runs made by hand too": {given: func(f *Facts) { byHand(f); f.EmergencyStop.Value = true }, want: []string{"EmergencyStop Waits"}},
	"stops undos too":             {given: func(f *Facts) { f.Undo, f.EmergencyStop.Value = true, true }, want: []string{"EmergencyStop Waits"}},
	"refuses while nobody can tell whether it exists": {
		given: func(f *Facts) { f.EmergencyStop.Err = errDown }, want: []string{"Unreadable Waits"},
		says: "kubernaut-system/kubernaut-emergency-stop"},
	"lets through when there is none": {},
}

func pausedUntil(until time.Time) func(*Facts) {
	return func(f *Facts) {
		policyOf(f, func(p *v1alpha1.RemediationPolicy) {
			p.Spec.PauseRequests = []v1alpha1.PauseRequest{{By: "ann", Reason: "release\nnight", Until: metav1.NewTime(until)}}
		})
	}
}

var pause = map[string]row{
	"holds for a pause request without an end": {given: pausedUntil(time.Time{}), want: []string{"Paused Waits"}, says: "ann paused RemediationPolicy shop/auto until it is removed: release night"},
	"holds until a pause request ends":         {given: pausedUntil(noon.Add(time.Second)), want: []string{"Paused Waits"}, says: "2026-03-01T12:00:01Z"},
	"lets through once a pause request ended":  {given: pausedUntil(noon)},
	"holds while the remediation is suspended": {given: func(f *Facts) { f.Remediation.Spec.Suspend = true }, want: []string{"Paused Waits"}, says: "patch ar ar-1"},
	"holds while the run is paused":            {given: func(f *Facts) { begins(f); f.Run.Spec.Paused = true }, want: []string{"Paused Waits"}, says: "patch wr ar-1-run-1"},
	"holds while the object is annotated":      {given: func(f *Facts) { annotate(&f.Objects[0]) }, want: []string{"Paused Waits"}, says: "kubectl -n shop annotate Deployment/web kubernaut.io/pause-"},
	"holds while the namespace is annotated":   {given: func(f *Facts) { annotate(&f.Space) }, want: []string{"Paused Waits"}, says: "kubectl annotate Namespace/shop kubernaut.io/pause-"},
	"holds an undo too":                        {given: func(f *Facts) { f.Undo = true; annotate(&f.Space) }, want: []string{"Paused Waits"}},
	"holds while the alert's object is paused": {given: func(f *Facts) { alertAboutPod(f, Fact[Object]{}); annotate(&f.Objects[1]) }, want: []string{"Paused Waits"}, says: "Pod/web-x"},
	"lets through where another policy pauses": {given: otherPaused},
	"holds while the object can't be read":     {given: func(f *Facts) { f.Objects[0].Err = errDown }, want: []string{"Unreadable Waits"}, says: "Deployment/web in namespace shop"},
	"holds while the namespace can't be read":  {given: func(f *Facts) { f.Space.Err = errDown }, want: []string{"Unreadable Waits"}, says: "Namespace/shop"},
	"refuses a Node that says it is in the tenant's namespace, and only for that": {given: func(f *Facts) {
		nodeIn(f, "shop")
	}, want: []string{"OutOfScope Ends"}, says: "Node/node-1 is cluster-scoped"},
	"refuses a Node that says it is in the operator's namespace": {given: func(f *Facts) {
		nodeIn(f, "kubernaut-system")
	}, want: []string{"Protected Ends", "OutOfScope Ends"}},
	"refuses a run that a person makes of such a Node": {given: func(f *Facts) {
		nodeIn(f, "shop")
		byHand(f)
	}, want: []string{"OutOfScope Ends"}},
	"lets through a Node from the operator's namespace": {given: onNode},
	"holds while the policies can't be read":            {given: func(f *Facts) { f.Policies.Err = errDown }, want: []string{"Unreadable Waits"}, says: "RemediationPolicies of namespace shop"},
	"holds while the alert's object can't be":           {given: func(f *Facts) { alertAboutPod(f, Fact[Object]{Err: errDown}) }, want: []string{"Unreadable Waits"}, says: "Pod/web-x"},
	"lets an object through that nobody paused":         {given: func(f *Facts) { f.Objects[0].Value.Annotations = map[string]string{"kubernaut.io/other": "x"} }},
}

func annotate(object *Fact[Object]) {
	object.Value.Annotations = map[string]string{v1alpha1.PauseAnnotation: "being debugged"}
}

// alertAboutPod makes the alert's object another than the one that is changed.
func alertAboutPod(f *Facts, pod Fact[Object]) {
	pod.Value.Ref = v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: "shop", Name: "web-x"}
	f.Objects = append(f.Objects, pod)
}

func otherPaused(f *Facts) {
	other := written("shop", "batch", v1alpha1.ModeAuto)
	other.Spec.Selectors.Kinds = []string{"Job"}
	other.Spec.PauseRequests = []v1alpha1.PauseRequest{{By: "bob", Reason: "month end"}}
	f.Policies.Value = append(f.Policies.Value, *other)
}

var stillFiring = map[string]row{
	"lets through while it fires":                  {},
	"ends when it resolved by itself":              {given: func(f *Facts) { f.AlertState.Value = v1alpha1.AlertResolved }, want: []string{"AlertResolved Resolved"}, says: "KubePodCrashLooping"},
	"holds while nobody knows":                     {given: func(f *Facts) { f.AlertState.Value = v1alpha1.AlertUnknown }, want: []string{"Unreadable Waits"}, says: "whether alert KubePodCrashLooping still fires"},
	"holds while Alertmanager can't be asked":      {given: func(f *Facts) { f.AlertState.Err = errDown }, want: []string{"Unreadable Waits"}, says: "whether alert KubePodCrashLooping still fires"},
	"does not ask for an undo":                     {given: func(f *Facts) { f.Undo, f.AlertState.Value = true, v1alpha1.AlertResolved }},
	"does not ask for a run that a person made":    {given: func(f *Facts) { byHand(f); f.AlertState.Err = errDown }},
	"asks again when the remediation's run begins": {given: func(f *Facts) { begins(f); f.AlertState.Value = v1alpha1.AlertResolved }, want: []string{"AlertResolved Resolved"}},
	"holds for a state that nobody has heard of":   {given: func(f *Facts) { f.AlertState.Value = "Flapping" }, want: []string{"Unreadable Waits"}},
	"holds for an answer that says nothing at all": {given: func(f *Facts) { f.AlertState.Value = "" }, want: []string{"Unreadable Waits"}},
}

func labelled(object *Fact[Object], value string) {
	object.Value.Labels = map[string]string{v1alpha1.ProtectedLabel: value}
}

// movedTo puts the whole case into another namespace.
func movedTo(namespace string) func(*Facts) {
	return func(f *Facts) {
		f.Remediation.Namespace, f.Policies.Value[0].Namespace = namespace, namespace
		f.Space.Value.Ref.Name = namespace
		f.Steps[0].Target.Namespace = namespace
		f.Steps[0].Plan.Operations[0].Object.Namespace = namespace
		f.Objects[0].Value.Ref.Namespace = namespace
		f.Remediation.Status.Diagnosis.Target = &f.Steps[0].Target
	}
}

var isProtected = map[string]row{
	"refuses a labelled object":                  {given: func(f *Facts) { labelled(&f.Objects[0], "true") }, want: []string{"Protected Ends"}, says: "kubectl -n shop label Deployment/web kubernaut.io/protected-"},
	"refuses a labelled namespace":               {given: func(f *Facts) { labelled(&f.Space, "true") }, want: []string{"Protected Ends"}, says: "kubectl label Namespace/shop kubernaut.io/protected-"},
	"refuses kube-system":                        {given: movedTo("kube-system"), want: []string{"Protected Ends"}, says: "Namespace kube-system is protected"},
	"refuses kube-public":                        {given: movedTo("kube-public"), want: []string{"Protected Ends"}},
	"refuses kube-node-lease":                    {given: movedTo("kube-node-lease"), want: []string{"Protected Ends"}},
	"refuses OpenShift's own":                    {given: movedTo("openshift-monitoring"), want: []string{"Protected Ends"}},
	"refuses the operator's own":                 {given: movedTo("kubernaut-system"), want: []string{"Protected Ends"}},
	"refuses what configuration protects":        {given: func(f *Facts) { movedTo("payments")(f); f.Protected = []string{"payments"} }, want: []string{"Protected Ends"}},
	"refuses an undo and a person's run there":   {given: func(f *Facts) { byHand(f); f.Undo = true; labelled(&f.Objects[0], "true") }, want: []string{"Protected Ends"}},
	"lets another value of the label through":    {given: func(f *Facts) { labelled(&f.Objects[0], "false"); labelled(&f.Space, "no") }},
	"lets a name through that only looks alike":  {given: movedTo("kube-system-tools")},
	"lets a Node through: it is in no namespace": {given: onNode},
	"refuses a labelled Node":                    {given: func(f *Facts) { onNode(f); labelled(&f.Objects[0], "true") }, want: []string{"Protected Ends"}, says: "kubectl label Node/node-1"},
	"refuses when an operation reaches a protected object that is no target": {
		given: func(f *Facts) { beside(f, "shop", map[string]string{v1alpha1.ProtectedLabel: "true"}) }, want: []string{"Protected Ends"}, says: "ConfigMap/web-config"},
	"holds while the labels of the object can't be read":    {given: func(f *Facts) { f.Objects[0].Err = errDown }, want: []string{"Unreadable Waits"}, says: "labels"},
	"holds while the labels of the namespace can't be read": {given: func(f *Facts) { f.Space.Err = errDown }, want: []string{"Unreadable Waits"}, says: "labels"},
	"holds when an object was not looked at at all":         {given: func(f *Facts) { f.Objects = nil }, want: []string{"Unreadable Waits"}, says: "Deployment/web"},
}

// beside adds an operation on a ConfigMap in a namespace.
func beside(f *Facts, namespace string, labels map[string]string) {
	ref := v1alpha1.ObjectReference{APIVersion: "v1", Kind: "ConfigMap", Namespace: namespace, Name: "web-config"}
	f.Steps[0].Plan.Operations = append(f.Steps[0].Plan.Operations, action.Operation{Operation: v1alpha1.Operation{Verb: v1alpha1.VerbPatch, Object: ref}})
	f.Objects = append(f.Objects, Fact[Object]{Value: Object{Ref: ref, UID: "c", Labels: labels}})
}

func selecting(change func(*v1alpha1.PolicySelectors)) func(*Facts) {
	return func(f *Facts) { change(&f.Policies.Value[0].Spec.Selectors) }
}

var broken = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app", Operator: "Sounds"}}}

var scope = map[string]row{
	"lets through what the policy is about": {given: selecting(func(s *v1alpha1.PolicySelectors) {
		s.Alerts, s.Kinds, s.Labels = []string{"KubePodCrashLooping"}, []string{"Deployment"}, &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	})},
	"refuses another alert": {given: selecting(func(s *v1alpha1.PolicySelectors) { s.Alerts = []string{"Other"} }), want: []string{"OutOfScope Ends"}, says: "No RemediationPolicy is about Deployment/web in namespace shop"},
	"refuses another kind":  {given: selecting(func(s *v1alpha1.PolicySelectors) { s.Kinds = []string{"Service"} }), want: []string{"OutOfScope Ends"}},
	"refuses another label": {given: selecting(func(s *v1alpha1.PolicySelectors) {
		s.Labels = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "db"}}
	}), want: []string{"OutOfScope Ends"}},
	"refuses an undo there too":                            {given: func(f *Facts) { f.Undo = true; f.Policies.Value[0].Spec.Selectors.Kinds = []string{"Service"} }, want: []string{"OutOfScope Ends"}},
	"lets a person's run through, which is about no alert": {given: func(f *Facts) { byHand(f); f.Policies.Value[0].Spec.Selectors.Alerts = []string{"Other"} }},
	"refuses a person's run on another kind":               {given: func(f *Facts) { byHand(f); f.Policies.Value[0].Spec.Selectors.Kinds = []string{"Service"} }, want: []string{"OutOfScope Ends"}},
	"refuses where no policy is at all":                    {given: func(f *Facts) { f.Policies.Value, f.Default.Value = nil, nil }, want: []string{"OutOfScope Ends"}},
	"lets through where the operator's default applies":    {given: func(f *Facts) { f.Policies.Value = nil }},
	"refuses what is in another namespace":                 {given: func(f *Facts) { beside(f, "billing", nil) }, want: []string{"OutOfScope Ends"}, says: "ConfigMap/web-config in namespace billing"},
	"refuses a Node from a tenant's namespace":             {given: func(f *Facts) { onNode(f); f.Remediation.Namespace = "shop" }, want: []string{"OutOfScope Ends"}, says: "Node/node-1"},
	"holds while the policies can't be read":               {given: func(f *Facts) { f.Policies.Err = errDown }, want: []string{"Unreadable Waits"}, says: "RemediationPolicies"},
	"holds while the ceiling can't be read":                {given: func(f *Facts) { f.Default.Err = errDown }, want: []string{"Unreadable Waits"}, says: "kubernaut-system/default"},
	"holds while a selector can't be understood":           {given: selecting(func(s *v1alpha1.PolicySelectors) { s.Labels = broken }), want: []string{"Unreadable Waits"}, says: "RemediationPolicy shop/auto"},
}

var catalogue = map[string]row{
	"lets an action through that knows the kind":      {},
	"refuses an unknown action":                       {given: func(f *Facts) { f.Unplanned = errors.Join(action.ErrUnknownAction) }, want: []string{"UnknownAction Ends"}},
	"refuses parameters that do not validate":         {given: func(f *Facts) { f.Unplanned = action.Spec{Name: "Escalate"}.Validate(action.Params{"x": "1"}) }, want: []string{"InvalidParameters Ends"}, says: `"x" is not a parameter of Escalate`},
	"refuses when the action says it does not apply":  {given: func(f *Facts) { f.Unplanned = action.NotApplicable("there is only one revision") }, want: []string{"NotApplicable Ends"}, says: "there is only one revision"},
	"holds what can't be planned yet":                 {given: func(f *Facts) { f.Unplanned = action.NotYet(time.Minute, "Deployment/web has been ready since noon") }, want: []string{"NotYet Waits"}, says: "ready since noon"},
	"refuses a kind that the action does not know":    {given: func(f *Facts) { f.Steps[0].Action.Kinds = []schema.GroupKind{{Kind: "Service"}} }, want: []string{"NotApplicable Ends"}, says: "RolloutUndo does not know how to change a Deployment"},
	"refuses an undo and a person's run as well":      {given: func(f *Facts) { byHand(f); f.Undo, f.Unplanned = true, action.ErrUnknownAction }, want: []string{"UnknownAction Ends"}},
	"lets a step through that takes another one back": {given: func(f *Facts) { f.Undo, f.Steps[0].Action = true, action.Spec{} }},
	"holds while what the action needs can't be read": {given: func(f *Facts) { f.Unplanned = errDown }, want: []string{"Unreadable Waits"}, says: "what the action needs to be planned"},
}

func remembers(r ...v1alpha1.Reservation) func(*Facts) {
	return func(f *Facts) { f.Policies.Value[0].Status.Reservations = r }
}

func both(changes ...func(*Facts)) func(*Facts) {
	return func(f *Facts) {
		for _, change := range changes {
			change(f)
		}
	}
}

func otherTarget(r v1alpha1.Reservation) v1alpha1.Reservation {
	r.TargetUID = "db-1"
	return r
}

// spends makes a policy of one place, which the reservations may have taken.
func spends(r ...v1alpha1.Reservation) func(*Facts) {
	return both(remembers(r...), func(f *Facts) { f.Policies.Value[0].Spec.Limits.MaxPerHour = 1 })
}

var budget = map[string]row{
	"holds while the places of the hour are taken":    {given: spends(otherTarget(reserved("shop/ar-0-run-1", 59*time.Minute))), want: []string{"BudgetSpent Waits"}, says: "the next place is free at 2026-03-01T12:01:00Z"},
	"lets through an hour after the place was taken":  {given: spends(otherTarget(reserved("shop/ar-0-run-1", time.Hour)))},
	"lets through while there is a place":             {given: both(spends(otherTarget(reserved("shop/ar-0-run-1", 0))), func(f *Facts) { f.Policies.Value[0].Spec.Limits.MaxPerHour = 2 })},
	"has twenty places where the policy says nothing": {given: remembers(many(20)...), want: []string{"BudgetSpent Waits"}, says: "let 20 runs be made"},
	"has no more than twenty then":                    {given: remembers(many(19)...)},
	"names when the next place will be free":          {given: both(spends(otherTarget(reserved("shop/ar-0-run-1", 10*time.Minute)), otherTarget(reserved("shop/ar-9-run-1", 20*time.Minute)))), want: []string{"BudgetSpent Waits"}, says: "free at 2026-03-01T12:50:00Z"},
	"lets the run through that has the place":         {given: both(begins, spends(reservedBy("ar-1-uid", "shop/ar-1-run-1", 0)))},
	"holds a person's run too":                        {given: both(byHand, spends(otherTarget(reserved("shop/ar-0-run-1", 0)))), want: []string{"BudgetSpent Waits"}},
	"lets an undo through":                            {given: both(func(f *Facts) { f.Undo = true }, spends(otherTarget(reserved("shop/ar-0-run-1", 0))))},
}

// many returns so many reservations for another target.
func many(n int) []v1alpha1.Reservation { return manyOf("shop", n) }

func manyOf(namespace string, n int) []v1alpha1.Reservation {
	var all []v1alpha1.Reservation
	for i := range n {
		all = append(all, otherTarget(reserved(fmt.Sprintf("%s/ar-0-run-%d", namespace, i), time.Minute)))
	}
	return all
}

var cooldown = map[string]row{
	"holds while the target was remediated a moment ago": {given: remembers(reserved("shop/ar-0-run-1", 9*time.Minute)), want: []string{"Cooldown Waits"}, says: "until 2026-03-01T12:01:00Z"},
	"lets through once the cooldown is over":             {given: remembers(reserved("shop/ar-0-run-1", 10*time.Minute))},
	"lets another target through":                        {given: remembers(otherTarget(reserved("shop/ar-0-run-1", 0)))},
	"holds longer where the policy says so": {given: both(remembers(reserved("shop/ar-0-run-1", time.Hour)), func(f *Facts) {
		f.Policies.Value[0].Spec.Limits.Cooldown = &metav1.Duration{Duration: 2 * time.Hour}
	}), want: []string{"Cooldown Waits"}, says: "leaves 2h0m0s"},
	"lets through where the policy wants none": {given: both(remembers(reserved("shop/ar-0-run-1", 0)), func(f *Facts) {
		f.Policies.Value[0].Spec.Limits.Cooldown = &metav1.Duration{}
	})},
	"holds where another policy let the target be remediated, for another alert": {given: func(f *Facts) {
		other := written("shop", "for-another-alert", v1alpha1.ModeAuto)
		other.Spec.Selectors.Alerts = []string{"KubeDeploymentReplicasMismatch"}
		other.Status.Reservations = []v1alpha1.Reservation{reserved("shop/ar-0-run-1", 9*time.Minute)}
		f.Policies.Value = append(f.Policies.Value, *other)
	}, want: []string{"Cooldown Waits"}, says: "RemediationPolicy shop/auto leaves 10m0s"},
	"holds where the default let it be remediated, before the namespace had a policy": {given: func(f *Facts) {
		f.Default.Value.Status.Reservations = []v1alpha1.Reservation{reserved("shop/ar-0-run-1", 9*time.Minute)}
	}, want: []string{"Cooldown Waits"}},
	"lets a target through whose uid a reservation of another namespace names": {given: func(f *Facts) {
		f.Default.Value.Status.Reservations = []v1alpha1.Reservation{reserved("mallory/by-hand", time.Minute), reserved("shop-2/ar-0-run-1", time.Minute)}
	}},
	"lets the run through that has the place":                                        {given: both(begins, remembers(reservedBy("ar-1-uid", "shop/ar-1-run-1", 0)))},
	"holds a run beside the one that has the place":                                  {given: both(begins, remembers(reservedBy("ar-1-uid", "shop/ar-1-run-2", 0))), want: []string{"Cooldown Waits"}},
	"lets a plan through whose run has a place but was never made":                   {given: remembers(reservedBy("ar-1-uid", "shop/"+plan.RunName("ar-1", 1), 0))},
	"holds a second attempt of the same remediation":                                 {given: both(remembers(reservedBy("ar-1-uid", "shop/ar-1-run-1", 0)), func(f *Facts) { f.Remediation.Status.Runs = 1 }), want: []string{"Cooldown Waits"}},
	"holds a remediation made anew, under the name of a deleted one that has acted":  {given: remembers(reservedBy("an-earlier-uid", "shop/"+plan.RunName("ar-1", 1), 2*time.Minute)), want: []string{"Cooldown Waits"}},
	"holds its run as well":                                                          {given: both(begins, remembers(reservedBy("an-earlier-uid", "shop/ar-1-run-1", 2*time.Minute))), want: []string{"Cooldown Waits"}},
	"holds a person's run made anew, under the name of a deleted one that has acted": {given: both(byHand, remembers(reservedBy("an-earlier-uid", "shop/by-hand", 2*time.Minute))), want: []string{"Cooldown Waits"}},
	"lets a person's run through that has the place":                                 {given: both(byHand, remembers(reservedBy("by-hand-uid", "shop/by-hand", 2*time.Minute)))},
	"holds where a place says not whose it is":                                       {given: both(begins, remembers(reserved("shop/ar-1-run-1", 0))), want: []string{"Cooldown Waits"}},
	"holds where neither the place nor the case has a uid": {given: both(byHand, remembers(reserved("shop/by-hand", 0)), func(f *Facts) {
		f.Run.UID = ""
	}), want: []string{"Cooldown Waits"}},
	"knows the place of its run while the API server's clock is 5 s ahead":         {given: both(begins, remembers(reservedBy("ar-1-uid", "shop/ar-1-run-1", 0)), skewed(5*time.Second))},
	"knows the place of its run while the API server's clock is 5 s behind":        {given: both(begins, remembers(reservedBy("ar-1-uid", "shop/ar-1-run-1", 0)), skewed(-5*time.Second))},
	"knows the place of a person's run while the API server's clock is 5 s ahead":  {given: both(byHand, remembers(reservedBy("by-hand-uid", "shop/by-hand", 0)), skewed(5*time.Second))},
	"knows the place of a person's run while the API server's clock is 5 s behind": {given: both(byHand, remembers(reservedBy("by-hand-uid", "shop/by-hand", 0)), skewed(-5*time.Second))},
	"holds a remediation made anew while the API server's clock is 5 s behind": {
		given: both(remembers(reservedBy("an-earlier-uid", "shop/ar-1-run-1", time.Second)), skewed(-5*time.Second)), want: []string{"Cooldown Waits"}},
	"holds where the name only begins like one of ours":             {given: remembers(reservedBy("ar-1-uid", "shop/ar-1-run-1x", 0)), want: []string{"Cooldown Waits"}},
	"holds a person's run too":                                      {given: both(byHand, remembers(reserved("shop/ar-0-run-1", 0))), want: []string{"Cooldown Waits"}},
	"lets an undo through":                                          {given: both(remembers(reserved("shop/ar-0-run-1", 0)), func(f *Facts) { f.Undo = true })},
	"holds while the policy with the reservations can't be read":    {given: func(f *Facts) { f.Policies.Err = errDown }, want: []string{"Unreadable Waits"}},
	"says nothing about a reservation that has long been of no use": {given: remembers(reserved("shop/ar-0-run-1", 24*time.Hour))},
}

var changed = map[string]row{
	"lets a run through whose plan is still the same":      {given: begins},
	"refuses a run whose plan is another one now":          {given: func(f *Facts) { begins(f); f.Digest = another }, want: []string{"ChangedMeanwhile Ends"}, says: another},
	"does not compare what could not be planned":           {given: func(f *Facts) { begins(f); f.Digest, f.Unplanned = "", errDown }, want: []string{"Unreadable Waits"}},
	"lets a person's run through that has no plan yet":     {given: byHand},
	"refuses a person's run that was bound to another":     {given: func(f *Facts) { byHand(f); f.Run.Status.PlanDigest = another }, want: []string{"ChangedMeanwhile Ends"}},
	"lets a person's run through that was bound to this":   {given: func(f *Facts) { byHand(f); f.Run.Status.PlanDigest = digest }},
	"refuses when the object is gone":                      {given: func(f *Facts) { f.Objects[0].Value = Object{Ref: web, Gone: true} }, want: []string{"ChangedMeanwhile Ends"}, says: "is gone"},
	"refuses when it is another incarnation":               {given: func(f *Facts) { f.Objects[0].Value.UID = "web-2" }, want: []string{"ChangedMeanwhile Ends"}, says: "made anew"},
	"does not ask for an undo, which tests what it undoes": {given: func(f *Facts) { f.Undo, f.Digest = true, another }},

	"refuses when a person changed the spec since it was diagnosed": {
		given: func(f *Facts) { writtenSince(f, writtenBy("kubectl-edit", "", wholeSpec, noon)) }, want: []string{"ChangedMeanwhile Ends"}, says: "changed by kubectl-edit at 2026-03-01T12:00:00Z"},
	"refuses when nobody can tell what was changed": {
		given: func(f *Facts) { writtenSince(f, writtenBy("odd", "", `[`, noon)) }, want: []string{"ChangedMeanwhile Ends"}},
	"lets through when an autoscaler scaled it":      {given: func(f *Facts) { writtenSince(f, writtenBy("kube-controller-manager", "scale", onlyReplicas, noon)) }},
	"lets through when a person only scaled it":      {given: func(f *Facts) { writtenSince(f, writtenBy("kubectl-edit", "", onlyReplicas, noon)) }},
	"lets through what was written before the alert": {given: func(f *Facts) { writtenSince(f, writtenBy("kubectl-edit", "", wholeSpec, noon.Add(-time.Hour))) }},
	"lets through what we wrote":                     {given: func(f *Facts) { writtenSince(f, writtenBy("kubernaut", "", wholeSpec, noon)) }},
	"lets through where the generation did not move": {given: func(f *Facts) {
		writtenSince(f, writtenBy("kubectl", "", wholeSpec, noon))
		f.Objects[0].Value.Generation = 7
	}},
	"does not compare with what the diagnosis saw of another object": {given: func(f *Facts) {
		writtenSince(f, writtenBy("kubectl-edit", "", wholeSpec, noon))
		f.Remediation.Status.Diagnosis.Target = &v1alpha1.TargetReference{ObjectReference: server, UID: "node-1", Generation: 6}
	}},
	"counts from the creation of the remediation, a time of the same clock, whatever the operator's clock says of its admission": {given: func(f *Facts) {
		admitted(f, noon.Add(5*time.Second))
		writtenSince(f, writtenBy("kubectl", "", wholeSpec, noon.Add(time.Second)))
	}, want: []string{"ChangedMeanwhile Ends"}},
	"lets through what was written before the remediation, while the operator's clock is behind": {given: func(f *Facts) {
		admitted(f, noon.Add(-65*time.Second))
		writtenSince(f, writtenBy("kubectl", "", wholeSpec, noon.Add(-61*time.Second)))
	}},
	"holds while the object can't be read":                {given: func(f *Facts) { f.Objects[0].Err = errDown }, want: []string{"Unreadable Waits"}},
	"lets an object through that nobody wrote but status": {given: func(f *Facts) { writtenSince(f, writtenBy("kubelet", "status", `{"f:status":{}}`, noon)) }},
}

func admitted(f *Facts, at time.Time) {
	f.Remediation.Status.Conditions = []metav1.Condition{{Type: v1alpha1.Admitted, Status: metav1.ConditionTrue, LastTransitionTime: metav1.NewTime(at)}}
}

var others = map[string]row{
	"lets through where nobody else is at work":             {given: onNode},
	"refuses while another remediator is":                   {given: func(f *Facts) { onNode(f); f.Other.Value = "node-healthcheck on Node/node-1" }, want: []string{"OwnedByOther Ends"}, says: "node-healthcheck on Node/node-1"},
	"refuses an undo and a person's run too":                {given: func(f *Facts) { byHand(f); f.Undo, f.Other.Value = true, "somebody on Node/node-1" }, want: []string{"OwnedByOther Ends"}},
	"holds while nobody can tell whether another one works": {given: func(f *Facts) { f.Other.Err = errDown }, want: []string{"Unreadable Waits"}, says: "another remediator"},
}

var leases = map[string]row{
	"lets through when nobody holds the target": {},
	"holds while another run does":              {given: func(f *Facts) { f.Holder.Value = "shop/other" }, want: []string{"TargetBusy Waits"}, says: "Run shop/other holds the target"},
	"holds a person's undo, whichever guard is missing": {given: func(f *Facts) {
		byHand(f)
		f.Undo, f.Run.Spec.Undoes, f.Guards.Value.Fault = true, "ar-1-run-1", "missing"
	}, want: []string{"GuardMissing Waits"}},
	"lets the operator's undo through without the others": {given: func(f *Facts) { undoes(f); f.Guards.Value.Fault = "the binding of guard approval is missing" }},
	"holds the operator's undo while guard status is away": {given: func(f *Facts) {
		undoes(f)
		f.Guards.Value.Fault, f.Guards.Value.StatusFault = "the binding of guard status is missing", "the binding of guard status is missing"
	}, want: []string{"GuardMissing Waits"}, says: "not undone until guard status is back"},
	"holds the operator's undo while nobody can tell whether that guard is there": {given: func(f *Facts) { undoes(f); f.Guards.Err = errDown }, want: []string{"Unreadable Waits"}},
	"holds an undo that only claims to be the operator's": {given: func(f *Facts) {
		undoes(f)
		f.Remediation.Status.RunRef = "ar-1-run-3"
		f.Guards.Value.Fault = "missing"
	}, want: []string{"GuardMissing Waits"}},
	"lets a cancelled run take back what it did": {given: func(f *Facts) {
		byHand(f)
		f.Undo, f.Run.Spec.Cancelled, f.Guards.Value.Fault = true, true, "missing"
	}},
	"holds a person's run too":                       {given: func(f *Facts) { byHand(f); f.Undo, f.Holder.Value = true, "shop/other" }, want: []string{"TargetBusy Waits"}},
	"holds while nobody can tell whether it is held": {given: func(f *Facts) { f.Holder.Err = errDown }, want: []string{"Unreadable Waits"}, says: "whether another run holds the target"},
}

var authority = map[string]row{
	"lets through what the account may do":                {},
	"refuses what the account may not do, naming it":      {given: func(f *Facts) { f.Denied.Value = "the account may not patch deployments.apps" }, want: []string{"Forbidden Ends"}, says: "patch deployments.apps"},
	"refuses an undo and a person's run too":              {given: func(f *Facts) { byHand(f); f.Undo, f.Denied.Value = true, "may not" }, want: []string{"Forbidden Ends"}},
	"holds while nobody can tell what the account may do": {given: func(f *Facts) { f.Denied.Err = errDown }, want: []string{"Unreadable Waits"}, says: "kubernaut-remediator of namespace shop"},
}

var dryRun = map[string]row{
	"lets through what the API server accepts": {},
	"refuses what the API server rejects":      {given: func(f *Facts) { f.Rejected.Value = "patch of Deployment/web was rejected: quota" }, want: []string{"DryRunRejected Ends"}, says: "rejected: quota"},
	"refuses an undo and a person's run too":   {given: func(f *Facts) { byHand(f); f.Undo, f.Rejected.Value = true, "no" }, want: []string{"DryRunRejected Ends"}},
	"holds while the API server does not say":  {given: func(f *Facts) { f.Rejected.Err = errDown }, want: []string{"Unreadable Waits"}, says: "dry run"},
}

var mode = map[string]row{
	"lets a run through in mode Auto":                            {given: begins},
	"refuses a run where the mode only recommends by now":        {given: func(f *Facts) { begins(f); f.Policies.Value[0].Spec.Mode = v1alpha1.ModeRecommend }, want: []string{"ModeRecommends Ends"}, says: "RemediationPolicy shop/auto"},
	"refuses a run where the ceiling was taken away":             {given: func(f *Facts) { begins(f); f.Default.Value = nil }, want: []string{"ModeRecommends Ends"}, says: "Observe"},
	"says nothing while planning: the caller ends with the mode": {given: func(f *Facts) { f.Policies.Value[0].Spec.Mode = v1alpha1.ModeRecommend }},
	"does not ask for an undo":                                   {given: func(f *Facts) { begins(f); f.Undo, f.Default.Value = true, nil }},
	"does not ask for a run that a person made":                  {given: func(f *Facts) { byHand(f); f.Policies.Value[0].Spec.Mode = v1alpha1.ModeObserve }},
	"holds a run while the ceiling can't be read":                {given: func(f *Facts) { begins(f); f.Default.Err = errDown }, want: []string{"Unreadable Waits"}},
}

var approval = map[string]row{
	"holds until a person approved":                         {given: askPerson, want: []string{"AwaitingApproval Waits"}, says: digest},
	"lets through once a person approved exactly this plan": {given: func(f *Facts) { askPerson(f); answered(f, v1alpha1.DecisionApproved, digest) }},
	"holds when another plan was approved":                  {given: func(f *Facts) { askPerson(f); answered(f, v1alpha1.DecisionApproved, another) }, want: []string{"AwaitingApproval Waits"}, says: "ann decided is about plan " + another},
	"holds when another plan was rejected":                  {given: func(f *Facts) { askPerson(f); answered(f, v1alpha1.DecisionRejected, another) }, want: []string{"AwaitingApproval Waits"}},
	"hands a no to whoever asked":                           {given: func(f *Facts) { askPerson(f); answered(f, v1alpha1.DecisionRejected, digest) }, want: []string{"Rejected Waits"}, says: "ann rejected this plan: looks right"},
	"ends a run whose approval became a no":                 {given: func(f *Facts) { begins(f); askPerson(f); answered(f, v1alpha1.DecisionRejected, digest) }, want: []string{"Rejected Ends"}},
	"ends on a no although nobody asked":                    {given: func(f *Facts) { answered(f, v1alpha1.DecisionRejected, digest) }, want: []string{"Rejected Ends"}},
	"asks again when a guard was away since it was shown": {given: func(f *Facts) {
		approved(f)
		f.Guards.Value.Epoch = "second"
	}, want: []string{"AwaitingApproval Waits"}, says: "the guards changed after the plan was shown"},
	"asks again before a run begins, too": {given: func(f *Facts) {
		begins(f)
		approved(f)
		f.Guards.Value.Epoch = "second"
	}, want: []string{"AwaitingApproval Waits"}, says: "approval by ann does not count"},
	"asks again for the approval of what was never shown": {given: func(f *Facts) {
		approved(f)
		f.Remediation.Status.Plan = nil
	}, want: []string{"AwaitingApproval Waits"}},
	"asks again for the approval of what was shown while a guard was away": {given: func(f *Facts) {
		approved(f)
		f.Remediation.Status.Plan.Guards = notInForce
	}, want: []string{"AwaitingApproval Waits"}},
	"does not take an approval that was voided": {given: func(f *Facts) {
		approved(f)
		f.Remediation.Status.Plan.VoidedApproval = fingerprint(f.Remediation.Spec.Approval)
	}, want: []string{"AwaitingApproval Waits"}, says: "Ask for the approval again"},
	"takes another one of the same person after that": {given: func(f *Facts) {
		approved(f)
		f.Remediation.Status.Plan.VoidedApproval = fingerprint(f.Remediation.Spec.Approval)
		f.Remediation.Spec.Approval.At = metav1.NewTime(noon)
	}},
	"holds an approval until the guards have been unchanged for long enough": {given: func(f *Facts) {
		approved(f)
		f.Guards.Value.Settled = false
	}, want: []string{"GuardMissing Waits"}, says: "unchanged for 30s"},
	"does not count what was given before they had": {given: func(f *Facts) {
		approved(f)
		f.Guards.Value = Guards{Epoch: "second", Replaced: true}
	}, want: []string{"GuardMissing Waits"}, says: "does not count"},
	"tells people to wait with their answer until then": {given: func(f *Facts) {
		askPerson(f)
		f.Guards.Value = Guards{Epoch: "second", Replaced: true}
	}, want: []string{"GuardMissing Waits"}, says: "an approval that is given before that is asked for again"},
	"does not count an approval that might be forged": {given: func(f *Facts) {
		approved(f)
		f.Unenforced.Value = "a forgery was accepted"
	}, want: []string{"GuardMissing Waits"}, says: "a forgery was accepted"},
	"holds an approval while that can't be tried": {given: func(f *Facts) {
		approved(f)
		f.Unenforced.Err = errDown
	}, want: []string{"Unreadable Waits"}, says: "forged approval"},
	"holds rather than ends while the guard is away": {given: func(f *Facts) {
		askPerson(f)
		answered(f, v1alpha1.DecisionApproved, digest)
		f.Guards.Value = Guards{Fault: "the binding of guard approval is missing"}
	}, want: []string{"GuardMissing Waits"}},
	"takes a no from anybody": {given: func(f *Facts) {
		askPerson(f)
		answered(f, v1alpha1.DecisionRejected, digest)
		f.Guards.Value.Epoch = "second"
	}, want: []string{"Rejected Waits"}},
	"holds a run whose approval was taken back":             {given: func(f *Facts) { begins(f); askPerson(f) }, want: []string{"AwaitingApproval Waits"}},
	"holds for a word that is none":                         {given: func(f *Facts) { askPerson(f); answered(f, "Maybe", digest) }, want: []string{"AwaitingApproval Waits"}},
	"lets a diff of 16 KiB be approved":                     {given: func(f *Facts) { askPerson(f); answered(f, v1alpha1.DecisionApproved, digest); f.DiffBytes = 16 << 10 }},
	"ends on a longer one, approved or not":                 {given: func(f *Facts) { askPerson(f); answered(f, v1alpha1.DecisionApproved, digest); f.DiffBytes = 16<<10 + 1 }, want: []string{"DiffTooLong Ends"}, says: "by hand"},
	"does not mind a longer one in mode Auto":               {given: func(f *Facts) { f.DiffBytes = 1 << 20 }},
	"does not ask for an undo":                              {given: func(f *Facts) { askPerson(f); f.Undo = true }},
	"does not ask for a run that a person made":             {given: func(f *Facts) { askPerson(f); byHand(f) }},
	"does not ask a person before the policies can be read": {given: func(f *Facts) { askPerson(f); f.Policies.Err = errDown }, want: []string{"Unreadable Waits"}},
}

var guards = map[string]row{
	"ends a person's run that was first seen under other guards": {given: func(f *Facts) {
		byHand(f)
		f.Run.Status.Guards, f.Guards.Value.Epoch = "first", "second"
	}, want: []string{"GuardMissing Ends"}, says: "make it again"},
	"ends one that was first seen while a guard was away": {given: func(f *Facts) { byHand(f); f.Run.Status.Guards = notInForce }, want: []string{"GuardMissing Ends"}},
	"ends one that is first seen right after the guards were replaced": {given: func(f *Facts) {
		byHand(f)
		f.Guards.Value.Settled, f.Guards.Value.Replaced = false, true
	}, want: []string{"GuardMissing Ends"}},
	"lets one through that a new leader sees first": {given: func(f *Facts) { byHand(f); f.Guards.Value.Settled = false }},
	"ends a person's undo, too": {given: func(f *Facts) {
		byHand(f)
		f.Undo, f.Run.Spec.Undoes, f.Run.Status.Guards = true, "ar-1-run-1", notInForce
	}, want: []string{"GuardMissing Ends"}},
	"lets the operator's undo through after guards were replaced": {given: func(f *Facts) {
		undoes(f)
		f.Guards.Value = Guards{Epoch: "second", Replaced: true}
	}},
	"lets through while all are in force": {},
	"holds while one is missing":          {given: func(f *Facts) { f.Guards.Value.Fault = "the binding of guard approval is missing" }, want: []string{"GuardMissing Waits"}, says: "guard approval is missing"},
	"holds a person's undo, whichever guard is missing": {given: func(f *Facts) {
		byHand(f)
		f.Undo, f.Run.Spec.Undoes, f.Guards.Value.Fault = true, "ar-1-run-1", "missing"
	}, want: []string{"GuardMissing Waits"}},
	"lets the operator's undo through without the others": {given: func(f *Facts) { undoes(f); f.Guards.Value.Fault = "the binding of guard approval is missing" }},
	"holds the operator's undo while guard status is away": {given: func(f *Facts) {
		undoes(f)
		f.Guards.Value.Fault, f.Guards.Value.StatusFault = "the binding of guard status is missing", "the binding of guard status is missing"
	}, want: []string{"GuardMissing Waits"}, says: "not undone until guard status is back"},
	"holds the operator's undo while nobody can tell whether that guard is there": {given: func(f *Facts) { undoes(f); f.Guards.Err = errDown }, want: []string{"Unreadable Waits"}},
	"holds an undo that only claims to be the operator's": {given: func(f *Facts) {
		undoes(f)
		f.Remediation.Status.RunRef = "ar-1-run-3"
		f.Guards.Value.Fault = "missing"
	}, want: []string{"GuardMissing Waits"}},
	"lets a cancelled run take back what it did": {given: func(f *Facts) {
		byHand(f)
		f.Undo, f.Run.Spec.Cancelled, f.Guards.Value.Fault = true, true, "missing"
	}},
	"holds a person's run too":                           {given: func(f *Facts) { byHand(f); f.Guards.Value.Fault = "missing" }, want: []string{"GuardMissing Waits"}},
	"holds while nobody can tell whether they are there": {given: func(f *Facts) { f.Guards.Err = errDown }, want: []string{"Unreadable Waits"}, says: "guards"},
}

var origin = map[string]row{
	"holds an alert while guards that were replaced have not settled": {given: func(f *Facts) {
		f.Guards.Value = Guards{Epoch: "second", Replaced: true}
	}, want: []string{"GuardMissing Waits"}, says: "replaced less than 30s ago"},
	"holds one that is seen for the first time then": {given: func(f *Facts) {
		f.Remediation.Status.Plan, f.Guards.Value = nil, Guards{Epoch: "second", Replaced: true}
	}, want: []string{"GuardMissing Waits"}},
	"lets one through that Alertmanager confirms": {given: func(f *Facts) {
		f.AsksAlertmanager, f.Guards.Value.Epoch = true, "second"
	}},
	"does not take the webhook's last word for that": {given: func(f *Facts) { f.Guards.Value.Epoch = "second" },
		want: []string{"GuardMissing Waits"}, says: "kubectl -n shop delete ar ar-1"},
	"confirms nothing that the operator is said to have seen": {given: func(f *Facts) {
		f.AsksAlertmanager, f.Guards.Value.Epoch, f.Remediation.Spec.Alert.Source = true, "second", v1alpha1.SourceWatch
	}, want: []string{"GuardMissing Waits"}},
	"holds a run as well":                  {given: func(f *Facts) { begins(f); f.Guards.Value.Epoch = "second" }, want: []string{"GuardMissing Waits"}},
	"leaves it to the person who approves": {given: func(f *Facts) { askPerson(f); f.Guards.Value.Epoch = "second" }, want: []string{"AwaitingApproval Waits"}},
	"does not mind what a person wrote": {given: func(f *Facts) {
		f.Guards.Value.Epoch, f.Remediation.Spec.Alert.Source = "second", v1alpha1.SourceManual
	}},
	"lets a new leader go on that has seen no change":        {given: func(f *Facts) { f.Remediation.Status.Plan, f.Guards.Value.Settled = nil, false }},
	"does not let it go on where an earlier one has seen it": {given: func(f *Facts) { f.Remediation.Status.Guards = notInForce }, want: []string{"GuardMissing Waits"}},
	"lets through what was seen first after the new guards had settled": {given: func(f *Facts) {
		f.Remediation.Status.Plan, f.Remediation.Status.Guards = nil, "second"
		f.Guards.Value = Guards{Epoch: "second", Settled: true, Replaced: true}
	}},
	"holds what was seen before and is planned after that": {given: func(f *Facts) {
		f.Remediation.Status.Plan, f.Remediation.Status.Guards = nil, notInForce
		f.Guards.Value = Guards{Epoch: "second", Settled: true, Replaced: true}
	}, want: []string{"GuardMissing Waits"}, says: "no Alertmanager can confirm it"},
	"holds it also once the plan is shown under the new ones": {given: func(f *Facts) { f.Remediation.Status.Guards = notInForce }, want: []string{"GuardMissing Waits"}},
}

var definitions = map[string]row{
	"holds a plan while one is older than the program": {given: func(f *Facts) { f.Outdated.Value = "WorkflowRun lacks the field status.guards" },
		want: []string{"CRDOutdated Waits"}, says: "lacks the field status.guards"},
	"holds a person's run":                   {given: func(f *Facts) { byHand(f); f.Outdated.Value = "old" }, want: []string{"CRDOutdated Waits"}},
	"holds an undo, which would lose claims": {given: func(f *Facts) { undoes(f); f.Outdated.Value = "old" }, want: []string{"CRDOutdated Waits"}},
	"holds while they can't be read":         {given: func(f *Facts) { f.Outdated.Err = errDown }, want: []string{"Unreadable Waits"}, says: "CustomResourceDefinitions"},
}
