// Package action is the contract of an action: it reads, and returns a plan of
// primitive operations; it never writes. The diff a person approves, the access
// review, the dry run, the blast radius, idempotence after a crash, undo and the
// ClusterRole all follow from that one shape.
package action

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// Action is one entry of the catalogue.
type Action interface {
	// Spec says what the action is, without reading anything.
	Spec() Spec
	// Plan returns the operations that would do it to the target as it is now.
	// A *NotApplicableError says that the action's precondition does not hold.
	Plan(ctx context.Context, world World, target Target, params Params) (Plan, error)
	// Settled reports whether the effect of an applied plan has arrived.
	Settled(ctx context.Context, world World, target Target, plan Plan) (Progress, error)
}

// Enlarger is an Action that can be done by a larger step, where the step it takes
// by itself did not help.
type Enlarger interface {
	Action
	// Enlarged returns the parameters of the next larger step; false: there is none
	// after what these parameters ask for.
	Enlarged(params Params) (Params, bool)
}

// Level of kubectl kubernaut grant that lets a namespace's remediator carry an action out.
type Level string

const (
	// LevelNone: nothing has to be granted, the action changes nothing in the cluster.
	LevelNone Level = ""
	// LevelRestart: restarts only.
	LevelRestart Level = "restart"
	// LevelScale: restarts, and how many there are.
	LevelScale Level = "scale"
	// LevelFull: every action on namespaced objects.
	LevelFull Level = "full"
	// LevelNode: the actions on nodes, from the operator's own namespace only.
	LevelNode Level = "node"
)

// Spec describes an action; documents, roles and schemas are generated from it.
type Spec struct {
	// Name by which remedies, policies and steps refer to it.
	Name string
	// Summary is one sentence for a person.
	Summary string
	// Kinds the action can change; none: it is for any.
	Kinds []schema.GroupKind
	// Parameters it takes; any other is refused.
	Parameters []Parameter
	// Risk of a plan, unless the plan itself says a higher one.
	Risk v1alpha1.Risk
	// Level of grant that lets it run.
	Level Level
	// Rules are the RBAC rules the tenant's account needs for Plan's operations and their undos.
	Rules []rbacv1.PolicyRule
	// Contains: it keeps a fault from spreading and cures nothing. It is taken back
	// once the target has become well by itself, and stays while it has not.
	Contains bool
	// Irreversible says why it can't be undone; empty when it can.
	Irreversible string
}

// Target is the object an action changes, one incarnation of it.
type Target = v1alpha1.TargetReference

// World is what an action may see.
type World struct {
	// Objects reads the cluster, live.
	Objects client.Reader
	// History knows the revisions of a workload.
	History History
	// Stamp names this step's effect, as remediation/attempt/step: the same after a restart, and never a clock.
	Stamp string
	// Now is the time of planning, which only decides whether there is a plan: no
	// operation and no digest depends on it. The zero value is the present.
	Now time.Time
	// ByHand: a user asks for this change. Whether the target needs a cure is then
	// for the user to say; the state that it returns to is checked all the same.
	ByHand bool
}

// Time of planning.
func (w World) Time() time.Time {
	if w.Now.IsZero() {
		return time.Now()
	}
	return w.Now
}

// History knows the revisions of a workload.
type History interface {
	// Revisions returns the revisions of a workload (*appsv1.Deployment, StatefulSet
	// or DaemonSet, as it was just read), newest first.
	Revisions(ctx context.Context, workload client.Object) ([]Revision, error)
}

// Revision of a workload, as its ReplicaSet or ControllerRevision keeps it.
type Revision struct {
	// Number counts up; a rollback gets a new one.
	Number int64
	// Name of the object that keeps it.
	Name string
	// Template of its pods, without what the workload controller added.
	Template corev1.PodTemplateSpec
	// CreatedAt is when it was first rolled out.
	CreatedAt time.Time
	// RolledOutAfter and RolledOutBefore are the bounds of when it was last rolled out; they are
	// the same where that is known. One that was returned to was there long before.
	RolledOutAfter, RolledOutBefore time.Time
	// TroubledAfter and TroubledBefore are the bounds of when the present trouble of its
	// pods began, by the pods' own status; zero where they have none.
	TroubledAfter, TroubledBefore time.Time
	// RanBefore is true if one of its pods that crash now existed for long before it began to.
	RanBefore bool
	// Current is true for the one the workload asks for now.
	Current bool
	// ReadyPods of this revision now.
	ReadyPods int32
	// WasAvailable is true when the workload was available with it until the next
	// revision came. It is not asked of one that has a ready pod.
	WasAvailable bool
}

// Healthy reports whether the revision may be returned to: a pod of it is ready
// now, or it served until the one after it came.
func (r Revision) Healthy() bool {
	return r.ReadyPods > 0 || r.WasAvailable
}

// Plan is what an action would do: operations in order, and how far they reach.
type Plan struct {
	// Operations in order; empty for an action that changes nothing in the cluster.
	Operations []Operation
	// Pods that would be replaced or removed.
	Pods int32
	// Risk of this plan where it is higher than the action's; empty: the action's.
	Risk v1alpha1.Risk
	// NotChecked names what the new state depends on and the plan could not check, each in
	// a few words. It is shown, and no part of the digest.
	NotChecked []string
}

// Operation is one primitive change and the change that takes it back.
type Operation struct {
	v1alpha1.Operation
	// Undo takes it back; nil: it can't be, and the Spec says why.
	Undo *v1alpha1.Operation
}

// Regrows reports whether an operation removes a pod, which its owner makes
// again: beside a change that can be taken back, nothing of it has to be.
func Regrows(op v1alpha1.Operation) bool {
	removes := op.Verb == v1alpha1.VerbDelete || op.Verb == v1alpha1.VerbEvict
	return removes && op.Object.APIVersion == "v1" && op.Object.Kind == "Pod"
}

// Progress of an applied plan towards its effect.
type Progress struct {
	// Done: the effect has arrived.
	Done bool
	// Failed: the effect can't arrive any more.
	Failed bool
	// Message says what is awaited, or what went wrong.
	Message string
}

// NotApplicableError says that an action's own precondition does not hold.
type NotApplicableError struct {
	// Why in one sentence, for a person.
	Why string
}

func (e *NotApplicableError) Error() string { return e.Why }

// NotApplicable returns a *NotApplicableError with a formatted sentence.
func NotApplicable(format string, args ...any) error {
	return &NotApplicableError{Why: fmt.Sprintf(format, args...)}
}

// NotYetError says that an action's own precondition can't be judged yet: the
// target is well for too short a time, or something it depends on can't be read.
// The caller plans again later.
type NotYetError struct {
	// Why in one sentence, for a person.
	Why string
	// After is when planning again can lead to another answer; zero: not known.
	After time.Duration
}

func (e *NotYetError) Error() string { return e.Why }

// NotYet returns a *NotYetError with a formatted sentence.
func NotYet(after time.Duration, format string, args ...any) error {
	return &NotYetError{Why: fmt.Sprintf(format, args...), After: after}
}

// ErrUnknownAction means that the catalogue has no action of that name.
var ErrUnknownAction = errors.New("unknown action")

// Catalog holds the actions by name, in the order they were given.
type Catalog struct {
	byName map[string]Action
	names  []string
}

// NewCatalog returns a catalogue of the actions. Two actions of one name are a
// mistake in the program and an error here.
func NewCatalog(actions ...Action) (Catalog, error) {
	c := Catalog{byName: make(map[string]Action, len(actions))}
	for _, a := range actions {
		name := a.Spec().Name
		if _, taken := c.byName[name]; taken {
			return Catalog{}, fmt.Errorf("building the action catalogue: %s is there twice", name)
		}
		c.byName[name] = a
		c.names = append(c.names, name)
	}
	return c, nil
}

// Find returns the action of that name, or an error that wraps ErrUnknownAction.
func (c Catalog) Find(name string) (Action, error) {
	a, ok := c.byName[name]
	if !ok {
		return nil, fmt.Errorf("finding action %q: %w", name, ErrUnknownAction)
	}
	return a, nil
}

// Specs returns the specification of every action, in the order they were given.
func (c Catalog) Specs() []Spec {
	specs := make([]Spec, 0, len(c.names))
	for _, name := range c.names {
		specs = append(specs, c.byName[name].Spec())
	}
	return specs
}
