package intake

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/pkg/alert"
)

var began = time.Date(2026, time.March, 1, 3, 0, 0, 0, time.UTC)

func TestRemediationIsSafeToShow(t *testing.T) {
	long := strings.Repeat("x", 3000)
	many := map[string]string{"alertname": "A"}
	for i := range 100 {
		many[fmt.Sprintf("a%02d", i)] = "v"
	}
	many["pod"], many["namespace"] = "web-1", "shop"
	rows := map[string]struct {
		labels, annotations map[string]string
		want                func(v1alpha1.Alert) (got, want string)
		altered             string
	}{
		"a secret in an annotation": {
			annotations: map[string]string{"description": "login with password=hunter2 failed"},
			want:        annotation("description", "login with password=[redacted] failed"), altered: "annotation description redacted",
		},
		"a secret by the name of its label": {
			labels: map[string]string{"api_token": "hunter2"},
			want:   label("api_token", "[redacted]"), altered: "label api_token redacted",
		},
		"a name of an object that looks like a token": {
			labels: map[string]string{"pod": "sk-0123456789abcdef0123456789abcdef"},
			want:   label("pod", "sk-0123456789abcdef0123456789abcdef"),
		},
		"line breaks and escape sequences": {
			annotations: map[string]string{"summary": "a\n\x1b[31mb\r\n\tc"},
			want:        annotation("summary", "a b c"),
		},
		"a value that is too long": {
			labels: map[string]string{"query": long},
			want: func(a v1alpha1.Alert) (string, string) {
				return fmt.Sprint(len(a.Labels["query"]), strings.HasSuffix(a.Labels["query"], "…[cut]")), "2048 true"
			},
			altered: "label query cut",
		},
		"a label whose name is no word": {
			labels:  map[string]string{"rm -rf /\n": "v"},
			want:    label("rm_-rf_"+hash("rm -rf /\n"), "v"),
			altered: "label rm_-rf_" + hash("rm -rf /\n") + " renamed",
		},
		"more labels than are stored, of which those that name the subject stay": {
			labels: many,
			want: func(a v1alpha1.Alert) (string, string) {
				return fmt.Sprintf("%d %s %s %s", len(a.Labels), a.Labels["alertname"], a.Labels["pod"], a.Labels["namespace"]), "64 A web-1 shop"
			},
			altered: "labels left out: 39",
		},
		"more text than is stored": {
			annotations: map[string]string{"a": long, "b": long, "c": long, "summary": "kept"},
			want:        annotation("summary", "kept"),
			altered:     "annotation a cut; annotation b cut; annotations left out: 1",
		},
		"nothing worth a word": {
			annotations: map[string]string{"runbook_url": "https://runbooks.example.test/A"},
			want:        annotation("runbook_url", "https://runbooks.example.test/A"),
		},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			labels := map[string]string{"alertname": "A"}
			maps.Copy(labels, row.labels)
			sent := alert.Alert{Labels: labels, Annotations: row.annotations, StartsAt: began}
			f, err := identify(sent, Settings{Namespace: "system"})
			if err != nil {
				t.Fatal(err)
			}
			ar := f.remediation(sent, "")
			if got, want := row.want(ar.Spec.Alert); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			if got := ar.Annotations[alteredAnnotation]; got != row.altered {
				t.Errorf("it says %q, want %q", got, row.altered)
			}
		})
	}
}

func label(name, want string) func(v1alpha1.Alert) (string, string) {
	return func(a v1alpha1.Alert) (string, string) { return a.Labels[name], want }
}

func annotation(name, want string) func(v1alpha1.Alert) (string, string) {
	return func(a v1alpha1.Alert) (string, string) { return a.Annotations[name], want }
}

func TestNamespaceOf(t *testing.T) {
	rows := map[string]struct {
		labels map[string]string
		want   string
	}{
		"that of the subject":                                 {map[string]string{"namespace": "shop", "pod": "web-1"}, "shop"},
		"that of the subject, not of its exporter":            {map[string]string{"namespace": "monitoring", "exported_namespace": "shop", "exported_pod": "web-1"}, "shop"},
		"that it names where it names no subject":             {map[string]string{"namespace": "shop"}, "shop"},
		"the operator's for a node":                           {map[string]string{"namespace": "monitoring", "node": "n1", "pod": "kube-state-metrics-0", "job": "kube-state-metrics"}, "system"},
		"the operator's for a node, whatever pod was scraped": {map[string]string{"alertname": "KubeNodeNotReady", "namespace": "observe", "node": "n1", "pod": "metrics-1"}, "system"},
		"that of a Service, whatever node was scraped":        {map[string]string{"alertname": "ErrorRateHigh", "namespace": "shop", "node": "n1", "service": "basket"}, "shop"},
		"the operator's where it names none":                  {map[string]string{"alertname": "A"}, "system"},
		"the operator's where what it names is none":          {map[string]string{"namespace": "../x"}, "system"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := namespaceOf(row.labels, "system"); got != row.want {
				t.Errorf("namespace is %q, want %q", got, row.want)
			}
		})
	}
}

func TestLabelValueIsOneWhateverTheText(t *testing.T) {
	rows := map[string]string{
		"KubePodCrashLooping":   "KubePodCrashLooping",
		"High memory usage":     "High_memory_usage_" + hash("High memory usage"),
		"-dash-":                "dash_" + hash("-dash-"),
		"過負荷":                   hash("過負荷"),
		"":                      "",
		strings.Repeat("a", 63): strings.Repeat("a", 63),
		strings.Repeat("a", 64): strings.Repeat("a", 54) + "_" + hash(strings.Repeat("a", 64)),
	}
	for text, want := range rows {
		got := labelValue(text)
		if got != want {
			t.Errorf("labelValue(%q) = %q, want %q", text, got, want)
		}
		if faults := validation.IsValidLabelValue(got); len(faults) > 0 {
			t.Errorf("labelValue(%q) = %q: %v", text, got, faults)
		}
	}
}

func TestDue(t *testing.T) {
	firing := func(n int64) *v1alpha1.AlertStatus {
		return &v1alpha1.AlertStatus{State: v1alpha1.AlertFiring, Occurrences: n}
	}
	gone := &v1alpha1.AlertStatus{State: v1alpha1.AlertResolved, Occurrences: 2}
	rows := map[string]struct {
		said  *v1alpha1.AlertStatus
		heard recollection
		word  word
		want  bool
	}{
		"the second delivery": {nil, recollection{}, word{state: v1alpha1.AlertFiring, occurrences: 2}, true},
		"the third":           {firing(2), recollection{}, word{state: v1alpha1.AlertFiring, occurrences: 3}, false},
		"the third, before the cache shows the second": {nil, recollection{written: 2, state: v1alpha1.AlertFiring}, word{state: v1alpha1.AlertFiring, occurrences: 3}, false},
		"the fourth": {firing(2), recollection{}, word{state: v1alpha1.AlertFiring, occurrences: 4}, true},
		"the fifth, if the fourth could not be written":          {firing(2), recollection{}, word{state: v1alpha1.AlertFiring, occurrences: 5}, true},
		"the first word that it resolved":                        {nil, recollection{}, word{state: v1alpha1.AlertResolved}, true},
		"another one":                                            {gone, recollection{}, word{state: v1alpha1.AlertResolved, occurrences: 64}, false},
		"that it fires again":                                    {gone, recollection{}, word{state: v1alpha1.AlertFiring, occurrences: 3}, true},
		"that it fires again, before the cache shows it did not": {firing(2), recollection{written: 2, state: v1alpha1.AlertResolved}, word{state: v1alpha1.AlertFiring, occurrences: 3}, true},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := due(row.said, row.heard, row.word); got != row.want {
				t.Errorf("due = %v", got)
			}
		})
	}
}

func TestEndedBy(t *testing.T) {
	firing := func(name string, startedAfter time.Duration) v1alpha1.AlertRemediation {
		ar := v1alpha1.AlertRemediation{ObjectMeta: metav1.ObjectMeta{Name: name}}
		ar.Spec.Alert.StartsAt = metav1.NewTime(began.Add(startedAfter))
		return ar
	}
	quiet := func(name string, startedAfter time.Duration) v1alpha1.AlertRemediation {
		ar := firing(name, startedAfter)
		ar.Status.Alert = &v1alpha1.AlertStatus{State: v1alpha1.AlertResolved}
		return ar
	}
	type list = []v1alpha1.AlertRemediation
	rows := map[string]struct {
		known list // newest first
		ended time.Time
		want  []string
	}{
		"nothing":                             {nil, began, nil},
		"the newest":                          {list{firing("b", 2), quiet("a", 1)}, began.Add(3), []string{"b"}},
		"the newest, although it knows":       {list{quiet("b", 2), quiet("a", 1)}, began.Add(3), []string{"b"}},
		"older ones that don't know":          {list{quiet("c", 2), firing("b", 1), quiet("a", 1)}, began.Add(3), []string{"c", "b"}},
		"not one that began later":            {list{firing("b", time.Hour), firing("a", 0)}, began.Add(time.Minute), []string{"a"}},
		"all of them where nobody says when":  {list{firing("b", time.Hour)}, time.Time{}, []string{"b"}},
		"one that began in the same instance": {list{firing("a", 0)}, began, []string{"a"}},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, ar := range endedBy(row.known, row.ended) {
				got = append(got, ar.Name)
			}
			if !slices.Equal(got, row.want) {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}

func TestMemoryIsBoundedAndKeepsTheYoung(t *testing.T) {
	m := newMemory()
	for i := range 5 * maxRemembered {
		m.hear(types.UID(fmt.Sprint(i)), 1)
	}
	if got := len(m.young) + len(m.older); got > 2*maxRemembered {
		t.Errorf("it remembers %d", got)
	}
	if got := m.hear(types.UID(fmt.Sprint(5*maxRemembered-1)), 1).count; got != 3 {
		t.Errorf("the youngest was heard %d times, want 3", got)
	}
	if got := m.hear("0", 7).count; got != 8 {
		t.Errorf("a forgotten one counts on from %d, want what the object says and one more", got)
	}
}

func TestReasonsAllSaySomething(t *testing.T) {
	for _, r := range reasons {
		if r.says() == "" {
			t.Errorf("%s says nothing", r)
		}
	}
}

// FuzzRemediation: whatever an alert carries, what becomes of it is small and
// has names the API server takes.
func FuzzRemediation(f *testing.F) {
	f.Add("A", "pod", "web-1", "summary", "password=hunter2", "{}:{}")
	f.Add("High memory usage", "namespace", "shop", "", "\x1b[31m", "")
	f.Add(strings.Repeat("x", 254), "\xff", "\u202e", strings.Repeat("a", 200), strings.Repeat("b ", 5000), strings.Repeat("g", 5000))
	f.Fuzz(func(t *testing.T, name, label, value, annotation, text, groupKey string) {
		a := alert.Alert{
			Labels: map[string]string{label: value, "alertname": name}, Annotations: map[string]string{annotation: text},
			StartsAt: began, GeneratorURL: text,
		}
		known, err := identify(a, Settings{Namespace: "system", ClusterLabel: label})
		if err != nil {
			return
		}
		ar := known.remediation(a, groupKey)
		encoded, err := json.Marshal(ar)
		if err != nil || len(encoded) > 32<<10 {
			t.Errorf("object of %d bytes, %v", len(encoded), err)
		}
		for _, v := range ar.Labels {
			if faults := validation.IsValidLabelValue(v); len(faults) > 0 {
				t.Errorf("label %q: %v", v, faults)
			}
		}
		if faults := validation.IsDNS1123Label(ar.Namespace); len(faults) > 0 {
			t.Errorf("namespace %q: %v", ar.Namespace, faults)
		}
		if ar.Spec.Alert.Name != name || strings.ContainsAny(fmt.Sprint(ar.Spec.Alert), "\x1b\r\u202e") {
			t.Errorf("alert is %+v", ar.Spec.Alert)
		}
	})
}
