package kubetest

import (
	"sync/atomic"
	"time"
)

// Skew is how far the operator's clock is ahead of the API server's, or behind it,
// in the tests.
const Skew = 5 * time.Second

var scenes atomic.Int64

// OperatorTime returns what the operator's clock shows: by turns ahead of the API
// server's and behind it. A decision that compares a time of the one with a time of
// the other fails in one of two scenes.
func OperatorTime() time.Time {
	if scenes.Add(1)%2 == 0 {
		return time.Now().Add(Skew)
	}
	return time.Now().Add(-Skew)
}
