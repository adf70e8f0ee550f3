package redact_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubernaut/kubernaut/internal/redact"
)

const (
	// smallestCorpus is how many entries each file must hold.
	smallestCorpus = 230
	// Bounds of issue 13, in percent of the entries.
	minRecall, maxFalseAlarms = 98.0, 2.0
	// usefulPiece is how many consecutive characters of a secret must not remain.
	usefulPiece = 6
)

// corpusMarks replaces the marks that testdata/secrets.txt explains.
var corpusMarks = strings.NewReplacer("⏎", "\n", "⇥", "\t", "␛", "\x1b", "¦", "")

// corpusEntry is one text of the corpus.
type corpusEntry struct {
	place   string   // file:line and family, for messages
	text    string   // what redact.Text gets
	around  []string // the text between the secrets
	secrets []string
}

// The corpus is written by another author than the rules, so that it measures
// what the rules miss, not what they were written for.
func TestTextTakesTheSecretsOfTheCorpusOut(t *testing.T) {
	entries := corpus(t, "secrets.txt")
	missed := 0
	for _, e := range entries {
		if flaw := e.flaw(); flaw != "" {
			t.Errorf("%s: %s", e.place, flaw)
			continue
		}
		got := redact.Text(e.text)
		if left := e.remains(got); left != "" {
			missed++
			t.Logf("missed  %s: %q remains\n   in %q\n  out %q", e.place, left, e.text, got)
		}
	}
	recall := 100 * float64(len(entries)-missed) / float64(len(entries))
	t.Logf("recall %.1f %%: %d of %d entries with secrets are redacted, %d missed (at least %.0f %% needed)",
		recall, len(entries)-missed, len(entries), missed, minRecall)
	if recall < minRecall {
		t.Errorf("recall %.1f %% is under %.0f %%", recall, minRecall)
	}
}

func TestTextLeavesTheInnocentsOfTheCorpusAlone(t *testing.T) {
	entries := corpus(t, "innocent.txt")
	changed := 0
	for _, e := range entries {
		if len(e.secrets) > 0 || strings.ContainsAny(e.text, "⟦⟧") {
			t.Errorf("%s: an innocent entry has no use for ⟦ ⟧", e.place)
			continue
		}
		if got := redact.Text(e.text); got != e.text {
			changed++
			t.Logf("false alarm  %s\n   in %q\n  out %q", e.place, e.text, got)
		}
	}
	rate := 100 * float64(changed) / float64(len(entries))
	t.Logf("false alarms %.1f %%: %d of %d innocent entries are changed (at most %.0f %% allowed)",
		rate, changed, len(entries), maxFalseAlarms)
	if rate > maxFalseAlarms {
		t.Errorf("false alarms %.1f %% are over %.0f %%", rate, maxFalseAlarms)
	}
}

// A measure that finds nothing would always pass.
func TestCorpusMeasureFindsWhatRemains(t *testing.T) {
	e := parseEntry("row", "pass=⟦ab¦cdefgh⟧ x=⟦short⟧ user=abcdef")
	rows := map[string]struct{ out, want string }{
		"nothing":                            {"pass=[redacted] x=[redacted] user=abcdef", ""},
		"a whole secret":                     {"pass=abcdefgh x=[redacted] user=abcdef", "abcdefgh"},
		"a piece of a secret":                {"pass=[redacted]cdefgh x=[redacted] user=abcdef", "cdefgh"},
		"a piece that stands elsewhere too":  {"pass=[redacted] user=abcdef", ""},
		"too short a piece to be of use":     {"pass=[redacted]defgh user=abcdef", ""},
		"a secret shorter than such a piece": {"pass=[redacted] x=short user=abcdef", "short"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := e.remains(row.out); got != row.want {
				t.Errorf("remains(%q) = %q, want %q", row.out, got, row.want)
			}
		})
	}
}

func TestCorpusEntryThatCannotBeJudgedIsNamed(t *testing.T) {
	rows := map[string]struct {
		line   string
		flawed bool
	}{
		"a secret":                        {"pass=⟦abcdefgh⟧", false},
		"no secret":                       {"pass=abcdefgh", true},
		"an empty secret":                 {"pass=⟦⟧", true},
		"a mark that is never closed":     {"pass=⟦abc⟧ x=⟦def", true},
		"a mark that is never opened":     {"pass=⟦abc⟧ x=def⟧", true},
		"a secret that stands beside too": {"user=abc pass=⟦abc⟧", true},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := parseEntry("row", row.line).flaw(); (got != "") != row.flawed {
				t.Errorf("flaw of %q = %q, want one: %t", row.line, got, row.flawed)
			}
		})
	}
}

// flaw says why an entry with secrets can't be judged, or nothing.
func (e corpusEntry) flaw() string {
	if len(e.secrets) == 0 || strings.Count(e.text, "⟦")+strings.Count(e.text, "⟧") > 0 {
		return "the entry encloses no secret in ⟦ ⟧, or the marks do not pair"
	}
	for _, secret := range e.secrets {
		if secret == "" || e.holdsOutside(secret) {
			return fmt.Sprintf("the secret %q is empty or stands outside ⟦ ⟧ too", secret)
		}
	}
	return ""
}

// remains returns a secret of the entry that is still in the redacted text, or a
// useful piece of one, or nothing. Pieces that the entry also holds outside its
// secrets say nothing.
func (e corpusEntry) remains(redacted string) string {
	for _, secret := range e.secrets {
		if strings.Contains(redacted, secret) {
			return secret
		}
		chars := []rune(secret)
		for i := 0; i+usefulPiece <= len(chars); i++ {
			piece := string(chars[i : i+usefulPiece])
			if strings.Contains(redacted, piece) && !e.holdsOutside(piece) {
				return piece
			}
		}
	}
	return ""
}

func (e corpusEntry) holdsOutside(piece string) bool {
	for _, part := range e.around {
		if strings.Contains(part, piece) {
			return true
		}
	}
	return false
}

// corpus returns the entries of a file under testdata.
func corpus(t *testing.T, name string) []corpusEntry {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var entries []corpusEntry
	family, first := "", map[string]string{}
	for i, line := range strings.Split(string(data), "\n") {
		heading, isHeading := strings.CutPrefix(line, "# ")
		if isHeading {
			family = heading
		}
		if isHeading || line == "" || line == "#" {
			continue
		}
		e := parseEntry(fmt.Sprintf("%s:%d (%s)", name, i+1, family), line)
		if before, ok := first[e.text]; ok {
			t.Errorf("%s repeats %s", e.place, before)
		}
		first[e.text] = e.place
		entries = append(entries, e)
	}
	if len(entries) < smallestCorpus {
		t.Fatalf("%s holds %d entries, want at least %d", name, len(entries), smallestCorpus)
	}
	return entries
}

// parseEntry reads a line in the format that testdata/secrets.txt explains. Marks
// that do not pair stay in the text.
func parseEntry(place, line string) corpusEntry {
	e := corpusEntry{place: place}
	before, rest, found := strings.Cut(corpusMarks.Replace(line), "⟦")
	for found {
		secret, after, paired := strings.Cut(rest, "⟧")
		if !paired {
			before += "⟦" + rest
			break
		}
		e.text += before + secret
		e.around = append(e.around, before)
		e.secrets = append(e.secrets, secret)
		before, rest, found = strings.Cut(after, "⟦")
	}
	e.text += before
	e.around = append(e.around, before)
	return e
}
