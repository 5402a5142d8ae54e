package http_test

import (
	"context"
	"errors"
	"io"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/http"
)

// gated answers once release is closed, and says on begun that it runs.
func gated() (ep transport.Endpoint, begun chan bool, release chan bool) {
	begun, release = make(chan bool, 10), make(chan bool)
	return endpoint(quote, func(_ context.Context, e *transport.Envelope) (*transport.Envelope, error) {
		begun <- true
		<-release
		return &transport.Envelope{Body: e.Body}, nil
	}), begun, release
}

func TestADrainingAnswerFinishesWhatRunsAndTurnsAwayTheRest(t *testing.T) {
	t.Parallel()
	ep, begun, release := gated()
	c := open(t, http.Options{Listen: "127.0.0.1:0"})
	peer, stop := answer(t, c, ep)
	client := open(t, clientOnly)
	running := make(chan error, 1)
	go func() {
		_, err := client.Request(within(t), peer, request("{}"))
		running <- err
	}()
	<-begun
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()

	for http.Drained(c) == 0 { // until the end of the context has arrived
		runtime.Gosched()
	}
	_, err := client.Request(within(t), peer, request("{}"))
	refused, _ := errors.AsType[*transport.Error](err)
	if refused == nil {
		t.Fatalf("while draining: Request = %v; want an error", err)
	}
	if refused.Code != transport.Unavailable || !refused.NotSent || refused.RetryAfter != time.Second || !strings.Contains(refused.Message, "draining") {
		t.Errorf("while draining: Request = %#v; want unavailable, NotSent, draining, after 1s", refused)
	}
	w := httptest.NewRecorder()
	c.Handler().ServeHTTP(w, httptest.NewRequestWithContext(within(t), "POST", "/orders/v1/get-quote", strings.NewReader("{}")))
	if w.Code != 503 || w.Header().Get("Retry-After") != "1" || w.Header().Get("Connection") != "close" {
		t.Errorf("while draining: %d, Retry-After %q, Connection %q; want 503, 1, close", w.Code, w.Header().Get("Retry-After"), w.Header().Get("Connection"))
	}
	select {
	case err := <-stopped:
		t.Fatalf("Answer = %v while a request runs; want it to wait", err)
	default:
	}
	close(release)
	if err := <-running; err != nil {
		t.Errorf("the request that ran: %v; want its answer", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Answer = %v; want nil", err)
	}

	again, _ := answer(t, c, endpoint(quote, echo))
	if again != peer {
		t.Errorf("ready(%q) of a later Answer; want the same listener, %q", again, peer)
	}
	if _, err := client.Request(within(t), peer, request("{}")); err != nil {
		t.Errorf("after a later Answer took the route over: Request = %v; want an answer", err)
	}
}

func TestAnswersThatComeAndGoLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	c := open(t, http.Options{Listen: "127.0.0.1:0"})
	client := open(t, clientOnly)
	for range 50 {
		peer, stop := answer(t, c, endpoint(quote, echo), rest("GET", "/stock/{sku}"))
		if _, err := client.Request(within(t), peer, request("{}")); err != nil {
			t.Fatalf("Request = %v; want an answer", err)
		}
		if err := stop(); err != nil {
			t.Fatalf("Answer = %v; want nil", err)
		}
	}
	if n := http.Drained(c); n != 1 {
		t.Errorf("%d ended Answers are remembered; want the last one, which still says that it drains", n)
	}
}

func TestCloseEndsRequestsAndWaitsForAnswers(t *testing.T) {
	t.Parallel()
	ep, begun, release := gated()
	server, peer := serve(t, ep)
	client := open(t, clientOnly)
	cut, served := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := client.Request(within(t), peer, request("{}"))
		cut <- err
	}()
	<-begun
	if err := client.Close(within(t)); err != nil {
		t.Errorf("Close of the caller = %v; want nil", err)
	}
	e, _ := errors.AsType[*transport.Error](<-cut)
	if e == nil || e.Code != transport.Unavailable || !errors.Is(e, transport.ErrClosed) || e.NotSent {
		t.Errorf("the request that ran: %#v; want unavailable, closed, and not NotSent", e)
	}
	_, err := client.Request(within(t), peer, request("{}"))
	e, _ = errors.AsType[*transport.Error](err)
	if e == nil || !errors.Is(e, transport.ErrClosed) || !errors.Is(e, transport.ErrNotSent) || !e.NotSent {
		t.Errorf("after Close: Request = %#v; want closed and NotSent", err)
	}
	if err := client.Answer(within(t), nil, nil); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("after Close: Answer = %v; want closed", err)
	}

	late, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	go func() { served <- server.Close(late) }()
	if err := <-served; err == nil || !strings.Contains(err.Error(), "1 Answers did not end in time") {
		t.Errorf("Close beside a handler that hangs = %v; want an error that counts it", err)
	}
	close(release)
	if err := server.Close(within(t)); err != nil {
		t.Errorf("Close again = %v; want nil", err)
	}
	if _, err := open(t, clientOnly).Request(within(t), peer, request("{}")); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("after Close: Request = %v; want the port closed", err)
	}
}

func TestCloseCutsTheConnectionsOfHandlersThatHang(t *testing.T) {
	t.Parallel()
	begun, ended := make(chan bool), make(chan error, 1)
	server, peer := serve(t, endpoint(quote, func(ctx context.Context, _ *transport.Envelope) (*transport.Envelope, error) {
		begun <- true
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}))
	go func() { _, _ = open(t, clientOnly).Request(within(t), peer, request("{}")) }()
	<-begun
	over, cancel := context.WithCancel(context.Background())
	cancel()
	if err := server.Close(over); err == nil {
		t.Error("Close with a context that is over = nil; want an error: a handler runs")
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the handler's context ended as %v; want canceled", err)
	}
}

func TestCloseDoesNotWaitForAStreamingPage(t *testing.T) {
	t.Parallel()
	c := open(t, http.Options{Listen: "127.0.0.1:0"})
	peer, stop := answer(t, c)
	ended := make(chan bool)
	err := c.Handle("GET /live", nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		w.WriteHeader(nethttp.StatusOK)
		_ = nethttp.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(ended)
	}))
	if err != nil {
		t.Fatalf("Handle = %v; want a page", err)
	}
	r, err := nethttp.NewRequestWithContext(within(t), "GET", peer+"/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&nethttp.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatalf("GET = %v; want a stream", err)
	}
	if err := stop(); err != nil {
		t.Errorf("Answer = %v; want nil", err)
	}
	over, cancel := context.WithCancel(context.Background())
	cancel()
	if err := c.Close(over); err != nil {
		t.Errorf("Close = %v; want nil: a page is no Answer", err)
	}
	<-ended
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
}

func TestAPortInUseIsAnErrorThatSaysWhatToDo(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	address := l.Addr().String()
	c := open(t, http.Options{Listen: address})
	err = c.Answer(within(t), []transport.Endpoint{endpoint(quote, echo)}, func(string) { t.Error("ready was called") })
	if err == nil || !strings.Contains(err.Error(), address) || !strings.Contains(err.Error(), "another process has this port") {
		t.Errorf("Answer = %v; want an error that names %s and what to do", err, address)
	}
	_ = l.Close()
	if peer, _ := answer(t, c, endpoint(quote, echo)); peer != "http://"+address {
		t.Errorf("ready(%q) once the port is free; want http://%s", peer, address)
	}
}

func TestBadOptionsAreToldAllAtOnce(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		o    http.Options
		want []string
	}{
		{http.Options{Listen: "8080", Advertise: "orders:80", MaxBody: -1, MaxTimeout: -1}, []string{`Listen "8080"`, "Advertise", "MaxBody -1", "MaxTimeout -1ns"}},
		{http.Options{Listen: ":8080"}, []string{"every interface", "Advertise"}},
		{http.Options{Listen: "0.0.0.0:8080"}, []string{"every interface"}},
		{http.Options{Listen: "[::]:8080"}, []string{"every interface"}},
		{http.Options{Advertise: "http://user:secret@shop"}, []string{"Advertise", "xxxxx"}},
	} {
		_, err := http.New(x.o)
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("New(%+v) = %v; want an error without secrets", x.o, err)
			continue
		}
		for _, want := range x.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("New(%+v) = %v; want it to say %q", x.o, err, want)
			}
		}
	}
	if _, err := http.New(http.Options{Listen: ":8080", Advertise: "https://shop.example.com/orders/"}); err != nil {
		t.Errorf("New with an advertised URL = %v; want a Caller", err)
	}
}
