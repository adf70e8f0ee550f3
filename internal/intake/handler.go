// Package intake is where Alertmanager posts: it turns alerts into
// AlertRemediations, and what it hears of them later into status.alert. It
// answers 200 only for what the API server has accepted.
package intake

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kubernaut/kubernaut/internal/redact"
	"github.com/kubernaut/kubernaut/internal/rightofway"
	"github.com/kubernaut/kubernaut/pkg/alert"
)

// Path is where the handler belongs.
const Path = "/webhook/alertmanager"

// patience is how long an answer may take: Alertmanager's own ends at ten
// seconds at the earliest, and then it would not know what we did.
const patience = 8 * time.Second

// Settings say which alerts are ours, and where we are.
type Settings struct {
	// Namespace of the operator: where alerts go that name no other.
	Namespace string
	// Cluster is the name of this cluster; empty: it has none.
	Cluster string
	// ClusterLabel is the label in which alerts name their cluster.
	ClusterLabel string
	// Ignore names alerts that say nothing about a workload.
	Ignore []string
	// MaxPerNamespace is how many AlertRemediations a namespace may hold for another
	// one to be added; 0: any number.
	MaxPerNamespace int
}

// Cluster is what intake needs of the API server.
type Cluster struct {
	// Client may read from a cache.
	Client client.Client
	// Live never does.
	Live client.Reader
	// Events tell people what was not taken.
	Events events.EventRecorder
	// Road on which requests go before the controllers'; nil: all go alike.
	Road *rightofway.Road
}

// Handler answers Alertmanager's posts.
type Handler struct {
	cluster  Cluster
	door     Door
	groups   Groups
	clock    clock.PassiveClock
	settings Settings
	metrics  *metrics
	heard    *memory
	// known have shown who they are, strangers have yet to.
	known, strangers room
	// fetching are those who have what their message left out fetched.
	fetching room
}

// New returns a handler. Without groups, what a message leaves out is told and
// not fetched.
func New(cluster Cluster, door Door, groups Groups, clk clock.PassiveClock, settings Settings, reg prometheus.Registerer) *Handler {
	return &Handler{
		cluster: cluster, door: door, groups: groups, clock: clk, settings: settings, metrics: newMetrics(reg), heard: newMemory(),
		known:     room{messages: maxMessages, bytes: maxBytes},
		strangers: room{messages: maxStrangers, bytes: maxStrangerBytes},
		fetching:  room{messages: maxFetching, bytes: maxFetching * alert.MaxBody},
	}
}

// ServeHTTP takes one message. A fault of the message or its sender is a 4xx,
// which Alertmanager does not send again; a fault of one alert is told in the
// 200; what may be better the next time is a 503, and all of it is sent again.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	tally, fault := h.hear(h.cluster.Road.First(ctx), w, r)
	if fault != nil {
		h.refuse(ctx, fault)
		fault.write(w)
		return
	}
	h.metrics.messages.WithLabelValues(answerTaken).Inc()
	writeJSON(w, http.StatusOK, tally.answer())
}

// hear finds out who posts, reads what they say and takes it in: in this order,
// so that a stranger costs little.
func (h *Handler) hear(ctx context.Context, w http.ResponseWriter, r *http.Request) (tally, *httpFault) {
	if fault := acceptable(r); fault != nil {
		return tally{}, fault
	}
	who, fault := h.door.enter(ctx, r)
	if fault != nil {
		return tally{}, fault
	}
	place := &h.known
	if !who.known {
		place = &h.strangers
	}
	leave := place.take(r.ContentLength)
	if leave == nil {
		return tally{}, overload()
	}
	defer leave()
	body, fault := read(ctx, w, r)
	if fault != nil {
		return tally{}, fault
	}
	if !who.known {
		if fault := h.door.Signatures.check(r, body, h.clock.Now()); fault != nil {
			return tally{}, fault
		}
		who.everywhere = true
	}
	message, fault := decoded(body)
	if fault != nil {
		return tally{}, fault
	}
	return h.take(ctx, who, message)
}

// take takes the alerts of a message, and tells what could not be taken.
func (h *Handler) take(ctx context.Context, who sender, message alert.Message) (tally, *httpFault) {
	if message.Truncated > 0 && h.groups != nil {
		leave := h.fetching.take(alert.MaxBody)
		if leave == nil {
			return tally{}, overload()
		}
		defer leave()
	}
	message = h.complete(ctx, message)
	t := h.receive(ctx, who, message)
	h.count(t)
	h.announce(ctx, message, t)
	switch {
	case t.err != nil:
		return t, &httpFault{status: http.StatusServiceUnavailable, says: "not every alert could be stored; send them again", counts: answerRetry}
	case len(message.Items) > 0 && t.refused(reasonNotAllowed) == len(message.Items):
		return t, &httpFault{status: http.StatusForbidden, says: fmt.Sprintf(saysMayNot, redact.Line(who.caller.Name(), maxName)), counts: answerDenied}
	case t.lacksRoom(len(message.Items)):
		return t, &httpFault{status: http.StatusTooManyRequests, says: t.saysNoRoom(h.settings.MaxPerNamespace), counts: answerFull}
	}
	return t, nil
}

// httpFault is a fault of the message as a whole.
type httpFault struct {
	status int
	says   string
	// counts is the answer that it counts as; empty: refused.
	counts string
	// cause is for the log.
	cause error
}

func (f *httpFault) write(w http.ResponseWriter) {
	switch f.status {
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="kubernaut"`)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	}
	writeJSON(w, f.status, map[string]string{"error": f.says})
}

// refuse counts a fault, and tells people of one that they can mend.
func (h *Handler) refuse(ctx context.Context, f *httpFault) {
	counts := cmp.Or(f.counts, answerRefused)
	h.metrics.messages.WithLabelValues(counts).Inc()
	if f.cause != nil {
		log.FromContext(ctx).WithName("intake").Error(f.cause, "a message was sent away; its sender will send it again")
	}
	if counts == answerDenied {
		h.warn("SenderDenied", "a message was answered %d: %s", f.status, f.says)
	}
}

// acceptable judges a request by its headers.
func acceptable(r *http.Request) *httpFault {
	if r.Method != http.MethodPost {
		return &httpFault{status: http.StatusMethodNotAllowed, says: "want POST"}
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" || r.Header.Get("Content-Encoding") != "" {
		return &httpFault{status: http.StatusUnsupportedMediaType, says: "want Content-Type: application/json, not encoded"}
	}
	if r.ContentLength > alert.MaxBody {
		return tooLarge()
	}
	return nil
}

func read(ctx context.Context, w http.ResponseWriter, r *http.Request) ([]byte, *httpFault) {
	if deadline, ok := ctx.Deadline(); ok {
		// A writer that can't do it is a test's; the server's own limit holds then.
		_ = http.NewResponseController(w).SetReadDeadline(deadline)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, alert.MaxBody))
	if err != nil {
		return nil, unread(err)
	}
	return body, nil
}

func decoded(body []byte) (alert.Message, *httpFault) {
	message, err := alert.Decode(body)
	switch {
	case errors.Is(err, alert.ErrBounds):
		return alert.Message{}, &httpFault{status: http.StatusRequestEntityTooLarge, says: err.Error()}
	case err != nil:
		return alert.Message{}, &httpFault{status: http.StatusBadRequest, says: err.Error()}
	}
	return message, nil
}

func overload() *httpFault {
	return &httpFault{status: http.StatusServiceUnavailable, says: "too many messages at once; send this one again", counts: answerOverload}
}

func tooLarge() *httpFault {
	return &httpFault{status: http.StatusRequestEntityTooLarge, says: "the message is larger than 4 MiB"}
}

// unread tells a body that is too large from one that did not arrive: only the
// latter is worth another try.
func unread(err error) *httpFault {
	var limit *http.MaxBytesError
	switch {
	case errors.As(err, &limit):
		return tooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &httpFault{status: http.StatusServiceUnavailable, says: "the message did not arrive in time", counts: answerRetry}
	}
	return &httpFault{status: http.StatusBadRequest, says: "the message broke off"}
}

func writeJSON(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // whoever asked is gone: there is nobody to tell
}
