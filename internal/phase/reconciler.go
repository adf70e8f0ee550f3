package phase

import (
	"context"
	"reflect"
	"sync"

	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/utils/lru"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// maxSaved is many more objects than are saved while a cache falls behind.
const maxSaved = 4096

// Reconciler reads objects for a reconciler from the cache, and past it where the
// cache is known to be behind: it does not show yet what the pass before saved, or a
// save found it stale. A pass over what is no longer so would do all its work and end
// at its save; and an outage of the API server can leave a cache behind for a minute.
func Reconciler[T client.Object](cached client.Client, live client.Reader, inner reconcile.ObjectReconciler[T]) reconcile.Reconciler {
	saved := lru.New(maxSaved)
	inner = saving[T]{inner, saved}
	return &reader{
		cached: reconcile.AsReconciler(caughtUp{cached, live, saved}, inner),
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

// saving remembers the version of each object that a pass saved last, by its name.
type saving[T client.Object] struct {
	inner reconcile.ObjectReconciler[T]
	saved *lru.Cache // client.ObjectKey → string
}

func (s saving[T]) Reconcile(ctx context.Context, obj T) (ctrl.Result, error) {
	read := obj.GetResourceVersion()
	result, err := s.inner.Reconcile(ctx, obj)
	if version := obj.GetResourceVersion(); version != read {
		s.saved.Add(client.ObjectKeyFromObject(obj), version)
	}
	return result, err
}

// caughtUp reads objects from the cache, and past it while that is behind what was saved.
type caughtUp struct {
	client.Client
	live  client.Reader
	saved *lru.Cache
}

func (c caughtUp) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	if err := c.Client.Get(ctx, key, obj, opts...); err != nil {
		return err
	}
	version, known := c.saved.Get(key)
	if !known {
		return nil
	}
	if order, err := resourceversion.CompareResourceVersion(obj.GetResourceVersion(), version.(string)); err == nil && order < 0 {
		return c.again(ctx, key, obj, opts...)
	}
	c.saved.Remove(key)
	return nil
}

// again reads an object past the cache into a new one: a decoder leaves what an
// answer does not mention as the cache filled it.
func (c caughtUp) again(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	target := reflect.ValueOf(obj).Elem()
	fresh := reflect.New(target.Type())
	if err := c.live.Get(ctx, key, fresh.Interface().(client.Object), opts...); err != nil {
		return err
	}
	target.Set(fresh.Elem())
	return nil
}

// past reads objects past the cache.
type past struct {
	client.Client
	live client.Reader
}

func (p past) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	return p.live.Get(ctx, key, obj, opts...)
}
