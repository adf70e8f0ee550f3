package intake

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/kubernaut/kubernaut/internal/redact"
	"github.com/kubernaut/kubernaut/pkg/alert"
)

// Bounds of what is stored: an AlertRemediation stays small, whatever an alert
// carries. The numbers of pairs are those of the schema.
const (
	maxName        = 253
	maxURL         = 2048
	maxGroupKey    = 1024
	maxLabels      = 64
	maxAnnotations = 32
	maxValue       = 2048    // bytes of one value
	maxTotal       = 6 << 10 // bytes of all names and values
	maxAltered     = 1024
	// maxRaw is how much of a value is looked at: redaction takes time.
	maxRaw = 8 << 10
)

// stored returns labels and annotations redacted and cut, and a sentence about
// what is not as it was sent.
func stored(a alert.Alert) (labels, annotations map[string]string, altered string) {
	var notes []string
	labels = fit(a.Labels, shelf{kind: "label", most: maxLabels, first: firstLabel, notes: &notes})
	annotations = fit(a.Annotations, shelf{kind: "annotation", most: maxAnnotations, first: firstAnnotation, notes: &notes})
	return labels, annotations, redact.Cut(strings.Join(notes, "; "), maxAltered)
}

// shelf is where pairs are put until it is full.
type shelf struct {
	kind  string
	most  int
	first func(name, value string) bool // these are kept before the others
	notes *[]string
}

func fit(pairs map[string]string, s shelf) map[string]string {
	names := slices.SortedFunc(maps.Keys(pairs), func(a, b string) int {
		return cmp.Or(rank(s.first(a, pairs[a]))-rank(s.first(b, pairs[b])), strings.Compare(a, b))
	})
	kept, room, dropped := make(map[string]string), maxTotal, 0
	for _, raw := range names {
		name, value := storedName(raw), storedValue(raw, pairs[raw])
		if len(kept) == s.most || len(name)+len(value) > room {
			dropped++
			continue
		}
		kept[name] = value
		room -= len(name) + len(value)
		s.note(raw, name, pairs[raw], value)
	}
	if dropped > 0 {
		*s.notes = append(*s.notes, fmt.Sprintf("%ss left out: %d", s.kind, dropped))
	}
	return kept
}

// note says what was done to a pair. Whitespace that was folded is not worth a word.
func (s shelf) note(rawName, name, rawValue, value string) {
	if name != rawName {
		*s.notes = append(*s.notes, fmt.Sprintf("%s %s renamed", s.kind, name))
	}
	if strings.HasSuffix(value, redact.CutMark) {
		*s.notes = append(*s.notes, fmt.Sprintf("%s %s cut", s.kind, name))
	}
	if strings.Count(value, redact.Marker) > strings.Count(rawValue, redact.Marker) {
		*s.notes = append(*s.notes, fmt.Sprintf("%s %s redacted", s.kind, name))
	}
}

func rank(first bool) int {
	if first {
		return 0
	}
	return 1
}

// firstLabel is true for the labels that tell what an alert is about.
func firstLabel(name, value string) bool {
	switch name {
	case "alertname", "severity", "job", "container", "exported_container":
		return true
	}
	return alert.NamesObject(name, value)
}

func firstAnnotation(name, _ string) bool {
	switch name {
	case "summary", "description", "message", "runbook_url":
		return true
	}
	return false
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_./-]{0,127}$`)

// storedName renames what is no plain word. The hash keeps two of them apart.
func storedName(raw string) string {
	if plainName.MatchString(raw) {
		return raw
	}
	word := strings.Trim(notInLabel.ReplaceAllString(raw, "_"), "_.-")
	return word[:min(len(word), 64)] + "_" + hash(raw)
}

// storedValue leaves the names of objects alone: they are no secrets, and are
// needed as they are.
func storedValue(name, raw string) string {
	if alert.NamesObject(name, raw) {
		return raw
	}
	clean := redact.Field(name, redact.Cut(raw, maxRaw))
	return redact.Cut(strings.Join(strings.Fields(clean), " "), maxValue)
}
