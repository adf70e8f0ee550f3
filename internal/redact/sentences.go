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
		f.beside = last == "" && v.quoted && isNameByte(sc.s[max(0, sc.back(at, 8, " \t")-1)])
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
		return f.tellsChosen(v) || f.tellsCode(v) || f.tellsQuoted()
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

// quotedName is what may stand in quotes behind "password" and name it: an object,
// a column, a variable or a type.
var quotedName = regexp.MustCompile(`^(?:[a-z][a-z0-9]*(?:[-_./][a-z0-9]+)*|[A-Z][A-Z0-9_]*|[A-Z]?[a-z]+)$`)

// tellsQuoted is true for a value in quotes right behind the name of a password,
// which has no digit or sign but is no word or name either.
func (f found) tellsQuoted() bool {
	v := f.value
	return f.beside && isPassword(f.name.noun) && len(v) >= 6 && !strings.ContainsAny(v, " ()[]{}=:/") &&
		!quotedName.MatchString(v) && !isPlace(v) && !matchesAny(v, chosenNames) && !camelWords.MatchString(v)
}

// isReport is true for the beginning of what another program or layer reports.
func (f found) isReport(first string) bool {
	v := f.value
	switch {
	case strings.HasSuffix(v, ":") && libraries[first[strings.LastIndexByte(first, '/')+1:]]:
		return true
	case f.quoted:
		return false
	case f.failed && isPlainWord(strings.TrimRight(v, ":")), methods[v] && requested.MatchString(f.rest):
		return true
	}
	return f.rest != "" && thrown.MatchString(v) || isUpper(v[0]) && f.isTypeOrProgress()
}

// isPlainWord is true for what nothing but its place makes a secret.
func isPlainWord(v string) bool { return !isOpaque(v) && !isChosen(v) }

func (f found) isTypeOrProgress() bool {
	return lettersOnly(f.value) && typed.MatchString(f.rest) || f.spaced && progress.MatchString(f.value+cutTo(f.rest, 40))
}

var (
	// methods of HTTP, as the client of Go names them in its errors.
	methods = set("Get Post Put Patch Delete Head Options GET POST PUT PATCH DELETE HEAD OPTIONS")
	// requested is what follows them: a URL.
	requested = regexp.MustCompile(`^ \\*["']?https?://`)
	// typed is what follows the name of a type that has parameters: Option<String>.
	typed = regexp.MustCompile(`^<&?(?:'[a-z]+ )?[A-Za-z][\w:.]*[<>,]`)
	// thrown is the class or the number of an error.
	thrown = regexp.MustCompile(`^(?:(?:[A-Za-z_]\w*[.$])*[A-Z]\w*(?:Exception|Error|Failure)|(?:ORA|TNS|PLS|RMAN|SQL|HHH|JBAS|WFLY[A-Z]*|AADSTS)-?[0-9]{3,6}):$`)
	// progress is what Terraform says about a resource.
	progress = regexp.MustCompile(`^(?:(?:Creat|Read|Modify|Destroy|Import)ing\.\.\.|Refreshing state\.\.\.|Preparing import|Still (?:creat|read|modify|destroy)ing\.\.\.|(?:Creation|Read|Modifications|Destruction|Import) (?:complete|prepared))`)
	// failing words begin what unread finds.
	failing = has("fail", "could", "can", "unable", "error", "problem", "while")
	// unread is a failure to come by a secret: what follows its name cannot hold it.
	unread = regexp.MustCompile(`(?i)\b(?:fail(?:ed|ure|s|ing)?|could(?: not|n't)|can(?:not|'t| not)|unable|errors?|problem|while)\b[^:;=]{0,30}?[ ]` +
		`(?:get|read|fetch|refresh|load|retriev|obtain|acquir|request|renew|resolv|generat|mount|sync)[a-z]{0,5}[ ]` +
		`(?:(?:the|an?|any|new|its|our|this|valid|current|initial|access|refresh|id|api|auth|service|account|client|db|database|admin|root|user|shared|bearer|session|private|signing|secret|vault|oauth2?|jwt)[ ]){0,4}$`)
)

// afterFailure is true for a name behind words that say that it could not be read.
func (sc *scanner) afterFailure(start int) bool {
	before := sc.s[max(sc.from, start-maxName):start]
	return failing(lowerASCII(before)) && unread.MatchString(before)
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
