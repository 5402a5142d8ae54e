package telemetry

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/parley-io/parley/transport"
)

func TestAHandlerReportsRouteAndStatus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stock/{sku}", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "7") })
	mux.HandleFunc("shop.example.com/late", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusTeapot)
		w.WriteHeader(http.StatusOK) // too late
	})
	mux.HandleFunc("/flush", func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush()
		w.WriteHeader(http.StatusTeapot)
	})
	mux.HandleFunc("/broken", func(http.ResponseWriter, *http.Request) { panic("broken") })
	handler := w.Handler(mux)
	for _, r := range []*http.Request{
		httptest.NewRequest(http.MethodGet, "http://h:81/stock/sku-1?t=secret", nil),
		httptest.NewRequest(http.MethodGet, "https://shop.example.com/late", nil),
		httptest.NewRequest(http.MethodPost, "http://h/flush", nil),
		httptest.NewRequest(http.MethodGet, "http://h/broken", nil),
		httptest.NewRequest("BREW", "http://h/nowhere", nil),
	} {
		func() {
			defer func() {
				if p := recover(); p != nil && p != "broken" {
					t.Errorf("panic of the handler = %v; want it as it was", p)
				}
			}()
			handler.ServeHTTP(httptest.NewRecorder(), r)
		}()
	}
	var got strings.Builder
	for _, s := range w.ended() {
		a := attributes(s)
		fmt.Fprintln(&got, s.Name())
		for line := range strings.Lines(a) {
			if strings.HasPrefix(line, "http.") || strings.HasPrefix(line, "error.") || strings.HasPrefix(line, "url.") {
				got.WriteString("  " + line)
			}
		}
		if strings.Contains(a, "secret") {
			t.Errorf("a span has the query string, with its secret:\n%s", a)
		}
	}
	wantText(t, "requests", got.String(), `
GET /stock/{sku}
  http.request.method=GET
  http.response.status_code=200
  http.route=/stock/{sku}
  url.path=/stock/sku-1
  url.scheme=http
GET /late
  http.request.method=GET
  http.response.status_code=418
  http.route=/late
  url.path=/late
  url.scheme=https
POST /flush
  http.request.method=POST
  http.response.status_code=200
  http.route=/flush
  url.path=/flush
  url.scheme=http
GET /broken
  error.type=panic
  http.request.method=GET
  http.route=/broken
  url.path=/broken
  url.scheme=http
HTTP
  http.request.method=_OTHER
  http.request.method_original=BREW
  http.response.status_code=404
  url.path=/nowhere
  url.scheme=http
`)
}

func TestAHandlerLetsResponseControllerThrough(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	failed := make(chan error, 1)
	server := httptest.NewServer(w.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		failed <- http.NewResponseController(w).EnableFullDuplex()
	})))
	defer server.Close()
	r, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	if err := <-failed; err != nil {
		t.Errorf("a ResponseController on the handler's writer: %v; want it to reach the server's", err)
	}
}

// told notes what it was asked.
type told struct {
	transport.Caller
	peer string
	e    *transport.Envelope
}

func (n *told) Request(_ context.Context, peer string, e *transport.Envelope) (*transport.Envelope, error) {
	n.peer, n.e = peer, e
	return &transport.Envelope{}, nil
}

func TestACallerReportsRequestsOverHTTPOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	next := &told{}
	c := w.Caller(next)
	e := message("1", "a.b")
	e.Trace = elsewhere
	if _, err := c.Request(t.Context(), "mem://orders", e); err != nil || next.e != e || len(w.ended()) != 0 {
		t.Errorf("a request through memory: %v, %d spans; want it passed on as it is, without a span", err, len(w.ended()))
	}
	for _, peer := range []string{"https://shop.example.com/orders/", "http://[::1]:8080"} {
		if _, err := c.Request(t.Context(), peer, e); err != nil {
			t.Fatal(err)
		}
		if next.peer != peer || next.e == e || next.e.ID != "1" {
			t.Errorf("passed on: %q, %+v; want peer %q and a copy of the envelope", next.peer, next.e, peer)
		}
	}
	if e.Trace != elsewhere {
		t.Errorf("Trace = %q after its attempts; want %q: a request is not changed", e.Trace, elsewhere)
	}
	var got strings.Builder
	for _, s := range w.ended() {
		for line := range strings.Lines(attributes(s)) {
			if strings.HasPrefix(line, "server.") || strings.HasPrefix(line, "url.full") {
				got.WriteString(line)
			}
		}
	}
	wantText(t, "where requests went", got.String(), `
server.address=shop.example.com
server.port=443
url.full=https://shop.example.com/orders/a/b
server.address=::1
server.port=8080
url.full=http://[::1]:8080/a/b
`)
	if want := w.ended()[1].SpanContext().SpanID().String(); !strings.Contains(next.e.Trace, want) {
		t.Errorf("Trace on the wire = %q; want the attempt's span %s", next.e.Trace, want)
	}
}
