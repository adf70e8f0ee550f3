package actions

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/pkg/action"
)

// demand is what a changed workload asks its namespace and the nodes for.
type demand struct {
	// before and after are the specs of a pod before and after the change.
	before, after corev1.PodSpec
	// pods that the workload has afterwards.
	pods int32
	// present are its pods now, and unseen is how many more its status counts.
	present []corev1.Pod
	unseen  int32
	// surges: the last new pod has to start beside an old one, since the update may take none away first.
	surges bool
	// begun: pods of the new template are there already.
	begun bool
}

// hasRoom refuses a change whose pods the namespace's LimitRanges and ResourceQuotas
// would not let in, or that fit on no node: the API server judges pods only, so a dry
// run of the workload would not tell.
func (l *liveWorkload) hasRoom(ctx context.Context, d demand) error {
	d.before, d.after = admitted(d.before, l.ranges), admitted(d.after, l.ranges)
	if d.after.PriorityClassName == "" && len(d.present) > 0 {
		d.after.PriorityClassName = d.present[0].Spec.PriorityClassName // the class that the cluster gives to pods that name none
	}
	if err := withinLimitRanges(l.ranges, d.after); err != nil {
		return err
	}
	for i := range l.quotas {
		if err := withinQuota(&l.quotas[i], d); err != nil {
			return err
		}
	}
	return l.fitsANode(ctx, d)
}

// withinQuota refuses what a ResourceQuota has no room for. It is pure.
func withinQuota(quota *corev1.ResourceQuota, d demand) error {
	if !isCounted(quota, d.after) {
		return nil
	}
	hard := quota.Status.Hard
	if len(hard) == 0 {
		hard = quota.Spec.Hard
	}
	for _, name := range slices.Sorted(maps.Keys(hard)) {
		if container := withoutAmount(d.after, name); container != "" {
			return action.NotApplicable("ResourceQuota/%s lets no pod in that does not say its %s, and container %s would not", quota.Name, name, container)
		}
		if err := d.within(quota, name, hard[name]); err != nil {
			return err
		}
	}
	return nil
}

// within refuses what is beyond the limit of one resource of a ResourceQuota.
func (d demand) within(quota *corev1.ResourceQuota, name corev1.ResourceName, limit resource.Quantity) error {
	old, one := usageOf(d.before)[name], usageOf(d.after)[name]
	if one.IsZero() {
		return nil
	}
	used, known := quota.Status.Used[name]
	if !known {
		return action.NotYet(rightRetry, "how much of %s ResourceQuota/%s has in use is not known yet", name, quota.Name)
	}
	others := d.usedByOthers(quota, name, used)
	total := multiplied(one, d.pods)
	if d.surges {
		total.Add(old)
	}
	total.Add(others)
	if first := d.firstSurge(old, one, others); first.Cmp(limit) > 0 && first.Cmp(total) > 0 {
		return action.NotApplicable("ResourceQuota/%s allows %s of %s, and %s would be in use: %s by others, and %s for the first new pod beside %d old pods of %s each, "+
			"since the update takes no old pod away before a new one is available",
			quota.Name, limit.String(), name, first.String(), others.String(), one.String(), d.pods, old.String())
	}
	if total.Cmp(limit) > 0 {
		return action.NotApplicable("ResourceQuota/%s allows %s of %s, and %s would be in use: %s by others, and %s",
			quota.Name, limit.String(), name, total.String(), others.String(), d.inWords(one.String()))
	}
	return nil
}

// firstSurge is what is in use while the first new pod starts beside all old ones; where
// the new pods are the smaller ones, that is more than at the end. It is nothing where
// the update frees a pod first, and where new pods are there: which old ones are left is
// not known then.
func (d demand) firstSurge(before, after, others resource.Quantity) resource.Quantity {
	if d.begun || !d.surges {
		return resource.Quantity{}
	}
	first := multiplied(before, d.pods)
	first.Add(after)
	first.Add(others)
	return first
}

// usedByOthers is what of a quota's use is not the workload's own.
func (d demand) usedByOthers(quota *corev1.ResourceQuota, name corev1.ResourceName, used resource.Quantity) resource.Quantity {
	others := used.DeepCopy()
	for i := range d.present {
		if isCounted(quota, d.present[i].Spec) {
			others.Sub(usageOf(d.present[i].Spec)[name])
		}
	}
	others.Sub(multiplied(usageOf(d.before)[name], d.unseen))
	if others.Sign() < 0 {
		others.Sub(others)
	}
	return others
}

// inWords says what the workload needs at the most while it changes.
func (d demand) inWords(one string) string {
	words := fmt.Sprintf("%s for each of %d pods", one, d.pods)
	if d.surges {
		words += " beside one old pod, since the update takes no old pod away before a new one is available"
	}
	return words
}

// demandOf is what a changed template of a workload asks for. It is pure.
func demandOf(obj client.Object, after corev1.PodSpec, present []corev1.Pod) demand {
	d := demand{after: after, present: present}
	var counted int32
	switch w := obj.(type) {
	case *appsv1.Deployment:
		d.before, d.pods, counted = w.Spec.Template.Spec, replicas(w.Spec.Replicas), w.Status.Replicas
		d.surges = d.pods > 0 && surges(w)
	case *appsv1.StatefulSet:
		d.before, d.pods, counted = w.Spec.Template.Spec, replicas(w.Spec.Replicas), w.Status.Replicas
	case *appsv1.DaemonSet:
		d.before, d.pods, counted = w.Spec.Template.Spec, w.Status.DesiredNumberScheduled, w.Status.CurrentNumberScheduled
		rolling := w.Spec.UpdateStrategy.RollingUpdate
		d.surges = d.pods > 0 && rolling != nil && share(rolling.MaxSurge, d.pods, true) > 0
	case *appsv1.ReplicaSet:
		d.before, d.pods, counted = w.Spec.Template.Spec, replicas(w.Spec.Replicas), w.Status.Replicas
	}
	d.unseen = max(0, counted-int32(len(present))) //nolint:gosec // as many as an API server holds
	return d
}

// surges reports whether a Deployment keeps every old pod until a new one is available.
func surges(d *appsv1.Deployment) bool {
	if d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		return false
	}
	rolling, wanted := d.Spec.Strategy.RollingUpdate, replicas(d.Spec.Replicas)
	quarter := intstr.FromString("25%")
	surge, unavailable := &quarter, &quarter
	if rolling != nil && rolling.MaxSurge != nil {
		surge = rolling.MaxSurge
	}
	if rolling != nil && rolling.MaxUnavailable != nil {
		unavailable = rolling.MaxUnavailable
	}
	// Where both come to nothing, the controller takes one pod away.
	return share(unavailable, wanted, false) == 0 && share(surge, wanted, true) > 0
}

// share resolves a number or a percentage of pods; what can't be read is nothing.
func share(of *intstr.IntOrString, pods int32, up bool) int {
	n, err := intstr.GetScaledValueFromIntOrPercent(intstr.ValueOrDefault(of, intstr.FromInt32(0)), int(pods), up)
	if err != nil {
		return 0
	}
	return n
}

// standard are the resources that a ResourceQuota may name without a prefix.
func standard(name corev1.ResourceName) bool {
	return name == corev1.ResourceCPU || name == corev1.ResourceMemory || name == corev1.ResourceEphemeralStorage ||
		strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix)
}
