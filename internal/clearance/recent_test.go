package clearance

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestRecentAsksOnceForAWhile(t *testing.T) {
	noon := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	away := errors.New("the server is away")
	rows := map[string]struct {
		after time.Duration
		fails bool // the first read
		may   bool
		asks  int
		want  error // of the second answer
	}{
		"an answer is kept":                          {after: time.Minute - 1, may: true, asks: 1},
		"an old answer is asked for again":           {after: time.Minute, may: true, asks: 2},
		"but not where others have the turn":         {after: time.Hour, asks: 1},
		"a failure is kept for a moment":             {after: failureKept - 1, fails: true, may: true, asks: 1, want: away},
		"and asked about again soon, without a turn": {after: failureKept, fails: true, asks: 2},
		"a clock that was set back keeps nothing":    {after: -time.Second, may: true, asks: 2},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			r := recent[int]{keep: time.Minute, may: func(time.Time) bool { return row.may }}
			asks := 0
			ask := func(context.Context) (int, error) {
				asks++
				if row.fails && asks == 1 {
					return 0, away
				}
				return asks, nil
			}
			_, _ = r.get(t.Context(), noon, ask)
			got, err := r.get(t.Context(), noon.Add(row.after), ask)
			if asks != row.asks || !errors.Is(err, row.want) || err == nil && got != asks {
				t.Errorf("asked %d times, got %d, %v; want %d, %v", asks, got, err, row.asks, row.want)
			}
		})
	}
}

func TestRecentAnswersThoseWhoWaitThoughTheFirstCallerLeft(t *testing.T) {
	var r recent[string]
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	got, err := r.get(gone, time.Time{}, func(ctx context.Context) (string, error) { return "here", ctx.Err() })
	if got != "here" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// One tenant with many waiting plans, or many tenants, cost no more reads a minute
// than the limit, and no namespace waits for its first.
func TestRecentRightsAreReadAtAnEvenPace(t *testing.T) {
	noon := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	rights := newRecentRights()
	asked := map[string]int{}
	look := func(now time.Time, namespace string) {
		_, err := rights.get(t.Context(), now, namespace, func(context.Context) (string, error) {
			asked[namespace]++
			return "", nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	names := make([]string, 200)
	for i := range names {
		names[i] = "tenant-" + string(rune('a'+i%26)) + string(rune('a'+i/26))
	}
	for second := 0; second < 600; second++ {
		now := noon.Add(time.Duration(second) * time.Second)
		for range 10 {
			look(now, "loud") // many plans of one namespace
		}
		if second%30 == 0 {
			for _, name := range names {
				look(now, name)
			}
		}
	}
	total := 0
	for _, name := range names {
		if asked[name] == 0 {
			t.Fatalf("the rights of %s were never read", name)
		}
		total += asked[name]
	}
	if asked["loud"] > 10 {
		t.Errorf("one namespace's rights were read %d times in ten minutes", asked["loud"])
	}
	if later := total + asked["loud"] - len(names) - 1; later > 10*rightsPerMinute+1 {
		t.Errorf("rights were read again %d times in ten minutes, want at most %d", later, 10*rightsPerMinute)
	}
}
