package binaries

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestMissing(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "etcd"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	rows := map[string]struct {
		only []string
		want []string
		err  string
	}{
		"what is there is not built again":       {only: []string{"etcd"}, want: nil},
		"tests without nodes ask for three":      {only: []string{"kubectl", "etcd", "kube-apiserver"}, want: []string{"kube-apiserver", "kubectl"}},
		"a program that nobody pins is an error": {only: []string{"kubeadm"}, err: `program "kubeadm"`},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			got, err := missing(dir, row.only)
			if row.err != "" {
				if err == nil || !strings.Contains(err.Error(), row.err) {
					t.Fatalf("got %v", err)
				}
				return
			}
			if err != nil || !slices.Equal(names(got), row.want) && len(got)+len(row.want) > 0 {
				t.Fatalf("got %v, %v", names(got), err)
			}
		})
	}
	all, err := missing(dir, nil)
	if err != nil || len(all) != len(programs)-1 {
		t.Fatalf("without names: got %v, %v", names(all), err)
	}
}

func TestVersionIsLinkedIn(t *testing.T) {
	got := Module{kubernetes: "1.37.2"}.ldflags()
	for _, want := range []string{"version.gitVersion=v1.37.2", "version.gitMajor=1", "version.gitMinor=37"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s: missing %s", got, want)
		}
	}
}

func TestOpenRefusesAVersionThatIsNotPinned(t *testing.T) {
	dir := filepath.Join("..", "..", "binaries")
	if _, err := Open(context.Background(), dir, "v1.37.2"); err != nil {
		t.Errorf("the pinned version: %v", err)
	}
	if _, err := Open(context.Background(), dir, "1.31.4"); err == nil || !strings.Contains(err.Error(), "pins v1.37.2") {
		t.Errorf("another version: %v", err)
	}
}

// TestBuildIsAtomicAndOnce uses the smallest program: the others take minutes.
func TestBuildIsAtomicAndOnce(t *testing.T) {
	cache := t.TempDir()
	m, err := Open(context.Background(), filepath.Join("..", "..", "binaries"), "1.37.2")
	if err != nil {
		t.Fatal(err)
	}
	var first, second strings.Builder
	for _, progress := range []io.Writer{&first, &second} {
		if err := m.Ensure(context.Background(), cache, []string{"pause"}, progress); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(first.String(), "building 1 programs") || second.String() != "" {
		t.Errorf("said %q, then %q", first.String(), second.String())
	}
	left, err := filepath.Glob(filepath.Join(m.Dir(cache), ".*.partial"))
	if err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}
