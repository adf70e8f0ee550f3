package app

import (
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"k8s.io/utils/clock"

	"github.com/kubernaut/kubernaut/internal/controller/diagnosis"
	"github.com/kubernaut/kubernaut/internal/controller/workflowrun"
	"github.com/kubernaut/kubernaut/internal/diagnose"
	"github.com/kubernaut/kubernaut/internal/intake"
	"github.com/kubernaut/kubernaut/internal/ledger"
	"github.com/kubernaut/kubernaut/internal/rightofway"
)

// described takes a metric's name, help and labels out of what its Desc prints.
var described = regexp.MustCompile(`fqName: "([^"]*)", help: "([^"]*)", unit: "[^"]*", constLabels: \{\}, variableLabels: \{([^}]*)\}`)

// TestMetricsAreDocumented compares docs/metrics.md with what is registered.
func TestMetricsAreDocumented(t *testing.T) {
	registry := prometheus.NewRegistry()
	clk := clock.RealClock{}
	ledger.New(io.Discard, clk, registry)
	registry.MustRegister(ledger.NewLiving(nil))
	diagnose.NewChain(registry)
	diagnosis.New(nil, clk, nil, nil, registry)
	workflowrun.New(workflowrun.Needs{}, registry)
	rightofway.New(registry)
	intake.New(intake.Cluster{}, intake.Door{}, nil, clk, intake.Settings{}, registry)

	descriptions := make(chan *prometheus.Desc, 100)
	registry.Describe(descriptions)
	close(descriptions)
	var want []string
	for d := range descriptions {
		found := described.FindStringSubmatch(d.String())
		if found == nil {
			t.Fatalf("can't read %s", d)
		}
		want = append(want, "| `"+found[1]+"` | "+strings.ReplaceAll(found[3], ",", ", ")+" | "+found[2]+" |")
	}
	slices.Sort(want)
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "| `kubernaut_") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("docs/metrics.md has\n%s\nbut what is registered is\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestMetricsAreNamedAsIsUsual runs Prometheus' own linter.
func TestMetricsAreNamedAsIsUsual(t *testing.T) {
	registry := prometheus.NewRegistry()
	ledger.New(io.Discard, clock.RealClock{}, registry)
	intake.New(intake.Cluster{}, intake.Door{}, nil, clock.RealClock{}, intake.Settings{}, registry)
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}
