package kubetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Compile returns the operator's program, built from the sources as they are.
func Compile(tb testing.TB) string {
	tb.Helper()
	program := filepath.Join(tb.TempDir(), "kubernaut")
	compile := exec.CommandContext(tb.Context(), "go", "build", "-o", program, "./cmd/kubernaut")
	compile.Dir = Path()
	if out, err := compile.CombinedOutput(); err != nil {
		tb.Fatalf("building the operator: %v\n%s", err, out)
	}
	return program
}

// Operator is one process of the real program.
type Operator struct {
	// Exited is closed once the process is gone.
	Exited <-chan struct{}

	cmd *exec.Cmd
}

// Launch starts the program; what it says goes to log.
func Launch(program, kubeconfig, config string, log io.Writer) (*Operator, error) {
	cmd := exec.CommandContext(context.Background(), program, "--kubeconfig", kubeconfig, "--config", config)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", program, err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is in cmd.ProcessState
		close(exited)
	}()
	return &Operator{Exited: exited, cmd: cmd}, nil
}

// Kill ends it as the kernel does when memory is short: at once, with SIGKILL.
func (o *Operator) Kill() {
	_ = o.cmd.Process.Kill()
	<-o.Exited
}

// Gone reports whether the process has ended.
func (o *Operator) Gone() bool {
	select {
	case <-o.Exited:
		return true
	default:
		return false
	}
}

// Killed reports whether SIGKILL ended it.
func (o *Operator) Killed() bool {
	status, ok := o.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// ExitCode of a process that is gone; -1 if a signal ended it.
func (o *Operator) ExitCode() int { return o.cmd.ProcessState.ExitCode() }

// End says how the process ended: an exit code or a signal.
func (o *Operator) End() string { return o.cmd.ProcessState.String() }

// Signal sends it a signal, for example SIGSTOP to freeze it.
func (o *Operator) Signal(signal os.Signal) error { return o.cmd.Process.Signal(signal) }

// Stop asks it to end, as Kubernetes does.
func (o *Operator) Stop() error {
	_ = o.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-o.Exited:
	case <-time.After(20 * time.Second):
		o.Kill()
		return errors.New("the operator did not end within 20 s of SIGTERM")
	}
	if code := o.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("the operator ended with exit code %d after SIGTERM", code)
	}
	return nil
}

// Resident returns the process's memory and its peak so far, in bytes: VmRSS
// and VmHWM of /proc/<pid>/status.
func (o *Operator) Resident() (now, peak int64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", o.cmd.Process.Pid))
	if err != nil {
		return 0, 0, fmt.Errorf("reading the operator's memory: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kib); n == 1 {
			now = kib << 10
		}
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			peak = kib << 10
		}
	}
	return now, peak, nil
}

// FreeAddress returns an address of the loopback that nobody listens at, and that
// stays free while a process that had it is started again: its port is below those
// that Linux gives to outgoing connections (ip_local_port_range) and to NodePorts.
func FreeAddress(tb testing.TB) string {
	tb.Helper()
	const lowest, beyond, tries = 10240, 30000, 100
	for range tries {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(lowest+rand.IntN(beyond-lowest)))
		listener, err := net.Listen("tcp", address)
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			tb.Fatal(err)
		}
		_ = listener.Close()
		return address
	}
	tb.Fatalf("none of %d ports from %d to %d is free", tries, lowest, beyond-1)
	return ""
}
