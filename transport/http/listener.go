package http

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	nethttp "net/http"
	"syscall"
	"time"
)

// listening is the Caller's own server. A nil one is closed.
type listening struct {
	server  *nethttp.Server
	address net.Addr
	ended   chan struct{} // closed when it accepts no more
	broken  chan struct{} // closed before ended, when nobody asked for that; err is set then
	err     error
}

func listen(ctx context.Context, o Options, h nethttp.Handler) (*listening, error) {
	l, err := o.Listener, error(nil)
	if l == nil {
		l, err = new(net.ListenConfig).Listen(ctx, "tcp", o.Listen)
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("http: listen on %s: another process has this port: stop it, or listen on another (port 0 takes a free one): %w", o.Listen, err)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("http: listen on %s: this user may not: take a port above 1023: %w", o.Listen, err)
	case err != nil:
		return nil, fmt.Errorf("http: listen on %s: want an address of this machine and a free port: %w", o.Listen, err)
	}
	s := &listening{
		server:  newServer(o, h),
		address: l.Addr(),
		ended:   make(chan struct{}),
		broken:  make(chan struct{}),
	}
	go func() {
		defer close(s.ended)
		if s.err = s.server.Serve(l); !errors.Is(s.err, nethttp.ErrServerClosed) {
			close(s.broken)
		}
	}()
	return s, nil
}

// failed is closed when the server can accept no more although nobody closed it.
func (s *listening) failed() <-chan struct{} {
	if s == nil {
		return nil
	}
	return s.broken
}

func newServer(o Options, h nethttp.Handler) *nethttp.Server {
	return &nethttp.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      readTimeout + o.MaxTimeout + writeTimeout, // counted from the end of the header
		IdleTimeout:       idleServer,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          log.New(io.Discard, "", 0), // a driver does not log; what concerns a request is answered to it
	}
}

// close gives answers that are in the socket a moment to leave, and then cuts what is left: pages that stream, and
// connections on which nothing was asked yet.
func (s *listening) close(ctx context.Context) {
	if s == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, closeGrace)
	defer cancel()
	_ = s.server.Shutdown(ctx) // its only news is that cut has something to do
	s.cut()
}

func (s *listening) cut() {
	if s == nil {
		return
	}
	_ = s.server.Close() // closing a socket that is gone is fine
	<-s.ended
}

// unhurried lifts the limits of time for a request that has arrived whole.
func unhurried(h nethttp.Handler) nethttp.Handler {
	return nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		if r.ContentLength == 0 {
			limits := nethttp.NewResponseController(w)
			_ = limits.SetReadDeadline(time.Time{}) // unsupported under somebody else's server: then its limits hold
			_ = limits.SetWriteDeadline(time.Time{})
		}
		h.ServeHTTP(w, r)
	})
}
