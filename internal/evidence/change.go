package evidence

import (
	"encoding/json"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/redact"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// changed notes who last wrote a field of the target, as managedFields tell. The
// time is that of the writer's last change to any of its fields.
func (l *look) changed(obj client.Object, path ...string) {
	var last *analysis.Change
	for _, entry := range obj.GetManagedFields() {
		if entry.Subresource != "" || entry.Time == nil || entry.FieldsV1 == nil || !owns(entry.FieldsV1.GetRawBytes(), path) {
			continue
		}
		if last == nil || entry.Time.After(last.At) {
			last = &analysis.Change{
				Object: v1alpha1.ObjectReference{APIVersion: l.snapshot.Target.APIVersion, Kind: l.snapshot.Target.Kind, Namespace: obj.GetNamespace(), Name: obj.GetName()},
				Field:  path[0] + "." + path[1],
				By:     redact.Line(entry.Manager, 128),
				At:     entry.Time.UTC(),
			}
		}
	}
	if last != nil {
		l.snapshot.Changes = append(l.snapshot.Changes, *last)
	}
}

// owns reports whether a set of managed fields holds a path.
func owns(raw []byte, path []string) bool {
	for _, step := range path {
		var fields map[string]json.RawMessage
		if json.Unmarshal(raw, &fields) != nil {
			return false
		}
		inner, held := fields["f:"+step]
		if !held {
			return false
		}
		raw = inner
	}
	return true
}
