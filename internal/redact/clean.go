package redact

import (
	"regexp"
	"strings"
	"unicode"
)

// escapes are the sequences by which a text steers a terminal: CSI, OSC and its
// kin up to their end or the end of the line, and the two-character ones.
var escapes = regexp.MustCompile("(?:\x1b\\[|\u009b)[0-?]*[ -/]*[@-~]?" +
	"|(?:\x1b[\\]PX^_]|[\u009d\u0090\u0098\u009e\u009f])[^\x07\x1b\u009c\n]*(?:\x07|\x1b\\\\|\u009c)?" +
	"|\x1b[ -~]?")

// lineEnds makes one of the many ways to end a line.
var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\v", "\n", "\f", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n")

// clean runs before any rule: a character that nobody sees must not hide a
// secret from them either.
func clean(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = lineEnds.Replace(s)
	if strings.ContainsFunc(s, steers) {
		s = escapes.ReplaceAllString(s, "")
	}
	return strings.Map(printable, s)
}

// steers is true for ESC and for the characters that stand for ESC and another one.
func steers(r rune) bool { return r == '\x1b' || r >= '\u0080' && r <= '\u009f' }

// printable drops control characters and the invisible ones that reorder or
// join text. What nobody has assigned yet a terminal may take for either: it is
// seen to have been there.
func printable(r rune) rune {
	switch {
	case r == '\n' || r == '\t' || r >= ' ' && r <= '~':
		return r
	case unicode.IsControl(r), unicode.Is(unicode.Cf, r):
		return -1
	case unicode.Is(unicode.Zs, r):
		return ' '
	case unicode.Is(unicode.C, r):
		return '\uFFFD'
	}
	return r
}
