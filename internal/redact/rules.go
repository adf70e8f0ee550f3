package redact

import "regexp"

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
}

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

// apply replaces match by match, so that a match which does not look the part stays.
func (r rule) apply(s string) string {
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
		if before := s[at[2*i]:at[2*i+1]]; filePath.MatchString(before) {
			return true
		}
	}
	i := r.pattern.SubexpIndex("secret")
	return i >= 0 && !r.looks(s[at[2*i]:at[2*i+1]])
}

// filePath is the beginning of the path of a file.
var filePath = regexp.MustCompile(`^(?:~|\.{1,2}|[A-Za-z]:)?/[a-z][\w.-]*/`)
