package httpd

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"testing"
	"time"
)

// limited is the address of a server with a small limiter and no timeouts: what a
// silent connection holds, it holds for ever.
func limited(t *testing.T, most, mostEach int) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{
		ConnContext: withConn,
		Handler:     parting(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })),
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(newLimiter(listener, most, mostEach)) }()
	t.Cleanup(func() {
		_ = srv.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// from is a dialer with an address of its own.
func from(peer string) *net.Dialer {
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(peer)}}
}

// silent opens connections and says nothing on them. The server accepts them before
// any that is opened later.
func silent(t *testing.T, address, peer string, many int) {
	t.Helper()
	for range many {
		conn, err := from(peer).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
}

// client is one that keeps its connection, from an address of its own.
func client(t *testing.T, peer string) *http.Client {
	t.Helper()
	transport := &http.Transport{DialContext: from(peer).DialContext}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

// served fails the test if the client gets no answer, and reports whether it came
// over a connection that the client had already.
func served(t *testing.T, c *http.Client, address string) (reused bool) {
	t.Helper()
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodGet, "http://"+address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatalf("a client that says what it wants is not served: %v", err)
	}
	_ = resp.Body.Close()
	return reused
}

func TestSilentConnectionsKeepNoClientOut(t *testing.T) {
	rows := map[string]struct {
		attackers []string
		each      int
		honest    string
	}{
		"of one address":                           {attackers: []string{"127.0.0.2"}, each: 30, honest: "127.0.0.9"},
		"of many addresses":                        {attackers: []string{"127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"}, each: 4, honest: "127.0.0.9"},
		"of the client's own address, behind NAT":  {attackers: []string{"127.0.0.9"}, each: 30, honest: "127.0.0.9"},
		"of more addresses than there are places":  {attackers: addresses(12), each: 1, honest: "127.0.0.9"},
		"none, and the client is served all alone": {honest: "127.0.0.9"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			address := limited(t, 8, 4)
			for _, peer := range row.attackers {
				silent(t, address, peer, row.each)
			}
			c := client(t, row.honest)
			served(t, c, address)
			for _, peer := range row.attackers {
				silent(t, address, peer, row.each)
			}
			served(t, client(t, "127.0.0.10"), address) // what was opened before it is accepted now
			if !served(t, c, address) {
				t.Error("the connection of a client that was served had to go")
			}
		})
	}
}

func addresses(many int) []string {
	var all []string
	for i := range many {
		all = append(all, net.IPv4(127, 0, 1, byte(i+1)).String())
	}
	return all
}

// TestAConnectionThatIsServedIsNeverThrownOut: the newcomer is closed, not the client
// that is at work, and is let in once that one has gone.
func TestAConnectionThatIsServedIsNeverThrownOut(t *testing.T) {
	address := limited(t, 2, 1)
	first, second := client(t, "127.0.0.2"), client(t, "127.0.0.3")
	served(t, first, address)
	served(t, second, address)
	for _, peer := range []string{"127.0.0.2", "127.0.0.4"} {
		conn, err := from(peer).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		var timeout net.Error
		if _, err := conn.Read(make([]byte, 1)); err == nil || errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("a connection from %s that there is no place for is not closed: %v", peer, err)
		}
		_ = conn.Close()
	}
	if !served(t, first, address) || !served(t, second, address) {
		t.Error("a client that was served lost its connection")
	}
}

func TestAPlaceIsGivenBackOnce(t *testing.T) {
	l := newLimiter(nil, 1, 1)
	conn := func(peer string) *limitedConn {
		ours, theirs := net.Pipe()
		t.Cleanup(func() { _ = theirs.Close() })
		return &limitedConn{Conn: ours, limiter: l, peer: peer, served: true}
	}
	a, b := conn("a"), conn("b")
	if _, ok := l.place(a); !ok {
		t.Fatal("the first is not let in")
	}
	if _, ok := l.place(b); ok {
		t.Fatal("a second is let in")
	}
	_, _ = a.Close(), a.Close()
	if out, ok := l.place(b); !ok || out != nil {
		t.Error("the place of one that is closed is not given to another")
	}
	if _, ok := l.place(conn("c")); ok {
		t.Error("closing one twice gave back two places")
	}
}
