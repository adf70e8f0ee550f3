package kubetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
)

// Kill ends the API server as the kernel does when memory is short; etcd stays.
// What it returns starts it again, the same as before, and waits until it is ready.
func (s *Server) Kill(ctx context.Context) (restart func(context.Context) error, err error) {
	pid, argv, err := s.process()
	if err != nil {
		return nil, err
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return nil, fmt.Errorf("killing the API server: %w", err)
	}
	gone := func(context.Context) (bool, error) { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH), nil }
	if err := wait.PollUntilContextTimeout(ctx, 10*time.Millisecond, time.Minute, true, gone); err != nil {
		return nil, fmt.Errorf("waiting for the API server to be gone: %w", err)
	}
	return func(ctx context.Context) error { return s.restart(ctx, argv) }, nil
}

func (s *Server) restart(ctx context.Context, argv []string) error {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), argv[0], argv[1:]...)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the API server again: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it is killed in the end
		close(ended)
	}()
	s.tb.Cleanup(func() { // before envtest's own, which knows nothing of this one
		_ = cmd.Process.Kill()
		<-ended
	})
	return s.AwaitReady(ctx)
}

// Freeze makes the API server hang: it keeps its connections and answers nobody.
// What it returns lets it go on, and waits until it is ready.
func (s *Server) Freeze() (thaw func(context.Context) error, err error) {
	pid, _, err := s.process()
	if err != nil {
		return nil, err
	}
	s.tb.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) }) // else it could not be stopped
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return nil, fmt.Errorf("freezing the API server: %w", err)
	}
	return func(ctx context.Context) error {
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
			return fmt.Errorf("letting the API server go on: %w", err)
		}
		return s.AwaitReady(ctx)
	}, nil
}

// AwaitReady waits until the API server says that it is ready.
func (s *Server) AwaitReady(ctx context.Context) error {
	hc, err := rest.HTTPClientFor(s.Config)
	if err != nil {
		return fmt.Errorf("building a client: %w", err)
	}
	hc.Timeout = 5 * time.Second
	ready := func(ctx context.Context) (bool, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(s.Config.Host, "/")+"/readyz", nil)
		if err != nil {
			return false, err
		}
		answer, err := hc.Do(request)
		if err != nil {
			return false, nil //nolint:nilerr // not yet
		}
		return answer.StatusCode == http.StatusOK, answer.Body.Close()
	}
	if err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 2*time.Minute, true, ready); err != nil {
		return fmt.Errorf("waiting for the API server to be ready: %w", err)
	}
	return nil
}

// process finds the API server among our own children; envtest does not name it.
func (s *Server) process() (pid int, argv []string, err error) {
	host, err := url.Parse(s.Config.Host)
	if err != nil {
		return 0, nil, fmt.Errorf("reading the API server's address: %w", err)
	}
	found, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return 0, nil, err
	}
	for _, path := range found {
		line, err := os.ReadFile(path)
		if err != nil {
			continue // it ended meanwhile
		}
		argv := strings.Split(string(bytes.TrimRight(line, "\x00")), "\x00")
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil && filepath.Base(argv[0]) == "kube-apiserver" && slices.Contains(argv, "--secure-port="+host.Port()) && child(pid) {
			return pid, argv, nil
		}
	}
	return 0, nil, fmt.Errorf("there is no API server of ours at %s", s.Config.Host)
}

// child reports whether we started a process.
func child(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	// pid (name) state ppid …; the name may hold anything.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	return len(fields) > 1 && fields[1] == strconv.Itoa(os.Getpid())
}
