package redact

import (
	"regexp"
	"strings"
)

// afterBlank judges what follows a name and white space: a flag's value, or the
// word in a sentence that looks like a secret.
func (sc *scanner) afterBlank(n name, at, start int) int {
	switch {
	case at >= len(sc.s) || strings.IndexByte("=:-", sc.s[at]) >= 0:
		return at
	case start > 0 && sc.s[start-1] == '!', strings.HasPrefix(sc.s[at:], "phrase"): // a tag; a longer name
		return at
	case !isFlag(sc.s, start):
		return sc.afterWords(n, at)
	}
	v, f := sc.wordAt(n, at)
	if f.value == "" || f.value[0] == '-' || !f.secret() {
		return at
	}
	return sc.replace(v, f)
}

// afterWords judges the next words of a sentence.
func (sc *scanner) afterWords(n name, at int) int {
	next, last := at, ""
	for range maxSpoken {
		v, f := sc.wordAt(n, next)
		f.spaced, f.told = true, last == "" || tells[last]
		if f.value == "" {
			return at
		}
		if !owners[last] && f.spoken() {
			return sc.replace(v, f)
		}
		if !passesOn(f.value, v.quoted, last) {
			return at
		}
		last = strings.ToLower(strings.TrimRight(f.value, ","))
		end := sc.wordEnd(v)
		next = end + blanks(sc.s, end)
		if next >= len(sc.s) || next == end {
			return at
		}
	}
	return at
}

// wordEnd is the end of a value, or of the account that it begins: 'app'@'%'.
func (sc *scanner) wordEnd(v span) int {
	if v.end < len(sc.s) && sc.s[v.end] == '@' {
		return v.end + strings.IndexByte(cutTo(sc.s[v.end:], maxName)+" ", ' ')
	}
	return v.end
}

var (
	// owners stand before the name of the one whose secret it is.
	owners = set("user username account role principal")
	// ofOwners do too, but a secret may follow as well.
	ofOwners = set("for of")
	// tells stand right before the secret.
	tells = set("is was to : = is: was: to:")
)

// wordAt returns the word at a position as the value of a field.
func (sc *scanner) wordAt(n name, at int) (span, found) {
	v := quotedValue(sc.s, at, at)
	if v.from >= v.to {
		return v, found{name: n}
	}
	return v, found{name: n, value: sc.s[v.from:v.to], rest: sc.s[v.end:], quoted: v.quoted}
}

// passesOn is true for words between a name and its value in a sentence.
func passesOn(word string, quoted bool, last string) bool {
	switch {
	case owners[last], ofOwners[last] && quoted:
		return len(word) < maxName
	case quoted || len(word) >= 64:
		return false
	case account.MatchString(word):
		return true
	}
	return len(word) < 32 && (lettersOnly(strings.TrimRight(word, ":")) || word == "=" || word == ":")
}

// account is a user at a host, as a message about its password names it.
var account = regexp.MustCompile(`^(?:[a-z]+@[a-z.-]+|[\w./+-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}):?$`)

// compoundEnds end names of which no word names a secret by itself.
var compoundEnds = set("string code phrase")

// isFlag is true for a name with a dash before it that begins a word.
func isFlag(s string, start int) bool {
	return start < len(s) && s[start] == '-' && (start == 0 || strings.IndexByte(" \t\"'[,(`", s[start-1]) >= 0)
}

// spoken is true for a value that a sentence tells: "using password X".
func (f found) spoken() bool {
	v := strings.TrimRight(f.value, ".,:;!?)")
	if !f.quoted {
		v = strings.TrimLeft(v, "(")
	}
	switch {
	case v == "" || isPlaceholder(v) || account.MatchString(v):
		return false
	case !isOpaque(v):
		return f.tellsChosen(v) || f.tellsCode(v)
	case isPassword(f.name.noun):
		return !strings.ContainsAny(v, "()[]{}=")
	}
	return !strings.ContainsAny(strings.TrimRight(v, "="), "()[]{}=:/") && f.spokenToken(v)
}

// spokenToken judges an opaque value that is no password.
func (f found) spokenToken(v string) bool {
	switch {
	case f.name.kind == anyValue:
		return !camelWords.MatchString(v)
	case f.name.noun == "key":
		return isGenerated(v) || serial.MatchString(v)
	case f.name.noun != "auth":
		return len(v) >= 8 && isRandom(v)
	}
	return f.isArgument(v)
}

// tellsChosen is true for a value right behind a name that says what kind of
// secret it is: not "key", but "API key".
func (f found) tellsChosen(v string) bool {
	if !f.told || !isChosen(v) || strings.ContainsAny(v, "()[]{}=:/") {
		return false
	}
	switch f.name.noun {
	case "key", "token":
		return f.name.kind == anyValue && !f.name.bare
	case "secret":
		return !f.name.loose
	}
	return isPassword(f.name.noun)
}

// tellsCode is true for a one-time code; four digits may be a year or a version.
func (f found) tellsCode(v string) bool {
	switch f.name.noun {
	case "otp", "totp", "passcode":
		return f.told && len(v) >= 6 && isCode(v)
	}
	return false
}

// isArgument is true for what a program prints behind the name of its command: "(auth X)".
func (f found) isArgument(v string) bool {
	return strings.HasPrefix(f.rest, ")") || len(v) >= 16 || len(v) >= 8 && isRandom(v)
}
