package intake

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/caller"
)

// Callers says who calls and what they may do.
type Callers interface {
	Identify(ctx context.Context, token string) (caller.Caller, error)
	May(ctx context.Context, c caller.Caller, right caller.Right) (bool, error)
}

// Door says who may post.
type Door struct {
	// Callers are asked about bearer tokens. Without them, everybody may post.
	Callers Callers
	// Signatures are believed instead of a token; nil: they are not.
	Signatures *Signatures
}

// sender is who posted a message.
type sender struct {
	caller caller.Caller
	// known: a token said who it is. Else the body has to, by its signature.
	known bool
	// everywhere: may post alerts about any namespace.
	everywhere bool
}

// What is said to whoever may not come in; it says how one would.
const (
	saysNoToken = "no token: send Authorization: Bearer with one for audience kubernaut, " +
		"for example of kubectl create token ACCOUNT -n NAMESPACE --audience kubernaut"
	saysBadToken    = "the token is not valid, has expired, or is for another audience than kubernaut"
	saysUnreviewed  = "the API server could not be asked about the token; send the alerts again"
	saysMayNot      = "%s may not create alertremediations where these alerts belong: bind ClusterRole kubernaut-alert-sender to it"
	saysBadSigned   = "the signature does not fit the body and the timestamp, or is too old"
	saysNoSignature = "the signature can't be checked: its secret is not there yet; send the alerts again"
)

// enter finds out who posts, as far as that can be told before the body is read.
func (d Door) enter(ctx context.Context, r *http.Request) (sender, *httpFault) {
	if d.Callers == nil {
		return sender{known: true, everywhere: true}, nil
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		if d.Signatures.on(r) {
			return sender{}, nil
		}
		return sender{}, &httpFault{status: http.StatusUnauthorized, says: saysNoToken, counts: answerDenied}
	}
	who, err := d.Callers.Identify(ctx, strings.TrimSpace(token))
	switch {
	case errors.Is(err, caller.ErrUnknown):
		return sender{}, &httpFault{status: http.StatusUnauthorized, says: saysBadToken, counts: answerDenied}
	case err != nil:
		return sender{}, &httpFault{status: http.StatusServiceUnavailable, says: saysUnreviewed, counts: answerRetry, cause: err}
	}
	return sender{caller: who, known: true}, nil
}

// may returns a refusal if a sender may not post alerts about a namespace. Whoever
// may post about all of them is asked about once.
func (d Door) may(ctx context.Context, s sender, namespace string) error {
	if s.everywhere {
		return nil
	}
	right := caller.Right{Verb: "create", Group: v1alpha1.GroupVersion.Group, Resource: "alertremediations"}
	for _, right.Namespace = range []string{"", namespace} {
		allowed, err := d.Callers.May(ctx, s.caller, right)
		if err != nil {
			return fmt.Errorf("reviewing the sender's rights: %w", err)
		}
		if allowed {
			return nil
		}
	}
	return &refusal{reason: reasonNotAllowed}
}
