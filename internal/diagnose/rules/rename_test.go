package rules_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
)

// nameFields are the fields of a snapshot that hold names which people choose.
var nameFields = []string{"name", "namespace", "generateName", "pod", "container", "image", "port"}

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
	names := map[string]bool{}
	gather(tree, names)
	raw, err = json.Marshal(rename(tree, inText(names)))
	if err != nil {
		t.Fatal(err)
	}
	return raw, rotated
}

// textFields are the fields in which the kubelet, the scheduler and programs speak
// of what has a name, and paths that hold one; lists of texts are logs and command lines.
var textFields = []string{"message", "mountPath"}

// gather collects the names.
func gather(tree any, names map[string]bool) {
	switch node := tree.(type) {
	case []any:
		for i := range node {
			gather(node[i], names)
		}
	case map[string]any:
		for field, value := range node {
			if name, isText := value.(string); isText && len(name) > 2 && slices.Contains(nameFields, field) {
				names[name] = true
			}
			gather(value, names)
		}
	}
}

// inText returns what exchanges the names in a text, the longest first.
func inText(names map[string]bool) func(string) string {
	var all []string
	for _, name := range slices.SortedFunc(maps.Keys(names), func(a, b string) int { return len(b) - len(a) }) {
		all = append(all, regexp.QuoteMeta(name))
	}
	known := regexp.MustCompile(`\b(?:` + strings.Join(all, "|") + `)\b`)
	return func(text string) string { return known.ReplaceAllStringFunc(text, rotated) }
}

func rename(tree any, speak func(string) string) any {
	switch node := tree.(type) {
	case []any:
		for i := range node {
			if text, isText := node[i].(string); isText {
				node[i] = speak(text)
				continue
			}
			node[i] = rename(node[i], speak)
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
			case isText && slices.Contains(textFields, field):
				node[field] = speak(text)
			default:
				node[field] = rename(node[field], speak)
			}
		}
	}
	return tree
}

func renameLabels(set map[string]any) map[string]any {
	renamed := map[string]any{}
	for key, value := range set {
		if !strings.Contains(key, "kubernetes.io/") && key != "pod-template-hash" && key != appsv1.ControllerRevisionHashLabelKey {
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
