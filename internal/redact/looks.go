package redact

import (
	"regexp"
	"strings"
	"unicode"
)

var wholeSecretName = regexp.MustCompile(`(?i)` + secretName + `$`)

// namesSecret is true for the name of a field that holds a secret.
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

var digest = regexp.MustCompile(`[0-9a-f]{32}`)

// minted is true for what a machine made up, and not for the name of a pod.
func minted(s string) bool { return random(s) || digest.MatchString(s) }

// has returns a test for any of the words, which are in lower case.
func has(words ...string) func(string) bool {
	return func(lower string) bool {
		for _, w := range words {
			if strings.Contains(lower, w) {
				return true
			}
		}
		return false
	}
}

// namesAny is true where one of secretWords may be found.
var namesAny = has("pass", "pwd", "secret", "token", "credential", "cookie", "signature", "key", "session", "connection", "authorization")

// hasRun is true where forty characters of a token may follow one another.
func hasRun(lower string) bool {
	run := 0
	for i := range len(lower) {
		if c := lower[i]; c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '_' || c == '-' {
			run++
		} else {
			run = 0
		}
		if run >= 40 {
			return true
		}
	}
	return false
}
