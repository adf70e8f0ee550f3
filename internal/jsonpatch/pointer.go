// Package jsonpatch holds JSON values as trees, pointers into them (RFC 6901),
// the part of JSON Patch (RFC 6902) that operations speak, and the difference of
// two trees in it. What an operation writes is absolute: add, replace and
// remove of a field, replace of a list's element; nothing that counts, moves or
// shifts. A null is an absent field.
package jsonpatch

import (
	"fmt"
	"strconv"
	"strings"
)

// Pointer leads to a place in a tree, key by key; the element of a list by its index.
type Pointer []string

var (
	escaper   = strings.NewReplacer("~", "~0", "/", "~1")
	unescaper = strings.NewReplacer("~1", "/", "~0", "~")
)

// ParsePointer parses a JSON Pointer. The empty one, which is the whole tree, is refused.
func ParsePointer(text string) (Pointer, error) {
	if len(text) < 2 || text[0] != '/' {
		return nil, fmt.Errorf("parsing pointer %.64q: it has the form /key/key", text)
	}
	keys := strings.Split(text[1:], "/")
	for i, key := range keys {
		keys[i] = unescaper.Replace(key)
	}
	return keys, nil
}

// String prints the pointer as RFC 6901 has it.
func (p Pointer) String() string {
	var text strings.Builder
	for _, key := range p {
		text.WriteByte('/')
		text.WriteString(escaper.Replace(key))
	}
	return text.String()
}

// To returns the pointer to a key below; p stays as it is.
func (p Pointer) To(keys ...string) Pointer {
	below := make(Pointer, 0, len(p)+len(keys))
	return append(append(below, p...), keys...)
}

// Lookup returns the value at the place, and whether there is one. A null is none.
func Lookup(tree any, at Pointer) (any, bool) {
	for _, key := range at {
		switch node := tree.(type) {
		case map[string]any:
			tree = node[key]
		case []any:
			i, ok := index(node, key)
			if !ok {
				return nil, false
			}
			tree = node[i]
		default:
			return nil, false
		}
	}
	return tree, tree != nil
}

// index parses a key as the index of an element that exists.
func index(list []any, key string) (int, bool) {
	i, err := strconv.Atoi(key)
	if err != nil || i < 0 || i >= len(list) || key != strconv.Itoa(i) {
		return 0, false
	}
	return i, true
}
