package policy

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

func TestJudgeSaysEverythingAndTheFirstGateDecides(t *testing.T) {
	facts := sound()
	begins(&facts)
	askPerson(&facts)
	facts.Cluster, facts.Remediation.Spec.Alert.Cluster = "eu-1", "us-2"
	facts.EmergencyStop.Value, facts.AlertState.Value, facts.Digest = true, v1alpha1.AlertResolved, another
	annotate(&facts.Objects[0])
	labelled(&facts.Objects[0], "true")
	spends(reserved("shop/other", 0))(&facts)
	beside(&facts, "billing", nil)
	facts.Steps[0].Action.Kinds = []schema.GroupKind{{Kind: "Service"}}
	facts.Holder.Value, facts.Denied.Value, facts.Rejected.Value, facts.Guards.Value.Fault = "shop/other", "may not", "no", "gone"
	judged := Judge(facts)
	want := []string{
		"ForeignCluster", "EmergencyStop", "Paused", "AlertResolved", "Protected", "OutOfScope", "NotApplicable", "BudgetSpent", "Cooldown",
		"ChangedMeanwhile", "TargetBusy", "Forbidden", "DryRunRejected", "AwaitingApproval", "GuardMissing",
	}
	var got []string
	for _, r := range judged.Shown() {
		got = append(got, r.Reason)
	}
	if !slices.Equal(got, want) {
		t.Errorf("shown are %q, want %q", got, want)
	}
	if first, ok := judged.Decisive(); !ok || first.Reason != v1alpha1.ReasonForeignCluster {
		t.Errorf("%+v decides", first)
	}
	if _, ok := Judge(sound()).Decisive(); ok {
		t.Error("something decides against what nothing is against")
	}
}

func TestGatesAreInTheirOrder(t *testing.T) {
	if !slices.IsSortedFunc(gates, func(a, b gate) int { return a.number - b.number }) {
		t.Error("the gates are not in the order of their numbers")
	}
	for _, g := range gates {
		undo := g.number != 0 && g.number != 3 && g.number != 12 && g.number != 13 && g.number != 18
		byHand := g.number != 0 && g.number != 3 && g.number != 18
		if g.name == "origin" { // of an alert
			undo, byHand = false, false
		}
		if g.undo != undo || g.byHand != byHand {
			t.Errorf("gate %d, %s: an undo passes it is %v, a person's run is %v; want %v and %v", g.number, g.name, g.undo, g.byHand, undo, byHand)
		}
	}
}

func TestOneBrokenSourceIsNamedOnce(t *testing.T) {
	facts := sound()
	facts.Policies.Err = errDown
	if got := reasons(Judge(facts).Refusals); !slices.Equal(got, []string{"Unreadable Waits"}) {
		t.Errorf("refused %q", got)
	}
}

func TestUnderWhichGuardsAPlanIsShown(t *testing.T) {
	second := func(f *Facts) { f.Guards.Value.Epoch = "second" }
	rows := map[string]struct {
		given func(*Facts)
		want  string
		voids bool // the approval that is there
	}{
		"the same as before":             {given: approved, want: "first"},
		"others, once they have settled": {given: second, want: "second"},
		"others, and an approval that was given under the first is void": {given: func(f *Facts) { approved(f); second(f) }, want: "second", voids: true},
		"at first": {given: func(f *Facts) { second(f); f.Remediation.Status.Plan.Guards = "" }, want: "second"},
		"at first, with an approval that was there before": {given: func(f *Facts) { approved(f); f.Remediation.Status.Plan.Guards = "" }, want: "first", voids: true},
		"not yet those that have not settled":              {given: func(f *Facts) { f.Guards.Value = Guards{Epoch: "second", Replaced: true} }, want: "first"},
		"not yet those that a new leader has just seen":    {given: func(f *Facts) { f.Remediation.Status.Plan.Guards, f.Guards.Value.Settled = "", false }, want: ""},
		"at first none, where they were replaced": {given: func(f *Facts) {
			f.Remediation.Status.Plan.Guards, f.Guards.Value = "", Guards{Epoch: "second", Replaced: true}
		}, want: notInForce},
		"at first none, where one is away":         {given: func(f *Facts) { f.Remediation.Status.Plan.Guards, f.Guards.Value = "", Guards{Fault: "missing"} }, want: notInForce},
		"one is away now":                          {given: func(f *Facts) { f.Guards.Value = Guards{Fault: "missing"} }, want: "first"},
		"whether one is away is not known":         {given: func(f *Facts) { f.Guards = Fact[Guards]{Err: errDown} }, want: "first"},
		"one let a forgery through":                {given: func(f *Facts) { approved(f); f.Unenforced.Value = "accepted" }, want: notInForce, voids: true},
		"an alert that nothing confirms":           {given: func(f *Facts) { second(f); f.Policies.Value[0].Spec.Mode = v1alpha1.ModeAuto }, want: "first"},
		"a person's run, first seen":               {given: func(f *Facts) { byHand(f) }, want: "first"},
		"a person's run, seen under others before": {given: func(f *Facts) { byHand(f); second(f); f.Run.Status.Guards = "first" }, want: "first"},
		"a person's run, while one is away":        {given: func(f *Facts) { byHand(f); f.Guards.Value = Guards{Fault: "missing"} }, want: notInForce},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			f := sound()
			askPerson(&f)
			row.given(&f)
			got := Judge(f)
			if got.Guards != row.want {
				t.Errorf("got %q, want %q", got.Guards, row.want)
			}
			if voids := got.VoidedApproval != ""; voids != row.voids || voids && got.VoidedApproval != fingerprint(f.Remediation.Spec.Approval) {
				t.Errorf("voided is %q", got.VoidedApproval)
			}
		})
	}
}

func TestOnlyAnApprovalThatIsAboutToCountIsTried(t *testing.T) {
	rows := map[string]struct {
		given func(*Facts)
		want  bool
	}{
		"an approval of this plan":   {approved, true},
		"before its run begins":      {func(f *Facts) { begins(f); approved(f) }, true},
		"no approval":                {askPerson, false},
		"a no":                       {func(f *Facts) { askPerson(f); answered(f, v1alpha1.DecisionRejected, digest) }, false},
		"of another plan":            {func(f *Facts) { askPerson(f); answered(f, v1alpha1.DecisionApproved, another) }, false},
		"where nobody is asked":      {func(f *Facts) { answered(f, v1alpha1.DecisionApproved, digest) }, false},
		"under guards that are new":  {func(f *Facts) { approved(f); f.Guards.Value.Epoch = "second" }, false},
		"while one is missing":       {func(f *Facts) { approved(f); f.Guards.Value.Fault = "missing" }, false},
		"while they are not settled": {func(f *Facts) { approved(f); f.Guards.Value.Settled = false }, false},
		"an undo":                    {func(f *Facts) { approved(f); undoes(f) }, false},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			f := sound()
			row.given(&f)
			if got := Counting(f); got != row.want {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}

func TestMessagesStayWithinTheirBounds(t *testing.T) {
	facts := sound()
	facts.EmergencyStop.Err = errLong{}
	for range 30 {
		facts.Policies.Value[0].Spec.PauseRequests = append(facts.Policies.Value[0].Spec.PauseRequests,
			v1alpha1.PauseRequest{By: strings.Repeat("b", len(facts.Policies.Value[0].Spec.PauseRequests)+1), Reason: strings.Repeat("ä", 1000)})
	}
	refused := Judge(facts).Refusals
	if len(refused) != maxRefusals {
		t.Errorf("%d refusals, want %d", len(refused), maxRefusals)
	}
	for _, r := range refused {
		if len(r.Message) > maxMessage || !utf8.ValidString(r.Message) {
			t.Errorf("a message of %d bytes: %q", len(r.Message), r.Message)
		}
	}
}

type errLong struct{}

func (errLong) Error() string { return strings.Repeat("no ", 4000) }

func TestBeforeEveryOperationOnlyTheStopAndThePauseAreAsked(t *testing.T) {
	rows := map[string]struct {
		given func(*Facts)
		want  []string
	}{
		"lets through what nobody stopped":       {},
		"does not ask the others again":          {given: func(f *Facts) { begins(f); f.Digest, f.Holder.Value, f.Guards.Err = another, "shop/other", errDown }},
		"holds while everything is stopped":      {given: func(f *Facts) { f.EmergencyStop.Value = true }, want: []string{"EmergencyStop Waits"}},
		"holds while it is paused":               {given: func(f *Facts) { annotate(&f.Space) }, want: []string{"Paused Waits"}},
		"holds while the stop can't be read":     {given: func(f *Facts) { f.EmergencyStop.Err = errDown }, want: []string{"Unreadable Waits"}},
		"holds while the policies can't be read": {given: func(f *Facts) { f.Policies.Err = errDown }, want: []string{"Unreadable Waits"}},
		"needs no steps: the run names its target": {
			given: func(f *Facts) { begins(f); f.Steps = nil; annotate(&f.Objects[0]) }, want: []string{"Paused Waits"}},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			facts := sound()
			if row.given != nil {
				row.given(&facts)
			}
			if got := reasons(JudgeEach(facts)); !slices.Equal(got, row.want) {
				t.Errorf("refused %q, want %q", got, row.want)
			}
		})
	}
}

func TestChoice(t *testing.T) {
	alerts := func(p *v1alpha1.RemediationPolicy) { p.Spec.Selectors.Alerts = []string{"KubePodCrashLooping"} }
	kinds := func(p *v1alpha1.RemediationPolicy) { p.Spec.Selectors.Kinds = []string{"Deployment"} }
	byLabel := func(p *v1alpha1.RemediationPolicy) {
		p.Spec.Selectors.Labels = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	}
	jobs := func(p *v1alpha1.RemediationPolicy) { p.Spec.Selectors.Kinds = []string{"Job"} }
	rows := map[string]struct {
		policies []v1alpha1.RemediationPolicy
		want     string
	}{
		"the only one": {policies: named("a"), want: "shop/a"},
		"the first by name where all say as much":              {policies: append(named("b"), named("a")...), want: "shop/a"},
		"one that selects before one that is about everything": {policies: append(named("a"), named("z", kinds)...), want: "shop/z"},
		"two selectors before one":                             {policies: append(named("a", alerts), named("z", kinds, byLabel)...), want: "shop/z"},
		"the alert before the kind":                            {policies: append(named("a", kinds), named("z", alerts)...), want: "shop/z"},
		"the kind before the labels":                           {policies: append(named("a", byLabel), named("z", kinds)...), want: "shop/z"},
		"not the most specific if it is about something else":  {policies: append(named("a"), named("z", jobs, alerts)...), want: "shop/a"},
		"none where none is about it":                          {policies: named("a", jobs), want: ""},
		"the operator's default where there is none":           {policies: nil, want: "kubernaut-system/default"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			facts := sound()
			facts.Policies.Value = row.policies
			judged := Judge(facts)
			if judged.Policy != row.want {
				t.Errorf("%q decides, want %q", judged.Policy, row.want)
			}
			if row.want == "" && judged.Mode != "" {
				t.Errorf("the mode is %s where no policy says any", judged.Mode)
			}
		})
	}
}

func named(name string, changes ...func(*v1alpha1.RemediationPolicy)) []v1alpha1.RemediationPolicy {
	p := written("shop", name, v1alpha1.ModeAuto)
	for _, change := range changes {
		change(p)
	}
	return []v1alpha1.RemediationPolicy{*p}
}

func ruled(rules ...v1alpha1.PolicyRule) func(*Facts) {
	return func(f *Facts) { f.Policies.Value[0].Spec.Rules = rules }
}

func TestEffectiveMode(t *testing.T) {
	auto, approve, recommend, observe := v1alpha1.ModeAuto, v1alpha1.ModeApprove, v1alpha1.ModeRecommend, v1alpha1.ModeObserve
	rows := map[string]struct {
		given func(*Facts)
		want  v1alpha1.Mode
	}{
		"the policy's own":                                {want: auto},
		"the ceiling where it is lower":                   {given: func(f *Facts) { f.Default.Value = ceiling(approve) }, want: approve},
		"the policy's where the ceiling is higher":        {given: askPerson, want: approve},
		"what the remediation asks for where it is lower": {given: func(f *Facts) { f.Remediation.Spec.Mode = recommend }, want: recommend},
		"not what it asks for where it is higher":         {given: func(f *Facts) { askPerson(f); f.Remediation.Spec.Mode = auto }, want: approve},
		"Observe where there is no default":               {given: func(f *Facts) { f.Default.Value = nil }, want: observe},
		"Observe where the default has no ceiling":        {given: func(f *Facts) { f.Default.Value = ceiling("") }, want: observe},
		"a ceiling counts in the default only":            {given: func(f *Facts) { f.Default.Value = ceiling(""); f.Policies.Value[0].Spec.Ceiling = auto }, want: observe},
		"the default's own where it decides":              {given: func(f *Facts) { f.Policies.Value = nil }, want: recommend},
		"the lowest of what nobody knows":                 {given: func(f *Facts) { f.Policies.Value[0].Spec.Mode = "Whatever" }, want: observe},

		"a rule's where it is lower":                {given: ruled(v1alpha1.PolicyRule{Mode: approve}), want: approve},
		"not a rule's where it is higher":           {given: func(f *Facts) { askPerson(f); ruled(v1alpha1.PolicyRule{Mode: auto})(f) }, want: approve},
		"the first rule's that matches":             {given: ruled(v1alpha1.PolicyRule{Actions: []string{"RolloutRestart"}, Mode: observe}, v1alpha1.PolicyRule{Actions: []string{"RolloutUndo"}, Mode: approve}, v1alpha1.PolicyRule{Mode: recommend}), want: approve},
		"Recommend where rules exist and none does": {given: ruled(v1alpha1.PolicyRule{Actions: []string{"RolloutRestart"}, Mode: auto}), want: recommend},
		"Observe is kept where none does": {given: func(f *Facts) {
			f.Policies.Value[0].Spec.Mode = observe
			ruled(v1alpha1.PolicyRule{Kinds: []string{"Job"}, Mode: auto})(f)
		}, want: observe},
		"a rule of this kind matches":     {given: ruled(v1alpha1.PolicyRule{Kinds: []string{"Deployment"}, Mode: auto}), want: auto},
		"a rule up to this risk matches":  {given: ruled(v1alpha1.PolicyRule{MaxRisk: v1alpha1.RiskMedium, Mode: auto}), want: auto},
		"a rule below this risk does not": {given: ruled(v1alpha1.PolicyRule{MaxRisk: v1alpha1.RiskLow, Mode: auto}), want: recommend},
		"the plan's risk counts where it is higher": {given: func(f *Facts) {
			ruled(v1alpha1.PolicyRule{MaxRisk: v1alpha1.RiskMedium, Mode: auto})(f)
			f.Steps[0].Plan.Risk = v1alpha1.RiskHigh
		}, want: recommend},
		"the action's risk counts where the plan's is lower": {given: func(f *Facts) {
			ruled(v1alpha1.PolicyRule{MaxRisk: v1alpha1.RiskLow, Mode: auto})(f)
			f.Steps[0].Plan.Risk = v1alpha1.RiskLow
		}, want: recommend},
		"critical risk needs a person": {given: func(f *Facts) { f.Steps[0].Action.Risk = v1alpha1.RiskCritical }, want: approve},
		"the lowest of all steps": {given: func(f *Facts) {
			second := f.Steps[0]
			second.Plan.Risk = v1alpha1.RiskCritical
			f.Steps = append(f.Steps, second)
		}, want: approve},

		"Observe for an alert that names no cluster where this one has a name": {given: func(f *Facts) { f.Cluster = "eu-1" }, want: observe},
		"its own for one that names this cluster":                              {given: func(f *Facts) { f.Cluster, f.Remediation.Spec.Alert.Cluster = "eu-1", "eu-1" }, want: auto},
		"its own for what a person wrote here":                                 {given: func(f *Facts) { f.Cluster, f.Remediation.Spec.Alert.Source = "eu-1", v1alpha1.SourceManual }, want: auto},

		"none where the policies can't be read":         {given: func(f *Facts) { f.Policies.Err = errDown }, want: ""},
		"none where the ceiling can't be read":          {given: func(f *Facts) { f.Default.Err = errDown }, want: ""},
		"before there is a plan, that of the diagnosed": {given: func(f *Facts) { f.Steps = nil; f.Policies.Value[0].Spec.Selectors.Kinds = []string{"Deployment"} }, want: auto},
		"before there is a diagnosis, that of the alert's object": {given: func(f *Facts) {
			f.Steps, f.Remediation.Status.Diagnosis = nil, nil
			f.Policies.Value[0].Spec.Selectors.Kinds = []string{"Deployment"}
		}, want: auto},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			facts := sound()
			if row.given != nil {
				row.given(&facts)
			}
			judged := Judge(facts)
			if judged.Mode != row.want {
				t.Errorf("mode is %q, want %q", judged.Mode, row.want)
			}
			if judged.Mode == "" && len(judged.Refusals) == 0 {
				t.Error("without a mode nothing may be let through")
			}
		})
	}
}

func TestDurations(t *testing.T) {
	facts := sound()
	judged := Judge(facts)
	if judged.Cooldown != 10*time.Minute || judged.ApprovalDeadline != 4*time.Hour || judged.Window != 5*time.Minute || judged.Deadline != 15*time.Minute {
		t.Errorf("a policy that says nothing gives %+v", judged)
	}
	policyOf(&facts, func(p *v1alpha1.RemediationPolicy) {
		p.Spec.Limits.Cooldown = &metav1.Duration{Duration: 1}
		p.Spec.Approval.Deadline = &metav1.Duration{Duration: 2}
		p.Spec.Verification.Window = &metav1.Duration{Duration: 3}
		p.Spec.Verification.Deadline = &metav1.Duration{Duration: 4}
	})
	judged = Judge(facts)
	if judged.Cooldown != 1 || judged.ApprovalDeadline != 2 || judged.Window != 3 || judged.Deadline != 4 {
		t.Errorf("a policy that says all gives %+v", judged)
	}
}

func TestReserve(t *testing.T) {
	mine := reservedBy("ar-1-uid", "shop/ar-1-run-1", 0)
	full := make([]v1alpha1.Reservation, 0, maxReservations)
	for i := range maxReservations {
		r := reserved("shop/other-"+string(rune('a'+i%26))+strings.Repeat("x", i/26), 2*time.Hour)
		r.TargetUID = types.UID(r.Run)
		full = append(full, r)
	}
	outdated := slices.Clone(full)
	outdated[17].At = metav1.NewTime(noon.Add(-3 * time.Hour))
	rows := map[string]struct {
		there    []v1alpha1.Reservation
		cooldown time.Duration
		want     []string // runs
		taken    bool
		refused  string // part of the message
	}{
		"takes a place":                          {cooldown: time.Minute, want: []string{mine.Run}, taken: true},
		"gives the same run its place only once": {there: []v1alpha1.Reservation{reservedBy(mine.UID, mine.Run, time.Minute)}, cooldown: time.Hour, want: []string{mine.Run}},
		"a run that waited for longer than the cooldown takes its place anew, and is counted once": {there: []v1alpha1.Reservation{reservedBy(mine.UID, mine.Run, 2*time.Minute)}, cooldown: time.Minute, want: []string{mine.Run}, taken: true},
		"another run of the same name, a moment later, waits for the cooldown":                     {there: []v1alpha1.Reservation{reservedBy("an-earlier-uid", mine.Run, time.Second)}, cooldown: time.Minute, refused: "was the target of shop/ar-1-run-1"},
		"a place without a uid is of another run":                                                  {there: []v1alpha1.Reservation{reserved(mine.Run, time.Second)}, cooldown: time.Minute, refused: "was the target of shop/ar-1-run-1"},
		"another run of the same name has a place of its own, and the budget forgets neither":      {there: []v1alpha1.Reservation{reservedBy("an-earlier-uid", mine.Run, 2*time.Minute)}, cooldown: time.Minute, want: []string{mine.Run + "@1772366280", mine.Run}, taken: true},
		"refuses within the cooldown":                                                              {there: []v1alpha1.Reservation{reserved("shop/o", 59*time.Second)}, cooldown: time.Minute, refused: "was the target of shop/o (RolloutUndo)"},
		"takes a place after the cooldown":                                                         {there: []v1alpha1.Reservation{reserved("shop/o", time.Minute)}, cooldown: time.Minute, want: []string{"shop/o", mine.Run}, taken: true},
		"takes a place beside another target's":                                                    {there: []v1alpha1.Reservation{otherTarget(reserved("shop/o", 0))}, cooldown: time.Minute, want: []string{"shop/o", mine.Run}, taken: true},
		"forgets what is older than an hour":                                                       {there: []v1alpha1.Reservation{reserved("shop/o", time.Hour)}, cooldown: time.Minute, want: []string{mine.Run}, taken: true},
		"keeps longer what the cooldown needs":                                                     {there: []v1alpha1.Reservation{otherTarget(reserved("shop/o", 2*time.Hour))}, cooldown: 3 * time.Hour, want: []string{"shop/o", mine.Run}, taken: true},
		"refuses rather than drop what still counts":                                               {there: full, cooldown: 3 * time.Hour, refused: "no more fit"},
		"refuses beyond the budget of the hour":                                                    {there: many(20), cooldown: time.Minute, refused: "let 20 runs be made in namespace shop within an hour"},
		"a place is free once one no longer counts":                                                {there: outdated, cooldown: 3 * time.Hour, want: append(runs(slices.Delete(slices.Clone(outdated), 17, 18)), mine.Run), taken: true},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			p := written("shop", "auto", v1alpha1.ModeAuto)
			p.Spec.Limits.Cooldown = &metav1.Duration{Duration: row.cooldown}
			p.Status.Reservations = row.there
			before := slices.Clone(row.there)
			got, taken, err := Reserve(p, mine, noon)
			if row.refused != "" {
				if refused := refusedBy(err); refused == nil || refused.Kind != Waits || !strings.Contains(err.Error(), row.refused) {
					t.Errorf("got %v, want a wait that says %q", err, row.refused)
				}
			} else if err != nil || taken != row.taken || !slices.Equal(runs(got), row.want) {
				t.Errorf("got %v, %v, %v; want %v, %v", runs(got), taken, err, row.want, row.taken)
			}
			if !slices.Equal(row.there, before) {
				t.Error("the policy that was asked about was changed")
			}
		})
	}
}

func refusedBy(err error) *RefusedError {
	refused, _ := err.(*RefusedError) //nolint:errorlint // Reserve is pure and wraps nothing
	return refused
}

func runs(reservations []v1alpha1.Reservation) []string {
	var all []string
	for _, r := range reservations {
		all = append(all, r.Run)
	}
	return all
}
