package intake

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/pkg/alert"
)

// saysFull tells the users of a namespace why its alerts are refused.
const saysFull = "namespace %s: the limit of %d AlertRemediations is reached and no alert adds another one. Delete some of them, " +
	"keep fewer (spec.retention of its RemediationPolicy), or raise intake.maxPerNamespace in the operator's configuration"

// mostNamed is how many namespaces an answer names.
const mostNamed = 3

// add creates the remediation of a firing that has none, if its namespace has room.
func (r *reception) add(ctx context.Context, f firing, a alert.Alert) (result, error) {
	if err := r.claimPlace(ctx, f.object.Namespace); err != nil {
		return "", err
	}
	return r.create(ctx, f, f.remediation(a, r.groupKey))
}

// claimPlace refuses a new remediation in a namespace that holds too many of them.
// The limit is a soft one: the cache may be some objects behind, and only alerts are
// refused by it. A ResourceQuota is the hard limit.
func (r *reception) claimPlace(ctx context.Context, namespace string) error {
	most := r.settings.MaxPerNamespace
	if most == 0 {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	count, known := r.held[namespace]
	if !known { // once for each message: listing a namespace is not free
		var list v1alpha1.AlertRemediationList
		if err := r.cluster.Client.List(ctx, &list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
			return judged(fmt.Errorf("counting the AlertRemediations of namespace %s: %w", namespace, err))
		}
		count = len(list.Items)
	}
	if r.held == nil {
		r.held = make(map[string]int)
	}
	r.held[namespace] = count
	if count >= most {
		return &refusal{reason: reasonNamespaceFull, namespace: namespace}
	}
	r.held[namespace]++
	return nil
}

// lacksRoom reports whether a message of so many alerts has to be sent again because
// a namespace has no room. Alertmanager takes a 429 for a failure: it logs the answer,
// and sends the whole group again after its group interval, which costs little for
// the alerts that were taken. A 200 would be the end of it for the repeat interval.
func (t tally) lacksRoom(alerts int) bool {
	full := t.refused(reasonNamespaceFull)
	return full > 0 || alerts > 0 && t.refused(reasonOverQuota) == alerts
}

// saysNoRoom is the answer to such a message.
func (t tally) saysNoRoom(most int) string {
	full := t.fullNamespaces()
	if len(full) == 0 {
		return "no alert of the message was taken: " + reasonOverQuota.says()
	}
	named := strings.Join(full[:min(len(full), mostNamed)], ", ")
	if more := len(full) - mostNamed; more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("%d alerts of the message were not taken: ", t.refused(reasonNamespaceFull)) + fmt.Sprintf(saysFull, named, most)
}

// fullNamespaces returns the namespaces that alerts were refused for, each once.
func (t tally) fullNamespaces() []string {
	var full []string
	for _, r := range t.rejected {
		if r.Reason == reasonNamespaceFull {
			full = append(full, r.namespace)
		}
	}
	slices.Sort(full)
	return slices.Compact(full)
}
