package rules_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// nameFields are the fields of a snapshot that hold names which people choose.
var nameFields = []string{"name", "namespace", "generateName", "pod", "container", "image"}

// labelFields are the fields that hold labels: their keys are chosen, too.
var labelFields = []string{"labels", "matchLabels", "selector"}

// renamed returns a recorded snapshot with every name in it exchanged, alike
// wherever it stands, so that what belonged together still does.
func renamed(t *testing.T, file string) (raw []byte, name func(string) string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "snapshots", file+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(raw, &tree); err != nil {
		t.Fatal(err)
	}
	raw, err = json.Marshal(rename(tree))
	if err != nil {
		t.Fatal(err)
	}
	return raw, rotated
}

func rename(tree any) any {
	switch node := tree.(type) {
	case []any:
		for i := range node {
			node[i] = rename(node[i])
		}
	case map[string]any:
		for _, field := range slices.Collect(maps.Keys(node)) {
			text, isText := node[field].(string)
			set, isSet := node[field].(map[string]any)
			switch {
			case isText && slices.Contains(nameFields, field):
				node[field] = rotated(text)
			case isSet && slices.Contains(labelFields, field) && set["matchLabels"] == nil:
				node[field] = renameLabels(set)
			default:
				node[field] = rename(node[field])
			}
		}
	}
	return tree
}

func renameLabels(set map[string]any) map[string]any {
	renamed := map[string]any{}
	for key, value := range set {
		if !strings.Contains(key, "kubernetes.io/") && key != "pod-template-hash" {
			key = rotated(key)
		}
		renamed[key] = rotated(value.(string))
	}
	return renamed
}

// rotated exchanges the letters of a name, each always for the same one: what
// was equal stays equal, and what was alike stays alike.
func rotated(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return 'a' + (r-'a'+7)%26
		}
		return r
	}, name)
}
