package redact

import (
	"hash/maphash"
	"sync"
)

const (
	// memoText is how long a text may be to be remembered: labels and annotations, which
	// each delivery of an alert brings again. Logs are longer, and come once.
	memoText = 1 << 10
	// memoSize is how many texts are remembered before all are forgotten.
	memoSize = 4096
)

// memo remembers what short texts became. The texts themselves, which may hold secrets,
// are not kept: they are known by two hashes with seeds of this process, so that the
// sender of a text can't make one that is taken for another.
type memo struct {
	seeds [2]maphash.Seed

	mu      sync.Mutex
	results map[[2]uint64]string
}

// Texts and fields are remembered apart: a text that looks like a field is none.
var remembered, rememberedFields = newMemo(), newMemo()

func newMemo() *memo {
	return &memo{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, results: map[[2]uint64]string{}}
}

// text returns what redacting s gives.
func (m *memo) text(s string, redacted func(string) string) string {
	if len(s) > memoText {
		return redacted(s)
	}
	key := [2]uint64{maphash.String(m.seeds[0], s), maphash.String(m.seeds[1], s)}
	m.mu.Lock()
	result, known := m.results[key]
	m.mu.Unlock()
	if known {
		return result
	}
	result = redacted(s)
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.results) >= memoSize {
		clear(m.results)
	}
	m.results[key] = result
	return result
}
