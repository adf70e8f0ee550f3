package kubetest

import (
	"encoding/json"
	"time"

	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/pkg/alert"
)

// Message is what Alertmanager posts about alerts of one group, given by their
// labels: all firing, or all resolved just now.
func Message(status alert.Status, alerts ...map[string]string) []byte {
	return MessageSince(status, build.Started, alerts...)
}

// MessageSince is Message about alerts that began to fire at a given time.
func MessageSince(status alert.Status, startsAt time.Time, alerts ...map[string]string) []byte {
	items := make([]map[string]any, 0, len(alerts))
	for _, labels := range alerts {
		item := map[string]any{
			"status": status, "labels": labels, "annotations": map[string]string{"summary": "The shop crashes."},
			"startsAt": startsAt, "endsAt": time.Time{}, "generatorURL": "http://prometheus.example.test/graph",
			"fingerprint": alert.Fingerprint(labels),
		}
		if status == alert.Resolved {
			item["endsAt"] = time.Now()
		}
		items = append(items, item)
	}
	body, err := json.Marshal(map[string]any{
		"version": "4", "groupKey": `{}:{alertname="test"}`, "receiver": "kubernaut", "status": status,
		"groupLabels": map[string]string{}, "commonLabels": map[string]string{}, "commonAnnotations": map[string]string{},
		"truncatedAlerts": 0, "externalURL": "http://alertmanager.example.test", "alerts": items,
	})
	if err != nil {
		panic(err) // strings and times only
	}
	return body
}
