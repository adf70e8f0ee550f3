package intake

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kubernaut/kubernaut/internal/redact"
	"github.com/kubernaut/kubernaut/pkg/alert"
)

// result is what became of one alert.
type result string

const (
	created  result = "created"  // there is an object for it now
	repeated result = "repeated" // there was one, and it says so already or was told
	resolved result = "resolved" // its object was told that it no longer fires
	ignored  result = "ignored"  // its name is on the ignore list
	foreign  result = "foreign"  // it names another cluster
	unknown  result = "unknown"  // it resolved, and nobody knows it
	rejected result = "rejected" // it can't be taken, now or ever
	failed   result = "failed"   // it could not be stored this time
)

var results = []result{created, repeated, resolved, ignored, foreign, unknown, rejected, failed}

// rejection is one alert that can't be taken.
type rejection struct {
	Index  int    `json:"index"`
	Reason reason `json:"reason"`
	// namespace that has no room; empty for the other reasons.
	namespace string
}

// tally is what became of a message.
type tally struct {
	results  map[result]int
	rejected []rejection
	err      error // the first that another try may mend
}

// answer is the body of a 200.
type answer struct {
	Created  int         `json:"created"`
	Repeated int         `json:"repeated"`
	Resolved int         `json:"resolved"`
	Ignored  int         `json:"ignored"`
	Foreign  int         `json:"foreign"`
	Unknown  int         `json:"unknown"`
	Rejected []rejection `json:"rejected"`
}

func (t tally) answer() answer {
	return answer{
		Created: t.results[created], Repeated: t.results[repeated], Resolved: t.results[resolved],
		Ignored: t.results[ignored], Foreign: t.results[foreign], Unknown: t.results[unknown],
		Rejected: append([]rejection{}, t.rejected...), // a list, never null
	}
}

// refused counts the alerts that were refused for a reason.
func (t tally) refused(why reason) int {
	count := 0
	for _, r := range t.rejected {
		if r.Reason == why {
			count++
		}
	}
	return count
}

// atOnce is how many alerts of one message are taken side by side: each new one
// waits for the API server to store it.
const atOnce = 8

// receive takes the alerts of a message. One that can't be stored does not keep
// the others from it; only the end of our patience does.
func (h *Handler) receive(ctx context.Context, who sender, message alert.Message) tally {
	type fate struct {
		got      result
		err      error
		panicked string
	}
	fates := make([]fate, len(message.Items))
	r := &reception{Handler: h, who: who, groupKey: message.GroupKey}
	defer r.end()
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, item := range message.Items {
		group.Go(func() error {
			defer func() {
				if p := recover(); p != nil {
					fates[i].panicked = fmt.Sprintf("%v\n%s", p, debug.Stack())
				}
			}()
			if fates[i].err = ctx.Err(); fates[i].err == nil {
				fates[i].got, fates[i].err = r.one(ctx, item)
			}
			return nil // the others are taken all the same
		})
	}
	_ = group.Wait() // what went wrong is told of each alert
	t := tally{results: make(map[result]int)}
	for i, f := range fates {
		if f.panicked != "" {
			panic(f.panicked) // where net/http looks: it costs this message its answer, and not the process
		}
		t.add(i, f.got, f.err)
	}
	return t
}

// reception is the taking of one message.
type reception struct {
	*Handler
	who      sender
	groupKey string

	waits   sync.Once
	release func()

	mu   sync.Mutex
	held map[string]int // remediations by namespace, with those that this message added
}

// wait has others leave the road to the API server until the sender is answered.
func (r *reception) wait() { r.waits.Do(func() { r.release = r.cluster.Road.Hold() }) }

func (r *reception) end() {
	if r.release != nil {
		r.release()
	}
}

// add counts what became of the alert at an index.
func (t *tally) add(index int, got result, err error) {
	var no *refusal
	switch {
	case errors.As(err, &no):
		t.rejected = append(t.rejected, rejection{Index: index, Reason: no.reason, namespace: no.namespace})
		got = rejected
	case err != nil:
		got = failed
		t.err = cmp.Or(t.err, err)
	}
	t.results[got]++
}

// one decides about one alert from its labels alone, then stores it.
func (r *reception) one(ctx context.Context, item alert.Item) (result, error) {
	if item.Err != nil {
		return "", refusalOf(item.Err)
	}
	a := item.Alert
	named := a.Labels[r.settings.ClusterLabel]
	switch {
	case slices.Contains(r.settings.Ignore, a.Name()):
		return ignored, nil
	case r.settings.Cluster != "" && named != "" && named != r.settings.Cluster:
		return foreign, nil
	}
	f, err := identify(a, r.settings)
	if err != nil {
		return "", err
	}
	if f.object.Namespace, err = r.home(ctx, a, f.object.Namespace); err != nil {
		return "", err
	}
	r.wait() // only who may send has others wait
	if a.Status == alert.Resolved {
		return r.resolve(ctx, f, a.EndsAt)
	}
	known, err := r.repeats(ctx, f)
	if known || err != nil {
		return repeated, err
	}
	return r.add(ctx, f, a)
}

func (h *Handler) count(t tally) {
	for got, n := range t.results {
		h.metrics.alerts.WithLabelValues(string(got)).Add(float64(n))
	}
	for _, r := range t.rejected {
		h.metrics.rejected.WithLabelValues(string(r.Reason)).Inc()
	}
}

// announce tells people what was not taken: once for each reason, however many
// alerts it was.
func (h *Handler) announce(ctx context.Context, message alert.Message, t tally) {
	logger := log.FromContext(ctx).WithName("intake").WithValues("group", groupHash(message.GroupKey))
	if t.err != nil {
		logger.Error(t.err, "alerts could not be stored; Alertmanager will send them again", "alerts", t.results[failed])
	}
	first, count := make(map[reason]int), make(map[reason]int)
	for i := len(t.rejected) - 1; i >= 0; i-- {
		first[t.rejected[i].Reason] = t.rejected[i].Index
		count[t.rejected[i].Reason]++
	}
	for _, why := range reasons {
		if count[why] == 0 {
			continue
		}
		which := nameOf(message.Items[first[why]], first[why])
		logger.Info("alerts rejected", "reason", why, "alerts", count[why], "first", which)
		h.warn(string(why), "%d alerts of a message were rejected, the first is %s: %s", count[why], which, why.says())
	}
	for _, namespace := range t.fullNamespaces() {
		h.warnIn(namespace, string(reasonNamespaceFull), "%s", fmt.Sprintf(saysFull, namespace, h.settings.MaxPerNamespace))
	}
}

// nameOf says which alert it is, by what a user finds it by in Alertmanager.
func nameOf(item alert.Item, index int) string {
	name, namespace := redact.Line(item.Alert.Name(), maxName), redact.Line(item.Alert.Labels["namespace"], maxName)
	switch {
	case name == "":
		return fmt.Sprintf("the one at index %d, which has no name that can be read", index)
	case namespace == "":
		return fmt.Sprintf("%q without a namespace", name)
	}
	return fmt.Sprintf("%q of namespace %q", name, namespace)
}

// warn leaves an event on the operator's namespace, in it.
func (h *Handler) warn(why, format string, args ...any) {
	h.warnIn(h.settings.Namespace, why, format, args...)
}

// warnIn leaves an event on a namespace, in it.
func (h *Handler) warnIn(namespace, why, format string, args ...any) {
	ns := &corev1.ObjectReference{APIVersion: "v1", Kind: "Namespace", Namespace: namespace, Name: namespace}
	h.cluster.Events.Eventf(ns, nil, corev1.EventTypeWarning, why, "ReceiveAlerts", "%s", fmt.Sprintf(format, args...))
}

// groupHash lets people find what belongs together without repeating what a
// stranger wrote.
func groupHash(groupKey string) string {
	sum := sha256.Sum256([]byte(groupKey))
	return hex.EncodeToString(sum[:6])
}
