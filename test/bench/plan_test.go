package bench

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/pkg/alert"
)

const (
	// atOnce is how many workloads begin to crash in the same moment.
	atOnce = 100
	// said is how many warnings are in their namespace that are about others.
	said = 300
)

// BenchmarkPlan: from the first byte of a message about a hundred crash loops of
// one namespace to the write that records each plan, by the API server's audit log.
//
//	go test -run '^$' -bench Plan -benchtime 1x ./test/bench
func BenchmarkPlan(b *testing.B) {
	s := open(b)
	for b.Loop() {
		ns := s.tenant(b)
		s.Warnings(b.Context(), ns, said)
		alerts := s.crashLoops(b, ns, atOnce)
		s.report(b, s.tenant(b), 1) // not measured: the API server has taken in what was made, and both have started
		began := s.tell(b, ns, alerts)
		waited := s.planned(b, ns, began)
		note(b, "plan_p50_100", figure{waited[len(waited)/2].Seconds(), "s", against{}})
		note(b, "plan_p95_100", figure{waited[len(waited)*95/100].Seconds(), "s", below(2)})
	}
}

// tenant makes a namespace whose alerts get a plan that is recommended.
func (s *site) tenant(b *testing.B) string {
	b.Helper()
	ns := s.Namespace(b.Context())
	s.Create(b.Context(), build.Policy(ns, "bench", v1alpha1.ModeRecommend).Obj())
	return ns
}

// report has so many workloads crash, and waits until each has a plan.
func (s *site) report(b *testing.B, ns string, many int) {
	b.Helper()
	s.tell(b, ns, s.crashLoops(b, ns, many))
}

// tell posts one message about crash loops, and waits until each has ended with a
// plan that is recommended. It returns when it began to post.
func (s *site) tell(b *testing.B, ns string, alerts []map[string]string) time.Time {
	b.Helper()
	began := time.Now()
	if _, err := s.post(b.Context(), kubetest.Message(alert.Firing, alerts...)); err != nil {
		b.Fatal(err)
	}
	for _, ar := range s.finished(b, ns, len(alerts)) {
		if ar.Status.Outcome != v1alpha1.OutcomeRecommended {
			b.Fatalf("%s ended as %s: %s", ar.Name, ar.Status.Outcome, meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Succeeded).Message)
		}
	}
	return began
}

// planned returns how long after the beginning each plan was recorded, the quickest first.
func (s *site) planned(b *testing.B, ns string, began time.Time) []time.Duration {
	b.Helper()
	first := map[string]time.Duration{}
	for _, event := range s.AuditIn(ns) {
		if event.ObjectRef.Resource != "alertremediations" || event.RequestObject == nil || event.ResponseStatus.Code != http.StatusOK {
			continue
		}
		var ar v1alpha1.AlertRemediation
		if err := json.Unmarshal(event.RequestObject.Raw, &ar); err != nil || !meta.IsStatusConditionTrue(ar.Status.Conditions, v1alpha1.Planned) {
			continue
		}
		if _, known := first[ar.Name]; !known {
			first[ar.Name] = event.StageTimestamp.Sub(began)
		}
	}
	waited := make([]time.Duration, 0, len(first))
	for _, d := range first {
		waited = append(waited, d)
	}
	if len(waited) != atOnce {
		b.Fatalf("%d plans were recorded, want %d", len(waited), atOnce)
	}
	slices.Sort(waited)
	return waited
}
