package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// pull is an image that a node could not get.
type pull struct {
	pod       *corev1.Pod
	container string
	image     string
	revision  int64
	says      string // as the container runtime tells it
	refusal   refusal
}

// refusal is why an image is not given.
type refusal int

const (
	unclear  refusal = iota
	passes           // by itself, or it is another fault: a rate limit, a registry that is away, an image for other machines
	isDenied         // the registry does not give it to us
	isAbsent         // the registry does not have it
)

// leastWaiting is how long a pod must have waited for an image: one that was
// pushed a moment after its release is found by the next try.
const leastWaiting = 30 * time.Second

// What registries and container runtimes say, in lower case. That something was not
// found on the node itself, a layer for instance, is none of them.
var (
	passing = []string{
		"toomanyrequests", "429 too many requests", "pull qps exceeded", "no such host", "name resolution", "server misbehaving",
		"i/o timeout", "deadline exceeded", "connection refused", "connection reset", "no route to host", "network is unreachable",
		"unexpected eof", "tls handshake", "x509:", "no match for platform", "no space left",
	}
	serverError = regexp.MustCompile(`\b5\d\d [a-z]`) // and the status's name
	denying     = []string{
		"401 unauthorized", "403 forbidden", "pull access denied", "insufficient_scope", "authorization failed", "unauthorized: ",
		"denied: ", "no basic auth credentials", "authentication required", "access to the resource is denied",
	}
	lacking    = []string{"manifest unknown", "name unknown", "repository name not known"}
	unresolved = regexp.MustCompile(`failed to resolve reference .*: not found\b`)
)

// refusalOf reads what was said when an image was not given. The words may hold
// anything: the image's name has to be taken out before.
func refusalOf(said string) refusal {
	said = strings.ToLower(said)
	switch {
	case hasAny(said, passing) || serverError.MatchString(said):
		return passes
	case hasAny(said, denying):
		return isDenied
	case hasAny(said, lacking) || unresolved.MatchString(said):
		return isAbsent
	}
	return unclear
}

func hasAny(said string, phrases []string) bool {
	return slices.ContainsFunc(phrases, func(phrase string) bool { return strings.Contains(said, phrase) })
}

// pullsOf returns the images of a workload that can't be pulled, for a reason that
// does not pass by itself.
func (sc *scene) pullsOf(w *workload) []pull {
	var all []pull
	for _, p := range w.pods {
		if sc.TakenAt.Sub(p.CreationTimestamp.Time) < leastWaiting {
			continue
		}
		for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
			spec, found := containerOf(&p.Spec, c.Name)
			if waits := c.State.Waiting; !found || waits == nil || waits.Reason != "ErrImagePull" && waits.Reason != "ImagePullBackOff" {
				continue
			}
			failed := pull{pod: p, container: c.Name, image: spec.Image, revision: w.revisionOf[p]}
			failed.says = sc.pullError(failed, c.State.Waiting.Message)
			failed.refusal = refusalOf(strings.ReplaceAll(failed.says, failed.image, ""))
			if failed.refusal != passes {
				all = append(all, failed)
			}
		}
	}
	return all
}

// pullError returns what went wrong. While it is backed off, older kubelets say
// so in an event only.
func (sc *scene) pullError(p pull, waiting string) string {
	begins := fmt.Sprintf("Failed to pull image %q", p.image)
	for i := range sc.Events {
		e := &sc.Events[i]
		if e.InvolvedObject.UID == p.pod.UID && e.Reason == "Failed" && strings.HasPrefix(e.Message, begins) {
			return waiting + " " + e.Message
		}
	}
	return waiting
}

// refused returns the pulls that were refused in one way.
func (w *workload) refused(how refusal) []pull {
	return slices.DeleteFunc(slices.Clone(w.pulls), func(p pull) bool { return p.refusal != how })
}
