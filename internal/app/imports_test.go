package app_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/kubernaut/kubernaut/"

// rule says what a room may not know. Names of our own packages are without the module's;
// "x/..." means x and all below it.
type rule struct {
	rooms   string
	own     []string // not reached in any number of steps
	foreign []string // not imported directly: in the end everything reaches net/http
	because string
}

var (
	kubernetesClients = []string{"k8s.io/client-go/...", "sigs.k8s.io/controller-runtime/..."}
	network           = []string{"net", "net/http/...", "os/...", "database/sql"}
	impure            = slices.Concat(kubernetesClients, network, []string{"context", "k8s.io/utils/clock/...", "math/rand/..."})
	houseOfOthers     = []string{"github.com/jackc/...", "github.com/redis/...", "github.com/sony/gobreaker/...", "net/http/..."}
)

var rules = []rule{
	{rooms: "api/...", own: []string{"pkg/...", "internal/..."}, foreign: kubernetesClients,
		because: "the kinds are what everybody else imports"},
	{rooms: "pkg/...", own: []string{"internal/...", "cmd/..."},
		because: "strangers compile against it"},
	{rooms: "pkg/alert", own: []string{"api/..."}, foreign: []string{"k8s.io/...", "sigs.k8s.io/..."},
		because: "it is the wire format of Alertmanager and nothing else"},
	{rooms: "pkg/analysis", foreign: []string{"net/http/...", "github.com/sony/gobreaker/..."},
		because: "how a source is reached is the source's business"},

	{rooms: "internal/config", foreign: kubernetesClients, own: []string{"internal/..."},
		because: "configuration is a value"},
	{rooms: "internal/intake", own: []string{"internal/store/...", "internal/controller/..."},
		because: "an alert becomes an object, whatever else is down"},
	{rooms: "internal/httpd", own: []string{"api/...", "pkg/...", "internal/..."},
		because: "it serves whatever it is given"},
	{rooms: "internal/rightofway", own: []string{"api/...", "pkg/...", "internal/..."}, foreign: kubernetesClients,
		because: "it knows that somebody waits, and nothing of what for"},
	{rooms: "internal/sharedread", own: []string{"api/...", "pkg/...", "internal/..."}, foreign: []string{"k8s.io/client-go/...", "net/http/..."},
		because: "it knows that two ask the same, and nothing of what for"},
	{rooms: "internal/caller", own: []string{"api/...", "pkg/...", "internal/..."}, foreign: []string{"net/http/..."},
		because: "who somebody is does not depend on what they want"},
	{rooms: "internal/servingcert", own: []string{"api/...", "pkg/...", "internal/..."},
		because: "it knows a Secret, and nothing of what is served with it"},
	{rooms: "internal/receiver", own: []string{"api/...", "pkg/...", "internal/..."}, foreign: slices.Concat(kubernetesClients, network),
		because: "text out"},
	{rooms: "internal/alertmanager", own: []string{"api/...", "internal/..."}, foreign: []string{"k8s.io/...", "sigs.k8s.io/..."},
		because: "the wire format ends here"},

	{rooms: "internal/controller/alertremediation", foreign: houseOfOthers, own: []string{"internal/controller/workflowrun", "internal/controller/diagnosis"},
		because: "controllers talk through the kinds, and to the world through the rooms below them"},
	{rooms: "internal/controller/diagnosis", foreign: houseOfOthers,
		own:     []string{"internal/controller/workflowrun", "internal/controller/alertremediation", "internal/actions", "internal/plan", "internal/policy", "internal/gate"},
		because: "who looks for the cause does not act"},
	{rooms: "internal/controller/workflowrun", foreign: houseOfOthers, own: []string{"internal/controller/alertremediation", "internal/controller/diagnosis", "internal/diagnose/..."},
		because: "a run is carried out as it was approved, whatever is thought of the cause by now"},

	{rooms: "internal/controller/trigger", foreign: houseOfOthers,
		own:     []string{"internal/controller/workflowrun", "internal/controller/alertremediation", "internal/controller/diagnosis", "internal/actions", "internal/plan", "internal/policy", "internal/gate"},
		because: "who sees trouble neither explains it nor acts"},

	{rooms: "internal/controller/retention", foreign: houseOfOthers, own: []string{"internal/..."},
		because: "it deletes what has ended, and must know nothing else"},
	{rooms: "internal/ledger", own: []string{"internal/controller/...", "internal/policy", "internal/gate", "internal/clearance"}, foreign: []string{"net/http/..."},
		because: "it keeps account of what was stored, whoever wrote it"},

	{rooms: "internal/admission", own: []string{"api/...", "pkg/..."}, foreign: impure,
		because: "an error in, a word out"},
	{rooms: "internal/kubeclient", own: []string{"api/...", "pkg/...", "internal/..."},
		because: "how the API server is read does not depend on what for"},
	{rooms: "internal/phase", own: []string{"api/...", "pkg/...", "internal/..."},
		because: "it is generic"},
	{rooms: "internal/evidence", own: []string{"internal/diagnose/...", "internal/actions"},
		because: "what is seen does not depend on what is thought of it"},
	{rooms: "internal/vitals", own: []string{"internal/..."}, foreign: impure,
		because: "it judges a snapshot, and is pure"},
	{rooms: "internal/diagnose", own: []string{"internal/actions", "internal/controller/..."}, foreign: []string{"net/http/..."},
		because: "the chain knows analyzers, not how they are reached"},
	{rooms: "internal/diagnose/rules", foreign: without(impure, "context"), own: []string{"internal/evidence", "internal/gate", "internal/actions"},
		because: "rules are pure: a snapshot in, findings out"}, // the context is Analyzer's

	{rooms: "internal/plan", own: []string{"internal/evidence", "internal/gate", "internal/clearance"}, foreign: impure,
		because: "planning is pure"},
	{rooms: "internal/policy", own: []string{"internal/..."}, foreign: impure,
		because: "a policy is a list of refusals over facts, and pure"},
	{rooms: "internal/clearance", own: []string{"internal/controller/...", "internal/diagnose/...", "internal/actions", "internal/plan"},
		because: "it gathers what the gates need, for whoever asks"},
	{rooms: "internal/actions", own: []string{"internal/store/...", "internal/diagnose/...", "internal/gate", "internal/controller/..."},
		because: "an action reads and plans; it never writes"},
	{rooms: "internal/gate", own: []string{"internal/plan", "internal/actions", "internal/controller/..."},
		because: "it carries out operations, whoever thought of them"},
	{rooms: "internal/crd", own: []string{"api/...", "pkg/...", "internal/..."},
		because: "it compares the definitions of the cluster with those that are shipped, and needs nothing else"},
	{rooms: "internal/guard", own: []string{"internal/..."},
		because: "it compares what guards us with what was shipped, and needs nothing else"},
	{rooms: "internal/cli", own: []string{"internal/controller/...", "internal/gate", "internal/clearance"}, foreign: []string{"net/http/...", "os/exec"},
		because: "a person's tool talks to the API server with the person's own rights"},
	{rooms: "internal/lease", own: []string{"internal/..."},
		because: "who holds a target is asked by all, so it may depend on none"},
	{rooms: "internal/leader", own: []string{"api/...", "pkg/...", "internal/..."},
		because: "who leads does not depend on what there is to do"},
	{rooms: "internal/atonce", own: []string{"api/...", "pkg/...", "internal/..."}, foreign: impure,
		because: "it knows functions, and nothing of what they do"},
	{rooms: "internal/redact", own: []string{"api/...", "pkg/...", "internal/..."}, foreign: impure,
		because: "text in, text out"},
	{rooms: "internal/taint", own: []string{"api/...", "pkg/...", "internal/..."}, foreign: impure,
		because: "it is a list of keys, which evidence and actions share"},
	{rooms: "internal/dependency", own: []string{"api/...", "pkg/...", "internal/..."}, foreign: impure,
		because: "lines of a log in, a service's name out"},
	{rooms: "internal/selector", own: []string{"internal/..."}, foreign: impure,
		because: "rule and action judge a selector alike, each from what it read itself"},
	{rooms: "internal/jsonpatch", own: []string{"api/...", "pkg/...", "internal/..."}, foreign: impure,
		because: "documents in, documents out"},
}

// fence says who alone may import something directly.
type fence struct {
	around  string
	may     []string
	because string
}

var fences = []fence{
	{"github.com/jackc/...", []string{"internal/store/..."}, "SQL stays in its house"},
	{"github.com/pgvector/...", []string{"internal/store/..."}, "SQL stays in its house"},
	{"github.com/redis/...", []string{"internal/cache/..."}, "a cache can be exchanged"},
	{"github.com/sony/gobreaker/...", []string{"internal/diagnose", "internal/app"}, "reliability is wrapped around things once"},
	{"testing", []string{"internal/kubetest/...", "test/..."}, "what ships does not test itself"},
	{module + "internal/kubetest/...", []string{"internal/kubetest/...", "test/..."}, "only tests import the harness"},
	{module + "internal/app", []string{"cmd/...", "hack/...", "test/..."}, "everything meets there, so nothing may depend on it"},
	{module + "internal/actions", []string{"internal/app", "internal/cli", "cmd/...", "hack/...", "test/..."}, "actions are known by their contract, pkg/action"},
	{module + "internal/controller/...", []string{"internal/app", "test/..."}, "controllers are wired, not called"},
	{module + "cmd/...", nil, "programs are not libraries"},
	{module + "hack/...", []string{"hack/...", "test/..."}, "what ships needs no tool of the workshop"},
}

// vague names say nothing about what a package holds, so that everything ends up there.
var vague = []string{"util", "utils", "common", "helper", "helpers", "types", "manager", "base", "core", "shared"}

// pkg is what `go list` says of a package of ours.
type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func (p pkg) room() string { return strings.TrimPrefix(p.ImportPath, module) }

func TestImportsStayInTheirRooms(t *testing.T) {
	packages := listed(t)
	for _, breach := range slices.Concat(breaches(packages), trespasses(packages), badNames(packages)) {
		t.Error(breach)
	}
}

// TestImportsAreJudged makes sure that each kind of fault would be found.
func TestImportsAreJudged(t *testing.T) {
	rules := module + "internal/diagnose/rules"
	middle := pkg{ImportPath: module + "hack/middle", Imports: []string{rules}, Deps: []string{rules}}
	evidence := pkg{ImportPath: module + "internal/evidence", Imports: []string{middle.ImportPath}, Deps: []string{middle.ImportPath, rules}}
	rows := map[string]struct {
		got  []string
		want string // part of the only fault; none if empty
	}{
		"a room that is reached through another is named with the way": {
			got:  breaches([]pkg{evidence, middle}),
			want: "internal/evidence reaches internal/diagnose/rules through hack/middle",
		},
		"a foreign package that is imported directly": {
			got:  breaches([]pkg{{ImportPath: module + "internal/policy", Imports: []string{"context"}}}),
			want: "internal/policy imports context",
		},
		"a foreign package that is only reached is nobody's fault": {
			got: breaches([]pkg{{ImportPath: module + "internal/policy", Imports: []string{"fmt"}, Deps: []string{"fmt", "os"}}}),
		},
		"a fenced package, imported from the wrong house": {
			got:  trespasses([]pkg{{ImportPath: module + "internal/plan", Imports: []string{"github.com/jackc/pgx/v5"}}}),
			want: "internal/plan imports github.com/jackc/pgx/v5",
		},
		"a fenced package, imported from its own house": {
			got: trespasses([]pkg{{ImportPath: module + "internal/store/migrations", Imports: []string{"github.com/jackc/pgx/v5"}}}),
		},
		"a name that says nothing": {
			got:  badNames([]pkg{{ImportPath: module + "internal/policy/util"}}),
			want: "internal/policy/util",
		},
		"a new room that nobody made a rule for": {
			got:  badNames([]pkg{{ImportPath: module + "internal/attic"}}),
			want: "internal/attic has no rule",
		},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			switch {
			case row.want == "" && len(row.got) > 0:
				t.Errorf("got %q, want nothing", row.got)
			case row.want != "" && (len(row.got) != 1 || !strings.Contains(row.got[0], row.want)):
				t.Errorf("got %q, want one that says %q", row.got, row.want)
			}
		})
	}
}

func breaches(packages []pkg) []string {
	var found []string
	for _, p := range packages {
		for _, r := range rules {
			if !within(p.room(), r.rooms) {
				continue
			}
			for _, dep := range p.Deps {
				if room, ours := strings.CutPrefix(dep, module); ours && withinAny(room, r.own) && !within(room, r.rooms) {
					found = append(found, fmt.Sprintf("%s reaches %s%s, but %s", p.room(), room, way(packages, p, dep), r.because))
				}
			}
			for _, imported := range p.Imports {
				if withinAny(imported, r.foreign) {
					found = append(found, fmt.Sprintf("%s imports %s, but %s", p.room(), imported, r.because))
				}
			}
		}
	}
	return found
}

// way names the import that leads to what is reached, unless it is that itself.
func way(packages []pkg, from pkg, reached string) string {
	if slices.Contains(from.Imports, reached) {
		return ""
	}
	for _, p := range packages {
		if slices.Contains(from.Imports, p.ImportPath) && slices.Contains(p.Deps, reached) {
			return " through " + p.room()
		}
	}
	return " indirectly"
}

func trespasses(packages []pkg) []string {
	var found []string
	for _, p := range packages {
		for _, f := range fences {
			for _, imported := range p.Imports {
				if within(imported, f.around) && !withinAny(p.room(), f.may) {
					found = append(found, fmt.Sprintf("%s imports %s, but %s", p.room(), imported, f.because))
				}
			}
		}
	}
	return found
}

func badNames(packages []pkg) []string {
	var found []string
	for _, p := range packages {
		room := p.room()
		if slices.ContainsFunc(strings.Split(room, "/"), func(part string) bool { return slices.Contains(vague, part) }) {
			found = append(found, room+": the name says nothing; packages are nouns of the domain")
			continue
		}
		if strings.HasPrefix(room, "internal/") && !hasRule(room) {
			found = append(found, room+" has no rule: say in this test, and in .golangci.yml, what it may not import")
		}
	}
	return found
}

func hasRule(room string) bool {
	return slices.ContainsFunc(rules, func(r rule) bool { return within(room, r.rooms) }) ||
		slices.ContainsFunc(fences, func(f fence) bool { return within(module+room, f.around) })
}

func within(path, pattern string) bool {
	if above, ok := strings.CutSuffix(pattern, "/..."); ok {
		return path == above || strings.HasPrefix(path, above+"/")
	}
	return path == pattern
}

func withinAny(path string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return within(path, pattern) })
}

func without(patterns []string, pattern string) []string {
	return slices.DeleteFunc(slices.Clone(patterns), func(p string) bool { return p == pattern })
}

// listed asks the go command, so that no cache of ours can be stale.
func listed(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Imports,Deps", module+"...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("listing packages: %v: %s", err, stderr.String())
	}
	var packages []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("listing packages: %v", err)
		}
		packages = append(packages, p)
	}
	if len(packages) == 0 {
		t.Fatal("listing packages: there are none")
	}
	return packages
}
