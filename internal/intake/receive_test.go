package intake

import (
	"errors"
	"testing"

	"github.com/kubernaut/kubernaut/pkg/alert"
)

func TestARejectedAlertIsNamed(t *testing.T) {
	labelled := func(labels map[string]string) alert.Item { return alert.Item{Alert: alert.Alert{Labels: labels}} }
	for want, item := range map[string]alert.Item{
		`"KubePodCrashLooping" of namespace "shop"`:              labelled(map[string]string{"alertname": "KubePodCrashLooping", "namespace": "shop"}),
		`"NodeDown" without a namespace`:                         labelled(map[string]string{"alertname": "NodeDown"}),
		`the one at index 3, which has no name that can be read`: {Err: errors.New("not a map")},
		`"a b" of namespace "[redacted]"`:                        labelled(map[string]string{"alertname": "a\nb", "namespace": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"}),
	} {
		if got := nameOf(item, 3); got != want {
			t.Errorf("it is called %s, want %s", got, want)
		}
	}
}
