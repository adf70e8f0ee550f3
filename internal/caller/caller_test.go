package caller_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/caller"
)

// oracle answers reviews as an API server might.
type oracle struct {
	mu        sync.Mutex
	questions []string
	down      error
	hold      chan struct{} // closed: answers may go out
	audiences []string
}

func newOracle() *oracle {
	return &oracle{audiences: []string{"kubernaut"}, hold: closed()}
}

func closed() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

func (o *oracle) Create(ctx context.Context, obj client.Object, _ ...client.CreateOption) error {
	select {
	case <-o.hold:
	case <-ctx.Done():
		return ctx.Err()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch review := obj.(type) {
	case *authenticationv1.TokenReview:
		o.questions = append(o.questions, "token")
		review.Status.Authenticated = strings.HasPrefix(review.Spec.Token, "good")
		review.Status.User.Username = "sender"
		review.Status.Audiences = o.audiences
	case *authorizationv1.SubjectAccessReview:
		attributes := review.Spec.ResourceAttributes
		o.questions = append(o.questions, fmt.Sprintf("may %s %s %s", review.Spec.User, attributes.Verb, attributes.Namespace))
		review.Status.Allowed = attributes.Namespace == "shop"
	}
	return o.down
}

func (o *oracle) asked() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.questions)
}

func TestIdentifyAsksAboutTokens(t *testing.T) {
	rows := map[string]struct {
		token     string
		audiences []string
		unknown   bool
		asked     int
	}{
		"a good token is somebody's":                        {token: "good", asked: 1},
		"a bad token is nobody's":                           {token: "bad", unknown: true, asked: 1},
		"one for the API server is not meant for us":        {token: "good", audiences: []string{"https://kubernetes.default.svc"}, unknown: true, asked: 1},
		"an API server that knows no audiences is no proof": {token: "good", audiences: []string{}, unknown: true, asked: 1},
		"no token is asked about by nobody":                 {token: "", unknown: true},
		"nor is one longer than any token":                  {token: "good" + strings.Repeat("x", 16<<10), unknown: true},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			server := newOracle()
			if row.audiences != nil {
				server.audiences = row.audiences
			}
			who, err := caller.New(server, clocktesting.NewFakePassiveClock(time.Now()), "kubernaut").Identify(t.Context(), row.token)
			if errors.Is(err, caller.ErrUnknown) != row.unknown || !row.unknown && (err != nil || who.Name() != "sender") {
				t.Errorf("got %q, %v", who.Name(), err)
			}
			if server.asked() != row.asked {
				t.Errorf("asked %d times", server.asked())
			}
		})
	}
}

func TestAnswersAreBelievedForTenSecondsBeTheyYesOrNo(t *testing.T) {
	server, clk := newOracle(), clocktesting.NewFakePassiveClock(time.Now())
	reviews := caller.New(server, clk, "kubernaut")
	ask := func() {
		for _, token := range []string{"good", "good", "bad", "bad"} {
			who, err := reviews.Identify(t.Context(), token)
			if err != nil {
				continue
			}
			for _, ns := range []string{"shop", "bank"} {
				right := caller.Right{Verb: "create", Resource: "alertremediations", Namespace: ns}
				if may, err := reviews.May(t.Context(), who, right); err != nil || may != (ns == "shop") {
					t.Errorf("may create in %s: %v, %v", ns, may, err)
				}
			}
		}
	}
	ask()
	if got := server.asked(); got != 4 {
		t.Errorf("asked %d times, want two tokens and two rights: %v", got, server.questions)
	}
	clk.SetTime(clk.Now().Add(9 * time.Second))
	ask()
	if got := server.asked(); got != 4 {
		t.Errorf("asked %d times within ten seconds", got)
	}
	clk.SetTime(clk.Now().Add(2 * time.Second))
	ask()
	if got := server.asked(); got != 8 {
		t.Errorf("asked %d times, want all four again", got)
	}
}

func TestNoAnswerIsNoNo(t *testing.T) {
	server := newOracle()
	server.down = errors.New("the server is currently unable to handle the request")
	reviews := caller.New(server, clocktesting.NewFakePassiveClock(time.Now()), "kubernaut")
	if _, err := reviews.Identify(t.Context(), "good"); err == nil || errors.Is(err, caller.ErrUnknown) {
		t.Errorf("error is %v", err)
	}
	server.down = nil
	if _, err := reviews.Identify(t.Context(), "good"); err != nil {
		t.Errorf("the failure was remembered: %v", err)
	}
}

func TestManyWhoWaitAskOnce(t *testing.T) {
	server := newOracle()
	server.hold = make(chan struct{})
	reviews := caller.New(server, clocktesting.NewFakePassiveClock(time.Now()), "kubernaut")
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := reviews.Identify(impatient, "good"); !errors.Is(err, context.Canceled) {
		t.Errorf("who does not wait got %v", err)
	}
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if _, err := reviews.Identify(t.Context(), "good"); err != nil {
				t.Error(err)
			}
		})
	}
	close(server.hold)
	group.Wait()
	if got := server.asked(); got != 1 {
		t.Errorf("asked %d times", got)
	}
}
