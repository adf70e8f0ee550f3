package action

import (
	"context"
	"errors"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

func TestValidate(t *testing.T) {
	spec := Spec{Name: "Act", Parameters: []Parameter{
		{Name: "container", Type: TypeString, Required: true},
		{Name: "resource", Type: TypeString, Enum: []string{"memory", "cpu"}},
		{Name: "revision", Type: TypeInteger, Min: 1, Max: 10},
		{Name: "delta", Type: TypeInteger},
		{Name: "limit", Type: TypeQuantity},
		{Name: "selector", Type: TypeLabels},
	}}
	rows := map[string]struct {
		params Params
		fault  string
	}{
		"the required one is enough":       {params: Params{"container": "web"}},
		"all of them, within their bounds": {params: Params{"container": "web", "resource": "cpu", "revision": "10", "delta": "-3", "limit": "1.5Gi", "selector": "app=web,tier=front"}},
		"the required one is missing":      {params: Params{"resource": "cpu"}, fault: "container is required"},
		"one that is none of them":         {params: Params{"container": "web", "command": "rm -rf /"}, fault: `"command" is not a parameter of Act`},
		"not one of the list":              {params: Params{"container": "web", "resource": "disk"}, fault: "resource is one of memory, cpu"},
		"no integer":                       {params: Params{"container": "web", "revision": "latest"}, fault: "revision is an integer from 1 to 10"},
		"an integer out of bounds":         {params: Params{"container": "web", "revision": "11"}, fault: "revision is an integer from 1 to 10"},
		"no integer where any will do":     {params: Params{"container": "web", "delta": "1e3"}, fault: "delta is an integer"},
		"no quantity":                      {params: Params{"container": "web", "limit": "plenty"}, fault: "limit is a positive quantity"},
		"a quantity of nothing":            {params: Params{"container": "web", "limit": "0"}, fault: "limit is a positive quantity"},
		"a quantity below nothing":         {params: Params{"container": "web", "limit": "-1Gi"}, fault: "limit is a positive quantity"},
		"no labels":                        {params: Params{"container": "web", "selector": "app in (a,b)"}, fault: "selector"},
		"an empty text":                    {params: Params{"container": ""}, fault: "container has 1 to 253 characters"},
		"a text that is too long":          {params: Params{"container": strings.Repeat("x", 254)}, fault: "container has 1 to 253 characters"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			err := spec.Validate(row.params)
			if row.fault == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, ErrInvalidParameters) || !strings.Contains(err.Error(), row.fault) {
				t.Errorf("error %v, want %q", err, row.fault)
			}
		})
	}
	t.Run("every fault is told at once", func(t *testing.T) {
		err := spec.Validate(Params{"resource": "disk", "zzz": "1", "aaa": "1"})
		if want := `invalid parameters: container is required; resource is one of memory, cpu; "aaa" is not a parameter of Act; "zzz" is not a parameter of Act`; err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	})
}

func TestParseLabels(t *testing.T) {
	for text, good := range map[string]bool{
		"app=web": true, "app=web,tier=front": true, "example.test/app=web": true, "app=": true,
		"": false, "app": false, "=web": false, "app==web": false, "app=web,app in (a)": false, "app=we b": false, "-=x": false, "app=" + strings.Repeat("x", 64): false,
	} {
		set, err := ParseLabels(text)
		if good != (err == nil) {
			t.Errorf("%q is %v, %v, want good %t", text, set, err, good)
		}
		if err != nil {
			continue
		}
		if again, err := ParseLabels(FormatLabels(set)); err != nil || FormatLabels(again) != FormatLabels(set) {
			t.Errorf("%q is printed as %q, which is %v, %v", text, FormatLabels(set), again, err)
		}
	}
}

func FuzzParseLabels(f *testing.F) {
	f.Add("app=web,tier=front")
	f.Add("a/b=c,d=")
	f.Add("=,=")
	f.Fuzz(func(t *testing.T, text string) {
		set, err := ParseLabels(text)
		if err != nil {
			return
		}
		again, err := ParseLabels(FormatLabels(set))
		if err != nil || len(again) != len(set) {
			t.Errorf("%q is %v, printed and read again %v, %v", text, set, again, err)
		}
	})
}

func patchOf(change func(*Operation)) Plan {
	op := Operation{Operation: v1alpha1.Operation{
		Verb: v1alpha1.VerbPatch, Object: v1alpha1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "a", Name: "web"},
		Precondition: v1alpha1.Precondition{UID: "u1", Fields: []v1alpha1.FieldValue{{Path: "/spec/a", Value: raw(`{"x":1,"y":2}`)}}},
		Body:         raw(`[{"op":"replace","path":"/spec/a","value":{"x":1,"y":3}}]`),
	}}
	undo := op.Operation
	undo.Body = raw(`[{"op":"replace","path":"/spec/a","value":{"x":1,"y":2}}]`)
	op.Undo = &undo
	if change != nil {
		change(&op)
	}
	return Plan{Operations: []Operation{op}}
}

func raw(text string) *apiextensionsv1.JSON { return &apiextensionsv1.JSON{Raw: []byte(text)} }

func digestOf(t *testing.T, plans ...Plan) string {
	t.Helper()
	text, err := Digest(plans...)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestDigestIsOfEverythingThatCounts(t *testing.T) {
	first := digestOf(t, patchOf(nil))
	if len(first) != 74 || !strings.HasPrefix(first, "v1:sha256:") {
		t.Fatalf("digest %q", first)
	}
	same := map[string]Plan{
		"the keys of a body come in another order": patchOf(func(op *Operation) { op.Body = raw(` [ {"path":"/spec/a","value":{"y":3,"x":1},"op":"replace"} ]`) }),
		"the keys of a tested value do": patchOf(func(op *Operation) {
			op.Precondition.Fields = []v1alpha1.FieldValue{{Path: "/spec/a", Value: raw(`{"y":2,"x":1}`)}}
		}),
		"there are more pods now": {Operations: patchOf(nil).Operations, Pods: 7},
	}
	for name, plan := range same {
		t.Run("it is the same when "+name, func(t *testing.T) {
			if got := digestOf(t, plan); got != first {
				t.Errorf("digest %s, want %s", got, first)
			}
		})
	}
	others := map[string]Plan{
		"the verb is another":        patchOf(func(op *Operation) { op.Verb = v1alpha1.VerbDelete }),
		"the object is another":      patchOf(func(op *Operation) { op.Object.Name = "api" }),
		"the namespace is another":   patchOf(func(op *Operation) { op.Object.Namespace = "b" }),
		"the subresource is another": patchOf(func(op *Operation) { op.Subresource = "scale" }),
		"the incarnation is another": patchOf(func(op *Operation) { op.Precondition.UID = "u2" }),
		"a tested field has another value": patchOf(func(op *Operation) {
			op.Precondition.Fields = []v1alpha1.FieldValue{{Path: "/spec/a", Value: raw(`{"x":1}`)}}
		}),
		"a tested field must be absent": patchOf(func(op *Operation) { op.Precondition.Fields = []v1alpha1.FieldValue{{Path: "/spec/a"}} }),
		"one more field is tested": patchOf(func(op *Operation) {
			op.Precondition.Fields = append(op.Precondition.Fields, v1alpha1.FieldValue{Path: "/b"})
		}),
		"the body is another":                        patchOf(func(op *Operation) { op.Body = raw(`[]`) }),
		"it is done only to a pod that is not ready": patchOf(func(op *Operation) { op.Precondition.Unready = true }),
		"a number is written otherwise":              patchOf(func(op *Operation) { op.Body = raw(`[{"op":"replace","path":"/spec/a","value":{"x":1.0,"y":3}}]`) }),
		"the undo is another":                        patchOf(func(op *Operation) { op.Undo.Body = raw(`[]`) }),
		"there is no undo":                           patchOf(func(op *Operation) { op.Undo = nil }),
		"there is no operation":                      {},
		"there are two":                              {Operations: append(patchOf(nil).Operations, patchOf(nil).Operations...)},
	}
	seen := map[string]string{first: "the first plan"}
	for name, plan := range others {
		got := digestOf(t, plan)
		if before, taken := seen[got]; taken {
			t.Errorf("when %s the digest is the same as when %s", name, before)
		}
		seen[got] = name
	}
	if digestOf(t, patchOf(nil), Plan{}) == digestOf(t, Plan{}, patchOf(nil)) {
		t.Error("the order of steps counts")
	}
}

func TestDigestStaysTheSameFromVersionToVersion(t *testing.T) {
	evict := patchOf(func(op *Operation) {
		op.Verb, op.Body, op.Undo = v1alpha1.VerbEvict, nil, nil
		op.Object.APIVersion, op.Object.Kind, op.Precondition.Fields = "v1", "Pod", nil
	})
	for name, row := range map[string]struct {
		plan Plan
		want string
	}{
		"patch":    {patchOf(nil), "v1:sha256:3c409cc573a29becda285c76c2917447448670ae7f96e38bcb6c0ceaf7a0d3c5"},
		"eviction": {evict, "v1:sha256:52382fffe69ba2d22fe6205a736460377fd777c9402908d5e1ec19b304d695bb"},
	} {
		if got := digestOf(t, row.plan); got != row.want {
			t.Errorf("the digest of the %s is %s; an approval given before this version names %s", name, got, row.want)
		}
	}
}

type named string

func (n named) Spec() Spec { return Spec{Name: string(n)} }

func (named) Plan(context.Context, World, Target, Params) (Plan, error) { return Plan{}, nil }

func (named) Settled(context.Context, World, Target, Plan) (Progress, error) { return Progress{}, nil }

func TestCatalog(t *testing.T) {
	catalog, err := NewCatalog(named("B"), named("A"))
	if err != nil {
		t.Fatal(err)
	}
	if found, err := catalog.Find("A"); err != nil || found != named("A") {
		t.Errorf("found %v, %v, want A", found, err)
	}
	if _, err := catalog.Find("kubectl delete"); !errors.Is(err, ErrUnknownAction) {
		t.Errorf("error %v, want %v", err, ErrUnknownAction)
	}
	if specs := catalog.Specs(); len(specs) != 2 || specs[0].Name != "B" || specs[1].Name != "A" {
		t.Errorf("specs %v, want B and A, as given", specs)
	}
	if _, err := NewCatalog(named("A"), named("A")); err == nil {
		t.Error("two actions of one name make no catalogue")
	}
}

func TestHealthy(t *testing.T) {
	for _, r := range []Revision{{ReadyPods: 1}, {WasAvailable: true}} {
		if !r.Healthy() {
			t.Errorf("%+v is healthy", r)
		}
	}
	if (Revision{Current: true}).Healthy() {
		t.Error("being asked for shows nothing")
	}
}
