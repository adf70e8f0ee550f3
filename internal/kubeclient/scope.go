// Package kubeclient holds ways to read the API server that the plain client does not offer.
package kubeclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// ScopeError reports a reference whose namespace does not fit the scope of its kind, or
// an object that was answered from another namespace than the reference names.
type ScopeError struct {
	// Kind of the object.
	Kind string
	// Key that the reference names.
	Key client.ObjectKey
	// Namespaced is whether objects of the kind live in namespaces.
	Namespaced bool
}

func (e *ScopeError) Error() string {
	object := e.Kind + "/" + e.Key.Name
	switch {
	case !e.Namespaced:
		return fmt.Sprintf("%s is cluster-scoped and in no namespace, but the reference says namespace %s: leave the namespace out", object, e.Key.Namespace)
	case e.Key.Namespace == "":
		return fmt.Sprintf("objects of kind %s are namespaced, but the reference to %s names no namespace: add it", e.Kind, object)
	}
	return fmt.Sprintf("the API server answered for another object than %s in namespace %s", object, e.Key.Namespace)
}

// Status makes it an error by which apierrors.IsNotFound says that no such object exists.
func (e *ScopeError) Status() metav1.Status {
	return metav1.Status{Status: metav1.StatusFailure, Code: http.StatusNotFound, Reason: metav1.StatusReasonNotFound, Message: e.Error()}
}

// IsScopeError reports whether an error is about a reference that does not fit the scope of its kind.
func IsScopeError(err error) bool {
	var scope *ScopeError
	return errors.As(err, &scope)
}

// CheckScope returns a *ScopeError where the namespace of a reference does not fit the
// scope of its kind. Another error means that the scope could not be learnt.
func CheckScope(mapper meta.RESTMapper, kind schema.GroupVersionKind, key client.ObjectKey) error {
	mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return fmt.Errorf("finding the scope of kind %s: %w", kind.Kind, err)
	}
	namespaced := mapping.Scope.Name() == meta.RESTScopeNameNamespace
	if namespaced == (key.Namespace != "") {
		return nil
	}
	return &ScopeError{Kind: kind.Kind, Key: key, Namespaced: namespaced}
}

// ScopedReader reads what a reference names, or nothing. The plain client drops the
// namespace of a cluster-scoped kind without a word: a reference to a Node "in namespace
// a" would pass for an object of namespace a. The check comes before the read, so that
// the answer does not tell whether the object exists.
type ScopedReader struct {
	reader client.Reader
	mapper meta.RESTMapper
	scheme *runtime.Scheme
}

// NewScopedReader returns a reader that reads with another one.
func NewScopedReader(reader client.Reader, mapper meta.RESTMapper, scheme *runtime.Scheme) *ScopedReader {
	return &ScopedReader{reader: reader, mapper: mapper, scheme: scheme}
}

// Get reads an object whose kind has the scope that the key says, or returns a *ScopeError.
func (r *ScopedReader) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	kind, err := apiutil.GVKForObject(obj, r.scheme)
	if err != nil {
		return fmt.Errorf("finding the kind of a %T: %w", obj, err)
	}
	if err := CheckScope(r.mapper, kind, key); err != nil {
		return err
	}
	if err := r.reader.Get(ctx, key, obj, opts...); err != nil {
		return err
	}
	if obj.GetNamespace() != key.Namespace || obj.GetName() != key.Name {
		return &ScopeError{Kind: kind.Kind, Key: key, Namespaced: key.Namespace != ""}
	}
	return nil
}

// List reads a list. Of a cluster-scoped kind there is none in a namespace.
func (r *ScopedReader) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	o := (&client.ListOptions{}).ApplyOptions(opts)
	if o.Namespace == "" {
		return r.reader.List(ctx, list, opts...) // of a namespaced kind: all namespaces
	}
	kind, err := apiutil.GVKForObject(list, r.scheme)
	if err != nil {
		return fmt.Errorf("finding the kind of a %T: %w", list, err)
	}
	kind.Kind = strings.TrimSuffix(kind.Kind, "List")
	if err := CheckScope(r.mapper, kind, client.ObjectKey{Namespace: o.Namespace}); err != nil {
		return err
	}
	return r.reader.List(ctx, list, opts...)
}
