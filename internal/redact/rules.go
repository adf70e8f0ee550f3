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
	// looks judges the submatch named secret, and aboutSecret the one named
	// name; what they turn down stays.
	looks func(secret string) bool
	// starts are what the pattern, which is anchored then, may begin with, in
	// lower case: looking for them first is a hundred times as fast.
	starts []string
}

const (
	// secretWords within the name of a field make its value a secret.
	secretWords = `pass(?:word|wd|phrase|code)|pwd|secret|token|credential|cookie|signature|` +
		`api[_.-]?key|access[_.-]?key|account[_.-]?key|private[_.-]?key|auth[_.-]?key|encryption[_.-]?key|` +
		`signing[_.-]?key|master[_.-]?key|ssh[_.-]?key|session[_.-]?id|connection[_.-]?string|authorization`
	// secretName is the end of such a name: what stands before the word changes nothing.
	secretName = `(?:` + secretWords + `)[\w.-]*`
	// value of a field: quoted, quoted within a quoted text, or a word.
	value = `(?:\[redacted\]|\\+"(?:[^"\\\n]|\\+[^"\n])*(?:\\+")?|"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?|` + "`[^`\n]*`?" + `|[^\s,;&"'` + "`" + `}\])]+)`
	// quote around the name of a field, plain or escaped.
	quote = `\\*["'` + "`" + `]?`
	// is between the name of a field and its value.
	is = quote + `[ \t]*(?::=|=>|[:=])[ \t]*`
	// scheme of a URL.
	scheme = `\b([a-z][a-z0-9+.-]{1,30}://)`
)

// blocks are the rules for what spreads over lines.
var blocks = []rule{
	{
		pattern:     regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]{1,64}-----.*?(?:-----END [A-Z0-9 ]{1,64}-----|$)`),
		replacement: Marker,
		when:        has("-----begin "),
	},
	{ // an environment variable, as objects and their dumps have it
		pattern:     regexp.MustCompile(`(?i)(\bname` + is + quote + `[\w.-]*` + secretName + quote + `[ \t]*[,;]?[ \t\n]*` + quote + `value` + is + `)` + value),
		replacement: "${1}" + Marker,
		when:        has("value"),
	},
}

// lines are the rules for a single line, in the order of their work: what has a
// shape of its own, then what is a secret only by the name before it, then what
// merely looks like one.
var lines = []rule{
	{ // a line of a key block whose first line is not here
		pattern:     regexp.MustCompile(`^[ \t]*(?P<secret>[A-Za-z0-9+/]{60,}={0,2})[ \t]*$`),
		replacement: Marker,
		when:        func(s string) bool { return len(s) >= 60 && !strings.ContainsAny(strings.TrimSpace(s), " :.-") },
		looks:       random,
	},
	{
		pattern:     regexp.MustCompile(`eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){0,3}`),
		replacement: Marker,
		when:        has("eyj"),
	},
	{
		pattern:     regexp.MustCompile(`(?i)(authorization` + quote + `[ \t]*[:=][ \t]*` + quote + `)(?:[a-z0-9-]+[ \t]+)?[^\s"'\\]+`),
		replacement: "${1}" + Marker,
		when:        has("authorization"),
	},
	{
		pattern:     regexp.MustCompile(`(?i)(\b(?:set-)?cookie2?` + quote + `[ \t]*[:=][ \t]*)[^\n]+`),
		replacement: "${1}" + Marker,
		when:        has("cookie"),
	},
	{
		pattern:     regexp.MustCompile(`(?i)\b(bearer|basic|negotiate)([ \t]+)(?P<secret>[A-Za-z0-9._~+/=-]{6,})`),
		replacement: "${1}${2}" + Marker,
		when:        has("bearer", "basic", "negotiate"),
		looks:       opaque,
	},
	{
		pattern:     regexp.MustCompile(`(?i)` + scheme + `[^\s/?#"'<>]*@`),
		replacement: "${1}" + Marker + "@",
		when:        has("://"),
	},
	{ // a password with a slash in it
		pattern:     regexp.MustCompile(`(?i)` + scheme + `[^\s:/@"'<>]*:[^\s"'<>]+@`),
		replacement: "${1}" + Marker + "@",
		when:        has("://"),
	},
	{ // as the MySQL driver of Go writes it
		pattern:     regexp.MustCompile(`[^\s:@/"'=]*:[^\s"']+@((?:tcp|tcp6|udp|unix)\()`),
		replacement: Marker + "@${1}",
		when:        has("@tcp", "@udp", "@unix"),
	},
	{
		pattern:     regexp.MustCompile(`(hooks\.slack\.com/(?:services|workflows)/)[A-Za-z0-9/_-]+`),
		replacement: "${1}" + Marker,
		when:        has("hooks.slack.com"),
	},
	{
		pattern:     regexp.MustCompile(`(?i)([?&](?:sig|key|code|auth|pw)=)[^&\s"'<>]+`),
		replacement: "${1}" + Marker,
		when:        has("sig=", "key=", "code=", "auth=", "pw="),
	},
	{
		pattern:     regexp.MustCompile(issued),
		replacement: Marker,
		when: has("akia", "asia", "abia", "acca", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_",
			"glpat-", "glrt-", "gldt-", "glcbt-", "glptt-", "glsoat-", "aiza", "ya29.", "k_live_", "k_test_",
			"whsec_", "npm_", "dop_v1_", "hvs.", "hvb.", "hvr.", "sg.", "sha256~", "glsa_", "age-secret-key-"),
	},
	{ // tokens whose beginning may also be that of a name
		pattern:     regexp.MustCompile(`\b(?P<secret>(?:xox[abeoprs]|xapp|sk|pypi)-[A-Za-z0-9_-]{16,}|hf_[A-Za-z0-9]{20,})`),
		replacement: Marker,
		when:        has("xox", "xapp-", "sk-", "pypi-", "hf_"),
		looks:       minted,
	},
	{ // a bootstrap token of Kubernetes
		pattern:     regexp.MustCompile(`\b[a-z0-9]{6}\.(?P<secret>[a-z0-9]{16})\b`),
		replacement: Marker,
		when:        has("."),
		looks:       mixed,
	},
	{ // a hashed password
		pattern:     regexp.MustCompile(`\$(?:2[abxy]|1|5|6|y|argon2(?:id|i|d))\$[./A-Za-z0-9$=,+-]{16,}`),
		replacement: Marker,
		when:        has("$"),
	},
	{
		pattern:     regexp.MustCompile(`^(?i)(?P<name>` + secretName + `)(` + is + `)` + value),
		replacement: "${1}${2}" + Marker,
		when:        namesAny,
		starts: []string{"pass", "pwd", "secret", "token", "credential", "cookie", "signature", "api", "access", "account",
			"private", "auth", "encryption", "signing", "master", "ssh", "session", "connection"},
	},
	{ // a flag and its value, side by side or one after another in a list
		pattern:     regexp.MustCompile(`(?i)((?:^|[\s"'\[,])--?[\w.-]*?(?P<name>` + secretName + `)(?:[ \t]+|["'],[ \t]*))` + value),
		replacement: "${1}" + Marker,
		when:        func(s string) bool { return namesAny(s) && strings.Contains(s, "-") },
	},
	{ // SQL
		pattern:     regexp.MustCompile(`(?i)(\bidentified[ \t]+by[ \t]+|\bwith[ \t]+password[ \t]+)` + value),
		replacement: "${1}" + Marker,
		when:        has("identified", "password"),
	},
	{
		pattern:     regexp.MustCompile(`(?P<secret>[A-Za-z0-9+_-]{40,}={0,2})`),
		replacement: Marker,
		when:        hasRun,
		looks:       random,
	},
}

// issued are the shapes that issuers gave their tokens so that they can be found
// in texts like ours.
const issued = `\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b` +
	`|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}|\bgl(?:pat|rt|dt|cbt|ptt|soat)-[A-Za-z0-9_.-]{16,}` +
	`|\bAIza[0-9A-Za-z_-]{30,}|\bya29\.[0-9A-Za-z_-]{16,}` +
	`|\b[rs]k_(?:live|test)_[0-9A-Za-z]{10,}|\bwhsec_[0-9A-Za-z]{10,}` +
	`|\bnpm_[A-Za-z0-9]{30,}|\bdop_v1_[a-f0-9]{32,}` +
	`|\bhv[sbr]\.[A-Za-z0-9_-]{20,}|\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}` +
	`|\bsha256~[A-Za-z0-9_-]{40,}|\bglsa_[A-Za-z0-9_]{20,}|\bAGE-SECRET-KEY-1[0-9A-Z]{20,}`

// apply replaces match by match, so that a match which does not look the part stays.
func (r rule) apply(s string) string {
	var out []byte
	from := 0
	for _, at := range r.matches(s) {
		if r.turnsDown(s, at) {
			continue
		}
		out = append(out, s[from:at[0]]...)
		out = r.pattern.ExpandString(out, r.replacement, s, at)
		from = at[1]
	}
	return string(append(out, s[from:]...))
}

// turnsDown judges the submatches named secret and name.
func (r rule) turnsDown(s string, at []int) bool {
	if i := r.pattern.SubexpIndex("secret"); i >= 0 && !r.looks(s[at[2*i]:at[2*i+1]]) {
		return true
	}
	i := r.pattern.SubexpIndex("name")
	return i >= 0 && aboutSecret(s[at[2*i]:at[2*i+1]])
}

// matches finds what the pattern matches, from the left and without overlaps.
func (r rule) matches(s string) [][]int {
	if r.starts == nil {
		return r.pattern.FindAllStringSubmatchIndex(s, -1)
	}
	var found [][]int
	for i := 0; i < len(s); i++ {
		if !startsWithAny(s[i:], r.starts) {
			continue
		}
		at := r.pattern.FindStringSubmatchIndex(s[i:])
		if at == nil {
			continue
		}
		for j := range at {
			at[j] += i
		}
		found = append(found, at)
		i = at[1] - 1
	}
	return found
}

func startsWithAny(s string, starts []string) bool {
	for _, start := range starts {
		if s[0]|0x20 == start[0] && len(s) >= len(start) && strings.EqualFold(s[:len(start)], start) {
			return true
		}
	}
	return false
}
