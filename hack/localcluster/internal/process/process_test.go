package process

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParseStat(t *testing.T) {
	const tail = " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21"
	rows := map[string]struct {
		line string
		want stat
		err  bool
	}{
		"a process that runs":                {line: "12 (sleep) S" + tail, want: stat{start: 4711}},
		"a dead one that nobody has buried":  {line: "12 (sleep) Z" + tail, want: stat{start: 4711, dead: true}},
		"a name with parentheses and spaces": {line: "12 (a) Z (b) R" + tail, want: stat{start: 4711}},
		"a line that was cut":                {line: "12 (sleep) S 1 2", err: true},
		"no name":                            {line: "12 sleep S" + tail, err: true},
		"a start time that is no number":     {line: "12 (sleep) S" + strings.Replace(tail, "4711", "x", 1), err: true},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			got, err := parseStat(row.line)
			if (err != nil) != row.err || got != row.want {
				t.Fatalf("got %+v, %v", got, err)
			}
		})
	}
}

func TestHasVariable(t *testing.T) {
	env := []byte("PATH=/bin\x00KUBERNAUT_LOCALCLUSTER=/run/ab\x00")
	if !hasVariable(env, "KUBERNAUT_LOCALCLUSTER=/run/ab") {
		t.Error("a process of the cluster is not found")
	}
	if hasVariable(env, "KUBERNAUT_LOCALCLUSTER=/run/a") {
		t.Error("the cluster a takes a process of the cluster ab for its own")
	}
}

func table(t *testing.T) Table {
	return Table{Dir: t.TempDir(), Marker: "LOCALCLUSTER_TEST=" + t.Name()}
}

func nobodyElse() ([]int, error) { return nil, nil }

func TestStartedChildIsRecordedAndEnded(t *testing.T) {
	table := table(t)
	p, err := table.Start(Command{Name: "sleeper", Path: "sleep", Args: []string{"60"}})
	if err != nil {
		t.Fatal(err)
	}
	records, err := table.Records()
	if err != nil || len(records) != 1 || records[0] != p.Record || !records[0].Alive() {
		t.Fatalf("recorded %+v, %v; want %+v, alive", records, err, p.Record)
	}
	if err := table.Stop("sleeper"); err != nil {
		t.Fatal(err)
	}
	<-p.Exited
	if p.Alive() {
		t.Error("the child is still there")
	}
}

func TestChildInheritsNothingOfOurCaller(t *testing.T) {
	held, err := os.Create(filepath.Join(t.TempDir(), "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = held.Close() }()
	if _, err := unix.FcntlInt(held.Fd(), unix.F_SETFD, 0); err != nil { // as a shell leaves it
		t.Fatal(err)
	}
	table := table(t)
	p, err := table.Start(Command{Name: "sleeper", Path: "sleep", Args: []string{"60"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = table.Stop("sleeper") }()
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.PID))
	if err != nil || len(links) == 0 {
		t.Fatalf("its files: %v, %v", links, err)
	}
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && target == held.Name() {
			t.Errorf("%s is %s", link, target)
		}
	}
}

func TestChildWithoutRecordIsFoundByItsMarker(t *testing.T) {
	table := table(t)
	p, err := table.Start(Command{Name: "sleeper", Path: "sleep", Args: []string{"60"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(table.Dir + "/sleeper.pid"); err != nil {
		t.Fatal(err)
	}
	if err := table.EndAll(nobodyElse); err != nil {
		t.Fatal(err)
	}
	<-p.Exited
}

func TestStrangerUnderARecycledPIDIsLeftAlone(t *testing.T) {
	table := table(t)
	stranger := Record{Name: "stranger", PID: os.Getpid(), Start: 1}
	if err := table.write(stranger); err != nil {
		t.Fatal(err)
	}
	if stranger.Alive() {
		t.Error("this test passes for a process that started at boot")
	}
	if err := table.Stop("stranger"); err != nil {
		t.Fatal(err)
	}
}

func TestChildThatEndsShowsTheEndOfItsLog(t *testing.T) {
	p, err := table(t).Start(Command{Name: "loser", Path: "sh", Args: []string{"-c", "echo the disk is full >&2; exit 1"}})
	if err == nil {
		<-p.Exited
		err = p.Ended()
	}
	if !strings.Contains(err.Error(), "loser ended") {
		t.Errorf("got %q", err)
	}
}

func TestRunReportsTheComplaint(t *testing.T) {
	_, err := Run(context.Background(), "sh", "-c", "echo no such link >&2; exit 2")
	if err == nil || !strings.Contains(err.Error(), "no such link") {
		t.Errorf("got %v", err)
	}
}
