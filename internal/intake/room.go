package intake

import (
	"sync"

	"github.com/kubernaut/kubernaut/pkg/alert"
)

// How much is under way at once. Decoded, a message takes several times its size.
const (
	maxMessages = 128
	maxBytes    = 16 << 20
	// Of those who are known only once their body was read.
	maxStrangers     = 4
	maxStrangerBytes = alert.MaxBody
	// A message of a few bytes may bring a whole group with it, which it then holds.
	maxFetching = 2
)

// room bounds how many messages, and how many bytes of them, are under way.
// Whoever finds none comes again: waiting inside would only move the queue here.
type room struct {
	mu       sync.Mutex
	messages int
	bytes    int64
}

// take returns what gives the place back, or nil if there is none for a body of
// that length; a negative one is not known yet.
func (r *room) take(length int64) func() {
	if length < 0 || length > alert.MaxBody {
		length = alert.MaxBody // no more than that is read
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.messages < 1 || r.bytes < length {
		return nil
	}
	r.messages, r.bytes = r.messages-1, r.bytes-length
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.messages, r.bytes = r.messages+1, r.bytes+length
	}
}
