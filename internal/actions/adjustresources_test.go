package actions

import (
	"cmp"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/pkg/action"
)

func limited(memory string) corev1.PodTemplateSpec {
	template := image("web:1")
	if memory != "" {
		template.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(memory)}
	}
	return template
}

// limits makes a history of these limits, newest first; the first is the current one.
func limits(of ...string) []action.Revision {
	var revisions []action.Revision
	for i, memory := range of {
		revisions = append(revisions, action.Revision{Number: int64(len(of) - i), Current: i == 0, Template: limited(memory)})
	}
	return revisions
}

func TestNewLimit(t *testing.T) {
	rows := map[string]struct {
		history   []action.Revision
		container string
		limit     string
		shown     string // of another workload with the image
		factor    string
		want      string
	}{
		"what another workload of the same image has":                {history: limits("5Mi"), limit: "64Mi", shown: "64Mi", want: "64Mi"},
		"more than another workload of the same image has":           {history: limits("5Mi"), limit: "65Mi", shown: "64Mi"},
		"another workload does not lift the default":                 {history: limits("5Mi"), shown: "64Mi", want: "10Mi"},
		"four times the old one, as the larger step":                 {history: limits("64Mi"), factor: "4", want: "256Mi"},
		"the larger step, up to the ceiling":                         {history: limits("128Mi", "64Mi"), factor: "4", want: "256Mi"},
		"the larger step at the ceiling":                             {history: limits("128Mi", "32Mi"), factor: "4"},
		"the larger step of a limit that was lowered":                {history: limits("64Mi", "1Gi"), factor: "4", want: "256Mi"},
		"a raise that was taken back does not lift the ceiling":      {history: takenBack("64Mi", "128Mi"), limit: "257Mi"},
		"the larger step after a raise that was taken back":          {history: takenBack("64Mi", "128Mi"), factor: "4", want: "256Mi"},
		"twice the old one":                                          {history: limits("64Mi"), want: "128Mi"},
		"twice the old one, up to the ceiling":                       {history: limits("96Mi", "32Mi"), want: "128Mi"},
		"at the ceiling there is no more":                            {history: limits("128Mi", "64Mi", "32Mi")},
		"above the ceiling there is no more":                         {history: limits("1Gi", "32Mi")},
		"revisions from before the limit say nothing":                {history: limits("64Mi", "32Mi", ""), want: "128Mi"},
		"what was asked for, in the API's own spelling":              {history: limits("512Mi"), limit: "1024Mi", want: "1Gi"},
		"what was asked for, at the ceiling":                         {history: limits("64Mi"), limit: "256Mi", want: "256Mi"},
		"what was asked for is beyond the ceiling":                   {history: limits("64Mi"), limit: "257Mi"},
		"what was asked for is what an earlier revision had":         {history: limits("5Mi", "256Mi", "8Mi"), limit: "256Mi", want: "256Mi"},
		"what was asked for is more than any revision had":           {history: limits("5Mi", "256Mi", "8Mi"), limit: "257Mi"},
		"a larger revision in between does not lift the default":     {history: limits("30Mi", "256Mi", "8Mi"), want: "32Mi"},
		"what was asked for would lower it":                          {history: limits("64Mi"), limit: "63Mi"},
		"what was asked for is what it has":                          {history: limits("1Gi"), limit: "1024Mi"},
		"no limit, nothing to raise":                                 {history: limits("")},
		"no such container":                                          {history: limits("64Mi"), container: "sidecar"},
		"a limit that no machine has":                                {history: limits("8Ei")},
		"a history that was cut to the present tells of no first":    {history: []action.Revision{{Number: 5, Current: true, Template: limited("64Mi")}}},
		"a template that no revision keeps":                          {history: []action.Revision{{Number: 5, Template: limited("64Mi")}}},
		"plain bytes stay plain bytes, and thousands stay thousands": {history: limits("64M"), want: "128M"},
	}
	target := action.Target{ObjectReference: v1alpha1.ObjectReference{Kind: "Deployment", Name: "web"}}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			params := action.Params{"container": "web"}
			if row.container != "" {
				params["container"] = row.container
			}
			if row.limit != "" {
				params["limit"] = row.limit
			}
			if row.factor != "" {
				params["factor"] = row.factor
			}
			got, err := newLimit(target, row.history[0].Template, row.history, wish{params, resource.MustParse(cmp.Or(row.shown, "0"))})
			if row.want == "" {
				wantRefusal(t, err)
				return
			}
			if err != nil || got.String() != row.want {
				t.Errorf("limit %s, %v, want %s", got.String(), err, row.want)
			}
		})
	}
}

// takenBack is the history of a Deployment whose limit was raised and put back: the
// older ReplicaSet got the newer number.
func takenBack(before, raised string) []action.Revision {
	rolledOut := time.Date(2026, time.March, 1, 3, 0, 0, 0, time.UTC)
	return []action.Revision{
		{Number: 3, Current: true, Template: limited(before), CreatedAt: rolledOut},
		{Number: 2, Template: limited(raised), CreatedAt: rolledOut.Add(time.Hour)},
	}
}

func TestLimitAndFactorAreNotBothGiven(t *testing.T) {
	params := action.Params{"container": "web", "limit": "128Mi", "factor": "2"}
	if _, err := newLimit(action.Target{}, limited("64Mi"), limits("64Mi"), wish{params: params}); !errors.Is(err, action.ErrInvalidParameters) {
		t.Errorf("error %v, want %v", err, action.ErrInvalidParameters)
	}
}

func TestEnlarged(t *testing.T) {
	given := action.Params{"container": "web", "resource": "memory"}
	larger, found := adjustResources{}.Enlarged(given)
	if !found || larger["factor"] != "4" || larger["container"] != "web" || larger["resource"] != "memory" || len(given) != 2 {
		t.Errorf("larger step %v, %t of %v", larger, found, given)
	}
	if err := (adjustResources{}).Spec().Validate(larger); err != nil {
		t.Error(err)
	}
	for _, asked := range []action.Params{larger, {"container": "web", "limit": "128Mi"}} {
		if larger, found := (adjustResources{}).Enlarged(asked); found {
			t.Errorf("after %v there is %v", asked, larger)
		}
	}
}

func TestSetMemory(t *testing.T) {
	rows := map[string]struct {
		limit, request, want string
	}{
		"the request follows if it equalled the limit":             {limit: "64Mi", request: "64Mi", want: "128Mi"},
		"the request follows if it equalled it in other words":     {limit: "64Mi", request: "65536Ki", want: "128Mi"},
		"a smaller request stays":                                  {limit: "64Mi", request: "32Mi", want: "32Mi"},
		"no request, none is made: the API server takes the limit": {limit: "64Mi"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			resources := map[string]any{"limits": map[string]any{"memory": row.limit, "cpu": "1"}}
			if row.request != "" {
				resources["requests"] = map[string]any{"memory": row.request}
			}
			if err := setMemory(resources, resource.MustParse("128Mi")); err != nil {
				t.Fatal(err)
			}
			if got := resources["limits"].(map[string]any); got["memory"] != "128Mi" || got["cpu"] != "1" {
				t.Errorf("limits are %v", got)
			}
			requests, _ := resources["requests"].(map[string]any)
			if got, _ := requests["memory"].(string); got != row.want {
				t.Errorf("request %q, want %q", got, row.want)
			}
		})
	}
}

func TestBeyondLimitRange(t *testing.T) {
	memory := func(of string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(of)}
	}
	container := func(limit, request string) corev1.Container {
		return corev1.Container{Name: "c", Resources: corev1.ResourceRequirements{Limits: memory(limit), Requests: memory(request)}}
	}
	always := corev1.ContainerRestartPolicyAlways
	sidecar := container("64Mi", "64Mi")
	sidecar.RestartPolicy = &always
	two := corev1.PodSpec{Containers: []corev1.Container{container("128Mi", "64Mi"), container("128Mi", "128Mi")}}
	rows := map[string]struct {
		item   corev1.LimitRangeItem
		pod    corev1.PodSpec
		beyond bool
	}{
		"a container at the maximum":          {item: corev1.LimitRangeItem{Type: corev1.LimitTypeContainer, Max: memory("128Mi")}, pod: two},
		"a container beyond it":               {item: corev1.LimitRangeItem{Type: corev1.LimitTypeContainer, Max: memory("127Mi")}, pod: two, beyond: true},
		"a pod at the maximum":                {item: corev1.LimitRangeItem{Type: corev1.LimitTypePod, Max: memory("256Mi")}, pod: two},
		"a pod beyond it":                     {item: corev1.LimitRangeItem{Type: corev1.LimitTypePod, Max: memory("255Mi")}, pod: two, beyond: true},
		"a limit in proportion":               {item: corev1.LimitRangeItem{Type: corev1.LimitTypeContainer, MaxLimitRequestRatio: memory("2")}, pod: two},
		"a limit out of proportion":           {item: corev1.LimitRangeItem{Type: corev1.LimitTypeContainer, MaxLimitRequestRatio: memory("1")}, pod: two, beyond: true},
		"claims are not our matter":           {item: corev1.LimitRangeItem{Type: corev1.LimitTypePersistentVolumeClaim, Max: memory("1")}, pod: two},
		"a maximum of something else":         {item: corev1.LimitRangeItem{Type: corev1.LimitTypeContainer}, pod: two},
		"what runs before does not add up":    {item: corev1.LimitRangeItem{Type: corev1.LimitTypePod, Max: memory("256Mi")}, pod: corev1.PodSpec{Containers: two.Containers, InitContainers: []corev1.Container{container("256Mi", "1Mi")}}},
		"what runs beside them does":          {item: corev1.LimitRangeItem{Type: corev1.LimitTypePod, Max: memory("256Mi")}, pod: corev1.PodSpec{Containers: two.Containers, InitContainers: []corev1.Container{sidecar}}, beyond: true},
		"what runs before may be the biggest": {item: corev1.LimitRangeItem{Type: corev1.LimitTypePod, Max: memory("256Mi")}, pod: corev1.PodSpec{Containers: two.Containers, InitContainers: []corev1.Container{container("257Mi", "1Mi")}}, beyond: true},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if why := beyond(row.item, row.pod); (why != "") != row.beyond {
				t.Errorf("says %q, want something: %t", why, row.beyond)
			}
		})
	}
}
