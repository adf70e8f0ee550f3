package policy

import (
	"errors"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

const (
	// defaultClusterMaxPerHour holds where the policy default says nothing. It is no
	// default of the schema, which would show it in policies where it does not count.
	defaultClusterMaxPerHour = 200
	// clusterShares: no namespace uses more than one of so many equal parts of what
	// the namespaces of a cluster share.
	clusterShares = 4
)

// clusterSpent (12): the namespace made its quarter of the runs that the cluster may
// make within an hour, or all of them were made.
func clusterSpent(v view) []Refusal {
	p := v.Default.Value
	switch {
	case v.Default.Err != nil:
		return unreadable(defaultPolicy(v), v.Default.Err)
	case p == nil && v.byHand():
		return []Refusal{uncounted(v.Operator)}
	case p == nil:
		return nil // the mode is Observe, in which no run is made
	case slices.ContainsFunc(v.places(), v.reserved):
		return nil // the place in the cluster was taken before the reservation was made
	}
	if no, refused := overCluster(p, v.Namespace(), v.Now); refused {
		return []Refusal{no}
	}
	return nil
}

// ReserveInCluster returns the runs that the policy default counts for the cluster,
// with one more of a namespace and without those that no longer count. A
// *RefusedError says why there is no place for it.
func ReserveInCluster(p *v1alpha1.RemediationPolicy, run string, now time.Time) ([]v1alpha1.ClusterRun, error) {
	namespace := runNamespace(run)
	if no, refused := overCluster(p, namespace, now); refused {
		return nil, &RefusedError{no}
	}
	counted := slices.DeleteFunc(slices.Clone(p.Status.ClusterRuns), func(r v1alpha1.ClusterRun) bool {
		return !now.Before(r.At.Add(budgetHour))
	})
	return append(counted, v1alpha1.ClusterRun{Namespace: namespace, At: metav1.NewTime(now)}), nil
}

// Uncounted is the refusal of a run while there is no policy default that counts the
// runs of the cluster.
func Uncounted(operator string) error { return &RefusedError{uncounted(operator)} }

func uncounted(operator string) Refusal {
	return unreadable("how many runs the cluster made within an hour", errors.New(
		"there is no RemediationPolicy "+operator+"/"+v1alpha1.DefaultPolicyName+", which counts them; the operator creates it when it starts: "+
			"kubectl -n "+operator+" rollout restart deployment -l app.kubernetes.io/name=kubernaut"))[0]
}

// overCluster reports whether one more run of a namespace is too many, and says why.
func overCluster(p *v1alpha1.RemediationPolicy, namespace string, now time.Time) (Refusal, bool) {
	limit := clusterMaxPerHour(p)
	share := limit / clusterShares
	var all, mine []time.Time
	for _, r := range p.Status.ClusterRuns {
		all = append(all, r.At.Time)
		if r.Namespace == namespace {
			mine = append(mine, r.At.Time)
		}
	}
	if free, ok := nextFree(mine, share, now); !ok {
		return refusal(Waits, v1alpha1.ReasonBudgetSpent,
			"Namespace %s made %d runs within an hour: that is its quarter of the %d that the cluster may make, and no namespace makes more "+
				"(limits.clusterMaxPerHour of RemediationPolicy %s); its next place is free at %s.",
			namespace, share, limit, name(p), free.UTC().Format(time.RFC3339)), true
	}
	if free, ok := nextFree(all, limit, now); !ok {
		return refusal(Waits, v1alpha1.ReasonBudgetSpent,
			"The cluster made %d runs within an hour and makes no more (limits.clusterMaxPerHour of RemediationPolicy %s); the next place is free at %s.",
			limit, name(p), free.UTC().Format(time.RFC3339)), true
	}
	return Refusal{}, false
}

func clusterMaxPerHour(p *v1alpha1.RemediationPolicy) int {
	if p.Spec.Limits.ClusterMaxPerHour == 0 {
		return defaultClusterMaxPerHour
	}
	return int(p.Spec.Limits.ClusterMaxPerHour)
}
