package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/redact"
	"github.com/kubernaut/kubernaut/pkg/action"
)

const redacted = "<redacted>"

// Diff shows what a plan would change, as a person reads it: one block an
// operation, - for what is there and + for what would be. Env values and
// ConfigMap data are not shown, nor what looks like a secret elsewhere; the
// digest covers the real ones.
func Diff(p action.Plan) string {
	var out strings.Builder
	for _, op := range p.Operations {
		show(&out, op.Operation)
	}
	return out.String()
}

// UndoDiff shows what would take a plan back, last operation first; empty when
// it can't be.
func UndoDiff(p action.Plan) string {
	var out strings.Builder
	for _, op := range slices.Backward(p.Operations) {
		switch {
		case op.Undo != nil:
			show(&out, *op.Undo)
		case !action.Regrows(op.Operation):
			return ""
		}
	}
	return out.String()
}

func show(out *strings.Builder, op v1alpha1.Operation) {
	fmt.Fprintf(out, "%s %s", op.Verb, op.Object)
	if op.Subresource != "" {
		fmt.Fprintf(out, "/%s", op.Subresource)
	}
	if op.Object.Namespace != "" {
		fmt.Fprintf(out, " in %s", op.Object.Namespace)
	}
	if op.Precondition.Unready {
		out.WriteString(", only if it is not ready when its turn comes")
	}
	out.WriteByte('\n')
	switch op.Verb {
	case v1alpha1.VerbPatch:
		showPatch(out, op)
	case v1alpha1.VerbCreate:
		if op.Body != nil {
			lines(out, "+ ", "", hide("", decode(op.Body.Raw), op.Object.Kind))
		}
	case v1alpha1.VerbDelete, v1alpha1.VerbEvict:
		// The head line says it all.
	}
}

// change is one operation of a JSON Patch.
type change struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

func showPatch(out *strings.Builder, op v1alpha1.Operation) {
	var changes []change
	if op.Body == nil || json.Unmarshal(op.Body.Raw, &changes) != nil {
		out.WriteString("  (unreadable patch)\n")
		return
	}
	before := map[string]any{}
	for _, field := range op.Precondition.Fields {
		if field.Value != nil {
			before[field.Path] = decode(field.Value.Raw)
		}
	}
	for _, c := range changes {
		label := readable(c.Path, before)
		if old, tested := before[c.Path]; tested {
			lines(out, "- ", label, masked(c.Path, op.Object.Kind, old))
		}
		if c.Op != "remove" {
			lines(out, "+ ", label, masked(c.Path, op.Object.Kind, c.Value))
		}
	}
}

// unescaped is a part of a JSON Pointer as the field is called.
var unescaped = strings.NewReplacer("~1", "/", "~0", "~")

// readable turns a JSON Pointer into a path as people write it; an element of a
// list is called by its name where the precondition tests it.
func readable(pointer string, tested map[string]any) string {
	var out strings.Builder
	at := ""
	for part := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		at += "/" + part
		if name, ok := tested[at+"/name"].(string); ok {
			fmt.Fprintf(&out, "[%s]", name)
			continue
		}
		if out.Len() > 0 {
			out.WriteByte('.')
		}
		out.WriteString(unescaped.Replace(part))
	}
	return out.String()
}

// lines writes a value behind its label, each line with the prefix.
func lines(out *strings.Builder, prefix, label string, value any) {
	text := printed(value)
	if label == "" {
		for line := range strings.Lines(text) {
			fmt.Fprintf(out, "%s%s", prefix, line)
		}
		return
	}
	if !strings.Contains(strings.TrimSuffix(text, "\n"), "\n") {
		fmt.Fprintf(out, "%s%s: %s", prefix, label, text)
		return
	}
	fmt.Fprintf(out, "%s%s:\n", prefix, label)
	for line := range strings.Lines(text) {
		fmt.Fprintf(out, "%s  %s", prefix, line)
	}
}

func printed(value any) string {
	text, err := yaml.Marshal(value)
	if err != nil {
		return "(unreadable value)\n"
	}
	return string(text)
}

func decode(raw []byte) any {
	var value any
	if json.Unmarshal(raw, &value) != nil {
		return "(unreadable value)"
	}
	return value
}

// masked returns a value that a patch sets as it may be shown: an env variable's
// and a part of a ConfigMap's data are hidden whole.
func masked(path, kind string, value any) any {
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	n := len(parts)
	switch {
	case carriesData(kind) && (parts[0] == "data" || parts[0] == "binaryData"):
		return redacted
	case n >= 3 && parts[n-1] == "value" && parts[n-3] == "env":
		return redacted
	case slices.Contains(parts, "env"):
		return hideEnv(value)
	}
	return hide(unescaped.Replace(parts[n-1]), value, kind)
}

// carriesData reports whether a kind's data is nobody's to read in a diff.
func carriesData(kind string) bool {
	return kind == "ConfigMap" || kind == "Secret"
}

// hide replaces env values wherever they are, the data of a ConfigMap, and in any
// other text what looks like a secret, or is one by the name it stands under.
func hide(name string, value any, kind string) any {
	switch v := value.(type) {
	case string:
		return redact.Field(name, v)
	case map[string]any:
		return hideFields(v, kind)
	case []any:
		return hideList(nil, v, kind)
	}
	return value
}

// hideList hides the words of a list as those of a command line, which the words of
// a command may begin; other elements are hidden one by one.
func hideList(command, list []any, kind string) []any {
	shown := redact.Args(texts(slices.Concat(command, list)))
	out := make([]any, len(list))
	for i, inner := range list {
		if _, text := inner.(string); text {
			out[i] = shown[len(command)+i]
		} else {
			out[i] = hide("", inner, kind)
		}
	}
	return out
}

// texts returns the elements of a list that are texts, and nothing in place of others.
func texts(list []any) []string {
	out := make([]string, len(list))
	for i, inner := range list {
		out[i], _ = inner.(string)
	}
	return out
}

func hideFields(fields map[string]any, kind string) map[string]any {
	out := make(map[string]any, len(fields))
	for key, inner := range fields {
		name, named := fields["name"].(string)
		switch {
		case key == "env":
			out[key] = hideEnv(inner)
		case (key == "data" || key == "binaryData") && carriesData(kind):
			out[key] = redacted
		case key == "args":
			out[key] = hideArgs(fields["command"], inner, kind)
		case key == "value" && named: // a header, for example
			out[key] = hide(name, inner, kind)
		default:
			out[key] = hide(key, inner, kind)
		}
	}
	return out
}

// hideArgs hides the arguments of a command.
func hideArgs(command, args any, kind string) any {
	words, _ := command.([]any)
	if list, ok := args.([]any); ok {
		return hideList(words, list, kind)
	}
	return hide("args", args, kind)
}

// hideEnv replaces the values of env variables; references stay, they are names.
func hideEnv(value any) any {
	switch v := value.(type) {
	case []any:
		out := make([]any, len(v))
		for i, inner := range v {
			out[i] = hideEnv(inner)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, inner := range v {
			if key == "value" {
				inner = redacted
			}
			out[key] = inner
		}
		return out
	}
	return value
}
