package actions

import (
	"testing"

	"github.com/kubernaut/kubernaut/pkg/action"
)

func TestLimitElsewhere(t *testing.T) {
	workload := func(memory string, ready int32, unseen bool) candidate {
		c := candidate{name: "Deployment/other"}
		c.template, c.ready, c.unseen = limited(memory), ready, unseen
		return c
	}
	rows := map[string]struct {
		others []candidate
		image  string
		want   string
	}{
		"the largest of the same image":             {others: []candidate{workload("64Mi", 1, false), workload("128Mi", 2, false)}, image: "web:1", want: "128Mi"},
		"none that is not ready":                    {others: []candidate{workload("64Mi", 0, false)}, image: "web:1", want: "0"},
		"none whose controller has not seen it":     {others: []candidate{workload("64Mi", 1, true)}, image: "web:1", want: "0"},
		"none of another image":                     {others: []candidate{workload("64Mi", 1, false)}, image: "web:2", want: "0"},
		"none that has no limit, which says little": {others: []candidate{workload("", 1, false)}, image: "web:1", want: "0"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := limitElsewhere(row.others, row.image); got.String() != row.want {
				t.Errorf("got %s, want %s", got.String(), row.want)
			}
		})
	}
}

func TestImageAsked(t *testing.T) {
	for name, row := range map[string]struct {
		params action.Params
		want   string
	}{
		"a limit is asked for":  {params: action.Params{"container": "web", "limit": "64Mi"}, want: "web:1"},
		"none is asked for":     {params: action.Params{"container": "web"}},
		"of no container of it": {params: action.Params{"container": "side", "limit": "64Mi"}},
	} {
		if got := imageAsked(limited("5Mi"), row.params); got != row.want {
			t.Errorf("%s: image %q, want %q", name, got, row.want)
		}
	}
}
