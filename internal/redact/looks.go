package redact

import (
	"regexp"
	"strings"
	"unicode"
)

// namesSecret is true for the name of a field that holds a secret.
func namesSecret(field, value string) bool {
	f := found{name: judgeName(field), value: value, quoted: true}
	if f.name.kind == anyValue && isPassword(f.name.noun) {
		return !isPlaceholder(value)
	}
	return f.secret()
}

// opaque is true for what is no word of a sentence ("basic authentication failed").
func opaque(s string) bool {
	return len(s) >= 24 || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && r != '.' && r != '-' })
}

// mixed is true for letters and digits together.
func mixed(s string) bool {
	return strings.ContainsFunc(s, unicode.IsDigit) && strings.ContainsFunc(s, unicode.IsLetter)
}

var digest = regexp.MustCompile(`[0-9a-f]{32}`)

// minted is true for what a machine made up, and not for the name of a pod.
func minted(s string) bool { return isMixedCase(s) || digest.MatchString(s) || isScrambled(s) }

// isScrambled is true for letters that change their case more often than words do.
func isScrambled(s string) bool {
	changes := 0
	for i := 1; i < len(s); i++ {
		if isLetter(s[i]) && isLetter(s[i-1]) && isUpper(s[i]) != isUpper(s[i-1]) {
			changes++
		}
	}
	return len(s) >= 20 && changes*10 >= len(s)*4
}

func isMixedCase(s string) bool {
	return strings.ContainsFunc(s, unicode.IsUpper) && strings.ContainsFunc(s, unicode.IsLower) && strings.ContainsFunc(s, unicode.IsDigit)
}

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

// both returns a test for a word of each.
func both(one, other func(string) bool) func(string) bool {
	return func(lower string) bool { return one(lower) && other(lower) }
}

// runsOf returns a test for a run of that many characters of a token.
func runsOf(long int) func(string) bool {
	return func(lower string) bool { return hasRun(lower, long) }
}

// hasRun is true where that many characters of a token may follow one another.
func hasRun(lower string, long int) bool {
	run := 0
	for i := range len(lower) {
		if c := lower[i]; isLetter(c) || isDigit(c) || c == '+' || c == '_' || c == '-' {
			run++
		} else {
			run = 0
		}
		if run >= long {
			return true
		}
	}
	return false
}
