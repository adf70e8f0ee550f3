package bench

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/pkg/alert"
)

const (
	// So many plans wait in so many namespaces.
	waitingPlans, waitingSpaces = 100, 10
	// A plan is looked at every 30 s; a minute and a half later all were planned anew
	// for what the first looks had not seen yet.
	waitingSettles = 90 * time.Second
	waitingMinute  = time.Minute
	// Without any change a plan is made anew after so many minutes.
	waitingReplanMinutes = 10
)

// BenchmarkWaiting: what the operator asks of the API server in a minute in which a
// hundred plans wait for a person and nothing changes, by the audit log; what it
// asks to plan one of them anew, when their policies changed; and what both come to
// while each is planned anew every ten minutes. The renewals of the leader's lease
// are counted apart: there are as many with no remediation at all.
//
//	go test -run '^$' -bench Waiting -benchtime 1x ./test/bench
func BenchmarkWaiting(b *testing.B) {
	s := openAudited(b, kubetest.AuditRequests)
	for b.Loop() {
		spaces := s.waiting(b)
		s.pass(b, waitingSettles)
		quiet := s.requests(b, s.pass(b, waitingMinute))
		for _, ns := range spaces {
			s.raiseBudget(b, ns)
		}
		changed := s.requests(b, s.pass(b, waitingMinute))
		each := float64(changed.asked-quiet.asked) / waitingPlans
		note(b, "waiting_requests_100", figure{float64(quiet.asked), "requests/min", atMost(60).noting("no change, without the leader's lease")})
		note(b, "waiting_lease_renewals", figure{float64(quiet.renewals), "requests/min", against{}})
		note(b, "waiting_replan", figure{each, "requests", against{}})
		note(b, "waiting_requests_100_replanned", figure{float64(quiet.asked) + each*waitingPlans/waitingReplanMinutes, "requests/min", against{}.noting("each planned anew every 10 min")})
	}
}

// waiting has workloads crash in several namespaces, and returns those once every plan waits for a person.
func (s *site) waiting(b *testing.B) []string {
	b.Helper()
	var spaces []string
	for range waitingSpaces {
		ns := s.askable(b)
		spaces = append(spaces, ns)
		message := kubetest.Message(alert.Firing, s.crashLoops(b, ns, waitingPlans/waitingSpaces)...)
		if _, err := s.post(b.Context(), message); err != nil {
			b.Fatal(err)
		}
	}
	s.await(b, 5*time.Minute, "every plan to wait for a person", func(ctx context.Context) (bool, error) {
		var list v1alpha1.AlertRemediationList
		err := s.Client.List(ctx, &list)
		waiting := 0
		for i := range list.Items {
			if approved := meta.FindStatusCondition(list.Items[i].Status.Conditions, v1alpha1.Approved); approved != nil && approved.Reason == v1alpha1.ReasonAwaitingApproval {
				waiting++
			}
		}
		return waiting == waitingPlans, err
	})
	return spaces
}

// askable makes a namespace in which a person approves every plan.
func (s *site) askable(b *testing.B) string {
	b.Helper()
	ns := s.Namespace(b.Context())
	s.Create(b.Context(), build.Policy(ns, "bench", v1alpha1.ModeApprove).Rule(v1alpha1.ModeApprove, "").Obj())
	s.Grant(b.Context(), ns, kubetest.RemediatorUser(ns), rbacv1.PolicyRule{
		APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"patch"},
	})
	s.Grant(b.Context(), ns, kubetest.OperatorUser, rbacv1.PolicyRule{
		APIGroups: []string{""}, Resources: []string{"serviceaccounts"}, ResourceNames: []string{v1alpha1.RemediatorAccount}, Verbs: []string{"impersonate"},
	})
	return ns
}

// raiseBudget changes the policy of a namespace, and nothing that it says about the plans there.
func (s *site) raiseBudget(b *testing.B, ns string) {
	b.Helper()
	var found v1alpha1.RemediationPolicy
	if err := s.Client.Get(b.Context(), client.ObjectKey{Namespace: ns, Name: "bench"}, &found); err != nil {
		b.Fatal(err)
	}
	found.Spec.Limits.MaxPerHour++
	if err := s.Client.Update(b.Context(), &found); err != nil {
		b.Fatal(err)
	}
}

// span is a time in which requests are counted.
type span struct{ from, to time.Time }

// pass lets time pass, since what is measured is what is asked in a time, and returns it.
func (s *site) pass(b *testing.B, d time.Duration) span {
	b.Helper()
	from := time.Now()
	select {
	case <-time.After(d):
	case <-b.Context().Done():
		b.Fatal(context.Cause(b.Context()))
	case <-s.operator.Exited:
		b.Fatal("the operator ended by itself: " + s.operator.End())
	}
	return span{from, time.Now()}
}

// requests are what the operator sent to the API server, its leader's lease apart.
type requests struct{ asked, renewals int }

// requests counts what the operator asked for, in its own name and in that of a
// remediator, each request once.
func (s *site) requests(b *testing.B, within span) requests {
	b.Helper()
	var counted requests
	kinds, seen := map[string]int{}, map[string]bool{}
	for _, event := range s.Audit() {
		at := event.RequestReceivedTimestamp.Time
		if event.User.Username != kubetest.OperatorUser || at.Before(within.from) || !at.Before(within.to) || seen[string(event.AuditID)] {
			continue
		}
		seen[string(event.AuditID)] = true
		what, name := "", ""
		if event.ObjectRef != nil {
			what, name = strings.Trim(event.ObjectRef.Resource+"/"+event.ObjectRef.Subresource, "/"), event.ObjectRef.Name
		}
		if what == "leases" && name == "kubernaut-leader" {
			counted.renewals++
			continue
		}
		counted.asked++
		kinds[event.Verb+" "+what]++
	}
	for _, kind := range slices.SortedFunc(maps.Keys(kinds), func(x, y string) int { return kinds[y] - kinds[x] }) {
		b.Logf("%5d %s", kinds[kind], kind)
	}
	return counted
}
