//go:build e2e

// Package crash kills the real operator at every write of whole remediations,
// its leader and its API server where it hurts most, and shows that whoever comes
// after them ends the remediations as if nothing had happened.
//
//	KUBEBUILDER_ASSETS=… go test -tags e2e ./test/crash -count=1 -v
package crash

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
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
	name     string
	act      act
	patience patience
	outcome  v1alpha1.Outcome
	effects  int    // changes of the Deployment by the remediator
	runs     int    // WorkflowRuns made
	from     string // the first write to be killed at is the first that says so
}

var (
	healed = story{
		name:     "healed",
		act:      act{helps: true, startsAt: firing},
		patience: patience{cooldown: 10 * time.Minute, deadline: 10 * time.Minute},
		outcome:  v1alpha1.OutcomeRemediated, effects: 1, runs: 1,
	}
	takenBack = story{
		name:     "taken back",
		act:      act{helps: false, startsAt: firing},
		patience: patience{cooldown: 10 * time.Minute, deadline: 3 * time.Second},
		outcome:  v1alpha1.OutcomeRolledBack, effects: 2, runs: 2,
		from: "Verified=False", // before, it is the story of the one that heals
	}
)

// stages that are played on side by side: a round mostly waits.
const stages = 3

func TestCrash(t *testing.T) {
	var house []*stage
	program := kubetest.Compile(t)
	for range stages {
		house = append(house, newStage(t, program))
	}
	first, jobs := house[0].matrix(t, healed)
	_, more := house[0].matrix(t, takenBack)
	jobs = append(jobs, more...)
	jobs = append(jobs,
		alike(first, "by operators that are killed again and again", killedAgainAndAgain()),
		alike(first, "with the operation sent before the crash arriving just before it is sent again", overtaken(false)),
		alike(first, "with the operation sent before the crash arriving just after it was sent again", overtaken(true)),
		job[*stage]{"the old value comes back between claimed and applied", func(t *testing.T, s *stage) { s.reverted(t, first) }},
		job[*stage]{"between claimed and applied, for the second time, after an undo", func(t *testing.T, s *stage) { s.again(t) }},
	)
	perform(t, house, jobs)
}

// job is a round, or a few, played on any one stage of a kind.
type job[S any] struct {
	name string
	play func(*testing.T, S)
}

// perform hands the jobs to whichever stage is free.
func perform[S any](t *testing.T, house []S, jobs []job[S]) {
	queue := make(chan job[S], len(jobs))
	for _, j := range jobs {
		queue <- j
	}
	close(queue)
	var done sync.WaitGroup
	for _, s := range house {
		done.Go(func() {
			for j := range queue {
				t.Run(j.name, func(t *testing.T) { j.play(t, s) })
			}
		})
	}
	done.Wait()
}

// ending is what is left of one round.
type ending struct {
	story   story
	stage   *stage
	ns      string
	objects map[string]string
}

// matrix plays a story undisturbed, and returns the rounds in which the operator
// is killed once, before and after each of its writes.
func (s *stage) matrix(t *testing.T, st story) (ending, []job[*stage]) {
	t.Helper()
	r := s.open(t, undisturbed, st.patience)
	first := r.tell(st)
	first.once(t)
	all := points(r.ledger.all())
	start := max(0, slices.IndexFunc(all, func(p point) bool { return strings.Contains(p.mark, st.from) }))
	t.Logf("%s: %d writes; killed before and after each of the last %d: %d points", st.name, len(all), len(all)-start, 2*(len(all)-start))
	var jobs []job[*stage]
	for i, p := range all[start:] {
		name := fmt.Sprintf("%s, killed %%s write %d of %d", st.name, start+i+1, len(all))
		jobs = append(jobs,
			job[*stage]{fmt.Sprintf(name, "before"), func(t *testing.T, s *stage) { s.strike(t, first, p, killedBefore) }},
			job[*stage]{fmt.Sprintf(name, "after"), func(t *testing.T, s *stage) { s.strike(t, first, p, killedAfter) }},
		)
	}
	return first, jobs
}

// tries to get to a point: what is observed while verifying may be written in
// one write less.
const tries = 3

// strike plays a story with one kill at a point, and compares how it ends.
func (s *stage) strike(t *testing.T, first ending, p point, how func(point) conduct) {
	for range tries {
		begun := time.Now()
		r := s.open(t, how(p), first.story.patience)
		end := r.tell(first.story)
		if r.deaths != 1 {
			continue // it was over before
		}
		NewWithT(t).Expect(end.objects).To(BeComparableTo(first.objects))
		end.once(t)
		t.Logf("%s: the same end, each effect once, after %s", p.says, time.Since(begun).Round(100*time.Millisecond))
		return
	}
	t.Fatalf("the round was over before its point was reached, %d times", tries)
}

// alike plays a story disturbed, and compares how it ends.
func alike(first ending, name string, how conduct) job[*stage] {
	return job[*stage]{first.story.name + ", " + name, func(t *testing.T, s *stage) {
		r := s.open(t, how, first.story.patience)
		end := r.tell(first.story)
		NewWithT(t).Expect(r.deaths).To(BeNumerically(">", 0))
		NewWithT(t).Expect(end.objects).To(BeComparableTo(first.objects))
		end.once(t)
		t.Logf("%d operators killed, %d writes: the same end, each effect once", r.deaths, len(r.ledger.all()))
	}}
}

// tell plays one round of a story.
func (r *round) tell(st story) ending {
	r.t.Helper()
	g := NewWithT(r.t)
	r.play(st.act)
	r.close()
	ar, err := r.remediation(r.t.Context(), st.act)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(ar.Status.Outcome).To(Equal(st.outcome))
	objects, err := r.objects(r.t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	return ending{story: st, stage: r.stage, ns: r.ns, objects: objects}
}

// once shows by the audit log that nothing took effect twice.
func (e ending) once(t *testing.T) {
	t.Helper()
	log, g := e.stage.server.AuditIn(e.ns), NewWithT(t)
	g.Expect(effects(log, e.ns)).To(Equal(changes(e.story.effects)), "changes of the Deployment")
	g.Expect(made(log, e.ns)).To(Equal(map[string]int{"alertremediations": 1, "workflowruns": e.story.runs}), "objects made")
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
func (s *stage) reverted(t *testing.T, first ending) {
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
	g.Expect(effects(s.server.AuditIn(r.ns), r.ns)).To(Equal([]string{"admin", "admin", kubetest.Remediator, "admin", kubetest.Remediator}))
	g.Expect(r.player.played.image).To(Equal(goodImage))
}

// again shows that an operation of a second remediation is told apart from the
// same one of the first, which was undone. It is made again since the spec was changed
// in between: otherwise a person would be called (TestTried).
func (s *stage) again(t *testing.T) {
	r := s.open(t, killedAfterEffect(3), patience{cooldown: 0, deadline: takenBack.patience.deadline})
	r.play(takenBack.act)
	dep := r.player.dep
	NewWithT(t).Expect(r.player.update(t.Context(), dep, func() { dep.Spec.ProgressDeadlineSeconds = new(int32(700)) })).To(Succeed())
	second := healed
	second.act.startsAt = firing.Add(time.Hour)
	r.tell(second)

	g := NewWithT(t)
	g.Expect(r.deaths).To(Equal(1))
	log := s.server.AuditIn(r.ns)
	g.Expect(effects(log, r.ns)).To(Equal(append(changes(2), "admin", kubetest.Remediator)), "there, back, another spec, and there again")
	g.Expect(made(log, r.ns)).To(Equal(map[string]int{"alertremediations": 2, "workflowruns": 3}))
	g.Expect(r.player.played.image).To(Equal(goodImage))
}
