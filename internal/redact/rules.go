package redact

import (
	"regexp"
	"strings"
	"unicode"
)

// rule replaces what pattern finds by replacement. Where it says so, only if
// the submatch named secret looks the part.
type rule struct {
	pattern     *regexp.Regexp
	replacement string
	looks       func(secret string) bool
}

const (
	// secretWords within the name of a field make its value a secret.
	secretWords = `pass(?:word|wd|phrase|code)|pwd|secret|token|credential|cookie|signature|` +
		`api[_.-]?key|access[_.-]?key|account[_.-]?key|private[_.-]?key|auth[_.-]?key|encryption[_.-]?key|` +
		`signing[_.-]?key|master[_.-]?key|ssh[_.-]?key|session[_.-]?id|connection[_.-]?string|authorization`
	// secretName is such a name; lead and trail around it make DB_PASSWORD and password2 of password.
	secretName = `[\w.-]*(?:` + secretWords + `)[\w.-]*`
	// value of a field: quoted, quoted within a quoted text, or a word.
	value = `\[redacted\]|\\+"(?:[^"\\\n]|\\+[^"\n])*(?:\\+")?|"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?|` + "`[^`\n]*`?" + `|[^\s,;&"'` + "`" + `}\])]+`
	// quote around the name of a field, plain or escaped.
	quote = `\\*["'` + "`" + `]?`
)

// rules in the order of their work: whole blocks, then what has a shape of its
// own, then what is a secret only by the name before it, then what merely looks
// like one.
var rules = []rule{
	{pattern: regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]{1,64}-----.*?(?:-----END [A-Z0-9 ]{1,64}-----|$)`), replacement: Marker},
	{pattern: regexp.MustCompile(`(?m)^[ \t]*(?P<secret>[A-Za-z0-9+/]{60,}={0,2})[ \t]*$`), replacement: Marker, looks: random},
	{pattern: regexp.MustCompile(`eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){0,3}`), replacement: Marker},
	{pattern: regexp.MustCompile(`(?i)((?:proxy-)?authorization` + quote + `[ \t]*[:=][ \t]*` + quote + `)(?:[a-z0-9-]+[ \t]+)?[^\s"'\\]+`), replacement: "${1}" + Marker},
	{pattern: regexp.MustCompile(`(?i)(\b(?:set-)?cookie2?` + quote + `[ \t]*[:=][ \t]*)[^\n]+`), replacement: "${1}" + Marker},
	{pattern: regexp.MustCompile(`(?i)\b(bearer|basic|negotiate)([ \t]+)(?P<secret>[A-Za-z0-9._~+/=-]{6,})`), replacement: "${1}${2}" + Marker, looks: opaque},
	{pattern: regexp.MustCompile(`(?i)\b([a-z][a-z0-9+.-]{1,30}://)[^\s/?#"'<>]*@`), replacement: "${1}" + Marker + "@"},
	{pattern: regexp.MustCompile(`(?i)\b([a-z][a-z0-9+.-]{1,30}://)[^\s:/@"'<>]*:[^\s"'<>]+@`), replacement: "${1}" + Marker + "@"},
	{pattern: regexp.MustCompile(`[^\s:@/"'=]*:[^\s"']+@((?:tcp|tcp6|udp|unix)\()`), replacement: Marker + "@${1}"},
	{pattern: regexp.MustCompile(`(hooks\.slack\.com/(?:services|workflows)/)[A-Za-z0-9/_-]+`), replacement: "${1}" + Marker},
	{pattern: regexp.MustCompile(`(?i)([?&](?:sig|key|code|auth|pw)=)[^&\s"'<>]+`), replacement: "${1}" + Marker},
	{pattern: regexp.MustCompile(knownTokens), replacement: Marker},
	{pattern: regexp.MustCompile(`\b[a-z0-9]{6}\.(?P<secret>[a-z0-9]{16})\b`), replacement: Marker, looks: mixed},
	{pattern: regexp.MustCompile(`\$(?:2[abxy]|1|5|6|y|argon2(?:id|i|d))\$[./A-Za-z0-9$=,+-]{16,}`), replacement: Marker},
	{pattern: regexp.MustCompile(`(?i)(\bname` + quote + `[ \t]*[:=][ \t]*` + quote + secretName + quote + `[ \t]*[,;]?[ \t\n]*` + quote + `value` + quote + `[ \t]*[:=][ \t]*)(?:` + value + `)`), replacement: "${1}" + Marker},
	{pattern: regexp.MustCompile(`(?i)(?P<name>` + secretName + `)(` + quote + `[ \t]*(?::=|=>|[:=])[ \t]*)(?:` + value + `)`), replacement: "${1}${2}" + Marker},
	{pattern: regexp.MustCompile(`(?im)((?:^|[\s"'\[,])--?(?P<name>` + secretName + `)(?:[ \t]+|["'],[ \t]*))(?:` + value + `)`), replacement: "${1}" + Marker},
	{pattern: regexp.MustCompile(`(?i)(\bidentified[ \t]+by[ \t]+|\bwith[ \t]+password[ \t]+)(?:` + value + `)`), replacement: "${1}" + Marker},
	{pattern: regexp.MustCompile(`(?P<secret>[A-Za-z0-9+_-]{40,}={0,2})`), replacement: Marker, looks: random},
}

// knownTokens are the shapes that issuers gave their tokens so that they can be
// found in texts like ours.
const knownTokens = `\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b` +
	`|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}|\bgl(?:pat|rt|dt|cbt|ptt|soat)-[A-Za-z0-9_.-]{16,}` +
	`|\bxox[abeoprs]-[A-Za-z0-9-]{8,}|\bxapp-[A-Za-z0-9-]{8,}` +
	`|\bAIza[0-9A-Za-z_-]{30,}|\bya29\.[0-9A-Za-z_-]{16,}` +
	`|\b[rs]k_(?:live|test)_[0-9A-Za-z]{10,}|\bwhsec_[0-9A-Za-z]{10,}` +
	`|\bsk-[A-Za-z0-9_-]{20,}|\bhf_[A-Za-z0-9]{20,}` +
	`|\bnpm_[A-Za-z0-9]{30,}|\bpypi-[A-Za-z0-9_-]{30,}|\bdop_v1_[a-f0-9]{32,}` +
	`|\bhv[sbr]\.[A-Za-z0-9_-]{20,}|\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}` +
	`|\bsha256~[A-Za-z0-9_-]{40,}|\bglsa_[A-Za-z0-9_]{20,}|\bAGE-SECRET-KEY-1[0-9A-Z]{20,}`

// apply replaces match by match, so that a match which does not look the part stays.
func (r rule) apply(s string) string {
	secret, name := r.pattern.SubexpIndex("secret"), r.pattern.SubexpIndex("name")
	if secret < 0 && name < 0 {
		return r.pattern.ReplaceAllString(s, r.replacement)
	}
	var out []byte
	from := 0
	for _, at := range r.pattern.FindAllStringSubmatchIndex(s, -1) {
		if secret >= 0 && !r.looks(s[at[2*secret]:at[2*secret+1]]) {
			continue
		}
		if name >= 0 && aboutSecret(s[at[2*name]:at[2*name+1]]) {
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

var wholeSecretName = regexp.MustCompile(`(?i)^` + secretName + `$`)

func namesSecret(name string) bool {
	return wholeSecretName.MatchString(name) && !aboutSecret(name)
}

// aboutSecret is true for names of fields that tell something about a secret
// and do not hold it: a missing Secret is a cause that people need to read.
var aboutSecret = regexp.MustCompile(`(?i)(?:name|names|namespace|ref|refs|path|file|type|count|total|seconds|length|ttl|expiry|expires|expiration)$`).MatchString

// opaque is true for what is no word of a sentence ("basic authentication failed").
func opaque(s string) bool {
	return len(s) >= 24 || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && r != '.' && r != '-' })
}

// mixed is true for letters and digits together.
func mixed(s string) bool {
	return strings.ContainsFunc(s, unicode.IsDigit) && strings.ContainsFunc(s, unicode.IsLetter)
}

// random is true for long runs of small and capital letters and digits; digests
// in hexadecimal and the names of objects are none.
func random(s string) bool {
	return strings.ContainsFunc(s, unicode.IsUpper) && strings.ContainsFunc(s, unicode.IsLower) && strings.ContainsFunc(s, unicode.IsDigit)
}
