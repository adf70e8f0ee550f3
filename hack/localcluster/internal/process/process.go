// Package process starts the cluster's long-running children, so that they
// outlive this program, and ends them and nothing else.
package process

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Command says how to start a child.
type Command struct {
	// Name is unique in the cluster: pid and log file are named after it.
	Name string
	Path string
	Args []string
	// Netns is the file of the network namespace to start in; empty is the host's.
	Netns string
	// Mounts, if there are any, are made in a mount namespace of the child's own.
	Mounts func() error
	// MountsOf names an earlier child whose mount namespace is shared.
	MountsOf string
}

// Record is what is remembered about a child. A pid alone may have been given to a stranger since.
type Record struct {
	Name  string `json:"name"`
	PID   int    `json:"pid"`
	Start uint64 `json:"start"`
}

// Alive reports whether the process is still the one that was started.
func (r Record) Alive() bool {
	s, err := readStat(r.PID)
	return err == nil && s.start == r.Start && !s.dead
}

// Table is the cluster's children.
type Table struct {
	// Dir holds the pid and log files.
	Dir string
	// Marker is the variable that each child has in its environment, as NAME=value.
	Marker string
}

// Process is a child that this program started.
type Process struct {
	Record
	Exited <-chan struct{}
	log    string
}

// Start starts a child in a session of its own and writes down who it is.
func (t Table) Start(c Command) (*Process, error) {
	if err := os.MkdirAll(t.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making %s: %w", t.Dir, err)
	}
	p := &Process{log: filepath.Join(t.Dir, c.Name+".log")}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening log of %s: %w", c.Name, err)
	}
	defer func() { _ = out.Close() }()
	// What our own caller left open, a lock perhaps, must not be held for as long as the cluster lives.
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return nil, fmt.Errorf("starting %s: closing what it would inherit: %w", c.Name, err)
	}
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = t.Dir, out, out
	cmd.Env = t.environ()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := t.inPlace(c, cmd.Start); err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.Name, err)
	}
	exited := make(chan struct{})
	go func() { defer close(exited); _ = cmd.Wait() }() // how it ended is in its log
	p.Exited = exited
	s, err := readStat(cmd.Process.Pid)
	if err != nil {
		return nil, p.Ended()
	}
	p.Record = Record{Name: c.Name, PID: cmd.Process.Pid, Start: s.start}
	return p, t.write(p.Record)
}

// environ is short on purpose: a proxy variable would lead containerd out of the closed network.
func (t Table) environ() []string {
	return []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", t.Marker}
}

// Ended is the error of a child that should still be running, with the last lines of its log.
func (p *Process) Ended() error {
	return fmt.Errorf("%s ended at once; the end of %s:\n%s", strings.TrimSuffix(filepath.Base(p.log), ".log"), p.log, tail(p.log, 12))
}

func tail(path string, lines int) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

func (t Table) write(r Record) error {
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("recording %s: %w", r.Name, err)
	}
	if err := os.WriteFile(filepath.Join(t.Dir, r.Name+".pid"), b, 0o600); err != nil {
		return fmt.Errorf("recording %s: %w", r.Name, err)
	}
	return nil
}

// Records lists the children by name, the dead ones included.
func (t Table) Records() ([]Record, error) {
	files, err := filepath.Glob(filepath.Join(t.Dir, "*.pid"))
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	var records []Record
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, fmt.Errorf("reading who runs: %w", err)
		}
		var r Record
		if err := json.Unmarshal(b, &r); err != nil {
			continue // written while this program was killed: the marker finds the process
		}
		records = append(records, r)
	}
	sort.Slice(records, func(i, j int) bool { return records[i].Name < records[j].Name })
	return records, nil
}

// find returns the child of that name, which has ended or was never started if ok is false.
func (t Table) find(name string) (r Record, ok bool, err error) {
	records, err := t.Records()
	if err != nil {
		return r, false, err
	}
	for _, r := range records {
		if r.Name == name {
			return r, r.Alive(), nil
		}
	}
	return r, false, nil
}

// Stop ends one child. One that is not there has been stopped already.
func (t Table) Stop(name string) error {
	r, ok, err := t.find(name)
	if err != nil || !ok {
		return err
	}
	return end(r)
}
