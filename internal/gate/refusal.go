package gate

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/redact"
)

// maxText is how much of a foreign text is kept, in bytes.
const maxText = 1024

// ErrPrecondition means that the object is no longer what the operation was planned for.
var ErrPrecondition = errors.New("precondition failed")

// Denied means that an account lacks a right.
type Denied struct {
	// Actor is the account.
	Actor string
	// Need is the right it lacks. The verb impersonate is lacked by the operator.
	Need authorizationv1.ResourceAttributes
	// Grant is what to tell kubectl kubernaut grant; empty where that does not help.
	Grant string
	// Reason the API server gave, if any.
	Reason string
}

func (d *Denied) Error() string {
	who := d.Actor
	if d.Need.Verb == "impersonate" {
		who = "the operator"
	}
	text := fmt.Sprintf("%s may not %s %s", who, d.Need.Verb, resource(d.Need))
	if d.Need.Verb == "impersonate" {
		text += " " + d.Need.Name
	}
	if d.Need.Namespace != "" {
		text += " in namespace " + d.Need.Namespace
	}
	if d.Grant == "" {
		return text
	}
	return fmt.Sprintf("%s; to let it: kubectl kubernaut grant %s | kubectl apply -f -", text, d.Grant)
}

// resource prints resource/subresource.group as kubectl auth can-i takes it.
func resource(need authorizationv1.ResourceAttributes) string {
	text := need.Resource
	if need.Group != "" {
		text += "." + need.Group
	}
	if need.Subresource != "" {
		text += "/" + need.Subresource
	}
	return text
}

// Rejected means that the API server, or we before it, refused an operation; nothing was changed.
type Rejected struct {
	Operation v1alpha1.Operation
	// Why in one bounded, redacted sentence.
	Why string
}

func (r *Rejected) Error() string {
	return fmt.Sprintf("%s of %s was rejected: %s", r.Operation.Verb, r.Operation.Object, r.Why)
}

// Failed means that an operation met another object than it was planned for;
// nothing was changed by it. It wraps ErrPrecondition.
type Failed struct {
	Operation v1alpha1.Operation
	// Why in one bounded, redacted sentence.
	Why string
}

func (f *Failed) Error() string {
	return fmt.Sprintf("%s of %s: %s: %s", f.Operation.Verb, f.Operation.Object, ErrPrecondition, f.Why)
}

// Unwrap makes the error an ErrPrecondition.
func (f *Failed) Unwrap() error { return ErrPrecondition }

// reject makes a *Rejected of our own.
func reject(op v1alpha1.Operation, format string, args ...any) error {
	return &Rejected{Operation: op, Why: bounded(fmt.Sprintf(format, args...))}
}

// code returns the HTTP status of the API server's no, or 0 for what is none:
// no answer, an answer that it could not do it, or that it is too busy.
func code(err error) int {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return 0
	}
	switch code := int(status.Status().Code); {
	case code == http.StatusUnauthorized, code == http.StatusRequestTimeout, code == http.StatusTooManyRequests:
		return 0
	case code >= 400 && code < 500:
		return code
	}
	return 0
}

// why returns the API server's reason without the env values and data that the operation carries.
func why(op v1alpha1.Operation, err error) string {
	text := err.Error()
	if op.Body != nil {
		text = withoutValues(text, op.Body.Raw)
	}
	for _, field := range op.Precondition.Fields {
		if field.Value != nil && private(field.Path) {
			text = withoutValues(text, wrapped(field.Value.Raw))
		}
	}
	return bounded(text)
}

// wrapped puts a bare value where withoutValues looks for one.
func wrapped(raw []byte) []byte { return fmt.Appendf(nil, `{"value":%s}`, raw) }

// withoutValues replaces every text that raw holds as the "value" of an object.
func withoutValues(text string, raw []byte) string {
	var tree any
	if json.Unmarshal(raw, &tree) != nil {
		return text
	}
	return blank(text, tree)
}

func blank(text string, tree any) string {
	switch node := tree.(type) {
	case map[string]any:
		if value, ok := node["value"].(string); ok && len(value) > 3 {
			text = strings.ReplaceAll(text, value, redact.Marker)
		}
		for _, below := range node {
			text = blank(text, below)
		}
	case []any:
		for _, below := range node {
			text = blank(text, below)
		}
	}
	return text
}

func bounded(text string) string { return redact.Line(text, maxText) }
