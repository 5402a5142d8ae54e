package http_test

import (
	"bytes"
	"context"
	"errors"
	nethttp "net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/http"
)

var clientOnly = http.Options{}

func TestAnErrorArrivesAsItWasMade(t *testing.T) {
	t.Parallel()
	sent := &transport.Error{
		Code: transport.ResourceExhausted, Name: "orders.v1.quota", Message: "10 a day", Details: []byte(`{"left":0}`),
		Fields: []transport.Field{{Path: "n", Message: "m"}}, RetryAfter: 1234 * time.Millisecond, NoRetry: true, NotSent: true,
		Cause: errors.New("secret"),
	}
	_, peer := serve(t, endpoint(quote, failing(sent)))
	_, err := open(t, clientOnly).Request(within(t), peer, request("{}"))
	want := *sent
	want.Cause, want.Address, want.ID, want.Peer = nil, quote, "m-1", peer
	if !reflect.DeepEqual(err, &want) { //nolint:govet // the whole error is compared, as data
		t.Errorf("Request = %#v\nwant %#v", err, &want)
	}
}

func TestWhatGoesWrongInAHandlerStaysThere(t *testing.T) {
	t.Parallel()
	_, peer := serve(t,
		endpoint("a.fails", failing(errors.New("secret"))),
		endpoint("a.panics", func(context.Context, *transport.Envelope) (*transport.Envelope, error) { panic("secret") }),
		endpoint("a.header", func(context.Context, *transport.Envelope) (*transport.Envelope, error) {
			return &transport.Envelope{Headers: map[string]string{"Set-Cookie": "secret"}}, nil
		}),
		endpoint("a.headers", func(context.Context, *transport.Envelope) (*transport.Envelope, error) {
			h := make(map[string]string)
			for _, k := range strings.Split("abcdefghij", "") {
				h[k] = strings.Repeat("x", 8<<10)
			}
			return &transport.Envelope{Headers: h}, nil
		}),
		transport.Endpoint{Address: "a.bind", Method: "GET", Path: "/bind", Answer: echo,
			Bind: func([]byte, map[string][]string) ([]byte, error) { panic("secret") }},
	)
	c := open(t, clientOnly)
	for _, address := range []string{"a.fails", "a.panics", "a.header", "a.headers"} {
		_, err := c.Request(within(t), peer, &transport.Envelope{ID: "m", Address: address})
		e, _ := errors.AsType[*transport.Error](err)
		if e == nil || e.Code != transport.Internal || e.NotSent || strings.Contains(e.Error(), "secret") {
			t.Errorf("%s: Request = %v; want internal without the text, and not NotSent", address, err)
		}
	}
	if response, body := curl(t, "GET", peer+"/bind", ""); response.StatusCode != nethttp.StatusInternalServerError || strings.Contains(body, "secret") {
		t.Errorf("a Bind that panics: %d %s; want 500 without the text", response.StatusCode, body)
	}
}

// expiring is a context whose time is over when a test says so.
type expiring struct {
	context.Context
	over chan struct{}
}

func (c expiring) Done() <-chan struct{} { return c.over }

func (c expiring) Err() error {
	select {
	case <-c.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

func TestADeadlineTravels(t *testing.T) {
	t.Parallel()
	ctx := expiring{within(t), make(chan struct{})}
	latest, _ := ctx.Deadline()
	ended := make(chan error, 1)
	_, peer := serve(t, endpoint(quote, func(handling context.Context, _ *transport.Envelope) (*transport.Envelope, error) {
		if got, ok := handling.Deadline(); !ok || got.After(latest.Add(time.Second)) { // remaining time travels, so the way here is added
			t.Errorf("the handler may work until %v; want about the caller's %v", got, latest)
		}
		close(ctx.over)
		<-handling.Done()
		ended <- handling.Err()
		return nil, handling.Err()
	}))
	_, err := open(t, clientOnly).Request(ctx, peer, request("{}"))
	e, _ := errors.AsType[*transport.Error](err)
	if e == nil || e.Code != transport.DeadlineExceeded || e.NotSent {
		t.Errorf("Request = %#v; want deadline-exceeded of a request that was begun", err)
	}
	if err := <-ended; err == nil {
		t.Error("the handler's context did not end; want it to when the caller has gone")
	}
}

func TestTheServersOwnLimitOfTimeIsAnsweredAs504(t *testing.T) {
	t.Parallel()
	c := open(t, http.Options{Listen: "127.0.0.1:0", MaxTimeout: 200 * time.Millisecond})
	peer, _ := answer(t, c, endpoint(quote, func(ctx context.Context, _ *transport.Envelope) (*transport.Envelope, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}))
	if response, body := curl(t, "POST", peer+"/orders/v1/get-quote", "{}"); response.StatusCode != nethttp.StatusGatewayTimeout || response.Header.Get("Parley-Not-Begun") != "" {
		t.Errorf("got %d %s, Parley-Not-Begun %q; want 504 of a request that was begun", response.StatusCode, body, response.Header.Get("Parley-Not-Begun"))
	}
}

func TestACancelTravels(t *testing.T) {
	t.Parallel()
	begun, ended := make(chan bool), make(chan error)
	_, peer := serve(t, endpoint(quote, func(ctx context.Context, _ *transport.Envelope) (*transport.Envelope, error) {
		begun <- true
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}))
	ctx, cancel := context.WithCancel(within(t))
	go func() {
		<-begun
		cancel()
	}()
	_, err := open(t, clientOnly).Request(ctx, peer, request("{}"))
	e, _ := errors.AsType[*transport.Error](err)
	if e == nil || e.Code != transport.Canceled || e.NotSent {
		t.Errorf("Request = %#v; want canceled of a request that was begun", err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the handler's context ended as %v; want canceled", err)
	}
}

func TestWhatCannotBeSentIsRefusedBefore(t *testing.T) {
	t.Parallel()
	c := open(t, clientOnly)
	late, cancel := context.WithTimeout(context.Background(), 0)
	defer cancel()
	gone, leave := context.WithCancel(context.Background())
	leave()
	many := make(map[string]string)
	for _, k := range strings.Split("abcdefgh", "") {
		many[k] = strings.Repeat("x", 8<<10)
	}
	for _, x := range []struct {
		name string
		ctx  context.Context
		peer string
		e    *transport.Envelope
		want transport.Code
		text string
	}{
		{"no id", within(t), "http://a", &transport.Envelope{Address: quote}, transport.InvalidArgument, "id"},
		{"a line break", within(t), "http://a", &transport.Envelope{ID: "m", Address: quote, ContentType: "a\r\nb: c"}, transport.InvalidArgument, "content type"},
		{"too large", within(t), "http://a", request(strings.Repeat("x", 1<<20+1)), transport.InvalidArgument, "the limit is 1048576"},
		{"too many headers", within(t), "http://a", &transport.Envelope{ID: "m", Address: quote, Headers: many}, transport.InvalidArgument, "headers have"},
		{"no peer", within(t), "", request("{}"), transport.InvalidArgument, "want http://HOST:PORT"},
		{"another protocol", within(t), "nats://a", request("{}"), transport.InvalidArgument, "want http://HOST:PORT"},
		{"no URL", within(t), "http://a b", request("{}"), transport.InvalidArgument, "want http://HOST:PORT"},
		{"a query", within(t), "http://a?b", request("{}"), transport.InvalidArgument, "want http://HOST:PORT"},
		{"too late", late, "http://a", request("{}"), transport.DeadlineExceeded, ""},
		{"given up", gone, "http://a", request("{}"), transport.Canceled, ""},
		{"nobody listens", within(t), "http://127.0.0.1:1", request("{}"), transport.Unavailable, "refused"},
	} {
		_, err := c.Request(x.ctx, x.peer, x.e)
		e, _ := errors.AsType[*transport.Error](err)
		if e == nil || e.Code != x.want || !e.NotSent || !strings.Contains(e.Error(), x.text) || e.Peer != x.peer || e.Address != x.e.Address || e.ID != x.e.ID {
			t.Errorf("%s: Request = %#v (%v); want %s, NotSent, with address, id and peer, and %q", x.name, err, err, x.want, x.text)
		}
	}
	_, err := c.Request(within(t), "http://user:secret@a", request("{}"))
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a peer with a password: Request = %v; want an error that does not show it", err)
	}
}

func TestBodiesOfAllSizesCross(t *testing.T) {
	t.Parallel()
	_, peer := serve(t, endpoint(quote, echo))
	c := open(t, clientOnly)
	for _, size := range []int{1, 2047, 2049, 4 << 10, 64 << 10, 64<<10 + 1, 1 << 20} {
		want := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		e := request("")
		e.Body = want
		got, err := c.Request(within(t), peer, e)
		if err != nil || !bytes.Equal(got.Body, want) {
			t.Errorf("%d bytes: got %d, %v; want them back", size, len(got.Body), err)
		}
	}
}

func TestAnAnswerAboveTheLimitIsAnError(t *testing.T) {
	t.Parallel()
	_, peer := serve(t, endpoint(quote, echo))
	c := open(t, http.Options{MaxBody: 10})
	big := open(t, http.Options{})
	if _, err := big.Request(within(t), peer, request(`"0123456789"`)); err != nil {
		t.Fatalf("Request = %v; want an answer within the limit", err)
	}
	_, large := serve(t, endpoint(quote, func(context.Context, *transport.Envelope) (*transport.Envelope, error) {
		return &transport.Envelope{Body: []byte(`"0123456789"`)}, nil
	}))
	_, err := c.Request(within(t), large, request(`{}`))
	e, _ := errors.AsType[*transport.Error](err)
	if e == nil || e.Code != transport.ResourceExhausted || e.NotSent || !strings.Contains(e.Message, "limit of 10 bytes") {
		t.Errorf("Request = %#v; want resource-exhausted that names the limit", err)
	}
}
