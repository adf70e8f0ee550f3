package kubeclient

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// careless answers every read as the plain client does: the namespace of a
// cluster-scoped kind is dropped. It counts the reads.
type careless struct {
	reads     int
	elsewhere string // the namespace of its answers, if it is not that of the question
}

func (c *careless) Get(_ context.Context, key client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	c.reads++
	obj.SetName(key.Name)
	if obj.GetObjectKind().GroupVersionKind().Kind != "Node" {
		obj.SetNamespace(key.Namespace)
	}
	if c.elsewhere != "" {
		obj.SetNamespace(c.elsewhere)
	}
	return nil
}

func (c *careless) List(context.Context, client.ObjectList, ...client.ListOption) error {
	c.reads++
	return nil
}

// kinds knows the scope of Node and Pod, and of nothing else.
func kinds() meta.RESTMapper {
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Node"), meta.RESTScopeRoot)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Pod"), meta.RESTScopeNamespace)
	return mapper
}

func TestScopedReaderGet(t *testing.T) {
	rows := map[string]struct {
		kind, namespace string
		elsewhere       string
		want            string // part of the error; empty: it is read
		scope           bool   // the error is a *ScopeError
		reads           int
	}{
		"a Node without a namespace is read":                         {kind: "Node", reads: 1},
		"a Node in a namespace is refused before it is looked for":   {kind: "Node", namespace: "a", want: "leave the namespace out", scope: true},
		"a Pod in a namespace is read":                               {kind: "Pod", namespace: "a", reads: 1},
		"a Pod without a namespace is refused before the read":       {kind: "Pod", want: "names no namespace", scope: true},
		"an answer from another namespace is refused":                {kind: "Pod", namespace: "a", elsewhere: "b", want: "another object", scope: true, reads: 1},
		"a kind whose scope is not known is refused before the read": {kind: "Gadget", namespace: "a", want: "finding the scope of kind Gadget"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			below := &careless{elsewhere: row.elsewhere}
			obj := &metav1.PartialObjectMetadata{}
			obj.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: row.kind})
			err := NewScopedReader(below, kinds(), clientgoscheme.Scheme).Get(t.Context(), client.ObjectKey{Namespace: row.namespace, Name: "x"}, obj)
			if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
				t.Errorf("got error %v, want one that says %q", err, row.want)
			}
			if IsScopeError(err) != row.scope || apierrors.IsNotFound(err) != row.scope {
				t.Errorf("IsScopeError(%v) is %t", err, !row.scope)
			}
			if below.reads != row.reads {
				t.Errorf("the API server was asked %d times, want %d", below.reads, row.reads)
			}
		})
	}
}

func TestScopedReaderKeepsAnUnknownKindAnUnknownKind(t *testing.T) {
	err := CheckScope(kinds(), schema.GroupVersionKind{Group: "example.test", Version: "v1", Kind: "Gadget"}, client.ObjectKey{Namespace: "a", Name: "x"})
	if !meta.IsNoMatchError(err) {
		t.Errorf("callers wait for a kind to appear, and can't tell it from %v", err)
	}
}

func TestScopedReaderList(t *testing.T) {
	rows := map[string]struct {
		list      client.ObjectList
		namespace string
		scope     bool
	}{
		"Pods of a namespace":               {list: &corev1.PodList{}, namespace: "a"},
		"Pods of all namespaces":            {list: &corev1.PodList{}},
		"all Nodes":                         {list: &corev1.NodeList{}},
		"Nodes of a namespace, which are 0": {list: &corev1.NodeList{}, namespace: "a", scope: true},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			below := &careless{}
			err := NewScopedReader(below, kinds(), clientgoscheme.Scheme).List(t.Context(), row.list, client.InNamespace(row.namespace))
			if IsScopeError(err) != row.scope || (below.reads == 0) != row.scope {
				t.Errorf("got error %v after %d reads", err, below.reads)
			}
		})
	}
}
