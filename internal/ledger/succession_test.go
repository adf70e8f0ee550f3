package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	cachetesting "k8s.io/client-go/tools/cache/testing"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// server is what replicas watch: remediations, and nothing else.
type server struct {
	remediations, nothing *cachetesting.FakeControllerSource
}

func serving(t *testing.T) *server {
	t.Helper()
	s := &server{cachetesting.NewFakeControllerSource(), cachetesting.NewFakeControllerSource()}
	t.Cleanup(func() {
		s.remediations.Shutdown()
		s.nothing.Shutdown()
	})
	return s
}

// process is a replica from its start to its death.
type process struct {
	server *server
	ctx    context.Context
	out    bytes.Buffer
	die    func()
	parts  sync.WaitGroup
	synced chan struct{} // once for each kind
}

// start begins a replica, which watches all there is before this returns.
func (s *server) start(t *testing.T) *process {
	t.Helper()
	p := &process{server: s, synced: make(chan struct{})}
	var cancel func()
	p.ctx, cancel = context.WithCancel(t.Context())
	p.die = func() {
		cancel()
		p.parts.Wait()
	}
	t.Cleanup(p.die)
	p.parts.Go(func() {
		if err := New(&p.out, clock.RealClock{}, prometheus.NewRegistry()).writing(p).Start(p.ctx); err != nil {
			t.Error(err)
		}
	})
	for range 3 {
		<-p.synced
	}
	synctest.Wait()
	return p
}

// GetInformer implements informers.
func (p *process) GetInformer(_ context.Context, kind client.Object, _ ...cache.InformerGetOption) (cache.Informer, error) {
	source := p.server.nothing
	if _, ok := kind.(*v1alpha1.AlertRemediation); ok {
		source = p.server.remediations
	}
	informer := toolscache.NewSharedIndexInformer(source, kind, 0, nil)
	p.parts.Go(func() { informer.RunWithContext(p.ctx) })
	toolscache.WaitForCacheSync(p.ctx.Done(), informer.HasSynced)
	p.synced <- struct{}{}
	return informer, nil
}

// said are the lines of a process so far.
func (p *process) said(t *testing.T) []Line {
	t.Helper()
	synctest.Wait()
	var lines []Line
	for text := range strings.Lines(p.out.String()) {
		var line Line
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		lines = append(lines, line)
	}
	return lines
}

// story is what lines say, in short; what was found begins with an asterisk.
func story(lines []Line) []string {
	var all []string
	for _, line := range lines {
		told := line.What + " " + line.From + ">" + line.To
		if line.Found {
			told = "*" + told
		}
		all = append(all, told)
	}
	return all
}

func expect(t *testing.T, who string, lines []Line, want ...string) {
	t.Helper()
	if got := story(lines); !slices.Equal(got, want) {
		t.Errorf("%s wrote\n%s\nwant\n%s", who, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func ids(lines []Line) []string {
	var all []string
	for _, line := range lines {
		all = append(all, line.ID)
	}
	return all
}

func TestWhatALeaderDidNotLiveToWriteIsWrittenByTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serving(t)
		leader, standby := s.start(t), s.start(t)
		s.remediations.Add(remediated())
		paused := remediated(holds(v1alpha1.Approved, "Unknown", v1alpha1.ReasonPaused))
		s.remediations.Modify(paused)
		expect(t, "the leader", leader.said(t), "AlertRemediation >Created", "Approved >Unknown/Paused")
		leader.die()
		s.remediations.Modify(remediated(holds(v1alpha1.Approved, "Unknown", v1alpha1.ReasonAwaitingApproval)))
		s.remediations.Modify(remediated(holds(v1alpha1.Approved, "True", v1alpha1.ReasonPersonApproved), answered("anna")))

		expect(t, "the standby", standby.said(t), "AlertRemediation >Created", "Approved >Unknown/Paused",
			"Approved Unknown/Paused>Unknown/AwaitingApproval",
			"Approval >Approved", "Approved Unknown/AwaitingApproval>True/PersonApproved")
		both, alone := ids(leader.said(t)), ids(standby.said(t))
		if !slices.Equal(both, alone[:len(both)]) {
			t.Errorf("the same transitions have the ids %v and %v", both, alone)
		}
		slices.Sort(alone)
		if distinct := slices.Compact(slices.Clone(alone)); len(distinct) != len(alone) {
			t.Errorf("two transitions have one id: %v", alone)
		}
	})
}

func TestWhatHappenedWhileNobodyWatchedIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serving(t)
		first := s.start(t)
		s.remediations.Add(remediated())
		expect(t, "the first", first.said(t), "AlertRemediation >Created")
		first.die()
		s.remediations.Modify(remediated(holds(v1alpha1.Admitted, "True", v1alpha1.ReasonTargetFound)))
		over := remediated(holds(v1alpha1.Succeeded, "True", "Observed"), func(ar *v1alpha1.AlertRemediation) {
			ar.UID, ar.Name = "o", "over"
			ar.Status.Conditions[0].LastTransitionTime = metav1.NewTime(time.Now().Add(-lately))
		})
		s.remediations.Add(over)

		next := s.start(t)
		s.remediations.Modify(remediated(holds(v1alpha1.Admitted, "True", v1alpha1.ReasonTargetFound), resolved))
		expect(t, "the next", next.said(t), "*AlertRemediation >Created", "*Admitted >True/TargetFound", "Alert Firing>Resolved")
		expect(t, "the first, which is dead,", first.said(t), "AlertRemediation >Created")
	})
}

func TestEveryReplicaWritesAndTheLeaderCounts(t *testing.T) {
	l := New(&bytes.Buffer{}, clock.RealClock{}, prometheus.NewRegistry())
	if l.writing(nil).NeedLeaderElection() || !l.counting(nil).NeedLeaderElection() {
		t.Error("lines would be lost with a leader, or counts be doubled")
	}
}

func TestStands(t *testing.T) {
	at := func(ago time.Duration) metav1.Time { return metav1.NewTime(now.Add(-ago)) }
	finished := func(ago time.Duration) *v1alpha1.AlertRemediation {
		ar := remediated(holds(v1alpha1.Succeeded, "True", "Remediated"))
		ar.Status.Conditions[0].LastTransitionTime = at(ago)
		return ar
	}
	heard := finished(lately)
	heard.Status.Alert = &v1alpha1.AlertStatus{State: v1alpha1.AlertResolved, LastReceivedAt: at(time.Second)}
	ran := func(ago time.Duration) *v1alpha1.WorkflowRun {
		run := carriedOut(v1alpha1.OperationApplied)
		run.Status.Conditions = []metav1.Condition{{Type: v1alpha1.Succeeded, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonCompleted}}
		run.Status.FinishedAt = metav1.NewMicroTime(now.Add(-ago))
		return run
	}
	rows := map[string]struct {
		obj  any
		want bool
	}{
		"a remediation that lives, however long nothing has happened to it": {remediated(holds(v1alpha1.Approved, "Unknown", "AwaitingApproval")), true},
		"one that ended lately":                                {finished(lately - time.Second), true},
		"one that ended before that":                           {finished(lately), false},
		"one that ended before that, whose alert was heard of": {heard, true},
		"a run under way":                                      {carriedOut(v1alpha1.OperationClaimed), true},
		"a run that ended lately":                              {ran(lately - time.Second), true},
		"a run that ended before that":                         {ran(lately), false},
		"a policy, which does not say when it was changed":     {paused(), true},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := stands(row.obj, now); got != row.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

func TestAnIDIsOfOneTransition(t *testing.T) {
	written := func(run *v1alpha1.WorkflowRun, version string) *v1alpha1.WorkflowRun {
		run.ResourceVersion = version
		return run
	}
	claimed, applied := v1alpha1.OperationClaimed, v1alpha1.OperationApplied
	whole := ids(transitions(carriedOut("", ""), written(carriedOut(applied, applied), "7")))
	missed := ids(transitions(carriedOut(claimed, ""), written(carriedOut(applied, applied), "7")))
	again := ids(transitions(carriedOut("", ""), written(carriedOut(applied, applied), "8")))
	if !slices.Equal(whole, missed) {
		t.Errorf("who missed a state between calls the same %v and %v", whole, missed)
	}
	if whole[0] == whole[1] {
		t.Errorf("two operations that are alike are both %s", whole[0])
	}
	if whole[0] == again[0] {
		t.Errorf("what was written twice is both times %s", whole[0])
	}
}
