// Package bench measures what has to be fast.
package bench

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/diagnose/rules"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// BenchmarkDiagnose: the rules over every scene that was recorded on a real cluster.
//
//	go test -run '^$' -bench Diagnose ./test/bench
func BenchmarkDiagnose(b *testing.B) {
	files, err := filepath.Glob("../../internal/diagnose/rules/testdata/snapshots/*.json")
	if err != nil || len(files) == 0 {
		b.Fatalf("finding snapshots: %d of them, %v", len(files), err)
	}
	var slowest time.Duration
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		s := &analysis.Snapshot{}
		if err := json.Unmarshal(raw, s); err != nil {
			b.Fatalf("reading %s: %v", file, err)
		}
		b.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				rules.Diagnose(v1alpha1.Alert{Name: "KubePodCrashLooping"}, s)
			}
			slowest = max(slowest, b.Elapsed()/time.Duration(b.N))
		})
	}
	note(b, "rules_case", figure{float64(slowest.Microseconds()), "µs", atMost(1000).noting("goal 200")})
}
