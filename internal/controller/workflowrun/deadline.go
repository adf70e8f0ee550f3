package workflowrun

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/phase"
	"github.com/kubernaut/kubernaut/internal/policy"
)

// longestWait is how long a run may wait to begin, whatever holds it. It is counted
// from the run's creation, a time of the API server's clock: compared with a day, the
// difference of two clocks does not matter.
const longestWait = 24 * time.Hour

// tooLate returns why a run that has not begun is not held any longer. The undo that
// the operator owes has only the longer of the two deadlines: it is done as soon as
// it can be.
func (r *Reconciler) tooLate(run *v1alpha1.WorkflowRun, held v1alpha1.Refusal) (v1alpha1.Refusal, bool) {
	now, since := r.Clock.Now(), root(run)
	if !now.Before(run.CreationTimestamp.Add(longestWait)) {
		return verdict(v1alpha1.ReasonDeadlineExceeded, "nothing was changed: for %s the run could not begin: %s: %s. Make another run, if it is still wanted",
			longestWait, held.Reason, shorten(held.Message, maxMessage/2)), true
	}
	_, limited := policy.Help(held.Reason)
	owed := run.Spec.Undoes != "" && run.Remediation() != nil
	if limited && !owed && since.Reason == held.Reason && now.Sub(since.LastTransitionTime.Time) >= policy.UnreadableDeadline {
		return verdict(held.Reason, "%s", policy.GaveUp(held)), true
	}
	return v1alpha1.Refusal{}, false
}

// holdUnbegun records what a run waits for before it begins. The deadline of what can't
// be read begins with that reason, whatever the run waited for before.
func (r *Reconciler) holdUnbegun(run *v1alpha1.WorkflowRun, held v1alpha1.Refusal) {
	if _, limited := policy.Help(held.Reason); limited && root(run).Reason != held.Reason {
		meta.RemoveStatusCondition(&run.Status.Conditions, v1alpha1.Succeeded)
	}
	hold(run, held)
}

// unread handles an error before anything was touched. By some, only a person can
// help; every other is tried again until the longest deadline.
func (r *Reconciler) unread(p *pass, err error) (phase.Outcome, error) {
	no := policy.Unreadable("what the run needs to begin", err)
	_, limited := policy.Help(no.Reason)
	if _, late := r.tooLate(p.Obj, no.Refusal); limited || late {
		return r.refuse(p, no), nil
	}
	return phase.Continue, err
}
