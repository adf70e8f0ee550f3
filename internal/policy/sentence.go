package policy

import (
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// maxMessage is what a refusal's message may hold, in bytes.
const maxMessage = 1024

func refusal(kind Kind, reason, format string, args ...any) Refusal {
	return Refusal{Kind: kind, Refusal: v1alpha1.Refusal{Reason: reason, Message: cut(fmt.Sprintf(format, args...), maxMessage)}}
}

func waits(reason, format string, args ...any) []Refusal {
	return []Refusal{refusal(Waits, reason, format, args...)}
}

func ends(reason, format string, args ...any) []Refusal {
	return []Refusal{refusal(Ends, reason, format, args...)}
}

// untilRead stands between what could not be read and why.
const untilRead = "; nothing is done until it can be. What went wrong: "

// unreadable is what every gate says that can't see what it needs.
func unreadable(what string, err error) []Refusal {
	return waits(unreadableReason(err), "Could not read %s"+untilRead+"%s", what, cut(err.Error(), maxMessage/2))
}

// Unreadable is the refusal of a caller that can't read what it needs.
func Unreadable(what string, err error) Refusal { return unreadable(what, err)[0] }

func unreadableReason(err error) string {
	switch {
	case meta.IsNoMatchError(err):
		return v1alpha1.ReasonUnknownKind
	case apierrors.IsForbidden(err):
		return v1alpha1.ReasonReadForbidden
	}
	return v1alpha1.ReasonUnreadable
}

// UnreadableDeadline is how long a kind that is not known, or a right to read, is
// waited for: an API server that has just started knows neither yet. After that only
// a person can help.
const UnreadableDeadline = 10 * time.Minute

// Help returns what a person can do about a reason that is waited for until
// UnreadableDeadline; false for every other reason.
func Help(reason string) (string, bool) {
	switch reason {
	case v1alpha1.ReasonUnknownKind:
		return "The kinds that the cluster serves: kubectl api-resources", true
	case v1alpha1.ReasonReadForbidden:
		return "What the operator may read: kubectl describe clusterrole kubernaut", true
	}
	return "", false
}

// GaveUp says that what Help is about was waited for until UnreadableDeadline.
func GaveUp(no v1alpha1.Refusal) string {
	help, _ := Help(no.Reason)
	tried := strings.Replace(cut(no.Message, maxMessage*3/4), untilRead, ": ", 1)
	return fmt.Sprintf("%s (tried for %s); nothing was changed. %s", tried, UnreadableDeadline, help)
}

// described names an object so that a person finds it.
func described(ref v1alpha1.ObjectReference) string {
	if ref.Namespace == "" {
		return ref.String()
	}
	return ref.String() + " in namespace " + ref.Namespace
}

func kubectl(namespace string) string {
	if namespace == "" {
		return "kubectl"
	}
	return "kubectl -n " + namespace
}

func policies(v view) string {
	return "which policy is about this (RemediationPolicies of namespace " + v.Namespace() + ")"
}

// brief makes somebody's words fit into a sentence of ours.
func brief(words string) string {
	words = strings.Join(strings.Fields(words), " ")
	if words == "" {
		return "no reason given"
	}
	return cut(words, 200)
}

// cut shortens a text to so many bytes, between characters.
func cut(text string, limit int) string {
	const note = "…"
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit-len(note)], "") + note
}

// marks is what an object says about itself that a gate needs to know.
func marks(ref v1alpha1.ObjectReference) string {
	return "which labels and annotations " + described(ref) + " carries"
}
