//go:build e2e

// Package crash kills the real operator at every write of whole remediations,
// and shows that whoever comes after it ends them as if nothing had happened.
//
//	KUBEBUILDER_ASSETS=… go test -tags e2e ./test/crash -count=1 -v
package crash

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
)

// firing is when the alert of every round began.
var firing = time.Date(2026, time.March, 1, 3, 0, 0, 0, time.UTC)

// story is a remediation that is played again and again, disturbed in another way each time.
type story struct {
	act      act
	patience patience
	outcome  v1alpha1.Outcome
	effects  int    // changes of the Deployment by the remediator
	runs     int    // WorkflowRuns made
	from     string // the first write to be killed at is the first that says so
}

var (
	healed = story{
		act:      act{helps: true, startsAt: firing},
		patience: patience{cooldown: 10 * time.Minute, deadline: 10 * time.Minute},
		outcome:  v1alpha1.OutcomeRemediated, effects: 1, runs: 1,
	}
	takenBack = story{
		act:      act{helps: false, startsAt: firing},
		patience: patience{cooldown: 10 * time.Minute, deadline: 3 * time.Second},
		outcome:  v1alpha1.OutcomeRolledBack, effects: 2, runs: 2,
		from: "Verified=False", // before, it is the story of the one that heals
	}
)

func TestCrash(t *testing.T) {
	s := newStage(t)
	t.Run("a remediation that helps", func(t *testing.T) { s.matrix(t, healed) })
	t.Run("a remediation that is taken back", func(t *testing.T) { s.matrix(t, takenBack) })
	t.Run("a remediation by operators that are killed again and again", func(t *testing.T) { s.alike(t, healed, killedAgainAndAgain) })
	t.Run("an operation that arrives after its sender's death, just before it is sent again", func(t *testing.T) {
		s.alike(t, healed, overtaken(false))
	})
	t.Run("an operation that arrives after its sender's death, just after it was sent again", func(t *testing.T) {
		s.alike(t, healed, overtaken(true))
	})
	t.Run("an operation that was claimed and done, and then the old value came back", s.reverted)
	t.Run("an operation that was claimed and done, a second time, after an undo brought the old value back", s.again)
}

// ending is what is left of one round.
type ending struct {
	name    string
	ns      string
	objects map[string]string
}

// matrix plays a story undisturbed, and then once before and once after each of its writes.
func (s *stage) matrix(t *testing.T, st story) {
	var first ending
	var all []point
	if !t.Run("undisturbed", func(t *testing.T) {
		var writes []write
		first, writes = s.tell(t, st, undisturbed)
		all = points(writes)
	}) {
		return
	}
	start := max(0, slices.IndexFunc(all, func(p point) bool { return strings.Contains(p.mark, st.from) }))
	t.Logf("%d writes; killed before and after each of the last %d: %d points", len(all), len(all)-start, 2*(len(all)-start))
	endings := []ending{first}
	for i, p := range all[start:] {
		for when, how := range map[string]func(point) conduct{"before": killedBefore, "after": killedAfter} {
			t.Run(fmt.Sprintf("killed %s write %d", when, start+i+1), func(t *testing.T) {
				begun := time.Now()
				end := s.strike(t, st, func() conduct { return how(p) })
				endings = append(endings, end)
				NewWithT(t).Expect(end.objects).To(BeComparableTo(first.objects))
				t.Logf("killed %s write %d of %d (%s): the same end, after %s", when, start+i+1, len(all), p.mark, time.Since(begun).Round(100*time.Millisecond))
			})
		}
	}
	s.once(t, st, endings)
}

// tries to get to a point: what is observed while verifying may be written in
// one write less.
const tries = 3

// strike plays a story with one kill.
func (s *stage) strike(t *testing.T, st story, how func() conduct) ending {
	t.Helper()
	for range tries {
		r := s.open(t, how(), st.patience)
		if end := r.tell(st); r.deaths == 1 {
			return end
		}
	}
	t.Fatalf("the round was over before its point was reached, %d times", tries)
	return ending{}
}

// alike plays a story undisturbed and disturbed, and compares how they end.
func (s *stage) alike(t *testing.T, st story, how conduct) {
	first, _ := s.tell(t, st, undisturbed)
	end, writes := s.tell(t, st, how)
	NewWithT(t).Expect(end.objects).To(BeComparableTo(first.objects))
	s.once(t, st, []ending{end})
	t.Logf("the same end, with %d writes", len(writes))
}

// tell plays one round of a story.
func (s *stage) tell(t *testing.T, st story, how conduct) (ending, []write) {
	r := s.open(t, how, st.patience)
	return r.tell(st), r.ledger.all()
}

func (r *round) tell(st story) ending {
	g := NewWithT(r.t)
	r.play(st.act)
	r.close()
	ar, err := r.remediation(r.t.Context(), st.act)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(ar.Status.Outcome).To(Equal(st.outcome))
	objects, err := r.objects(r.t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	return ending{name: r.t.Name(), ns: r.ns, objects: objects}
}

// once shows by the audit log that nothing took effect twice.
func (s *stage) once(t *testing.T, st story, endings []ending) {
	log := s.server.Audit()
	want := changes(st.effects)
	for _, end := range endings {
		g := NewWithT(t)
		g.Expect(effects(log, end.ns)).To(Equal(want), "changes of the Deployment, %s", end.name)
		g.Expect(made(log, end.ns)).To(Equal(map[string]int{"alertremediations": 1, "workflowruns": st.runs}), "objects made, %s", end.name)
	}
	t.Logf("by the audit log, in each of %d rounds: 1 AlertRemediation, %d WorkflowRuns and %d changes of the Deployment, each once", len(endings), st.runs, st.effects)
}

// changes of the Deployment: it was created, the bad release came, and then the
// remediator changed it so many times.
func changes(remediator int) []string {
	by := []string{"admin", "admin"}
	for range remediator {
		by = append(by, kubetest.Remediator)
	}
	return by
}

// reverted shows that a claimed operation is done again if, when its state is
// looked at, the old value is there, whoever brought it back.
func (s *stage) reverted(t *testing.T) {
	first, _ := s.tell(t, healed, undisturbed)
	r := s.open(t, killedAfterEffect(1), healed.patience)
	r.whileDown = func(ctx context.Context) error {
		if err := r.player.show(ctx, badImage); err != nil {
			return err
		}
		return r.player.play(ctx)
	}
	end := r.tell(healed)

	g := NewWithT(t)
	for name, object := range first.objects { // the ReplicaSets have other revisions by now
		if strings.HasPrefix(name, "AlertRemediation/") || strings.HasPrefix(name, "WorkflowRun/") || strings.HasPrefix(name, "RemediationPolicy/") {
			g.Expect(end.objects[name]).To(BeComparableTo(object))
		}
	}
	g.Expect(effects(s.server.Audit(), r.ns)).To(Equal([]string{"admin", "admin", kubetest.Remediator, "admin", kubetest.Remediator}))
	g.Expect(r.player.played.image).To(Equal(goodImage))
}

// again shows that an operation of a second remediation is told apart from the
// same one of the first, which was undone.
func (s *stage) again(t *testing.T) {
	r := s.open(t, killedAfterEffect(3), patience{cooldown: 0, deadline: takenBack.patience.deadline})
	r.play(takenBack.act)
	second := healed
	second.act.startsAt = firing.Add(time.Hour)
	r.tell(second)

	g := NewWithT(t)
	g.Expect(r.deaths).To(Equal(1))
	log := s.server.Audit()
	g.Expect(effects(log, r.ns)).To(Equal(changes(3)), "there, back, and there again")
	g.Expect(made(log, r.ns)).To(Equal(map[string]int{"alertremediations": 2, "workflowruns": 3}))
	g.Expect(r.player.played.image).To(Equal(goodImage))
}
