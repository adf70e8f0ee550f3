package bench

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/pkg/alert"
)

const (
	stormBodies   = 500 // of bodySize alerts: 10,000
	stormDistinct = 1000
	// The bodies are sent within stormLasts, which leaves ten seconds of the minute
	// for what is answered late or was told to come again.
	stormLasts  = 50 * time.Second
	stormWithin = 60 * time.Second
	// So many of the thousand are about workloads that crash, and so many may be healed within an hour.
	stormSick   = 40
	stormBudget = 5
)

// BenchmarkStorm: ten thousand alerts, of a thousand that differ, within a minute:
// how long a sender waits until its alerts are taken, how often it is told to come
// again (and nothing else), what the operator's memory grows to, that none is lost,
// and that no more is done about them than the budget allows.
//
//	go test -run '^$' -bench Storm -benchtime 1x ./test/bench
func BenchmarkStorm(b *testing.B) {
	s := open(b)
	for b.Loop() {
		ns := s.healable(b, func(p *v1alpha1.RemediationPolicy) { p.Spec.Limits.MaxPerHour = stormBudget })
		taken := s.storm(b, ns)
		_, peak, err := s.operator.Resident()
		if err != nil {
			b.Fatal(err)
		}
		var list v1alpha1.AlertRemediationList
		if err := s.Client.List(b.Context(), &list, client.InNamespace(ns)); err != nil {
			b.Fatal(err)
		}
		if len(list.Items) != stormDistinct {
			b.Fatalf("%d remediations were made of %d alerts that differ", len(list.Items), stormDistinct)
		}
		s.withinBudget(b, ns)
		note(b, "storm_ack_p50", figure{taken.after[len(taken.after)/2].Seconds() * 1000, "ms", against{}})
		note(b, "storm_ack_p99", figure{taken.after[len(taken.after)*99/100].Seconds() * 1000, "ms", below(500)})
		note(b, "storm_lasted", figure{taken.within.Seconds(), "s", atMost(stormWithin.Seconds())})
		note(b, "storm_503s", figure{float64(taken.again), "answers", against{}})
		note(b, "rss_storm", figure{float64(peak) / (1 << 20), "MiB", below(128).noting("peak")})
	}
}

// healable makes a namespace in which the operator may heal by itself, as a policy says.
func (s *site) healable(b *testing.B, says func(*v1alpha1.RemediationPolicy)) string {
	b.Helper()
	ns := s.Namespace(b.Context())
	s.Create(b.Context(), build.Policy(ns, "bench", v1alpha1.ModeAuto).Rule(v1alpha1.ModeAuto, "").With(says).Obj())
	s.Grant(b.Context(), ns, kubetest.RemediatorUser(ns), rbacv1.PolicyRule{
		APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"patch"},
	})
	s.Grant(b.Context(), ns, kubetest.OperatorUser, rbacv1.PolicyRule{
		APIGroups: []string{""}, Resources: []string{"serviceaccounts"}, ResourceNames: []string{v1alpha1.RemediatorAccount}, Verbs: []string{"impersonate"},
	})
	return ns
}

// withinBudget waits until everything that crashes is being healed or held back,
// and fails if more is done than the policy allows.
func (s *site) withinBudget(b *testing.B, ns string) {
	b.Helper()
	s.await(b, 2*time.Minute, "every crash loop to be healed or held back", func(ctx context.Context) (bool, error) {
		var list v1alpha1.AlertRemediationList
		err := s.Client.List(ctx, &list, client.InNamespace(ns))
		made, held := 0, 0
		for i := range list.Items {
			approved := meta.FindStatusCondition(list.Items[i].Status.Conditions, v1alpha1.Approved)
			switch {
			case list.Items[i].Status.RunRef != "":
				made++
			case approved != nil && approved.Reason == v1alpha1.ReasonBudgetSpent:
				held++
			}
		}
		return made+held == stormSick, err
	})
	var runs v1alpha1.WorkflowRunList
	if err := s.Client.List(b.Context(), &runs, client.InNamespace(ns)); err != nil {
		b.Fatal(err)
	}
	if len(runs.Items) != stormBudget {
		b.Fatalf("%d runs were made, and the budget is %d", len(runs.Items), stormBudget)
	}
}

// taken is what the senders of a storm saw.
type taken struct {
	after  []time.Duration // how long each body took from its first post until it was taken, the quickest first
	again  int             // how often one was told to come again
	within time.Duration   // from the first post until all were taken
}

// storm posts the bodies at an even pace, each until it is taken.
func (s *site) storm(b *testing.B, ns string) taken {
	b.Helper()
	var (
		mu  sync.Mutex
		all taken
	)
	sick := s.crashLoops(b, ns, stormSick)
	pace := time.NewTicker(stormLasts / stormBodies)
	defer pace.Stop()
	began := time.Now()
	group, ctx := errgroup.WithContext(b.Context())
	for i := range stormBodies {
		<-pace.C
		group.Go(func() error {
			began := time.Now()
			again, err := s.post(ctx, stormBody(ns, sick, i))
			mu.Lock()
			defer mu.Unlock()
			all.after = append(all.after, time.Since(began))
			all.again += again
			return err
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	all.within = time.Since(began)
	slices.Sort(all.after)
	return all
}

// stormBody mixes alerts of all ages: each of the thousand comes ten times.
func stormBody(ns string, sick []map[string]string, i int) []byte {
	var alerts []map[string]string
	for j := range bodySize {
		n := (i*bodySize + j) * 7 % stormDistinct
		if n < len(sick) {
			alerts = append(alerts, sick[n])
			continue
		}
		alerts = append(alerts, map[string]string{"alertname": "QueueTooLong", "namespace": ns, "queue": strconv.Itoa(n)})
	}
	return kubetest.Message(alert.Firing, alerts...)
}
