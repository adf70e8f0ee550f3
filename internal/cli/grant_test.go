package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kubernaut/kubernaut/pkg/action"
)

var shipped = Operator{Namespace: "kubernaut-system", Account: "kubernaut"}

func TestGrantPrintsWhatIsGolden(t *testing.T) {
	for _, level := range []action.Level{action.LevelRestart, action.LevelScale, action.LevelFull, action.LevelNode} {
		t.Run(string(level), func(t *testing.T) {
			want, err := os.ReadFile(filepath.Join("testdata", "grant-"+string(level)+".yaml"))
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			wanted := Grant{Namespace: "shop", Level: level, Operator: shipped, NodeLeases: "medik8s-leases"}
			if level == action.LevelNode {
				wanted.Namespace = shipped.Namespace
			}
			if err := wanted.Print(&got); err != nil {
				t.Fatal(err)
			}
			if got.String() != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got.String(), want)
			}
		})
	}
}

func TestGrantRefuses(t *testing.T) {
	rows := map[string]struct {
		grant Grant
		want  string
	}{
		"a name that is no namespace's": {
			grant: Grant{Namespace: "Shop_1", Level: action.LevelFull, Operator: shipped}, want: `"Shop_1" is not the name of a namespace`,
		},
		"a name that would be YAML of its own": {
			grant: Grant{Namespace: "a\nrules: []", Level: action.LevelFull, Operator: shipped}, want: "is not the name of a namespace",
		},
		"a level that does not exist": {
			grant: Grant{Namespace: "shop", Level: "root", Operator: shipped}, want: `--level "root" is none of restart, scale, full, node`,
		},
		"the level of what needs no grant": {
			grant: Grant{Namespace: "shop", Level: action.LevelNone, Operator: shipped}, want: `--level "" is none of restart, scale, full, node`,
		},
		"the level of nodes in a tenant's namespace": {
			grant: Grant{Namespace: "shop", Level: action.LevelNode, Operator: shipped, NodeLeases: "medik8s-leases"}, want: "--level node is for the operator's own namespace only",
		},
		"a namespace of node leases that is none": {
			grant: Grant{Namespace: "kubernaut-system", Level: action.LevelNode, Operator: shipped}, want: `--node-leases "" is not the name of a namespace`,
		},
		"node leases beside the kubelets' own": {
			grant: Grant{Namespace: "kubernaut-system", Level: action.LevelNode, Operator: shipped, NodeLeases: "kube-node-lease"}, want: "--node-leases is a namespace of its own",
		},
		"an operator's account that is none": {
			grant: Grant{Namespace: "shop", Level: action.LevelFull, Operator: Operator{Namespace: "ops", Account: "a:b"}}, want: "--operator-account",
		},
		"an operator's namespace that is none": {
			grant: Grant{Namespace: "shop", Level: action.LevelFull, Operator: Operator{Namespace: "", Account: "a"}}, want: "--operator-namespace",
		},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			err := row.grant.Print(&out)
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got error %v, want one with %q", err, row.want)
			}
			if out.Len() > 0 {
				t.Errorf("printed %q beside the error", out.String())
			}
		})
	}
}

func TestEachLevelIncludesThoseBelowButForNodes(t *testing.T) {
	specs := []action.Spec{
		{Name: "Restart", Level: action.LevelRestart}, {Name: "Scale", Level: action.LevelScale},
		{Name: "Undo", Level: action.LevelFull}, {Name: "Cordon", Level: action.LevelNode}, {Name: "Tell", Level: action.LevelNone},
	}
	rows := map[action.Level]string{
		action.LevelRestart: "Restart", action.LevelScale: "Restart Scale", action.LevelFull: "Restart Scale Undo", action.LevelNode: "Cordon",
	}
	for level, want := range rows {
		var got []string
		for _, spec := range (Grant{Level: level}).covers(append([]action.Spec(nil), specs...)) {
			got = append(got, spec.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("level %s covers %v, want %s", level, got, want)
		}
	}
}

func TestMergeKeepsRulesThatNameObjectsApart(t *testing.T) {
	rules := merge([]rbacv1.PolicyRule{
		{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"patch"}},
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{"one"}, Verbs: []string{"patch"}},
		{APIGroups: []string{"apps"}, Resources: []string{"statefulsets", "deployments"}, Verbs: []string{"patch"}},
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"patch"}},
	})
	if len(rules) != 3 {
		t.Fatalf("got %d rules, want 3: %v", len(rules), rules)
	}
	if got := strings.Join(rules[2].Resources, " "); got != "deployments statefulsets" {
		t.Errorf("rights in apps: got %q, want each once", got)
	}
}

func TestGuardsAreForTheOperatorThatIsNamed(t *testing.T) {
	var out bytes.Buffer
	if err := Guards(&out, Operator{Namespace: "ops", Account: "healer"}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(out.String(), "'system:serviceaccount:' + 'ops' + ':' + 'healer'"); got != 3 {
		t.Errorf("the operator is named %d times, want in the three guards that know it", got)
	}
	if strings.Contains(out.String(), "kubernaut-system") {
		t.Error("the shipped namespace is still named")
	}
}
