package http

import (
	"bufio"
	"context"
	"fmt"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley/transport"
)

// pipes is a listener in memory, so that a server's times are those of a bubble.
type pipes struct {
	made  chan net.Conn
	ended context.Context
	end   context.CancelFunc
}

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	p.made <- theirs
	return ours, nil
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.made:
		return c, nil
	case <-p.ended.Done():
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { p.end(); return nil }

func (*pipes) Addr() net.Addr { return &net.TCPAddr{} }

// polled is a Caller that answers a.poll with f under its own server's limits of time.
func polled(t *testing.T, o Options, f func(context.Context, *transport.Envelope) (*transport.Envelope, error)) (c *Caller, dial func() net.Conn) {
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	l := &pipes{made: make(chan net.Conn)}
	l.ended, l.end = context.WithCancel(t.Context())
	c.peers.connect = l.dial
	server := newServer(c.options, c.Handler())
	served, answered := make(chan error, 1), make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	ctx, cancel := context.WithCancel(t.Context())
	ready := make(chan string, 1)
	go func() {
		answered <- c.Answer(ctx, []transport.Endpoint{{Address: "a.poll", Answer: f}}, func(peer string) { ready <- peer })
	}()
	<-ready
	t.Cleanup(func() {
		cancel()
		if err := <-answered; err != nil {
			t.Errorf("Answer = %v; want nil", err)
		}
		_ = c.Close(context.Background())
		_ = server.Close()
		<-served
	})
	return c, func() net.Conn {
		conn, err := l.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
}

// holding answers after a time, or at the end of its own.
func holding(hold time.Duration) func(context.Context, *transport.Envelope) (*transport.Envelope, error) {
	return func(ctx context.Context, e *transport.Envelope) (*transport.Envelope, error) {
		select {
		case <-time.After(hold):
		case <-ctx.Done():
		}
		answer := &transport.Envelope{Body: []byte(e.Headers[transport.HeaderPrefer])}
		transport.Reply{Status: 202}.Set(answer)
		return answer, nil
	}
}

func TestALongPollIsNotCutOff(t *testing.T) {
	for _, x := range []struct {
		name     string
		max      time.Duration // Options.MaxTimeout
		hold     time.Duration // what the handler does
		patience time.Duration // the caller's; 0 = a stranger, who does not say
		want     int
		took     time.Duration
	}{
		{name: "a stranger's", hold: 25 * time.Second, want: 202, took: 25 * time.Second},
		{name: "a stranger's that asks for more than there is", hold: time.Hour, want: 202, took: 30 * time.Second},
		{name: "a stranger's under a longer limit", max: 10 * time.Minute, hold: 9 * time.Minute, want: 202, took: 9 * time.Minute},
		{name: "a caller's", hold: 25 * time.Second, patience: 28 * time.Second, want: 202, took: 25 * time.Second},
		{name: "a caller's under a longer limit", max: 10 * time.Minute, hold: 9 * time.Minute, patience: 10 * time.Minute, want: 202, took: 9 * time.Minute},
	} {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, dial := polled(t, Options{MaxTimeout: x.max}, holding(x.hold))
				began := time.Now()
				var status int
				if x.patience == 0 {
					status = ask(t, dial())
				} else {
					status = poll(t, c, x.patience)
				}
				if took := time.Since(began); status != x.want || took.Round(time.Millisecond) != x.took {
					t.Errorf("got status %d after %v; want %d after %v", status, took, x.want, x.took)
				}
			})
		})
	}
}

// ask is a stranger's request; its result is the status.
func ask(t *testing.T, conn net.Conn) int {
	defer func() { _ = conn.Close() }()
	_, err := fmt.Fprint(conn, "POST /a/poll HTTP/1.1\r\nHost: a\r\nPrefer: wait=20\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
	if err != nil {
		t.Fatal(err)
	}
	response, err := nethttp.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Errorf("the answer: %v; want one", err)
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// poll is a Request; its result is the status.
func poll(t *testing.T, c *Caller, patience time.Duration) int {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got, err := c.Request(ctx, "http://a", &transport.Envelope{ID: "m", Address: "a.poll", Headers: map[string]string{transport.HeaderPrefer: "wait=20"}})
	if err != nil {
		t.Errorf("Request = %v; want an answer", err)
		return 0
	}
	reply, err := transport.ReplyOf(got)
	if err != nil || string(got.Body) != "wait=20" {
		t.Errorf("answer %q, %v; want what the caller prefers", got.Body, err)
	}
	return reply.Status
}

func TestADrainWaitsForALongPollUntilItsOwnerEndsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stopping, stop := context.WithCancel(t.Context()) // of the service that holds the request
		c, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		begun, ended := make(chan bool), make(chan error, 1)
		ctx, drain := context.WithCancel(t.Context())
		go func() {
			ended <- c.Answer(ctx, []transport.Endpoint{{Address: "a.poll", Answer: func(ctx context.Context, _ *transport.Envelope) (*transport.Envelope, error) {
				close(begun)
				select {
				case <-stopping.Done():
					return &transport.Envelope{Body: []byte("as it is")}, nil
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}}}, nil)
		}()
		w := httptest.NewRecorder()
		synctest.Wait()
		go c.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "POST", "/a/poll", nil))
		<-begun
		drain()
		time.Sleep(20 * time.Second)
		select {
		case err := <-ended:
			t.Fatalf("Answer = %v while a request is held; want it to wait", err)
		default:
		}
		began := time.Now()
		stop()
		if err := <-ended; err != nil || time.Since(began) != 0 {
			t.Errorf("Answer = %v, %v after its owner let go; want nil at once", err, time.Since(began))
		}
		synctest.Wait()
		if w.Code != nethttp.StatusOK || w.Body.String() != "as it is" {
			t.Errorf("the held request: %d %q; want its answer", w.Code, w.Body)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Errorf("Close = %v; want nil", err)
		}
	})
}
