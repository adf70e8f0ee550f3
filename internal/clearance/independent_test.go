package clearance

import (
	"testing"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/pkg/action"
)

func TestIndependent(t *testing.T) {
	op := func(verb v1alpha1.Verb, name string, unready bool) action.Operation {
		return action.Operation{Operation: v1alpha1.Operation{
			Verb: verb, Object: v1alpha1.ObjectReference{Name: name}, Precondition: v1alpha1.Precondition{UID: "u", Unready: unready},
		}}
	}
	rows := map[string]struct {
		ops  []action.Operation
		want []string
	}{
		"the first operation on each object is tried": {
			[]action.Operation{op(v1alpha1.VerbPatch, "a", false), op(v1alpha1.VerbPatch, "a", false), op(v1alpha1.VerbPatch, "b", false)}, []string{"a", "b"},
		},
		"an eviction is tried":                             {[]action.Operation{op(v1alpha1.VerbEvict, "p", false)}, []string{"p"}},
		"an eviction that depends on readiness is not yet": {[]action.Operation{op(v1alpha1.VerbPatch, "a", false), op(v1alpha1.VerbEvict, "p", true)}, []string{"a"}},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			got := independent(row.ops)
			if len(got) != len(row.want) {
				t.Fatalf("tried are %v, want %v", got, row.want)
			}
			for i := range got {
				if got[i].Object.Name != row.want[i] {
					t.Errorf("tried are %v, want %v", got, row.want)
				}
			}
		})
	}
}
