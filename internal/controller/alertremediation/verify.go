package alertremediation

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/evidence"
	"github.com/kubernaut/kubernaut/internal/gate"
	"github.com/kubernaut/kubernaut/internal/phase"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// verify ensures that the verdict rests on what was observed after the change:
// an operation that was applied is not yet a success.
func (r *Reconciler) verify(ctx context.Context, p *pass) (phase.Outcome, error) {
	if settled(p.Obj, v1alpha1.Verified) {
		return phase.Continue, nil
	}
	run, err := r.forward(ctx, p.Obj)
	if errors.Is(err, errRunDeleted) {
		return bereft(p.Obj)
	}
	if err != nil {
		return phase.Continue, err
	}
	if err := r.observe(ctx, p.Obj, run); err != nil {
		return phase.Continue, err
	}
	seen, now := *p.Obj.Status.Verification, r.Clock.Now()
	fallen := decide(seen, change{undoable: undoable(run), contains: r.contains(p.Obj)}, now)
	switch {
	case fallen.wait > 0:
		set(p.Obj, v1alpha1.Verified, metav1.ConditionUnknown, v1alpha1.ReasonObserving, fallen.message)
		return phase.Wait(fallen.wait), nil
	case fallen.undo && seen.Health == v1alpha1.HealthHealthy:
		set(p.Obj, v1alpha1.Verified, metav1.ConditionTrue, v1alpha1.ReasonHealthy, fallen.message)
		return phase.Continue, nil
	case fallen.undo:
		set(p.Obj, v1alpha1.Verified, metav1.ConditionFalse, v1alpha1.ReasonUnhealthy, fallen.message)
		return phase.Continue, nil
	case fallen.outcome == v1alpha1.OutcomeRemediated:
		set(p.Obj, v1alpha1.Verified, metav1.ConditionTrue, v1alpha1.ReasonHealthy, fallen.message)
	default:
		set(p.Obj, v1alpha1.Verified, metav1.ConditionFalse, fallen.reason, fallen.message)
	}
	return finish(p.Obj, fallen.outcome, "%s", fallen.message)
}

// observe looks at the three things the verdict rests on: the alert, the health
// of what was changed and of what the alert is about, and the change itself.
func (r *Reconciler) observe(ctx context.Context, ar *v1alpha1.AlertRemediation, run *v1alpha1.WorkflowRun) error {
	seen := ar.Status.Verification
	if seen == nil {
		window, deadline, err := r.patience(ctx, ar)
		if err != nil {
			return err
		}
		ended := run.Status.FinishedAt.Time
		seen = &v1alpha1.Verification{Window: metav1.Duration{Duration: window}, Deadline: metav1.NewTime(ended.Add(deadline))}
	}
	vitals := r.vitals(ctx, ar)
	seen.Health = vitals.Health
	seen.Since = metav1.Time{}
	if vitals.Health == v1alpha1.HealthHealthy {
		seen.Since = metav1.NewTime(later(vitals.Since, run.Status.FinishedAt.Time))
	}
	seen.Drift, seen.Drifted = r.drift(ctx, run)
	seen.Alert = r.alertState(ctx, ar)
	ar.Status.Verification = seen
	return nil
}

// What a policy that says nothing about verification means; the schema has the same.
const (
	shippedWindow   = 5 * time.Minute
	shippedDeadline = 15 * time.Minute
)

// patience returns the window and the deadline of the policy that decided.
func (r *Reconciler) patience(ctx context.Context, ar *v1alpha1.AlertRemediation) (window, deadline time.Duration, err error) {
	namespace, name, _ := strings.Cut(ar.Status.Plan.Policy, "/")
	var decided v1alpha1.RemediationPolicy
	err = r.Client.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, &decided)
	if client.IgnoreNotFound(err) != nil {
		return 0, 0, fmt.Errorf("reading policy %s: %w", ar.Status.Plan.Policy, err)
	}
	window, deadline = shippedWindow, shippedDeadline
	if given := decided.Spec.Verification.Window; given != nil {
		window = given.Duration
	}
	if given := decided.Spec.Verification.Deadline; given != nil {
		deadline = given.Duration
	}
	return window, deadline, nil
}

// vitals judges what was changed and, where that is another object, what the
// alert is about; the worse of the two counts, and the later recovery.
func (r *Reconciler) vitals(ctx context.Context, ar *v1alpha1.AlertRemediation) evidence.Vitals {
	changed := ar.Status.Plan.Steps[0].Target
	worst := evidence.Judge(r.Gatherer.Gather(ctx, changed.ObjectReference, changed))
	if about := ar.Status.Target; about != nil && about.UID != changed.UID {
		worst = worse(worst, evidence.Judge(r.Gatherer.Gather(ctx, about.ObjectReference, *about)))
	}
	return worst
}

// worse returns the worse of two, well only since both are.
func worse(a, b evidence.Vitals) evidence.Vitals {
	rank := map[v1alpha1.Health]int{v1alpha1.HealthUnhealthy: 0, v1alpha1.HealthUnknown: 1, v1alpha1.HealthHealthy: 2}
	if rank[b.Health] < rank[a.Health] {
		return b
	}
	if a.Health == v1alpha1.HealthHealthy {
		a.Since = later(a.Since, b.Since)
	}
	return a
}

// drift reports whether a change of the run is no longer in place, and what is
// there instead. What can't be read is not drift: health will be unknown too.
func (r *Reconciler) drift(ctx context.Context, run *v1alpha1.WorkflowRun) (bool, string) {
	for _, op := range applied(run) {
		seen, err := gate.Look(ctx, r.Live, op.Operation)
		if err == nil && seen.State != gate.SeenApplied {
			return true, cut(seen.Says, maxMessage)
		}
	}
	return false, ""
}

// alertState asks whether the alert still fires for the target. Nobody delivers
// what a person wrote by hand, so nobody can say that it resolved: such a
// remediation has no alert state, and rests on health alone. What a trigger saw it
// sees to the end; an alert about the same, which came later, must be over as well.
func (r *Reconciler) alertState(ctx context.Context, ar *v1alpha1.AlertRemediation) v1alpha1.AlertState {
	switch ar.Spec.Alert.Source {
	case v1alpha1.SourceAlertmanager:
		return r.fires(ctx, ar.Spec.Alert.Name, *ar.Status.Target)
	case v1alpha1.SourceWatch:
		if ar.AlertState() != v1alpha1.AlertResolved {
			return ar.AlertState()
		}
		return r.laterAlerts(ctx, ar)
	}
	return ""
}

func (r *Reconciler) fires(ctx context.Context, alert string, target v1alpha1.TargetReference) v1alpha1.AlertState {
	state, _, err := r.Desk.AlertState(ctx, alert, target)
	if err != nil {
		return v1alpha1.AlertUnknown
	}
	return state
}

// laterAlerts is the worst of the alerts that ended as duplicates of a remediation.
func (r *Reconciler) laterAlerts(ctx context.Context, ar *v1alpha1.AlertRemediation) v1alpha1.AlertState {
	var list v1alpha1.AlertRemediationList
	if err := r.Client.List(ctx, &list, client.InNamespace(ar.Namespace), client.MatchingFields{targetUID: string(ar.Status.Target.UID)}); err != nil {
		return v1alpha1.AlertUnknown
	}
	worst := v1alpha1.AlertResolved
	for i := range list.Items {
		other := &list.Items[i]
		if other.Status.DuplicateOf != ar.Name || other.Spec.Alert.Source != v1alpha1.SourceAlertmanager {
			continue
		}
		switch r.fires(ctx, other.Spec.Alert.Name, *ar.Status.Target) {
		case v1alpha1.AlertFiring:
			return v1alpha1.AlertFiring
		case v1alpha1.AlertUnknown:
			worst = v1alpha1.AlertUnknown
		case v1alpha1.AlertResolved:
		}
	}
	return worst
}

// change is what the verdict has to know of what was done.
type change struct {
	undoable bool
	contains bool // the fault, and cures nothing
}

// contains reports whether what was done only keeps the fault from spreading.
func (r *Reconciler) contains(ar *v1alpha1.AlertRemediation) bool {
	act, err := r.Catalog.Find(ar.Status.Plan.Steps[0].Action)
	return err == nil && act.Spec().Contains
}

// verdict is what the verification comes to: wait, take the change back, or end.
type verdict struct {
	wait            time.Duration
	undo            bool
	outcome         v1alpha1.Outcome
	reason, message string
}

// decide is the table of verdicts of docs: alert, health and change decide. It is pure.
func decide(seen v1alpha1.Verification, made change, now time.Time) verdict {
	well := seen.Health == v1alpha1.HealthHealthy
	whole := well && now.Sub(seen.Since.Time) >= seen.Window.Duration
	due := !now.Before(seen.Deadline.Time)
	switch {
	case seen.Drift:
		return verdict{outcome: v1alpha1.OutcomeEscalated, reason: v1alpha1.ReasonDrifted,
			message: "the change is no longer in place, and nobody's edit is undone: " + seen.Drifted}
	case quiet(seen) && whole && made.contains && made.undoable:
		return verdict{undo: true, message: remediated(seen, now) + "; what was done contained the fault, and is to be taken back"}
	case quiet(seen) && whole:
		return verdict{outcome: v1alpha1.OutcomeRemediated, message: remediated(seen, now)}
	case !due:
		return verdict{wait: nextLook(seen, now), message: observing(seen)}
	}
	return atDeadline(seen, made, now)
}

// quiet reports whether no alert speaks against a success.
func quiet(seen v1alpha1.Verification) bool {
	return seen.Alert == v1alpha1.AlertResolved || seen.Alert == ""
}

// atDeadline decides about a change that is in place and was no success in time.
func atDeadline(seen v1alpha1.Verification, made change, now time.Time) verdict {
	switch {
	case seen.Health == v1alpha1.HealthUnhealthy && made.contains:
		return verdict{outcome: v1alpha1.OutcomeEscalated, reason: v1alpha1.ReasonUnhealthy,
			message: "the target is unhealthy at the deadline; what was done contains the fault, cures nothing, and stays in place"}
	case seen.Health == v1alpha1.HealthUnhealthy && made.undoable:
		return verdict{undo: true, message: "the target is unhealthy at the deadline: the change is to be taken back"}
	case seen.Health == v1alpha1.HealthUnhealthy:
		return verdict{outcome: v1alpha1.OutcomeEscalated, reason: v1alpha1.ReasonCannotUndo, message: "the target is unhealthy at the deadline, and the change can't be taken back"}
	case seen.Health != v1alpha1.HealthHealthy:
		return verdict{outcome: v1alpha1.OutcomeEscalated, reason: v1alpha1.ReasonUnreadable, message: "whether the target is healthy could not be read by the deadline"}
	case seen.Alert == v1alpha1.AlertFiring:
		return verdict{outcome: v1alpha1.OutcomeEscalated, reason: v1alpha1.ReasonDeadlineExceeded, message: "the target is healthy but the alert still fires at the deadline; nothing is taken back"}
	case !quiet(seen):
		return verdict{outcome: v1alpha1.OutcomeEscalated, reason: v1alpha1.ReasonUnreadable, message: "the target is healthy, but whether the alert fires could not be learnt by the deadline"}
	}
	return verdict{outcome: v1alpha1.OutcomeEscalated, reason: v1alpha1.ReasonDeadlineExceeded,
		message: fmt.Sprintf("the alert resolved, but at the deadline the target had been healthy for %s only", now.Sub(seen.Since.Time).Round(time.Second))}
}

// remediated says what the success rests on.
func remediated(seen v1alpha1.Verification, now time.Time) string {
	well := now.Sub(seen.Since.Time).Round(time.Second)
	if seen.Alert == "" {
		return fmt.Sprintf("the target has been healthy for %s; no Alertmanager delivers this alert, so health alone decides", well)
	}
	return fmt.Sprintf("the alert resolved and the target has been healthy for %s", well)
}

// nextLook is soon enough to see the window fill, and never after the deadline.
func nextLook(seen v1alpha1.Verification, now time.Time) time.Duration {
	often := min(max(seen.Window.Duration/10, time.Second), 10*time.Second)
	return max(min(often, seen.Deadline.Sub(now)), 10*time.Millisecond)
}

// observing says what is being waited for.
func observing(seen v1alpha1.Verification) string {
	return fmt.Sprintf("alert %s, target %s; must be healthy for %s before %s",
		seen.Alert, seen.Health, seen.Window.Duration, seen.Deadline.UTC().Format(time.TimeOnly))
}

// undoable reports whether everything a run did can be taken back.
func undoable(run *v1alpha1.WorkflowRun) bool {
	found := false
	for _, op := range applied(run) {
		if op.Undo == nil && !action.Regrows(op.Operation) {
			return false
		}
		found = found || op.Undo != nil
	}
	return found
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
