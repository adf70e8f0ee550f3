package lock

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
)

func TestLockIsHeldByOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "lock")
	unlock, err := Try(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Try(path); !errors.Is(err, ErrHeld) {
		t.Errorf("a second one got %v", err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := Wait(stopped, path); !errors.Is(err, context.Canceled) {
		t.Errorf("one that was stopped got %v", err)
	}
	unlock()
	if _, err := Wait(t.Context(), path); err != nil {
		t.Errorf("one who waited got %v", err)
	}
}
