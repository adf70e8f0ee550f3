package monitoring

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubernaut/kubernaut/hack/localcluster/internal/topology"
)

func TestWith(t *testing.T) {
	before := Config{Rules: "/rules", Alertmanager: "/am.yaml", Interval: 5 * time.Second}
	rows := map[string]struct{ change, want Config }{
		"no change keeps all":             {Config{}, before},
		"other rules keep the rest":       {Config{Rules: "/other"}, Config{"/other", "/am.yaml", 5 * time.Second}},
		"another interval keeps the rest": {Config{Interval: time.Second}, Config{"/rules", "/am.yaml", time.Second}},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := before.With(row.change); got != row.want {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestAbsoluteRefusesAPathThatLeadsNowhere(t *testing.T) {
	if _, err := (Config{Rules: "no/such/directory"}).Absolute(); err == nil {
		t.Error("accepted")
	}
	got, err := Config{Rules: "files"}.Absolute()
	if err != nil || !filepath.IsAbs(got.Rules) {
		t.Errorf("got %q, %v", got.Rules, err)
	}
}

func TestPrepare(t *testing.T) {
	c, err := topology.New(t.TempDir(), "lab", 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(c.Path("pki"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.Path("pki", "tokens.csv"), []byte("aa,admin,admin,\"system:masters\"\nbb,prometheus,prometheus,\"monitoring\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	state := State{Config: Config{Rules: "/rules", Interval: 5 * time.Second}, Ports: Ports{Alertmanager: 1234}}
	if err := Prepare(c, state); err != nil {
		t.Fatal(err)
	}
	token, err := os.ReadFile(c.Path("monitoring", "token"))
	if err != nil || string(token) != "bb" {
		t.Errorf("prometheus has the token %q, %v; want its own", token, err)
	}
	config, err := os.ReadFile(c.Path("monitoring", "prometheus.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"scrape_interval: 5s", "/rules/*.yaml", "127.0.0.1:1234", "172.31.78.12:10250", "ca_file: "} {
		if !strings.Contains(string(config), want) {
			t.Errorf("missing %q in:\n%s", want, config)
		}
	}
}
