package bench

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"
)

// figure is one number people look at.
type figure struct {
	Value   float64 `json:"value"`
	Unit    string  `json:"unit"`
	Against string  `json:"against"` // what it must be, and the goal
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

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if *figuresTo != "" {
		if err := addFigures(*figuresTo); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
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
