package guard

import (
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

func TestGuardsSettleOnlyWhileTheyAreUnchanged(t *testing.T) {
	type look struct {
		after    time.Duration // since the look before
		epoch    string        // empty: a guard is missing
		settled  bool
		replaced bool
	}
	rows := map[string][]look{
		"unchanged for 30 s":           {{0, "a", false, false}, {29 * time.Second, "a", false, false}, {time.Second, "a", true, false}},
		"for the first time, later on": {{time.Hour, "a", false, false}},
		"unchanged between two looks":  {{0, "a", false, false}, {time.Hour, "a", true, false}},
		"others from one look to the next": {
			{0, "a", false, false}, {time.Minute, "b", false, true}, {29 * time.Second, "b", false, true}, {time.Second, "b", true, true},
		},
		"the same again after others": {{0, "a", false, false}, {time.Minute, "b", false, true}, {time.Second, "a", false, true}},
		"missing at first":            {{0, "", false, true}, {time.Minute, "", false, true}, {time.Second, "a", false, true}, {30 * time.Second, "a", true, true}},
		"missing in between":          {{0, "a", false, false}, {time.Minute, "", false, true}, {time.Second, "a", false, true}},
	}
	for name, looks := range rows {
		t.Run(name, func(t *testing.T) {
			clk := clocktesting.NewFakeClock(time.Now())
			w := &Watcher{clock: clk}
			for i, look := range looks {
				clk.Step(look.after)
				got := w.saw(State{Epoch: look.epoch})
				if got.Settled != look.settled || got.Replaced != look.replaced {
					t.Errorf("look %d: settled %v, replaced %v; want %v and %v", i, got.Settled, got.Replaced, look.settled, look.replaced)
				}
			}
		})
	}
}

func TestUnderWhichGuardsAnObjectIsFirstSeen(t *testing.T) {
	rows := map[string]struct {
		looks []string // epochs, a second apart; empty: a guard is missing
		after time.Duration
		want  string
	}{
		"a new leader trusts those that it sees":     {looks: []string{"a"}, want: "a"},
		"one is missing":                             {looks: []string{"a", ""}, want: NotInForce},
		"others, a moment after they came":           {looks: []string{"a", "b"}, want: NotInForce},
		"others, a second before they have settled":  {looks: []string{"a", "b"}, after: 29 * time.Second, want: NotInForce},
		"others that have settled":                   {looks: []string{"a", "b"}, after: 30 * time.Second, want: "b"},
		"all of them at last, after one was missing": {looks: []string{"", "b"}, after: 30 * time.Second, want: "b"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			clk := clocktesting.NewFakeClock(time.Now())
			w := &Watcher{clock: clk}
			for _, epoch := range row.looks {
				clk.Step(time.Second)
				w.saw(State{Epoch: epoch})
			}
			clk.Step(row.after)
			if got, err := w.First(t.Context(), nil); err != nil || got != row.want {
				t.Errorf("got %q (%v), want %q", got, err, row.want)
			}
		})
	}
}
