// Package admission reads the API server's no to a write, where its status code
// alone does not say whether another try is of any use.
package admission

import (
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubernaut/kubernaut/internal/redact"
)

// maxText is how much of the API server's words is kept, in bytes: a webhook of
// anybody's may have written them.
const maxText = 512

// OverQuota reports whether a ResourceQuota of the namespace has no room for it.
func OverQuota(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota")
}

// Terminating reports whether its namespace is being deleted.
func Terminating(err error) bool {
	return apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}

// NotYet is true for the two 403s by which the API server says that it has yet
// to find out.
func NotYet(err error) bool {
	return apierrors.IsForbidden(err) &&
		(strings.Contains(err.Error(), "not yet ready to handle request") || strings.Contains(err.Error(), "status unknown for quota"))
}

// Unauthorized reports whether it is us who may not write it, whatever it is. An
// API server that has just started knows of no role yet and says the same.
func Unauthorized(err error) bool {
	return apierrors.IsForbidden(err) && mayNot.MatchString(err.Error())
}

// mayNot is how an authorizer's no begins; that of a policy or a quota does not.
var mayNot = regexp.MustCompile(`User "[^"]*" cannot `)

// Refuses reports whether the API server has decided against it: what is sent
// again as it is will be refused again, until somebody changes something else.
func Refuses(err error) bool {
	switch {
	case apierrors.IsForbidden(err):
		return !NotYet(err)
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsRequestEntityTooLargeError(err):
		return true
	}
	return false
}

// Why returns the no as one bounded, redacted line, fit for conditions and events.
func Why(err error) string { return redact.Line(err.Error(), maxText) }
