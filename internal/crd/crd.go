// Package crd knows the CustomResourceDefinitions of this version of the program, and tells
// whether the cluster's are as new. The API server silently drops what it does not know: with
// an old definition a new program loses what it writes into a status.
package crd

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/kubernaut/kubernaut/config/crd"
)

// Command brings the definitions of this version into the cluster.
const Command = "kubectl apply --server-side -k config/crd"

// Kind of a CustomResourceDefinition.
var Kind = schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}

// Shipped returns the definitions of this version.
func Shipped() ([]*unstructured.Unstructured, error) {
	paths, err := fs.Glob(crd.Files, "bases/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("listing the shipped CustomResourceDefinitions: %w", err)
	}
	var all []*unstructured.Unstructured
	for _, path := range paths {
		text, err := crd.Files.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		definition := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(text, &definition.Object); err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		all = append(all, definition)
	}
	return all, nil
}

// Outdated says which definition of the cluster lacks something that this version needs, and
// what; empty: none does. A definition that has more is newer, and good enough.
func Outdated(ctx context.Context, reader client.Reader) (string, error) {
	shipped, err := Shipped()
	if err != nil {
		return "", err
	}
	for _, wanted := range shipped {
		found := &unstructured.Unstructured{}
		found.SetGroupVersionKind(Kind)
		err := reader.Get(ctx, types.NamespacedName{Name: wanted.GetName()}, found)
		if apierrors.IsNotFound(err) {
			return fmt.Sprintf("CustomResourceDefinition %s is missing", wanted.GetName()), nil
		}
		if err != nil {
			return "", fmt.Errorf("reading CustomResourceDefinition %s: %w", wanted.GetName(), err)
		}
		if lacks := lacking(wanted, found); lacks != "" {
			return fmt.Sprintf("CustomResourceDefinition %s is older than this program: it lacks %s", wanted.GetName(), lacks), nil
		}
	}
	return "", nil
}

// lacking returns the first thing that one definition has and another has not. It is pure.
func lacking(wanted, found *unstructured.Unstructured) string {
	has := features(found)
	for _, feature := range features(wanted) {
		if _, there := slices.BinarySearch(has, feature); !there {
			return feature
		}
	}
	return ""
}

// features are what a definition gives an object, sorted: its fields, the values that they
// take, and the rules between them.
func features(definition *unstructured.Unstructured) []string {
	var all []string
	versions, _, _ := unstructured.NestedSlice(definition.Object, "spec", "versions")
	for _, version := range versions {
		v, _ := version.(map[string]any)
		root, _, _ := unstructured.NestedMap(v, "schema", "openAPIV3Schema")
		name, _ := v["name"].(string)
		collect(root, name+" ", &all)
	}
	slices.Sort(all)
	return all
}

func collect(node map[string]any, path string, all *[]string) {
	properties, _ := node["properties"].(map[string]any)
	for name, inner := range properties {
		below := path + "." + name
		*all = append(*all, "the field "+strings.TrimSpace(below))
		descend(inner, below, all)
	}
	descend(node["items"], path+"[]", all)
	descend(node["additionalProperties"], path+"{}", all)
	values, _ := node["enum"].([]any)
	for _, value := range values {
		*all = append(*all, fmt.Sprintf("the value %v of %s", value, path))
	}
	rules, _ := node["x-kubernetes-validations"].([]any)
	for _, rule := range rules {
		r, _ := rule.(map[string]any)
		*all = append(*all, fmt.Sprintf("the rule of %s: %v", path, cmp.Or(r["message"], r["rule"])))
	}
}

func descend(inner any, path string, all *[]string) {
	if node, ok := inner.(map[string]any); ok {
		collect(node, path, all)
	}
}
