package redact

import "strings"

// Args returns the words of a command line with secrets replaced: each word as Text
// does, a word after a flag as the value of that flag, and what is a secret only as
// an argument of its program: mysql -pX, redis-cli -a X, curl -u a:X. The words of
// a command and those of its arguments are best given together.
func Args(words []string) []string {
	if len(words) == 0 {
		return nil
	}
	out := make([]string, len(words))
	arguments := secretArguments(words)
	flag := ""
	for i, word := range words {
		if at := arguments[i]; at >= 0 {
			out[i] = clean(word[:at]) + Marker
		} else {
			out[i] = argument(flag, word)
		}
		flag = flagName(word)
	}
	return out
}

// argument returns the value of a flag, which is no sentence even if it begins like one.
func argument(flag, word string) string {
	f := found{name: judgeName(flag), value: word, quoted: true}
	if word != "" && f.name.kind == anyValue && !isPlaceholder(word) && !f.isReference() {
		return Marker
	}
	return Field(flag, word)
}

// flagName returns the name under which the word after this one stands: that of a
// flag without a value of its own, or none.
func flagName(word string) string {
	if !strings.HasPrefix(word, "-") || strings.Contains(word, "=") {
		return ""
	}
	return strings.TrimLeft(word, "-")
}

// secretArguments returns where in each word the secret begins that the rules for
// commands find, or -1.
func secretArguments(words []string) []int {
	begins := make([]int, len(words))
	masked := make([]string, len(words))
	for i, word := range words {
		begins[i], masked[i] = -1, mask(Cut(word, longestCommand))
	}
	line := strings.Join(masked, " ")
	lower := lowerASCII(line)
	for _, r := range commands {
		if r.when(lower) {
			line = r.applyWithin(line, len(line))
		}
	}
	found := strings.Split(line, " ")
	if len(found) != len(masked) { // a rule took several words: what they hold is not known
		clear(begins)
		return begins
	}
	for i := range found {
		if found[i] != masked[i] {
			begins[i] = max(strings.Index(found[i], Marker), 0)
		}
	}
	return begins
}

// mask puts a letter in place of what ends a word on a command line: within a list
// of words it is part of its word. The length stays.
func mask(word string) string {
	b := []byte(word)
	for i, c := range b {
		if c <= ' ' || strings.IndexByte("\"'`,;|()[]{}<>\\&", c) >= 0 {
			b[i] = 'x'
		}
	}
	if len(b) == 0 {
		return "x"
	}
	return string(b)
}
