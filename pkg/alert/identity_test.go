package alert_test

import (
	"regexp"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/kubernaut/kubernaut/pkg/alert"
)

func TestFingerprintIsThatOfPrometheus(t *testing.T) {
	rows := map[string]map[string]string{
		"no labels":       {},
		"one label":       {"alertname": "A"},
		"several labels":  {"namespace": "shop", "alertname": "KubePodCrashLooping", "pod": "web-1", "severity": "warning"},
		"an empty value":  {"alertname": "A", "pod": ""},
		"other alphabets": {"alertname": "Überlast", "łabel": "过载"},
	}
	for name, labels := range rows {
		t.Run(name, func(t *testing.T) {
			set := model.LabelSet{}
			for k, v := range labels {
				set[model.LabelName(k)] = model.LabelValue(v)
			}
			if got, want := alert.Fingerprint(labels), set.Fingerprint().String(); got != want {
				t.Errorf("Fingerprint = %s, Prometheus says %s", got, want)
			}
		})
	}
}

func TestIdentityBelievesOnlyFingerprintsOfTheRightForm(t *testing.T) {
	labels := map[string]string{"alertname": "A"}
	own := alert.Fingerprint(labels)
	rows := map[string]struct{ sent, want string }{
		"as it was sent":        {"3b15fd163d36582e", "3b15fd163d36582e"},
		"none":                  {"", own},
		"too short":             {"3b15", own},
		"capital letters":       {"3B15FD163D36582E", own},
		"something else":        {"../../kube-system", own},
		"a line break after it": {"3b15fd163d36582e\n", own},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := (alert.Alert{Labels: labels, Fingerprint: row.sent}).Identity(); got != row.want {
				t.Errorf("Identity = %s, want %s", got, row.want)
			}
		})
	}
}

func TestObjectNameIsDecided(t *testing.T) {
	starts := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	labels := map[string]string{"alertname": "A", "pod": "web-1"}
	name := alert.ObjectName("prod", labels, starts)
	if !regexp.MustCompile(`^ar-[0-9a-f]{16}$`).MatchString(name) {
		t.Errorf("name is %q", name)
	}
	if again := alert.ObjectName("prod", map[string]string{"pod": "web-1", "alertname": "A"}, starts.In(time.FixedZone("", 3600))); again != name {
		t.Errorf("the same firing in another time zone is %q, not %q", again, name)
	}
	others := map[string]string{
		"another cluster":           alert.ObjectName("test", labels, starts),
		"another firing":            alert.ObjectName("prod", labels, starts.Add(time.Millisecond)),
		"another label":             alert.ObjectName("prod", map[string]string{"alertname": "A", "pod": "web-2"}, starts),
		"a border that moved":       alert.ObjectName("prod", map[string]string{"alertname": "Apod", "": "web-1"}, starts),
		"a cluster taken for label": alert.ObjectName("prodalertname", map[string]string{"A": "pod"}, starts),
	}
	for what, other := range others {
		if other == name {
			t.Errorf("%s has the same name %q", what, name)
		}
	}
}
