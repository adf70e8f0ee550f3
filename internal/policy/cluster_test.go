package policy

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// byDefault takes the namespace's own policy away: the policy default decides, which these reservations are in.
func byDefault(r ...v1alpha1.Reservation) func(*Facts) {
	return func(f *Facts) {
		f.Policies.Value = nil
		f.Default.Value.Spec.Mode = v1alpha1.ModeAuto
		f.Default.Value.Status.Reservations = r
	}
}

var sharedBudget = map[string]row{
	"holds the namespace that spent its budget under the default": {given: byDefault(many(20)...), want: []string{"BudgetSpent Waits"}, says: "RemediationPolicy kubernaut-system/default let 20 runs be made in namespace shop within an hour"},
	"lets its neighbour through":                                  {given: byDefault(manyOf("mallory", 20)...)},
	"lets a neighbour through whose name begins alike":            {given: byDefault(append(manyOf("shop-2", 20), manyOf("sho", 20)...)...)},
	"lets through until the namespace's own places are taken":     {given: byDefault(append(manyOf("mallory", 20), many(19)...)...)},
	"holds a run made by hand under the default too":              {given: both(byHand, byDefault(many(20)...)), want: []string{"BudgetSpent Waits"}},
	"holds the operator's own namespace as any other":             {given: both(onNode, byDefault(manyOf("kubernaut-system", 20)...)), want: []string{"BudgetSpent Waits"}},
}

// clusterRuns returns so many runs of a namespace that were made so long ago.
func clusterRuns(namespace string, n int, ago time.Duration) []v1alpha1.ClusterRun {
	return slices.Repeat([]v1alpha1.ClusterRun{{Namespace: namespace, At: metav1.NewTime(noon.Add(-ago))}}, n)
}

// clusterMade is what the policy default counted in the cluster.
func clusterMade(runs ...[]v1alpha1.ClusterRun) func(*Facts) {
	return func(f *Facts) { f.Default.Value.Status.ClusterRuns = slices.Concat(runs...) }
}

func clusterMay(n int32) func(*Facts) {
	return func(f *Facts) { f.Default.Value.Spec.Limits.ClusterMaxPerHour = n }
}

// four namespaces that spent all that the cluster may make, unless it is told otherwise.
func four(ago time.Duration) [][]v1alpha1.ClusterRun {
	return [][]v1alpha1.ClusterRun{clusterRuns("a", 50, ago), clusterRuns("b", 50, ago), clusterRuns("c", 50, ago), clusterRuns("d", 50, ago)}
}

var clusterBudget = map[string]row{
	"holds the namespace that made a quarter, whatever its own policy allows": {
		given: both(clusterMade(clusterRuns("shop", 50, 20*time.Minute)), func(f *Facts) { f.Policies.Value[0].Spec.Limits.MaxPerHour = 200 }),
		want:  []string{"BudgetSpent Waits"}, says: "Namespace shop made 50 runs within an hour: that is its quarter of the 200 that the cluster may make"},
	"lets its neighbours through":                   {given: clusterMade(clusterRuns("mallory", 50, time.Minute), clusterRuns("shop-2", 50, time.Minute))},
	"lets through until the quarter is used":        {given: clusterMade(clusterRuns("shop", 49, time.Minute))},
	"lets through what an hour has passed since":    {given: clusterMade(clusterRuns("shop", 50, time.Hour))},
	"names when the namespace's next place is free": {given: clusterMade(clusterRuns("shop", 50, 20*time.Minute)), want: []string{"BudgetSpent Waits"}, says: "its next place is free at 2026-03-01T12:40:00Z"},
	"holds everything once the cluster's are used, and names no other namespace": {
		given: clusterMade(four(10 * time.Minute)...), want: []string{"BudgetSpent Waits"}, says: "The cluster made 200 runs within an hour and makes no more (limits.clusterMaxPerHour of RemediationPolicy kubernaut-system/default); the next place is free at 2026-03-01T12:50:00Z."},
	"has as many as the default says":          {given: both(clusterMay(4), clusterMade(clusterRuns("shop", 1, 0))), want: []string{"BudgetSpent Waits"}, says: "quarter of the 4"},
	"lets through where the default says more": {given: both(clusterMay(800), clusterMade(clusterRuns("shop", 199, 0)))},
	"counts in the default only": {given: func(f *Facts) {
		f.Policies.Value[0].Spec.Limits.ClusterMaxPerHour = 4
		f.Policies.Value[0].Status.ClusterRuns = clusterRuns("shop", 50, 0)
	}},
	"lets the run through that has its place":         {given: both(begins, remembers(reservedBy("ar-1-uid", "shop/ar-1-run-1", 0)), clusterMade(four(0)...))},
	"lets a plan through whose run has its place":     {given: both(remembers(reservedBy("ar-1-uid", "shop/ar-1-run-1", 0)), clusterMade(four(0)...))},
	"holds the run beside the one that has it":        {given: both(begins, remembers(otherTarget(reserved("shop/ar-1-run-2", 0))), clusterMade(four(0)...)), want: []string{"BudgetSpent Waits"}},
	"lets an undo through":                            {given: both(func(f *Facts) { f.Undo = true }, clusterMade(four(0)...))},
	"holds a run made by hand too":                    {given: both(byHand, clusterMade(four(0)...)), want: []string{"BudgetSpent Waits"}},
	"holds a run made by hand that nothing counts":    {given: func(f *Facts) { byHand(f); f.Default.Value = nil }, want: []string{"Unreadable Waits"}, says: "there is no RemediationPolicy kubernaut-system/default, which counts them"},
	"holds a run made by hand while it can't be read": {given: func(f *Facts) { byHand(f); f.Default.Err = errDown }, want: []string{"Unreadable Waits"}, says: "kubernaut-system/default"},
	"lets the undo of such a run through":             {given: func(f *Facts) { byHand(f); f.Undo, f.Default.Value = true, nil }},
}

func TestReserveInCluster(t *testing.T) {
	rows := map[string]struct {
		there   [][]v1alpha1.ClusterRun
		may     int32
		want    int    // places taken afterwards
		refused string // part of the message
	}{
		"takes the first place":                     {want: 1},
		"takes a place beside a neighbour's":        {there: [][]v1alpha1.ClusterRun{clusterRuns("mallory", 50, 0)}, want: 51},
		"takes the last of its quarter":             {there: [][]v1alpha1.ClusterRun{clusterRuns("shop", 49, 0)}, want: 50},
		"takes no more than its quarter":            {there: [][]v1alpha1.ClusterRun{clusterRuns("shop", 50, 0)}, refused: "Namespace shop made 50 runs"},
		"takes no more than the cluster has":        {there: four(0), refused: "The cluster made 200 runs"},
		"forgets what is older than an hour":        {there: four(time.Hour), want: 1},
		"holds to a cap that was lowered meanwhile": {there: [][]v1alpha1.ClusterRun{clusterRuns("mallory", 50, 0)}, may: 8, refused: "The cluster made 8 runs"},
		"keeps what the schema lets it keep":        {there: [][]v1alpha1.ClusterRun{clusterRuns("a", 200, 0), clusterRuns("b", 200, 0), clusterRuns("c", 200, 0), clusterRuns("d", 199, 0)}, may: 800, want: 800},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			p := ceiling(v1alpha1.ModeAuto)
			p.Spec.Limits.ClusterMaxPerHour = row.may
			p.Status.ClusterRuns = slices.Concat(row.there...)
			got, err := ReserveInCluster(p, "shop/ar-1-run-1", noon)
			switch {
			case row.refused != "":
				if refused := refusedBy(err); refused == nil || refused.Kind != Waits || !strings.Contains(err.Error(), row.refused) {
					t.Errorf("got %v, want a wait that says %q", err, row.refused)
				}
			case err != nil || len(got) != row.want || got[len(got)-1].Namespace != "shop":
				t.Errorf("got %d places, %v; want %d, the last of namespace shop", len(got), err, row.want)
			}
		})
	}
}

// The policy default is shared: one namespace takes neither the others' budget nor the room for their reservations.
func TestReserveInTheDefault(t *testing.T) {
	mine := reserved("shop/ar-1-run-1", 0)
	old := func(namespace string, n int) []v1alpha1.Reservation {
		all := manyOf(namespace, n)
		for i := range all {
			all[i].At = metav1.NewTime(noon.Add(-2 * time.Hour))
		}
		return all
	}
	rows := map[string]struct {
		there   []v1alpha1.Reservation
		refused string
	}{
		"a neighbour spent its budget":                   {there: manyOf("mallory", 20)},
		"the namespace spent its budget":                 {there: many(20), refused: "let 20 runs be made in namespace shop within an hour"},
		"a neighbour has what room one namespace has":    {there: old("mallory", 64)},
		"the namespace has what room one namespace has":  {there: old("shop", 64), refused: "64 of them of namespace shop"},
		"four neighbours have all the room there is":     {there: slices.Concat(old("a", 64), old("b", 64), old("c", 64), old("d", 64)), refused: "holds 256 reservations"},
		"a neighbour names the uid of the target":        {there: []v1alpha1.Reservation{reserved("mallory/by-hand", 0)}},
		"the namespace remediated the target itself":     {there: []v1alpha1.Reservation{reserved("shop/by-hand", 0)}, refused: "was the target of shop/by-hand"},
		"a run of the same name in another namespace is": {there: []v1alpha1.Reservation{reserved("mallory/ar-1-run-1", 0)}},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			p := ceiling(v1alpha1.ModeAuto)
			p.Spec.Limits.Cooldown = &metav1.Duration{Duration: 3 * time.Hour}
			p.Status.Reservations = row.there
			got, taken, err := Reserve(p, mine, noon)
			if row.refused != "" {
				if refused := refusedBy(err); refused == nil || refused.Kind != Waits || !strings.Contains(err.Error(), row.refused) {
					t.Errorf("got %v, want a wait that says %q", err, row.refused)
				}
				return
			}
			if err != nil || !taken || len(got) != len(row.there)+1 {
				t.Errorf("got %d places, %t, %v; want %d", len(got), taken, err, len(row.there)+1)
			}
		})
	}
}
