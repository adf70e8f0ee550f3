package process

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
)

// Run runs a short-lived program to its end and returns what it printed. It
// dies with us, so that nothing is made any more after a crash of this program.
func Run(ctx context.Context, name string, args ...string) ([]byte, error) {
	return RunWith(ctx, exec.CommandContext(ctx, name, args...))
}

// RunWith is Run for a command with an input, a directory or an environment of its own.
func RunWith(ctx context.Context, cmd *exec.Cmd) ([]byte, error) {
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // the signal comes when the thread ends, not the process
	defer runtime.UnlockOSThread()
	err := cmd.Run()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("running %s: %w", cmd.Args[0], context.Cause(ctx))
	}
	if err != nil {
		return nil, fmt.Errorf("running %s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(complaint.String()))
	}
	return out.Bytes(), nil
}
