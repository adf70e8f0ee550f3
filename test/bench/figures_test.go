package bench

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// figure is one number people look at.
type figure struct {
	Value   float64 `json:"value"`
	Unit    string  `json:"unit"`
	Against against `json:"against"`
}

// against is what a figure is held against. The zero value is nothing at all.
type against struct {
	sign  string // how the figure must stand to the limit; empty: there is no bound
	limit float64
	note  string // the goal, or how it is meant
}

func below(limit float64) against         { return against{sign: "<", limit: limit} }
func atMost(limit float64) against        { return against{sign: "<=", limit: limit} }
func atLeast(limit float64) against       { return against{sign: ">=", limit: limit} }
func (a against) noting(s string) against { a.note = s; return a }

// keeps reports whether a value is within the bound. What is not a number is not.
func (a against) keeps(value float64) bool {
	switch a.sign {
	case "<":
		return value < a.limit
	case "<=":
		return value <= a.limit
	case ">=":
		return value >= a.limit
	}
	return true
}

// MarshalText writes it as people read it.
func (a against) MarshalText() ([]byte, error) {
	var parts []string
	if a.sign != "" {
		parts = append(parts, fmt.Sprintf("%s %g", a.sign, a.limit))
	}
	if a.note != "" {
		parts = append(parts, a.note)
	}
	return []byte(strings.Join(parts, ", ")), nil
}

// UnmarshalText takes it as words: what an earlier run was held against is not judged again.
func (a *against) UnmarshalText(text []byte) error {
	*a = against{note: string(text)}
	return nil
}

var (
	figures   = map[string]figure{}
	figuresMu sync.Mutex
	figuresTo = flag.String("figures", "", "file that the figures are added to, as JSON")
)

// note reports a figure to benchstat under its unit, and keeps it for the file.
func note(b *testing.B, name string, f figure) {
	b.Helper()
	b.ReportMetric(f.Value, name)
	figuresMu.Lock()
	defer figuresMu.Unlock()
	figures[name] = f
}

// TestMain fails for a bound that is broken, but only once everything was measured
// and written: one slow figure hides no other.
func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if *figuresTo != "" {
		if err := addFigures(*figuresTo); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	for _, sentence := range broken(figures) {
		fmt.Fprintln(os.Stderr, sentence)
		code = 1
	}
	os.Exit(code)
}

// broken says of each figure outside its bound what it is and what it must be.
func broken(figures map[string]figure) []string {
	var sentences []string
	for _, name := range slices.Sorted(maps.Keys(figures)) {
		if f := figures[name]; !f.Against.keeps(f.Value) {
			sentences = append(sentences, fmt.Sprintf("bound broken: %s is %.4g %s, and must be %s %g", name, f.Value, f.Unit, f.Against.sign, f.Against.limit))
		}
	}
	return sentences
}

// addFigures writes the figures of this run over those of earlier ones.
func addFigures(path string) error {
	all := map[string]figure{}
	before, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(before, &all)
	}
	if err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("reading earlier figures: %w", err)
	}
	for name, f := range figures {
		all[name] = f
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("writing figures: %w", err)
	}
	return os.WriteFile(path, append(text, '\n'), 0o600)
}

func TestBounds(t *testing.T) {
	figures := map[string]figure{
		"only looked at":    {9, "s", against{}},
		"with a goal":       {1, "alerts/s", against{}.noting("goal 20000")},
		"just below":        {1.999, "s", below(2)},
		"not below":         {2, "s", below(2)},
		"the most":          {1000, "µs", atMost(1000).noting("goal 200")},
		"more":              {1001, "µs", atMost(1000).noting("goal 200")},
		"the least":         {0.6, "ratio", atLeast(0.6).noting("goal 0.9")},
		"less":              {0.5, "ratio", atLeast(0.6).noting("goal 0.9")},
		"of no measurement": {math.NaN(), "ratio", atLeast(0.6)},
	}
	want := []string{
		"bound broken: less is 0.5 ratio, and must be >= 0.6",
		"bound broken: more is 1001 µs, and must be <= 1000",
		"bound broken: not below is 2 s, and must be < 2",
		"bound broken: of no measurement is NaN ratio, and must be >= 0.6",
	}
	if got := broken(figures); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	got, err := json.Marshal(figures["the least"])
	if want := `{"value":0.6,"unit":"ratio","against":"\u003e= 0.6, goal 0.9"}`; err != nil || string(got) != want {
		t.Errorf("got %s (%v), want %s", got, err, want)
	}
}
