package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
)

// columns of the terminal that the program is given.
const columns = 100

// terminal opens a terminal: what is written to the program's end is read from ours.
func terminal(t *testing.T) (ours, programs *os.File) {
	t.Helper()
	open := func(path string) *os.File {
		f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		return f
	}
	ours = open("/dev/ptmx")
	number, err := unix.IoctlGetInt(int(ours.Fd()), unix.TIOCGPTN)
	err = errors.Join(err, unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0),
		unix.IoctlSetWinsize(int(ours.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}))
	if err != nil {
		t.Fatalf("opening a terminal: %v", err)
	}
	return ours, open(fmt.Sprintf("/dev/pts/%d", number))
}

func pipe(t *testing.T) (ours, programs *os.File) {
	t.Helper()
	ours, programs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(ours.Close(), programs.Close()) })
	return ours, programs
}

// shown runs the program itself, and returns what arrives at our end.
func shown(t *testing.T, ours, programs *os.File, env, args []string) string {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append([]string{asProgram + "=1", "HOME=" + t.TempDir(), "TERM=xterm"}, env...)
	cmd.Stdout, cmd.Stderr = programs, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = programs.Close() // the program has its own
	got, err := io.ReadAll(ours)
	if err != nil && !errors.Is(err, syscall.EIO) { // that is how a terminal says that nobody writes any more
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("it ended with %v and printed %q", err, got)
	}
	return strings.ReplaceAll(string(got), "\r\n", "\n")
}

func TestTheProgramKnowsATerminalFromAPipe(t *testing.T) {
	server := kubetest.Start(t)
	ar := build.Remediation("default", "a").Planned(v1alpha1.PlanStatus{}).With(func(ar *v1alpha1.AlertRemediation) {
		ar.Status.Phase = v1alpha1.PhaseAwaitingApproval
		ar.Status.Conditions[0].Message = strings.Repeat("a long story ", 20)
	}).Obj()
	server.Create(t.Context(), ar)
	rows := map[string]struct {
		open             func(*testing.T) (ours, programs *os.File)
		env              []string
		coloured, narrow bool
	}{
		"a terminal":                          {open: terminal, coloured: true, narrow: true},
		"a pipe":                              {open: pipe},
		"a terminal, but no colours wanted":   {open: terminal, env: []string{"NO_COLOR=1"}, narrow: true},
		"a terminal that can't show them":     {open: terminal, env: []string{"TERM=dumb"}, narrow: true},
		"a pipe, whatever the environment is": {open: pipe, env: []string{"COLUMNS=40", "FORCE_COLOR=1"}},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			ours, programs := row.open(t)
			got := shown(t, ours, programs, row.env, []string{"get", "-n", "default", "--kubeconfig", server.Kubeconfig})
			if coloured := strings.Contains(got, "\x1b[33mAwaitingApproval\x1b[0m"); coloured != row.coloured || strings.Contains(got, "\x1b") != row.coloured {
				t.Errorf("coloured: %t, want %t, in %q", coloured, row.coloured, got)
			}
			plain := strings.NewReplacer("\x1b[33m", "", "\x1b[0m", "").Replace(got)
			for line := range strings.Lines(plain) {
				if wide := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); strings.Contains(line, "AwaitingApproval") && (wide <= columns) != row.narrow {
					t.Errorf("a line of %d characters: %q", wide, line)
				}
			}
			if !strings.Contains(plain, "AwaitingApproval") {
				t.Errorf("got %q", got)
			}
		})
	}
}
