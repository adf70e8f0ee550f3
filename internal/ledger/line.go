package ledger

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/redact"
)

// maxText is how much of a text a line carries, in bytes.
const maxText = 1024

// Line is one transition.
type Line struct {
	// Time at which it was seen.
	Time string `json:"time"`
	// ID is the same in the lines of all replicas that saw this transition stored.
	ID string `json:"id"`
	// Version of the object, its resourceVersion, which shows it so.
	Version string `json:"version,omitempty"`
	// Kind, Namespace, Name and UID of the object.
	Kind      string    `json:"kind"`
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	UID       types.UID `json:"uid"`
	// What went from one state to the next: a condition, Alert, Approval, Operation, Pause, or the object itself.
	What string `json:"what"`
	// From and To are the states; From is empty for what is new.
	From string `json:"from,omitempty"`
	To   string `json:"to"`
	// Message says why, in a sentence.
	Message string `json:"message,omitempty"`
	// Actor is who decided, or as whom it was done, where that is known.
	Actor string `json:"actor,omitempty"`
	// Operation on a tenant's object.
	Operation string `json:"operation,omitempty"`
	// Place of the operation in its run, from 0: step/operation.
	Place string `json:"place,omitempty"`
	// Digest of the plan it is about.
	Digest string `json:"digest,omitempty"`
	// Found means that it was so when this replica began to watch, since whenever.
	Found bool `json:"found,omitempty"`
}

// transitions returns what happened to an object, each with its id. It is pure.
func transitions(before, after any) []Line {
	var lines []Line
	switch now := after.(type) {
	case *v1alpha1.AlertRemediation:
		was, _ := before.(*v1alpha1.AlertRemediation)
		lines = remediation(was, now)
	case *v1alpha1.WorkflowRun:
		was, _ := before.(*v1alpha1.WorkflowRun)
		lines = run(was, now)
	case *v1alpha1.RemediationPolicy:
		was, _ := before.(*v1alpha1.RemediationPolicy)
		lines = policy(was, now)
	}
	for i := range lines {
		lines[i].Version = after.(client.Object).GetResourceVersion()
		lines[i].ID = lines[i].id()
	}
	return lines
}

// id is a digest of which object came to which state by which write. From where is
// no part of it: a replica whose watch broke off may have missed the states between.
func (l Line) id() string {
	parts := []string{string(l.UID), l.Version, l.What, l.To, l.Actor, l.Message, l.Operation, l.Place}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:8])
}

// lately is for how long after its end an object is still found by a replica that
// begins to watch: the longest that the kubelet lets a container wait which ends
// again and again, and a minute to start.
const lately = 6 * time.Minute

// stands reports whether there may be something about an object that nobody has
// written a line of. Which writes of a live one were missed can't be told (a condition
// knows when its status changed, not its reason), so it is found whole. It is pure.
func stands(obj any, now time.Time) bool {
	switch o := obj.(type) {
	case *v1alpha1.AlertRemediation:
		return !o.Finished() || now.Sub(ended(o)) < lately || o.Status.Alert != nil && now.Sub(o.Status.Alert.LastReceivedAt.Time) < lately
	case *v1alpha1.WorkflowRun:
		return !o.Finished() || now.Sub(o.Status.FinishedAt.Time) < lately
	}
	return true
}

func about(kind string, obj client.Object) Line {
	return Line{Kind: kind, Namespace: obj.GetNamespace(), Name: obj.GetName(), UID: obj.GetUID()}
}

// stages is the order in which the conditions of one write follow from each other.
var stages = []string{
	v1alpha1.Admitted, v1alpha1.Diagnosed, v1alpha1.Planned, v1alpha1.Approved, v1alpha1.Executed, v1alpha1.Verified, v1alpha1.RolledBack, v1alpha1.Succeeded,
}

// remediation returns the transitions of an AlertRemediation. It is pure.
func remediation(was, now *v1alpha1.AlertRemediation) []Line {
	line := about("AlertRemediation", now)
	if was == nil {
		was = &v1alpha1.AlertRemediation{}
		line.What, line.To = "AlertRemediation", "Created"
		line.Message = redact.Line(string(now.Spec.Alert.Source)+": "+now.Spec.Alert.Name, maxText)
	}
	var lines []Line
	if line.To != "" {
		lines = append(lines, line)
	}
	if now.Status.Plan != nil {
		line.Digest = now.Status.Plan.Digest
	}
	if word := now.Spec.Approval; word != nil && !equality.Semantic.DeepEqual(was.Spec.Approval, word) {
		given := line
		given.What, given.To, given.Actor, given.Digest = "Approval", string(word.Decision), redact.Line(word.By, maxText), word.PlanDigest
		given.Message = redact.Line(word.Reason, maxText)
		lines = append(lines, given)
	}
	before, after, fresh := was.AlertState(), now.AlertState(), line.To != ""
	if fresh && now.Status.Alert != nil {
		before = "" // to whoever did not see it stop, one that fires again looks as if it always had
	}
	if before != after && now.Status.Alert != nil {
		heard := line
		heard.What, heard.From, heard.To, heard.Message = "Alert", string(before), string(after), ""
		lines = append(lines, heard)
	}
	return append(lines, conditions(line, was.Status.Conditions, now.Status.Conditions)...)
}

// conditions returns a line for each that changed its status or its reason.
func conditions(line Line, was, now []metav1.Condition) []Line {
	var lines []Line
	for _, stage := range stages {
		before, after := meta.FindStatusCondition(was, stage), meta.FindStatusCondition(now, stage)
		if after == nil || before != nil && before.Status == after.Status && before.Reason == after.Reason {
			continue
		}
		line.What, line.From, line.To, line.Message = stage, "", state(after), redact.Line(after.Message, maxText)
		if before != nil {
			line.From = state(before)
		}
		lines = append(lines, line)
	}
	return lines
}

func state(c *metav1.Condition) string { return string(c.Status) + "/" + c.Reason }

// run returns the transitions of a WorkflowRun. It is pure.
func run(was, now *v1alpha1.WorkflowRun) []Line {
	line := about("WorkflowRun", now)
	line.Digest = now.Spec.PlanDigest
	var lines []Line
	if was == nil {
		was = &v1alpha1.WorkflowRun{}
		created := line
		created.What, created.To = "WorkflowRun", "Created"
		lines = append(lines, created)
	}
	line.Actor = now.Status.Actor
	for i, step := range now.Status.Steps {
		for j, op := range step.Operations {
			before := stateOf(was, i, j)
			if op.State == "" || op.State == before {
				continue
			}
			done := line
			done.What, done.From, done.To = "Operation", string(before), string(op.State)
			done.Place = fmt.Sprintf("%d/%d", i, j)
			done.Operation = redact.Line(string(op.Verb)+" "+op.Object.String(), maxText)
			lines = append(lines, done)
		}
	}
	return append(lines, conditions(line, was.Status.Conditions, now.Status.Conditions)...)
}

// stateOf is the state that an operation had, if there was one.
func stateOf(run *v1alpha1.WorkflowRun, step, op int) v1alpha1.OperationState {
	if step >= len(run.Status.Steps) || op >= len(run.Status.Steps[step].Operations) {
		return ""
	}
	return run.Status.Steps[step].Operations[op].State
}

// policy returns the transitions of a RemediationPolicy: who may do how much, and
// who pauses it. It is pure.
func policy(was, now *v1alpha1.RemediationPolicy) []Line {
	line := about("RemediationPolicy", now)
	var before v1alpha1.RemediationPolicySpec
	if was != nil {
		before = was.Spec
	}
	var lines []Line
	note := func(what, from, to string) {
		if from != to {
			line.What, line.From, line.To = what, from, to
			lines = append(lines, line)
		}
	}
	note("Mode", string(before.Mode), string(now.Spec.Mode))
	note("Ceiling", string(before.Ceiling), string(now.Spec.Ceiling))
	return append(lines, pauses(line, before.PauseRequests, now.Spec.PauseRequests)...)
}

func pauses(line Line, was, now []v1alpha1.PauseRequest) []Line {
	var lines []Line
	change := func(all, others []v1alpha1.PauseRequest, to string) {
		for _, request := range all {
			if slices.ContainsFunc(others, func(other v1alpha1.PauseRequest) bool { return equality.Semantic.DeepEqual(other, request) }) {
				continue
			}
			line.What, line.From, line.To = "Pause", "", to
			line.Actor, line.Message = redact.Line(request.By, maxText), cmp.Or(redact.Line(request.Reason, maxText), "no reason given")
			lines = append(lines, line)
		}
	}
	change(now, was, "Requested")
	change(was, now, "Withdrawn")
	return lines
}
