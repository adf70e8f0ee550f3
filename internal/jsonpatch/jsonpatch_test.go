package jsonpatch

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func tree(t *testing.T, text string) any {
	t.Helper()
	value, err := Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func encoded(t *testing.T, value any) string {
	t.Helper()
	raw, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestDiff(t *testing.T) {
	rows := map[string]struct {
		before, after string
		patch, names  string
	}{
		"equal trees differ nowhere": {
			before: `{"a":1,"b":[1,2]}`, after: `{"b":[1,2],"a":1}`, patch: `[]`, names: `[]`,
		},
		"a changed field is replaced, the others stay out": {
			before: `{"a":{"b":1,"c":2}}`, after: `{"a":{"b":1,"c":3}}`,
			patch: `[{"op":"replace","path":"/t/a/c","value":3}]`, names: `[]`,
		},
		"a new object is added at its top": {
			before: `{}`, after: `{"a":{"b":{"c":1}}}`,
			patch: `[{"op":"add","path":"/t/a","value":{"b":{"c":1}}}]`, names: `[]`,
		},
		"a field that goes is removed": {
			before: `{"a":1,"b":2}`, after: `{"b":2}`, patch: `[{"op":"remove","path":"/t/a"}]`, names: `[]`,
		},
		"an explicit null is nothing": {
			before: `{"a":null}`, after: `{}`, patch: `[]`, names: `[]`,
		},
		"keys with slashes and tildes are escaped": {
			before: `{"a/b":{"c~d":1}}`, after: `{"a/b":{"c~d":2}}`,
			patch: `[{"op":"replace","path":"/t/a~1b/c~0d","value":2}]`, names: `[]`,
		},
		"the same named elements are walked by index, and the name of the changed one is kept": {
			before: `{"l":[{"name":"x","v":1},{"name":"y","v":1}]}`, after: `{"l":[{"name":"x","v":1},{"name":"y","v":2}]}`,
			patch: `[{"op":"replace","path":"/t/l/1/v","value":2}]`,
			names: `[{"op":"replace","path":"/t/l/1/name","value":"y"}]`,
		},
		"named elements in another order are one value": {
			before: `{"l":[{"name":"x"},{"name":"y"}]}`, after: `{"l":[{"name":"y"},{"name":"x"}]}`,
			patch: `[{"op":"replace","path":"/t/l","value":[{"name":"y"},{"name":"x"}]}]`, names: `[]`,
		},
		"an element more makes the list one value": {
			before: `{"l":[{"name":"x"}]}`, after: `{"l":[{"name":"x"},{"name":"y"}]}`,
			patch: `[{"op":"replace","path":"/t/l","value":[{"name":"x"},{"name":"y"}]}]`, names: `[]`,
		},
		"a name that is there twice identifies nothing": {
			before: `{"l":[{"name":"x","v":1},{"name":"x","v":2}]}`, after: `{"l":[{"name":"x","v":1},{"name":"x","v":3}]}`,
			patch: `[{"op":"replace","path":"/t/l","value":[{"name":"x","v":1},{"name":"x","v":3}]}]`, names: `[]`,
		},
		"a list of plain values is one value": {
			before: `{"args":["a","b"]}`, after: `{"args":["a","c"]}`,
			patch: `[{"op":"replace","path":"/t/args","value":["a","c"]}]`, names: `[]`,
		},
		"a value of another type is replaced": {
			before: `{"a":{"b":1}}`, after: `{"a":[1]}`, patch: `[{"op":"replace","path":"/t/a","value":[1]}]`, names: `[]`,
		},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			d := Diff(Pointer{"t"}, tree(t, row.before), tree(t, row.after))
			if got := encoded(t, d.Entries()); got != row.patch {
				t.Errorf("patch %s, want %s", got, row.patch)
			}
			if got := encoded(t, Difference{Changes: d.Names}.Entries()); got != row.names {
				t.Errorf("names %s, want %s", got, row.names)
			}
		})
	}
}

func TestParse(t *testing.T) {
	rows := map[string]struct {
		body string
		good bool
	}{
		"absolute values":               {body: `[{"op":"add","path":"/a","value":1},{"op":"replace","path":"/b","value":[]},{"op":"remove","path":"/c"}]`, good: true},
		"a test is the precondition's":  {body: `[{"op":"test","path":"/a","value":1}]`},
		"a move depends on what is":     {body: `[{"op":"move","path":"/a","from":"/b"}]`},
		"the whole object is no place":  {body: `[{"op":"replace","path":"","value":{}}]`},
		"null is written by remove":     {body: `[{"op":"add","path":"/a","value":null}]`},
		"a merge patch is none":         {body: `{"a":1}`},
		"nothing is none":               {body: `[]`},
		"a remove has no value":         {body: `[{"op":"remove","path":"/a","value":1}]`},
		"what is too large is not read": {body: `[{"op":"add","path":"/a","value":"` + strings.Repeat("x", MaxBody) + `"}]`},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(row.body))
			if row.good != (err == nil) || err != nil && !errors.Is(err, ErrDialect) {
				t.Errorf("error %v, want good %t", err, row.good)
			}
		})
	}
}

func TestApplyRefusesWhatShiftsElements(t *testing.T) {
	for name, entry := range map[string]Entry{
		"an insertion":           {Op: Add, Path: "/l/0", Value: int64(1)},
		"an appended element":    {Op: Add, Path: "/l/-", Value: int64(1)},
		"a removed element":      {Op: Remove, Path: "/l/0"},
		"an element not there":   {Op: Replace, Path: "/l/9", Value: int64(1)},
		"a leading zero":         {Op: Replace, Path: "/l/00", Value: int64(1)},
		"a place below a number": {Op: Add, Path: "/n/x", Value: int64(1)},
		"a field not there":      {Op: Replace, Path: "/x", Value: int64(1)},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := Apply(tree(t, `{"l":[1,2],"n":1}`), []Entry{entry}); err == nil {
				t.Errorf("applied to %s", encoded(t, got))
			}
		})
	}
}

func FuzzDiff(f *testing.F) {
	f.Add([]byte(`{"a":1,"l":[{"name":"x","v":1}]}`), []byte(`{"l":[{"name":"x","v":[]}],"b":{}}`))
	f.Add([]byte(`{"a/b":{"~":"x"}}`), []byte(`{"a/b":{"~":""}}`))
	f.Add([]byte(`{"l":[{"name":"x"},{"name":"x"}]}`), []byte(`{"l":[{"name":"x"},{"name":"y"}]}`))
	f.Fuzz(func(t *testing.T, b, a []byte) {
		before, isObject := object(b)
		after, isAlso := object(a)
		if !isObject || !isAlso {
			return // only objects are compared
		}
		d := Diff(nil, before, after)
		there, err := Apply(before, d.Entries())
		if err != nil || !reflect.DeepEqual(there, any(after)) {
			t.Fatalf("applied: %v, %v, want %v", there, err, after)
		}
		back, err := Apply(there, d.Inverse().Entries())
		if err != nil || !reflect.DeepEqual(back, any(before)) {
			t.Fatalf("taken back: %v, %v, want %v", back, err, before)
		}
		for _, name := range d.Names {
			if got, _ := Lookup(before, name.At); got != name.Before {
				t.Fatalf("%s is %v before, want %v", name.At, got, name.Before)
			}
		}
	})
}

// object decodes an object without nulls and without empty keys at its top, which no pointer leads to.
func object(raw []byte) (map[string]any, bool) {
	value, err := Decode(raw)
	if err != nil {
		return nil, false
	}
	root, ok := value.(map[string]any)
	return root, ok && !hasNull(root)
}

func hasNull(value any) bool {
	switch node := value.(type) {
	case nil:
		return true
	case map[string]any:
		for key, below := range node {
			if key == "" || hasNull(below) {
				return true
			}
		}
	case []any:
		for _, below := range node {
			if hasNull(below) {
				return true
			}
		}
	}
	return false
}
