package httpd_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kubernaut/kubernaut/internal/httpd"
)

// patience is how long a test waits for what must come; it is never waited out
// in a test that passes.
const patience = 20 * time.Second

func TestServerServesUntilItIsStopped(t *testing.T) {
	url, stop := started(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") }))
	if got := fetched(t, url); got != "here" {
		t.Errorf("answer is %q", got)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if resp, err := http.Get(url); err == nil {
		_ = resp.Body.Close()
		t.Error("it still serves")
	}
}

func TestServerFinishesWhatIsUnderWay(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	broken := make(chan error, 1)
	url, stop := started(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-release
		broken <- r.Context().Err()
		_, _ = io.WriteString(w, "done")
	}))
	answer := make(chan string, 1)
	go func() { answer <- fetched(t, url) }()
	await(t, entered)
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	refused(t, url) // it drains: no new connection is taken
	close(release)
	if err := await(t, broken); err != nil {
		t.Errorf("the request was broken off: %v", err)
	}
	if got := await(t, answer); got != "done" {
		t.Errorf("answer is %q", got)
	}
	if err := await(t, stopped); err != nil {
		t.Error(err)
	}
}

func TestServerSaysWhichOneCanNotListen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	err = httpd.New(httpd.Options{Name: "intake", Address: taken.Addr().String(), Handler: http.NotFoundHandler()}).Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "listening for intake at "+taken.Addr().String()) {
		t.Errorf("error is %v", err)
	}
}

func TestServerRefusesEndlessHeaders(t *testing.T) {
	url, stop := started(t, http.NotFoundHandler())
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nX-Much: %s\r\n\r\n", strings.Repeat("x", 64<<10))
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.Contains(line, "431") {
		t.Errorf("answer is %q, %v", line, err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestServerKeepsOnlyTheConnectionsOfThoseWhoAreServed(t *testing.T) {
	for status, kept := range map[int]bool{200: true, 401: false, 403: false, 404: false, 503: true} {
		url, stop := started(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(patience)); err != nil {
				t.Error(err)
			}
			w.WriteHeader(status)
		}))
		resp, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != status || resp.Close == kept {
			t.Errorf("answer %d (want %d): closes the connection: %t", resp.StatusCode, status, resp.Close)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
}

func TestServerTellsOfAPanicAndNotOfStrangers(t *testing.T) {
	donor := httptest.NewTLSServer(http.NotFoundHandler())
	defer donor.Close()
	told := make(chan string, 100)
	logger := funcr.New(func(_, line string) { told <- line }, funcr.Options{})
	ctx, cancel := context.WithCancel(log.IntoContext(context.WithoutCancel(t.Context()), logger))
	defer cancel()
	s := httpd.New(httpd.Options{
		Name: "test", Address: "127.0.0.1:0",
		Handler:     http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") }),
		Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &donor.TLS.Certificates[0], nil },
	})
	ended := make(chan error, 1)
	go func() { ended <- s.Start(ctx) }()
	address := await(t, s.Bound()).String()
	if resp, err := http.Get("https://" + address); err == nil { // which does not know the authority
		_ = resp.Body.Close()
		t.Error("a stranger was served")
	}
	if resp, err := donor.Client().Get("https://" + address); err == nil {
		_ = resp.Body.Close()
		t.Error("a request that panicked was answered")
	}
	cancel()
	if err := await(t, ended); err != nil {
		t.Error(err)
	}
	var lines []string
	for len(told) > 0 {
		lines = append(lines, <-told)
	}
	if all := strings.Join(lines, "\n"); !strings.Contains(all, "boom") || strings.Contains(all, "handshake") {
		t.Errorf("told:\n%s", all)
	}
}

func TestServerIsReadyWhileItListensAndNotReadyBeforeItEnds(t *testing.T) {
	s := httpd.New(httpd.Options{
		Name: "intake", Address: "127.0.0.1:0", Linger: time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") }),
	})
	if err := s.Ready(nil); err == nil {
		t.Error("it is ready before it listens")
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- s.Start(ctx) }()
	url := "http://" + await(t, s.Bound()).String()
	if got := fetched(t, url); got != "here" || s.Ready(nil) != nil {
		t.Errorf("answer is %q, ready: %v", got, s.Ready(nil))
	}
	cancel()
	for s.Ready(nil) == nil {
		runtime.Gosched()
	}
	if got := fetched(t, url); got != "here" {
		t.Errorf("whoever did not know yet that it ends got %q", got)
	}
	if err := await(t, ended); err != nil || s.Ready(nil) == nil {
		t.Errorf("it ended with %v, ready: %v", err, s.Ready(nil))
	}
}

func TestServerSpeaksTLSWithWhateverCertificateThereIsNow(t *testing.T) {
	donor := httptest.NewTLSServer(http.NotFoundHandler())
	defer donor.Close()
	var current atomic.Pointer[tls.Certificate]
	s := httpd.New(httpd.Options{
		Name: "test", Address: "127.0.0.1:0", Handler: http.NotFoundHandler(),
		Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if c := current.Load(); c != nil {
				return c, nil
			}
			return nil, errors.New("none yet")
		},
	})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- s.Start(ctx) }()
	address := await(t, s.Bound()).String()
	dial := func(newest uint16) error {
		trusted := donor.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
		dialer := tls.Dialer{Config: &tls.Config{RootCAs: trusted, ServerName: "example.com", MaxVersion: newest}}
		conn, err := dialer.DialContext(t.Context(), "tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err
	}
	if err := dial(tls.VersionTLS13); err == nil {
		t.Error("it speaks without a certificate")
	}
	current.Store(&donor.TLS.Certificates[0])
	if err := dial(tls.VersionTLS13); err != nil {
		t.Error(err)
	}
	if err := dial(tls.VersionTLS12); err != nil {
		t.Error(err)
	}
	if err := dial(tls.VersionTLS11); err == nil {
		t.Error("it speaks TLS 1.1")
	}
	cancel()
	if err := await(t, ended); err != nil {
		t.Error(err)
	}
}

// started returns the URL of a server, and what ends it and returns its error.
func started(t *testing.T, handler http.Handler) (string, func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(cancel)
	s := httpd.New(httpd.Options{Name: "test", Address: "127.0.0.1:0", Handler: handler})
	ended := make(chan error, 1)
	go func() { ended <- s.Start(ctx) }()
	return "http://" + await(t, s.Bound()).String(), func() error {
		cancel()
		return <-ended
	}
}

func fetched(t *testing.T, url string) string {
	resp, err := http.Get(url)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return string(body)
}

// refused waits until nothing listens at the address any more.
func refused(t *testing.T, url string) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			return
		}
		_ = conn.Close()
	}
	t.Fatal("it still listens")
}

func await[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("waited in vain")
		panic("unreachable")
	}
}
