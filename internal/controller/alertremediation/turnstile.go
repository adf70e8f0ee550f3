package alertremediation

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// turnstile lets one pass at a time become the first of a target: from when it asks
// whether there is one until what it came to is saved. Two alerts of one target can't
// both be the first.
type turnstile struct {
	mu     sync.Mutex
	asking map[standing]types.UID // remediation by standing: a user's does not hold up the operator's own
	by     map[types.UID]standing // standing by remediation
}

func newTurnstile() *turnstile {
	return &turnstile{asking: map[standing]types.UID{}, by: map[types.UID]standing{}}
}

// enter reports whether the remediation may become the first: nobody else is about to.
func (t *turnstile) enter(s standing, remediation types.UID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, busy := t.asking[s]; busy {
		return false
	}
	t.asking[s], t.by[remediation] = remediation, s
	return true
}

// leave lets the next one in, if the remediation had entered.
func (t *turnstile) leave(remediation types.UID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s, entered := t.by[remediation]; entered {
		delete(t.asking, s)
		delete(t.by, remediation)
	}
}
