package gate

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/internal/jsonpatch"
	"github.com/kubernaut/kubernaut/internal/redact"
)

// lastWriter returns who wrote a field last, and when, as the API server
// recorded it; nothing when it did not, as for a field that was removed.
func lastWriter(entries []metav1.ManagedFieldsEntry, tree any, at jsonpatch.Pointer) (string, time.Time) {
	var writer string
	var when time.Time
	for _, entry := range entries {
		if entry.FieldsV1 == nil || entry.Time == nil || entry.Time.Time.Before(when) {
			continue
		}
		var owned map[string]any
		if json.Unmarshal(entry.FieldsV1.GetRawBytes(), &owned) == nil && owns(owned, tree, at) {
			writer, when = entry.Manager, entry.Time.Time
		}
	}
	return writer, when
}

// owns walks a recorded set of fields along the pointer. An element of a list is
// recorded under what identifies it, not under its index.
func owns(owned map[string]any, tree any, at jsonpatch.Pointer) bool {
	for i, key := range at {
		if len(owned) == 0 {
			return i > 0 // the recorded field is whole above the one that is asked for
		}
		below, ok := owned["f:"+key].(map[string]any)
		tree, _ = jsonpatch.Lookup(tree, at[i:i+1])
		if !ok {
			below, ok = element(owned, tree)
		}
		if !ok {
			return false
		}
		owned = below
	}
	return true
}

// element finds the recorded element whose identifying fields are those of the object.
func element(owned map[string]any, object any) (map[string]any, bool) {
	fields, _ := object.(map[string]any)
	for key, below := range owned {
		raw, isElement := strings.CutPrefix(key, "k:")
		if !isElement {
			continue
		}
		var id map[string]any
		if json.Unmarshal([]byte(raw), &id) != nil {
			continue
		}
		same := len(id) > 0
		for name, value := range id {
			same = same && fmt.Sprint(fields[name]) == fmt.Sprint(value)
		}
		if set, ok := below.(map[string]any); ok && same {
			return set, true
		}
	}
	return nil, false
}

// privateKeys are fields below which people keep what nobody else should read.
var privateKeys = []string{"env", "args", "command", "data", "binaryData", "stringData", "annotations"}

// private reports whether a path leads to what should not be shown.
func private(path string) bool {
	return slices.ContainsFunc(strings.Split(path, "/"), func(key string) bool { return slices.Contains(privateKeys, key) })
}

// shown prints a value for a person, without what should not be read.
func shown(at jsonpatch.Pointer, value any) string {
	switch v := value.(type) {
	case nil:
		return "absent"
	case map[string]any:
		return fmt.Sprintf("an object of %d fields", len(v))
	case []any:
		return fmt.Sprintf("a list of %d elements", len(v))
	}
	if private(at.String()) {
		return redact.Marker
	}
	return fmt.Sprintf("%.128q", fmt.Sprint(value))
}
