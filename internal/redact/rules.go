package redact

import (
	"regexp"
	"strings"
)

// rule replaces what pattern finds by replacement.
type rule struct {
	pattern     *regexp.Regexp
	replacement string
	// when is a cheap test of the lower-cased text; without it a megabyte of
	// log would take seconds.
	when func(lower string) bool
	// looks judges the submatch named secret; what it turns down stays.
	looks func(secret string) bool
	// inFile is true for a rule that leaves the paths of files alone: the
	// submatch named before is what stands before the secret.
	inFile bool
	// program is the name of a command; the pattern is looked for in its words only.
	program *regexp.Regexp
}

// longestCommand is how many bytes behind the name of a program belong to it.
const longestCommand = 400

const (
	// value of a field: quoted, quoted within a quoted text, or a word.
	value = `(?:\[redacted\]|\\+"(?:[^"\\\n]|\\+[^"\n])*(?:\\+")?|"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?|` + "`[^`\n]*`?" + `|[^\s,;&"'` + "`" + `}\])]+)`
	// quote around the name of a field, plain or escaped.
	quote = `\\*["'` + "`" + `]?`
	// is between the name of a field and its value.
	is = quote + `[ \t]*(?::=|=>|[:=])[ \t]*`
	// scheme of a URL.
	scheme = `\b([a-z][a-z0-9+.-]{1,30}://)`
)

func (r rule) apply(s string) string { return r.applyWithin(s, longestCommand) }

// applyWithin looks that far behind the name of a program.
func (r rule) applyWithin(s string, reach int) string {
	if r.program == nil {
		return r.replace(s)
	}
	var out strings.Builder
	for {
		at := r.program.FindStringIndex(s)
		if at == nil {
			break
		}
		end := at[1] + commandEnd(s[at[1]:], reach)
		out.WriteString(s[:at[1]])
		out.WriteString(r.replace(s[at[1]:end]))
		s = s[end:]
	}
	out.WriteString(s)
	return out.String()
}

// commandEnd returns where the words of a command end: at a pipe, a semicolon or
// the end of the line, which quotes may hold.
func commandEnd(s string, reach int) int {
	quote := byte(0)
	for i := range min(len(s), reach) {
		switch c := s[i]; {
		case c == '\n', quote == 0 && (c == '|' || c == ';'):
			return i
		case c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		}
	}
	return tokenEnd(s, min(len(s), reach))
}

// tokenEnd moves a position to the end of its word, at most as far again.
func tokenEnd(s string, at int) int {
	for most := at + longestCommand; at < len(s) && at < most && strings.IndexByte(" \t\n", s[at]) < 0; at++ {
	}
	return at
}

// replace goes match by match, so that a match which does not look the part stays.
func (r rule) replace(s string) string {
	var out []byte
	from := 0
	for _, at := range r.pattern.FindAllStringSubmatchIndex(s, -1) {
		if r.turnsDown(s, at) {
			continue
		}
		out = append(out, s[from:at[0]]...)
		out = r.pattern.ExpandString(out, r.replacement, s, at)
		from = at[1]
	}
	if from == 0 {
		return s
	}
	return string(append(out, s[from:]...))
}

// turnsDown judges the submatches named secret and before.
func (r rule) turnsDown(s string, at []int) bool {
	if r.inFile {
		i := r.pattern.SubexpIndex("before")
		if before := s[at[2*i]:at[2*i+1]]; filePath.MatchString(before) || inDigest(s, at[2*i+1]) {
			return true
		}
	}
	i := r.pattern.SubexpIndex("secret")
	return i >= 0 && !r.looks(s[at[2*i]:at[2*i+1]])
}

// filePath is the beginning of the path of a file.
var filePath = regexp.MustCompile(`^(?:~|\.{1,2}|[A-Za-z]:)?/[a-z][\w.-]*/`)

// labelled is a digest that says how it was computed: of a file, an image, a
// module of Go or the key of a host.
var labelled = regexp.MustCompile(`(?:^|[^A-Za-z0-9])(?:h1:|(?i:(?:pin-)?(?:sha-?(?:1|224|256|384|512)|md5|blake2[bs]|blake3)[-:/=]"?))[A-Za-z0-9+/_-]*$`)

// longestDigest is the length of the longest digest with its label, in bytes.
const longestDigest = 160

// inDigest is true for a position within a digest or right behind its label.
func inDigest(s string, at int) bool {
	from := at
	for from > 0 && at-from < longestDigest && strings.IndexByte(" \t\n'(,", s[from-1]) < 0 {
		from--
	}
	before := strings.TrimLeft(s[from:at], `"`)
	end := at
	for end < len(s) && end-at < len("pin-sha-512:") && strings.IndexByte(" \t\n", s[end]) < 0 {
		end++
	}
	return labelled.MatchString(before) || labelled.MatchString(before+strings.TrimRight(s[at:end], "="))
}
