package phase

import (
	"testing"
	"time"
)

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
