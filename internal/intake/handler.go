// Package intake is where Alertmanager posts: it turns alerts into
// AlertRemediations, and what it hears of them later into status.alert. It
// answers 200 only for what the API server has accepted.
package intake

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
}

// Cluster is what intake needs of the API server.
type Cluster struct {
	// Client may read from a cache.
	Client client.Client
	// Live never does.
	Live client.Reader
	// Events tell people what was not taken.
	Events events.EventRecorder
}

// Handler answers Alertmanager's posts.
type Handler struct {
	cluster  Cluster
	clock    clock.PassiveClock
	settings Settings
	metrics  *metrics
	heard    *memory
}

// New returns a handler.
func New(cluster Cluster, clk clock.PassiveClock, settings Settings, reg prometheus.Registerer) *Handler {
	return &Handler{cluster: cluster, clock: clk, settings: settings, metrics: newMetrics(reg), heard: newMemory()}
}

// ServeHTTP takes one message. A fault of the message is a 4xx, which
// Alertmanager does not send again; a fault of one alert is told in the 200; what
// may be better the next time is a 503, and all of it is sent again.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	message, fault := read(ctx, w, r)
	if fault != nil {
		h.metrics.messages.WithLabelValues(answerRefused).Inc()
		fault.write(w)
		return
	}
	tally := h.receive(ctx, message)
	h.count(tally)
	h.announce(ctx, message, tally)
	if tally.err != nil {
		h.metrics.messages.WithLabelValues(answerRetry).Inc()
		(&httpFault{http.StatusServiceUnavailable, "not every alert could be stored; send them again"}).write(w)
		return
	}
	h.metrics.messages.WithLabelValues(answerTaken).Inc()
	writeJSON(w, http.StatusOK, tally.answer())
}

// httpFault is a fault of the message as a whole.
type httpFault struct {
	status int
	says   string
}

func (f *httpFault) write(w http.ResponseWriter) {
	if f.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", http.MethodPost)
	}
	writeJSON(w, f.status, map[string]string{"error": f.says})
}

func read(ctx context.Context, w http.ResponseWriter, r *http.Request) (alert.Message, *httpFault) {
	if r.Method != http.MethodPost {
		return alert.Message{}, &httpFault{http.StatusMethodNotAllowed, "want POST"}
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" || r.Header.Get("Content-Encoding") != "" {
		return alert.Message{}, &httpFault{http.StatusUnsupportedMediaType, "want Content-Type: application/json, not encoded"}
	}
	if deadline, ok := ctx.Deadline(); ok {
		// A writer that can't do it is a test's; the server's own limit holds then.
		_ = http.NewResponseController(w).SetReadDeadline(deadline)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, alert.MaxBody))
	if err != nil {
		return alert.Message{}, unread(err)
	}
	message, err := alert.Decode(body)
	switch {
	case errors.Is(err, alert.ErrBounds):
		return alert.Message{}, &httpFault{http.StatusRequestEntityTooLarge, err.Error()}
	case err != nil:
		return alert.Message{}, &httpFault{http.StatusBadRequest, err.Error()}
	}
	return message, nil
}

// unread tells a body that is too large from one that did not arrive: only the
// latter is worth another try.
func unread(err error) *httpFault {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return &httpFault{http.StatusRequestEntityTooLarge, "the message is larger than 4 MiB"}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &httpFault{http.StatusServiceUnavailable, "the message did not arrive in time"}
	}
	return &httpFault{http.StatusBadRequest, "the message broke off"}
}

func writeJSON(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // whoever asked is gone: there is nobody to tell
}
