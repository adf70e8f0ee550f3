package phase

import (
	"testing"
	"time"
)

func TestRarely(t *testing.T) {
	rows := map[string]struct{ waited, want time.Duration }{
		"a clock that went back is no reason to hurry": {-time.Hour, 2 * time.Second},
		"at first it is soon":                          {0, 2 * time.Second},
		"then in proportion":                           {40 * time.Second, 10 * time.Second},
		"in the end twice a minute":                    {24 * time.Hour, lastRetry},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := Rarely(2*time.Second, row.waited); got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
}

func TestBackoff(t *testing.T) {
	backoff := Backoff[string]()
	if first := backoff.When("a"); first != firstRetry {
		t.Errorf("the first retry comes after %s, want %s", first, firstRetry)
	}
	var last time.Duration
	for range 40 {
		last = backoff.When("a")
	}
	if last != lastRetry {
		t.Errorf("after an outage of hours the next retry is %s away, want %s", last, lastRetry)
	}
	// A thousand that fail at once are not all tried again at once.
	var longest time.Duration
	for i := range 1000 {
		longest = max(longest, backoff.When(string(rune(i))))
	}
	if longest < 80*time.Second || longest > 100*time.Second {
		t.Errorf("the last of a thousand is tried again after %s", longest)
	}
	backoff.Forget("a")
	if backoff.NumRequeues("a") != 0 {
		t.Error("what succeeded is not forgotten")
	}
}
