package cli

import (
	"cmp"
	"slices"
	"strings"
)

// shown is how many names are proposed at most.
const shown = 3

// near returns the names that somebody may have meant, the nearest first.
func near(typed string, names []string) []string {
	far := max(2, len(typed)/4)
	type candidate struct {
		name string
		at   int
	}
	var closest []candidate
	for _, name := range names {
		at := distance(typed, name)
		if typed != "" && (strings.HasPrefix(name, typed) || strings.HasSuffix(name, typed)) {
			at = 1 // the rest was left out
		}
		if at <= far {
			closest = append(closest, candidate{name, at})
		}
	}
	slices.SortFunc(closest, func(a, b candidate) int { return cmp.Or(a.at-b.at, strings.Compare(a.name, b.name)) })
	var found []string
	for _, c := range closest[:min(len(closest), shown)] {
		found = append(found, c.name)
	}
	return found
}

// distance is Levenshtein's: how many letters have to be put in, left out or changed.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			changed := diagonal
			if a[i] != b[j] {
				changed++
			}
			diagonal = row[j+1]
			row[j+1] = min(changed, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}

// meant proposes names, if there are near ones.
func meant(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "; did you mean " + strings.Join(names, " or ") + "?"
}

// introduced puts an end to a sentence that is followed by what to type: a question has one.
func introduced(text string) string {
	if strings.HasSuffix(text, "?") {
		return text
	}
	return text + ":"
}
