package jsonpatch

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
)

// Change is one place where two trees differ; nil means that there is nothing.
type Change struct {
	At            Pointer
	Before, After any
}

// Entry returns the patch that makes the change.
func (c Change) Entry() Entry {
	switch {
	case c.After == nil:
		return Entry{Op: Remove, Path: c.At.String()}
	case c.Before == nil:
		return Entry{Op: Add, Path: c.At.String(), Value: c.After}
	default:
		return Entry{Op: Replace, Path: c.At.String(), Value: c.After}
	}
}

// Inverse returns the change that takes it back.
func (c Change) Inverse() Change {
	return Change{At: c.At, Before: c.After, After: c.Before}
}

// Difference of two trees: changes of places that do not hold one another, in
// the order of their paths.
type Difference struct {
	Changes []Change
	// Names of the lists' elements that the changes' paths go through: a path by
	// index is only as good as the certainty that the element is still there.
	Names []Change
}

// Diff compares two trees that hang at the place. Objects are compared key by
// key; lists of the same uniquely named elements in the same order, element by
// element; any other list is one value.
func Diff(at Pointer, before, after any) Difference {
	var d Difference
	d.compare(at, before, after)
	return d
}

// Entries returns the patch that makes every change.
func (d Difference) Entries() []Entry {
	entries := make([]Entry, 0, len(d.Changes))
	for _, c := range d.Changes {
		entries = append(entries, c.Entry())
	}
	return entries
}

// Inverse returns the difference the other way round. Names are the same on both sides.
func (d Difference) Inverse() Difference {
	inverse := Difference{Names: d.Names}
	for _, c := range d.Changes {
		inverse.Changes = append(inverse.Changes, c.Inverse())
	}
	return inverse
}

func (d *Difference) compare(at Pointer, before, after any) {
	if reflect.DeepEqual(before, after) {
		return
	}
	switch b := before.(type) {
	case map[string]any:
		if a, ok := after.(map[string]any); ok {
			d.compareObjects(at, b, a)
			return
		}
	case []any:
		if a, ok := after.([]any); ok && sameNames(b, a) {
			d.compareElements(at, b, a)
			return
		}
	}
	d.Changes = append(d.Changes, Change{At: at, Before: before, After: after})
}

func (d *Difference) compareObjects(at Pointer, before, after map[string]any) {
	keys := slices.Sorted(maps.Keys(before))
	for key := range after {
		if _, both := before[key]; !both {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		d.compare(at.To(key), before[key], after[key])
	}
}

func (d *Difference) compareElements(at Pointer, before, after []any) {
	for i := range before {
		known := len(d.Changes)
		element := at.To(strconv.Itoa(i))
		d.compare(element, before[i], after[i])
		if len(d.Changes) > known {
			name, _ := nameOf(before[i])
			d.Names = append(d.Names, Change{At: element.To("name"), Before: name, After: name})
		}
	}
}

// sameNames reports whether both lists hold elements of the same unique names in the same order.
func sameNames(before, after []any) bool {
	if len(before) != len(after) {
		return false
	}
	seen := map[string]bool{}
	for i := range before {
		b, named := nameOf(before[i])
		a, alsoNamed := nameOf(after[i])
		if !named || !alsoNamed || a != b || seen[a] {
			return false
		}
		seen[a] = true
	}
	return true
}

func nameOf(element any) (string, bool) {
	object, _ := element.(map[string]any)
	name, ok := object["name"].(string)
	return name, ok && name != ""
}
