// Package selector judges how the selector of a Service may be changed. A selector is
// never made wider: each label of it is kept, corrected or found under another key.
package selector

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Change of the selector of a Service, with what decides whether it may be made.
type Change struct {
	// From is the selector that the Service has, To the one it would get.
	From, To map[string]string
	// Template holds the labels of the pod template of the workload that To selects.
	Template map[string]string
	// Names of the Service and of the workload.
	Names []string
	// Others are the labels of the pod templates of the namespace's other workloads.
	Others []map[string]string
	// Carried are the keys of From that any pod of the namespace carries, with any value,
	// and some of the values. Operators label pods at run time: no template says so.
	Carried map[string][]string
	// Edited: the selector was written after the Service was made.
	Edited bool
	// Served names another Service that selects the workload already; empty: none does.
	Served string
}

// Mend returns the selector that a Service with selector from may have meant, where the
// template has each of its labels: with another value, or the value under another key.
// It returns nothing where a label of the selector has no counterpart.
func Mend(from, template map[string]string) map[string]string {
	to := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(from)) {
		value, shared := template[key]
		other, moved := movedTo(from, template, key)
		switch {
		case shared:
			to[key] = value
		case moved:
			to[other] = from[key]
		default:
			return nil
		}
	}
	return to
}

// movedTo returns the key under which labels have the value that a selector wants under
// another key. A key that the selector has already means something else.
func movedTo(from, has map[string]string, key string) (string, bool) {
	for _, other := range slices.Sorted(maps.Keys(has)) {
		if _, selected := from[other]; !selected && has[other] == from[key] {
			return other, true
		}
	}
	return "", false
}

// Refusal says why the change is not made; empty: it may be.
func (c Change) Refusal() string {
	if maps.Equal(c.From, c.To) {
		return ""
	}
	if c.Served != "" {
		return fmt.Sprintf("Service/%s selects its pods already, so this one may be meant for other pods", c.Served)
	}
	for _, key := range slices.Sorted(maps.Keys(c.From)) {
		if why := c.refuse(key); why != "" {
			return why
		}
	}
	return ""
}

// refuse judges what becomes of one label of the selector.
func (c Change) refuse(key string) string {
	was := c.From[key]
	value, kept := c.To[key]
	switch {
	case !kept:
		return c.refuseDrop(key)
	case value == was || IsSlip(was, value):
		return ""
	case !c.Edited:
		return fmt.Sprintf("%s=%s has been so since the Service was made, and does not differ from %s by a slip", key, was, value)
	case c.narrows(key):
		return fmt.Sprintf("%s=%s selects some of the pods that its other labels select, and such pods may be yet to come", key, was)
	}
	return ""
}

func (c Change) refuseDrop(key string) string {
	if values, carried := c.Carried[key]; carried {
		return fmt.Sprintf("pods of the namespace carry the label %s (%s), so it is not dropped to select more than %s", key, strings.Join(values, ", "), c.From[key])
	}
	if other, moved := movedTo(c.From, c.Template, key); !moved || c.To[other] != c.From[key] {
		return fmt.Sprintf("%s=%s would be dropped, and pods that are meant by it may be yet to come", key, c.From[key])
	}
	return ""
}

// narrows reports whether a label only selects among the pods of one workload: the labels
// that stay select that workload, and no other, without it. A colour, a version or a role
// does; the label by which the workload is named does not.
func (c Change) narrows(key string) bool {
	if slices.Contains(c.Names, c.Template[key]) {
		return false
	}
	rest := labels.Set{}
	for other, value := range c.From {
		if other != key && c.To[other] == value {
			rest[other] = value
		}
	}
	matches := rest.AsSelector().Matches
	return len(rest) > 0 && matches(labels.Set(c.Template)) &&
		!slices.ContainsFunc(c.Others, func(other map[string]string) bool { return matches(labels.Set(other)) })
}

// maxValues is how many values of a label are kept, to be named.
const maxValues = 5

// Carried returns which keys of a selector pods carry, and some of their values. It takes
// the labels of every pod of the namespace: those of some say nothing of the others.
func Carried(from map[string]string, pods []map[string]string) map[string][]string {
	carried := map[string][]string{}
	for key := range from {
		values := map[string]bool{}
		for _, has := range pods {
			if value, carries := has[key]; carries {
				values[value] = true
			}
		}
		if sorted := slices.Sorted(maps.Keys(values)); len(sorted) > 0 {
			carried[key] = sorted[:min(len(sorted), maxValues)]
		}
	}
	return carried
}

// Edited reports whether the selector of a Service was written after it was made, as its
// managed fields tell. Their time is that of the writer's last change to any field.
func Edited(service metav1.Object) bool {
	return slices.ContainsFunc(service.GetManagedFields(), func(entry metav1.ManagedFieldsEntry) bool {
		if entry.Subresource != "" || entry.Time == nil || entry.FieldsV1 == nil || !entry.Time.After(service.GetCreationTimestamp().Time) {
			return false
		}
		var fields struct {
			Spec map[string]json.RawMessage `json:"f:spec"`
		}
		if json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields) != nil {
			return false
		}
		_, owns := fields.Spec["f:selector"]
		return owns
	})
}
