package alert_test

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kubernaut/kubernaut/pkg/alert"
)

//go:embed testdata/alertmanager.json
var fromAlertmanager []byte

//go:embed testdata/grafana.json
var fromGrafana []byte

func TestDecodeReadsWhatAlertmanagerSends(t *testing.T) {
	m, err := alert.Decode(fromAlertmanager)
	if err != nil {
		t.Fatal(err)
	}
	if m.Truncated != 3 || m.Receiver != "kubernaut" || m.GroupKey == "" || len(m.Items) != 2 {
		t.Fatalf("message is %+v", m)
	}
	firing, resolved := m.Items[0].Alert, m.Items[1].Alert
	if firing.Status != alert.Firing || !firing.EndsAt.IsZero() || firing.Name() != "KubePodCrashLooping" {
		t.Errorf("first alert is %+v", firing)
	}
	if want := time.Date(2026, 11, 22, 10, 0, 0, 123e6, time.UTC); !firing.StartsAt.Equal(want) {
		t.Errorf("it starts at %v, want %v", firing.StartsAt, want)
	}
	if resolved.Status != alert.Resolved || resolved.EndsAt.IsZero() {
		t.Errorf("second alert is %+v", resolved)
	}
}

func TestDecodeReadsWhatGrafanaSends(t *testing.T) {
	m, err := alert.Decode(fromGrafana)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Items) != 1 || m.Items[0].Err != nil || m.Items[0].Alert.Name() != "High memory usage" {
		t.Errorf("message is %+v", m)
	}
}

func TestDecodeRefusesBadMessages(t *testing.T) {
	rows := map[string]struct {
		body string
		is   error
		says string
	}{
		"what is no JSON":                   {`alert!`, alert.ErrShape, "no JSON at byte 1"},
		"half a message":                    {`{"version":"4","alerts":[{"lab`, alert.ErrShape, "no JSON"},
		"something behind the message":      {`{"version":"4","alerts":[]} {}`, alert.ErrShape, "no JSON"},
		"nothing":                           {``, alert.ErrShape, "no JSON"},
		"a list":                            {`[]`, alert.ErrShape, "message: want an object, got array"},
		"null":                              {`null`, alert.ErrShape, "version"},
		"a version nobody knows":            {`{"version":"5","alerts":[]}`, alert.ErrShape, "version: want"},
		"no version":                        {`{"alerts":[]}`, alert.ErrShape, "version: want"},
		"a version that is a number":        {`{"version":4,"alerts":[]}`, alert.ErrShape, "version: want a string, got number"},
		"no alerts":                         {`{"version":"4"}`, alert.ErrShape, "alerts: want a list"},
		"alerts that are an object":         {`{"version":"4","alerts":{}}`, alert.ErrShape, "alerts: want a list, got object"},
		"a negative count":                  {`{"version":"4","alerts":[],"truncatedAlerts":-1}`, alert.ErrShape, "truncatedAlerts: want a number that is not negative"},
		"more alerts than anybody reads":    {`{"version":"4","alerts":[0` + strings.Repeat(",0", alert.MaxAlerts) + `]}`, alert.ErrBounds, "alerts: more than 10000"},
		"a message that is too large":       {strings.Repeat(" ", alert.MaxBody+1), alert.ErrBounds, "more than 4194304 bytes"},
		"nesting without an end":            {`{"version":"4","alerts":[` + strings.Repeat("[", 20_000), alert.ErrShape, "no JSON"},
		"a group key that is not a string":  {`{"version":"4","alerts":[],"groupKey":{}}`, alert.ErrShape, "groupKey: want a string, got object"},
		"more objects than that":            {`{"version":"4","alerts":{"a":0` + strings.Repeat(`,"a":0`, alert.MaxAlerts) + `}}`, alert.ErrBounds, "alerts: more than 10000"},
		"more labels of a group than that":  {`{"version":"4","alerts":[],"groupLabels":{"a":""` + strings.Repeat(`,"a":""`, alert.MaxPairs) + `}}`, alert.ErrBounds, "groupLabels: more than 256"},
		"an alert list that is an alert":    {`{"version":"4","alerts":"KubePodCrashLooping"}`, alert.ErrShape, "alerts: want a list, got string"},
		"a group label that is null":        {`{"version":"4","alerts":[],"groupLabels":{"a":null}}`, alert.ErrShape, "groupLabels: want strings"},
		"two messages, one after the other": {`{"version":"4","alerts":[]}{"version":"4","alerts":[]}`, alert.ErrShape, "no JSON"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			_, err := alert.Decode([]byte(row.body))
			if !errors.Is(err, row.is) || !strings.Contains(err.Error(), row.says) {
				t.Errorf("error is %v, want %v with %q", err, row.is, row.says)
			}
		})
	}
}

func TestDecodeCountsNoCommasButItsOwn(t *testing.T) {
	text := strings.Repeat(`,\"\\`, alert.MaxPairs)
	m, err := alert.Decode([]byte(`{"version":"4","alerts":[{"status":"firing","startsAt":"2026-11-22T10:00:00Z","labels":{"alertname":"A"},"annotations":{"a":"` + text + `","b":"c"},"more":[` + strings.Repeat("{},", alert.MaxAlerts) + `0]}]}`))
	if err != nil || m.Items[0].Err != nil {
		t.Fatal(err, m.Items)
	}
	if got := m.Items[0].Alert.Annotations; len(got) != 2 || got["a"] != strings.Repeat(`,"\`, alert.MaxPairs) || got["b"] != "c" {
		t.Errorf("the annotations are %q", got)
	}
}

func TestDecodeBelievesTheLastOfTwo(t *testing.T) {
	const times = `"status":"firing","startsAt":"2026-11-22T10:00:00Z"`
	m, err := alert.Decode([]byte(`{"version":"4","alerts":[1,2],"alerts":[{` + times + `,"labels":{"alertname":"A","pod":"a"},"labels":{"alertname":"B"}}]}`))
	if err != nil || len(m.Items) != 1 {
		t.Fatal(err, m.Items)
	}
	if got := m.Items[0].Alert.Labels; len(got) != 1 || got["alertname"] != "B" {
		t.Errorf("the labels are %q", got)
	}
}

func TestDecodeKeepsBadAlertsApart(t *testing.T) {
	const good = `{"status":"firing","labels":{"alertname":"A"},"startsAt":"2026-11-22T10:00:00Z"}`
	wide := make(map[string]string)
	for i := range alert.MaxPairs + 1 {
		wide[fmt.Sprint("l", i)] = ""
	}
	manyLabels, err := json.Marshal(wide)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]struct {
		item string
		is   error
		says string
	}{
		"a number":                    {`7`, alert.ErrShape, "alerts[1]: want an object"},
		"null":                        {`null`, alert.ErrShape, "alerts[1]: want an object"},
		"labels that are a list":      {`{"labels":[]}`, alert.ErrShape, "alerts[1].labels: want an object, got array"},
		"a label that is a number":    {`{"labels":{"pod":7}}`, alert.ErrShape, "alerts[1].labels: want a string, got number"},
		"a label that is null":        {`{"labels":{"alertname":"A","pod":null}}`, alert.ErrShape, "alerts[1].labels: want strings"},
		"no status":                   {`{"labels":{"alertname":"A"},"startsAt":"2026-11-22T10:00:00Z"}`, alert.ErrShape, "alerts[1].status"},
		"a status nobody knows":       {strings.Replace(good, "firing", "suppressed", 1), alert.ErrShape, "alerts[1].status"},
		"no name":                     {strings.Replace(good, "alertname", "name", 1), alert.ErrNameless, "alerts[1]"},
		"an empty name":               {strings.Replace(good, `"A"`, `""`, 1), alert.ErrNameless, "alerts[1]"},
		"no start":                    {strings.Replace(good, "startsAt", "endsAt", 1), alert.ErrShape, "alerts[1].startsAt"},
		"a start that is no time":     {strings.Replace(good, "2026-11-22T10:00:00Z", "yesterday", 1), alert.ErrShape, "alerts[1]"},
		"more labels than anybody":    {`{"labels":` + string(manyLabels) + `}`, alert.ErrBounds, "alerts[1].labels: more than 256"},
		"a label longer than a novel": {`{"labels":{"alertname":"` + strings.Repeat("x", alert.MaxPair) + `"}}`, alert.ErrBounds, "alerts[1].labels: more than 65536 bytes"},
		"one label again and again":   {`{"labels":{"alertname":"A"` + strings.Repeat(`,"a":""`, alert.MaxPairs) + `}}`, alert.ErrBounds, "alerts[1].labels: more than 256"},
		"an annotation of that kind":  {`{"annotations":{"summary":"` + strings.Repeat("x", alert.MaxPair) + `"}}`, alert.ErrBounds, "alerts[1].annotations"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			m, err := alert.Decode([]byte(`{"version":"4","alerts":[` + good + `,` + row.item + `,` + good + `]}`))
			if err != nil {
				t.Fatal(err)
			}
			if m.Items[0].Err != nil || m.Items[2].Err != nil {
				t.Errorf("its neighbours suffer: %v, %v", m.Items[0].Err, m.Items[2].Err)
			}
			if err := m.Items[1].Err; !errors.Is(err, row.is) || !strings.Contains(err.Error(), row.says) {
				t.Errorf("error is %v, want %v with %q", err, row.is, row.says)
			}
		})
	}
}

func TestDecodeListReadsWhatTheAPIAnswers(t *testing.T) {
	items, err := alert.DecodeList([]byte(`[
	  {"labels":{"alertname":"A","pod":"web-1"},"annotations":{"summary":"s"},"startsAt":"2026-11-22T10:00:00Z","endsAt":"2026-11-22T10:04:00Z",
	   "updatedAt":"2026-11-22T10:00:00Z","fingerprint":"3b15fd163d36582e","receivers":[{"name":"k"}],"status":{"state":"active","silencedBy":[]}},
	  {"labels":{"pod":"web-1"},"startsAt":"2026-11-22T10:00:00Z"}, null]`))
	if err != nil || len(items) != 3 {
		t.Fatalf("items are %+v, %v", items, err)
	}
	a := items[0].Alert
	if items[0].Err != nil || a.Status != alert.Firing || !a.EndsAt.IsZero() || a.Identity() != "3b15fd163d36582e" || a.Annotations["summary"] != "s" {
		t.Errorf("the first is %+v, %v", a, items[0].Err)
	}
	if !errors.Is(items[1].Err, alert.ErrNameless) || !errors.Is(items[2].Err, alert.ErrShape) {
		t.Errorf("the others are %v and %v", items[1].Err, items[2].Err)
	}
}

func TestDecodeListRefusesWhatIsNoList(t *testing.T) {
	for name, row := range map[string]struct {
		body string
		is   error
	}{
		"null":        {`null`, alert.ErrShape},
		"an object":   {`{"alerts":[]}`, alert.ErrShape},
		"nothing":     {``, alert.ErrShape},
		"an error":    {`"no such receiver"`, alert.ErrShape},
		"half a list": {`[{"labels":`, alert.ErrShape},
		"too many":    {`[0` + strings.Repeat(",0", alert.MaxAlerts) + `]`, alert.ErrBounds},
	} {
		if _, err := alert.DecodeList([]byte(row.body)); !errors.Is(err, row.is) {
			t.Errorf("%s: error is %v", name, err)
		}
	}
}

// FuzzDecode: no body breaks the decoder, and what it accepts has what everybody
// relies on.
func FuzzDecode(f *testing.F) {
	f.Add(fromAlertmanager)
	f.Add(fromGrafana)
	f.Add([]byte(`{"version":"4","alerts":[null,7,{"labels":{"alertname":"\ud800"}}]}`))
	f.Add(bytes.Repeat([]byte("["), 20_000))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := alert.Decode(body)
		if err != nil {
			if !errors.Is(err, alert.ErrShape) && !errors.Is(err, alert.ErrBounds) {
				t.Fatalf("error of no kind: %v", err)
			}
			return
		}
		for i, item := range m.Items {
			if item.Err == nil && (item.Alert.Name() == "" || item.Alert.StartsAt.IsZero() || len(item.Alert.Identity()) != 16) {
				t.Errorf("alert %d passed: %+v", i, item.Alert)
			}
			if item.Err != nil && item.Alert.Labels != nil {
				t.Errorf("alert %d is bad and there", i)
			}
		}
	})
}
