package selector

import "strings"

// longWord is how long values must be to differ by two keystrokes and still be a slip:
// short words that differ by as many are other words, as east and west.
const longWord = 6

// IsSlip reports whether two values differ by a slip of the keyboard: two neighbouring
// characters are exchanged, or one or, in long words, two are wrong, missing or too many.
// The first character is seldom mistyped: leader and reader are two words. Values that
// differ in their numbers only are meant to be different. Of values of several parts one
// part is judged, as a word of its own: shard-a and shard-b name two shards.
func IsSlip(a, b string) bool {
	if max(len(a), len(b)) > 63 || withoutDigits(a) == withoutDigits(b) {
		return false
	}
	left, right := parts(a), parts(b)
	if strings.Join(left, "") == strings.Join(right, "") {
		return min(len(a), len(b)) >= 3 // a separator is wrong, missing or too many
	}
	if len(left) != len(right) {
		return false
	}
	differs := -1
	for i := range left {
		switch {
		case left[i] == right[i]:
		case differs >= 0:
			return false
		default:
			differs = i
		}
	}
	return isWordSlip(left[differs], right[differs])
}

// parts splits a value where one of its words ends.
func parts(value string) []string {
	return strings.FieldsFunc(value, func(r rune) bool { return r == '-' || r == '_' || r == '.' })
}

// isWordSlip judges two different words as IsSlip does.
func isWordSlip(a, b string) bool {
	shorter := min(len(a), len(b))
	if shorter < 3 || withoutDigits(a) == withoutDigits(b) {
		return false
	}
	if exchanged(a, b) {
		return true
	}
	if a[0] != b[0] && len(a) == len(b) {
		return false
	}
	switch distance(a, b) {
	case 1:
		return true
	case 2:
		return shorter >= longWord && a[0] == b[0]
	}
	return false
}

// exchanged reports whether the texts differ in two neighbouring characters that changed places.
func exchanged(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) - 1 {
		if a[i] != b[i] {
			return a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
		}
	}
	return false
}

func withoutDigits(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, s)
}

// distance is how many keystrokes make one text the other (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := diagonal
			if a[i-1] != b[j-1] {
				change++
			}
			diagonal = row[j]
			row[j] = min(change, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
