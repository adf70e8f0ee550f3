package httpd

import (
	"context"
	"net"
	"slices"
	"sync"
)

// limiter bounds the connections of a listener: those of each peer address, and all
// of them. Where there are too many, the oldest one on which no request succeeded yet
// makes room for the new one: of the same address, or of the address that has most of
// these. So a client that opens connections and says nothing on them, from as many
// addresses as it likes, takes no place from a client that is served.
type limiter struct {
	net.Listener
	most, mostEach int

	mu    sync.Mutex
	conns []*limitedConn // the oldest first
}

// limitedConn is one connection that counts until it is closed.
type limitedConn struct {
	net.Conn
	limiter *limiter
	peer    string
	served  bool // guarded by limiter.mu
}

func newLimiter(listener net.Listener, most, mostEach int) *limiter {
	return &limiter{Listener: listener, most: most, mostEach: mostEach}
}

// Accept returns the next connection that there is a place for.
func (l *limiter) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		accepted := &limitedConn{Conn: conn, limiter: l, peer: peerOf(conn)}
		out, ok := l.place(accepted)
		if out != nil {
			_ = out.Close() // its own goroutine sees that it is closed
		}
		if ok {
			return accepted, nil
		}
		_ = conn.Close()
	}
}

// place takes a connection in and returns the one that has to go for it, if any. It
// is not ok if none can go.
func (l *limiter) place(conn *limitedConn) (out *limitedConn, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	of := map[string]int{}
	for _, c := range l.conns {
		of[c.peer]++
	}
	switch {
	case of[conn.peer] >= l.mostEach:
		out = l.oldestUnserved(conn.peer)
	case len(l.conns) >= l.most:
		out = l.oldestUnserved(l.mostUnserved())
	default:
		l.conns = append(l.conns, conn)
		return nil, true
	}
	if out == nil {
		return nil, false
	}
	l.remove(out)
	l.conns = append(l.conns, conn)
	return out, true
}

// mostUnserved returns the address with the most connections that were not served.
func (l *limiter) mostUnserved() string {
	unserved, worst := map[string]int{}, ""
	for _, c := range l.conns {
		if c.served {
			continue
		}
		if unserved[c.peer]++; unserved[c.peer] > unserved[worst] {
			worst = c.peer
		}
	}
	return worst
}

func (l *limiter) oldestUnserved(peer string) *limitedConn {
	at := slices.IndexFunc(l.conns, func(c *limitedConn) bool { return c.peer == peer && !c.served })
	if at < 0 {
		return nil
	}
	return l.conns[at]
}

func (l *limiter) remove(conn *limitedConn) {
	l.conns = slices.DeleteFunc(l.conns, func(c *limitedConn) bool { return c == conn })
}

// Close gives the place back.
func (c *limitedConn) Close() error {
	c.limiter.mu.Lock()
	c.limiter.remove(c)
	c.limiter.mu.Unlock()
	return c.Conn.Close()
}

// peerOf returns the address of a connection's other end, without its port.
func peerOf(conn net.Conn) string {
	host, _, err := net.SplitHostPort(conn.RemoteAddr().String())
	if err != nil {
		return conn.RemoteAddr().String()
	}
	return host
}

type connKey struct{}

// withConn lets handlers find the connection of a request.
func withConn(ctx context.Context, conn net.Conn) context.Context {
	if wrapped, ok := conn.(interface{ NetConn() net.Conn }); ok { // TLS
		conn = wrapped.NetConn()
	}
	return context.WithValue(ctx, connKey{}, conn)
}

// markServed says that a request's connection is of a client that was let in.
func markServed(ctx context.Context) {
	c, ok := ctx.Value(connKey{}).(*limitedConn)
	if !ok {
		return
	}
	c.limiter.mu.Lock()
	defer c.limiter.mu.Unlock()
	c.served = true
}
