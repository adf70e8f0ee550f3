// Package debian fetches Debian packages with all they depend on. Nothing is
// installed: apt only resolves and downloads, and the files are read from the archives.
package debian

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kubernaut/kubernaut/hack/localcluster/internal/process"
)

// maintenance packages only serve the installation of others, which never takes place here.
var maintenance = []string{"debconf", "perl-base", "dpkg", "tar", "init-system-helpers", "lsb-base", "sysvinit-utils", "adduser", "passwd"}

// Fetch downloads the packages and their dependencies into a directory and returns the archives.
func Fetch(ctx context.Context, dir string, packages ...string) ([]string, error) {
	archives := filepath.Join(dir, "archives")
	if err := os.MkdirAll(filepath.Join(archives, "partial"), 0o750); err != nil {
		return nil, fmt.Errorf("making %s: %w", archives, err)
	}
	args := append([]string{
		"install", "--download-only", "--yes", "--quiet=2", "--no-install-recommends",
		// A machine where nothing is installed: apt then resolves the whole closure.
		"-o", "Dir::State::status=/dev/null",
		"-o", "Dir::Cache=" + dir, "-o", "Dir::Cache::archives=" + archives,
		"-o", "Debug::NoLocking=true", "-o", "APT::Sandbox::User=root",
	}, packages...)
	if _, err := process.Run(ctx, "apt-get", args...); err != nil {
		return nil, fmt.Errorf("downloading Debian packages (`apt-get update` refreshes apt's lists): %w", err)
	}
	debs, err := filepath.Glob(filepath.Join(archives, "*.deb"))
	if err != nil {
		return nil, fmt.Errorf("listing Debian packages: %w", err)
	}
	return slices.DeleteFunc(debs, isMaintenance), nil
}

func isMaintenance(deb string) bool {
	name, _, _ := strings.Cut(filepath.Base(deb), "_")
	return slices.Contains(maintenance, name)
}

// Walk visits the files of an archive.
func Walk(ctx context.Context, deb string, visit func(*tar.Header, io.Reader) error) error {
	out, err := process.RunWith(ctx, exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", deb))
	if err != nil {
		return err
	}
	files := tar.NewReader(bytes.NewReader(out))
	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", filepath.Base(deb), err)
		}
		if err := visit(header, files); err != nil {
			return fmt.Errorf("reading %s: %w", filepath.Base(deb), err)
		}
	}
}
