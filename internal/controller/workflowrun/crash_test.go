package workflowrun_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

var errDead = errors.New("the process is dead")

// mortal is the connection of a process that dies before or after its n-th
// write: the write is never sent, or its answer never heard, and nothing after it.
type mortal struct {
	next    http.RoundTripper
	at      int
	after   bool
	writes  int
	effects []int // which of its writes changed a workload or its pods
	dead    bool
}

func (m *mortal) RoundTrip(req *http.Request) (*http.Response, error) {
	if m.dead {
		return nil, errDead
	}
	if writes(req) {
		m.writes++
		if strings.Contains(req.URL.Path, "/apis/apps/") || strings.HasSuffix(req.URL.Path, "/eviction") {
			m.effects = append(m.effects, m.writes)
		}
		if m.writes == m.at && !m.after {
			m.dead = true
			return nil, errDead
		}
	}
	res, err := m.next.RoundTrip(req)
	if writes(req) && m.writes == m.at && err == nil {
		m.dead = true
		_ = res.Body.Close()
		return nil, errDead
	}
	return res, err
}

// writes tells what changes something from reads, reviews and dry runs.
func writes(req *http.Request) bool {
	return req.Method != http.MethodGet && !strings.Contains(req.URL.RawQuery, "dryRun") && !strings.Contains(req.URL.Path, "accessreviews")
}

// meanwhile does something just before each effect is sent.
func meanwhile(something func()) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			if writes(req) && strings.Contains(req.URL.Path, "/deployments/") {
				something()
			}
			return next.RoundTrip(req)
		})
	}
}

// deaf is a connection that never hears of some paths.
func deaf(path string) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			if strings.Contains(req.URL.Path, path) {
				return nil, errDead
			}
			return next.RoundTrip(req)
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// story is what a remediation wants of this controller: a run, one that takes
// it back, and after the verdict both released. Each process that dies is
// followed by another, which knows nothing but what is in the cluster.
type story struct {
	*scene
	line *mortal
}

func (s *story) start(at int, after bool) {
	s.restart(func(next http.RoundTripper) http.RoundTripper {
		if s.line == nil {
			s.line = &mortal{at: at, after: after}
		}
		s.line.next = next
		return s.line
	})
}

func (s *story) told(ctx context.Context) (first, second *v1alpha1.WorkflowRun) {
	first = s.owned(ctx, "ar-1-run-1")
	s.through(ctx, first)
	Expect(s.running(ctx)).To(Equal(good))
	second = s.undoing(ctx, "ar-1-run-2", first.Name)
	s.through(ctx, second)
	s.concluded(ctx)
	s.through(ctx, first)
	s.through(ctx, second)
	return first, second
}

// through drives a run to rest, over a death on the way.
func (s *story) through(ctx context.Context, run *v1alpha1.WorkflowRun) {
	for range 40 {
		before := run.ResourceVersion
		_, err := s.reconciled(ctx, run)
		switch {
		case s.line.dead:
			s.line = nil
			s.start(0, false)
		case err != nil:
			Expect(err).NotTo(HaveOccurred())
		case run.ResourceVersion == before:
			return
		}
	}
	Fail("the run never comes to rest")
}

// final is what a run has come to, without times and versions.
func final(run *v1alpha1.WorkflowRun) []string {
	lines := []string{run.Name, run.Status.Progress, fmt.Sprint(run.Finalizers)}
	for _, c := range run.Status.Conditions {
		lines = append(lines, fmt.Sprint(c.Type, c.Status, c.Reason))
	}
	for _, step := range run.Status.Steps {
		lines = append(lines, fmt.Sprint(step.Name, step.State))
		for _, op := range step.Operations {
			lines = append(lines, fmt.Sprint(op.Verb, op.Object, op.State))
		}
	}
	return lines
}

var _ = Describe("A process that dies before or after any of its writes", func() {
	It("is followed by one that comes to the same end, with no effect twice", func(ctx SpecContext) {
		undisturbed := &story{scene: set(ctx)}
		undisturbed.start(0, false)
		counted := undisturbed.line
		first, second := undisturbed.told(ctx)
		Expect(undisturbed.effects()).To(Equal(2))
		wantFirst, wantSecond := final(first), final(second)
		Expect(wantFirst).To(ContainElement("remedyRolledBack"))
		AddReportEntry("crash points", 2*counted.writes)

		for n := 1; n <= counted.writes; n++ {
			for _, after := range []bool{false, true} {
				By(fmt.Sprintf("dying at write %d, after it: %t", n, after))
				s := &story{scene: set(ctx)}
				s.start(n, after)
				first, second := s.told(ctx)
				Expect(final(first)).To(Equal(wantFirst))
				Expect(final(second)).To(Equal(wantSecond))
				Expect(s.running(ctx)).To(Equal(bad))
				Expect(s.effects()).To(Equal(2))
				Expect(s.holder(ctx)).To(BeEmpty())
			}
		}
	})

	It("is followed by one that leaves what a person did meanwhile", func(ctx SpecContext) {
		s := &story{scene: set(ctx)}
		run := s.owned(ctx, "ar-1-run-1")
		s.start(4, true) // the patch itself: applied, and never heard of
		s.dies(ctx, run)
		Expect(s.running(ctx)).To(Equal(good))
		Expect(run.Status.Steps[0].Operations[0].State).To(Equal(v1alpha1.OperationClaimed))

		s.edited(ctx, "example.test/web:9")
		s.through(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionFalse, v1alpha1.ReasonChangedMeanwhile))
		Expect(s.running(ctx)).To(Equal("example.test/web:9"))
		Expect(s.effects()).To(Equal(1))
	})

	It("never acts on a stale copy of a run that was taken back meanwhile", func(ctx SpecContext) {
		s := &story{scene: set(ctx)}
		run := s.owned(ctx, "ar-1-run-1")
		s.start(4, true)
		s.dies(ctx, run)
		stale := run.DeepCopy()
		s.through(ctx, run)
		second := s.undoing(ctx, "ar-1-run-2", run.Name)
		s.through(ctx, second)
		Expect(s.running(ctx)).To(Equal(bad), "the value from before the claim is back")

		result, err := s.process.Reconcile(ctx, stale)
		Expect(err).NotTo(HaveOccurred())
		Expect(result.RequeueAfter).NotTo(BeZero())
		Expect(s.running(ctx)).To(Equal(bad))
		Expect(s.effects()).To(Equal(2))
	})

	It("never begins again from a copy older than its own first claim", func(ctx SpecContext) {
		s := set(ctx)
		run := s.owned(ctx, "ar-1-run-1", func(r *v1alpha1.WorkflowRun) { r.Spec.Paused = true })
		s.driven(ctx, run)
		change(ctx, run, func(r *v1alpha1.WorkflowRun) { r.Spec.Paused = false })
		stale := run.DeepCopy()
		s.driven(ctx, run)
		s.edited(ctx, bad) // a person puts the old value back: the old plan fits again

		result, err := s.process.Reconcile(ctx, stale)
		Expect(err).NotTo(HaveOccurred())
		Expect(result.RequeueAfter).NotTo(BeZero())
		Expect(s.running(ctx)).To(Equal(bad))
		Expect(s.effects()).To(Equal(1))
	})

	It("is followed by one that settles a deleted run by looking", func(ctx SpecContext) {
		s := &story{scene: set(ctx)}
		run := s.owned(ctx, "ar-1-run-1")
		s.start(4, true)
		s.dies(ctx, run)
		Expect(server.Client.Delete(ctx, run)).To(Succeed())
		_, err := s.reconciled(ctx, run)
		Expect(err).NotTo(HaveOccurred())
		Expect(client.IgnoreNotFound(server.Client.Get(ctx, client.ObjectKeyFromObject(run), run))).To(Succeed())
		Expect(s.running(ctx)).To(Equal(good), "a deletion undoes nothing")
		Expect(s.effects()).To(Equal(1))
	})
})

// dies drives a run until the process dies, and starts the next.
func (s *story) dies(ctx context.Context, run *v1alpha1.WorkflowRun) {
	for !s.line.dead {
		_, _ = s.reconciled(ctx, run)
	}
	s.line = nil
	s.start(0, false)
}
