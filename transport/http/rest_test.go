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

// An operation has several endpoints around one path; a custom method is a colon and a word after the last segment.
func TestTheRoutesOfAnOperationStandBesideEachOther(t *testing.T) {
	t.Parallel()
	on := func(address, method, path string) transport.Endpoint {
		return transport.Endpoint{Address: address, Method: method, Path: path, Bind: bind,
			Answer: func(_ context.Context, e *transport.Envelope) (*transport.Envelope, error) {
				return &transport.Envelope{Body: fmt.Appendf(nil, "%s %s", e.Address, e.Body)}, nil
			}}
	}
	const fulfil = "/orders/v1/fulfil"
	start := on("orders.v1.fulfil", "", "")
	start.Bind = nil
	_, peer := serve(t, start,
		on("orders.v1.fulfil.list", "GET", fulfil),
		on("orders.v1.fulfil.get", "GET", fulfil+"/{id}"),
		on("orders.v1.fulfil.act", "POST", fulfil+"/{id}"))
	for _, x := range []struct{ request, want string }{
		{"POST " + fulfil, "orders.v1.fulfil {}"},
		{"GET " + fulfil, "orders.v1.fulfil.list +"},
		{"GET " + fulfil + "?state=running", "orders.v1.fulfil.list state=running+"},
		{"GET " + fulfil + "/7", "orders.v1.fulfil.get id=7+"},
		{"POST " + fulfil + "/7:cancel", "orders.v1.fulfil.act id=7:cancel+{}"},
		{"POST " + fulfil + "/7%3Acancel", "orders.v1.fulfil.act id=7:cancel+{}"},
		{"POST " + fulfil + "/a%2Fb%20c:d:cancel", "orders.v1.fulfil.act id=a/b c:d:cancel+{}"},
		{"POST " + fulfil + "/..:cancel", "orders.v1.fulfil.act id=..:cancel+{}"},
		{"POST " + fulfil + "/get:cancel", "orders.v1.fulfil.act id=get:cancel+{}"},
		{"POST " + fulfil + "/get", "orders.v1.fulfil.get {}"}, // an address's own path wins over a field
	} {
		method, path, _ := strings.Cut(x.request, " ")
		body := map[string]string{"POST": "{}"}[method]
		if response, got := curl(t, method, peer+path, body); response.StatusCode != nethttp.StatusOK || got != x.want {
			t.Errorf("%s: got %d %q; want %q", x.request, response.StatusCode, got, x.want)
		}
	}
	if response, _ := curl(t, "DELETE", peer+fulfil, ""); response.StatusCode != nethttp.StatusMethodNotAllowed || response.Header.Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("DELETE: got %d, Allow %q; want 405 with GET, HEAD, POST", response.StatusCode, response.Header.Get("Allow"))
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
