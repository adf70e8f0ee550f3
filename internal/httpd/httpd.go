// Package httpd serves HTTP as a part of the manager: with limits, on every
// replica, and until the last request is answered.
package httpd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"
)

// Limits of a connection. Whoever is slower, or says more, is not served.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = 15 * time.Second
	idleTimeout   = 90 * time.Second
	maxHeader     = 32 << 10
	// drainTimeout is shorter than the manager's patience at the end (30 s).
	drainTimeout = 20 * time.Second
)

// Server listens at one address. It is a manager.Runnable.
type Server struct {
	name    string
	address string
	handler http.Handler
	bound   chan net.Addr
}

// New returns a server for a handler; its name says in errors which one it is.
func New(name, address string, handler http.Handler) *Server {
	return &Server{name: name, address: address, handler: handler, bound: make(chan net.Addr, 1)}
}

// Bound gives the address once, as soon as the server listens there.
func (s *Server) Bound() <-chan net.Addr { return s.bound }

// NeedLeaderElection is false: every replica serves.
func (s *Server) NeedLeaderElection() bool { return false }

// Start serves until the context ends, then lets the requests that are under
// way finish.
func (s *Server) Start(ctx context.Context) error {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", s.address)
	if err != nil {
		return fmt.Errorf("listening for %s at %s: %w", s.name, s.address, err)
	}
	s.bound <- listener.Addr()
	log.FromContext(ctx).Info("serving", "server", s.name, "address", listener.Addr().String())

	srv := s.server(ctx)
	drained := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { drained <- drain(ctx, srv) })
	if err := srv.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("serving %s: %w", s.name, err)
	}
	if err := <-drained; err != nil {
		return fmt.Errorf("finishing the requests of %s: %w", s.name, err)
	}
	return nil
}

// server answers with a context that outlives ctx: the end of the program is
// announced by it, and is no reason to break off what is under way.
func (s *Server) server(ctx context.Context) *http.Server {
	return &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
}

func drain(ctx context.Context, srv *http.Server) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		return errors.Join(err, srv.Close())
	}
	return nil
}
