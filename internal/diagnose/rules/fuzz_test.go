package rules_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/diagnose/rules"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// FuzzDiagnose: whatever a snapshot holds, there is an answer that the API takes.
func FuzzDiagnose(f *testing.F) {
	files, err := filepath.Glob("testdata/snapshots/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte(`{"target":{"apiVersion":"v1","kind":"Pod","name":"a"},"pods":[{"metadata":{"name":"a"},"status":{"containerStatuses":[{"restartCount":3,"state":{"waiting":{"reason":"CrashLoopBackOff"}}}]}}]}`))
	f.Add([]byte(`{"target":{"apiVersion":"v1","kind":"Service","name":"a"},"services":[{"metadata":{"name":"a"},"spec":{"selector":{"a":"b"}}}],"deployments":[{"metadata":{"name":"a"}},{"metadata":{"name":"a"}}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s := &analysis.Snapshot{}
		if json.Unmarshal(raw, s) != nil {
			return
		}
		found := rules.Diagnose(v1alpha1.Alert{Name: "Alert"}, s)
		if len(found) == 0 {
			t.Fatal("no answer")
		}
		for _, one := range found {
			if one.Confidence < 0 || one.Confidence > 100 || one.Code == "" || one.Message == "" {
				t.Errorf("finding %+v", one)
			}
		}
		for _, r := range found[0].Remedies {
			if r.Action == "" || len(r.Parameters) > 16 {
				t.Errorf("remedy %+v", r)
			}
		}
	})
}
