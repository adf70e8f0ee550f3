package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// instances is the setting that we change ourselves: a node watches files with eight instances, a control
// plane with thirteen, and the usual 128 for each user of the machine are soon gone.
const (
	instances       = "fs/inotify/max_user_instances"
	enoughInstances = 2048
)

// settings of the kernel that we or a kubelet change for the whole machine, and forwarding, which
// we leave alone and would put back if somebody we started had not.
var settings = []string{
	instances,
	"vm/overcommit_memory", "vm/panic_on_oom",
	"kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
	"net/ipv4/ip_forward",
}

func settingsFile(root string) string { return filepath.Join(root, "kernel-settings.json") }

// rememberSettings keeps the kernel's settings as the first cluster found them.
func rememberSettings(root string) error {
	if _, err := os.Stat(settingsFile(root)); err == nil {
		return nil
	}
	found := map[string]string{}
	for _, s := range settings {
		b, err := os.ReadFile(filepath.Join("/proc/sys", s))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("reading kernel setting %s: %w", s, err)
		}
		found[s] = strings.TrimSpace(string(b))
	}
	b, err := json.MarshalIndent(found, "", "  ")
	if err != nil {
		return fmt.Errorf("keeping kernel settings: %w", err)
	}
	partial := settingsFile(root) + ".partial"
	if err := os.WriteFile(partial, b, 0o600); err != nil {
		return fmt.Errorf("keeping kernel settings: %w", err)
	}
	return os.Rename(partial, settingsFile(root))
}

// raiseInstances never lowers what somebody else has raised.
func raiseInstances() error {
	path := filepath.Join("/proc/sys", instances)
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading kernel setting %s: %w", instances, err)
	}
	now, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return fmt.Errorf("reading kernel setting %s: %w", instances, err)
	}
	if now >= enoughInstances {
		return nil
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(enoughInstances)), 0o600); err != nil {
		return fmt.Errorf("raising kernel setting %s: %w", instances, err)
	}
	return nil
}

// restoreSettings puts them back when the last cluster goes.
func restoreSettings(root string) error {
	b, err := os.ReadFile(settingsFile(root))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading kept kernel settings: %w", err)
	}
	var found map[string]string
	if err := json.Unmarshal(b, &found); err != nil {
		return fmt.Errorf("reading kept kernel settings: %w", err)
	}
	for s, want := range found {
		if err := restoreSetting(filepath.Join("/proc/sys", s), want); err != nil {
			return err
		}
	}
	return os.Remove(settingsFile(root))
}

func restoreSetting(path, want string) error {
	now, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("restoring kernel setting: %w", err)
	}
	if strings.TrimSpace(string(now)) == want {
		return nil
	}
	if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
		return fmt.Errorf("restoring kernel setting: %w", err)
	}
	return nil
}
