//go:build e2e

package crash

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/kubernaut/kubernaut/pkg/alert"
)

const alertName = "KubePodCrashLooping"

// poster takes a message to the operator.
type poster interface {
	Post(ctx context.Context, body []byte) (status int, answer []byte, err error)
}

// sender posts like Alertmanager: again and again until it is answered 200.
type sender struct {
	operator poster
	labels   map[string]string
	startsAt time.Time

	fired    bool // was answered
	resolved bool
}

// fire makes sure once that the operator knows of the alert.
func (s *sender) fire(ctx context.Context) {
	s.fired = s.fired || s.post(ctx, alert.Firing, time.Time{})
}

// resolve makes sure once that the operator knows of its end.
func (s *sender) resolve(ctx context.Context) {
	s.resolved = s.resolved || s.post(ctx, alert.Resolved, time.Now())
}

func (s *sender) post(ctx context.Context, status alert.Status, endsAt time.Time) bool {
	code, _, err := s.operator.Post(ctx, s.message(status, endsAt))
	return err == nil && code == http.StatusOK // else the operator is down, or was killed before it could answer
}

// message is the same one every time for a firing.
func (s *sender) message(status alert.Status, endsAt time.Time) []byte {
	body, err := json.Marshal(map[string]any{
		"version": "4", "groupKey": `{}:{alertname="` + alertName + `"}`, "receiver": "kubernaut", "status": status,
		"groupLabels": s.labels, "commonLabels": s.labels, "truncatedAlerts": 0, "externalURL": "http://alertmanager.example.test",
		"alerts": []map[string]any{{
			"status": status, "labels": s.labels, "annotations": map[string]string{"summary": "The shop crashes."},
			"startsAt": s.startsAt, "endsAt": endsAt, "generatorURL": "http://prometheus.example.test/graph",
			"fingerprint": alert.Fingerprint(s.labels),
		}},
	})
	if err != nil {
		panic(err) // strings and times only
	}
	return body
}
