package alertmanager_test

import (
	"io"
	"net/http"
	"regexp"
	"testing"
)

// TestGroupAsksForTheReceiverOfTheMessage answers as Alertmanager does, which takes
// an anchored expression and sends the name of a receiver escaped.
func TestGroupAsksForTheReceiverOfTheMessage(t *testing.T) {
	rows := map[string]struct{ configured, sent string }{
		"plain":                                 {"kubernaut", "kubernaut"},
		"with a dot, escaped":                   {"heal.shop", `heal\.shop`},
		"with a dot, as it is":                  {"heal.shop", "heal.shop"},
		"of prometheus-operator":                {"shop/alerts/kubernaut", "shop/alerts/kubernaut"},
		"with a plus, escaped":                  {"ops+night", `ops\+night`},
		"with a plus, as it is":                 {"ops+night", "ops+night"},
		"with brackets, escaped":                {"team[1](a){b}", `team\[1\]\(a\)\{b\}`},
		"with brackets, as it is":               {"team[1](a){b}", "team[1](a){b}"},
		"with every metacharacter, escaped":     {`\.+*?()|[]{}^$`, `\\\.\+\*\?\(\)\|\[\]\{\}\^\$`},
		"with a backslash, escaped":             {`ops\night`, `ops\\night`},
		"with a backslash, as it is":            {`ops\night`, `ops\night`},
		"with an escape and a dot, as it is":    {`a\.b.c`, `a\.b.c`},
		"with spaces and letters of any script": {"Nacht Überwachung", "Nacht Überwachung"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			c := served(t, func(w http.ResponseWriter, r *http.Request) {
				wanted, err := regexp.Compile("^(?:" + r.URL.Query().Get("receiver") + ")$")
				if err != nil || !wanted.MatchString(row.configured) || wanted.MatchString(row.configured+"x") || wanted.MatchString("other") {
					_, _ = io.WriteString(w, `[]`)
					return
				}
				_, _ = io.WriteString(w, `[{"status":{"state":"active"},"labels":{"alertname":"A"},"startsAt":"2026-03-01T03:00:00Z"}]`)
			})
			got, err := c.Group(t.Context(), row.sent, nil)
			if err != nil || len(got) != 1 {
				t.Errorf("got %v, %v, want one alert", got, err)
			}
		})
	}
}
