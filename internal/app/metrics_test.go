package app

import (
	"context"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/controller/workflowrun"
	"github.com/kubernaut/kubernaut/internal/diagnose"
	"github.com/kubernaut/kubernaut/internal/guard"
	"github.com/kubernaut/kubernaut/internal/intake"
	"github.com/kubernaut/kubernaut/internal/ledger"
	"github.com/kubernaut/kubernaut/internal/rightofway"
)

// described takes a metric's name, help and labels out of what its Desc prints.
var described = regexp.MustCompile(`fqName: "([^"]*)", help: "([^"]*)", unit: "[^"]*", constLabels: \{\}, variableLabels: \{([^}]*)\}`)

// registry remembers what it was given.
type registry struct {
	*prometheus.Registry
	collectors []prometheus.Collector
}

func (r *registry) MustRegister(all ...prometheus.Collector) {
	r.Registry.MustRegister(all...)
	r.collectors = append(r.collectors, all...)
}

// registered is everything that the operator measures itself.
func registered() *registry {
	r, clk := &registry{Registry: prometheus.NewRegistry()}, clock.RealClock{}
	ledger.New(io.Discard, clk, r)
	r.MustRegister(ledger.NewLiving(nobody{}))
	diagnose.NewChain(r)
	workflowrun.New(workflowrun.Needs{}, r)
	guard.NewReporter(nil, nil, nil, "", r)
	rightofway.New(r)
	intake.New(intake.Cluster{}, intake.Door{}, nil, clk, intake.Settings{}, r)
	return r
}

// nobody has any remediations.
type nobody struct{ client.Reader }

func (nobody) List(context.Context, client.ObjectList, ...client.ListOption) error { return nil }

// metric is what a Desc says.
type metric struct {
	name, help string
	labels     []string
}

func describe(t *testing.T, from prometheus.Collector) []metric {
	t.Helper()
	descriptions := make(chan *prometheus.Desc, 100)
	from.Describe(descriptions)
	close(descriptions)
	var all []metric
	for d := range descriptions {
		found := described.FindStringSubmatch(d.String())
		if found == nil {
			t.Fatalf("can't read %s", d)
		}
		all = append(all, metric{name: found[1], help: found[2], labels: strings.FieldsFunc(found[3], func(r rune) bool { return r == ',' })})
	}
	return all
}

// TestMetricsAreDocumented compares docs/metrics.md with what is registered.
func TestMetricsAreDocumented(t *testing.T) {
	var want []string
	for _, m := range describe(t, registered()) {
		want = append(want, "| `"+m.name+"` | "+strings.Join(m.labels, ", ")+" | "+m.help+" |")
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

// TestMetricsAreNamedAsIsUsual runs Prometheus' own linter over all of them. It
// sees only what has a value: each is given one.
func TestMetricsAreNamedAsIsUsual(t *testing.T) {
	r := registered()
	for _, collector := range r.collectors {
		for _, m := range describe(t, collector) {
			if err := touch(collector, m.labels); err != nil {
				t.Errorf("%s: %v", m.name, err)
			}
		}
	}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var linted []string
	for _, family := range families {
		linted = append(linted, family.GetName())
	}
	for _, m := range describe(t, r) {
		if !slices.Contains(linted, m.name) {
			t.Errorf("%s has no value, so nobody looks at its name", m.name)
		}
	}
	problems, err := testutil.GatherAndLint(r)
	if err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}

// touch gives a metric with labels its first value; others have one.
func touch(collector prometheus.Collector, labels []string) (err error) {
	switch vec := collector.(type) {
	case *prometheus.CounterVec:
		_, err = vec.GetMetricWithLabelValues(labels...)
	case *prometheus.GaugeVec:
		_, err = vec.GetMetricWithLabelValues(labels...)
	case *prometheus.HistogramVec:
		_, err = vec.GetMetricWithLabelValues(labels...)
	}
	return err
}
