package actions

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// handover is how long after a Recreate began its first new ReplicaSet may come,
// beyond the grace its old pods are given to end.
const handover = 30 * time.Second

// ownLoss is how soon after a revision came the loss of availability is its own.
const ownLoss = 15 * time.Second

// servedUntil reports whether the Deployment was available when the ReplicaSet of
// its current template came, so that the revision before it served until then.
// The only witnesses are the times of its conditions:
//
//   - unavailable, or available, since before: so it was then;
//   - the rollout before ran into its deadline: it did not serve;
//   - unavailable since the revision before came: it never served;
//   - unavailable since a moment after: it was available until that moment, with
//     the old revision or with a new one that is ready for a second at each start;
//   - available since a moment after: the new one made it so, unless it restarts,
//     which flaps in the same way.
//
// A ReplicaSet that was rolled back to came long before it became current again:
// nothing is known. The revision before came at the given time. It is pure.
func servedUntil(d *appsv1.Deployment, before time.Time, newest *appsv1.ReplicaSet, restarts bool) bool {
	available := deploymentCondition(d, appsv1.DeploymentAvailable)
	if available == nil || newest.Annotations[reusedAnnotation] != "" {
		return false
	}
	came := newest.CreationTimestamp.Time
	if progressing := deploymentCondition(d, appsv1.DeploymentProgressing); progressing != nil &&
		progressing.Status == corev1.ConditionTrue && !progressing.LastTransitionTime.Time.Before(came) {
		return false // it was False until the new one came
	}
	since := available.LastTransitionTime.Time
	if available.Status == corev1.ConditionTrue {
		return since.Before(came) || restarts
	}
	return !since.Before(came.Add(-reach(d))) && !since.Before(before.Add(ownLoss))
}

// reach is how long before the new ReplicaSet its rollout may have begun: with
// Recreate the old pods go first.
func reach(d *appsv1.Deployment) time.Duration {
	if d.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType {
		return 0
	}
	grace := int64(corev1.DefaultTerminationGracePeriodSeconds)
	if given := d.Spec.Template.Spec.TerminationGracePeriodSeconds; given != nil {
		grace = *given
	}
	return time.Duration(grace)*time.Second + handover
}
