package alertremediation

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// turnstile lets one pass at a time become the first of a target: from when it asks
// whether there is one until what it came to is saved. Two alerts of one target can't
// both be the first.
type turnstile struct {
	mu       sync.Mutex
	asking   map[types.UID]types.UID // remediation by target
	targetOf map[types.UID]types.UID // target by remediation
}

func newTurnstile() *turnstile {
	return &turnstile{asking: map[types.UID]types.UID{}, targetOf: map[types.UID]types.UID{}}
}

// enter reports whether the remediation may become the first: nobody else is about to.
func (t *turnstile) enter(target, remediation types.UID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, busy := t.asking[target]; busy {
		return false
	}
	t.asking[target], t.targetOf[remediation] = remediation, target
	return true
}

// leave lets the next one in, if the remediation had entered.
func (t *turnstile) leave(remediation types.UID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if target, entered := t.targetOf[remediation]; entered {
		delete(t.asking, target)
		delete(t.targetOf, remediation)
	}
}
