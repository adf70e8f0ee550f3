package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write what is printed into testdata instead of comparing it")

// asProgram is set in the environment of this test binary where it is to be the
// program itself.
const asProgram = "TEST_AS_KUBECTL_KUBERNAUT"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// run types a command, and returns all that is printed.
func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := root([]string{"kubectl-kubernaut"})
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestTheHelpOfEachCommandIsGolden(t *testing.T) {
	commands := []*cobra.Command{{Use: "kubernaut"}}
	for _, cmd := range append(commands, root([]string{"kubectl-kubernaut"}).Commands()...) {
		t.Run(cmd.Name(), func(t *testing.T) {
			args := []string{cmd.Name(), "--help"}
			if cmd.Name() == "kubernaut" {
				args = args[1:]
			}
			got, err := run(t, args...)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", cmd.Name()+".txt")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s(go test ./cmd/kubectl-kubernaut -update, once it reads well)", got, want)
			}
		})
	}
}

func TestGuardsPrintsWhatConfigGuardsShips(t *testing.T) {
	var want []string
	for _, name := range []string{"approval", "status", "run", "origin"} {
		shipped, err := os.ReadFile(filepath.Join("..", "..", "config", "guards", name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, string(shipped))
	}
	if got, err := run(t, "guards"); err != nil || got != strings.Join(want, "---\n") {
		t.Errorf("got the error %v and:\n%s", err, got)
	}
}

func TestVersionPrintsOneLine(t *testing.T) {
	was := version
	t.Cleanup(func() { version = was })
	version = "v1.2.3-4-gabcdef0"
	if got, err := run(t, "version"); err != nil || got != "v1.2.3-4-gabcdef0\n" {
		t.Errorf("got %q and the error %v", got, err)
	}
}

func TestAnErrorSaysWhatToDoNext(t *testing.T) {
	t.Setenv("KUBECONFIG", "")
	t.Setenv("HOME", t.TempDir())
	none := filepath.Join(t.TempDir(), "none")
	rows := map[string]struct {
		args []string
		want string
	}{
		"no cluster":                  {[]string{"get"}, "no cluster is configured: name a kubeconfig with --kubeconfig or KUBECONFIG"},
		"no such file":                {[]string{"doctor", "--kubeconfig", none}, "no such file or directory; --kubeconfig or KUBECONFIG names another"},
		"no such context":             {[]string{"get", "--context", "nope"}, `context "nope" does not exist; ` + "`kubectl config get-contexts` lists what there is"},
		"nobody answers":              {[]string{"get", "--server", "https://127.0.0.1:1"}, "the API server at 127.0.0.1:1 refuses the connection: `kubectl config current-context` says which one is asked"},
		"a slip of the finger":        {[]string{"gte"}, "Did you mean this?\n\tget\n"},
		"a flag that is none":         {[]string{"get", "--all"}, "unknown flag: --all; `kubectl kubernaut get --help` lists the flags"},
		"no name":                     {[]string{"describe"}, "name one AlertRemediation: `kubectl kubernaut describe NAME`; `kubectl kubernaut get` lists them"},
		"two names":                   {[]string{"get", "a", "b"}, "name one AlertRemediation"},
		"a namespace without -n":      {[]string{"pause", "shop"}, "kubectl kubernaut pause takes no arguments: name the namespace with -n"},
		"an argument too many":        {[]string{"guards", "shop"}, "`kubectl kubernaut guards --help` says more"},
		"no namespace to grant":       {[]string{"grant"}, "name one namespace: `kubectl kubernaut grant NAMESPACE`"},
		"no workload":                 {[]string{"why"}, "name one workload: `kubectl kubernaut why NAMESPACE/NAME`"},
		"a format that is none":       {[]string{"timeline", "a", "-o", "json", "--server", "https://127.0.0.1:1"}, "say markdown, for the draft of a post-mortem"},
		"a duration that is none":     {[]string{"pause", "--for", "tomorrow"}, "invalid argument \"tomorrow\" for \"--for\" flag"},
		"Alertmanager without a file": {[]string{"receiver", "--ca-file", ""}, "it needs the file of a token and that of an authority"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			got, err := run(t, row.args...)
			if err == nil || !strings.HasPrefix(got, "Error: ") || !strings.Contains(got, row.want) {
				t.Errorf("got %q and the error %v, want one with %q", got, err, row.want)
			}
		})
	}
}

func TestKubectlCompletesUnderAnotherName(t *testing.T) {
	cmd := root([]string{filepath.Join("bin", completer), "test-"})
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	if err := cmd.ExecuteContext(t.Context()); err != nil || !strings.Contains(out.String(), "test-alert\t") {
		t.Errorf("got %q, %v", out.String(), err)
	}
}
