//go:build e2e

package crash

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/kubernaut/kubernaut/internal/kubetest"
)

// write is one request of the operator that changes something.
type write struct {
	verb, resource  string
	namespace, name string
	says            string // what of the status it writes, for people
	code            int    // what the API server answered; 0: it was never asked
	at              time.Time
}

// mark is what a write has in common with the same one of another round.
func (w write) mark() string {
	return anonymous(strings.Join([]string{w.verb, w.resource, w.name, w.says}, " "))
}

func (w write) accepted() bool { return answer{code: w.code}.accepted() }

func (w write) String() string {
	answer := "not sent"
	if w.code != 0 {
		answer = fmt.Sprint(w.code)
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s (%s) %s", w.verb, w.resource, w.name, answer, w.says))
}

// answer of the API server, received as a whole.
type answer struct {
	code   int
	header http.Header
	body   []byte
}

func (a answer) accepted() bool { return a.code >= 200 && a.code < 300 }

// ledger holds the writes of a round in their order, whichever operator sent them.
type ledger struct {
	namespace string // of the round
	conduct   conduct

	mu     sync.Mutex
	writes []write

	asking sync.Mutex
	asked  map[string]int // requests of any kind, by verb, resource and namespace
}

// ask counts a request, whatever becomes of it.
func (l *ledger) ask(r *http.Request) {
	info, err := requestInfo.NewRequestInfo(r)
	if err != nil {
		return
	}
	l.asking.Lock()
	defer l.asking.Unlock()
	if l.asked == nil {
		l.asked = map[string]int{}
	}
	l.asked[strings.Join([]string{info.Verb, info.Resource, info.Namespace}, " ")]++
}

// requests of the operator so far.
func (l *ledger) requests() asked {
	l.asking.Lock()
	defer l.asking.Unlock()
	return maps.Clone(l.asked)
}

// asked counts requests.
type asked map[string]int

// since returns what was asked after an earlier count.
func (a asked) since(before asked) asked {
	more := asked{}
	for what, n := range a {
		if n > before[what] {
			more[what] = n - before[what]
		}
	}
	return more
}

func (a asked) total() int {
	all := 0
	for _, n := range a {
		all += n
	}
	return all
}

// String names the most frequent first.
func (a asked) String() string {
	names := slices.SortedFunc(maps.Keys(a), func(x, y string) int { return cmp.Or(a[y]-a[x], strings.Compare(x, y)) })
	var text strings.Builder
	for _, name := range names {
		fmt.Fprintf(&text, "%d %s; ", a[name], name)
	}
	return anonymous(text.String())
}

// lists reports whether a write is one of the round's.
func (l *ledger) lists(w write) bool {
	return w.namespace == l.namespace || w.namespace == kubetest.OperatorNamespace
}

// pass lets one write through at a time, so that the n-th is the same in every round.
func (l *ledger) pass(w *wire, wr write, send func() answer) (answer, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.cut {
		return answer{}, false // its sender is dead
	}
	wr.at = time.Now()
	l.writes = append(l.writes, wr)
	at := len(l.writes) - 1
	done, lives := l.conduct(wr, func() answer {
		a := send()
		l.writes[at].code = a.code
		return a
	})
	if !lives {
		w.cut = true
		w.operator.Kill()
	}
	return done, lives
}

func (l *ledger) all() []write {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.writes)
}

// wire is what lies between one operator process and the API server.
type wire struct {
	ledger   *ledger
	operator *kubetest.Operator
	front    *httptest.Server
	back     http.RoundTripper
	target   *url.URL
	stream   *httputil.ReverseProxy
	cut      bool // guarded by the ledger's lock
}

// lay starts a wire to the API server, which authenticates by what the operator sends.
func lay(to *rest.Config, l *ledger) (*wire, error) {
	target, err := url.Parse(to.Host)
	if err != nil {
		return nil, fmt.Errorf("reading the API server's address: %w", err)
	}
	back, err := rest.TransportFor(rest.AnonymousClientConfig(to))
	if err != nil {
		return nil, fmt.Errorf("reaching the API server: %w", err)
	}
	w := &wire{ledger: l, back: back, target: target}
	quiet := log.New(io.Discard, "", 0) // killed processes break connections
	w.stream = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: back, FlushInterval: -1, ErrorLog: quiet,
	}
	w.front = httptest.NewUnstartedServer(w)
	w.front.Config.ErrorLog = quiet
	w.front.EnableHTTP2 = true
	w.front.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
	w.front.StartTLS()
	return w, nil
}

// kubeconfig of somebody who is known by a token.
func (w *wire) kubeconfig(token string) clientcmdapi.Config {
	cfg := clientcmdapi.NewConfig()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.front.Certificate().Raw})
	cfg.Clusters["wire"] = &clientcmdapi.Cluster{Server: w.front.URL, CertificateAuthorityData: authority}
	cfg.AuthInfos["operator"] = &clientcmdapi.AuthInfo{Token: token}
	cfg.Contexts["wire"] = &clientcmdapi.Context{Cluster: "wire", AuthInfo: "operator"}
	cfg.CurrentContext = "wire"
	return *cfg
}

// ServeHTTP streams what only reads, and takes every write to the ledger.
func (w *wire) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.ledger.ask(r)
	wr, changes := asWrite(r)
	if !changes || !w.ledger.lists(wr) {
		w.stream.ServeHTTP(rw, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	wr.says = gist(body)
	if wr.name == "" {
		wr.name = nameIn(body)
	}
	done, lives := w.ledger.pass(w, wr, func() answer { return w.send(r, body) })
	if !lives || done.code == 0 {
		panic(http.ErrAbortHandler) // no answer: the connection breaks
	}
	maps.Copy(rw.Header(), done.header)
	rw.WriteHeader(done.code)
	_, _ = rw.Write(done.body)
}

// send does a write. What left a process arrives, whatever becomes of it.
func (w *wire) send(r *http.Request, body []byte) answer {
	out := r.Clone(context.WithoutCancel(r.Context()))
	out.URL.Scheme, out.URL.Host, out.Host, out.RequestURI = w.target.Scheme, w.target.Host, "", ""
	out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp, err := w.back.RoundTrip(out)
	if err != nil {
		return answer{}
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}
	}
	return answer{code: resp.StatusCode, header: resp.Header, body: got}
}

var requestInfo = request.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}

// asWrite tells whether a request is a write of the remediation. A review and a
// dry run change nothing, an event is no state, and the certificate of the intake
// is issued once for all rounds.
func asWrite(r *http.Request) (write, bool) {
	info, err := requestInfo.NewRequestInfo(r)
	if err != nil || !info.IsResourceRequest || r.URL.Query().Has("dryRun") {
		return write{}, false
	}
	changes := slices.Contains([]string{"create", "update", "patch", "delete", "deletecollection"}, info.Verb)
	if !changes || strings.HasSuffix(info.Resource, "reviews") || info.Resource == "events" || info.Resource == "secrets" {
		return write{}, false
	}
	w := write{verb: info.Verb, resource: info.Resource, namespace: info.Namespace, name: info.Name}
	if info.Subresource != "" {
		w.resource += "/" + info.Subresource
	}
	return w, true
}

// nameIn returns the name of the object that a body is.
func nameIn(body []byte) string {
	var named struct {
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
	}
	_ = json.Unmarshal(body, &named) // a patch may be no object, and has no name
	return named.Metadata.Name
}

// gist says what a body writes of a status.
func gist(body []byte) string {
	var written struct {
		Status struct {
			Phase   string `json:"phase"`
			Outcome string `json:"outcome"`
			RunRef  string `json:"runRef"`
			Alert   struct {
				State string `json:"state"`
			} `json:"alert"`
			Steps []struct {
				Operations []struct {
					State string `json:"state"`
				} `json:"operations"`
			} `json:"steps"`
			Conditions []struct {
				Type, Status, Reason string
			} `json:"conditions"`
		} `json:"status"`
	}
	if json.Unmarshal(body, &written) != nil {
		return ""
	}
	var said []string
	for _, step := range written.Status.Steps {
		for _, op := range step.Operations {
			said = append(said, "operation="+op.State)
		}
	}
	for _, c := range written.Status.Conditions {
		said = append(said, c.Type+"="+c.Status+"/"+c.Reason)
	}
	said = append(said, written.Status.Alert.State, written.Status.RunRef, written.Status.Phase, written.Status.Outcome)
	said = slices.DeleteFunc(said, func(s string) bool { return s == "" })
	return strings.Join(said, " ")
}
