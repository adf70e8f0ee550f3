package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/jsonpatch"
)

// fieldOwner is the name under which the API server records what we wrote.
const fieldOwner = client.FieldOwner("kubernaut")

var evictionKind = schema.GroupVersionKind{Group: "policy", Version: "v1", Kind: "Eviction"}

// DryRun asks the API server to do everything but keep it. A no is a *Rejected,
// or a *Denied if it was for want of a right.
func (t *Tenant) DryRun(ctx context.Context, op v1alpha1.Operation) error {
	err := t.send(ctx, op, true)
	switch code(err) {
	case 0:
		return err
	case http.StatusForbidden:
		return t.forbidden(ctx, op, err)
	}
	return &Rejected{Operation: op, Why: why(op, err)}
}

// Apply does the operation. The API server's no is a *Denied for want of a
// right, a *Failed if the object is another than was planned for, else a
// *Rejected; after any of them nothing was changed. After any other error it may
// have been: look.
func (t *Tenant) Apply(ctx context.Context, op v1alpha1.Operation) error {
	err := t.send(ctx, op, false)
	switch code(err) {
	case 0:
		return err
	case http.StatusForbidden:
		return t.forbidden(ctx, op, err)
	case http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity:
		return &Failed{Operation: op, Why: why(op, err)}
	}
	return &Rejected{Operation: op, Why: why(op, err)}
}

// forbidden tells a missing right from admission, which answers 403 too (a
// quota, Pod Security, a webhook): only the first shows in a review.
func (t *Tenant) forbidden(ctx context.Context, op v1alpha1.Operation, err error) error {
	if denied := t.Review(ctx, op); denied != nil {
		return denied
	}
	return &Rejected{Operation: op, Why: why(op, err)}
}

// send checks the operation and gives it to the API server.
func (t *Tenant) send(ctx context.Context, op v1alpha1.Operation, dry bool) error {
	if err := t.check(op); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, EffectDeadline)
	defer cancel()
	var err error
	switch op.Verb {
	case v1alpha1.VerbPatch:
		err = t.patch(ctx, op, dry)
	case v1alpha1.VerbCreate:
		err = t.create(ctx, op, dry)
	case v1alpha1.VerbDelete:
		err = t.delete(ctx, op, dry)
	case v1alpha1.VerbEvict:
		err = t.evict(ctx, op, dry)
	}
	if err != nil {
		return fmt.Errorf("sending the %s of %s: %w", op.Verb, op.Object, err)
	}
	return nil
}

// check refuses what no plan may hold: it is the last look before the API server.
func (t *Tenant) check(op v1alpha1.Operation) error {
	if !t.reaches(op.Object.Namespace) {
		return reject(op, "it is in namespace %.63q, and %s acts in its own only", op.Object.Namespace, t.Actor())
	}
	if err := t.inScope(op); err != nil {
		return err
	}
	if err := checkPrecondition(op); err != nil {
		return err
	}
	switch op.Verb {
	case v1alpha1.VerbPatch, v1alpha1.VerbCreate:
		if op.Body == nil {
			return reject(op, "it has no body")
		}
	case v1alpha1.VerbDelete, v1alpha1.VerbEvict:
		if op.Body != nil || op.Subresource != "" {
			return reject(op, "it has a body or a subresource")
		}
	default:
		return reject(op, "there is no such verb")
	}
	return nil
}

// checkPrecondition refuses a precondition that does not belong to the verb.
func checkPrecondition(op v1alpha1.Operation) error {
	creates := op.Verb == v1alpha1.VerbCreate
	switch {
	case creates != op.Precondition.Absent:
		return reject(op, "the precondition absent belongs to a create and to nothing else")
	case creates == (op.Precondition.UID != ""):
		return reject(op, "the precondition uid belongs to everything but a create")
	case op.Precondition.Unready && op.Verb != v1alpha1.VerbEvict:
		return reject(op, "the precondition unready belongs to an eviction and to nothing else")
	case op.Verb != v1alpha1.VerbPatch && len(op.Precondition.Fields) > 0:
		return reject(op, "only a patch can test fields")
	}
	return nil
}

func (t *Tenant) patch(ctx context.Context, op v1alpha1.Operation, dry bool) error {
	body, err := patchBody(op)
	if err != nil {
		return err
	}
	patch := client.RawPatch(types.JSONPatchType, body)
	obj := named(op.Object)
	if op.Subresource == "" {
		opts := []client.PatchOption{fieldOwner}
		if dry {
			opts = append(opts, client.DryRunAll)
		}
		return t.client.Patch(ctx, obj, patch, opts...)
	}
	opts := []client.SubResourcePatchOption{fieldOwner}
	if dry {
		opts = append(opts, client.DryRunAll)
	}
	return t.client.SubResource(op.Subresource).Patch(ctx, obj, patch, opts...)
}

// line is an entry of the patch that is sent. Other than an Entry it writes null:
// a test of null is how a patch says that a field must be absent.
type line struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// patchBody returns the JSON Patch to send: the precondition's tests, then the body.
func patchBody(op v1alpha1.Operation) ([]byte, error) {
	entries, err := jsonpatch.Parse(op.Body.Raw)
	if err != nil {
		return nil, reject(op, "%v", err)
	}
	if idle(entries, op.Precondition.Fields) {
		return nil, reject(op, "it would change nothing: what it writes is what it expects to find")
	}
	lines := []any{line{Op: jsonpatch.Test, Path: "/metadata/uid", Value: op.Precondition.UID}}
	for _, field := range op.Precondition.Fields {
		lines = append(lines, line{Op: jsonpatch.Test, Path: field.Path, Value: field.Value})
	}
	for _, entry := range entries {
		lines = append(lines, entry)
	}
	raw, err := json.Marshal(lines)
	if err != nil {
		return nil, reject(op, "%v", err)
	}
	return raw, nil
}

// idle reports whether every entry writes what the precondition tests.
func idle(entries []jsonpatch.Entry, fields []v1alpha1.FieldValue) bool {
	tested := map[string]*apiextensionsv1.JSON{}
	for _, field := range fields {
		tested[field.Path] = field.Value
	}
	for _, entry := range entries {
		value, ok := tested[entry.Path]
		if !ok || (value == nil) != (entry.Op == jsonpatch.Remove) {
			return false
		}
		if value == nil {
			continue
		}
		before, err := jsonpatch.Decode(value.Raw)
		if err != nil || !reflect.DeepEqual(before, entry.Value) {
			return false
		}
	}
	return true
}

func (t *Tenant) create(ctx context.Context, op v1alpha1.Operation, dry bool) error {
	obj, err := created(op)
	if err != nil {
		return err
	}
	if op.Subresource != "" {
		opts := []client.SubResourceCreateOption{}
		if dry {
			opts = append(opts, client.DryRunAll)
		}
		return t.client.SubResource(op.Subresource).Create(ctx, named(op.Object), obj, opts...)
	}
	opts := []client.CreateOption{fieldOwner}
	if dry {
		opts = append(opts, client.DryRunAll)
	}
	return t.client.Create(ctx, obj, opts...)
}

// created returns the object of a create's body, which must be the one it names.
func created(op v1alpha1.Operation) (*unstructured.Unstructured, error) {
	obj := &unstructured.Unstructured{}
	if err := obj.UnmarshalJSON(bytes.TrimSpace(op.Body.Raw)); err != nil {
		return nil, reject(op, "its body is no object")
	}
	if op.Subresource != "" {
		return obj, nil
	}
	is := v1alpha1.ObjectReference{APIVersion: obj.GetAPIVersion(), Kind: obj.GetKind(), Namespace: obj.GetNamespace(), Name: obj.GetName()}
	if is != op.Object {
		return nil, reject(op, "its body is another object")
	}
	return obj, nil
}

func (t *Tenant) delete(ctx context.Context, op v1alpha1.Operation, dry bool) error {
	opts := []client.DeleteOption{client.Preconditions{UID: &op.Precondition.UID}, client.PropagationPolicy(metav1.DeletePropagationBackground)}
	if dry {
		opts = append(opts, client.DryRunAll)
	}
	return t.client.Delete(ctx, named(op.Object), opts...)
}

// evict answers 429 while a PodDisruptionBudget would be broken, which is no
// verdict: the caller waits. An eviction of another incarnation is tried by the
// API server again and again until our deadline: there the caller looks.
func (t *Tenant) evict(ctx context.Context, op v1alpha1.Operation, dry bool) error {
	eviction := &unstructured.Unstructured{}
	eviction.SetGroupVersionKind(evictionKind)
	eviction.SetNamespace(op.Object.Namespace)
	eviction.SetName(op.Object.Name)
	options := map[string]any{"preconditions": map[string]any{"uid": string(op.Precondition.UID)}}
	if dry {
		options["dryRun"] = []any{metav1.DryRunAll}
	}
	eviction.Object["deleteOptions"] = options
	return t.client.SubResource("eviction").Create(ctx, named(op.Object), eviction)
}

// named returns an object that is nothing but its name.
func named(ref v1alpha1.ObjectReference) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(ref.GroupVersionKind())
	obj.SetNamespace(ref.Namespace)
	obj.SetName(ref.Name)
	return obj
}
