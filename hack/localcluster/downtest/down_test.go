//go:build e2e

package downtest

import (
	"context"
	"flag"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	seed   = flag.Uint64("seed", 0, "seed of the random moments; 0 chooses one")
	rounds = flag.Int("rounds", 3, "how many times `up` is killed")
	ignore = flag.String("ignore", "", "regular expression of lines that others change meanwhile")
)

// lab is a cluster of its own, in a directory of its own, made by a program that was just built.
type lab struct {
	program, dir string
	ignored      *regexp.Regexp
}

func newLab(t *testing.T) lab {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test makes network namespaces and mounts: run it as root")
	}
	dir := t.TempDir()
	l := lab{program: filepath.Join(dir, "localcluster"), dir: filepath.Join(dir, "run")}
	if *ignore != "" {
		l.ignored = regexp.MustCompile(*ignore)
	}
	if out, err := exec.Command("go", "build", "-o", l.program, "..").CombinedOutput(); err != nil {
		t.Fatalf("building localcluster: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		// Nobody else knows of the directory, and without it nobody finds the cluster.
		args := []string{"down", "--runtime-dir=" + l.dir, "--name=down"}
		if out, err := exec.Command(l.program, args...).CombinedOutput(); err != nil {
			t.Errorf("localcluster down, after the failure: %v\n%s", err, out)
		}
	})
	// What is built is built before the clock runs.
	l.run(t.Context(), t, "binaries")
	return l
}

// run returns whether the command ended well; a killed one is no failure of the test.
func (l lab) run(ctx context.Context, t *testing.T, args ...string) bool {
	t.Helper()
	args = append(args, "--runtime-dir="+l.dir, "--name=down")
	out, err := exec.CommandContext(ctx, l.program, args...).CombinedOutput()
	if err != nil && ctx.Err() == nil {
		t.Fatalf("localcluster %s: %v\n%s", args[0], err, out)
	}
	return err == nil
}

// snapshot describes the machine.
func (l lab) snapshot(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command(l.program, "snapshot").Output()
	if err != nil {
		t.Fatalf("describing the machine: %v", err)
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		if l.ignored == nil || !l.ignored.MatchString(line) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// same fails unless the machine is as it was. The kernel buries network namespaces a moment after their last process.
func (l lab) same(t *testing.T, before []string) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		after := l.snapshot(t)
		gone, added := without(before, after), without(after, before)
		if len(gone)+len(added) == 0 {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("down left the machine changed\ngone:\n%s\nadded:\n%s", strings.Join(gone, "\n"), strings.Join(added, "\n"))
		case <-tick.C:
		}
	}
}

func without(lines, others []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return slices.Contains(others, line) })
}

func TestDownLeavesTheMachineAsItWas(t *testing.T) {
	l := newLab(t)
	before := l.snapshot(t)
	l.run(t.Context(), t, everything...)
	during := l.snapshot(t)
	for _, kind := range []string{"process", "mount", "link", "route", "cgroup", "socket"} {
		if !slices.ContainsFunc(without(during, before), func(line string) bool { return strings.HasPrefix(line, kind+" ") }) {
			t.Errorf("a snapshot of a running cluster shows no %s of it", kind)
		}
	}
	l.run(t.Context(), t, "down")
	l.same(t, before)
}

func TestDownCleansUpAfterAKill(t *testing.T) {
	random := random(t)
	l := newLab(t)
	before := l.snapshot(t)
	for range *rounds {
		l.killed(t, random)
		l.run(t.Context(), t, "down")
		l.same(t, before)
	}
}

func TestUpCleansUpAfterAKill(t *testing.T) {
	random := random(t)
	l := newLab(t)
	before := l.snapshot(t)
	l.killed(t, random)
	l.run(t.Context(), t, everything...) // the same: if it was finished in time, another one would be refused
	l.run(t.Context(), t, "down")
	l.same(t, before)
}

// everything is a cluster with all that there is.
var everything = []string{"up", "--monitoring", "--metrics", "--storage"}

// killed sends SIGKILL to `up` at a moment at which it is usually still busy.
func (l lab) killed(t *testing.T, random *rand.Rand) {
	t.Helper()
	moment := time.Duration(random.Int64N(int64(14 * time.Second)))
	ctx, cancel := context.WithTimeout(t.Context(), moment)
	defer cancel()
	finished := l.run(ctx, t, everything...)
	t.Logf("killed after %s; it had finished: %t", moment, finished)
}

func random(t *testing.T) *rand.Rand {
	t.Helper()
	s := *seed
	if s == 0 {
		s = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed %d", s)
	return rand.New(rand.NewPCG(s, s))
}
