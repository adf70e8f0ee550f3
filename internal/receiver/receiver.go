// Package receiver writes what Alertmanager has to be told so that it sends its
// alerts to the operator.
package receiver

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"text/template"
	"time"
)

//go:embed templates
var files embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{"quote": quote, "indent": indent}).ParseFS(files, "templates/*"))

// Receiver is where alerts go and what Alertmanager needs to be let in.
type Receiver struct {
	// URL of the operator's webhook.
	URL string
	// ServerName that its certificate is for, if the URL does not name it.
	ServerName string
	// CAFile is the authority of that certificate, as Alertmanager finds it.
	CAFile string
	// CredentialsFile is a token for audience kubernaut, as Alertmanager finds it.
	CredentialsFile string
	// Pace of notifications; zero is what is usual.
	Pace Pace
}

// Pace is how patiently Alertmanager gathers alerts of a group.
type Pace struct {
	Wait, Interval, Repeat time.Duration
}

var usual = Pace{Wait: 30 * time.Second, Interval: time.Minute, Repeat: time.Hour}

// Config returns a configuration of Alertmanager that sends every alert to the
// operator, beside whatever other routes there are.
func (r Receiver) Config() ([]byte, error) {
	if r.CAFile == "" || r.CredentialsFile == "" {
		return nil, errors.New("writing Alertmanager's configuration: it needs the file of a token and that of an authority")
	}
	return r.render("alertmanager.yaml", r)
}

// Custom is the same for a cluster with prometheus-operator.
type Custom struct {
	Receiver
	// Namespace of the AlertmanagerConfig.
	Namespace string
	// Authority is the certificate itself, in PEM.
	Authority string
	// TokenSecret is a Secret of that namespace with the token under key token.
	TokenSecret string
}

// AlertmanagerConfig returns an AlertmanagerConfig that does what Config does,
// and the ConfigMap with the authority that it names.
func (c Custom) AlertmanagerConfig() ([]byte, error) {
	return c.render("alertmanagerconfig.yaml", c)
}

func (r Receiver) render(name string, data any) ([]byte, error) {
	u, err := url.Parse(r.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("writing Alertmanager's configuration: %q is no https:// URL", r.URL)
	}
	var out bytes.Buffer
	if err := templates.ExecuteTemplate(&out, name, data); err != nil {
		return nil, fmt.Errorf("writing Alertmanager's configuration: %w", err)
	}
	return out.Bytes(), nil
}

// GroupWait is how long the first alert of a group waits for others.
func (r Receiver) GroupWait() string { return short(r.Pace.Wait, usual.Wait) }

// GroupInterval is how long changes of a group are gathered.
func (r Receiver) GroupInterval() string { return short(r.Pace.Interval, usual.Interval) }

// RepeatInterval is after how long what still fires is told again.
func (r Receiver) RepeatInterval() string { return short(r.Pace.Repeat, usual.Repeat) }

// short writes a duration as Prometheus reads it.
func short(d, instead time.Duration) string {
	if d == 0 {
		d = instead
	}
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if d%unit.of == 0 {
			return fmt.Sprintf("%d%s", d/unit.of, unit.name)
		}
	}
	return fmt.Sprintf("%dms", d.Milliseconds())
}

// quote writes a string as JSON does, which is YAML whatever is in it.
func quote(s string) (string, error) {
	quoted, err := json.Marshal(s)
	return string(quoted), err
}

func indent(by int, text string) string {
	lead := strings.Repeat(" ", by)
	return lead + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n"+lead)
}
