package sharedread

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// apiServer answers each read when it is told to. The resourceVersion of an answer
// is the number of the read.
type apiServer struct {
	mu    sync.Mutex
	reads []*received
}

// received is a read that has begun.
type received struct {
	what   string
	answer chan error
	ended  error // of the context, before it was answered
}

func (s *apiServer) read(ctx context.Context, what string) (string, error) {
	r := &received{what: what, answer: make(chan error)}
	s.mu.Lock()
	s.reads = append(s.reads, r)
	n := len(s.reads)
	s.mu.Unlock()
	select {
	case err := <-r.answer:
		return strconv.Itoa(n), err
	case <-ctx.Done():
		r.ended = ctx.Err()
		return "", r.ended
	}
}

// Get answers with an object of that name.
func (s *apiServer) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	n, err := s.read(ctx, fmt.Sprintf("%T %s %s %d", obj, obj.GetObjectKind().GroupVersionKind().Kind, key, len(opts)))
	obj.SetName(key.Name)
	obj.SetResourceVersion(n)
	obj.SetLabels(map[string]string{})
	return err
}

// List answers with an empty list, but for events.
func (s *apiServer) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	o := (&client.ListOptions{}).ApplyOptions(opts)
	n, err := s.read(ctx, fmt.Sprintf("%T %s %v %v %d %s %v", list, o.Namespace, o.LabelSelector, o.FieldSelector, o.Limit, o.Continue, o.Raw))
	list.SetResourceVersion(n)
	if events, ok := list.(*corev1.EventList); ok {
		events.Items = make([]corev1.Event, 1)
	}
	return err
}

// scene is an API server and those who ask it.
type scene struct {
	apiServer
	t      *testing.T
	reader *Reader
}

// play runs a test in a bubble whose clock is its own.
func play(t *testing.T, test func(t *testing.T, s *scene)) {
	synctest.Test(t, func(t *testing.T) {
		s := &scene{t: t}
		s.reader = New(&s.apiServer)
		test(t, s)
		synctest.Wait()
		if len(s.reader.next) != 0 {
			t.Errorf("%d questions are remembered, and nobody waits", len(s.reader.next))
		}
	})
}

// asked is somebody's question.
type asked struct {
	obj *metav1.PartialObjectMetadata
	err error
}

// get asks for one ConfigMap, as everybody does.
func (s *scene) get(ctx context.Context) *asked {
	a := &asked{obj: metadata("ConfigMap")}
	go func() { a.err = s.reader.Get(ctx, client.ObjectKey{Namespace: "home", Name: "stop"}, a.obj) }()
	synctest.Wait()
	return a
}

func metadata(kind string) *metav1.PartialObjectMetadata {
	obj := &metav1.PartialObjectMetadata{}
	obj.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(kind))
	return obj
}

// begun returns the reads that have.
func (s *apiServer) begun() []*received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.reads)
}

// answer ends a read by its number.
func (s *scene) answer(n int, err error) {
	s.begun()[n-1].answer <- err
	synctest.Wait()
}

// expect says how many reads have begun by now.
func (s *scene) expect(begun int, when string) {
	s.t.Helper()
	if got := len(s.begun()); got != begun {
		s.t.Errorf("%s: %d reads have begun, want %d", when, got, begun)
	}
}

func (s *scene) got(a *asked, version string) {
	s.t.Helper()
	if a.err != nil || a.obj.ResourceVersion != version {
		s.t.Errorf("got the answer of read %q (%v), want that of %s", a.obj.ResourceVersion, a.err, version)
	}
}

func TestNobodyGetsAnAnswerOfAReadThatBeganBeforeTheyAsked(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		first := s.get(t.Context())
		second, third := s.get(t.Context()), s.get(t.Context())
		s.expect(1, "while the first is under way")
		s.answer(1, nil)
		s.got(first, "1")
		s.expect(2, "when it came")
		fourth := s.get(t.Context())
		s.answer(2, nil)
		s.got(second, "2")
		s.got(third, "2")
		s.answer(3, nil)
		s.got(fourth, "3")
		s.expect(3, "in the end")
	})
}

func TestWhoSharesAnAnswerMayChangeTheirs(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		s.get(t.Context())
		second, third := s.get(t.Context()), s.get(t.Context())
		s.answer(1, nil)
		s.answer(2, nil)
		second.obj.Labels["mine"] = "yes"
		if len(third.obj.Labels) != 0 || third.obj.Kind != "ConfigMap" || third.obj.Name != "stop" {
			t.Errorf("the other one has %+v", third.obj)
		}
	})
}

func TestWhoPromisesNotToChangeAListSharesItsItems(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		lists := make([]corev1.EventList, 3)
		for i := range lists {
			go func() { _ = s.reader.List(t.Context(), &lists[i], client.UnsafeDisableDeepCopy) }()
			synctest.Wait()
		}
		s.answer(1, nil)
		s.answer(2, nil)
		if &lists[1].Items[0] != &lists[2].Items[0] {
			t.Error("each has a copy")
		}
	})
}

func TestDifferentQuestionsAreAskedAsTheyAre(t *testing.T) {
	here, there := client.ObjectKey{Namespace: "here", Name: "a"}, client.ObjectKey{Namespace: "there", Name: "a"}
	labels, fields := client.MatchingLabels{"app": "web"}, client.MatchingFields{"spec.nodeName": "a"}
	get := func(obj client.Object, key client.ObjectKey, opts ...client.GetOption) func(context.Context, client.Reader) error {
		return func(ctx context.Context, r client.Reader) error { return r.Get(ctx, key, obj, opts...) }
	}
	list := func(list client.ObjectList, opts ...client.ListOption) func(context.Context, client.Reader) error {
		return func(ctx context.Context, r client.Reader) error { return r.List(ctx, list, opts...) }
	}
	questions := []func(context.Context, client.Reader) error{
		get(metadata("ConfigMap"), here),
		get(metadata("ConfigMap"), there),
		get(metadata("Secret"), here),
		get(&corev1.ConfigMap{}, here),
		get(&corev1.ConfigMap{}, here, &client.GetOptions{}),
		list(&corev1.PodList{}),
		list(&corev1.EventList{}),
		list(&eventsv1.EventList{}),
		list(&corev1.PodList{}, client.InNamespace("here")),
		list(&corev1.PodList{}, client.InNamespace("here"), labels),
		list(&corev1.PodList{}, client.InNamespace("here"), fields),
		list(&corev1.PodList{}, client.InNamespace("here"), client.Limit(10)),
		list(&corev1.PodList{}, client.InNamespace("here"), client.UnsafeDisableDeepCopy),
		list(&corev1.PodList{}, client.InNamespace("here"), client.Continue("there")),
		list(&corev1.PodList{}, &client.ListOptions{Raw: &metav1.ListOptions{}}),
	}
	play(t, func(t *testing.T, s *scene) {
		plain := &apiServer{}
		for i, ask := range questions {
			go func() { _ = ask(t.Context(), s.reader) }()
			synctest.Wait()
			s.expect(i+1, "before any was answered")
			over, leave := context.WithCancel(t.Context())
			leave()
			_ = ask(over, plain)
			if got, want := s.begun()[i].what, plain.begun()[i].what; got != want {
				t.Errorf("the API server was asked %q, want %q", got, want)
			}
		}
		go func() { _ = questions[9](t.Context(), s.reader) }()
		synctest.Wait()
		s.expect(len(questions), "with one who asks the same as another")
		for n := range questions {
			s.answer(n+1, nil)
		}
		s.answer(len(questions)+1, nil)
	})
}

func TestWhoAskedFirstMayLeave(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		s.get(t.Context())
		impatient, leave := context.WithCancelCause(t.Context())
		enough := errors.New("enough")
		second, third := s.get(impatient), s.get(t.Context())
		leave(enough)
		synctest.Wait()
		if !errors.Is(second.err, enough) {
			t.Errorf("the one who left got %v", second.err)
		}
		s.answer(1, nil)
		s.answer(2, nil)
		s.got(third, "2")
	})
}

func TestNothingIsReadForThoseWhoHaveLeft(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		impatient, leave := context.WithCancel(t.Context())
		one, leaves := context.WithCancel(t.Context())
		s.get(impatient)
		s.get(one)
		leaves()
		synctest.Wait()
		leave()
		synctest.Wait()
		if s.begun()[0].ended == nil {
			t.Error("the read goes on, and nobody waits for its answer")
		}
		if a := s.get(one); !errors.Is(a.err, context.Canceled) {
			t.Errorf("who asked when it was too late got %v", a.err)
		}
		s.expect(1, "when all have left")
		last := s.get(t.Context())
		s.answer(2, nil)
		s.got(last, "2")
	})
}

func TestASlowReadKeepsNobodyForLong(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		first, second := s.get(t.Context()), s.get(t.Context())
		<-time.After(enough - time.Millisecond) // by the bubble's clock
		synctest.Wait()
		s.expect(1, "just before")
		<-time.After(time.Millisecond)
		synctest.Wait()
		s.expect(2, "when it was enough")
		s.answer(2, nil)
		s.got(second, "2")
		s.answer(1, nil)
		s.got(first, "1")
	})
}

func TestAnErrorIsSharedAndForgotten(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		broken := errors.New("broken")
		s.get(t.Context())
		second, third := s.get(t.Context()), s.get(t.Context())
		s.answer(1, nil)
		s.answer(2, broken)
		if !errors.Is(second.err, broken) || !errors.Is(third.err, broken) {
			t.Errorf("got %v and %v", second.err, third.err)
		}
		fourth := s.get(t.Context())
		s.answer(3, nil)
		s.got(fourth, "3")
	})
}
