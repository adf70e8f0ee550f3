package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// Subject returns the object by which a change is known again: the target of the
// step. A pod that is restarted comes back under another name and uid, so the
// object that the alert is about, the owner at the top, stands for it.
func Subject(ar *v1alpha1.AlertRemediation, target v1alpha1.TargetReference) v1alpha1.TargetReference {
	if about := ar.Status.Target; about != nil && target.Kind == podKind {
		return *about
	}
	return target
}

const (
	podKind  = "Pod"
	nodeKind = "Node"
)

// HasSpec reports whether the spec of a subject decides what a change of it is
// worth. A node's spec changes with its taints, which Kubernetes sets and takes
// off by itself, and a pod's is another one for each pod.
func HasSpec(subject v1alpha1.TargetReference) bool {
	return subject.Kind != nodeKind && subject.Kind != podKind
}

// Fingerprint names a change: the incarnation of the subject, the spec it has, and
// what the operations make of it. Two changes with one fingerprint are the same
// change. The spec is the subject's as the API server serves it; it counts without
// what says nothing about the fault: the number of replicas and the annotations
// that restart pods. It is pure.
func Fingerprint(subject v1alpha1.TargetReference, spec map[string]any, step Step) (string, error) {
	made, err := effects(step)
	if err != nil {
		return "", fmt.Errorf("reading what %s would change: %w", step.Spec.Name, err)
	}
	raw, err := json.Marshal(map[string]any{"subject": subject.UID, "spec": essential(spec), "effects": made})
	if err != nil {
		return "", fmt.Errorf("computing the fingerprint of %s: %w", step.Spec.Name, err)
	}
	sum := sha256.Sum256(raw) // the keys of maps are encoded in order
	return "v1:sha256:" + hex.EncodeToString(sum[:]), nil
}

// effects returns what a step makes of the cluster, whichever action it is and
// whatever was there before. Where nothing of the operations tells one step from
// another, the action and its parameters do.
func effects(step Step) (any, error) {
	named := map[string]any{"action": step.Spec.Name, "parameters": step.Params}
	if step.Target.Kind == nodeKind {
		return named, nil // a patch of the taints holds the taints of others too
	}
	var all []any
	for _, op := range step.Plan.Operations {
		if action.Regrows(op.Operation) {
			continue // which pods are removed depends on the moment
		}
		body, err := result(op.Operation)
		if err != nil {
			return nil, err
		}
		if op.Verb == v1alpha1.VerbPatch && len(body.([]any)) == 0 {
			continue
		}
		all = append(all, map[string]any{"verb": op.Verb, "object": op.Object, "subresource": op.Subresource, "body": body})
	}
	if len(all) == 0 {
		return named, nil
	}
	return all, nil
}

// result returns what an operation leaves: of a patch the entries that write, in
// the order of their paths.
func result(op v1alpha1.Operation) (any, error) {
	if op.Body == nil {
		return []any{}, nil
	}
	dec := json.NewDecoder(bytes.NewReader(op.Body.Raw))
	dec.UseNumber()
	if op.Verb != v1alpha1.VerbPatch {
		var body any
		return body, dec.Decode(&body)
	}
	var entries []map[string]any
	if err := dec.Decode(&entries); err != nil {
		return nil, err
	}
	slices.SortStableFunc(entries, func(a, b map[string]any) int {
		return strings.Compare(fmt.Sprint(a["path"]), fmt.Sprint(b["path"]))
	})
	left := []any{}
	for _, entry := range entries {
		path := fmt.Sprint(entry["path"])
		last := path[strings.LastIndexByte(path, '/')+1:]
		if entry["op"] == "test" || restarts[unescaped.Replace(last)] {
			continue
		}
		value, given := entry["value"]
		if given && last == "annotations" {
			if value = withoutRestarts(value); value == nil {
				continue
			}
		}
		// Whether a field is added or replaced depends on what was there.
		left = append(left, map[string]any{"path": path, "value": value, "remove": entry["op"] == "remove"})
	}
	return left, nil
}

// restarts are the annotations of a pod template that restart its pods and change
// nothing else of them.
var restarts = map[string]bool{v1alpha1.RestartAnnotation: true, "kubectl.kubernetes.io/restartedAt": true}

// withoutRestarts returns annotations without those; nil where no other is left.
func withoutRestarts(annotations any) any {
	all, ok := annotations.(map[string]any)
	if !ok {
		return annotations
	}
	left := maps.Clone(all)
	maps.DeleteFunc(left, func(name string, _ any) bool { return restarts[name] })
	if len(left) == 0 {
		return nil
	}
	return left
}

// essential returns a spec without what says nothing about a fault; the one that is
// given stays as it is.
func essential(spec map[string]any) map[string]any {
	left := maps.Clone(spec)
	delete(left, "replicas")
	template, ok := left["template"].(map[string]any)
	if !ok {
		return left
	}
	metadata, ok := template["metadata"].(map[string]any)
	if !ok {
		return left
	}
	template, metadata = maps.Clone(template), maps.Clone(metadata)
	if annotations := withoutRestarts(metadata["annotations"]); annotations == nil {
		delete(metadata, "annotations")
	} else {
		metadata["annotations"] = annotations
	}
	template["metadata"], left["template"] = metadata, template
	return left
}
