package jsonpatch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// Kinds of a patch's entries. Test is never part of a body: tests come from the precondition.
const (
	Add     = "add"
	Replace = "replace"
	Remove  = "remove"
	Test    = "test"
)

// Entry is one line of a JSON Patch.
type Entry struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// MaxBody is the largest body of a patch.
const MaxBody = 64 << 10

// ErrDialect means that a body is no patch as operations may write it.
var ErrDialect = errors.New("not a patch of absolute values")

// Parse decodes the body of a patch and refuses what operations never write.
func Parse(body []byte) ([]Entry, error) {
	if len(body) > MaxBody {
		return nil, fmt.Errorf("parsing a patch of %d bytes: %w: more than %d", len(body), ErrDialect, MaxBody)
	}
	var entries []Entry
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&entries); err != nil {
		return nil, fmt.Errorf("parsing a patch: %w: %v", ErrDialect, err)
	}
	if len(entries) == 0 {
		return nil, fmt.Errorf("parsing a patch: %w: it is empty", ErrDialect)
	}
	for i := range entries {
		if err := entries[i].check(); err != nil {
			return nil, fmt.Errorf("parsing entry %d of a patch: %w", i, err)
		}
	}
	return entries, nil
}

func (e *Entry) check() error {
	if _, err := ParsePointer(e.Path); err != nil {
		return fmt.Errorf("%w: %v", ErrDialect, err)
	}
	switch e.Op {
	case Add, Replace:
		if e.Value == nil {
			return fmt.Errorf("%w: %s of null at %s", ErrDialect, e.Op, e.Path)
		}
		value, err := normal(e.Value)
		e.Value = value
		return err
	case Remove:
		if e.Value != nil {
			return fmt.Errorf("%w: remove with a value at %s", ErrDialect, e.Path)
		}
		return nil
	}
	return fmt.Errorf("%w: %.16q at %s", ErrDialect, e.Op, e.Path)
}

// Decode reads a JSON value into a tree as the API machinery holds it: integers
// are int64, all other numbers float64.
func Decode(raw []byte) (any, error) {
	var tree any
	if err := utiljson.Unmarshal(raw, &tree); err != nil {
		return nil, fmt.Errorf("decoding a JSON value: %w", err)
	}
	return tree, nil
}

func normal(value any) (any, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return Decode(raw)
}

// Apply returns the tree with the patch applied; the tree given stays as it is.
func Apply(tree any, patch []Entry) (any, error) {
	tree = runtime.DeepCopyJSONValue(tree)
	for _, entry := range patch {
		at, err := ParsePointer(entry.Path)
		if err != nil {
			return nil, err
		}
		if err := entry.apply(tree, at); err != nil {
			return nil, fmt.Errorf("applying %s of %s: %w", entry.Op, entry.Path, err)
		}
	}
	return tree, nil
}

// apply changes the container that holds the place.
func (e Entry) apply(tree any, at Pointer) error {
	holder, key := tree, at[len(at)-1]
	if len(at) > 1 {
		holder, _ = Lookup(tree, at[:len(at)-1])
	}
	switch node := holder.(type) {
	case map[string]any:
		if node[key] == nil && e.Op != Add {
			return errors.New("there is nothing")
		}
		if e.Op == Remove {
			delete(node, key)
			return nil
		}
		node[key] = runtime.DeepCopyJSONValue(e.Value)
		return nil
	case []any:
		i, ok := index(node, key)
		if !ok || e.Op != Replace {
			return fmt.Errorf("%w: an element of a list is only ever replaced", ErrDialect)
		}
		node[i] = runtime.DeepCopyJSONValue(e.Value)
		return nil
	}
	return errors.New("there is nothing that could hold it")
}
