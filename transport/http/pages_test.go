package http_test

import (
	nethttp "net/http"
	"strings"
	"testing"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/http"
)

func page(text string) nethttp.Handler {
	return nethttp.HandlerFunc(func(w nethttp.ResponseWriter, _ *nethttp.Request) { _, _ = w.Write([]byte(text)) })
}

func TestAPageStandsBesideTheCalls(t *testing.T) {
	t.Parallel()
	c, peer := serve(t, endpoint(quote, echo))
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

func TestHealthAndMetricsDoNotDisturbEndpointsOfAnyName(t *testing.T) {
	t.Parallel()
	for name, prefix := range map[string]string{"of one method": "GET ", "of all": ""} {
		for _, first := range []string{"pages", "endpoints"} {
			c := open(t, http.Options{Listen: "127.0.0.1:0"})
			add := func() {
				for _, path := range []string{"/livez", "/readyz", "/metrics"} {
					if err := c.Handle(prefix+path, page("page "+path)); err != nil {
						t.Errorf("pages %s, %s first: Handle(%s) = %v; want a page", name, first, path, err)
					}
				}
			}
			if first == "pages" {
				add()
			}
			field := rest("GET", "/{first}/{second}")
			peer, _ := answer(t, c, endpoint("livez", echo), endpoint("metrics.v1.get", echo), field)
			if first == "endpoints" {
				add()
			}
			for request, want := range map[string]string{
				"GET /livez": "page /livez", "GET /readyz": "page /readyz", "GET /metrics": "page /metrics",
				"POST /livez": "{}", "POST /metrics/v1/get": "{}", "GET /livez/x": "first=livez second=x+",
			} {
				method, path, _ := strings.Cut(request, " ")
				if response, got := curl(t, method, peer+path, map[string]string{"POST": "{}"}[method]); response.StatusCode != nethttp.StatusOK || got != want {
					t.Errorf("pages %s, %s first: %s = %d %q; want %q", name, first, request, response.StatusCode, got, want)
				}
			}
		}
	}
}

func TestEachCallerHasItsOwnPages(t *testing.T) {
	t.Parallel()
	one, first := serve(t, endpoint(quote, echo))
	two, second := serve(t, endpoint(quote, echo))
	for c, text := range map[*http.Caller]string{one: "one", two: "two"} {
		if err := c.Handle("GET /readyz", page(text)); err != nil {
			t.Errorf("Handle = %v; want a page on each", err)
		}
	}
	for peer, want := range map[string]string{first: "one", second: "two"} {
		if _, got := curl(t, "GET", peer+"/readyz", ""); got != want {
			t.Errorf("the page: %q; want %q", got, want)
		}
	}
}

func TestAPageIsTakenAwayOrReplaced(t *testing.T) {
	t.Parallel()
	c, peer := serve(t, endpoint(quote, echo))
	change := func(h nethttp.Handler) {
		t.Helper()
		if err := c.Handle("GET /readyz", h); err != nil {
			t.Fatalf("Handle = %v; want it done", err)
		}
	}
	change(page("old"))
	if err := c.Handle("GET /livez", page("alive")); err != nil {
		t.Fatalf("Handle = %v; want a page", err)
	}
	change(nil)
	if response, body := curl(t, "GET", peer+"/readyz", ""); response.StatusCode != nethttp.StatusNotFound {
		t.Errorf("the page that was taken away: %d %q; want 404", response.StatusCode, body)
	}
	for _, pattern := range []string{"GET /readyz", "/livez", "POST /orders/v1/get-quote"} {
		if err := c.Handle(pattern, nil); err == nil {
			t.Errorf("Handle(%q, nil) = nil; want an error: there is no such page", pattern)
		}
	}
	change(page("new"))
	for path, want := range map[string]string{"/readyz": "new", "/livez": "alive"} {
		if _, got := curl(t, "GET", peer+path, ""); got != want {
			t.Errorf("%s: %q; want %q", path, got, want)
		}
	}
	if _, err := open(t, clientOnly).Request(within(t), peer, request("{}")); err != nil {
		t.Errorf("Request = %v; want calls as before", err)
	}
	change(nil)
	answer(t, c, rest("GET", "/readyz")) // the route is free
	if _, got := curl(t, "GET", peer+"/readyz", ""); got != "+" {
		t.Errorf("an endpoint where the page was: %q; want its answer", got)
	}
}
