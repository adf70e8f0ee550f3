// Package redact takes secrets and terminal tricks out of text that comes from
// outside: alert labels and annotations, log lines, events. It is pure, and
// linear in the length of the text. It rather takes too much than too little:
// what it returns may be stored, shown and sent to a model.
package redact

import (
	"strings"
	"unicode/utf8"
)

const (
	// Marker stands where a secret was.
	Marker = "[redacted]"
	// CutMark ends a text that was cut.
	CutMark = "…[cut]"
	// MaxText is how much of a text is looked at, in bytes; the rest is cut.
	MaxText = 256 << 10
)

// Text returns s with secrets replaced by Marker and without escape sequences
// and control characters other than newline and tab. A text of several lines is
// best given whole: a key block is recognised by its first line.
func Text(s string) string {
	s = spread(clean(Cut(s, MaxText)))
	split := strings.Split(s, "\n")
	judged := map[string]name{}
	for i, line := range split {
		split[i] = redactLine(line, judged)
	}
	return strings.Join(split, "\n")
}

// redactLine applies the rules for a single line: what has a shape of its own,
// then what is a secret by where it stands.
func redactLine(s string, judged map[string]name) string {
	s = applyAll(links, s)
	s = applyAll(shapes, s)
	s = applyAll(commands, s)
	if strings.Contains(s, "</") || strings.Contains(s, "<") && strings.Contains(s, "=") {
		for _, t := range tags {
			s = t.apply(s)
		}
	}
	if stems(lowerASCII(s)) {
		for _, d := range dumps {
			s = d.apply(s)
		}
		s = fields(s, judged)
	}
	return s
}

func applyAll(rules []rule, s string) string {
	lower := lowerASCII(s)
	for _, r := range rules {
		if r.when(lower) {
			s = r.apply(s)
		}
	}
	return s
}

// Line returns s as Text does, on one line and at most limit bytes long.
func Line(s string, limit int) string {
	return Cut(strings.Join(strings.Fields(Text(s)), " "), limit)
}

// Harmless returns words of our own on one line, at most limit bytes long and with
// nothing in it that steers a terminal. It looks for no secrets: what we say about
// tokens is none.
func Harmless(s string, limit int) string {
	return Cut(strings.Join(strings.Fields(clean(Cut(s, MaxText))), " "), limit)
}

// Field returns a value that is stored under a name, as Text does: whole
// replaced by Marker if the name says that it is a secret.
func Field(name, value string) string {
	if value != "" && namesSecret(name, value) {
		return Marker
	}
	return Text(value)
}

// Flag returns the name under which the word after this one stands in a list of
// arguments: that of a flag without a value of its own, or none.
func Flag(word string) string {
	if !strings.HasPrefix(word, "-") || strings.Contains(word, "=") {
		return ""
	}
	return strings.TrimLeft(word, "-")
}

// Cut returns s if it is at most limit bytes long, else its beginning with
// CutMark at the end, never more than limit bytes, never within a character.
func Cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	keep, mark := limit-len(CutMark), CutMark
	if keep < 0 {
		keep, mark = max(limit, 0), ""
	}
	for keep > 0 && !utf8.RuneStart(s[keep]) {
		keep--
	}
	return s[:keep] + mark
}
