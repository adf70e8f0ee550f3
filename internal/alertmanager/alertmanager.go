// Package alertmanager asks Alertmanager which alerts fire. It reads and never
// writes. An answer that is not understood is an error: taken for an empty one,
// it would call a sick workload cured.
package alertmanager

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kubernaut/kubernaut/pkg/alert"
)

const (
	timeout = 5 * time.Second
	// groupTimeout leaves whoever asks time to answer within Alertmanager's own patience.
	groupTimeout = 3 * time.Second
	maxAnswer    = 8 << 20
)

// Client asks one Alertmanager.
type Client struct {
	base string
	http *http.Client
}

// New returns a client of the API at a base URL, for example
// http://alertmanager.monitoring:9093.
func New(baseURL string, hc *http.Client) *Client {
	return &Client{base: strings.TrimRight(baseURL, "/"), http: hc}
}

// Firing returns the labels of every alert of that name that fires, be it
// silenced, inhibited or neither.
func (c *Client) Firing(ctx context.Context, alertName string) ([]map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	body, err := c.get(ctx, "/api/v2/alerts?"+query(alertName))
	if err != nil {
		return nil, fmt.Errorf("asking Alertmanager which alerts fire: %w", err)
	}
	firing, err := decode(body, alertName)
	if err != nil {
		return nil, fmt.Errorf("reading which alerts fire: %w", err)
	}
	return firing, nil
}

// Since returns when Alertmanager was started. It keeps no alert over a restart:
// what fires it knows once it was told again.
func (c *Client) Since(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	body, err := c.get(ctx, "/api/v2/status")
	if err != nil {
		return time.Time{}, fmt.Errorf("asking Alertmanager when it was started: %w", err)
	}
	var status struct {
		Uptime time.Time `json:"uptime"`
	}
	if err := json.Unmarshal(body, &status); err != nil || status.Uptime.IsZero() {
		return time.Time{}, errors.New("reading when Alertmanager was started: its status has no time in uptime")
	}
	return status.Uptime, nil
}

// receiverPattern returns the regular expression that matches the receiver of a
// message and no other. Alertmanager escapes the name in what it sends; other
// senders, such as Grafana, send it as it is.
func receiverPattern(sent string) string {
	if name := escaped.ReplaceAllString(sent, "$1"); regexp.QuoteMeta(name) == sent {
		return sent
	}
	return regexp.QuoteMeta(sent)
}

// escaped is a character that regexp.QuoteMeta puts a backslash before.
var escaped = regexp.MustCompile(`\\([\\.+*?()|\[\]{}^$])`)

// Group returns every alert that Alertmanager would tell a receiver of now in a
// group with these labels. It may return more than the group: what lacks a label
// that the group has not, is not told apart.
func (c *Client) Group(ctx context.Context, receiver string, labels map[string]string) ([]alert.Item, error) {
	ctx, cancel := context.WithTimeout(ctx, groupTimeout)
	defer cancel()
	q := url.Values{"receiver": {receiverPattern(receiver)}}
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		q.Add("filter", matched(name)+"="+quoted(labels[name]))
	}
	for _, state := range []string{"silenced", "inhibited", "unprocessed"} {
		q.Set(state, "false")
	}
	body, err := c.get(ctx, "/api/v2/alerts?"+q.Encode())
	if err != nil {
		return nil, fmt.Errorf("asking Alertmanager for a group: %w", err)
	}
	items, err := alert.DecodeList(body)
	if err != nil {
		return nil, fmt.Errorf("reading a group: %w", err)
	}
	return items, nil
}

func query(alertName string) string {
	q := url.Values{}
	q.Set("filter", "alertname="+quoted(alertName))
	for _, state := range []string{"active", "silenced", "inhibited", "unprocessed"} {
		q.Set(state, "true")
	}
	return q.Encode()
}

var plainName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// matched quotes a name only if it has to: Alertmanagers before 0.27 know no quotes there.
func matched(name string) string {
	if plainName.MatchString(name) {
		return name
	}
	return quoted(name)
}

// quoted writes a value as Alertmanager's matchers have it. strconv.Quote would
// write escapes that they do not know.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

func (c *Client) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return nil, errors.New("its URL is none")
	}
	req.Header.Set("Accept", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, withoutURL(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answered %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("its answer broke off: %w", err)
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("its answer has more than %d bytes", maxAnswer)
	}
	return body, nil
}

// withoutURL leaves the query out of the error: it repeats what an alert said.
func withoutURL(err error) error {
	var outer *url.Error
	if errors.As(err, &outer) {
		return outer.Err
	}
	return err
}

// decode refuses whatever is not a list of alerts with labels. Alerts of other
// names are left out, should something on the way have dropped the filter.
func decode(body []byte, alertName string) ([]map[string]string, error) {
	var alerts []struct {
		Labels map[string]string `json:"labels"`
	}
	if err := json.Unmarshal(body, &alerts); err != nil {
		return nil, errors.New("it is no list of alerts in JSON")
	}
	if alerts == nil {
		return nil, errors.New("it is null")
	}
	firing := make([]map[string]string, 0, len(alerts))
	for i, a := range alerts {
		switch a.Labels["alertname"] {
		case "":
			return nil, fmt.Errorf("[%d].labels: no alertname", i)
		case alertName:
			firing = append(firing, a.Labels)
		}
	}
	return firing, nil
}
