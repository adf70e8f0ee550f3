package plan

import (
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/pkg/action"
)

func TestDiff(t *testing.T) {
	rows := map[string]struct {
		op   v1alpha1.Operation
		want string
	}{
		"shows what is there and what would be, by the container's name": {
			op: patch("Deployment", `[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"web:1"}]`,
				field("/spec/template/spec/containers/0/name", `"web"`), field("/spec/template/spec/containers/0/image", `"web:2"`)),
			want: "patch Deployment/shop in prod\n" +
				"- spec.template.spec.containers[web].image: web:2\n" +
				"+ spec.template.spec.containers[web].image: web:1\n",
		},
		"shows only what would be where nothing is there": {
			op:   patch("Deployment", `[{"op":"add","path":"/metadata/annotations/a~1b","value":"1"}]`),
			want: "patch Deployment/shop in prod\n+ metadata.annotations.a/b: \"1\"\n",
		},
		"shows only what is there where it would be removed": {
			op:   patch("Deployment", `[{"op":"remove","path":"/spec/paused"}]`, field("/spec/paused", `true`)),
			want: "patch Deployment/shop in prod\n- spec.paused: true\n",
		},
		"hides the value of an env variable, not its name": {
			op: patch("Deployment", `[{"op":"replace","path":"/spec/template/spec/containers/0/env","value":[{"name":"KEY","value":"s3cret"}]}]`),
			want: "patch Deployment/shop in prod\n" +
				"+ spec.template.spec.containers.0.env:\n" +
				"+   - name: KEY\n" +
				"+     value: <redacted>\n",
		},
		"hides an env value that is set by itself": {
			op:   patch("Deployment", `[{"op":"replace","path":"/spec/template/spec/containers/0/env/1/value","value":"s3cret"}]`),
			want: "patch Deployment/shop in prod\n+ spec.template.spec.containers.0.env.1.value: <redacted>\n",
		},
		"hides env values inside a whole template": {
			op: patch("Deployment", `[{"op":"replace","path":"/spec/template/spec","value":{"containers":[{"env":[{"name":"KEY","value":"s3cret"}]}]}}]`),
			want: "patch Deployment/shop in prod\n" +
				"+ spec.template.spec:\n" +
				"+   containers:\n" +
				"+   - env:\n" +
				"+     - name: KEY\n" +
				"+       value: <redacted>\n",
		},
		"hides what looks like a secret in arguments, and what follows a flag that names one": {
			op: patch("Deployment", `[{"op":"replace","path":"/spec/template/spec/containers/0/args","value":["--password=s3cret","--api-token","s3cret","--port","8080","postgres://shop:s3cret@db/shop"]}]`),
			want: "patch Deployment/shop in prod\n" +
				"+ spec.template.spec.containers.0.args:\n" +
				"+   - --password=[redacted]\n" +
				"+   - --api-token\n" +
				"+   - '[redacted]'\n" +
				"+   - --port\n" +
				"+   - \"8080\"\n" +
				"+   - postgres://[redacted]@db/shop\n",
		},
		"hides what is a secret to the program of the command only": {
			op: patch("Deployment", `[{"op":"replace","path":"/spec/template/spec/containers/0/command","value":["mysql","-uroot","-ps3cret"]},`+
				`{"op":"replace","path":"/spec/template/spec/containers/1","value":{"args":["-a","s3cret","-p","6379"],"command":["redis-cli"]}},`+
				`{"op":"replace","path":"/spec/template/spec/containers/2/command","value":["sh","-c","curl -u jo:s3cret web"]}]`),
			want: "patch Deployment/shop in prod\n" +
				"+ spec.template.spec.containers.0.command:\n" +
				"+   - mysql\n" +
				"+   - -uroot\n" +
				"+   - -p[redacted]\n" +
				"+ spec.template.spec.containers.1:\n" +
				"+   args:\n" +
				"+   - -a\n" +
				"+   - '[redacted]'\n" +
				"+   - -p\n" +
				"+   - \"6379\"\n" +
				"+   command:\n" +
				"+   - redis-cli\n" +
				"+ spec.template.spec.containers.2.command:\n" +
				"+   - sh\n" +
				"+   - -c\n" +
				"+   - curl -u [redacted] web\n",
		},
		"hides an annotation that names a secret": {
			op:   patch("Deployment", `[{"op":"replace","path":"/spec/template/metadata/annotations/shop.example~1api-token","value":"s3cret"}]`),
			want: "patch Deployment/shop in prod\n+ spec.template.metadata.annotations.shop.example/api-token: '[redacted]'\n",
		},
		"hides a header that names a secret, inside a whole template": {
			op: patch("Deployment", `[{"op":"replace","path":"/spec/template/spec","value":{"containers":[{"livenessProbe":{"httpGet":{"httpHeaders":[{"name":"X-Auth-Token","value":"s3cret"}]}}}],"automountServiceAccountToken":false,"volumes":[{"secret":{"secretName":"db"}}]}}]`),
			want: "patch Deployment/shop in prod\n" +
				"+ spec.template.spec:\n" +
				"+   automountServiceAccountToken: false\n" +
				"+   containers:\n" +
				"+   - livenessProbe:\n" +
				"+       httpGet:\n" +
				"+         httpHeaders:\n" +
				"+         - name: X-Auth-Token\n" +
				"+           value: '[redacted]'\n" +
				"+   volumes:\n" +
				"+   - secret:\n" +
				"+       secretName: db\n",
		},
		"hides the data of a ConfigMap": {
			op:   patch("ConfigMap", `[{"op":"replace","path":"/data/app.conf","value":"password=s3cret"}]`, field("/data/app.conf", `"old"`)),
			want: "patch ConfigMap/shop in prod\n- data.app.conf: <redacted>\n+ data.app.conf: <redacted>\n",
		},
		"says of an eviction when it is done": {
			op:   v1alpha1.Operation{Verb: v1alpha1.VerbEvict, Object: object("Pod"), Precondition: v1alpha1.Precondition{UID: "u", Unready: true}},
			want: "evict Pod/shop in prod, only if it is not ready when its turn comes\n",
		},
		"says all about a deletion in one line": {
			op:   v1alpha1.Operation{Verb: v1alpha1.VerbDelete, Object: object("Pod")},
			want: "delete Pod/shop in prod\n",
		},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			got := Diff(action.Plan{Operations: []action.Operation{{Operation: row.op}}})
			if got != row.want {
				t.Errorf("got\n%s\nwant\n%s", got, row.want)
			}
		})
	}
}

func TestUndoDiff(t *testing.T) {
	first, second := patch("Deployment", `[]`), patch("Service", `[]`)
	both := action.Plan{Operations: []action.Operation{{Undo: &first}, {Undo: &second}}}
	if got := UndoDiff(both); !strings.HasPrefix(got, "patch Service/shop") {
		t.Errorf("the last operation is taken back first, got\n%s", got)
	}
	if got := UndoDiff(action.Plan{Operations: []action.Operation{{Undo: &first}, {}}}); got != "" {
		t.Errorf("a plan with an operation that can't be undone has no undo, got\n%s", got)
	}
}

func TestNewCutsALongDiffAndSaysHowLongItIs(t *testing.T) {
	long := patch("Deployment", `[{"op":"add","path":"/metadata/annotations/a","value":"`+strings.Repeat("x", 2*MaxDiff)+`"}]`)
	made, err := New(Step{Name: "remedy", Plan: action.Plan{Operations: []action.Operation{{Operation: long}}}})
	if err != nil {
		t.Fatal(err)
	}
	if shown := made.Status.Steps[0].Diff; len(shown) > MaxDiff || !strings.Contains(shown, "can't be approved") {
		t.Errorf("a diff of %d bytes is shown with its end %q", len(shown), shown[max(0, len(shown)-80):])
	}
	if made.DiffBytes < 2*MaxDiff {
		t.Errorf("DiffBytes is %d, of a diff longer than %d", made.DiffBytes, 2*MaxDiff)
	}
}

func TestOurs(t *testing.T) {
	ar := &v1alpha1.AlertRemediation{ObjectMeta: metav1.ObjectMeta{Name: "ar-1", Namespace: "prod", UID: "a"}}
	ar.Status.Plan = &v1alpha1.PlanStatus{Digest: "v1:sha256:1", Steps: []v1alpha1.PlanStep{{Name: "remedy", Target: v1alpha1.TargetReference{UID: "t"}}}}
	rows := map[string]struct {
		change func(*v1alpha1.WorkflowRun)
		ours   bool
	}{
		"the run we made is ours":                   {change: func(*v1alpha1.WorkflowRun) {}, ours: true},
		"a run without an owner is not":             {change: func(r *v1alpha1.WorkflowRun) { r.OwnerReferences = nil }},
		"a run of another remediation is not":       {change: func(r *v1alpha1.WorkflowRun) { r.OwnerReferences[0].UID = types.UID("b") }},
		"a run for another plan is not":             {change: func(r *v1alpha1.WorkflowRun) { r.Spec.PlanDigest = "v1:sha256:2" }},
		"a run about another incarnation is not":    {change: func(r *v1alpha1.WorkflowRun) { r.Spec.Target.UID = "u" }},
		"a run that undoes instead of doing is not": {change: func(r *v1alpha1.WorkflowRun) { r.Spec.Undoes = "ar-1-run-0" }},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			found := Run(ar, 1)
			row.change(found)
			if err := Ours(found, Run(ar, 1)); (err == nil) != row.ours {
				t.Errorf("ours: %t, got %v", row.ours, err)
			}
		})
	}
}

func object(kind string) v1alpha1.ObjectReference {
	return v1alpha1.ObjectReference{APIVersion: "apps/v1", Kind: kind, Namespace: "prod", Name: "shop"}
}

func patch(kind, body string, fields ...v1alpha1.FieldValue) v1alpha1.Operation {
	return v1alpha1.Operation{
		Verb: v1alpha1.VerbPatch, Object: object(kind),
		Precondition: v1alpha1.Precondition{UID: "t", Fields: fields},
		Body:         &apiextensionsv1.JSON{Raw: []byte(body)},
	}
}

func field(path, value string) v1alpha1.FieldValue {
	return v1alpha1.FieldValue{Path: path, Value: &apiextensionsv1.JSON{Raw: []byte(value)}}
}

func TestNotChecked(t *testing.T) {
	var unchecked []string
	for range maxNotChecked + 2 {
		unchecked = append(unchecked, "Secret/db")
	}
	made, err := New(Step{Name: "remedy", Plan: action.Plan{NotChecked: unchecked}})
	if err != nil {
		t.Fatal(err)
	}
	shown := made.Status.Steps[0].NotChecked
	if len(shown) != maxNotChecked || shown[maxNotChecked-1] != "3 more" {
		t.Errorf("it shows %q, want %d entries and that there are 3 more", shown, maxNotChecked-1)
	}
	bare, err := New(Step{Name: "remedy"})
	if err != nil {
		t.Fatal(err)
	}
	if made.Status.Digest != bare.Status.Digest {
		t.Error("what was not checked is no part of the digest")
	}
}
