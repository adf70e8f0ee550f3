// Package phase runs the phases of one reconcile in order, on a snapshot of one
// object whose status is saved once at the end, and directly before each effect.
package phase

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ErrStale means that somebody wrote or deleted the object since it was read.
var ErrStale = errors.New("object changed since it was read")

// retryStale is how soon a stale save is tried again: the cache has it by then.
const retryStale = 200 * time.Millisecond

// Pass is one reconcile of one object: what we are making of it, and what the
// API server last said it was.
type Pass[T client.Object] struct {
	// Obj is the object as we are making it.
	Obj T

	before T // as it was when the pass began; never changes
	base   T // as the API server last returned it
	client client.Client
	broken error // what a save ended with: the pass is over
}

// Begin starts a pass over an object that was just read.
func Begin[T client.Object](c client.Client, obj T) *Pass[T] {
	return &Pass[T]{Obj: obj, before: clone(obj), base: clone(obj), client: c}
}

// Before returns the object as it was when the pass began; what differs from
// Obj after Save is what the pass decided.
func (p *Pass[T]) Before() T { return p.before }

// Stored returns the object as the API server last returned it; what differs from
// Before is what the pass has saved, even if a later save failed.
func (p *Pass[T]) Stored() T { return p.base }

// Save writes the status if it changed, and only if nobody wrote since we read.
// It may be called again later. Once it failed nothing more is written: what was
// to be saved before an effect is no longer true without that effect.
func (p *Pass[T]) Save(ctx context.Context) error {
	if p.broken == nil {
		p.broken = p.write(ctx)
	}
	return p.broken
}

func (p *Pass[T]) write(ctx context.Context) error {
	changed, err := statusDiffers(p.base, p.Obj)
	if err != nil || !changed {
		return err
	}
	err = p.client.Status().Update(ctx, p.Obj)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return ErrStale
	}
	if err != nil {
		return fmt.Errorf("saving status: %w", err)
	}
	p.base = clone(p.Obj)
	return nil
}

// statusDiffers compares the statuses only: a write of the status drops changes of
// anything else silently, so they must not look like work to be done.
func statusDiffers(a, b client.Object) (bool, error) {
	before, err := runtime.DefaultUnstructuredConverter.ToUnstructured(a)
	if err != nil {
		return false, fmt.Errorf("reading status: %w", err)
	}
	after, err := runtime.DefaultUnstructuredConverter.ToUnstructured(b)
	if err != nil {
		return false, fmt.Errorf("reading status: %w", err)
	}
	return !equality.Semantic.DeepEqual(before["status"], after["status"]), nil
}

func clone[T client.Object](obj T) T {
	return obj.DeepCopyObject().(T)
}

// Outcome is what a phase wants next. The zero value is Continue.
type Outcome struct {
	stop  bool
	after time.Duration
}

// Continue goes on to the next phase.
var Continue = Outcome{}

// Wait ends the pass because the world is not ready; the next one comes after d,
// or when something that is watched changes.
func Wait(d time.Duration) Outcome { return Outcome{stop: true, after: d} }

// Finish ends the pass because everything is settled.
func Finish() Outcome { return Outcome{stop: true} }

// Run calls the phases in order and stops at the first that waits, finishes or fails.
func Run[T client.Object](ctx context.Context, p *Pass[T], phases ...func(context.Context, *Pass[T]) (Outcome, error)) (Outcome, error) {
	for _, phase := range phases {
		if out, err := phase(ctx, p); err != nil || out.stop {
			return out, err
		}
	}
	return Finish(), nil
}

// Result is the only place where an outcome becomes a controller-runtime result.
func Result(out Outcome, err error) (ctrl.Result, error) {
	switch {
	case err == ErrStale: //nolint:errorlint // our own stale save and nothing else; a conflict at an object we act on is no such thing
		return ctrl.Result{RequeueAfter: retryStale}, nil
	case err != nil:
		return ctrl.Result{}, err // backoff
	}
	return ctrl.Result{RequeueAfter: out.after}, nil
}
