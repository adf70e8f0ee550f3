package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
)

// typed are the words by which somebody types a command, with whatever it asks for.
func typed(cmd *cobra.Command) []string {
	words := []string{cmd.Name()}
	for _, asked := range strings.Fields(cmd.Use)[1:] {
		given := map[string]string{"NAME": "a", "[NAME]": "a", "NAMESPACE": "default", "NAMESPACE/WORKLOAD": "default/web"}[asked]
		words = append(words, given)
	}
	if cmd.Flags().Lookup("reason") != nil {
		words = append(words, "--reason", "a test")
	}
	return words
}

// raw is what only programmers want to read.
var raw = regexp.MustCompile(`goroutine|panic|%!|dial tcp|context deadline|context canceled|Get "|Post "|\(get |\(post |no matches for kind|Reason:|<nil>`)

func TestEachCommandSaysWhatToDoNext(t *testing.T) {
	t.Setenv("KUBECONFIG", "")
	t.Setenv("HOME", t.TempDir())
	server := kubetest.Start(t)
	server.Create(t.Context(), build.Deployment("default", "web").Obj())
	answering := func(answer http.HandlerFunc) string {
		s := httptest.NewServer(answer)
		t.Cleanup(s.Close)
		return s.URL
	}
	hangs := answering(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	unwell := answering(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "etcd is away", http.StatusServiceUnavailable)
	})
	stranger := answering(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("<html>log in to the hotel</html>"))
	})
	here := []string{"--kubeconfig", server.Kubeconfig}
	const chooses = "`kubectl config current-context` says which one is asked, and --context chooses another"
	states := []struct {
		name  string
		flags []string
		want  string // how it ends
	}{
		{"no kubeconfig", nil, "no cluster is configured: name a kubeconfig with --kubeconfig or KUBECONFIG"},
		{"a kubeconfig that is not there", []string{"--kubeconfig", filepath.Join(t.TempDir(), "none")}, "--kubeconfig or KUBECONFIG names another"},
		{"a server that refuses", []string{"--server", "https://127.0.0.1:1"}, "the API server at 127.0.0.1:1 refuses the connection: " + chooses},
		{"a server that does not answer", []string{"--server", hangs, "--request-timeout", "50ms"}, "does not answer in time: " + chooses},
		{"a certificate that nobody knows", []string{"--server", server.Config.Host}, "signed by unknown authority): " + chooses},
		{"a server that is unwell", []string{"--server", unwell}, "try again; `kubectl get --raw '/readyz?verbose'` says what it lacks"},
		{"a server of something else", []string{"--server", stranger}, "whoever answers is no API server: " + chooses},
		{
			"credentials that are none", []string{"--server", server.Config.Host, "--insecure-skip-tls-verify", "--token", "wrong"},
			"the API server does not accept your credentials: log in again; `kubectl auth whoami` says who you are",
		},
		{"not allowed", append(here, "--as", "nobody"), "--user=nobody`"},
		{
			"kinds that are not installed", here,
			"is Kubernaut installed? `kubectl apply -k config/default` installs it; `kubectl config current-context` says which cluster this is, and --context chooses another",
		},
	}
	for _, state := range states {
		if state.name == "kinds that are not installed" {
			takeAway(t, server)
		}
		for _, cmd := range root([]string{"kubectl-kubernaut"}).Commands() {
			t.Run(state.name+"/"+cmd.Name(), func(t *testing.T) {
				if cmd.Flags().Lookup("namespace") == nil {
					if got, err := run(t, typed(cmd)...); err != nil {
						t.Errorf("it needs no cluster, and got %q", got)
					}
					return
				}
				got, err := run(t, append(typed(cmd), state.flags...)...)
				said, _ := strings.CutSuffix(got, "\n")
				if err == nil || !strings.HasPrefix(said, "Error: ") || strings.Contains(said, "\n") || !strings.HasSuffix(said, state.want) || raw.MatchString(said) {
					t.Errorf("got %q and the error %v, want one that ends with %q", got, err, state.want)
				}
			})
		}
	}
}

// takeAway makes the API server forget our kinds. It stops to serve them: a definition
// that is deleted a moment after it came may take it five minutes to let go of.
func takeAway(t *testing.T, server *kubetest.Server) {
	t.Helper()
	for definition := range strings.FieldsSeq(string(server.Kubectl(t.Context(), nil, "get", "crd", "-o", "name"))) {
		server.Kubectl(t.Context(), nil, "patch", definition, "--type=json", `-p=[{"op":"replace","path":"/spec/versions/0/served","value":false}]`)
	}
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		err := server.As("somebody").List(ctx, &v1alpha1.RemediationPolicyList{})
		return meta.IsNoMatchError(err), nil
	})
	if err != nil {
		t.Fatalf("waiting until our kinds are forgotten: %v", err)
	}
}
