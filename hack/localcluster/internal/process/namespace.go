package process

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// onOwnThread calls f on a thread that ends with it, so that nobody inherits the namespaces it enters.
func onOwnThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked
		done <- f()
	}()
	return <-done
}

// InNetns calls f with the network namespace that the file holds; without a file, where we are.
// Only the namespace of the network is left: `ip netns exec` would remount /sys too, and hide the cgroups.
func InNetns(path string, f func() error) error {
	if path == "" {
		return f()
	}
	return onOwnThread(func() error {
		if err := enter(path, unix.CLONE_NEWNET); err != nil {
			return err
		}
		return f()
	})
}

func enter(path string, kind int) error {
	ns, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("opening namespace: %w", err)
	}
	defer func() { _ = ns.Close() }()
	if err := unix.Setns(int(ns.Fd()), kind); err != nil {
		return fmt.Errorf("entering namespace %s: %w", path, err)
	}
	return nil
}

// NewNetns makes a network namespace that lives as long as the file is mounted.
func NewNetns(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o600)
	if err != nil {
		return fmt.Errorf("making network namespace: %w", err)
	}
	defer func() { _ = f.Close() }()
	return onOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("making network namespace: %w", err)
		}
		if err := unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("keeping network namespace at %s: %w", path, err)
		}
		return nil
	})
}

// inPlace calls f in the namespaces that the command is to be started in.
func (t Table) inPlace(c Command, f func() error) error {
	return onOwnThread(func() error {
		if c.Netns != "" {
			if err := enter(c.Netns, unix.CLONE_NEWNET); err != nil {
				return err
			}
		}
		switch {
		case c.Mounts != nil:
			if err := ownMounts(c.Mounts); err != nil {
				return err
			}
		case c.MountsOf != "":
			if err := t.shareMounts(c.MountsOf); err != nil {
				return err
			}
		}
		return f()
	})
}

// ownMounts sees what the host mounts and unmounts, and keeps its own mounts to itself. They
// are shared within, because a pod may ask for volumes that are.
func ownMounts(mounts func() error) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("making mount namespace: %w", err)
	}
	for _, how := range []uintptr{unix.MS_SLAVE, unix.MS_SHARED} {
		if err := unix.Mount("", "/", "", how|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("keeping mounts from the host: %w", err)
		}
	}
	return mounts()
}

func (t Table) shareMounts(name string) error {
	r, ok, err := t.find(name)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("sharing mounts of %s: it is not running", name)
	}
	// The kernel wants a thread that shares its working directory with no other.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("sharing mounts of %s: %w", name, err)
	}
	return enter(fmt.Sprintf("/proc/%d/ns/mnt", r.PID), unix.CLONE_NEWNS)
}
