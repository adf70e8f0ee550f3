// Package trigger makes remediations of what the operator sees by itself, for
// those who have no Alertmanager and those whose alerts are slow. A policy opts
// in, trouble by trouble; without one nothing is watched and nothing is cached.
package trigger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/phase"
)

// resolver finds the owner at the top of an object.
type resolver interface {
	Climb(ctx context.Context, ref v1alpha1.ObjectReference) (v1alpha1.TargetReference, error)
}

// Needs are the parts of the house this controller works with.
type Needs struct {
	Client   client.Client
	Live     client.Reader // past the cache: what was made a moment ago must not be made again
	Clock    clock.PassiveClock
	Resolver resolver
	Events   events.EventRecorder // tell people what got no remediation
}

// Config is what the reconciler is told about its surroundings.
type Config struct {
	// Namespace of the operator.
	Namespace string
	// Cluster is the name of this cluster, if it has one.
	Cluster string
	// Namespaces whose triggers count, beside the operator's own; "*": all.
	Namespaces []string
}

// allNamespaces in Config.Namespaces.
const allNamespaces = "*"

// allows reports whether the operator may look at a namespace by itself.
func (c Config) allows(namespace string) bool {
	return namespace == c.Namespace || slices.Contains(c.Namespaces, namespace) || slices.Contains(c.Namespaces, allNamespaces)
}

// subject is what is looked at: an object that may show a sign, a policy that may
// have triggers, a remediation whose trouble may be over.
type subject struct {
	kind string
	types.NamespacedName
}

// The kinds of subjects.
const (
	pods         = "Pod"
	deployments  = "Deployment"
	nodes        = "Node"
	policies     = "RemediationPolicy"
	remediations = "AlertRemediation"
)

// shownBy says which kind of object shows a trouble.
var shownBy = map[v1alpha1.TriggerKind]string{
	v1alpha1.TriggerCrashLoop:    pods,
	v1alpha1.TriggerOOMKill:      pods,
	v1alpha1.TriggerImagePull:    pods,
	v1alpha1.TriggerStuckRollout: deployments,
	v1alpha1.TriggerNodeNotReady: nodes,
}

// Reconciler makes AlertRemediations with source Watch, and says when their
// trouble is over. It has one worker: its memory needs no lock.
type Reconciler struct {
	Needs
	config   Config
	watch    func(kind string) error
	watching map[string]bool
	denied   map[types.NamespacedName]int64 // generation of each policy that was told so
	memory   map[subject]map[v1alpha1.TriggerKind]memory
}

// memory of a sign: losing it costs the time that it was held.
type memory struct {
	since time.Time // when it was first seen
	next  time.Time // before this there is nothing new to find out
}

// New returns a reconciler.
func New(needs Needs, config Config) *Reconciler {
	return &Reconciler{
		Needs: needs, config: config, watch: func(string) error { return nil },
		watching: map[string]bool{}, denied: map[types.NamespacedName]int64{}, memory: map[subject]map[v1alpha1.TriggerKind]memory{},
	}
}

// SetupWithManager registers the reconciler. What may show signs is watched from
// the first policy on that asks for it.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	options := phase.Workers(1, func(s subject) string { return s.Namespace })
	options.Reconciler = r
	c, err := controller.NewTyped("trigger", mgr, options)
	if err != nil {
		return fmt.Errorf("building the controller: %w", err)
	}
	r.watch = func(kind string) error {
		return c.Watch(source.TypedKind(mgr.GetCache(), empty(kind), r.enqueue(kind)))
	}
	for _, kind := range []string{policies, remediations} {
		if err := r.watch(kind); err != nil {
			return fmt.Errorf("watching %s: %w", kind, err)
		}
	}
	return nil
}

// empty returns an object of a subject's kind.
func empty(kind string) client.Object {
	switch kind {
	case pods:
		return &corev1.Pod{}
	case deployments:
		return &appsv1.Deployment{}
	case nodes:
		return &corev1.Node{}
	case policies:
		return &v1alpha1.RemediationPolicy{}
	}
	return &v1alpha1.AlertRemediation{}
}

// enqueue lets through what shows a sign or did a moment ago, and what has gone.
func (r *Reconciler) enqueue(kind string) handler.TypedEventHandler[client.Object, subject] {
	type queue = workqueue.TypedRateLimitingInterface[subject]
	add := func(obj client.Object, q queue) { q.Add(subject{kind, client.ObjectKeyFromObject(obj)}) }
	return handler.TypedFuncs[client.Object, subject]{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) {
			if r.concerns(e.Object) {
				add(e.Object, q)
			}
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			if r.concerns(e.ObjectNew) || r.concerns(e.ObjectOld) {
				add(e.ObjectNew, q)
			}
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { add(e.Object, q) },
	}
}

// concerns reports whether there may be anything to do about an object.
func (r *Reconciler) concerns(obj client.Object) bool {
	switch o := obj.(type) {
	case *v1alpha1.RemediationPolicy:
		return len(o.Spec.Triggers) > 0
	case *v1alpha1.AlertRemediation:
		return o.Spec.Alert.Source == v1alpha1.SourceWatch && o.Spec.Target != nil && !o.Finished()
	}
	return len(signs(obj, r.Clock.Now())) > 0
}

// Reconcile looks at one subject.
func (r *Reconciler) Reconcile(ctx context.Context, s subject) (ctrl.Result, error) {
	obj := empty(s.kind)
	err := r.Client.Get(ctx, s.NamespacedName, obj)
	if apierrors.IsNotFound(err) {
		delete(r.memory, s)
		if s.kind == policies {
			delete(r.denied, s.NamespacedName)
		}
		return ctrl.Result{}, nil
	}
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("reading %s %s: %w", s.kind, s.NamespacedName, err)
	}
	switch o := obj.(type) {
	case *v1alpha1.RemediationPolicy:
		return r.follow(ctx, o)
	case *v1alpha1.AlertRemediation:
		return r.listen(ctx, o)
	}
	return r.look(ctx, s, obj)
}

// follow watches what a policy's triggers are about, and looks at what was there
// before the policy.
func (r *Reconciler) follow(ctx context.Context, policy *v1alpha1.RemediationPolicy) (ctrl.Result, error) {
	if !r.config.allows(policy.Namespace) {
		r.deny(policy)
		return ctrl.Result{}, nil
	}
	var soonest ctrl.Result
	for _, kind := range shown(policy.Spec.Triggers) {
		if kind == nodes && policy.Namespace != r.config.Namespace {
			continue // nodes are in no namespace: only the operator's own policies are about them
		}
		if !r.watching[kind] {
			if err := r.watch(kind); err != nil {
				return ctrl.Result{}, fmt.Errorf("watching %ss: %w", kind, err)
			}
			r.watching[kind] = true
		}
		again, err := r.lookAround(ctx, kind, policy.Namespace)
		if err != nil {
			return ctrl.Result{}, err
		}
		soonest = sooner(soonest, again)
	}
	return soonest, nil
}

// deny tells the users of a policy that its triggers do not count, once for each
// version of it.
func (r *Reconciler) deny(policy *v1alpha1.RemediationPolicy) {
	key := client.ObjectKeyFromObject(policy)
	if len(policy.Spec.Triggers) == 0 || r.denied[key] == policy.Generation {
		return
	}
	r.denied[key] = policy.Generation
	r.Events.Eventf(policy, nil, corev1.EventTypeWarning, "TriggersNotAllowed", "Look",
		"the triggers of namespace %s do not count: the operator's configuration does not name it in triggers.namespaces", policy.Namespace)
}

// shown returns the kinds of objects that show what triggers are about.
func shown(triggers []v1alpha1.PolicyTrigger) []string {
	var kinds []string
	for _, t := range triggers {
		if kind := shownBy[t.Kind]; !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// lookAround looks at all objects that a policy of this namespace may decide
// about. One that can't be looked at keeps nobody from the others.
func (r *Reconciler) lookAround(ctx context.Context, kind, namespace string) (ctrl.Result, error) {
	if namespace == r.config.Namespace {
		namespace = "" // its default is for those that have none
	}
	var soonest ctrl.Result
	objs, err := r.list(ctx, kind, namespace)
	if err != nil {
		return ctrl.Result{}, err
	}
	var faults []error
	for _, obj := range objs {
		again, err := r.look(ctx, subject{kind, client.ObjectKeyFromObject(obj)}, obj)
		faults = append(faults, err)
		soonest = sooner(soonest, again)
	}
	return soonest, errors.Join(faults...)
}

// list returns the cached objects of a kind that show something now.
func (r *Reconciler) list(ctx context.Context, kind, namespace string) ([]client.Object, error) {
	list := map[string]client.ObjectList{pods: &corev1.PodList{}, deployments: &appsv1.DeploymentList{}, nodes: &corev1.NodeList{}}[kind]
	// Nobody changes what is listed here, and it may be every pod of the cluster.
	if err := r.Client.List(ctx, list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing %ss: %w", kind, err)
	}
	var showing []client.Object
	err := meta.EachListItem(list, func(item runtime.Object) error {
		if obj := item.(client.Object); r.concerns(obj) {
			showing = append(showing, obj)
		}
		return nil
	})
	return showing, err
}

// sooner returns the result that comes back first.
func sooner(a, b ctrl.Result) ctrl.Result {
	if a.RequeueAfter == 0 || b.RequeueAfter > 0 && b.RequeueAfter < a.RequeueAfter {
		return b
	}
	return a
}
