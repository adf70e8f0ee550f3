package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	patience = 10 * time.Second
	interval = 20 * time.Millisecond
)

// end kills one process by a handle, which no other process can inherit as it can a pid.
func end(r Record) error {
	fd, err := unix.PidfdOpen(r.PID, 0)
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("ending %s (pid %d): %w", r.Name, r.PID, err)
	}
	defer func() { _ = unix.Close(fd) }()
	if !r.Alive() {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("ending %s (pid %d): %w", r.Name, r.PID, err)
	}
	for deadline := time.Now().Add(patience); r.Alive(); {
		if time.Now().After(deadline) {
			return fmt.Errorf("ending %s (pid %d): still there %s after SIGKILL", r.Name, r.PID, patience)
		}
		<-time.After(interval)
	}
	return nil
}

// EndAll ends everything that has the marker in its environment, and the others that
// are named, until nothing is left: containerd may start one more while it is dying.
func (t Table) EndAll(others func() ([]int, error)) error {
	for range 50 {
		pids, err := marked(t.Marker)
		if err != nil {
			return err
		}
		more, err := others()
		if err != nil {
			return err
		}
		if len(pids)+len(more) == 0 {
			return nil
		}
		for _, pid := range append(pids, more...) {
			if err := endPID(pid); err != nil {
				return err
			}
		}
	}
	return errors.New("ending the cluster's processes: new ones appear as fast as they are ended")
}

func endPID(pid int) error {
	s, err := readStat(pid)
	if err != nil {
		return nil //nolint:nilerr // it has ended meanwhile
	}
	return end(Record{Name: "process", PID: pid, Start: s.start})
}

// marked lists the processes that were started with the variable in their environment.
func marked(marker string) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		env, err := os.ReadFile("/proc/" + e.Name() + "/environ")
		if err == nil && hasVariable(env, marker) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

func hasVariable(environ []byte, variable string) bool {
	for _, v := range bytes.Split(environ, []byte{0}) {
		if string(v) == variable {
			return true
		}
	}
	return false
}
