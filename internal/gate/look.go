package gate

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/jsonpatch"
	"github.com/kubernaut/kubernaut/internal/kubeclient"
)

// SeenState is what a look at an operation's object comes to.
type SeenState string

const (
	// SeenApplied: what the operation wants is there.
	SeenApplied SeenState = "Applied"
	// SeenBefore: the object is still as the operation expects to find it.
	SeenBefore SeenState = "Before"
	// SeenUnneeded: the pod is ready, and is removed only if it is not.
	SeenUnneeded SeenState = "Unneeded"
	// SeenOther: none of these.
	SeenOther SeenState = "Other"
)

// Seen is the result of a look.
type Seen struct {
	State SeenState
	// Says what was found, in one bounded, redacted sentence; empty for SeenBefore.
	Says string
}

// Look reads the operation's object, which must be live, and says whether the
// operation is in place. A subresource is looked for in the object itself: that
// is where scale and resize of the built-in kinds keep their fields.
func Look(ctx context.Context, reader client.Reader, op v1alpha1.Operation) (Seen, error) {
	obj := named(op.Object)
	err := reader.Get(ctx, op.Object.NamespacedName(), obj)
	switch {
	case kubeclient.IsScopeError(err): // nothing is gone that never was
		return other("%v", err), nil
	case apierrors.IsNotFound(err):
		return judge(op, nil)
	case err != nil:
		return Seen{}, fmt.Errorf("looking at %s: %w", op.Object, err)
	case obj.GetNamespace() != op.Object.Namespace: // not every reader checks it
		return other("%s is not in namespace %s", op.Object, op.Object.Namespace), nil
	}
	return judge(op, obj)
}

// judge compares the object as it is, nil if there is none, with what the operation wants. It is pure.
func judge(op v1alpha1.Operation, live *unstructured.Unstructured) (Seen, error) {
	switch op.Verb {
	case v1alpha1.VerbDelete, v1alpha1.VerbEvict:
		return judgeRemoval(op, live)
	case v1alpha1.VerbCreate:
		return judgeCreation(op, live)
	case v1alpha1.VerbPatch:
		return judgePatch(op, live)
	}
	return Seen{}, fmt.Errorf("looking at %s: there is no verb %.16q", op.Object, op.Verb)
}

func judgeRemoval(op v1alpha1.Operation, live *unstructured.Unstructured) (Seen, error) {
	switch {
	case live == nil:
		return applied("%s is gone", op.Object), nil
	case live.GetUID() != op.Precondition.UID:
		return applied("%s is another one of that name", op.Object), nil
	case live.GetDeletionTimestamp() != nil:
		return applied("%s is being deleted", op.Object), nil
	case op.Precondition.Unready:
		return judgeReadiness(op, live)
	}
	return Seen{State: SeenBefore}, nil
}

// judgeReadiness says whether a pod has to be evicted that is so only if it is not ready.
func judgeReadiness(op v1alpha1.Operation, live *unstructured.Unstructured) (Seen, error) {
	decoded, known := typed(live.Object)
	pod, ok := decoded.(*corev1.Pod)
	switch {
	case !known || !ok:
		return Seen{}, fmt.Errorf("looking at %s: it can't be read as a pod, so whether it is ready is not known", op.Object)
	case PodReady(pod):
		return Seen{State: SeenUnneeded, Says: bounded(fmt.Sprintf("%s is ready", op.Object))}, nil
	}
	return Seen{State: SeenBefore}, nil
}

// PodReady reports whether a pod is ready and not being deleted.
func PodReady(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

func judgeCreation(op v1alpha1.Operation, live *unstructured.Unstructured) (Seen, error) {
	if live == nil {
		return Seen{State: SeenBefore}, nil
	}
	wanted, err := created(op)
	if err != nil {
		return Seen{}, err
	}
	if equality.Semantic.DeepDerivative(wanted.Object, live.Object) {
		return applied("%s exists as wanted", op.Object), nil
	}
	return other("%s exists and is not what was to be created", op.Object), nil
}

func judgePatch(op v1alpha1.Operation, live *unstructured.Unstructured) (Seen, error) {
	if live == nil {
		return other("%s is gone", op.Object), nil
	}
	if live.GetUID() != op.Precondition.UID {
		return other("%s is another one of that name: its uid is %s, not %s", op.Object, live.GetUID(), op.Precondition.UID), nil
	}
	want, err := wanted(op)
	if err != nil {
		return Seen{}, err
	}
	expect, err := expected(op)
	if err != nil {
		return Seen{}, err
	}
	strayed := firstStray(live, want)
	if strayed == nil {
		return applied("%s is as wanted", op.Object), nil
	}
	if found := firstStray(live, expect); found != nil {
		return other("%s: %s", op.Object, describe(live, *found)), nil
	}
	if len(expect) == 0 {
		return other("%s: %s", op.Object, describe(live, *strayed)), nil
	}
	return Seen{State: SeenBefore}, nil
}

// place is a field and the value it should have; nil: none.
type place struct {
	at    jsonpatch.Pointer
	value any
}

// wanted returns what the fields hold once the patch is applied. The names of the
// list elements on the way are part of it: without them an index says nothing.
func wanted(op v1alpha1.Operation) ([]place, error) {
	if op.Body == nil {
		return nil, reject(op, "it has no body")
	}
	entries, err := jsonpatch.Parse(op.Body.Raw)
	if err != nil {
		return nil, fmt.Errorf("reading what %s should be: %w", op.Object, err)
	}
	tested, err := expected(op)
	if err != nil {
		return nil, err
	}
	var places []place
	for _, entry := range entries {
		at, err := jsonpatch.ParsePointer(entry.Path)
		if err != nil {
			return nil, err
		}
		for _, field := range tested {
			if names(field.at, at) {
				places = append(places, field)
			}
		}
		places = append(places, place{at: at, value: entry.Value})
	}
	return places, nil
}

// names reports whether a tested field is the name of a list element that a path leads through.
func names(tested, at jsonpatch.Pointer) bool {
	holder := len(tested) - 1
	if holder < 1 || tested[holder] != "name" || len(at) <= holder || at[holder] == "name" {
		return false
	}
	_, err := strconv.Atoi(tested[holder-1])
	return err == nil && slices.Equal(at[:holder], tested[:holder])
}

// expected returns what the precondition tests.
func expected(op v1alpha1.Operation) ([]place, error) {
	places := make([]place, 0, len(op.Precondition.Fields))
	for _, field := range op.Precondition.Fields {
		at, err := jsonpatch.ParsePointer(field.Path)
		if err != nil {
			return nil, err
		}
		var value any
		if field.Value != nil {
			if value, err = jsonpatch.Decode(field.Value.Raw); err != nil {
				return nil, err
			}
		}
		places = append(places, place{at: at, value: value})
	}
	return places, nil
}

// firstStray returns the first place that does not hold its value.
func firstStray(live *unstructured.Unstructured, places []place) *place {
	for _, p := range places {
		if !holds(live, p) {
			return &p
		}
	}
	return nil
}

// holds compares one field. Kinds that we know are compared as the API means
// them, so that 1024Mi is 1Gi and an empty list is none.
func holds(live *unstructured.Unstructured, p place) bool {
	found, ok := jsonpatch.Lookup(live.Object, p.at)
	if equality.Semantic.DeepEqual(found, p.value) {
		return true
	}
	entry := jsonpatch.Change{At: p.at, Before: found, After: p.value}.Entry()
	if !ok && p.value == nil {
		return true
	}
	changed, err := jsonpatch.Apply(live.Object, []jsonpatch.Entry{entry})
	if err != nil {
		return false
	}
	a, known := typed(live.Object)
	b, alsoKnown := typed(changed)
	return known && alsoKnown && equality.Semantic.DeepEqual(a, b)
}

// typed decodes a tree into the kind it says it is.
func typed(tree any) (runtime.Object, bool) {
	content, ok := tree.(map[string]any)
	if !ok {
		return nil, false
	}
	u := &unstructured.Unstructured{Object: content}
	obj, err := clientgoscheme.Scheme.New(u.GroupVersionKind())
	if err != nil {
		return nil, false
	}
	return obj, runtime.DefaultUnstructuredConverter.FromUnstructured(content, obj) == nil
}

// describe says what a field holds in place of what was expected, and who wrote it.
func describe(live *unstructured.Unstructured, p place) string {
	found, _ := jsonpatch.Lookup(live.Object, p.at)
	text := fmt.Sprintf("%s is %s, not %s", p.at, shown(p.at, found), shown(p.at, p.value))
	if accessor, err := meta.Accessor(live); err == nil {
		if writer, at := lastWriter(accessor.GetManagedFields(), live.Object, p.at); writer != "" {
			text += fmt.Sprintf("; %s wrote it last, at %s", writer, at.UTC().Format("2006-01-02T15:04:05Z"))
		}
	}
	return text
}

func applied(format string, args ...any) Seen {
	return Seen{State: SeenApplied, Says: bounded(fmt.Sprintf(format, args...))}
}

func other(format string, args ...any) Seen {
	return Seen{State: SeenOther, Says: bounded(fmt.Sprintf(format, args...))}
}
