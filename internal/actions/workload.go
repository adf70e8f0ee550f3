package actions

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/jsonpatch"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// podTemplate is where every workload keeps the template of its pods.
var podTemplate = jsonpatch.Pointer{"spec", "template"}

// workload is what the actions need to know of a Deployment, StatefulSet or
// DaemonSet.
type workload struct {
	object   client.Object
	template corev1.PodTemplateSpec
	selector *metav1.LabelSelector
	// pods it has or should have, whichever is more.
	pods int32
	// ready pods of it.
	ready int32
	// recreates: all pods go before the first new one comes.
	recreates bool
	// unseen: its controller has not seen the latest change, so its status and history are of one before.
	unseen bool
	// held says why a changed template would not reach every pod; empty: it would.
	held string
}

// readWorkload returns the target, raw and decoded.
func readWorkload(ctx context.Context, world action.World, target action.Target) (workload, *unstructured.Unstructured, error) {
	switch target.GroupVersionKind().GroupKind() {
	case deployments:
		obj := &appsv1.Deployment{}
		raw, err := read(ctx, world.Objects, target, obj)
		return ofDeployment(obj), raw, err
	case statefulSets:
		obj := &appsv1.StatefulSet{}
		raw, err := read(ctx, world.Objects, target, obj)
		return ofStatefulSet(obj), raw, err
	case daemonSets:
		obj := &appsv1.DaemonSet{}
		raw, err := read(ctx, world.Objects, target, obj)
		return ofDaemonSet(obj), raw, err
	}
	return workload{}, nil, known(target)
}

// readRollable refuses in addition what would not roll a changed template out.
func readRollable(ctx context.Context, world action.World, target action.Target, kinds ...schema.GroupKind) (workload, *unstructured.Unstructured, error) {
	if err := known(target, kinds...); err != nil {
		return workload{}, nil, err
	}
	w, raw, err := readWorkload(ctx, world, target)
	if err == nil && w.held != "" {
		err = action.NotApplicable("%s %s", target, w.held)
	}
	return w, raw, err
}

func ofDeployment(d *appsv1.Deployment) workload {
	w := workload{
		object: d, template: d.Spec.Template, selector: d.Spec.Selector, ready: d.Status.ReadyReplicas,
		pods: max(replicas(d.Spec.Replicas), d.Status.Replicas), recreates: d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType,
		unseen: d.Status.ObservedGeneration < d.Generation,
	}
	if d.Spec.Paused {
		w.held = "is paused: a change of its template would not be rolled out"
	}
	return w
}

func ofStatefulSet(s *appsv1.StatefulSet) workload {
	w := workload{
		object: s, template: s.Spec.Template, selector: s.Spec.Selector, ready: s.Status.ReadyReplicas,
		pods: max(replicas(s.Spec.Replicas), s.Status.Replicas), unseen: s.Status.ObservedGeneration < s.Generation,
	}
	rolling := s.Spec.UpdateStrategy.RollingUpdate
	switch {
	case s.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType:
		w.held = "has the update strategy OnDelete: a change of its template reaches no pod that is there"
	case rolling != nil && rolling.Partition != nil && *rolling.Partition > 0:
		w.held = fmt.Sprintf("has its update held at partition %d: a change of its template would not reach every pod", *rolling.Partition)
	}
	return w
}

func ofDaemonSet(d *appsv1.DaemonSet) workload {
	w := workload{
		object: d, template: d.Spec.Template, selector: d.Spec.Selector, ready: d.Status.NumberReady,
		pods: max(d.Status.DesiredNumberScheduled, d.Status.CurrentNumberScheduled), unseen: d.Status.ObservedGeneration < d.Generation,
	}
	if d.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType {
		w.held = "has the update strategy OnDelete: a change of its template reaches no pod that is there"
	}
	return w
}

// replicas that are wanted: 1 unless something else is said.
func replicas(wanted *int32) int32 {
	if wanted == nil {
		return 1
	}
	return *wanted
}
