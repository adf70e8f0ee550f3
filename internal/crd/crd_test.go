package crd_test

import (
	"context"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/crd"
)

// stored is a cluster with these definitions, by name.
type stored struct {
	client.Reader
	all   map[string]*unstructured.Unstructured
	reads int
}

const (
	runs     = "workflowruns.kubernaut.io"
	policies = "remediationpolicies.kubernaut.io"
)

func shipped(t *testing.T) *stored {
	t.Helper()
	definitions, err := crd.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	s := &stored{all: map[string]*unstructured.Unstructured{}}
	for _, d := range definitions {
		s.all[d.GetName()] = d
	}
	if len(s.all) < 3 {
		t.Fatalf("only %d definitions are shipped", len(s.all))
	}
	return s
}

func (s *stored) Get(_ context.Context, key client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	s.reads++
	found, ok := s.all[key.Name]
	if !ok {
		return apierrors.NewNotFound(schema.GroupResource{Group: crd.Kind.Group, Resource: "customresourcedefinitions"}, key.Name)
	}
	found.DeepCopyInto(obj.(*unstructured.Unstructured))
	return nil
}

// node returns a part of the schema of WorkflowRun, to be changed.
func (s *stored) node(path ...string) map[string]any {
	version := s.all[runs].Object["spec"].(map[string]any)["versions"].([]any)[0].(map[string]any)
	at := version["schema"].(map[string]any)["openAPIV3Schema"].(map[string]any)
	for _, name := range path {
		at = at[name].(map[string]any)
	}
	return at
}

func TestOutdated(t *testing.T) {
	rows := map[string]struct {
		change func(*stored)
		says   string
	}{
		"as shipped": {func(*stored) {}, ""},
		"a newer one has more": {func(s *stored) {
			s.node("properties", "status", "properties")["later"] = map[string]any{"type": "string"}
		}, ""},
		"other words in a description": {func(s *stored) { s.node("properties", "status")["description"] = "other" }, ""},
		"an old one lacks a field": {func(s *stored) { delete(s.node("properties", "status", "properties"), "guards") },
			runs + " is older than this program: it lacks the field v1alpha1 .status.guards"},
		"it lacks a field far below": {func(s *stored) {
			delete(s.node("properties", "status", "properties", "steps", "items", "properties", "operations", "items", "properties"), "undo")
		}, "lacks the field v1alpha1 .status.steps[].operations[].undo"},
		"it lacks a rule": {func(s *stored) { delete(s.node("properties", "spec"), "x-kubernetes-validations") }, "lacks the rule of v1alpha1 .spec: "},
		"one is missing":  {func(s *stored) { delete(s.all, policies) }, policies + " is missing"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			s := shipped(t)
			row.change(s)
			got, err := crd.Outdated(t.Context(), s)
			if err != nil || (got == "") != (row.says == "") || !strings.Contains(got, row.says) {
				t.Errorf("got %q (%v), want %q", got, err, row.says)
			}
		})
	}
}

func TestTheDefinitionsAreReadSeldom(t *testing.T) {
	s, clk := shipped(t), clocktesting.NewFakeClock(time.Now())
	w := crd.NewWatcher(s, clk)
	ask := func() string {
		t.Helper()
		says, err := w.Outdated(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return says
	}
	ask()
	once := s.reads
	delete(s.all, runs)
	if ask() != "" || s.reads != once {
		t.Errorf("they were read %d times within 30 s, want %d", s.reads, once)
	}
	clk.Step(30 * time.Second)
	if ask() == "" {
		t.Error("a definition that is gone was not noticed after 30 s")
	}
}
