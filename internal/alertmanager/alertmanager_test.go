package alertmanager_test

import (
	"context"
	_ "embed"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kubernaut/kubernaut/internal/alertmanager"
)

//go:embed testdata/alerts.json
var recorded string

func TestFiringReadsWhatAlertmanagerAnswers(t *testing.T) {
	var asked *http.Request
	c := served(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r
		_, _ = io.WriteString(w, recorded)
	})
	got, err := c.Firing(t.Context(), "KubePodCrashLooping")
	if err != nil {
		t.Fatal(err)
	}
	want := []map[string]string{
		{"alertname": "KubePodCrashLooping", "namespace": "shop", "pod": "web-1"},
		{"alertname": "KubePodCrashLooping", "namespace": "shop", "pod": "web-2"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	q := asked.URL.Query()
	if asked.Method != http.MethodGet || asked.URL.Path != "/api/v2/alerts" || q.Get("filter") != `alertname="KubePodCrashLooping"` {
		t.Errorf("asked %s %s", asked.Method, asked.URL)
	}
	for _, state := range []string{"active", "silenced", "inhibited", "unprocessed"} {
		if q.Get(state) != "true" {
			t.Errorf("%s alerts are left out", state)
		}
	}
}

func TestFiringQuotesTheName(t *testing.T) {
	rows := map[string]struct{ alert, want string }{
		"spaces":          {`High memory usage`, `alertname="High memory usage"`},
		"quotes":          {`a",pod="x`, `alertname="a\",pod=\"x"`},
		"backslashes":     {`a\`, `alertname="a\\"`},
		"a line break":    {"a\nb", `alertname="a\nb"`},
		"other alphabets": {`Überlast`, `alertname="Überlast"`},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			var filters []string
			c := served(t, func(w http.ResponseWriter, r *http.Request) {
				filters = r.URL.Query()["filter"]
				_, _ = io.WriteString(w, `[]`)
			})
			if got, err := c.Firing(t.Context(), row.alert); err != nil || len(got) != 0 {
				t.Errorf("got %v, %v", got, err)
			}
			if len(filters) != 1 || filters[0] != row.want {
				t.Errorf("filters are %q, want %q", filters, row.want)
			}
		})
	}
}

func TestFiringKnowsNoEmptyAnswerButAnEmptyList(t *testing.T) {
	rows := map[string]struct {
		status int
		body   string
		says   string
	}{
		"a server error":             {500, recorded, "it answered 500"},
		"overload":                   {429, `[]`, "it answered 429"},
		"no content":                 {204, ``, "it answered 204"},
		"nothing":                    {200, ``, "no list of alerts"},
		"half an answer":             {200, recorded[:len(recorded)/2], "no list of alerts"},
		"a page to log in":           {200, `<html>`, "no list of alerts"},
		"an object":                  {200, `{}`, "no list of alerts"},
		"null":                       {200, `null`, "null"},
		"labels that are a list":     {200, `[{"labels":[]}]`, "no list of alerts"},
		"an alert without labels":    {200, `[{}]`, "[0].labels: no alertname"},
		"a null alert":               {200, `[null]`, "[0].labels: no alertname"},
		"something behind the list":  {200, `[]{}`, "no list of alerts"},
		"an answer that is too long": {200, `[` + strings.Repeat(" ", 8<<20) + `]`, "more than 8388608 bytes"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			c := served(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(row.status)
				_, _ = io.WriteString(w, row.body)
			})
			got, err := c.Firing(t.Context(), "KubePodCrashLooping")
			if err == nil || !strings.Contains(err.Error(), row.says) {
				t.Errorf("got %v, error %v, want one that says %q", got, err, row.says)
			}
		})
	}
}

func TestSinceReadsWhenItWasStarted(t *testing.T) {
	var path string
	c := served(t, func(w http.ResponseWriter, r *http.Request) {
		path = r.URL.Path
		_, _ = io.WriteString(w, `{"cluster":{"name":"a","status":"ready"},"config":{"original":"route: {}"},"uptime":"2026-03-01T11:58:12.345Z","versionInfo":{}}`)
	})
	got, err := c.Since(t.Context())
	if want := time.Date(2026, 3, 1, 11, 58, 12, 345e6, time.UTC); err != nil || !got.Equal(want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if path != "/api/v2/status" {
		t.Errorf("asked %s", path)
	}
}

func TestSinceTakesNothingForATime(t *testing.T) {
	rows := map[string]struct {
		status int
		body   string
	}{
		"a server error": {500, `{"uptime":"2026-03-01T11:58:12Z"}`},
		"nothing":        {200, ``},
		"null":           {200, `null`},
		"no uptime":      {200, `{"versionInfo":{}}`},
		"a duration":     {200, `{"uptime":"5m"}`},
		"a list":         {200, `[]`},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			c := served(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(row.status)
				_, _ = io.WriteString(w, row.body)
			})
			if got, err := c.Since(t.Context()); err == nil {
				t.Errorf("got %v and no error", got)
			}
		})
	}
}

func TestFiringNoticesThatAnAnswerBreaksOff(t *testing.T) {
	c := served(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `[]`)
	})
	if got, err := c.Firing(t.Context(), "A"); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, error %v", got, err)
	}
}

func TestFiringGivesUpOnASlowServer(t *testing.T) {
	never := make(chan struct{})
	c := served(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-never:
		case <-r.Context().Done():
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got, err := c.Firing(ctx, "Secret name"); !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "Secret") {
		t.Errorf("got %v, error %v", got, err)
	}
}

func TestFiringSaysThatNobodyIsThere(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	if got, err := alertmanager.New(srv.URL, http.DefaultClient).Firing(t.Context(), "A"); err == nil || strings.Contains(err.Error(), "filter") {
		t.Errorf("got %v, error %v", got, err)
	}
}

func TestNewTakesAPath(t *testing.T) {
	var path string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path = r.URL.Path
		_, _ = io.WriteString(w, `[]`)
	}))
	t.Cleanup(srv.Close)
	if _, err := alertmanager.New(srv.URL+"/alertmanager/", srv.Client()).Firing(t.Context(), "A"); err != nil {
		t.Fatal(err)
	}
	if path != "/alertmanager/api/v2/alerts" {
		t.Errorf("asked %s", path)
	}
}

func served(t *testing.T, handler http.HandlerFunc) *alertmanager.Client {
	t.Helper()
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	return alertmanager.New(srv.URL, srv.Client())
}
