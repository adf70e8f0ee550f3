// Package snapshot describes what a cluster could leave behind on a machine, as sorted
// lines without anything that changes by itself, so that two descriptions can be compared.
package snapshot

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kubernaut/kubernaut/hack/localcluster/internal/process"
)

// Write writes the description.
func Write(ctx context.Context, out io.Writer) error {
	w := bufio.NewWriter(out)
	for _, part := range []struct {
		name string
		find func(context.Context) ([]string, error)
	}{
		{"process", processes},
		{"namespace", namespaces},
		{"mount", mounts},
		{"link", command("ip", "-o", "link", "show")},
		{"address", command("ip", "-o", "addr", "show")},
		{"route", command("ip", "route", "show", "table", "all")},
		{"rule", command("nft", "list", "ruleset")},
		{"cgroup", cgroups},
		{"socket", sockets},
		{"setting", settings},
	} {
		lines, err := part.find(ctx)
		if err != nil {
			return fmt.Errorf("describing every %s: %w", part.name, err)
		}
		slices.Sort(lines)
		for _, line := range lines {
			fmt.Fprintf(w, "%s %s\n", part.name, line)
		}
	}
	return w.Flush()
}

// processes are told by pid and command. Kernel threads come and go, and so do we and what runs us.
func processes(context.Context) ([]string, error) {
	ancestors := map[string]bool{}
	for pid := fmt.Sprint(os.Getpid()); pid != "" && pid != "0"; pid = parent(pid) {
		ancestors[pid] = true
	}
	var lines []string
	err := eachProcess(func(pid string) {
		command, err := os.ReadFile("/proc/" + pid + "/cmdline")
		if err != nil || len(command) == 0 || ancestors[pid] {
			return
		}
		lines = append(lines, pid+" "+strings.Join(strings.FieldsFunc(string(command), func(r rune) bool { return r <= ' ' }), " "))
	})
	return lines, err
}

func parent(pid string) string {
	b, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return ""
	}
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(fields) < 2 {
		return ""
	}
	return fields[1]
}

func eachProcess(visit func(pid string)) error {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return fmt.Errorf("listing processes: %w", err)
	}
	for _, e := range entries {
		if name := e.Name(); name[0] >= '1' && name[0] <= '9' {
			visit(name)
		}
	}
	return nil
}

// namespaces of the network that some process lives in; those without one are mounts.
func namespaces(context.Context) ([]string, error) {
	found := map[string]bool{}
	err := eachProcess(func(pid string) {
		if ns, err := os.Readlink("/proc/" + pid + "/ns/net"); err == nil {
			found[ns] = true
		}
	})
	return keys(found), err
}

func mounts(context.Context) ([]string, error) {
	b, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, fmt.Errorf("listing mounts: %w", err)
	}
	return split(b), nil
}

// command runs a program whose lines are the description, but for the lifetimes in it.
func command(name string, args ...string) func(context.Context) ([]string, error) {
	return func(ctx context.Context) ([]string, error) {
		out, err := process.Run(ctx, name, args...)
		if err != nil {
			return nil, err
		}
		return split(out), nil
	}
}

func cgroups(context.Context) ([]string, error) {
	var lines []string
	err := filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			lines = append(lines, path)
		}
		return nil // a group that went away while we looked is no fault
	})
	return lines, err
}

// sockets that listen, or are bound to a name.
func sockets(context.Context) ([]string, error) {
	found := map[string]bool{}
	for _, file := range []string{"tcp", "tcp6", "udp", "udp6"} {
		b, err := os.ReadFile("/proc/net/" + file)
		if err != nil {
			continue // a kernel without IPv6
		}
		for _, line := range split(b) {
			// A listening TCP socket is in state 0A, a UDP one that waits for anybody in state 07.
			if f := strings.Fields(line); len(f) > 3 && (f[3] == "0A" || f[3] == "07") {
				found[file+" "+f[1]] = true
			}
		}
	}
	b, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		return nil, fmt.Errorf("listing sockets: %w", err)
	}
	for _, line := range split(b) {
		if f := strings.Fields(line); len(f) == 8 {
			found["unix "+f[7]] = true
		}
	}
	return keys(found), nil
}

func settings(context.Context) ([]string, error) {
	var lines []string
	for _, name := range []string{
		"net/ipv4/ip_forward", "net/ipv4/conf/all/forwarding", "net/ipv4/conf/all/route_localnet",
		"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
		"kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes", "fs/inotify/max_user_instances",
	} {
		b, err := os.ReadFile("/proc/sys/" + name)
		if err != nil {
			continue // this kernel has no such setting
		}
		lines = append(lines, name+" "+strings.TrimSpace(string(b)))
	}
	return lines, nil
}

func split(b []byte) []string {
	return strings.FieldsFunc(string(b), func(r rune) bool { return r == '\n' })
}

func keys(m map[string]bool) []string {
	all := make([]string, 0, len(m))
	for k := range m {
		all = append(all, k)
	}
	return all
}
