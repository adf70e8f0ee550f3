//go:build e2e

package crash

import (
	"slices"
	"strings"
)

// conduct decides what becomes of a write: it sends it on, or not, and reports
// whether the operator outlives it. One that does not is killed without an answer.
type conduct func(w write, send func() answer) (answer, bool)

// undisturbed lets every write through.
func undisturbed(_ write, send func() answer) (answer, bool) { return send(), true }

// point is a write of an undisturbed round, known by what it writes: how often
// somebody comes too late and is refused differs from round to round.
type point struct {
	mark string
	nth  int    // of the writes with this mark that were accepted
	says string // for people: of a status, what is new in it
}

// points returns the writes that were accepted.
func points(writes []write) []point {
	var all []point
	seen, said := map[string]int{}, map[string]string{}
	for _, w := range writes {
		if !w.accepted() {
			continue
		}
		seen[w.mark()]++
		object := w.resource + " " + w.name
		all = append(all, point{w.mark(), seen[w.mark()], anonymous(w.verb + " " + object + " " + news(said[object], w.says))})
		said[object] = w.says
	}
	return all
}

// news are the words of the second text that are not in the first.
func news(before, now string) string {
	told := strings.Fields(before)
	return strings.Join(slices.DeleteFunc(strings.Fields(now), func(word string) bool { return slices.Contains(told, word) }), " ")
}

// killedBefore kills the operator once, with the write still unsent.
func killedBefore(p point) conduct {
	accepted, struck := 0, false
	return func(w write, send func() answer) (answer, bool) {
		if w.mark() == p.mark && accepted == p.nth-1 && !struck {
			struck = true
			return answer{}, false
		}
		done := send()
		if w.mark() == p.mark && done.accepted() {
			accepted++
		}
		return done, true
	}
}

// killedAfter kills the operator once, when the write was done and before it is told so.
func killedAfter(p point) conduct {
	accepted := 0
	return func(w write, send func() answer) (answer, bool) {
		done := send()
		if w.mark() != p.mark || !done.accepted() {
			return done, true
		}
		accepted++
		return done, accepted != p.nth
	}
}

// killedAgainAndAgain lets no operator live to see its second write accepted.
// (The first would be too early: a claim and its effect are two.)
func killedAgainAndAgain() conduct {
	accepted := 0
	return func(_ write, send func() answer) (answer, bool) {
		done := send()
		if done.accepted() {
			accepted++
		}
		return done, !done.accepted() || accepted%2 == 1
	}
}

// isEffect reports whether a write is an operation, and not a word about one.
func (w write) isEffect() bool { return w.resource == "deployments" }

// killedAfterEffect kills the operator once its n-th operation was done, so that
// it is claimed and not yet recorded as applied.
func killedAfterEffect(n int) conduct {
	return func(w write, send func() answer) (answer, bool) {
		if w.isEffect() {
			n--
		}
		return send(), !w.isEffect() || n != 0
	}
}

// overtaken kills the operator with its operation on the way. What is on the way
// arrives together with what the next operator sends, before or after it.
func overtaken(late bool) conduct {
	var under func() answer
	return func(w write, send func() answer) (answer, bool) {
		switch {
		case !w.isEffect():
			return send(), true
		case under == nil:
			under = send
			return answer{}, false
		case !late:
			under()
			return send(), true
		}
		done := send()
		under()
		return done, true
	}
}
