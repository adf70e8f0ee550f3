package intake

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kubernaut/kubernaut/pkg/alert"
)

// Groups is asked for what a message leaves out.
type Groups interface {
	Group(ctx context.Context, receiver string, labels map[string]string) ([]alert.Item, error)
}

// complete adds to a message what Alertmanager left out of it. What can't be
// fetched is told: the message itself is good, and is taken.
func (h *Handler) complete(ctx context.Context, message alert.Message) alert.Message {
	if message.Truncated == 0 {
		return message
	}
	h.metrics.truncated.Add(float64(message.Truncated))
	logger := log.FromContext(ctx).WithName("intake").WithValues("group", groupHash(message.GroupKey))
	var rest []alert.Item
	failed := false
	if h.groups != nil {
		group, err := h.groups.Group(ctx, message.Receiver, message.GroupLabels)
		failed = err != nil
		if failed {
			logger.Error(err, "alerts that a message left out could not be fetched", "alerts", message.Truncated)
		}
		rest = missing(message.Items, group)
	}
	logger.Info("a message left alerts out", "leftOut", message.Truncated, "fetched", len(rest))
	if fetched := uint64(len(rest)); fetched < message.Truncated {
		h.metrics.unfetched.Add(float64(message.Truncated - fetched))
		h.warn("AlertsTruncated", "Alertmanager left %d alerts of group %s out of its message, %d of them were fetched: %s",
			message.Truncated, groupHash(message.GroupKey), fetched, h.saysUnfetched(failed))
	}
	message.Items = append(message.Items, rest...)
	return message
}

// saysUnfetched says why alerts could not be fetched, and what to do.
func (h *Handler) saysUnfetched(failed bool) string {
	const lift = "set max_alerts to 0 in the receiver"
	switch {
	case h.groups == nil:
		return "no Alertmanager is configured to fetch them from; set alertmanager.url, or " + lift
	case failed:
		return "Alertmanager could not be asked, the operator's log says why; check alertmanager.url, and " + lift
	}
	return "Alertmanager does not list the others as firing; " + lift
}

// missing returns the alerts of a group that are not among those of a message,
// as many as a message may have.
func missing(among, group []alert.Item) []alert.Item {
	known := make(map[string]bool, len(among))
	for _, item := range among {
		if item.Err == nil {
			known[item.Alert.Identity()] = true
		}
	}
	var rest []alert.Item
	for _, item := range group {
		if item.Err == nil && !known[item.Alert.Identity()] && len(among)+len(rest) < alert.MaxAlerts {
			known[item.Alert.Identity()] = true
			rest = append(rest, item)
		}
	}
	return rest
}
