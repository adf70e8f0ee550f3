package gate

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

var web = v1alpha1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "web"}

func TestOpenKeepsNoMoreTenantsThanItMay(t *testing.T) {
	g := New(&rest.Config{Host: "https://127.0.0.1:1"}, runtime.NewScheme(), meta.NewDefaultRESTMapper(nil), "")
	first, err := g.Open("ns-0")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := g.Open("ns-0"); err != nil || again != first {
		t.Errorf("got %p, %v, want %p again", again, err, first)
	}
	for i := range 2 * maxTenants {
		if _, err := g.Open(fmt.Sprint("ns-", i)); err != nil {
			t.Fatal(err)
		}
	}
	if len(g.tenants) > maxTenants {
		t.Errorf("%d tenants are kept, at most %d should be", len(g.tenants), maxTenants)
	}
}

func body(text string) *apiextensionsv1.JSON { return &apiextensionsv1.JSON{Raw: []byte(text)} }

// expecting is a patch of web that expects these fields, given as path, value, path, value; no value: absent.
func expecting(patch string, fields ...string) v1alpha1.Operation {
	op := v1alpha1.Operation{Verb: v1alpha1.VerbPatch, Object: web, Precondition: v1alpha1.Precondition{UID: "u1"}, Body: body(patch)}
	for i := 0; i < len(fields); i += 2 {
		field := v1alpha1.FieldValue{Path: fields[i]}
		if fields[i+1] != "" {
			field.Value = body(fields[i+1])
		}
		op.Precondition.Fields = append(op.Precondition.Fields, field)
	}
	return op
}

func TestPatchBody(t *testing.T) {
	rows := map[string]struct {
		op   v1alpha1.Operation
		want string
	}{
		"the tests come first, an absent field is tested as null": {
			op:   expecting(`[{"op":"replace","path":"/spec/a","value":2},{"op":"add","path":"/spec/b","value":{}}]`, "/spec/a", "1", "/spec/b", ""),
			want: `[{"op":"test","path":"/metadata/uid","value":"u1"},{"op":"test","path":"/spec/a","value":1},{"op":"test","path":"/spec/b","value":null},{"op":"replace","path":"/spec/a","value":2},{"op":"add","path":"/spec/b","value":{}}]`,
		},
		"what writes what it expects to find is never sent":   {op: expecting(`[{"op":"replace","path":"/spec/a","value":{"x":1,"y":2}}]`, "/spec/a", `{"y":2,"x":1}`)},
		"what removes what should not be there is never sent": {op: expecting(`[{"op":"remove","path":"/spec/a"}]`, "/spec/a", "")},
		"a body with a test of its own is never sent":         {op: expecting(`[{"op":"test","path":"/spec/a","value":1}]`)},
		"a body that copies is never sent":                    {op: expecting(`[{"op":"copy","path":"/spec/a","from":"/spec/b"}]`)},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			got, err := patchBody(row.op)
			var rejected *Rejected
			if row.want == "" && !errors.As(err, &rejected) || row.want != "" && err != nil || string(got) != row.want {
				t.Errorf("sends %s, %v, want %s", got, err, row.want)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	kinds := meta.NewDefaultRESTMapper(nil)
	kinds.Add(appsv1.SchemeGroupVersion.WithKind("Deployment"), meta.RESTScopeNamespace)
	kinds.Add(corev1.SchemeGroupVersion.WithKind("Node"), meta.RESTScopeRoot)
	tenant := &Tenant{namespace: "shop", mapper: kinds}
	rows := map[string]func(*v1alpha1.Operation){
		"another namespace": func(op *v1alpha1.Operation) { op.Object.Namespace = "other" },
		"no namespace":      func(op *v1alpha1.Operation) { op.Object.Namespace = "" },
		"a Node that says it is in the namespace": func(op *v1alpha1.Operation) {
			op.Object.APIVersion, op.Object.Kind = "v1", "Node"
		},
		"a patch of any incarnation":        func(op *v1alpha1.Operation) { op.Precondition.UID = "" },
		"a patch of what must be absent":    func(op *v1alpha1.Operation) { op.Precondition.Absent = true },
		"a patch of nothing":                func(op *v1alpha1.Operation) { op.Body = nil },
		"a create of what may exist":        func(op *v1alpha1.Operation) { op.Verb = v1alpha1.VerbCreate },
		"a delete with a body":              func(op *v1alpha1.Operation) { op.Verb = v1alpha1.VerbDelete },
		"a patch only of what is not ready": func(op *v1alpha1.Operation) { op.Precondition.Unready = true },
		"a delete only of what is not ready": func(op *v1alpha1.Operation) {
			op.Verb, op.Body, op.Precondition.Unready = v1alpha1.VerbDelete, nil, true
		},
		"a verb that does not exist": func(op *v1alpha1.Operation) { op.Verb = "update" },
		"a delete that would test a field": func(op *v1alpha1.Operation) {
			op.Verb, op.Body, op.Precondition.Fields = v1alpha1.VerbDelete, nil, []v1alpha1.FieldValue{{Path: "/a"}}
		},
	}
	good := expecting(`[{"op":"add","path":"/spec/a","value":1}]`)
	if err := tenant.check(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range rows {
		t.Run("never sends "+name, func(t *testing.T) {
			op := *good.DeepCopy()
			spoil(&op)
			var rejected *Rejected
			if err := tenant.check(op); !errors.As(err, &rejected) {
				t.Errorf("error %v, want a *Rejected", err)
			}
		})
	}
}

func TestCodeIsZeroForWhatIsNoVerdict(t *testing.T) {
	status := func(code int32) error {
		return fmt.Errorf("sending: %w", &apierrors.StatusError{ErrStatus: metav1.Status{Code: code}})
	}
	for code32, want := range map[int32]int{400: 400, 401: 0, 403: 403, 404: 404, 408: 0, 409: 409, 422: 422, 429: 0, 500: 0, 504: 0} {
		if got := code(status(code32)); got != want {
			t.Errorf("%d is verdict %d, want %d", code32, got, want)
		}
	}
	if code(errors.New("connection refused")) != 0 || code(nil) != 0 {
		t.Error("no answer is no verdict")
	}
}

func TestDeniedSaysWhoMayNotDoWhatAndWhatHelps(t *testing.T) {
	const remediator = "system:serviceaccount:shop:kubernaut-remediator"
	const helps = "; to let it: kubectl kubernaut grant shop --level full | kubectl apply -f -"
	rows := map[string]struct {
		need  authorizationv1.ResourceAttributes
		grant string
		want  string
	}{
		"a workload":    {authorizationv1.ResourceAttributes{Verb: "patch", Group: "apps", Resource: "deployments", Namespace: "shop"}, "shop --level full", remediator + " may not patch deployments.apps in namespace shop" + helps},
		"a subresource": {authorizationv1.ResourceAttributes{Verb: "create", Resource: "pods", Subresource: "eviction", Namespace: "shop"}, "shop --level full", remediator + " may not create pods/eviction in namespace shop" + helps},
		"the acting-as": {authorizationv1.ResourceAttributes{Verb: "impersonate", Resource: "serviceaccounts", Name: "kubernaut-remediator", Namespace: "shop"}, "shop --level full", "the operator may not impersonate serviceaccounts kubernaut-remediator in namespace shop" + helps},
		"a node":        {authorizationv1.ResourceAttributes{Verb: "patch", Resource: "nodes"}, "shop --level node", remediator + " may not patch nodes; to let it: kubectl kubernaut grant shop --level node | kubectl apply -f -"},
		"what every account may do, unless somebody forbade it": {authorizationv1.ResourceAttributes{Verb: "create", Group: "authorization.k8s.io", Resource: "selfsubjectaccessreviews"}, "", remediator + " may not create selfsubjectaccessreviews.authorization.k8s.io"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := (&Denied{Actor: Account("shop"), Need: row.need, Grant: row.grant}).Error(); got != row.want {
				t.Errorf("says %q, want %q", got, row.want)
			}
		})
	}
}

func TestWhyIsBoundedAndWithoutValues(t *testing.T) {
	op := expecting(`[{"op":"add","path":"/spec/template/spec/containers/0/env","value":[{"name":"A","value":"hunter2hunter2"}]}]`,
		"/spec/template/spec/containers/0/env/0/value", `"swordfish"`)
	answer := apierrors.NewInvalid(schema.GroupKind{Group: "apps", Kind: "Deployment"}, "web", nil)
	answer.ErrStatus.Message = `env[0].value: Invalid value: "hunter2hunter2" after "swordfish" ` + strings.Repeat("and so on ", 500)
	got := why(op, answer)
	if strings.Contains(got, "hunter2") || strings.Contains(got, "swordfish") || len(got) > maxText {
		t.Errorf("%d bytes: %.120s", len(got), got)
	}
	if code(answer) != http.StatusUnprocessableEntity {
		t.Error("it is a 422 all the same")
	}
}

func TestOpenRefusesWhatIsNoNamespace(t *testing.T) {
	for _, name := range []string{"", "kube-system:default", "../x", strings.Repeat("a", 64)} {
		if _, err := New(nil, nil, nil, "").Open(name); err == nil {
			t.Errorf("opened %q", name)
		}
	}
}

// live is web as an API server would serve it.
func live(t *testing.T, change func(map[string]any)) *unstructured.Unstructured {
	t.Helper()
	var content map[string]any
	text := `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"shop","uid":"u1"},
		"spec":{"template":{"metadata":{},"spec":{"containers":[{"name":"app","image":"web:1","env":[{"name":"T","value":"topsecret"}],
		"resources":{"limits":{"memory":"1Gi"}}}]}}}}`
	if err := json.Unmarshal([]byte(text), &content); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(content)
	}
	return &unstructured.Unstructured{Object: content}
}

func container(content map[string]any) map[string]any {
	list, _, _ := unstructured.NestedFieldNoCopy(content, "spec", "template", "spec", "containers")
	return list.([]any)[0].(map[string]any)
}

func TestJudgePatch(t *testing.T) {
	const at = "/spec/template/spec/containers/0"
	release := expecting(`[{"op":"replace","path":"`+at+`/image","value":"web:2"}]`, at+"/name", `"app"`, at+"/image", `"web:1"`)
	rows := map[string]struct {
		op     v1alpha1.Operation
		change func(map[string]any)
		gone   bool
		want   SeenState
		says   string
	}{
		"what is wanted is there":  {op: release, change: func(c map[string]any) { container(c)["image"] = "web:2" }, want: SeenApplied},
		"what was before is there": {op: release, want: SeenBefore},
		"something else is there": {
			op: release, change: func(c map[string]any) { container(c)["image"] = "web:3" }, want: SeenOther,
			says: `Deployment/web: /spec/template/spec/containers/0/image is "web:3", not "web:1"`,
		},
		"the element is another one": {
			op: release, change: func(c map[string]any) { container(c)["name"], container(c)["image"] = "other", "web:2" }, want: SeenOther,
			says: `Deployment/web: /spec/template/spec/containers/0/name is "other", not "app"`,
		},
		"it is gone":    {op: release, gone: true, want: SeenOther, says: "Deployment/web is gone"},
		"it came anew":  {op: release, change: func(c map[string]any) { c["metadata"].(map[string]any)["uid"] = "u2" }, want: SeenOther, says: "Deployment/web is another one of that name: its uid is u2, not u1"},
		"1024Mi is 1Gi": {op: expecting(`[{"op":"replace","path":"`+at+`/resources/limits/memory","value":"1024Mi"}]`, at+"/resources/limits/memory", `"512Mi"`), want: SeenApplied},
		"an empty object is none": {
			op: expecting(`[{"op":"remove","path":"/spec/template/metadata"}]`, "/spec/template/metadata", `{"labels":{"a":"b"}}`), want: SeenApplied,
		},
		"what is to be absent is there": {op: expecting(`[{"op":"remove","path":"`+at+`/image"}]`, at+"/image", `"web:1"`), want: SeenBefore},
		"what is to be added has no place": {
			op: expecting(`[{"op":"add","path":"`+at+`/livenessProbe/periodSeconds","value":3}]`, at+"/livenessProbe/periodSeconds", ""), want: SeenBefore,
		},
		"two fields, and only one of them written": {
			op: expecting(`[{"op":"replace","path":"`+at+`/image","value":"web:2"},{"op":"replace","path":"`+at+`/resources/limits/memory","value":"2Gi"}]`,
				at+"/image", `"web:1"`, at+"/resources/limits/memory", `"1Gi"`),
			change: func(c map[string]any) { container(c)["image"] = "web:2" }, want: SeenOther,
			says: `Deployment/web: /spec/template/spec/containers/0/image is "web:2", not "web:1"`,
		},
		"an env value is not shown": {
			op:   expecting(`[{"op":"replace","path":"`+at+`/env/0/value","value":"new"}]`, at+"/env/0/value", `"old"`),
			want: SeenOther, says: `Deployment/web: /spec/template/spec/containers/0/env/0/value is [redacted], not [redacted]`,
		},
		"a list is counted, not shown": {
			op:   expecting(`[{"op":"replace","path":"`+at+`/env","value":[]}]`, at+"/env", `[{"name":"T","value":"x"},{"name":"U","value":"y"}]`),
			want: SeenOther, says: `Deployment/web: /spec/template/spec/containers/0/env is a list of 1 elements, not a list of 2 elements`,
		},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			obj := live(t, row.change)
			if row.gone {
				obj = nil
			}
			got, err := judge(row.op, obj)
			if err != nil || got.State != row.want || row.says != "" && got.Says != row.says {
				t.Errorf("seen %+v, %v, want %s: %s", got, err, row.want, row.says)
			}
		})
	}
}

func TestJudgeOfAnEvictionThatDependsOnReadiness(t *testing.T) {
	op := v1alpha1.Operation{
		Verb: v1alpha1.VerbEvict, Object: v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: "shop", Name: "db-2"},
		Precondition: v1alpha1.Precondition{UID: "u1", Unready: true},
	}
	pod := func(uid, conditions string, restarts int, more string) *unstructured.Unstructured {
		obj := &unstructured.Unstructured{}
		if err := obj.UnmarshalJSON(fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"db-2","namespace":"shop","uid":%q%s},
			"status":{"conditions":[%s],"containerStatuses":[{"name":"db","restartCount":%d}]}}`, uid, more, conditions, restarts)); err != nil {
			t.Fatal(err)
		}
		return obj
	}
	const isReady, isNot, isLost = `{"type":"Ready","status":"True"}`, `{"type":"Ready","status":"False"}`, `{"type":"Ready","status":"Unknown"}`
	rows := map[string]struct {
		live *unstructured.Unstructured
		want SeenState
	}{
		"a ready pod is left alone":                       {pod("u1", isReady, 0, ""), SeenUnneeded},
		"so is one with restarts in the past":             {pod("u1", isReady, 9, ""), SeenUnneeded},
		"one that is not ready is evicted":                {pod("u1", isNot, 0, ""), SeenBefore},
		"so is one whose node is lost":                    {pod("u1", isLost, 0, ""), SeenBefore},
		"so is one that was never looked at by a kubelet": {pod("u1", `{"type":"PodScheduled","status":"False"}`, 0, ""), SeenBefore},
		"one that is being deleted is on its way":         {pod("u1", isReady, 0, `,"deletionTimestamp":"2026-03-01T00:00:00Z"`), SeenApplied},
		"a successor is another pod":                      {pod("u2", isNot, 9, ""), SeenApplied},
		"one that is gone is gone":                        {nil, SeenApplied},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got, err := judge(op, row.live); err != nil || got.State != row.want {
				t.Errorf("seen %+v, %v, want %s", got, err, row.want)
			}
		})
	}
	t.Run("whether what is no pod is ready can't be said", func(t *testing.T) {
		broken := pod("u1", isReady, 0, "")
		broken.Object["status"] = "none"
		if got, err := judge(op, broken); err == nil {
			t.Errorf("seen %+v, want an error", got)
		}
	})
}

func TestJudgeOfTheOtherVerbs(t *testing.T) {
	remove := v1alpha1.Operation{Verb: v1alpha1.VerbDelete, Object: web, Precondition: v1alpha1.Precondition{UID: "u1"}}
	make1 := v1alpha1.Operation{
		Verb: v1alpha1.VerbCreate, Object: web, Precondition: v1alpha1.Precondition{Absent: true},
		Body: body(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"shop"},"spec":{"template":{"spec":{"containers":[{"name":"app","image":"web:1"}]}}}}`),
	}
	going := func(t *testing.T) *unstructured.Unstructured {
		return live(t, func(c map[string]any) { c["metadata"].(map[string]any)["deletionTimestamp"] = "2026-03-01T00:00:00Z" })
	}
	evict := remove
	evict.Verb = v1alpha1.VerbEvict
	rows := map[string]struct {
		op   v1alpha1.Operation
		live *unstructured.Unstructured
		want SeenState
	}{
		"a deleted object is gone":                    {remove, nil, SeenApplied},
		"a deleted object is going":                   {remove, going(t), SeenApplied},
		"a deleted object came back as another":       {remove, live(t, func(c map[string]any) { c["metadata"].(map[string]any)["uid"] = "u2" }), SeenApplied},
		"an object that was to be deleted is there":   {remove, live(t, nil), SeenBefore},
		"a pod that was to be evicted is there":       {evict, live(t, nil), SeenBefore},
		"a created object is not there yet":           {make1, nil, SeenBefore},
		"a created object is there, with more in it":  {make1, live(t, nil), SeenApplied},
		"another object of the created one's name is": {make1, live(t, func(c map[string]any) { container(c)["image"] = "evil:1" }), SeenOther},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got, err := judge(row.op, row.live); err != nil || got.State != row.want {
				t.Errorf("seen %+v, %v, want %s", got, err, row.want)
			}
		})
	}
}

func TestLastWriter(t *testing.T) {
	at := func(minute int) *metav1.Time {
		return &metav1.Time{Time: time.Date(2026, 3, 1, 3, minute, 0, 0, time.UTC)}
	}
	image := `{"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"app\"}":{".":{},"f:image":{}}}}}}}`
	whole := `{"f:spec":{"f:template":{}}}`
	rows := map[string]struct {
		entries []metav1.ManagedFieldsEntry
		want    string
	}{
		"the one who owns it":                  {[]metav1.ManagedFieldsEntry{{Manager: "kubectl-edit", Time: at(1), FieldsV1: metav1.NewFieldsV1(image)}}, "kubectl-edit"},
		"the later of two who own it":          {[]metav1.ManagedFieldsEntry{{Manager: "b", Time: at(2), FieldsV1: metav1.NewFieldsV1(image)}, {Manager: "a", Time: at(1), FieldsV1: metav1.NewFieldsV1(image)}}, "b"},
		"who owns all above it owns it":        {[]metav1.ManagedFieldsEntry{{Manager: "argo", Time: at(1), FieldsV1: metav1.NewFieldsV1(whole)}}, "argo"},
		"who owns something else does not":     {[]metav1.ManagedFieldsEntry{{Manager: "hpa", Time: at(1), FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:replicas":{}}}`)}}, ""},
		"another element's owner does not":     {[]metav1.ManagedFieldsEntry{{Manager: "x", Time: at(1), FieldsV1: metav1.NewFieldsV1(strings.ReplaceAll(image, "app", "sidecar"))}}, ""},
		"who owns nothing at all does not":     {[]metav1.ManagedFieldsEntry{{Manager: "x", Time: at(1), FieldsV1: metav1.NewFieldsV1(`{}`)}}, ""},
		"what can't be read names nobody":      {[]metav1.ManagedFieldsEntry{{Manager: "x", Time: at(1), FieldsV1: metav1.NewFieldsV1(`[`)}}, ""},
		"without a time nobody was the latest": {[]metav1.ManagedFieldsEntry{{Manager: "x", FieldsV1: metav1.NewFieldsV1(image)}}, ""},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			got, _ := lastWriter(row.entries, live(t, nil).Object, []string{"spec", "template", "spec", "containers", "0", "image"})
			if got != row.want {
				t.Errorf("it is %q, want %q", got, row.want)
			}
		})
	}
}
