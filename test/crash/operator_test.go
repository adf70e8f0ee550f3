//go:build e2e

package crash

import (
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"time"
)

// operator is one process of the real program.
type operator struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed once it is gone
}

// launch starts the program; what it says goes to log.
func launch(program, kubeconfig, config string, log io.Writer) (*operator, error) {
	cmd := exec.Command(program, "--kubeconfig", kubeconfig, "--config", config)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", program, err)
	}
	o := &operator{cmd: cmd, exited: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended is in cmd.ProcessState
		close(o.exited)
	}()
	return o, nil
}

// kill ends it as the kernel does when memory is short: at once, with SIGKILL.
func (o *operator) kill() {
	_ = o.cmd.Process.Kill()
	<-o.exited
}

// gone reports whether the process has ended.
func (o *operator) gone() bool {
	select {
	case <-o.exited:
		return true
	default:
		return false
	}
}

// killed reports whether SIGKILL ended it.
func (o *operator) killed() bool {
	status, ok := o.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// stop asks it to end, as Kubernetes does.
func (o *operator) stop() error {
	_ = o.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-o.exited:
	case <-time.After(20 * time.Second):
		o.kill()
		return errors.New("the operator did not end within 20 s of SIGTERM")
	}
	if code := o.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("the operator ended with exit code %d after SIGTERM", code)
	}
	return nil
}
