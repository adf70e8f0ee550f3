package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/pkg/action"
)

const redacted = "<redacted>"

// Diff shows what a plan would change, as a person reads it: one block an
// operation, - for what is there and + for what would be. Env values and
// ConfigMap data are not shown; the digest covers the real ones.
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
	out.WriteByte('\n')
	switch op.Verb {
	case v1alpha1.VerbPatch:
		showPatch(out, op)
	case v1alpha1.VerbCreate:
		if op.Body != nil {
			lines(out, "+ ", "", hide(decode(op.Body.Raw), op.Object.Kind))
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
			lines(out, "- ", label, hide(mask(c.Path, op.Object.Kind, old), op.Object.Kind))
		}
		if c.Op != "remove" {
			lines(out, "+ ", label, hide(mask(c.Path, op.Object.Kind, c.Value), op.Object.Kind))
		}
	}
}

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
		out.WriteString(strings.NewReplacer("~1", "/", "~0", "~").Replace(part))
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

// mask hides a value that a patch sets directly: an env variable's, or a part of
// a ConfigMap's data.
func mask(path, kind string, value any) any {
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
	return value
}

// carriesData reports whether a kind's data is nobody's to read in a diff.
func carriesData(kind string) bool {
	return kind == "ConfigMap" || kind == "Secret"
}

// hide replaces env values wherever they are, and the data of a ConfigMap.
func hide(value any, kind string) any {
	switch v := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, inner := range v {
			switch {
			case key == "env":
				out[key] = hideEnv(inner)
			case (key == "data" || key == "binaryData") && carriesData(kind):
				out[key] = redacted
			default:
				out[key] = hide(inner, kind)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, inner := range v {
			out[i] = hide(inner, kind)
		}
		return out
	}
	return value
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
