package intake

import (
	"cmp"
	"context"
	"fmt"
	"math/bits"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// word is what a delivery says about an alert that has an object already.
type word struct {
	state       v1alpha1.AlertState
	resolvedAt  metav1.Time
	receivedAt  metav1.Time
	occurrences int64
}

// repeat counts a delivery, and writes the count when it is due.
func (h *Handler) repeat(ctx context.Context, ar *v1alpha1.AlertRemediation) error {
	heard := h.heard.hear(ar.UID, occurrences(ar.Status.Alert))
	w := word{state: v1alpha1.AlertFiring, receivedAt: metav1.NewTime(h.clock.Now()), occurrences: heard.count}
	if !due(ar.Status.Alert, heard, w) {
		return nil
	}
	_, err := h.tell(ctx, ar, w)
	return err
}

// end writes that an alert no longer fires, and reports whether that was news.
func (h *Handler) end(ctx context.Context, ar *v1alpha1.AlertRemediation, endsAt time.Time) (bool, error) {
	heard, now := h.heard.recall(ar.UID), h.clock.Now()
	w := word{
		state: v1alpha1.AlertResolved, receivedAt: metav1.NewTime(now), resolvedAt: metav1.NewTime(endsAt.UTC()), occurrences: heard.count,
	}
	if endsAt.IsZero() || endsAt.After(now) { // theirs is another clock
		w.resolvedAt = w.receivedAt
	}
	if !due(ar.Status.Alert, heard, w) {
		return false, nil
	}
	changed, err := h.tell(ctx, ar, w)
	if apierrors.IsNotFound(err) { // gone, and nobody is left who should know
		return false, nil
	}
	return changed, err
}

// conflicts come from the controllers, which write the same status.
var conflicts = wait.Backoff{Steps: 8, Duration: 10 * time.Millisecond, Factor: 2, Jitter: 0.2}

// tell writes a word into status.alert of the object as it is now. The lock
// makes whoever saves an older status meanwhile stale, and never us the one who
// takes something back.
func (h *Handler) tell(ctx context.Context, ar *v1alpha1.AlertRemediation, w word) (changed bool, err error) {
	err = retry.RetryOnConflict(conflicts, func() error {
		changed = false
		fresh := &v1alpha1.AlertRemediation{}
		if err := h.cluster.Live.Get(ctx, client.ObjectKeyFromObject(ar), fresh); err != nil {
			return err
		}
		if !due(fresh.Status.Alert, recollection{}, w) {
			h.heard.wrote(fresh.UID, *cmp.Or(fresh.Status.Alert, &v1alpha1.AlertStatus{State: v1alpha1.AlertFiring}))
			return nil
		}
		patch := client.MergeFromWithOptions(fresh.DeepCopy(), client.MergeFromWithOptimisticLock{})
		wrote := after(fresh.Status.Alert, w)
		fresh.Status.Alert = wrote.DeepCopy()
		if err := h.cluster.Client.Status().Patch(ctx, fresh, patch); err != nil {
			return err
		}
		h.heard.wrote(fresh.UID, *wrote)
		changed = true
		return nil
	})
	if err != nil {
		return false, judged(fmt.Errorf("writing status.alert: %w", err))
	}
	return changed, nil
}

// due reports whether a word is worth a write: when the state changes, and when
// the deliveries reach a power of two. said comes from a cache; what we wrote
// ourselves since, heard knows.
func due(said *v1alpha1.AlertStatus, heard recollection, w word) bool {
	state := v1alpha1.AlertFiring
	if said != nil {
		state = said.State
	}
	if w.state != state || heard.state != "" && heard.state != w.state {
		return true
	}
	written := max(occurrences(said), heard.written)
	return w.state == v1alpha1.AlertFiring && bits.Len64(uint64(w.occurrences)) > bits.Len64(uint64(written)) //nolint:gosec // counts are never negative
}

// after returns what the status says after a word.
func after(said *v1alpha1.AlertStatus, w word) *v1alpha1.AlertStatus {
	return &v1alpha1.AlertStatus{
		State: w.state, ResolvedAt: w.resolvedAt, LastReceivedAt: w.receivedAt, Occurrences: max(occurrences(said), w.occurrences),
	}
}

// occurrences of an alert of which nothing was written yet: one, at its creation.
func occurrences(said *v1alpha1.AlertStatus) int64 {
	if said == nil {
		return 1
	}
	return max(said.Occurrences, 1)
}
