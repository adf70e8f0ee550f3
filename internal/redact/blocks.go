package redact

import (
	"regexp"
	"strings"
)

// lineEnd is the end of a line, which may be escaped and in quotes.
const lineEnd = `(?:\\r\\n)?'?[ \t]*`

var (
	keyBlock = rule{
		pattern:     regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]{1,64}-----.*?(?:-----END [A-Z0-9 ]{1,64}-----|$)`),
		replacement: Marker,
		when:        has("-----begin "),
	}
	// nameAndValue are an environment variable, as objects and their dumps have it.
	nameAndValue = regexp.MustCompile(`(?i)\b(?:name|key)` + is + quote + `([\w.-]+)` + quote + `[ \t]*[,;]?[ \t\n]*` + quote + `value` + is + `(` + value + `)`)
	hasValue     = has("value")
	// loginUsers are the users of a login module of Java: user_admin="password".
	loginUsers = rule{
		pattern:     regexp.MustCompile(`(\buser_[\w.-]+[ \t]*=[ \t]*)(?P<secret>\\*"[^"\n]+"|'[^'\n]+')`),
		replacement: "${1}" + Marker,
		looks:       func(v string) bool { return !isNumber(strings.Trim(v, `\"'`)) },
	}
	// madeResult is what Terraform made for a resource.
	madeResult = rule{
		pattern:     regexp.MustCompile(`([\s".{]result\\*"?[ \t]*[:=][ \t]*)(?P<secret>\\*"[^"\n]+"|[^\s"(]\S*)`),
		replacement: "${1}" + Marker,
		looks:       func(v string) bool { return !isPlaceholder(strings.Trim(v, `\"`)) && !isCall(v) },
	}
	// mailDialog is the answer to a challenge of SMTP: the last word of the line after
	// 334, and after what the client of Python prints between them.
	mailDialog = rule{
		pattern: regexp.MustCompile(`(?m)((?:^|[:<>(][ \t]?(?:b')?)334(?:\); Msg: b')?[ -]?(?:[A-Za-z0-9+/]{10,}={0,2})?` + lineEnd + `\n` +
			`(?:[^\n]*\bretcode\b[^\n]*\n)?(?:[^\n]*?[^A-Za-z0-9+/=\n])??)(?P<secret>[A-Za-z0-9+/]+={0,2})(` + lineEnd + `)$`),
		replacement: "${1}" + Marker + "${3}",
		looks:       func(v string) bool { return len(v) >= 4 && len(v)%4 == 0 },
	}
)

// spread replaces secrets that spread over lines.
func spread(s string) string {
	lower := lowerASCII(s)
	if keyBlock.when(lower) {
		s = keyBlock.apply(s)
		lower = lowerASCII(s)
	}
	if hasValue(lower) {
		s = replaceNamed(nameAndValue, s)
	}
	if strings.Contains(lower, "loginmodule") {
		s = loginUsers.replace(s)
	}
	s = madePasswords(s)
	if strings.Contains(lower, "auth") {
		s = mailDialog.replace(s)
	}
	if strings.Contains(s, "Secret") && secretKind.MatchString(s) {
		s = secretData(s)
	}
	return nested(s)
}

// madePassword is the type of the resources of Terraform whose result is a password.
const madePassword = "random_password"

// longestResource is how many bytes behind the type of a resource belong to it.
const longestResource = 1 << 10

// madePasswords replaces the results of those resources.
func madePasswords(s string) string {
	parts := strings.Split(s, madePassword)
	for i, part := range parts {
		if i > 0 {
			end := resourceEnd(part)
			parts[i] = madeResult.replace(part[:end]) + part[end:]
		}
	}
	return strings.Join(parts, madePassword)
}

// resourceEnd returns where a resource ends: with its block, or with its line if no
// block begins there.
func resourceEnd(s string) int {
	s = cutTo(s, longestResource)
	line, _, _ := strings.Cut(s, "\n")
	if !strings.Contains(line, "{") {
		return len(line)
	}
	block, _, _ := strings.Cut(s, "\n}")
	return len(block)
}

// secretKind is the kind of a Secret that is printed whole.
var secretKind = regexp.MustCompile(`\bkind` + is + `\\*["']?Secret\b`)

// dataOf is the data of a printed Secret in JSON, which may be escaped.
var dataOf = regexp.MustCompile(`(\\*")((?:string)?[dD]ata)(\\*"[ \t]*:[ \t\n]*\{)([^{}]*)(\})`)

// dataValue is one value of it.
var dataValue = regexp.MustCompile(`(:[ \t]*)(\\*"[^"\\]*\\*")`)

// secretData replaces the data of a printed Secret, whatever its keys are called.
func secretData(s string) string {
	s = dataOf.ReplaceAllStringFunc(s, func(all string) string {
		open := strings.IndexByte(all, '{')
		return all[:open] + dataValue.ReplaceAllString(all[open:], "${1}"+Marker)
	})
	lines := strings.Split(s, "\n")
	inside := -1
	for i, line := range lines {
		trimmed := strings.TrimLeft(line, " ")
		indent := len(line) - len(trimmed)
		switch {
		case trimmed == "data:" || trimmed == "stringData:":
			inside = indent
		case inside < 0 || trimmed == "":
		case indent <= inside:
			inside = -1
		default:
			lines[i] = hideAfterColon(line)
		}
	}
	return strings.Join(lines, "\n")
}

func hideAfterColon(line string) string {
	at := strings.Index(line, ":")
	if at < 0 {
		return line[:len(line)-len(strings.TrimLeft(line, " "))] + Marker
	}
	if v := strings.TrimSpace(line[at+1:]); v == "" || strings.Trim(v, "|>-+0123456789") == "" && len(v) < 4 {
		return line
	}
	return line[:at+1] + " " + Marker
}

// header is a line of YAML whose value stands on the lines below it.
var header = regexp.MustCompile(`^[ ]*(?:- )?["']?([\w.-]{2,100})["']?:[ ]*([|>][-+0-9]{0,2})?[ ]*$`)

// nested replaces the values of YAML that stand on lines of their own below the
// name of a secret.
func nested(s string) string {
	if !strings.Contains(s, ":\n") && !strings.Contains(s, "|") && !strings.Contains(s, ">") {
		return s
	}
	lines := strings.Split(s, "\n")
	for i := 0; i < len(lines); i++ {
		if at := strings.LastIndexByte(lines[i], ':'); at < 0 || len(lines[i])-at > 8 {
			continue
		}
		at := header.FindStringSubmatch(lines[i])
		if at == nil {
			continue
		}
		if n := judgeName(at[1]); n.kind == anyValue || n.kind == opaqueOnly {
			i = hideBelow(lines, i, n, at[2] != "")
		}
	}
	return strings.Join(lines, "\n")
}

// hideBelow replaces the lines below a name that are indented deeper, and returns
// the last of them.
func hideBelow(lines []string, i int, n name, block bool) int {
	parent := lines[i]
	indent := len(parent) - len(strings.TrimLeft(parent, " -"))
	for i+1 < len(lines) {
		line := lines[i+1]
		text := strings.TrimLeft(line, " ")
		depth := len(line) - len(text)
		if text == "" || depth < indent || depth == indent && !strings.HasPrefix(text, "- ") {
			return i
		}
		text = strings.TrimPrefix(text, "- ")
		if !block && !isItem(text, n) {
			return i
		}
		lines[i+1] = strings.TrimSuffix(line, text) + Marker
		i++
	}
	return i
}

// isItem is true for a line that is a value on its own, and a secret.
func isItem(text string, n name) bool {
	value := strings.Trim(text, `"' `)
	return !strings.Contains(value, ": ") && !strings.HasSuffix(value, ":") && found{name: n, value: value, quoted: true}.secret()
}

// lowerASCII is strings.ToLower for ASCII, so that offsets stay.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if isUpper(c) {
			b[i] = c | 0x20
		}
	}
	return string(b)
}
