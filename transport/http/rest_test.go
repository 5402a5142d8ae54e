package http_test

import (
	"context"
	"errors"
	"fmt"
	nethttp "net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/http"
)

// bind writes what it was given, so that a test sees it.
func bind(body []byte, values map[string][]string) ([]byte, error) {
	var lines []string
	for k, v := range values {
		lines = append(lines, fmt.Sprintf("%s=%s", k, strings.Join(v, "|")))
	}
	slices.Sort(lines)
	return fmt.Appendf(nil, "%s+%s", strings.Join(lines, " "), body), nil
}

func rest(method, path string) transport.Endpoint {
	return transport.Endpoint{Address: "stock.v1.get", Method: method, Path: path, Bind: bind, Answer: echo}
}

func TestARESTRouteBindsPathQueryAndBody(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ route, request, body, want string }{
		{"GET /stock/{sku}", "GET /stock/a%2Fb?warehouse=1&warehouse=2&sku=ignored", "", "sku=a/b warehouse=1|2+"},
		{"GET /stock", "GET /stock", "", "+"},
		{"PUT /stock/{sku}/level", "PUT /stock/7/level?dry=", `{"n":1}`, `dry= sku=7+{"n":1}`},
		{"DELETE /stock/{sku}", "DELETE /stock/7", "", "sku=7+"},
		{"GET /files/{path...}", "GET /files/a/b", "", "path=a/b+"},
		{"GET /stock/{$}", "GET /stock/", "", "+"},
		{"GET /stock/{sku}", "POST /stock/v1/get", "own", "own"},       // the address's own path stays
		{"POST /stock/v1/get", "POST /stock/v1/get?a=1", "x", "a=1+x"}, // and may be the route itself
	} {
		method, path, _ := strings.Cut(x.route, " ")
		_, peer := serve(t, rest(method, path))
		method, path, _ = strings.Cut(x.request, " ")
		response, body := curl(t, method, peer+path, x.body)
		if response.StatusCode != nethttp.StatusOK || body != x.want {
			t.Errorf("%s, %s: got %d %q; want %q", x.route, x.request, response.StatusCode, body, x.want)
		}
	}
}

func TestWhatBindRefusesIsToldAsItIs(t *testing.T) {
	t.Parallel()
	refusing := rest("GET", "/a/{n}")
	refusing.Bind = func([]byte, map[string][]string) ([]byte, error) {
		return nil, &transport.Error{Code: transport.InvalidArgument, Fields: []transport.Field{{Path: "n", Message: "want a number"}}}
	}
	_, peer := serve(t, refusing)
	if response, body := curl(t, "GET", peer+"/a/x", ""); response.StatusCode != nethttp.StatusUnprocessableEntity || !strings.Contains(body, "want a number") {
		t.Errorf("got %d %s; want 422 with the field", response.StatusCode, body)
	}
	refusing.Bind = func([]byte, map[string][]string) ([]byte, error) { return nil, errors.New("n: want a number") }
	_, peer = serve(t, refusing)
	if response, body := curl(t, "GET", peer+"/a/x", ""); response.StatusCode != nethttp.StatusBadRequest || !strings.Contains(body, "n: want a number") {
		t.Errorf("got %d %s; want 400 with the text", response.StatusCode, body)
	}
}

func TestAWrongEndpointIsAnErrorBeforeAnythingIsServed(t *testing.T) {
	t.Parallel()
	good := endpoint(quote, echo)
	other := rest("GET", "/{kind}/7")
	other.Address = "stock.v1.other"
	noBind := rest("GET", "/stock/{sku}")
	noBind.Bind = nil
	for _, x := range []struct {
		name      string
		endpoints []transport.Endpoint
		want      []string
	}{
		{"an address twice", []transport.Endpoint{good, endpoint(quote, echo)}, []string{"orders.v1.get-quote is answered already"}},
		{"routes that overlap", []transport.Endpoint{good, rest("GET", "/stock/{sku}"), other}, []string{"stock.v1.other", `"GET /{kind}/7"`, `"GET /stock/{sku}"`}},
		{"a route on another's own path", []transport.Endpoint{good, rest("POST", "/orders/v1/get-quote")}, []string{"stock.v1.get", "/orders/v1/get-quote"}},
		{"no address and no handler, all at once", []transport.Endpoint{good, {Address: "A b"}, {Address: "c.d"}}, []string{`"A b"`, "c.d: no Answer"}},
		{"a path without method", []transport.Endpoint{good, rest("", "/stock")}, []string{"want a method and a path"}},
		{"a method without path", []transport.Endpoint{good, rest("GET", "")}, []string{"want a method and a path"}},
		{"a method in small letters", []transport.Endpoint{good, rest("get", "/stock")}, []string{"want a method and a path"}},
		{"a malformed pattern", []transport.Endpoint{good, rest("GET", "/stock/{sku")}, []string{"stock.v1.get", "/stock/{sku"}},
		{"fields in the path and no Bind", []transport.Endpoint{good, noBind}, []string{"there is no Bind"}},
	} {
		c := open(t, http.Options{Listen: "127.0.0.1:0"})
		err := c.Answer(within(t), x.endpoints, func(string) { t.Errorf("%s: ready was called", x.name) })
		if err == nil {
			t.Errorf("%s: Answer = nil; want an error", x.name)
			continue
		}
		for _, want := range x.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: Answer = %v; want it to say %q", x.name, err, want)
			}
		}
		if strings.Contains(err.Error(), "registered at") || strings.Contains(err.Error(), "\n\t") {
			t.Errorf("%s: Answer = %v; want no lines of code", x.name, err)
		}
		w := httptest.NewRecorder()
		c.Handler().ServeHTTP(w, httptest.NewRequestWithContext(within(t), "POST", "/orders/v1/get-quote", strings.NewReader("{}")))
		if w.Code != 404 {
			t.Errorf("%s: the good endpoint answers %d; want 404: nothing is served", x.name, w.Code)
		}
	}
}

func TestAPageStandsBesideTheCalls(t *testing.T) {
	t.Parallel()
	c, peer := serve(t, endpoint(quote, echo))
	page := func(text string) nethttp.Handler {
		return nethttp.HandlerFunc(func(w nethttp.ResponseWriter, _ *nethttp.Request) { _, _ = w.Write([]byte(text)) })
	}
	if err := c.Handle("GET /livez", page("alive")); err != nil {
		t.Fatalf("Handle = %v; want a page", err)
	}
	for _, pattern := range []string{"GET /livez", "POST /orders/v1/get-quote", "GET /{", ""} {
		if err := c.Handle(pattern, page("other")); err == nil {
			t.Errorf("Handle(%q) = nil; want an error: it conflicts or is malformed", pattern)
		}
	}
	if err := c.Answer(within(t), []transport.Endpoint{rest("GET", "/livez")}, nil); err == nil {
		t.Error("Answer of a route that is a page = nil; want an error")
	}
	if response, body := curl(t, "GET", peer+"/livez", ""); response.StatusCode != nethttp.StatusOK || body != "alive" {
		t.Errorf("the page: %d %q; want alive", response.StatusCode, body)
	}
	if response, body := curl(t, "POST", peer+"/livez", ""); response.StatusCode != nethttp.StatusMethodNotAllowed || response.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("another method: %d %q, Allow %q; want 405", response.StatusCode, body, response.Header.Get("Allow"))
	}
	if err := c.Handle("/", page("everything")); err != nil {
		t.Fatalf("Handle(/) = %v; want a page for the rest", err)
	}
	if _, body := curl(t, "GET", peer+"/console", ""); body != "everything" {
		t.Errorf("the page for everything: %q; want it", body)
	}
	if _, err := open(t, clientOnly).Request(within(t), peer, request("{}")); err != nil {
		t.Errorf("Request = %v; want calls as before", err)
	}
}

func TestTheHandlerMountsUnderAPrefix(t *testing.T) {
	t.Parallel()
	mux := nethttp.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	c := open(t, http.Options{Advertise: server.URL + "/api/"})
	mux.Handle("/api/", nethttp.StripPrefix("/api", c.Handler()))
	peer, stop := answer(t, c, endpoint(quote, echo), rest("GET", "/stock/{sku}"))
	if peer != server.URL+"/api" {
		t.Errorf("ready(%q); want what is advertised, %q", peer, server.URL+"/api")
	}
	client := open(t, clientOnly)
	if got, err := client.Request(within(t), peer, request(`{"a":1}`)); err != nil || string(got.Body) != `{"a":1}` {
		t.Errorf("Request = %v, %v; want the echo", got, err)
	}
	if _, body := curl(t, "GET", peer+"/stock/7", ""); body != "sku=7+" {
		t.Errorf("the REST route: %q; want sku=7+", body)
	}
	if err := stop(); err != nil {
		t.Errorf("Answer = %v; want nil", err)
	}
	_, err := client.Request(within(t), peer, request(`{}`))
	if e, _ := errors.AsType[*transport.Error](err); e == nil || e.Code != transport.Unavailable || !e.NotSent {
		t.Errorf("after Answer has ended: Request = %v; want unavailable, NotSent", err)
	}
}

func TestWithoutListenerAndAdvertiseThereIsNoPeer(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(within(t))
	err := open(t, clientOnly).Answer(ctx, []transport.Endpoint{endpoint(quote, echo)}, func(peer string) {
		if peer != "" {
			t.Errorf("ready(%q); want none", peer)
		}
		cancel()
	})
	if err != nil {
		t.Errorf("Answer = %v; want nil", err)
	}
}
