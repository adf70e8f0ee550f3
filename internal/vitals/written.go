package vitals

import (
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// LastWrite returns the entry of managedFields that tells who last wrote a field of an
// object, and when; nil: none does. The time is that of the writer's last change to any of
// its fields, so the field was written then or before.
func LastWrite(obj metav1.Object, path ...string) *metav1.ManagedFieldsEntry {
	var last *metav1.ManagedFieldsEntry
	all := obj.GetManagedFields()
	for i := range all {
		entry := &all[i]
		if entry.Subresource != "" || entry.Time == nil || entry.FieldsV1 == nil || !Owns(entry.FieldsV1, path) {
			continue
		}
		if last == nil || entry.Time.After(last.Time.Time) {
			last = entry
		}
	}
	return last
}

// Owns reports whether a set of managed fields holds a path.
func Owns(fields *metav1.FieldsV1, path []string) bool {
	raw := fields.GetRawBytes()
	for _, step := range path {
		var held map[string]json.RawMessage
		if json.Unmarshal(raw, &held) != nil {
			return false
		}
		inner, ok := held["f:"+step]
		if !ok {
			return false
		}
		raw = inner
	}
	return true
}
