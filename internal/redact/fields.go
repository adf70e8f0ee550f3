package redact

import (
	"regexp"
	"strings"
)

const (
	// maxName and maxValue bound how far a name and a value are looked for, in
	// bytes: what one separator costs does not grow with the text.
	maxName  = 128
	maxValue = 16 << 10
	maxBare  = 1 << 10
	// maxColumn is how many blanks may stand between a name and its separator, where
	// the values of several fields stand below one another.
	maxColumn = 64
	// maxJudged names of a text are remembered.
	maxJudged = 1 << 10
	// maxSpoken words may stand between a name and its value in a sentence.
	maxSpoken = 6
)

// stems are parts of every name that judgeName knows; a line without any has no field to judge.
var stems = has("pass", "pw", "psw", "secret", "token", "cred", "cookie", "sig", "key", "auth", "sess", "sid", "salt", "sas", "csrf", "xsrf",
	"pat", "hmac", "seed", "phrase", "rsa", "otp", "pin", "psk", "jwt", "bearer", "mnemonic", "docker", "conn", "code", "pem", "community")

// scanner goes through a line from the left and replaces values.
type scanner struct {
	s    string
	out  strings.Builder
	from int
	// judged are the names of this text that were judged before.
	judged map[string]name
}

// fields replaces the values of fields whose names say that they are secrets:
// behind an equals sign or a colon, and behind a space if it is a flag's value or
// a sentence says it.
func fields(s string, judged map[string]name) string {
	sc := scanner{s: s, judged: judged}
	for i := 0; i < len(s); {
		i = sc.step(i)
	}
	if sc.from == 0 {
		return s
	}
	sc.out.WriteString(s[sc.from:])
	return sc.out.String()
}

// step looks at one byte and returns where the next step goes on.
func (sc *scanner) step(i int) int {
	size, encoded := separator(sc.s, i)
	if size == 0 {
		return i + 1
	}
	at := i + size
	blank := strings.IndexByte(" \t,\"", sc.s[i]) >= 0
	word, start := sc.nameBefore(i, blank)
	n := sc.judge(word, start)
	switch {
	case n.kind == harmless || sc.namesFile(start):
		return at
	case blank:
		return sc.afterBlank(n, at, start)
	}
	v := valueAt(sc.s, at, encoded)
	if v.from > v.to {
		return at
	}
	f := found{name: n, value: sc.s[v.from:v.to], rest: sc.s[v.end:], quoted: v.quoted, spaced: !encoded && v.start > at}
	end := v.end
	if sc.holds(f, sc.s[i], start) {
		end = sc.replace(v, f)
	} else if !f.isUnsaid() {
		return at
	}
	return max(at, sc.afterChange(end, n))
}

// isUnsaid is true for a value that holds no secret and no other field.
func (f found) isUnsaid() bool {
	return f.value == "" || unsaid[f.value] || f.quoted && isPlaceholder(f.value) && !strings.ContainsAny(f.value, " =:")
}

// unsaid are the first words of values that Terraform does not print.
var unsaid = set("null (sensitive (known")

// arrow is what stands between the values before and after a change, behind the
// first word of the former: "old" -> "new", (sensitive value) -> "new".
var arrow = regexp.MustCompile(`^(?: value\)| after apply\))?[ \t]{0,8}[-=]>[ \t]{0,8}`)

// afterChange replaces the value after a change, if one ends at a position, and
// returns where to go on.
func (sc *scanner) afterChange(end int, n name) int {
	gap := len(arrow.FindString(cutTo(sc.s[end:], 32)))
	if gap == 0 {
		return min(end, len(sc.s))
	}
	v := valueAt(sc.s, end+gap, false)
	if v.from > v.to {
		return end
	}
	f := found{name: n, value: sc.s[v.from:v.to], rest: sc.s[v.end:], quoted: v.quoted}
	if !f.secret() {
		return end
	}
	return sc.replace(v, f)
}

// holds judges a value by what separates it from its name and by what stands before
// that; in tables it must look like a secret by itself.
func (sc *scanner) holds(f found, separator byte, start int) bool {
	loose := f.spaced && !f.quoted
	if loose && sc.inPath(start) {
		return false
	}
	if separator == '|' || separator == ';' {
		return f.spoken()
	}
	f.annotation = sc.inAnnotation(start)
	f.failed = loose && separator == ':' && sc.afterFailure(start)
	return f.secret()
}

// judge judges a name, together with the words before "key" and the like.
func (sc *scanner) judge(word string, start int) name {
	if len(word) < 2 {
		return name{}
	}
	n := sc.named(word)
	if !joins(n, word) {
		return n
	}
	if before := sc.wordBefore(start); before != "" {
		return judgeName(before + "_" + word)
	}
	return n
}

// named judges a name once: the lines of a log repeat theirs.
func (sc *scanner) named(word string) name {
	n, known := sc.judged[word]
	if !known {
		n = judgeName(word)
		if len(sc.judged) < maxJudged {
			sc.judged[word] = n
		}
	}
	return n
}

// joins is true for a name that may have its first word one space before it.
func joins(n name, word string) bool {
	switch n.noun {
	case "key", "token", "pass", "seed":
		return n.bare
	}
	return n.kind == harmless && compoundEnds[strings.ToLower(word)]
}

// wordBefore returns the word that stands one space before a position.
func (sc *scanner) wordBefore(start int) string {
	if start < 2 || sc.s[start-1] != ' ' {
		return ""
	}
	end := start - 1
	from := end
	for from > 0 && end-from < maxName && isNameByte(sc.s[from-1]) {
		from--
	}
	return sc.s[from:end]
}

// inPath is true for a name that is the end of the path of a file.
func (sc *scanner) inPath(start int) bool {
	if start == 0 || sc.s[start-1] != '/' {
		return false
	}
	from := start
	for from > sc.from && start-from < maxName && sc.s[from-1] != ' ' && sc.s[from-1] != '"' {
		from--
	}
	return sc.s[from] == '/' || sc.s[from] == '.'
}

// fromFile are the flags whose values are a name and the path of a file.
var fromFile = regexp.MustCompile(`--?(?:from|set)-file(?:=|[ \t]+|["'],[ \t]*["'])$`)

// namesFile is true for a name whose value is the path of a file, because of the
// flag before it: kubectl --from-file=password=./pw.txt.
func (sc *scanner) namesFile(start int) bool {
	before := sc.s[max(0, start-len(`--from-file", "`)):start]
	return strings.Contains(before, "-file") && fromFile.MatchString(before)
}

// inAnnotation is true for a name that has a domain and a slash before it.
func (sc *scanner) inAnnotation(start int) bool {
	if start < 4 || sc.s[start-1] != '/' {
		return false
	}
	from := sc.back(start-1, maxName, domainBytes)
	return strings.IndexByte(sc.s[from:start-1], '.') > 0
}

// domainBytes are what names of domains are made of.
const domainBytes = "abcdefghijklmnopqrstuvwxyz0123456789.-"

// separator returns the length of a separator of name and value, or 0, and
// whether it is one of a text that is encoded for URLs.
func separator(s string, i int) (size int, encoded bool) {
	next := byte(0)
	if i+1 < len(s) {
		next = s[i+1]
	}
	switch s[i] {
	case '=':
		return equals(s, i, next), false
	case ':':
		return colon(s, i, next), false
	case '%':
		return percent(s[i:])
	case ' ', '\t':
		return blanks(s, i), false
	case '"':
		return listGap(s, i), false
	case '|', ';':
		return 1, false
	}
	return rareSeparator(s, i, next), false
}

func rareSeparator(s string, i int, next byte) int {
	switch {
	case s[i] == '\\' && strings.HasPrefix(s[i:], `\u003d`):
		return 6
	case s[i] == '-' && next == '>':
		return 2
	case s[i] == ',' && next == '"':
		return 1
	case s[i] == ',' && blanks(s, i+1) > 0:
		return 1 + blanks(s, i+1)
	}
	return 0
}

func equals(s string, i int, next byte) int {
	switch {
	case next == '=' || i > 0 && strings.IndexByte("=!<>", s[i-1]) >= 0:
		return 0
	case next == '>':
		return 2
	}
	return 1
}

func colon(s string, i int, next byte) int {
	switch {
	case next == ':' && i+2 < len(s) && s[i+2] == ' ': // LDIF, in base64
		return 2
	case next == ':' || i > 0 && s[i-1] == ':' || strings.HasPrefix(s[i:], "://"):
		return 0
	case next == '=':
		return 2
	}
	return 1
}

func percent(s string) (int, bool) {
	for _, code := range []string{"%3D", "%3d", "%3A", "%3a", "%253D", "%253d"} {
		if strings.HasPrefix(s, code) {
			return len(code), true
		}
	}
	return 0, false
}

func blanks(s string, i int) int {
	n := 0
	for i+n < len(s) && (s[i+n] == ' ' || s[i+n] == '\t') {
		n++
	}
	return n
}

// listGap is the length of what separates two quoted words of a list.
func listGap(s string, i int) int {
	j := i + 1
	if j < len(s) && s[j] == ',' {
		j++
	} else if j >= len(s) || s[j] != ' ' {
		return 0
	}
	j += blanks(s, j)
	if j < len(s) && s[j] == '"' {
		return j - i
	}
	return 0
}

// nameBefore returns the name that ends at a separator, and where it starts.
func (sc *scanner) nameBefore(i int, blank bool) (string, int) {
	end := i
	if !blank {
		end = sc.back(end, maxColumn, " \t")
		end = sc.back(end, 8, "\"'`]\\")
		if end >= 3 && strings.HasPrefix(sc.s[end-3:], "%22") {
			end -= 3
		}
	}
	start := end
	for start > sc.from && end-start < maxName && isNameByte(sc.s[start-1]) {
		start--
	}
	if start > 0 && sc.s[start-1] == '%' && end-start > 2 {
		start += 2 // the end of an encoded character
	}
	return sc.s[start:end], start
}

// back goes back over at most that many of some characters.
func (sc *scanner) back(end, most int, over string) int {
	for range most {
		if end <= sc.from || strings.IndexByte(over, sc.s[end-1]) < 0 {
			break
		}
		end--
	}
	return end
}

// span is where a value stands: from its first byte to its last, and with what
// surrounds it from start to end.
type span struct {
	start, from, to, end int
	quoted               bool
}

// valueAt finds the value behind a separator.
func valueAt(s string, at int, encoded bool) span {
	if encoded {
		return encodedValue(s, at)
	}
	start := at + blanks(s, at)
	if strings.HasPrefix(s[start:], Marker) {
		return span{from: 1}
	}
	inner := start + len(wrapped.FindString(cutTo(s[start:], 64)))
	return quotedValue(s, start, inner)
}

// wrapped is what some languages print around a value: map[X-Api-Key:[value]],
// Some("value"), b'value'.
var wrapped = regexp.MustCompile(`^(?:Some\(|Optional\[|Optional\(|Just |Secret\(|SecretStr\(|String\(|\[\](?:string|byte)\{|\[|!!str |!!binary |string\([0-9]+\) |&\w+ )?(?:[bBuUrR]["'])?`)

func quotedValue(s string, start, inner int) span {
	first := inner
	if inner > start && (s[inner-1] == '"' || s[inner-1] == '\'') {
		inner--
		first = inner - 1 // the letter before the quote
	}
	if strings.HasPrefix(s[inner:], Marker) {
		return span{from: 1}
	}
	slashes := inner
	for slashes < len(s) && s[slashes] == '\\' {
		slashes++
	}
	if slashes == len(s) || strings.IndexByte("\"'`", s[slashes]) < 0 {
		return bareValue(s, start, inner)
	}
	mark := s[inner : slashes+1]
	from := slashes + 1
	to := closing(s[:min(len(s), from+maxValue)], from, mark)
	end := min(to+len(mark), len(s))
	return span{start: first, from: from, to: to, end: end, quoted: true}
}

// closing finds the quote that ends a value which one like it began.
func closing(s string, from int, mark string) int {
	quote := mark[len(mark)-1]
	run := 0
	for i := from; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			run++
			continue
		case s[i] == quote && (run == len(mark)-1 || run < len(mark)-1):
			return i - run
		}
		run = 0
	}
	return len(s)
}

// bareValue finds the end of a value without quotes. A comma and the like are part
// of it unless white space, an end or another field follows.
func bareValue(s string, start, inner int) span {
	to := bareEnd(s[:min(len(s), inner+maxBare)], inner)
	return span{start: start, from: inner, to: to, end: to}
}

func bareEnd(s string, to int) int {
	for to < len(s) {
		c := s[to]
		if c == '[' && strings.HasPrefix(s[to:], Marker) {
			to += len(Marker)
			continue
		}
		if strings.IndexByte(" \t\"'`<", c) >= 0 || c == '\\' && escapedEnd.MatchString(cutTo(s[to:], 8)) {
			break
		}
		if strings.IndexByte(",;&})]", c) >= 0 && endsValue(s[to:]) {
			break
		}
		to++
	}
	return to
}

// escapedEnd is what ends a value in a text that is escaped.
var escapedEnd = regexp.MustCompile(`^\\+(?:["'nrt]|u0026|u003c)`)

// another is the beginning of another field, element or brace.
var another = regexp.MustCompile(`^[,;&})\]]+(?:$|[\s"'` + "`" + `\\,;&{}()\[\]<>|]|\w[\w.$ -]{0,60}["'\]]?[:=]|-)`)

func endsValue(s string) bool { return another.MatchString(cutTo(s, 80)) }

// encodedEnds are what ends a value in a text that is encoded for URLs.
var encodedEnds = regexp.MustCompile(`(?i)%(?:25)?(?:26|3B|22|2C|7D|0A|20)|[\s"'&<>]`)

func encodedValue(s string, at int) span {
	from := at
	if strings.HasPrefix(s[from:], "%22") {
		from += 3
	}
	to := len(s)
	if end := encodedEnds.FindStringIndex(s[from:]); end != nil {
		to = from + end[0]
	}
	return span{start: from, from: from, to: to, end: to}
}

// replace writes the marker in place of a value, its quotes included, and returns
// where to go on.
func (sc *scanner) replace(v span, f found) int {
	start, end := v.start, v.end
	if !v.quoted {
		start, end = v.from, f.wholeLine(v)
		if v.to-v.from >= maxBare {
			end = bareEnd(sc.s, v.to)
		}
	}
	sc.out.WriteString(sc.s[sc.from:start])
	sc.out.WriteString(Marker)
	sc.from = end
	return end
}

// plainWords are the rest of a passphrase of several words, listed are those of one
// that is long enough to have commas in it.
var (
	plainWords = regexp.MustCompile(`^(?: [\pL\pN_!?.-]+){1,12}$`)
	listed     = regexp.MustCompile(`^(?:[ ,&+]+[\pL\pN!?.'_-]+){1,24}$`)
	// tagged is a tag of YAML, tagValue the value behind it.
	tagged   = regexp.MustCompile(`^![a-z!][\w:/-]*$`)
	tagValue = regexp.MustCompile(`^[ \t]+(?:"[^"\n]*"|'[^'\n]*'|[^\s,}\]|>]+)`)
)

// wholeLine returns the end of a value of several words, which only names of
// passwords have: correct horse battery staple.
func (f found) wholeLine(v span) int {
	rest := cutTo(f.rest, 400)
	switch {
	case !f.spaced && isPhrase(f.name.noun):
		return v.end + f.phraseRest(rest)
	case !f.spaced || !isPassword(f.name.noun):
	case tagged.MatchString(f.value):
		return v.end + len(tagValue.FindString(rest))
	case isPhrase(f.name.noun) && listed.MatchString(rest), lettersOnly(f.value) && plainWords.MatchString(rest):
		return v.end + len(f.rest)
	}
	return v.end
}

// phraseRest is the length of the rest of a passphrase right behind its separator,
// where nothing but words follows.
func (f found) phraseRest(rest string) int {
	if f.quoted || !lettersOnly(f.value) || !plainWords.MatchString(rest) || isSentence(rest) {
		return 0
	}
	return len(f.rest)
}

// isPhrase is true for the nouns whose values are several words.
func isPhrase(noun string) bool { return noun == "passphrase" || noun == "mnemonic" }
