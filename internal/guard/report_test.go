package guard

import (
	"strings"
	"testing"
)

func TestNews(t *testing.T) {
	well, other := State{Epoch: "a"}, State{Epoch: "b"}
	lost := State{Faults: []string{"the binding of guard run is missing"}, Missing: []string{"run"}}
	more := State{Faults: append([]string{"the policy of guard status is altered"}, lost.Faults...)}
	rows := map[string]struct {
		before *State
		now    State
		reason string
		says   string
	}{
		"all in force at the start":    {nil, well, "", ""},
		"one missing at the start":     {nil, lost, "GuardMissing", "the binding of guard run is missing"},
		"one lost":                     {&well, lost, "GuardMissing", "until every guard is back"},
		"still missing":                {&lost, lost, "", ""},
		"another one lost":             {&lost, more, "GuardMissing", "guard status is altered"},
		"one of two back":              {&more, lost, "GuardMissing", "guard run is missing"},
		"all back":                     {&lost, other, "GuardsRestored", "in force again"},
		"replaced while nobody looked": {&well, other, "GuardsReplaced", "approvals are asked for again"},
		"the same as before":           {&well, well, "", ""},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			_, reason, says := news(row.before, row.now)
			if reason != row.reason || !strings.Contains(says, row.says) {
				t.Errorf("%s: %q, want %s: %q", reason, says, row.reason, row.says)
			}
		})
	}
}
