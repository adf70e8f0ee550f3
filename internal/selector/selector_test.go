package selector_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/internal/selector"
)

// pairs reads labels as people write them: a=b,c=d.
func pairs(text string) map[string]string {
	all := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		if key, value, found := strings.Cut(pair, "="); found {
			all[key] = value
		}
	}
	return all
}

func TestMend(t *testing.T) {
	rows := map[string]struct{ from, template, want string }{
		"a slip":                                {from: "app=crat", template: "app=cart", want: "app=cart"},
		"another key":                           {from: "application=lobby", template: "app=lobby", want: "app=lobby"},
		"one label of two":                      {from: "part-of=hotel,tier=dask", template: "part-of=hotel,tier=desk,app=x", want: "part-of=hotel,tier=desk"},
		"a label that no template has":          {from: "app=store,role=leader", template: "app=store"},
		"a value under a key that is used too":  {from: "app=web,component=web", template: "app=web"},
		"a value that nothing has":              {from: "application=hall", template: "app=lobby"},
		"a value that two other keys have":      {from: "x=web", template: "app=web,name=web", want: "app=web"},
		"a value that moved, beside one of old": {from: "app=web,level=front", template: "app=web,tier=front", want: "app=web,tier=front"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			got := selector.Mend(pairs(row.from), pairs(row.template))
			if want := pairs(row.want); !maps.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestRefusal(t *testing.T) {
	type row struct {
		from, to, template string
		others             []string
		pods               []string
		names              []string
		edited             bool
		served             string
		refused            string // part of why; empty: it is allowed
	}
	rows := map[string]row{
		"a slip": {from: "app=crat", to: "app=cart", template: "app=cart"},
		"a slip in one label of two, which two workloads share": {from: "of=hotel,tier=dask", to: "of=hotel,tier=desk", template: "of=hotel,tier=desk", others: []string{"of=hotel,tier=kitchen"}},
		"a key that nothing carries, its value under another":   {from: "application=lobby", to: "app=lobby", template: "app=lobby"},
		"an edited value": {from: "app=nobody", to: "app=shop", template: "app=shop", edited: true},
		"an edited value, and its neighbour shares the rest":        {from: "of=hotel,app=nobody", to: "of=hotel,app=bar", template: "of=hotel,app=bar", others: []string{"of=hotel,app=inn"}, edited: true},
		"an edited value by which the workload is named":            {from: "instance=prod,app=nobody", to: "instance=prod,app=bar", template: "instance=prod,app=bar", names: []string{"entry", "bar"}, edited: true},
		"more labels than before":                                   {from: "app=crat", to: "app=cart,tier=front", template: "app=cart,tier=front"},
		"what is there already, though another Service serves":      {from: "app=cart", to: "app=cart", template: "app=cart", served: "other"},
		"a value that was so from the beginning":                    {from: "app=nobody", to: "app=shop", template: "app=shop", refused: "since the Service was made"},
		"a slip, and another Service serves the pods":               {from: "app=crat", to: "app=cart", template: "app=cart", served: "cart-headless", refused: "Service/cart-headless selects its pods"},
		"a role that pods carry at run time":                        {from: "app=db,role=leader", to: "app=db", template: "app=db", pods: []string{"app=db,role=follower"}, edited: true, refused: "carry the label role (follower)"},
		"a role that only a pod of something else carries":          {from: "app=db,role=leader", to: "app=db", template: "app=db", pods: []string{"app=db", "app=other,role=x"}, refused: "carry the label role"},
		"a role that no pod carries yet":                            {from: "app=db,role=leader", to: "app=db", template: "app=db", pods: []string{"app=db"}, edited: true, refused: "would be dropped"},
		"a role that the template has, another by now":              {from: "app=db,role=leader", to: "app=db,role=replica", template: "app=db,role=replica", refused: "does not differ"},
		"a role that the template has, and the Service was written": {from: "app=db,role=leader", to: "app=db,role=replica", template: "app=db,role=replica", edited: true, refused: "yet to come"},
		"a role that resembles the template's":                      {from: "app=db,role=reader", to: "app=db,role=leader", template: "app=db,role=leader", refused: "does not differ"},
		"a colour whose pods are yet to come":                       {from: "app=web,color=green", to: "app=web,color=blue", template: "app=web,color=blue", refused: "does not differ"},
		"a colour that was switched a moment ago":                   {from: "app=web,color=green", to: "app=web,color=blue", template: "app=web,color=blue", names: []string{"web", "web-blue"}, edited: true, refused: "yet to come"},
		"a colour dropped":                                          {from: "app=web,color=green", to: "app=web", template: "app=web,color=blue", pods: []string{"app=web,color=blue"}, refused: "carry the label color"},
		"a canary":                                                  {from: "app=web,track=canary", to: "app=web,track=stable", template: "app=web,track=stable", edited: true, refused: "yet to come"},
		"a version":                                                 {from: "app=web,version=v2", to: "app=web,version=v1", template: "app=web,version=v1", refused: "does not differ"},
		"the name of one pod":                                       {from: "app=db,statefulset.kubernetes.io/pod-name=db-0", to: "app=db", template: "app=db", pods: []string{"app=db,statefulset.kubernetes.io/pod-name=db-1"}, refused: "carry the label statefulset.kubernetes.io/pod-name"},
		"a zone in which no pod is":                                 {from: "app=db,topology.kubernetes.io/zone=a", to: "app=db", template: "app=db", pods: []string{"app=db,topology.kubernetes.io/zone=b"}, refused: "carry the label topology.kubernetes.io/zone"},
		"a shard":                                                   {from: "app=db-2", to: "app=db-1", template: "app=db-1", refused: "does not differ"},
		"another key that does not have the value":                  {from: "application=hall", to: "app=lobby", template: "app=lobby", edited: true, refused: "would be dropped"},
		"another key that has the value, while pods carry the old":  {from: "application=lobby", to: "app=lobby", template: "app=lobby", pods: []string{"application=bar"}, refused: "carry the label application"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			var all []map[string]string
			for _, p := range row.pods {
				all = append(all, pairs(p))
			}
			c := selector.Change{
				From: pairs(row.from), To: pairs(row.to), Template: pairs(row.template), Names: row.names, Edited: row.edited, Served: row.served,
				Carried: selector.Carried(pairs(row.from), all),
			}
			for _, other := range row.others {
				c.Others = append(c.Others, pairs(other))
			}
			if why := c.Refusal(); (why != "") != (row.refused != "") || !strings.Contains(why, row.refused) {
				t.Errorf("refused because %q, want %q", why, row.refused)
			}
		})
	}
}

func TestIsSlip(t *testing.T) {
	for pair, want := range map[string]bool{
		"cart crat": true, "desk dask": true, "vault valut": true, "bell bel": true, "lobby obby": true, "frontend frontned": true, "frontend fronted": true,
		"checkout chekcout": true, "payments paymets": true,
		"east west": false, "leader reader": false, "blue glue": false, "green grey": false, "v1 v2": false, "shard-1 shard-2": false,
		"leader follower": false, "blue green": false, "live five": false, "ab ac": false, "web web": false, "prod dev": false,
		"shard-a shard-b": false, "shop-eu shop-us": false, "cache-rw cache-ro": false, "zone-1a zone-1b": false, "team.x team.y": false,
		"ledger-leader ledger-reader": false, "worker-a worker": false, "shop-east shop-west": false, "chekout-apl checkout-api": false,
		"chekout-api checkout-api": true, "shop-frontned shop-frontend": true, "shopweb shop-web": true, "shop_web shop-web": true,
	} {
		a, b, _ := strings.Cut(pair, " ")
		if got := selector.IsSlip(a, b); got != want {
			t.Errorf("IsSlip(%s, %s) is %t, want %t", a, b, got, want)
		}
		if selector.IsSlip(a, b) != selector.IsSlip(b, a) {
			t.Errorf("IsSlip of %s depends on the order", pair)
		}
	}
}

func TestEdited(t *testing.T) {
	made := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	entry := func(after time.Duration, subresource, fields string) metav1.ManagedFieldsEntry {
		at := metav1.NewTime(made.Add(after))
		return metav1.ManagedFieldsEntry{Time: &at, Subresource: subresource, FieldsV1: metav1.NewFieldsV1(fields)}
	}
	const writes = `{"f:spec":{"f:selector":{}}}`
	rows := map[string]struct {
		entries []metav1.ManagedFieldsEntry
		want    bool
	}{
		"written when it was made":         {entries: []metav1.ManagedFieldsEntry{entry(0, "", writes)}},
		"written later":                    {entries: []metav1.ManagedFieldsEntry{entry(0, "", `{"f:spec":{"f:ports":{}}}`), entry(time.Minute, "", writes)}, want: true},
		"something else was written later": {entries: []metav1.ManagedFieldsEntry{entry(0, "", writes), entry(time.Minute, "", `{"f:metadata":{"f:labels":{}}}`)}},
		"the status was written later":     {entries: []metav1.ManagedFieldsEntry{entry(0, "", writes), entry(time.Minute, "status", writes)}},
		"nothing is known":                 {entries: []metav1.ManagedFieldsEntry{{}}},
		"fields that can't be read":        {entries: []metav1.ManagedFieldsEntry{entry(time.Minute, "", `[`)}},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			service := &metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(made), ManagedFields: row.entries}
			if got := selector.Edited(service); got != row.want {
				t.Errorf("edited is %t, want %t", got, row.want)
			}
		})
	}
}
