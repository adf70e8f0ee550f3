package phase

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

type step = func(context.Context, *Pass[*v1alpha1.WorkflowRun]) (Outcome, error)

func TestRunStopsAtTheFirstPhaseThatIsNotDone(t *testing.T) {
	broken := errors.New("broken")
	rows := map[string]struct {
		phases []step
		want   Outcome
		err    error
		called int
	}{
		"goes on to the end and finishes":    {phases: []step{then(Continue), then(Continue)}, want: Finish(), called: 2},
		"stops at a phase that waits":        {phases: []step{then(Wait(time.Second)), then(Continue)}, want: Wait(time.Second), called: 1},
		"stops at a phase that finishes":     {phases: []step{then(Finish()), then(Continue)}, want: Finish(), called: 1},
		"stops at a phase that fails":        {phases: []step{fail(broken), then(Continue)}, err: broken, called: 1},
		"finishes when there are no phases":  {want: Finish()},
		"an error wins over what it returns": {phases: []step{then(Continue), fail(broken)}, err: broken, called: 2},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			called := 0
			var phases []func(context.Context, *Pass[*v1alpha1.WorkflowRun]) (Outcome, error)
			for _, phase := range row.phases {
				phases = append(phases, func(ctx context.Context, p *Pass[*v1alpha1.WorkflowRun]) (Outcome, error) {
					called++
					return phase(ctx, p)
				})
			}
			got, err := Run(t.Context(), nil, phases...)
			if !errors.Is(err, row.err) || row.err == nil && got != row.want || called != row.called {
				t.Errorf("got %+v, %v after %d phases; want %+v, %v after %d", got, err, called, row.want, row.err, row.called)
			}
		})
	}
}

func TestResult(t *testing.T) {
	broken := errors.New("broken")
	rows := map[string]struct {
		out  Outcome
		err  error
		want ctrl.Result
		fail error
	}{
		"a wait becomes a requeue":                             {out: Wait(time.Minute), want: ctrl.Result{RequeueAfter: time.Minute}},
		"a finish asks for nothing":                            {out: Finish()},
		"our own stale save is retried soon":                   {err: ErrStale, want: ctrl.Result{RequeueAfter: retryStale}},
		"an error that only wraps a stale save is an error":    {err: fmt.Errorf("acting: %w", ErrStale), fail: ErrStale},
		"anything else goes to the back-off of the controller": {out: Wait(time.Minute), err: broken, fail: broken},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			got, err := Result(row.out, row.err)
			if got != row.want || !errors.Is(err, row.fail) {
				t.Errorf("got %+v, %v; want %+v, %v", got, err, row.want, row.fail)
			}
		})
	}
}

func TestSave(t *testing.T) {
	resource := v1alpha1.GroupVersion.WithResource("workflowruns").GroupResource()
	conflict, gone := apierrors.NewConflict(resource, "r", errors.New("changed")), apierrors.NewNotFound(resource, "r")
	rows := map[string]struct {
		change func(*v1alpha1.WorkflowRun)
		answer error
		writes int
		want   error
	}{
		"writes nothing when the status is as it was": {change: func(*v1alpha1.WorkflowRun) {}},
		"writes nothing for metadata alone, which a write of the status would drop": {
			change: func(r *v1alpha1.WorkflowRun) { r.Labels = map[string]string{"a": "b"} },
		},
		"writes a status that changed":        {change: progress, writes: 1},
		"calls a conflict stale":              {change: progress, answer: conflict, writes: 1, want: ErrStale},
		"calls what was deleted stale":        {change: progress, answer: gone, writes: 1, want: ErrStale},
		"passes any other answer on as it is": {change: progress, answer: context.DeadlineExceeded, writes: 1, want: context.DeadlineExceeded},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			writes := 0
			c := newClient(t, func(ctx context.Context, c client.Client, obj client.Object) error {
				writes++
				if row.answer != nil {
					return row.answer
				}
				return c.Status().Update(ctx, obj)
			})
			var run v1alpha1.WorkflowRun
			if err := c.Get(t.Context(), client.ObjectKey{Namespace: "n", Name: "r"}, &run); err != nil {
				t.Fatal(err)
			}
			pass := Begin(c, &run)
			row.change(pass.Obj)
			if err := pass.Save(t.Context()); !errors.Is(err, row.want) || (err == nil) != (row.want == nil) {
				t.Errorf("got %v, want %v", err, row.want)
			}
			// What was saved is not saved again, and what could not be is not tried again.
			if err := pass.Save(t.Context()); !errors.Is(err, row.want) || (err == nil) != (row.want == nil) {
				t.Errorf("the second time: got %v, want %v", err, row.want)
			}
			if writes != row.writes {
				t.Errorf("%d writes, want %d", writes, row.writes)
			}
		})
	}
}

func TestSaveIsStaleWhenSomebodyWroteSinceWeRead(t *testing.T) {
	c := newClient(t, nil)
	read := func() *Pass[*v1alpha1.WorkflowRun] {
		var run v1alpha1.WorkflowRun
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: "n", Name: "r"}, &run); err != nil {
			t.Fatal(err)
		}
		return Begin(c, &run)
	}
	first, second := read(), read()
	progress(first.Obj)
	progress(second.Obj)
	if err := first.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := second.Save(t.Context()); !errors.Is(err, ErrStale) {
		t.Errorf("got %v, want ErrStale", err)
	}
}

func then(out Outcome) step {
	return func(context.Context, *Pass[*v1alpha1.WorkflowRun]) (Outcome, error) { return out, nil }
}

func fail(err error) step {
	return func(context.Context, *Pass[*v1alpha1.WorkflowRun]) (Outcome, error) { return Continue, err }
}

func progress(r *v1alpha1.WorkflowRun) { r.Status.Progress = "1/1" }

func newClient(t *testing.T, update func(context.Context, client.Client, client.Object) error) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	run := &v1alpha1.WorkflowRun{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "r"}}
	plain := fake.NewClientBuilder().WithScheme(scheme).WithObjects(run).WithStatusSubresource(run).Build()
	if update == nil {
		return plain
	}
	return interceptor.NewClient(plain, interceptor.Funcs{
		SubResourceUpdate: func(ctx context.Context, c client.Client, _ string, obj client.Object, _ ...client.SubResourceUpdateOption) error {
			return update(ctx, c, obj)
		},
	})
}
