package policy

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// Case is what is to be judged: a plan that was made, or a run that is about to begin.
type Case struct {
	// Remediation it is for; nil for a run that a person made.
	Remediation *v1alpha1.AlertRemediation
	// Run that is about to begin; nil while planning.
	Run *v1alpha1.WorkflowRun
	// Steps with their operations; empty while nothing has been planned.
	Steps []Step
	// Unplanned is the error that planning ended with, if it did.
	Unplanned error
	// Digest of the steps' plans.
	Digest string
	// DiffBytes is the length of the whole diff a person would have to read.
	DiffBytes int
	// Undo is true when the steps take an earlier run back.
	Undo bool
}

// Step is one action on one target, with the operations that would do it.
type Step struct {
	Name   string
	Action action.Spec
	Target v1alpha1.TargetReference
	Plan   action.Plan
}

// Risk of the step: the action's, unless the plan itself is riskier.
func (s Step) Risk() v1alpha1.Risk {
	if riskRank(s.Plan.Risk) > riskRank(s.Action.Risk) {
		return s.Plan.Risk
	}
	return s.Action.Risk
}

// Operations of all steps, in order.
func (c Case) Operations() []action.Operation {
	var ops []action.Operation
	for _, step := range c.Steps {
		ops = append(ops, step.Plan.Operations...)
	}
	return ops
}

// Namespace in which the remediation or the run lives, and outside of which it changes nothing.
func (c Case) Namespace() string {
	if c.Run != nil {
		return c.Run.Namespace
	}
	if c.Remediation != nil {
		return c.Remediation.Namespace
	}
	return ""
}

// Targets returns the objects that are to be changed, each once: those of the
// steps, or before there are any, those of the run, or of the diagnosis.
func (c Case) Targets() []v1alpha1.TargetReference {
	var targets []v1alpha1.TargetReference
	seen := map[v1alpha1.ObjectReference]bool{}
	for _, t := range c.wanted() {
		if !seen[t.ObjectReference] {
			seen[t.ObjectReference] = true
			targets = append(targets, t)
		}
	}
	return targets
}

func (c Case) wanted() []v1alpha1.TargetReference {
	var targets []v1alpha1.TargetReference
	for _, step := range c.Steps {
		targets = append(targets, step.Target)
	}
	if len(targets) > 0 {
		return targets
	}
	if c.Run != nil {
		targets = append(targets, c.Run.Spec.Target)
		for _, step := range c.Run.Spec.Steps {
			targets = append(targets, c.Run.StepTarget(step))
		}
		return targets
	}
	if c.Remediation == nil {
		return nil
	}
	if d := c.Remediation.Status.Diagnosis; d != nil && d.Target != nil {
		return append(targets, *d.Target)
	}
	if t := c.Remediation.Status.Target; t != nil {
		return append(targets, *t)
	}
	return nil
}

func (c Case) byHand() bool { return c.Remediation == nil }

// operatorsUndo reports whether the steps take back what the operator recorded, on its own
// behalf: the undo run that the remediation's status names, or a cancelled run, which takes
// back its own operations. An owner reference is no proof: every author of a run can set one.
func (c Case) operatorsUndo() bool {
	if !c.Undo || c.Run == nil {
		return false
	}
	return c.Run.Spec.Undoes == "" || c.Remediation != nil && c.Remediation.Status.RunRef == c.Run.Name
}

// madeByHand reports whether guard 3 alone vouches for the author of the run.
func (c Case) madeByHand() bool {
	return c.Run != nil && (c.Remediation == nil || c.Undo) && !c.operatorsUndo()
}

// Fact is something that had to be read. Err says why it could not be: then
// every gate that needs it refuses.
type Fact[T any] struct {
	Value T
	Err   error
}

// Object is what the gates look at of an object that is to be changed.
type Object struct {
	Ref v1alpha1.ObjectReference
	// Gone: no such object exists.
	Gone bool
	// Elsewhere says that the reference does not fit the scope of its kind, and why; empty: it does.
	Elsewhere     string
	UID           types.UID
	Generation    int64
	Labels        map[string]string
	Annotations   map[string]string
	ManagedFields []metav1.ManagedFieldsEntry
}

// Facts is all that the gates look at.
type Facts struct {
	Case
	// Now is the time of the judgement.
	Now time.Time
	// Operator is the namespace the operator runs in.
	Operator string
	// Cluster is the configured name of this cluster; empty: it has none.
	Cluster string
	// Protected are the namespaces that configuration protects beside the built-in ones.
	Protected []string

	// EmergencyStop is true when the ConfigMap that stops everything exists.
	EmergencyStop Fact[bool]
	// AlertState of the remediation's alert for its target.
	AlertState Fact[v1alpha1.AlertState]
	// Space is the namespace of the case.
	Space Fact[Object]
	// Objects that the operations touch, and the one the alert is about.
	Objects []Fact[Object]
	// Policies of the namespace of the case.
	Policies Fact[[]v1alpha1.RemediationPolicy]
	// Default is the operator's default policy, nil when there is none.
	Default Fact[*v1alpha1.RemediationPolicy]
	// Holder is the run that holds the lease on a target, if it is another one.
	Holder Fact[string]
	// Other remediator that is at work on a target, and on which: "x on Node/y".
	Other Fact[string]
	// Denied says what the tenant's account may not do, if anything, and how to let it.
	Denied Fact[string]
	// Rejected says which operation the API server rejects, if any, and why.
	Rejected Fact[string]
	// Guards of the cluster.
	Guards Fact[Guards]
	// Outdated says which CustomResourceDefinition is older than the program, if any.
	Outdated Fact[string]
	// Unenforced says that guard 1 did not refuse a forged approval, where that was tried.
	Unenforced Fact[string]
	// AsksAlertmanager: AlertState is what Alertmanager itself says, not the last delivery to the webhook.
	AsksAlertmanager bool
}

// Guards is how the admission policies stand that keep approvals honest.
type Guards struct {
	// Fault says which is missing or altered, if any.
	Fault string
	// StatusFault says whether guard 2 (status) is missing or altered; Fault says so too.
	StatusFault string
	// Epoch tells guards that were put back from those that were there all the while.
	Epoch string
	// Settled: the guards have been unchanged for 30 s on the leader's monotonic clock.
	Settled bool
	// Replaced: this leader has seen the guards change, or one of them missing.
	Replaced bool
}
