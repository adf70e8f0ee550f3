package actions

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/jsonpatch"
	"github.com/kubernaut/kubernaut/pkg/action"
)

func TestJudgeSelection(t *testing.T) {
	workload := func(name string, ready int32, pairs ...string) candidate {
		own := map[string]string{}
		for _, pair := range pairs {
			key, value, _ := strings.Cut(pair, "=")
			own[key] = value
		}
		c := candidate{name: "Deployment/" + name}
		c.ready, c.template.Labels, c.selector = ready, own, &metav1.LabelSelector{MatchLabels: own}
		return c
	}
	pod := func(labels map[string]string) corev1.Pod {
		return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Labels: labels}}
	}
	rows := map[string]struct {
		all  []candidate
		pods []corev1.Pod
		good bool
	}{
		"one ready workload":                    {all: []candidate{workload("web", 1, "app=web"), workload("api", 1, "app=api")}, good: true},
		"one ready workload and its pods":       {all: []candidate{workload("web", 1, "app=web")}, pods: []corev1.Pod{pod(map[string]string{"app": "web", "hash": "x"})}, good: true},
		"none":                                  {all: []candidate{workload("api", 1, "app=api")}},
		"one that is not ready":                 {all: []candidate{workload("web", 0, "app=web")}},
		"two, even if only one is ready":        {all: []candidate{workload("web", 1, "app=web"), workload("canary", 0, "app=web", "track=canary")}},
		"one, and a pod that belongs elsewhere": {all: []candidate{workload("web", 1, "app=web", "tier=front")}, pods: []corev1.Pod{pod(map[string]string{"app": "web"})}},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			_, err := judgeSelection(row.all, row.pods, map[string]string{"app": "web"})
			if !row.good {
				wantRefusal(t, err)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestStages(t *testing.T) {
	rows := map[string]struct {
		observed int64
		pods     counts
		done     bool
	}{
		"all new ones are there and available":  {observed: 2, pods: counts{wanted: 3, all: 3, updated: 3, available: 3}, done: true},
		"nothing is wanted and nothing is left": {observed: 2, done: true},
		"the controller has not seen it":        {observed: 1, pods: counts{wanted: 3, all: 3, updated: 3, available: 3}},
		"one has the old template":              {observed: 2, pods: counts{wanted: 3, all: 3, updated: 2, available: 3}},
		"an old one is left over":               {observed: 2, pods: counts{wanted: 3, all: 4, updated: 3, available: 3}},
		"one is not available":                  {observed: 2, pods: counts{wanted: 3, all: 3, updated: 3, available: 2}},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			got := stages(2, row.observed, row.pods)
			if got.Done != row.done || got.Failed || got.Message == "" {
				t.Errorf("progress %+v, want done %t", got, row.done)
			}
		})
	}
}

func TestPatch(t *testing.T) {
	target := action.Target{ObjectReference: v1alpha1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "a", Name: "web"}, UID: "u"}
	at := jsonpatch.Pointer{"spec"}
	t.Run("each side tests what the other writes, and the names on the way", func(t *testing.T) {
		before := map[string]any{"l": []any{map[string]any{"name": "x", "v": int64(1)}}}
		after := map[string]any{"l": []any{map[string]any{"name": "x", "v": int64(2), "new": true}}}
		op, err := patch(target, jsonpatch.Diff(at, before, after), true)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := string(op.Body.Raw), `[{"op":"add","path":"/spec/l/0/new","value":true},{"op":"replace","path":"/spec/l/0/v","value":2}]`; got != want {
			t.Errorf("body %s, want %s", got, want)
		}
		if got, want := string(op.Undo.Body.Raw), `[{"op":"remove","path":"/spec/l/0/new"},{"op":"replace","path":"/spec/l/0/v","value":1}]`; got != want {
			t.Errorf("undo %s, want %s", got, want)
		}
		if got, want := tested(op.Operation), `/spec/l/0/name="x" /spec/l/0/new /spec/l/0/v=1`; got != want {
			t.Errorf("tests %s, want %s", got, want)
		}
		if got, want := tested(*op.Undo), `/spec/l/0/name="x" /spec/l/0/new=true /spec/l/0/v=2`; got != want {
			t.Errorf("the undo tests %s, want %s", got, want)
		}
		if op.Precondition.UID != "u" || op.Undo.Precondition.UID != "u" {
			t.Error("both are about one incarnation")
		}
	})
	t.Run("nothing to change is nothing to do", func(t *testing.T) {
		_, err := patch(target, jsonpatch.Diff(at, map[string]any{"a": true}, map[string]any{"a": true}), true)
		wantRefusal(t, err)
	})
	t.Run("a change that a run could not record is refused", func(t *testing.T) {
		large := strings.Repeat("x", maxOperation/2)
		_, err := patch(target, jsonpatch.Diff(at, map[string]any{"a": "y"}, map[string]any{"a": large}), true)
		wantRefusal(t, err)
	})
	t.Run("a change of more fields than a precondition can test is refused", func(t *testing.T) {
		after := map[string]any{}
		for i := range maxFields + 1 {
			after[strings.Repeat("k", i+1)] = true
		}
		_, err := patch(target, jsonpatch.Diff(at, map[string]any{}, after), true)
		wantRefusal(t, err)
	})
}

// tested prints a precondition's fields.
func tested(op v1alpha1.Operation) string {
	var fields []string
	for _, f := range op.Precondition.Fields {
		text := f.Path
		if f.Value != nil {
			text += "=" + string(f.Value.Raw)
		}
		fields = append(fields, text)
	}
	return strings.Join(fields, " ")
}

func TestEscalateChangesNothing(t *testing.T) {
	plan, err := escalate{}.Plan(context.Background(), action.World{}, action.Target{}, action.Params{"reason": "two causes are as likely"})
	if err != nil || len(plan.Operations) != 0 {
		t.Errorf("plan %+v, %v, want one without operations", plan, err)
	}
	if progress, err := (escalate{}).Settled(context.Background(), action.World{}, action.Target{}, plan); err != nil || !progress.Done {
		t.Errorf("progress %+v, %v, want done", progress, err)
	}
}

func TestCatalogue(t *testing.T) {
	catalog, err := action.NewCatalog(All()...)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range catalog.Specs() {
		t.Run(spec.Name, func(t *testing.T) {
			if spec.Summary == "" || spec.Risk == "" {
				t.Error("it needs a summary and a risk")
			}
			if (spec.Level == action.LevelNone) != (len(spec.Rules) == 0) {
				t.Error("what needs rights needs a level of grant, and the other way round")
			}
			for _, p := range spec.Parameters {
				if p.Name == "" || p.Type == "" || p.Description == "" {
					t.Errorf("parameter %+v is not described", p)
				}
			}
		})
	}
}
