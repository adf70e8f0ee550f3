package intake

import (
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubernaut/kubernaut/internal/admission"
	"github.com/kubernaut/kubernaut/pkg/alert"
)

// reason says why an alert can't be taken. The set is closed: it is in answers,
// in events and in a metric.
type reason string

const (
	// Unparsable: the alert is not of the shape it must have.
	reasonUnparsable reason = "Unparsable"
	// TooLarge: the alert is larger than anything is stored.
	reasonTooLarge reason = "TooLarge"
	// Nameless: it has no label alertname.
	reasonNameless reason = "Nameless"
	// UnfitName: its name could only be stored altered, and would no longer be found at Alertmanager.
	reasonUnfitName reason = "UnfitName"
	// NamespaceGone: it names a namespace that does not exist.
	reasonNamespaceGone reason = "NamespaceGone"
	// NamespaceTerminating: it names a namespace that is being deleted.
	reasonNamespaceTerminating reason = "NamespaceTerminating"
	// OverQuota: its namespace may hold no more remediations.
	reasonOverQuota reason = "OverQuota"
	// NamespaceFull: its namespace holds as many remediations as the webhook adds to.
	reasonNamespaceFull reason = "NamespaceFull"
	// NameTaken: an object of the decided name exists, and we did not make it.
	reasonNameTaken reason = "NameTaken"
	// NotAllowed: its sender may not post alerts about its namespace.
	reasonNotAllowed reason = "NotAllowed"
	// Forbidden: an admission policy does not let the operator store it.
	reasonForbidden reason = "Forbidden"
	// Invalid: the API server finds the object invalid.
	reasonInvalid reason = "Invalid"
)

var reasons = []reason{
	reasonUnparsable, reasonTooLarge, reasonNameless, reasonUnfitName, reasonNamespaceGone,
	reasonNamespaceTerminating, reasonOverQuota, reasonNamespaceFull, reasonNameTaken, reasonNotAllowed, reasonForbidden, reasonInvalid,
}

// says is the sentence for people.
func (r reason) says() string {
	return map[reason]string{
		reasonUnparsable:           "they are not of the shape that Alertmanager sends",
		reasonTooLarge:             "they are larger than anything that is stored",
		reasonNameless:             "they have no label alertname",
		reasonUnfitName:            "their alertname is longer than 253 bytes or has characters that are not stored",
		reasonNamespaceGone:        "they name a namespace that does not exist",
		reasonNamespaceTerminating: "they name a namespace that is being deleted",
		reasonOverQuota:            "the quota of their namespace holds no more AlertRemediations",
		reasonNamespaceFull:        "their namespace already holds as many AlertRemediations as intake.maxPerNamespace allows",
		reasonNameTaken:            "an AlertRemediation of their name exists that was not made for them",
		reasonNotAllowed:           "their sender may not create alertremediations in their namespace",
		reasonForbidden:            "an admission policy does not let the operator store them: are the guards as shipped?",
		reasonInvalid:              "the API server finds their AlertRemediation invalid",
	}[r]
}

// refusal is an error that no other try mends.
type refusal struct {
	reason    reason
	cause     error
	namespace string // that has no room; empty for the other reasons
}

func (r *refusal) Error() string {
	if r.cause == nil {
		return string(r.reason)
	}
	return fmt.Sprintf("%s: %v", r.reason, r.cause)
}

func (r *refusal) Unwrap() error { return r.cause }

// refusalOf judges an alert that could not be read.
func refusalOf(err error) *refusal {
	switch {
	case errors.Is(err, alert.ErrNameless):
		return &refusal{reason: reasonNameless, cause: err}
	case errors.Is(err, alert.ErrBounds):
		return &refusal{reason: reasonTooLarge, cause: err}
	}
	return &refusal{reason: reasonUnparsable, cause: err}
}

// judged returns an error of the API server as a refusal if trying again is of
// no use, and as it is otherwise.
func judged(err error) error {
	if why := permanent(err); why != "" {
		return &refusal{reason: why, cause: err}
	}
	return err
}

func permanent(err error) reason {
	switch {
	case apierrors.IsNotFound(err) && aboutNamespace(err): // any other 404 is a CRD that is not there yet
		return reasonNamespaceGone
	case admission.Terminating(err):
		return reasonNamespaceTerminating
	case admission.OverQuota(err):
		return reasonOverQuota
	case apierrors.IsForbidden(err) && !admission.NotYet(err) && !admission.Unauthorized(err): // our rights come back, or somebody mends them; the alert is none the worse
		return reasonForbidden
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return reasonInvalid
	case apierrors.IsRequestEntityTooLargeError(err):
		return reasonTooLarge
	}
	return ""
}

func aboutNamespace(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && status.Status().Details != nil && status.Status().Details.Kind == "namespaces"
}
