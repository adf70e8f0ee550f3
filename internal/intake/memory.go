package intake

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// maxRemembered bounds the memory; there are two generations of that size.
const maxRemembered = 8192

// memory counts deliveries between the writes of status.alert. Losing it costs
// a few counts: what is written is never taken back.
type memory struct {
	mu           sync.Mutex
	young, older map[types.UID]recollection
}

// recollection is what is known beyond a cache that may be behind.
type recollection struct {
	count   int64               // deliveries heard of
	written int64               // deliveries as last written by us
	state   v1alpha1.AlertState // as last written by us; empty: we wrote none
}

func newMemory() *memory {
	return &memory{young: make(map[types.UID]recollection)}
}

// hear counts one more delivery. stored is what the object says.
func (m *memory) hear(uid types.UID, stored int64) recollection {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.find(uid)
	r.count = max(r.count, stored, 1) + 1
	m.keep(uid, r)
	return r
}

// recall returns what is known without counting.
func (m *memory) recall(uid types.UID) recollection {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.find(uid)
}

// wrote remembers a write, which the cache may not show for a while.
func (m *memory) wrote(uid types.UID, status v1alpha1.AlertStatus) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.find(uid)
	r.count, r.written, r.state = max(r.count, status.Occurrences), status.Occurrences, status.State
	m.keep(uid, r)
}

func (m *memory) find(uid types.UID) recollection {
	if r, ok := m.young[uid]; ok {
		return r
	}
	return m.older[uid]
}

func (m *memory) keep(uid types.UID, r recollection) {
	if len(m.young) >= maxRemembered {
		m.older, m.young = m.young, make(map[types.UID]recollection)
	}
	m.young[uid] = r
}
