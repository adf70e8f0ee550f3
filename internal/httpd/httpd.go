// Package httpd serves HTTP with limits, and until the last request is answered.
package httpd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// Limits of a connection. Whoever is slower, or says more, is not served.
const (
	headerTimeout = 5 * time.Second // of the TLS handshake too
	readTimeout   = 10 * time.Second
	writeTimeout  = 15 * time.Second
	// idleTimeout is short: an idle connection takes a place from another client.
	idleTimeout = 20 * time.Second
	maxHeader   = 32 << 10
	// maxConnections at once, and of one peer address; see limiter. One address, which may
	// be that of all Alertmanagers, can send more messages than the webhook lets in at once:
	// then it is told so, and loses none of the connections that are being served.
	maxConnections     = 512
	maxConnectionsEach = 256
	// drainTimeout is shorter than the kubelet's patience at the end (30 s).
	drainTimeout = 20 * time.Second
)

// Options say what to serve, and where.
type Options struct {
	// Name says in errors which server it is.
	Name string
	// Address to listen at.
	Address string
	// Handler answers.
	Handler http.Handler
	// Certificate to serve HTTPS with; without it, it is plain HTTP.
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Linger is how long requests are still taken once the server is said to be
	// ending: until everybody who sends them knows.
	Linger time.Duration
}

// Server listens at one address.
type Server struct {
	options Options
	bound   chan net.Addr
	serving atomic.Bool
}

// New returns a server.
func New(options Options) *Server {
	return &Server{options: options, bound: make(chan net.Addr, 1)}
}

// Bound gives the address once, as soon as the server listens there.
func (s *Server) Bound() <-chan net.Addr { return s.bound }

// Ready is a healthz.Checker: nil from when the server listens to when it is to end.
func (s *Server) Ready(*http.Request) error {
	if !s.serving.Load() {
		return fmt.Errorf("%s does not take requests", s.options.Name)
	}
	return nil
}

// Start serves until the context ends: then it is not ready first, lingers, and
// lets the requests that are under way finish.
func (s *Server) Start(ctx context.Context) error {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", s.options.Address)
	if err != nil {
		return fmt.Errorf("listening for %s at %s: %w", s.options.Name, s.options.Address, err)
	}
	s.bound <- listener.Addr()
	s.serving.Store(true)
	defer s.serving.Store(false)
	log.FromContext(ctx).Info("serving", "server", s.options.Name, "address", listener.Addr().String(), "tls", s.options.Certificate != nil)

	srv := s.server(ctx)
	drained := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		s.serving.Store(false)
		linger := time.NewTimer(s.options.Linger)
		defer linger.Stop()
		<-linger.C
		drained <- drain(ctx, srv)
	})
	if err := serve(srv, newLimiter(listener, maxConnections, maxConnectionsEach)); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("serving %s: %w", s.options.Name, err)
	}
	if err := <-drained; err != nil {
		return fmt.Errorf("finishing the requests of %s: %w", s.options.Name, err)
	}
	return nil
}

func serve(srv *http.Server, listener net.Listener) error {
	if srv.TLSConfig == nil {
		return srv.Serve(listener)
	}
	return srv.ServeTLS(listener, "", "")
}

// server answers with a context that outlives ctx: the end of the program is
// announced by it, and is no reason to break off what is under way.
func (s *Server) server(ctx context.Context) *http.Server {
	srv := &http.Server{
		Handler:           parting(s.options.Handler),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		ConnContext:       withConn,
		ErrorLog:          quiet(ctx),
		Protocols:         new(http.Protocols),
	}
	srv.Protocols.SetHTTP1(true) // one request at a time for each of the connections that are counted
	if s.options.Certificate != nil {
		srv.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.options.Certificate}
	}
	return srv
}

// parting closes the connection of whoever is refused: strangers must not keep
// others from coming in.
func parting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(closing{w, r.Context()}, r) })
}

type closing struct {
	http.ResponseWriter
	ctx context.Context //nolint:containedctx // of the request that is answered
}

func (c closing) WriteHeader(status int) {
	switch {
	case status >= 400 && status < 500:
		c.Header().Set("Connection", "close")
	case status < 300:
		markServed(c.ctx)
	}
	c.ResponseWriter.WriteHeader(status)
}

// Unwrap lets an http.ResponseController through.
func (c closing) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// quiet keeps what strangers do at the door, such as bad handshakes, out of the
// log of whoever does not look for it. A panic is our own doing, and is not kept.
func quiet(ctx context.Context) *stdlog.Logger {
	return stdlog.New(lines{log.FromContext(ctx).WithName("httpd")}, "", 0)
}

type lines struct{ logger logr.Logger }

func (l lines) Write(line []byte) (int, error) {
	said := strings.TrimSpace(string(line))
	if strings.HasPrefix(said, "http: panic ") {
		l.logger.Error(errors.New(said), "a request was broken off")
		return len(line), nil
	}
	l.logger.V(1).Info(said)
	return len(line), nil
}

func drain(ctx context.Context, srv *http.Server) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		return errors.Join(err, srv.Close())
	}
	return nil
}
