package phase

import (
	"fmt"
	"path"
	"strconv"
	"testing"
	"testing/synctest"
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
	backoff := Backoff(func(name string) string { return "shop" })
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
	backoff.Forget("a")
	if backoff.NumRequeues("a") != 0 {
		t.Error("what succeeded is not forgotten")
	}
}

// The requests are named namespace/name.
func TestABucketOfEachNamespace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backoff := Backoff(path.Dir)
		delays := map[time.Duration]int{}
		for i := range 1500 {
			delays[backoff.When(fmt.Sprintf("hostile/%d", i)).Truncate(time.Second)]++
		}
		for delay, retries := range delays {
			if delay > lastRetry || delay > 0 && delay < lastRetry && retries > 2*retriesPerSecond {
				t.Errorf("%d of 1500 that failed at once are tried again %s later", retries, delay)
			}
		}
		if first := backoff.When("honest/0"); first != firstRetry {
			t.Errorf("the neighbour's first retry comes after %s, want %s", first, firstRetry)
		}
		// What was not waited for took no place.
		<-time.After(lastRetry + time.Minute)
		if again := backoff.When("hostile/new"); again != firstRetry {
			t.Errorf("when all that is over, a retry comes after %s, want %s", again, firstRetry)
		}
	})
}

func TestBucketsAreBounded(t *testing.T) {
	limiter := Backoff(func(namespace string) string { return namespace })
	for i := range 2 * maxBuckets {
		limiter.When(strconv.Itoa(i))
	}
	if kept := limiter.(*backoff[string]).buckets.Len(); kept > maxBuckets {
		t.Errorf("%d buckets are kept, want at most %d", kept, maxBuckets)
	}
}
