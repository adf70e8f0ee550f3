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

var pins = filepath.Join("..", "..", "binaries")

func TestChoose(t *testing.T) {
	rows := map[string]struct {
		only []string
		want []string
		err  string
	}{
		"tests without nodes ask for three":      {only: []string{"kubectl", "etcd", "kube-apiserver"}, want: []string{"kube-apiserver", "etcd", "kubectl"}},
		"without names it is all":                {want: Names()},
		"a program that nobody pins is an error": {only: []string{"kubeadm"}, err: `program "kubeadm"`},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			got, err := choose(row.only)
			if row.err != "" {
				if err == nil || !strings.Contains(err.Error(), row.err) {
					t.Fatalf("got %v", err)
				}
				return
			}
			if err != nil || !slices.Equal(names(got), row.want) {
				t.Fatalf("got %v, %v", names(got), err)
			}
		})
	}
}

func TestWhatIsThereIsNotBuiltAgain(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "etcd"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := missing(dir, programs); len(got) != len(programs)-1 || slices.Contains(names(got), "etcd") {
		t.Errorf("got %v", names(got))
	}
}

func TestVersionIsLinkedIn(t *testing.T) {
	got := module{kubernetes: "1.37.2"}.ldflags()
	for _, want := range []string{"version.gitVersion=v1.37.2", "version.gitMajor=1", "version.gitMinor=37"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s: missing %s", got, want)
		}
	}
}

func TestOpenKnowsWhatIsPinned(t *testing.T) {
	rows := map[string]struct {
		kubernetes string
		err        string
	}{
		"the newest":                            {kubernetes: "v1.37.2"},
		"the one that many still have":          {kubernetes: "1.31.4"},
		"any other is refused, with the choice": {kubernetes: "1.30.0", err: "kubernetes 1.30.0: what is pinned here is 1.37.2 and 1.31.4"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			_, err := Open(t.Context(), pins, row.kubernetes)
			if row.err == "" && err != nil || row.err != "" && (err == nil || err.Error() != row.err) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestOtherVersionsShareWhatIsNotKubernetes uses the smallest program: the others take minutes.
func TestOtherVersionsShareWhatIsNotKubernetes(t *testing.T) {
	cache := t.TempDir()
	var built, again strings.Builder
	newest, err := Open(t.Context(), pins, "1.37.2")
	if err == nil {
		err = newest.Ensure(t.Context(), cache, []string{"pause"}, &built)
	}
	if err != nil {
		t.Fatal(err)
	}
	older, err := Open(t.Context(), pins, "1.31.4")
	if err == nil {
		err = older.Ensure(t.Context(), cache, []string{"pause"}, &again)
	}
	if err != nil {
		t.Fatal(err)
	}
	if again.String() != "" || older.Dir(cache) == newest.Dir(cache) || older.Shared() != newest.Shared() {
		t.Errorf("said %q; in %s after %s", again.String(), older.Dir(cache), newest.Dir(cache))
	}
	target, err := filepath.EvalSymlinks(filepath.Join(older.Dir(cache), "pause"))
	if err != nil || target != filepath.Join(newest.Dir(cache), "pause") {
		t.Errorf("pause is %s, %v", target, err)
	}
}

// TestBuildIsAtomicAndOnce uses the smallest program: the others take minutes.
func TestBuildIsAtomicAndOnce(t *testing.T) {
	cache := t.TempDir()
	m, err := Open(context.Background(), pins, "1.37.2")
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
