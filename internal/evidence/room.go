package evidence

import (
	"context"

	"golang.org/x/sync/semaphore"
)

const (
	// roomy is how many pods all gatherings under way may hold: of some 15 KiB each.
	roomy = 3000
	// aside is what a gathering holds beside its pods, counted as if it were pods.
	aside = 50
)

func newRoom() *semaphore.Weighted { return semaphore.NewWeighted(roomy) }

// room waits until there is memory for so many objects, as many as a page holds
// at most, until the gathering is over. It reports false if time ran out first.
func (l *look) room(ctx context.Context, objects int32) bool {
	size := min(int64(objects), pageSize) + aside
	if err := l.memory.Acquire(ctx, size); err != nil {
		l.unread("what belongs to "+l.snapshot.Target.String(), err, false)
		return false
	}
	l.taken += size
	return true
}

// leave gives back what was taken.
func (l *look) leave() { l.memory.Release(l.taken) }
