package phase_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	events "sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/kubernaut/kubernaut/internal/phase"
)

type queue = workqueue.TypedRateLimitingInterface[ctrl.Request]

func request(namespace string, n int) ctrl.Request {
	return ctrl.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: "ar-" + strconv.Itoa(n)}}
}

// tally is a reconciler that counts its passes.
type tally struct {
	pass func(context.Context, ctrl.Request) (ctrl.Result, error)

	mu    sync.Mutex
	begun map[ctrl.Request]int
	ended map[ctrl.Request]int // without an error
	now   map[string]int       // passes under way, by namespace
	most  map[string]int       // the most of them at any moment
}

func (c *tally) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	c.mu.Lock()
	c.begun[request]++
	c.now[request.Namespace]++
	c.most[request.Namespace] = max(c.most[request.Namespace], c.now[request.Namespace])
	c.mu.Unlock()
	result, err := c.pass(ctx, request)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now[request.Namespace]--
	if err == nil {
		c.ended[request]++
	}
	return result, err
}

// handled is how many requests had a pass without an error.
func (c *tally) handled() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.ended)
}

// start runs controller-runtime's own controller with these options in the bubble
// of a test. It returns the queue, and what stops the controller.
func start(t *testing.T, options controller.Options, c *tally) (put queue, stop func()) {
	t.Helper()
	c.begun, c.ended, c.now, c.most = map[ctrl.Request]int{}, map[ctrl.Request]int{}, map[string]int{}, map[string]int{}
	options.Reconciler, options.SkipNameValidation = c, new(true)
	run, err := controller.NewUnmanaged("test", options)
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Watch(events.Func(func(_ context.Context, q queue) error { put = q; return nil })); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- run.Start(ctx) }()
	synctest.Wait()
	return put, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// lasts returns after so long on the bubble's clock, or when ctx ends.
func lasts(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

const workers, objects = 64, 1500

var attacks = map[string]struct {
	namespaces int // that are hostile
	pass       func(context.Context) (ctrl.Result, error)
	events     bool // every hostile object is written to once a second
	within     time.Duration
}{
	"remediations of a kind that can't be read": {namespaces: 1, within: time.Second, pass: func(ctx context.Context) (ctrl.Result, error) {
		lasts(ctx, 10*time.Millisecond)
		return ctrl.Result{}, errors.New("no matches for kind")
	}},
	"passes that last until their deadline": {namespaces: 1, within: time.Second, pass: func(ctx context.Context) (ctrl.Result, error) {
		lasts(ctx, time.Minute)
		return ctrl.Result{}, context.DeadlineExceeded
	}},
	"passes that ask for the next one at once": {namespaces: 1, within: time.Second, pass: func(ctx context.Context) (ctrl.Result, error) {
		lasts(ctx, 100*time.Millisecond)
		return ctrl.Result{RequeueAfter: time.Millisecond}, nil
	}},
	"objects that are written to all the time": {namespaces: 1, events: true, within: time.Second, pass: func(ctx context.Context) (ctrl.Result, error) {
		lasts(ctx, 100*time.Millisecond)
		return ctrl.Result{}, nil
	}},
	// Together they have all workers: each pass of the honest one gets the next worker that is free.
	"namespaces that have all workers together": {namespaces: 8, within: 5 * time.Second, pass: func(ctx context.Context) (ctrl.Result, error) {
		lasts(ctx, time.Second)
		return ctrl.Result{}, errors.New("no matches for kind")
	}},
}

// One tenant fills the queue, or the workers. The other's alert is handled in time,
// two failures of its own included.
func TestOneNamespaceDoesNotStarveAnother(t *testing.T) {
	for name, attack := range attacks {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				alert := request("honest", 0)
				c := &tally{}
				c.pass = func(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
					if request != alert {
						return attack.pass(ctx)
					}
					lasts(ctx, 10*time.Millisecond)
					c.mu.Lock()
					defer c.mu.Unlock()
					if c.begun[alert] < 3 {
						return ctrl.Result{}, errors.New("a conflict")
					}
					return ctrl.Result{}, nil
				}
				put, stop := start(t, phase.Workers(workers, phase.Namespace), c)
				defer stop()
				for second := range 60 {
					for n := 0; n < objects*attack.namespaces && (second == 0 || attack.events); n++ {
						put.Add(request("hostile-"+strconv.Itoa(n%attack.namespaces), n))
					}
					lasts(t.Context(), time.Second)
				}
				put.Add(alert)
				lasts(t.Context(), attack.within)
				c.mu.Lock()
				defer c.mu.Unlock()
				if c.ended[alert] == 0 {
					t.Errorf("the alert was not handled within %s; its passes: %d", attack.within, c.begun[alert])
				}
				for namespace, most := range c.most {
					if strings.HasPrefix(namespace, "hostile") && most > workers/4 {
						t.Errorf("%s had %d of %d workers at once", namespace, most, workers)
					}
				}
			})
		})
	}
}

// Nothing that waits for its namespace's turn is lost, and no worker idles beside it.
func TestEveryRequestIsHandledOnce(t *testing.T) {
	for _, workers := range []int{1, 2, 3, 4, 7, 64} {
		t.Run(strconv.Itoa(workers), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &tally{pass: func(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
					lasts(ctx, time.Second)
					return ctrl.Result{}, nil
				}}
				put, stop := start(t, phase.Workers(workers, phase.Namespace), c)
				defer stop()
				const each = 128
				for n := range each {
					for _, namespace := range []string{"a", "b", "c"} {
						put.Add(request(namespace, n))
					}
				}
				share := max(1, workers/4)
				lasts(t.Context(), time.Duration(3*each/min(workers, 3*share)+2)*time.Second)
				if handled := c.handled(); handled != 3*each {
					t.Errorf("%d of %d were handled", handled, 3*each)
				}
				for request, passes := range c.begun {
					if passes != 1 {
						t.Errorf("%s had %d passes", request, passes)
					}
				}
			})
		})
	}
}

// A leader that ends gives its lease back when its workers have ended: what waits in
// the queue does not keep them.
func TestWhatWaitsIsDroppedAtTheEnd(t *testing.T) {
	options := phase.Workers(workers, phase.Namespace)
	put := options.NewQueue("test", options.RateLimiter)
	put.Add(request("a", 0))
	put.Add(request("b", 0))
	if _, down := put.Get(); down {
		t.Fatal("the queue says that it ended")
	}
	put.ShutDown()
	if next, down := put.Get(); !down {
		t.Errorf("%s is handed out after the end", next)
	}
}
