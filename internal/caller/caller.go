// Package caller says who sends a request and whether they may do what they ask
// for. The API server decides both; its answers are kept for a moment.
package caller

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/singleflight"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// believed is how long an answer is kept, be it yes or no.
	believed = 10 * time.Second
	// reviewTimeout of one question. It is asked for everybody who waits for the answer.
	reviewTimeout = 5 * time.Second
	// asked is how many questions are under way at once.
	asked = 16
	// maxToken is longer than any token that an API server takes.
	maxToken = 16 << 10

	maxCallers = 1024
	maxRights  = 8192
)

// ErrUnknown says that a token is nobody's, or not meant for us.
var ErrUnknown = errors.New("the token is not valid for this audience")

// Caller is whom a token belongs to.
type Caller struct {
	user authenticationv1.UserInfo
	key  digest
}

// Name is the API server's name for the caller.
func (c Caller) Name() string { return c.user.Username }

// Right is what a caller may want to do with a kind.
type Right struct {
	Verb, Group, Resource string
	// Namespace it is about; empty for all of them.
	Namespace string
}

// digest stands for a token: the token itself is kept nowhere.
type digest [sha256.Size]byte

// creator is how a question is put.
type creator interface {
	Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error
}

// Reviews asks the API server.
type Reviews struct {
	server   creator
	audience string
	callers  *cache.LRUExpireCache // digest → identity
	rights   *cache.LRUExpireCache // claim → bool
	flights  singleflight.Group
	places   chan struct{}
}

// identity is an answer about a token: a caller, or nobody.
type identity struct {
	caller Caller
	known  bool
}

// claim is a question about a right.
type claim struct {
	key   digest
	right Right
}

// New returns Reviews of tokens that are meant for an audience.
func New(server creator, clk clock.PassiveClock, audience string) *Reviews {
	return &Reviews{
		server: server, audience: audience, places: make(chan struct{}, asked),
		callers: cache.NewLRUExpireCacheWithClock(maxCallers, clk), rights: cache.NewLRUExpireCacheWithClock(maxRights, clk),
	}
}

// Identify returns whose token it is. ErrUnknown is an answer; any other error
// means that there was none.
func (r *Reviews) Identify(ctx context.Context, token string) (Caller, error) {
	if token == "" || len(token) > maxToken {
		return Caller{}, ErrUnknown
	}
	key := digest(sha256.Sum256([]byte(token)))
	found, err := ask(ctx, r, question{cache: r.callers, key: key}, func(ctx context.Context) (identity, error) {
		return r.review(ctx, token, key)
	})
	if err == nil && !found.known {
		err = ErrUnknown
	}
	return found.caller, err
}

// May reports whether a caller has a right.
func (r *Reviews) May(ctx context.Context, c Caller, right Right) (bool, error) {
	key := claim{c.key, right}
	return ask(ctx, r, question{cache: r.rights, key: key}, func(ctx context.Context) (bool, error) {
		return r.access(ctx, c, right)
	})
}

// question is what is to be answered, and where answers to it are kept.
type question struct {
	cache *cache.LRUExpireCache
	key   any
}

// ask returns the answer that is still believed, or puts the question: once,
// however many wait for the answer, and each only as long as it wants to.
func ask[T any](ctx context.Context, r *Reviews, q question, answer func(context.Context) (T, error)) (T, error) {
	var none T
	if known, ok := q.cache.Get(q.key); ok {
		return known.(T), nil
	}
	flight := r.flights.DoChan(fmt.Sprintf("%T %[1]q", q.key), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reviewTimeout)
		defer cancel()
		select {
		case r.places <- struct{}{}:
			defer func() { <-r.places }()
		case <-ctx.Done():
			return none, fmt.Errorf("waiting to ask the API server: %w", ctx.Err())
		}
		got, err := answer(ctx)
		if err == nil {
			q.cache.Add(q.key, got, believed)
		}
		return got, err
	})
	select {
	case <-ctx.Done():
		return none, ctx.Err()
	case result := <-flight:
		return result.Val.(T), result.Err
	}
}

// review asks whose token it is. The API server says the same of one that it
// does not know and of one that it could not check.
func (r *Reviews) review(ctx context.Context, token string, key digest) (identity, error) {
	review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{r.audience}}}
	if err := r.server.Create(ctx, review); err != nil {
		return identity{}, fmt.Errorf("asking whose token it is: %w", err)
	}
	if !review.Status.Authenticated || !slices.Contains(review.Status.Audiences, r.audience) {
		return identity{}, nil
	}
	return identity{caller: Caller{user: review.Status.User, key: key}, known: true}, nil
}

func (r *Reviews) access(ctx context.Context, c Caller, right Right) (bool, error) {
	extra := make(map[string]authorizationv1.ExtraValue, len(c.user.Extra))
	for name, values := range c.user.Extra {
		extra[name] = authorizationv1.ExtraValue(values)
	}
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: c.user.Username, UID: c.user.UID, Groups: c.user.Groups, Extra: extra,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: right.Verb, Group: right.Group, Resource: right.Resource, Namespace: right.Namespace,
		},
	}}
	if err := r.server.Create(ctx, review); err != nil {
		return false, fmt.Errorf("asking what %s may do: %w", c.user.Username, err)
	}
	return review.Status.Allowed, nil
}
