package policy

import (
	"fmt"
	"strings"

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

// unreadable is what every gate says that can't see what it needs.
func unreadable(what string, err error) []Refusal {
	return waits(v1alpha1.ReasonUnreadable, "Could not read %s; nothing is done until it can be. What went wrong: %s", what, cut(err.Error(), maxMessage/2))
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
