package http_test

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/http"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const quote = "orders.v1.get-quote"

// open returns a Caller that is closed at the end of the test.
func open(t testing.TB, o http.Options) *http.Caller {
	t.Helper()
	c, err := http.New(o)
	if err != nil {
		t.Fatalf("New(%+v) = %v; want a Caller", o, err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			t.Errorf("Close = %v; want everything ended", err)
		}
	})
	return c
}

// answer serves endpoints until the test ends or stop is called, which returns what Answer did.
func answer(t testing.TB, c *http.Caller, endpoints ...transport.Endpoint) (peer string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, failed := make(chan string, 1), make(chan error, 1)
	go func() { failed <- c.Answer(ctx, endpoints, func(peer string) { ready <- peer }) }()
	stopped := false
	stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-failed
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("Answer = %v; want nil when its context is done", err)
		}
	})
	select {
	case peer = <-ready:
	case err := <-failed:
		stopped = true
		cancel()
		t.Fatalf("Answer = %v; want it ready", err)
	}
	return peer, stop
}

// serve is a Caller on a free port that answers endpoints.
func serve(t testing.TB, endpoints ...transport.Endpoint) (c *http.Caller, peer string) {
	t.Helper()
	c = open(t, http.Options{Listen: "127.0.0.1:0"})
	peer, _ = answer(t, c, endpoints...)
	return c, peer
}

// endpoint answers an address with f.
func endpoint(address string, f func(context.Context, *transport.Envelope) (*transport.Envelope, error)) transport.Endpoint {
	return transport.Endpoint{Address: address, Answer: f}
}

func echo(_ context.Context, e *transport.Envelope) (*transport.Envelope, error) {
	return &transport.Envelope{Body: e.Body}, nil
}

func failing(err error) func(context.Context, *transport.Envelope) (*transport.Envelope, error) {
	return func(context.Context, *transport.Envelope) (*transport.Envelope, error) { return nil, err }
}

func request(body string) *transport.Envelope {
	return &transport.Envelope{ID: "m-1", Source: "shop", Address: quote, Body: []byte(body)}
}

// within bounds a test that hangs.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}
