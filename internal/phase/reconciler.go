package phase

import (
	"context"
	"sync"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Reconciler reads objects for a reconciler from the cache and, if a save found
// one stale, past the cache the next time. An outage of the API server can leave a
// cache behind for a minute, in which every pass would end at its save.
func Reconciler[T client.Object](cached client.Client, live client.Reader, inner reconcile.ObjectReconciler[T]) reconcile.Reconciler {
	return &reader{
		cached: reconcile.AsReconciler(cached, inner),
		live:   reconcile.AsReconciler[T](past{cached, live}, inner),
	}
}

type reader struct {
	cached, live reconcile.Reconciler
	stale        sync.Map // reconcile.Request → nothing
}

func (r *reader) Reconcile(ctx context.Context, request reconcile.Request) (ctrl.Result, error) {
	from := r.cached
	if _, stale := r.stale.LoadAndDelete(request); stale {
		from = r.live
	}
	result, err := from.Reconcile(ctx, request)
	if result.RequeueAfter == retryStale { // whoever else waits as long loses nothing
		r.stale.Store(request, nil)
	}
	return result, err
}

// past reads objects past the cache.
type past struct {
	client.Client
	live client.Reader
}

func (p past) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	return p.live.Get(ctx, key, obj, opts...)
}
