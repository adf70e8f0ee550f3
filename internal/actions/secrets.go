package actions

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/pkg/action"
)

// mostEvents bounds what is read of them. What is beyond leaves a Secret unchecked.
const mostEvents = 500

// statement is what a kubelet said about what a pod needs.
type statement struct {
	text string
	// latest time at which it was said; zero: it still holds.
	at time.Time
}

// haveSecrets refuses to return to a revision that needs a Secret of which a kubelet
// says that it does not exist, and names the Secrets of which no kubelet says so. That
// is not to say that those exist: the operator has no right to read Secrets.
func (l *liveWorkload) haveSecrets(ctx context.Context, to action.Revision, needed []reference) ([]string, error) {
	if len(needed) == 0 {
		return nil, nil
	}
	if err := l.readPods(ctx); err != nil {
		return nil, err
	}
	list := &corev1.EventList{}
	err := l.world.Objects.List(ctx, list, client.InNamespace(l.target.Namespace), client.Limit(mostEvents),
		client.MatchingFieldsSelector{Selector: fields.SelectorFromSet(fields.Set{"involvedObject.kind": "Pod", "reason": "FailedMount"})})
	if err != nil {
		return nil, unreadable(err, "list events in namespace "+l.target.Namespace, "reading what kubelets say about "+l.target.String())
	}
	said := append(waitingFor(l.pods), failedMounts(list.Items, l.pods, to)...)
	return judgeSecrets(l.target, to, needed, said)
}

// judgeSecrets is the pure half of haveSecrets.
func judgeSecrets(target action.Target, to action.Revision, needed []reference, said []statement) ([]string, error) {
	var unchecked []string
	for _, r := range needed {
		for _, s := range said {
			if saysMissing(s.text, target.Namespace, r) {
				return nil, needs(target, to, r, "a kubelet does not find"+when(s.at))
			}
		}
		unchecked = append(unchecked, fmt.Sprintf("Secret/%s, which revision %d needs", r.name, to.Number))
	}
	return slices.Compact(unchecked), nil
}

func when(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return " (" + at.UTC().Format(time.RFC3339) + ")"
}

// saysMissing reports whether a kubelet's words say that a Secret, or the key of it
// that is needed, does not exist. That another key is missing says nothing.
func saysMissing(text, namespace string, r reference) bool {
	if strings.Contains(text, fmt.Sprintf("secret %q not found", r.name)) {
		return true
	}
	if r.key == "" {
		return false
	}
	return endsIn(text, fmt.Sprintf("couldn't find key %s in Secret %s/%s", r.key, namespace, r.name)) ||
		r.volume != "" && strings.Contains(text, fmt.Sprintf("for volume %q", r.volume)) &&
			endsIn(text, "references non-existent secret key: "+r.key)
}

// endsIn reports whether a text has the words, and no name goes on where they end.
func endsIn(text, words string) bool {
	_, rest, found := strings.Cut(text, words)
	return found && (rest == "" || !strings.ContainsAny(rest[:1], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."))
}

// waitingFor returns what the containers wait for now.
func waitingFor(pods []corev1.Pod) []statement {
	var said []statement
	for i := range pods {
		for _, c := range slices.Concat(pods[i].Status.InitContainerStatuses, pods[i].Status.ContainerStatuses) {
			if c.State.Waiting != nil && c.State.Waiting.Message != "" {
				said = append(said, statement{text: c.State.Waiting.Message})
			}
		}
	}
	return said
}

// failedMounts returns what was said about the volumes of pods of the workload that are
// not ready, and of pods of the revision that are gone, unless one of the revision was
// ready since.
func failedMounts(events []corev1.Event, pods []corev1.Pod, to action.Revision) []statement {
	unready := map[types.UID]bool{}
	var servedAt time.Time
	for i := range pods {
		if !isReady(&pods[i]) {
			unready[pods[i].UID] = true
		} else if owner := metav1.GetControllerOf(&pods[i]); owner != nil && owner.Name == to.Name {
			servedAt = later(servedAt, readySince(&pods[i]))
		}
	}
	var said []statement
	for _, e := range events {
		at := e.LastTimestamp.Time
		if e.Series != nil {
			at = later(at, e.Series.LastObservedTime.Time)
		}
		at = cmp.Or(at, e.EventTime.Time)
		ofRevision := strings.HasPrefix(e.InvolvedObject.Name, to.Name+"-") && at.After(servedAt)
		if unready[e.InvolvedObject.UID] || ofRevision {
			said = append(said, statement{e.Message, at})
		}
	}
	return said
}

func readySince(p *corev1.Pod) time.Time {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.LastTransitionTime.Time
		}
	}
	return time.Time{}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
