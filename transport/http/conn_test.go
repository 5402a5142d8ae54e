package http

import (
	"context"
	"errors"
	"io"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley/transport"
)

func TestTheServerDoesNotWaitForSlowClients(t *testing.T) {
	t.Parallel()
	o, err := Options{}.normal()
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(o, nil)
	if s.ReadHeaderTimeout != 5*time.Second || s.ReadTimeout != 30*time.Second || s.IdleTimeout != 120*time.Second || s.MaxHeaderBytes != 64<<10 || s.WriteTimeout != 90*time.Second {
		t.Errorf("header %v, read %v, idle %v, write %v, header bytes %d; want 5s, 30s, 2m, 1m30s, 65536",
			s.ReadHeaderTimeout, s.ReadTimeout, s.IdleTimeout, s.WriteTimeout, s.MaxHeaderBytes)
	}
	if idleClient >= s.IdleTimeout {
		t.Errorf("connections are kept for %v, and closed by servers after %v; want less", idleClient, s.IdleTimeout)
	}
}

func TestConnectionsThatAreIdleForLongAreClosed(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(nethttp.HandlerFunc(func(nethttp.ResponseWriter, *nethttp.Request) {}))
	defer server.Close()
	c, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(t.Context()) }()
	if _, err := c.Request(t.Context(), server.URL, &transport.Envelope{ID: "a", Address: "a.b"}); err != nil {
		t.Fatalf("Request = %v; want an answer", err)
	}
	c.peers.reap()
	if n := len(c.peers.open); n != 1 {
		t.Fatalf("%d connections are open; want the one that was used just now", n)
	}
	for _, kept := range c.peers.idle {
		kept[0].used = kept[0].used.Add(-idleClient)
	}
	c.peers.reap()
	if len(c.peers.open) != 0 || len(c.peers.idle) != 0 || c.peers.timer != nil {
		t.Errorf("%d connections are open, %d places known, timer %v; want nothing left", len(c.peers.open), len(c.peers.idle), c.peers.timer)
	}
}

// torn is a connection that breaks after some bytes were written.
type torn struct {
	net.Conn
	left int
}

func (c *torn) Write(b []byte) (int, error) {
	n := min(len(b), c.left)
	if c.left -= n; n < len(b) {
		return n, errors.New("torn")
	}
	return n, nil
}

func (*torn) Read([]byte) (int, error)    { return 0, io.ErrUnexpectedEOF }
func (*torn) Close() error                { return nil }
func (*torn) SetDeadline(time.Time) error { return nil }

func TestNotSentSaysWhetherTheHeaderWasWrittenWhole(t *testing.T) {
	t.Parallel()
	const header = 1000 // more than the head of this request, less than the head and the body
	for _, x := range []struct {
		written int
		notSent bool
	}{{0, true}, {100, true}, {header, false}, {1 << 20, false}} {
		c, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		dials := 0
		c.peers.connect = func(context.Context, string, string) (net.Conn, error) {
			dials++
			return &torn{left: x.written}, nil
		}
		_, err = c.Request(t.Context(), "http://a", &transport.Envelope{ID: "m", Address: "a.b", Body: make([]byte, 2*header)})
		e, _ := errors.AsType[*transport.Error](err)
		if e == nil || e.Code != transport.Unavailable || e.NotSent != x.notSent {
			t.Errorf("torn after %d bytes: Request = %#v; want unavailable with NotSent = %v", x.written, err, x.notSent)
		}
		if dials != 1 {
			t.Errorf("torn after %d bytes: %d connections were opened; want 1", x.written, dials)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Errorf("Close = %v; want nil", err)
		}
	}
}

// slow is a body that arrives after a time.
type slow struct {
	io.Reader
	after time.Duration
}

func (s slow) Read(b []byte) (int, error) {
	time.Sleep(s.after)
	return s.Reader.Read(b)
}

func TestARequestThatArrivesTooLateIsNotBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			ended <- c.Answer(ctx, []transport.Endpoint{{Address: "a.b", Answer: func(context.Context, *transport.Envelope) (*transport.Envelope, error) {
				t.Error("the handler ran; want it not to begin")
				return nil, nil
			}}}, nil)
		}()
		synctest.Wait()
		r := httptest.NewRequestWithContext(ctx, "POST", "/a/b", slow{strings.NewReader("{}"), time.Second})
		r.Header.Set("Request-Timeout-Ms", "500")
		w := httptest.NewRecorder()
		c.Handler().ServeHTTP(w, r)
		if w.Code != 504 || w.Header().Get("Parley-Not-Begun") != "1" {
			t.Errorf("got %d %s, Parley-Not-Begun %q; want 504 and 1", w.Code, w.Body, w.Header().Get("Parley-Not-Begun"))
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Answer = %v; want nil", err)
		}
	})
}
