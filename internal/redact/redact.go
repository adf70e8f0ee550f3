// Package redact takes secrets and terminal control sequences out of text that
// comes from outside: alert labels and annotations, log lines, events. What it returns
// depends on the text alone, takes time linear in its length, and may be stored, shown
// and sent to a model. Results for short texts are remembered in the process.
//
// A value is a secret by one of three things.
//
//   - Its own shape: keys and tokens of issuers with a known prefix, JSON web tokens,
//     key blocks in PEM, hashed passwords, long random runs of letters and digits.
//   - The name of its field. Names are split into words (camelCase, snake_case,
//     kebab-case, dotted.names, and compounds such as dbpassword); the last word that
//     names a secret counts, together with its owner ("api key", not "primary key")
//     and what follows it ("token_ttl" is about a token). Then the value is judged:
//     "password" takes any value that is not a placeholder, a sentence or a call;
//     "auth" or "session" only what is no word, number, name or address; a plain
//     "key" only what a machine generated.
//   - Where it stands: the user information, the path or the query of a URL, a
//     header, the argument of a well-known command or SQL statement, the data of a
//     printed Secret, the words after "password" in a sentence.
//
// Fields are found in key=value, key: value, JSON (also escaped), YAML (also values
// on lines of their own), XML, URL encoding, tables, and what Go, Java, Python, Ruby,
// PHP, Elixir and Erlang print.
//
// Not recognised: a password that is a plain word in a sentence without a separator
// ("password sunshine failed"), a secret that stands alone and has neither a prefix
// nor 40 characters, a lower-case word under a name that often holds other things
// ("auth=ldap"), a name made of words and numbers under such a name
// ("credentials: web2-db") or after them in a sentence ("the password is web-2"), a
// value without digits and signs after words that say that it could not be read
// ("failed to get token: Sunshine"),
// the name-like value of a field that is called "secret" only (it is
// taken for the name of a Secret), digits under other names than those of passwords,
// PINs and one-time codes, and secrets that were encoded in base64 as part of a
// larger text.
//
// What the rules find in texts of another author: go test -v -run Corpus ./internal/redact
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
	// maxPasses bounds how often a text, and a line, is looked at.
	maxPasses = 4
)

// Text returns s with secrets replaced by Marker and without escape sequences
// and control characters other than newline and tab. A text of several lines is
// best given whole: a key block is recognised by its first line.
func Text(s string) string { return remembered.text(s, text) }

func text(s string) string {
	s = clean(Cut(s, MaxText))
	judged := map[string]name{}
	for pass := range maxPasses {
		next := spread(s)
		if pass > 0 && next == s {
			break
		}
		s = lines(next, judged)
	}
	return s
}

func lines(s string, judged map[string]name) string {
	split := strings.Split(s, "\n")
	for i, line := range split {
		split[i] = settled(line, judged)
	}
	return strings.Join(split, "\n")
}

// settled redacts a line until nothing changes: texts are redacted at several places,
// and what stands beside a marker must not depend on how often.
func settled(line string, judged map[string]name) string {
	for range maxPasses {
		next := redactLine(line, judged)
		if next == line {
			break
		}
		line = next
	}
	return line
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
	return rememberedFields.text(name+"\x00"+value, func(string) string { return field(name, value) })
}

func field(name, value string) string {
	if value != "" && namesSecret(name, value) {
		return Marker
	}
	return Text(value)
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
