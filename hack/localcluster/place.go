package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kubernaut/kubernaut/hack/localcluster/internal/topology"
)

// place says which cluster is meant, and where things are kept.
type place struct {
	name, runtimeDir, cache, module string
}

func (p *place) register(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.StringVar(&p.name, "name", topology.DefaultName, "name of the cluster")
	flags.StringVar(&p.runtimeDir, "runtime-dir", "/var/lib/kubernaut-localcluster", "where running clusters keep their files")
	flags.StringVar(&p.cache, "cache", "", "where programs and images are kept (default $XDG_CACHE_HOME/kubernaut)")
	flags.StringVar(&p.module, "module", "", "Go module that pins the programs, and holds those that pin other versions (default: hack/localcluster/binaries above the working directory or this program)")
}

// cacheDir is outside of the repository, so that a fresh checkout finds it again.
func (p *place) cacheDir() (string, error) {
	if p.cache != "" {
		return filepath.Abs(p.cache)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("looking for the cache: %w", err)
	}
	return filepath.Join(dir, "kubernaut"), nil
}

func (p *place) moduleDir() (string, error) {
	if p.module != "" {
		return filepath.Abs(p.module)
	}
	starts := []func() (string, error){os.Getwd, os.Executable}
	for _, start := range starts {
		dir, err := start()
		if err != nil {
			return "", fmt.Errorf("looking for hack/localcluster/binaries: %w", err)
		}
		if found, ok := above(dir); ok {
			return found, nil
		}
	}
	return "", errors.New("looking for hack/localcluster/binaries: not above here; say --module")
}

// above looks for the module in a directory and in all above it, down from hack or from this module.
func above(dir string) (string, bool) {
	for {
		for _, below := range []string{"binaries", "localcluster/binaries", "hack/localcluster/binaries"} {
			candidate := filepath.Join(dir, below)
			if _, err := os.Stat(filepath.Join(candidate, "coredns", "main.go")); err == nil {
				return candidate, true
			}
		}
		if dir == filepath.Dir(dir) {
			return "", false
		}
		dir = filepath.Dir(dir)
	}
}
