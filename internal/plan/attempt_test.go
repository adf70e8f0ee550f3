package plan_test

import (
	"strings"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/internal/plan"
	"github.com/kubernaut/kubernaut/pkg/action"
)

var web = build.DeploymentTarget("shop", "web", "u1")

// ended is a remediation of memory that ended, and its run.
func ended(name string, outcome v1alpha1.Outcome, verified, executed string) (v1alpha1.AlertRemediation, v1alpha1.WorkflowRun) {
	ar := build.Remediation("shop", name).
		Diagnosed(v1alpha1.Diagnosis{Cause: v1alpha1.CauseOOMKilled}).
		Planned(v1alpha1.PlanStatus{Digest: build.Digest, Steps: []v1alpha1.PlanStep{{
			Name: "remedy", Action: "AdjustResources", Parameters: map[string]string{"container": "web"}, Target: web, Change: "abc",
			Diff: "patch Deployment/web in shop\n- spec.template.spec.containers[web].resources.limits.memory: 128Mi\n+ spec.template.spec.containers[web].resources.limits.memory: 256Mi\n",
		}}}).
		Condition(v1alpha1.Executed, metav1.ConditionTrue, executed).
		Condition(v1alpha1.Verified, metav1.ConditionFalse, verified).
		Condition(v1alpha1.Succeeded, metav1.ConditionFalse, string(outcome)).
		With(func(ar *v1alpha1.AlertRemediation) {
			ar.UID, ar.Status.Outcome, ar.Status.RunRef = "a1", outcome, name+"-run-2"
		}).Obj()
	run := build.Run("shop", name+"-run-1", web).Digest(build.Digest).OwnedBy(ar).Obj()
	run.Status.StartedAt = metav1.NewMicroTime(build.Started)
	return *ar, *run
}

func state(run *v1alpha1.WorkflowRun, of v1alpha1.OperationState) {
	run.Status.Steps = []v1alpha1.StepStatus{{Operations: []v1alpha1.OperationStatus{{State: of}}}}
}

func TestWhichEndsShowThatAChangeDidNotHelp(t *testing.T) {
	const done, unhealthy = v1alpha1.ReasonCompleted, v1alpha1.ReasonUnhealthy
	rows := map[string]struct {
		outcome            v1alpha1.Outcome
		verified, executed string
		state              v1alpha1.OperationState
		change             func(*v1alpha1.AlertRemediation)
		want               string
	}{
		"taken back":                                 {outcome: v1alpha1.OutcomeRolledBack, verified: unhealthy, want: "did not help and was taken back"},
		"could not be taken back":                    {outcome: v1alpha1.OutcomeFailed, verified: unhealthy, want: "could not be taken back"},
		"could not be, and a person did it by hand":  {outcome: v1alpha1.OutcomeFailed, verified: unhealthy, state: v1alpha1.OperationUndone, want: "did not help and was taken back"},
		"nothing takes it back, unhealthy":           {outcome: v1alpha1.OutcomeEscalated, verified: v1alpha1.ReasonCannotUndo, want: "can't be taken back"},
		"cancelled by a person and taken back":       {outcome: v1alpha1.OutcomeRolledBack, executed: v1alpha1.ReasonCancelled, want: "taken back by a person"},
		"cancelled by a person, partly in place":     {outcome: v1alpha1.OutcomeEscalated, executed: v1alpha1.ReasonCancelled, state: v1alpha1.OperationApplied, want: "taken back by a person"},
		"helped, and a person took it back":          {outcome: v1alpha1.OutcomeRemediated, state: v1alpha1.OperationUndone, want: "taken back by a person"},
		"helped":                                     {outcome: v1alpha1.OutcomeRemediated, state: v1alpha1.OperationApplied},
		"cancelled before anything was done":         {outcome: v1alpha1.OutcomeEscalated, executed: v1alpha1.ReasonCancelled},
		"healthy, the alert fires on":                {outcome: v1alpha1.OutcomeEscalated, verified: v1alpha1.ReasonDeadlineExceeded},
		"edited meanwhile":                           {outcome: v1alpha1.OutcomeEscalated, verified: v1alpha1.ReasonDrifted},
		"not known how it is":                        {outcome: v1alpha1.OutcomeEscalated, verified: v1alpha1.ReasonUnreadable},
		"refused by a gate":                          {outcome: v1alpha1.OutcomeRefused},
		"a fault that was contained is over":         {outcome: v1alpha1.OutcomeResolvedItself, state: v1alpha1.OperationUndone},
		"recommended only: no run":                   {outcome: v1alpha1.OutcomeRecommended, change: func(ar *v1alpha1.AlertRemediation) { ar.Status.RunRef = "" }},
		"still at work":                              {outcome: v1alpha1.OutcomeRolledBack, change: func(ar *v1alpha1.AlertRemediation) { ar.Status.Conditions = nil }},
		"another cause":                              {outcome: v1alpha1.OutcomeRolledBack, change: func(ar *v1alpha1.AlertRemediation) { ar.Status.Diagnosis.Cause = v1alpha1.CauseCrashBadRelease }},
		"no plan, as of a damaged status":            {outcome: v1alpha1.OutcomeRolledBack, change: func(ar *v1alpha1.AlertRemediation) { ar.Status.Plan = nil }},
		"no diagnosis, as of a damaged status":       {outcome: v1alpha1.OutcomeRolledBack, change: func(ar *v1alpha1.AlertRemediation) { ar.Status.Diagnosis = nil }},
		"a status that says nothing of verification": {outcome: v1alpha1.OutcomeEscalated, change: func(ar *v1alpha1.AlertRemediation) { ar.Status.Conditions = ar.Status.Conditions[4:] }},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			executed := row.executed
			if executed == "" {
				executed = done
			}
			ar, run := ended("ar-1", row.outcome, row.verified, executed)
			if row.state != "" {
				state(&run, row.state)
			}
			if row.change != nil {
				row.change(&ar)
			}
			got := plan.FailedAttempts(v1alpha1.CauseOOMKilled, []v1alpha1.AlertRemediation{ar}, []v1alpha1.WorkflowRun{run})
			if (len(got) > 0) != (row.want != "") {
				t.Fatalf("failed attempts %+v, want some: %t", got, row.want != "")
			}
			if row.want != "" && !strings.Contains(got[0].End.String(), row.want) {
				t.Errorf("ended: %s, want %s", got[0].End, row.want)
			}
		})
	}
}

func TestWhatWasTriedIsToldWithRunAndTime(t *testing.T) {
	ar, run := ended("ar-1", v1alpha1.OutcomeRolledBack, v1alpha1.ReasonUnhealthy, v1alpha1.ReasonCompleted)
	ar.Status.PhaseTimes = []v1alpha1.PhaseTime{{Phase: v1alpha1.PhaseExecuting, At: metav1.NewMicroTime(build.Started.Add(time.Minute))}}
	all := []v1alpha1.AlertRemediation{ar}
	const limit = "AdjustResources of Deployment/web (containers[web].resources.limits.memory: 256Mi) was tried by "
	told := plan.Told(plan.FailedAttempts(v1alpha1.CauseOOMKilled, all, []v1alpha1.WorkflowRun{run}))
	if want := limit + "WorkflowRun ar-1-run-1 at 2026-03-01T03:00:00Z: it did not help and was taken back"; told != want {
		t.Errorf("got:  %s\nwant: %s", told, want)
	}
	told = plan.Told(plan.FailedAttempts(v1alpha1.CauseOOMKilled, all, nil))
	if want := limit + "AlertRemediation ar-1 at 2026-03-01T03:01:00Z: it did not help and was taken back"; told != want {
		t.Errorf("the run was deleted: got:  %s\nwant: %s", told, want)
	}
}

func TestDecide(t *testing.T) {
	tried := func(change string, end plan.End) plan.Attempt {
		return plan.Attempt{End: end, Step: v1alpha1.PlanStep{Change: change, Action: "AdjustResources", Target: web, Parameters: map[string]string{"container": "web"}}}
	}
	elsewhere := tried("", plan.TakenBack)
	elsewhere.Step.Target.UID = "u0"
	sidecar := tried("", plan.TakenBack)
	sidecar.Step.Parameters = map[string]string{"container": "log"}
	rows := map[string]struct {
		failed []plan.Attempt
		same   int
		larger bool
	}{
		"nothing was tried":                                 {larger: true},
		"another change was tried":                          {failed: []plan.Attempt{tried("other", plan.TakenBack)}, larger: true},
		"the same change was taken back":                    {failed: []plan.Attempt{tried("other", plan.TakenBack), tried("abc", plan.TakenBack)}, same: 1, larger: true},
		"the same change twice":                             {failed: []plan.Attempt{tried("abc", plan.Stuck), tried("abc", plan.Left)}, same: 2, larger: true},
		"a person took the same change back":                {failed: []plan.Attempt{tried("abc", plan.TakenBack), tried("abc", plan.Withdrawn)}, same: 2},
		"a person took another change back":                 {failed: []plan.Attempt{tried("other", plan.Withdrawn)}, larger: true},
		"a plan without a fingerprint asked for the same":   {failed: []plan.Attempt{tried("", plan.TakenBack)}, same: 1, larger: true},
		"one without a fingerprint, of another incarnation": {failed: []plan.Attempt{elsewhere}, larger: true},
		"one without a fingerprint, of another container":   {failed: []plan.Attempt{sidecar}, larger: true},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			step := plan.Step{Spec: action.Spec{Name: "AdjustResources"}, Params: action.Params{"container": "web"}, Target: web, Change: "abc"}
			got := plan.Decide(step, row.failed)
			if len(got.Same) != row.same || got.Larger != row.larger {
				t.Errorf("got %d the same, larger %t; want %d, %t", len(got.Same), got.Larger, row.same, row.larger)
			}
		})
	}
}

func TestAPlanWithoutAFingerprintIsComparedByWhatItsRunDid(t *testing.T) {
	ar, run := ended("ar-1", v1alpha1.OutcomeRolledBack, v1alpha1.ReasonUnhealthy, v1alpha1.ReasonCompleted)
	ar.Status.Plan.Steps[0].Change = ""
	run.Status.Steps = []v1alpha1.StepStatus{{Name: "remedy", Operations: []v1alpha1.OperationStatus{{Operation: memory("256Mi")[0].Operation}}}}
	failed := plan.FailedAttempts(v1alpha1.CauseOOMKilled, []v1alpha1.AlertRemediation{ar}, []v1alpha1.WorkflowRun{run})
	unreadable := memory("256Mi")
	unreadable[0].Body.Raw = []byte(`"?"`)
	rows := map[string]struct {
		ops  []action.Operation
		same bool
	}{
		"the same limit, asked for as a figure": {ops: memory("256Mi"), same: true},
		"another limit":                         {ops: memory("512Mi")},
		"a patch that can't be read":            {ops: unreadable, same: true},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			step := plan.Step{Spec: action.Spec{Name: "AdjustResources"}, Params: action.Params{"container": "web", "limit": "?"}, Target: web, Plan: action.Plan{Operations: row.ops}, Change: "abc"}
			if got := plan.Decide(step, failed); (len(got.Same) > 0) != row.same {
				t.Errorf("the same: %t, want %t", len(got.Same) > 0, row.same)
			}
		})
	}
}

func operation(verb v1alpha1.Verb, kind, body string) action.Operation {
	op := action.Operation{Operation: v1alpha1.Operation{Verb: verb, Object: web.ObjectReference}}
	op.Object.Kind = kind
	if kind == "Pod" {
		op.Object.APIVersion = "v1"
	}
	if body != "" {
		op.Body = &apiextensionsv1.JSON{Raw: []byte(body)}
	}
	return op
}

// fingerprinted is a change with what decides whether it is the same.
type fingerprinted struct {
	target v1alpha1.TargetReference
	spec   map[string]any
	action string
	params action.Params
	ops    []action.Operation
}

func spec(image string, annotations map[string]any, replicas int64) map[string]any {
	return map[string]any{"replicas": replicas, "template": map[string]any{
		"metadata": map[string]any{"labels": map[string]any{"app": "web"}, "annotations": annotations},
		"spec":     map[string]any{"containers": []any{map[string]any{"name": "web", "image": image}}},
	}}
}

func (f fingerprinted) of(t *testing.T) string {
	t.Helper()
	step := plan.Step{Spec: action.Spec{Name: f.action}, Params: f.params, Target: f.target, Plan: action.Plan{Operations: f.ops}}
	got, err := plan.Fingerprint(f.target, f.spec, step)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func memory(limit string) []action.Operation {
	return []action.Operation{operation(v1alpha1.VerbPatch, "Deployment", `[{"op":"replace","path":"/spec/template/spec/containers/0/resources/limits/memory","value":"`+limit+`"}]`)}
}

func raised(change func(*fingerprinted)) fingerprinted {
	f := fingerprinted{target: web, spec: spec("web:1", nil, 3), action: "AdjustResources", params: action.Params{"container": "web"}, ops: memory("256Mi")}
	if change != nil {
		change(&f)
	}
	return f
}

func TestFingerprintOfAChange(t *testing.T) {
	first := raised(nil).of(t)
	pod := operation(v1alpha1.VerbDelete, "Pod", "")
	same := map[string]fingerprinted{
		"by other parameters": raised(func(f *fingerprinted) { f.params = action.Params{"container": "web", "limit": "256Mi"} }),
		"by another action":   raised(func(f *fingerprinted) { f.action = "RolloutUndo" }),
		"of other replicas":   raised(func(f *fingerprinted) { f.spec = spec("web:1", nil, 30) }),
		"after kubectl rollout restart": raised(func(f *fingerprinted) {
			f.spec = spec("web:1", map[string]any{"kubectl.kubernetes.io/restartedAt": "now"}, 3)
		}),
		"after a restart of our own":        raised(func(f *fingerprinted) { f.spec = spec("web:1", map[string]any{v1alpha1.RestartAnnotation: "a/1/b"}, 3) }),
		"with pods that are removed for it": raised(func(f *fingerprinted) { f.ops = append(f.ops, pod) }),
		"tested for what was before": raised(func(f *fingerprinted) {
			f.ops = []action.Operation{operation(v1alpha1.VerbPatch, "Deployment", `[{"op":"test","path":"/spec/a","value":1},{"op":"add","path":"/spec/template/spec/containers/0/resources/limits/memory","value":"256Mi"}]`)}
		}),
		"that drops a restart's annotation": raised(func(f *fingerprinted) {
			f.ops = []action.Operation{operation(v1alpha1.VerbPatch, "Deployment", `[{"op":"replace","path":"/spec/template/spec/containers/0/resources/limits/memory","value":"256Mi"},{"op":"remove","path":"/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt"}]`)}
		}),
	}
	for name, f := range same {
		t.Run("is the same "+name, func(t *testing.T) {
			if f.of(t) != first {
				t.Error("it is another one")
			}
		})
	}
	others := map[string]fingerprinted{
		"to another value": raised(func(f *fingerprinted) { f.ops = memory("512Mi") }),
		"of another container": raised(func(f *fingerprinted) {
			f.ops[0].Body.Raw = []byte(strings.Replace(string(f.ops[0].Body.Raw), "containers/0", "containers/1", 1))
		}),
		"after a release":        raised(func(f *fingerprinted) { f.spec = spec("web:2", nil, 3) }),
		"after a new annotation": raised(func(f *fingerprinted) { f.spec = spec("web:1", map[string]any{"config": "2"}, 3) }),
		"of another incarnation": raised(func(f *fingerprinted) { f.target.UID = "u2" }),
		"of another object":      raised(func(f *fingerprinted) { f.ops[0].Object.Name = "api" }),
		"of a subresource":       raised(func(f *fingerprinted) { f.ops[0].Subresource = "scale" }),
		"that removes the field": raised(func(f *fingerprinted) {
			f.ops[0].Body.Raw = []byte(`[{"op":"remove","path":"/spec/template/spec/containers/0/resources/limits/memory"}]`)
		}),
		"that changes more": raised(func(f *fingerprinted) {
			f.ops = append(f.ops, operation(v1alpha1.VerbPatch, "Service", `[{"op":"remove","path":"/spec/x"}]`))
		}),
		"that restarts the pods":  raised(func(f *fingerprinted) { f.action, f.params, f.ops = "RolloutRestart", nil, restart("ar-1/1/remedy") }),
		"that removes pods alone": raised(func(f *fingerprinted) { f.action, f.params, f.ops = "RestartPod", nil, []action.Operation{pod} }),
	}
	seen := map[string]string{first: "as it was tried"}
	for name, f := range others {
		got := f.of(t)
		if before, taken := seen[got]; taken {
			t.Errorf("a change %s is the same as one %s", name, before)
		}
		seen[got] = name
	}
}

func restart(stamp string) []action.Operation {
	return []action.Operation{operation(v1alpha1.VerbPatch, "Deployment", `[{"op":"add","path":"/spec/template/metadata/annotations","value":{"`+v1alpha1.RestartAnnotation+`":"`+stamp+`"}}]`)}
}

func TestFingerprintOfRestartsAndNodes(t *testing.T) {
	node := v1alpha1.TargetReference{ObjectReference: v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: "n1"}, UID: "n"}
	untaint := func(key, body string) fingerprinted {
		return fingerprinted{target: node, action: "UntaintNode", params: action.Params{"key": key}, ops: []action.Operation{operation(v1alpha1.VerbPatch, "Node", body)}}
	}
	rows := map[string]struct {
		a, b fingerprinted
		same bool
	}{
		"two restarts of one template": {
			a: fingerprinted{target: web, spec: spec("web:1", nil, 1), action: "RolloutRestart", ops: restart("ar-1/1/remedy")},
			b: fingerprinted{target: web, spec: spec("web:1", map[string]any{v1alpha1.RestartAnnotation: "ar-1/1/remedy"}, 1), action: "RolloutRestart",
				ops: []action.Operation{operation(v1alpha1.VerbPatch, "Deployment", `[{"op":"replace","path":"/spec/template/metadata/annotations/kubernaut.io~1restarted-by","value":"ar-2/1/remedy"}]`)}},
			same: true,
		},
		"two restarts of two templates": {
			a: fingerprinted{target: web, spec: spec("web:1", nil, 1), action: "RolloutRestart", ops: restart("ar-1/1/remedy")},
			b: fingerprinted{target: web, spec: spec("web:2", nil, 1), action: "RolloutRestart", ops: restart("ar-2/1/remedy")},
		},
		"one taint, beside another that came meanwhile": {
			a:    untaint("team", `[{"op":"remove","path":"/spec/taints"}]`),
			b:    untaint("team", `[{"op":"replace","path":"/spec/taints","value":[{"key":"node.kubernetes.io/unreachable"}]}]`),
			same: true,
		},
		"two taints": {
			a: untaint("team", `[{"op":"remove","path":"/spec/taints"}]`),
			b: untaint("pool", `[{"op":"remove","path":"/spec/taints"}]`),
		},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if same := row.a.of(t) == row.b.of(t); same != row.same {
				t.Errorf("the same: %t, want %t", same, row.same)
			}
		})
	}
}

func TestFingerprintRefusesWhatItCannotRead(t *testing.T) {
	step := plan.Step{Spec: action.Spec{Name: "Act"}, Target: web, Plan: action.Plan{Operations: []action.Operation{operation(v1alpha1.VerbPatch, "Deployment", `{"no":"patch"}`)}}}
	if got, err := plan.Fingerprint(web, nil, step); err == nil {
		t.Errorf("fingerprint %s of a patch that is none", got)
	}
}

func TestFingerprintLeavesTheSpecAsItIs(t *testing.T) {
	given := spec("web:1", map[string]any{v1alpha1.RestartAnnotation: "a", "config": "1"}, 3)
	raised(func(f *fingerprinted) { f.spec = given }).of(t)
	annotations := given["template"].(map[string]any)["metadata"].(map[string]any)["annotations"].(map[string]any)
	if given["replicas"] != int64(3) || annotations[v1alpha1.RestartAnnotation] != "a" {
		t.Errorf("the spec was changed to %v", given)
	}
}

func TestSubject(t *testing.T) {
	pod := v1alpha1.TargetReference{ObjectReference: v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: "shop", Name: "web-1"}, UID: "p1"}
	ar := build.Remediation("shop", "a").Admitted(web).Obj()
	if got := plan.Subject(ar, pod); got != web {
		t.Errorf("of a pod: %v, want its workload", got)
	}
	service := v1alpha1.TargetReference{ObjectReference: v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Service", Namespace: "shop", Name: "web"}, UID: "s1"}
	if got := plan.Subject(ar, service); got != service {
		t.Errorf("of a Service: %v, want itself", got)
	}
	if got := plan.Subject(build.Remediation("shop", "a").Obj(), pod); got != pod {
		t.Errorf("of a pod without an owner: %v, want itself", got)
	}
}
