package alertremediation

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/evidence"
	"github.com/kubernaut/kubernaut/internal/phase"
)

// admit ensures that the alert's object is known, with its owner at the top, and
// that no other remediation stands for it.
func (r *Reconciler) admit(ctx context.Context, p *pass) (phase.Outcome, error) {
	if settled(p.Obj, v1alpha1.Admitted) {
		return phase.Continue, nil
	}
	if err := r.seenUnder(ctx, p.Obj); err != nil {
		return phase.Continue, err
	}
	found, err := r.find(ctx, p.Obj)
	if errors.Is(err, evidence.ErrNoTarget) {
		set(p.Obj, v1alpha1.Admitted, metav1.ConditionTrue, v1alpha1.ReasonNoTarget, "the alert names nothing that a remediation of this namespace may be about: "+err.Error())
		return phase.Continue, nil
	}
	if no, ok := unread("the target of alert "+p.Obj.Spec.Alert.Name, err); ok {
		return r.holdUnread(p.Obj, v1alpha1.Admitted, no)
	}
	if err != nil {
		return phase.Continue, fmt.Errorf("finding the target of alert %s: %w", p.Obj.Spec.Alert.Name, err)
	}
	first, err := r.firstOrEntered(ctx, p.Obj, found)
	if err != nil {
		return phase.Continue, err
	}
	r.turnedAway.Remove(p.Obj.UID)
	p.Obj.Status.Target = &found.Target
	if first != nil {
		p.Obj.Status.DuplicateOf = first.Name
		set(p.Obj, v1alpha1.Admitted, metav1.ConditionFalse, v1alpha1.ReasonDuplicate, "")
		return finish(p.Obj, v1alpha1.OutcomeDuplicate, "%s in %s is what AlertRemediation %s is about", found.Target, found.Target.Namespace, first.Name)
	}
	set(p.Obj, v1alpha1.Admitted, metav1.ConditionTrue, v1alpha1.ReasonTargetFound, about(found))
	return phase.Continue, nil
}

// seenUnder records the guards that were in force when a remediation was first seen.
func (r *Reconciler) seenUnder(ctx context.Context, ar *v1alpha1.AlertRemediation) error {
	if r.Guards == nil || ar.Status.Guards != "" {
		return nil
	}
	guards, err := r.Guards(ctx)
	if err != nil {
		return fmt.Errorf("reading the guards, which vouch for the author of an alert: %w", err)
	}
	ar.Status.Guards = guards
	return nil
}

// about says what an alert is about, and how that is known.
func about(found evidence.Found) string {
	if found.Gone {
		return fmt.Sprintf("the alert is about %s, which is gone: by its name it was one of %s", found.Subject, found.Target)
	}
	return fmt.Sprintf("the alert is about %s", found.Target)
}

// errBusy means that another alert of the target may become the first.
var errBusy = errors.New("another alert of the target is being admitted")

// firstOrEntered returns the remediation that stands for the target. If there is none
// the turnstile is this one's: whoever is not alone there must ask again later, when
// the remedy may have replaced the pod that led to the target.
func (r *Reconciler) firstOrEntered(ctx context.Context, ar *v1alpha1.AlertRemediation, found evidence.Found) (*v1alpha1.AlertRemediation, error) {
	target := found.Target
	if first, err := r.first(ctx, ar, target); first != nil || err != nil {
		return first, err
	}
	if !r.turnstile.enter(standingOf(ar, target), ar.UID) {
		r.turnedAway.Add(ar.UID, found)
		return nil, errBusy
	}
	return r.first(ctx, ar, target) // nobody was admitted in between
}

// leave lets the next alert of a target in when the pass that may have admitted one
// has ended, and was saved or not.
func (r *Reconciler) leave(p *pass) {
	if target := p.Obj.Status.Target; target != nil && holds(p.Obj, v1alpha1.Admitted) && !holds(p.Before(), v1alpha1.Admitted) {
		r.admitted.Add(standingOf(p.Obj, *target), client.ObjectKeyFromObject(p.Obj))
	}
	r.turnstile.leave(p.Obj.UID)
}

// find returns the object the alert is about: the one that was found before it was
// turned away, the one that is named, or else the one its labels lead to.
func (r *Reconciler) find(ctx context.Context, ar *v1alpha1.AlertRemediation) (evidence.Found, error) {
	if before, ok := r.turnedAway.Get(ar.UID); ok {
		return before.(evidence.Found), nil
	}
	if ar.Spec.Target == nil {
		found, err := r.Resolver.Trace(ctx, ar.Namespace, ar.Spec.Alert)
		if err != nil {
			return evidence.Found{}, err
		}
		return found, r.ownPlace(ar, found.Target)
	}
	if err := r.ownPlace(ar, v1alpha1.TargetReference{ObjectReference: *ar.Spec.Target}); err != nil {
		return evidence.Found{}, err
	}
	target, err := r.Resolver.Climb(ctx, *ar.Spec.Target)
	return evidence.Found{Subject: *ar.Spec.Target, Target: target}, err
}

// ownPlace refuses a target outside the remediation's own namespace, but in the
// operator's. A guard says the same; here it holds without one.
func (r *Reconciler) ownPlace(ar *v1alpha1.AlertRemediation, target v1alpha1.TargetReference) error {
	if target.Namespace == ar.Namespace || ar.Namespace == r.config.Namespace {
		return nil
	}
	return fmt.Errorf("%s is not in namespace %s: %w", target, ar.Namespace, evidence.ErrNoTarget)
}

// standing is what two remediations have in common where one stands for the other: the
// target, the namespace and who made them. Nothing that a user writes ends a remediation
// of the operator's own as a duplicate, and nothing in one namespace ends a remediation
// in another.
type standing struct {
	target     types.UID
	namespace  string
	byOperator bool
}

// standingOf returns the standing of a remediation of a target. By guard 4 only the
// operator can create a remediation whose source is not Manual.
func standingOf(ar *v1alpha1.AlertRemediation, target v1alpha1.TargetReference) standing {
	return standing{target: target.UID, namespace: ar.Namespace, byOperator: ar.Spec.Alert.Source != v1alpha1.SourceManual}
}

// targetUID is the field that remediations are found by, in the cache and in the API server.
const targetUID = "status.target.uid"

// first returns the remediation that stands for the target, the oldest where there
// are several. The cache knows them all but those this process admitted a moment
// ago, and those it remembers; whichever is found is read as it is now. (A list past
// the cache would wait for the API server's own cache, up to a tenth of a second.)
func (r *Reconciler) first(ctx context.Context, ar *v1alpha1.AlertRemediation, target v1alpha1.TargetReference) (*v1alpha1.AlertRemediation, error) {
	var list v1alpha1.AlertRemediationList
	if err := r.Client.List(ctx, &list, client.InNamespace(ar.Namespace), client.MatchingFields{targetUID: string(target.UID)}); err != nil {
		return nil, fmt.Errorf("listing the remediations of %s: %w", target, err)
	}
	names := map[types.NamespacedName]bool{}
	for i := range list.Items {
		if r.standsFor(ar, target, &list.Items[i]) {
			names[client.ObjectKeyFromObject(&list.Items[i])] = true
		}
	}
	if last, ok := r.admitted.Get(standingOf(ar, target)); ok {
		names[last.(types.NamespacedName)] = true
	}
	var found []v1alpha1.AlertRemediation
	for name := range names {
		var other v1alpha1.AlertRemediation
		err := r.Live.Get(ctx, name, &other)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading AlertRemediation %s, which may be about %s too: %w", name, target, err)
		}
		found = append(found, other)
	}
	return r.firstFor(ar, target, found), nil
}

// firstFor picks the oldest of the remediations that stand for a target.
func (r *Reconciler) firstFor(ar *v1alpha1.AlertRemediation, target v1alpha1.TargetReference, all []v1alpha1.AlertRemediation) *v1alpha1.AlertRemediation {
	var first *v1alpha1.AlertRemediation
	for i := range all {
		other := &all[i]
		if r.standsFor(ar, target, other) && (first == nil || other.CreationTimestamp.Before(&first.CreationTimestamp)) {
			first = other
		}
	}
	return first
}

// standsFor reports whether another remediation of the target, of the same standing,
// makes this one a duplicate: it lives, or it answers the same alert with words only, and gave its
// answer a moment ago, when this one was there already. (Ten pods of a Deployment fail
// together: the first alert may have its answer before the second is looked at.)
func (r *Reconciler) standsFor(ar *v1alpha1.AlertRemediation, target v1alpha1.TargetReference, other *v1alpha1.AlertRemediation) bool {
	if other.UID == ar.UID || !holds(other, v1alpha1.Admitted) || other.Status.Target == nil || standingOf(other, *other.Status.Target) != standingOf(ar, target) {
		return false
	}
	return !other.Finished() || answersToo(other, ar, r.Clock.Now())
}

// answersToo reports whether the words that a remediation ended with are an answer
// to another's alert: some minutes later the target may be another matter. A person who
// asks gets an answer of their own; and where nothing was seen, it is looked again.
func answersToo(ended, ar *v1alpha1.AlertRemediation, now time.Time) bool {
	switch ended.Status.Outcome {
	case v1alpha1.OutcomeRecommended, v1alpha1.OutcomeObserved, v1alpha1.OutcomeEscalated:
	default:
		return false
	}
	if ended.Status.RunRef != "" || !holds(ended, v1alpha1.Diagnosed) ||
		ar.Spec.Alert.Source == v1alpha1.SourceManual || ended.Spec.Alert.Name != ar.Spec.Alert.Name {
		return false
	}
	at := meta.FindStatusCondition(ended.Status.Conditions, v1alpha1.Succeeded).LastTransitionTime
	return !at.Before(&ar.CreationTimestamp) && now.Sub(at.Time) < answerHolds
}

// answerHolds is how long an answer is one to alerts that were there already.
const answerHolds = time.Minute
