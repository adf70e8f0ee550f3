// Package alert reads what Alertmanager sends, and tells from the labels of an
// alert which alert it is and which object it is about. It is pure: what it
// decides, it decides from the bytes alone.
package alert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Bounds of what is read. What is over them is refused, never cut: a cut label
// would be another alert.
const (
	// MaxBody is the largest message, in bytes.
	MaxBody = 4 << 20
	// MaxAlerts is the largest number of alerts in a message.
	MaxAlerts = 10_000
	// MaxPairs is the largest number of labels, and of annotations, of an alert.
	MaxPairs = 256
	// MaxPair is the largest name and value of a label or annotation together, in bytes.
	MaxPair = 64 << 10
)

var (
	// ErrShape means that something is not of the shape it must have; the error says where.
	ErrShape = errors.New("unexpected shape")
	// ErrBounds means that something is larger than it may be; the error says where.
	ErrBounds = errors.New("too large")
	// ErrNameless means that an alert has no label alertname.
	ErrNameless = errors.New("no label alertname")
)

// Status of an alert.
type Status string

const (
	// Firing: the condition holds.
	Firing Status = "firing"
	// Resolved: the condition no longer holds.
	Resolved Status = "resolved"
)

// Message is one notification: a group of alerts, or as many of it as fit.
type Message struct {
	// GroupKey names the group for correlation. It changes when somebody edits
	// the routes, so it is never an identity.
	GroupKey string
	// Receiver is the name of the receiver the message was sent by.
	Receiver string
	// GroupLabels are those that all alerts of the group have in common because it
	// is grouped by them.
	GroupLabels map[string]string
	// Truncated is how many alerts of the group were left out.
	Truncated uint64
	// Items are the alerts in the order they came.
	Items []Item
}

// Item is one alert of a message, or what is wrong with it: one bad alert does
// not spoil the others.
type Item struct {
	// Alert as it was sent; empty if Err is set.
	Alert Alert
	// Err wraps ErrShape, ErrBounds or ErrNameless.
	Err error
}

// Alert is one alert as it was sent: untrusted, and neither redacted nor cut.
type Alert struct {
	// Status of this alert, whatever the status of its group is.
	Status Status
	// Labels are the identity of the alert.
	Labels map[string]string
	// Annotations are for people.
	Annotations map[string]string
	// StartsAt is when it began to fire. Replicas of Prometheus disagree about it.
	StartsAt time.Time
	// EndsAt is when it stopped; zero while it fires.
	EndsAt time.Time
	// GeneratorURL leads to the expression that fired.
	GeneratorURL string
	// Fingerprint is a hash of the labels.
	Fingerprint string
}

// Name returns the name of the rule that fired.
func (a Alert) Name() string { return a.Labels["alertname"] }

// envelope is the part of a message that is read. Other fields are tolerated:
// Grafana sends many more under version 1, and Alertmanager grows some.
type envelope struct {
	Version         string     `json:"version"`
	GroupKey        string     `json:"groupKey"`
	Receiver        string     `json:"receiver"`
	TruncatedAlerts uint64     `json:"truncatedAlerts"`
	GroupLabels     wirePairs  `json:"groupLabels"`
	Alerts          wireAlerts `json:"alerts"`
}

type wireAlert struct {
	Status       json.RawMessage `json:"status"` // a word in a message, an object in a list
	Labels       wirePairs       `json:"labels"`
	Annotations  wirePairs       `json:"annotations"`
	StartsAt     time.Time       `json:"startsAt"`
	EndsAt       time.Time       `json:"endsAt"`
	GeneratorURL string          `json:"generatorURL"`
	Fingerprint  string          `json:"fingerprint"`
}

// wireAlerts are counted before they are read: to read a list of nothing but zeros
// allocates sixty times its size.
type wireAlerts struct {
	list []json.RawMessage
	over bool // there are too many; none was read
}

// UnmarshalJSON is given what is valid JSON already.
func (a *wireAlerts) UnmarshalJSON(data []byte) error {
	*a = wireAlerts{over: commas(data) >= MaxAlerts} // of two under one name the last counts
	if a.over {
		return nil
	}
	return json.Unmarshal(data, &a.list)
}

// wirePairs are counted before they are read, for the same reason.
type wirePairs struct {
	read map[string]*string
	over bool
}

// UnmarshalJSON is given what is valid JSON already.
func (p *wirePairs) UnmarshalJSON(data []byte) error {
	*p = wirePairs{over: commas(data) >= MaxPairs}
	if p.over {
		return nil
	}
	return json.Unmarshal(data, &p.read)
}

// commas counts those between the elements of a list, or the pairs of an object.
func commas(data []byte) int {
	depth, count := 0, 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			i += text(data[i:])
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case ',':
			if depth == 1 {
				count++
			}
		}
	}
	return count
}

// text returns where the string ends that data begins with.
func text(data []byte) int {
	for i := 1; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(data)
}

// Decode reads a message of version 4, or 1 as Grafana sends it. An error is
// about the message as a whole and wraps ErrShape or ErrBounds; what is wrong
// with a single alert stands in its Item. No error repeats what was sent.
func Decode(body []byte) (Message, error) {
	if len(body) > MaxBody {
		return Message{}, fmt.Errorf("%w: more than %d bytes", ErrBounds, MaxBody)
	}
	var wire envelope
	if err := unmarshal(body, &wire, ""); err != nil {
		return Message{}, err
	}
	switch {
	case wire.Version != "4" && wire.Version != "1":
		return Message{}, fmt.Errorf(`%w: version: want "4", or "1" from Grafana`, ErrShape)
	case wire.Alerts.over:
		return Message{}, fmt.Errorf("%w: alerts: more than %d", ErrBounds, MaxAlerts)
	case wire.Alerts.list == nil:
		return Message{}, fmt.Errorf("%w: alerts: want a list", ErrShape)
	}
	group, err := pairs(wire.GroupLabels, "groupLabels")
	if err != nil {
		return Message{}, err
	}
	m := Message{GroupKey: wire.GroupKey, Receiver: wire.Receiver, GroupLabels: group, Truncated: wire.TruncatedAlerts}
	m.Items = make([]Item, len(wire.Alerts.list))
	for i, raw := range wire.Alerts.list {
		m.Items[i].Alert, m.Items[i].Err = decodeAlert(raw, fmt.Sprintf("alerts[%d]", i), false)
	}
	return m, nil
}

// DecodeList reads what Alertmanager's API, version 2, answers when it is asked
// for alerts: all of them fire, and when it will stop to believe so is no end.
// An error is about the list as a whole, as with Decode.
func DecodeList(body []byte) ([]Item, error) {
	var wire wireAlerts
	if err := unmarshal(body, &wire, ""); err != nil {
		return nil, err
	}
	switch {
	case wire.over:
		return nil, fmt.Errorf("%w: message: more than %d", ErrBounds, MaxAlerts)
	case wire.list == nil:
		return nil, fmt.Errorf("%w: message: want a list", ErrShape)
	}
	items := make([]Item, len(wire.list))
	for i, raw := range wire.list {
		items[i].Alert, items[i].Err = decodeAlert(raw, fmt.Sprintf("[%d]", i), true)
	}
	return items, nil
}

// decodeAlert reads one alert; listed, it fires.
func decodeAlert(raw json.RawMessage, path string, listed bool) (Alert, error) {
	var wire wireAlert
	if err := unmarshal(raw, &wire, path); err != nil {
		return Alert{}, err
	}
	labels, err := pairs(wire.Labels, path+".labels")
	if err != nil {
		return Alert{}, err
	}
	annotations, err := pairs(wire.Annotations, path+".annotations")
	if err != nil {
		return Alert{}, err
	}
	status, known := statuses[string(wire.Status)]
	if listed {
		status, known, wire.EndsAt = Firing, true, time.Time{}
	}
	switch {
	case !known:
		return Alert{}, fmt.Errorf("%w: %s.status: want firing or resolved", ErrShape, path)
	case labels["alertname"] == "":
		return Alert{}, fmt.Errorf("%s: %w", path, ErrNameless)
	case wire.StartsAt.IsZero():
		return Alert{}, fmt.Errorf("%w: %s.startsAt: want a time", ErrShape, path)
	}
	return Alert{
		Status: status, Labels: labels, Annotations: annotations, StartsAt: wire.StartsAt, EndsAt: wire.EndsAt,
		GeneratorURL: wire.GeneratorURL, Fingerprint: wire.Fingerprint,
	}, nil
}

// statuses as they are written in a message.
var statuses = map[string]Status{`"firing"`: Firing, `"resolved"`: Resolved}

// pairs refuses what is no string: encoding/json would make null an empty one,
// and so another alert.
func pairs(wire wirePairs, path string) (map[string]string, error) {
	if wire.over {
		return nil, fmt.Errorf("%w: %s: more than %d", ErrBounds, path, MaxPairs)
	}
	out := make(map[string]string, len(wire.read))
	for name, value := range wire.read {
		switch {
		case value == nil:
			return nil, fmt.Errorf("%w: %s: want strings", ErrShape, path)
		case len(name)+len(*value) > MaxPair:
			return nil, fmt.Errorf("%w: %s: more than %d bytes in one of them", ErrBounds, path, MaxPair)
		}
		out[name] = *value
	}
	return out, nil
}

// unmarshal tells where it is stuck, in the words of the sender and without
// their data.
func unmarshal(data []byte, into any, path string) error {
	if path != "" && !bytes.HasPrefix(data, []byte("{")) { // null would pass as an empty object
		return fmt.Errorf("%w: %s: want an object", ErrShape, path)
	}
	err := json.Unmarshal(data, into)
	if err == nil {
		return nil
	}
	var wrong *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &wrong):
		return fmt.Errorf("%w: %s: want %s, got %s", ErrShape, join(path, wrong.Field), kindOf(wrong), wrong.Value)
	case errors.As(err, &syntax):
		return fmt.Errorf("%w: no JSON at byte %d", ErrShape, syntax.Offset)
	}
	return fmt.Errorf("%w: %s: a value that can't be read, for example a time", ErrShape, join(path, ""))
}

// kindOf names a type in the terms of JSON.
func kindOf(wrong *json.UnmarshalTypeError) string {
	switch wrong.Type.Kind().String() {
	case "struct", "map":
		return "an object"
	case "slice":
		return "a list"
	case "uint64":
		return "a number that is not negative"
	}
	return "a string"
}

func join(path, field string) string {
	switch {
	case path != "" && field != "":
		return path + "." + field
	case path == "" && field == "":
		return "message"
	}
	return path + field
}
