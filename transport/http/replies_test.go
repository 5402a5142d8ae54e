package http_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/http"
)

const at = "/orders/v1/fulfil/7:a%20b"

// replying answers with a reply, a body and a header of its own.
func replying(r transport.Reply, body string) func(context.Context, *transport.Envelope) (*transport.Envelope, error) {
	return func(context.Context, *transport.Envelope) (*transport.Envelope, error) {
		answer := &transport.Envelope{Body: []byte(body), Headers: map[string]string{"tenant": "a"}}
		r.Set(answer)
		return answer, nil
	}
}

var accepted = transport.Reply{Status: 202, Location: at, RetryAfter: 2 * time.Second, ETag: "7-a", Applied: "respond-async, wait=20"}

func TestAReplyIsToldInTheWordsOfHTTP(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name   string
		reply  transport.Reply
		body   string
		status int
		header map[string]string // "" = none; HOST is the peer's
	}{
		{"accepted", accepted, `{"id":"7"}`, 202, map[string]string{
			"Location": "http://HOST" + at, "Operation-Location": "http://HOST" + at, "Retry-After": "2", "Etag": `"7-a"`,
			"Preference-Applied": "respond-async, wait=20", "Vary": "Prefer", "Content-Type": "application/json", "Ce-Tenant": "a"}},
		{"accepted without a body", transport.Reply{Status: 202}, "", 202, map[string]string{"Content-Type": "", "Vary": "", "Location": "", "Etag": ""}},
		{"accepted with a large body", transport.Reply{Status: 202}, strings.Repeat("x", 5000), 202, map[string]string{"Content-Length": "5000"}},
		{"not modified", transport.Reply{Status: 304, ETag: "7"}, "", 304, map[string]string{"Etag": `"7"`, "Content-Type": "", "Content-Length": ""}},
		{"ordinary", transport.Reply{}, "{}", 200, map[string]string{"Retry-After": ""}},
		{"nothing to say", transport.Reply{}, "", 204, nil},
		{"empty but 200", transport.Reply{Status: 200}, "", 200, map[string]string{"Content-Length": "0"}},
		{"elsewhere", transport.Reply{Status: 201, Location: "https://example.com/7"}, "{}", 201, map[string]string{
			"Location": "https://example.com/7", "Operation-Location": "https://example.com/7"}},
	} {
		_, peer := serve(t, endpoint(quote, replying(x.reply, x.body)))
		response, body := curl(t, "POST", peer+"/orders/v1/get-quote", "{}", "Accept-Encoding", "identity")
		if response.StatusCode != x.status || body != x.body {
			t.Errorf("%s: got %d %.80q; want %d %.80q", x.name, response.StatusCode, body, x.status, x.body)
		}
		for key, want := range x.header {
			want = strings.ReplaceAll(want, "HOST", strings.TrimPrefix(peer, "http://"))
			if got := response.Header.Get(key); got != want {
				t.Errorf("%s: header %s = %q; want %q", x.name, key, got, want)
			}
		}
		for _, name := range []string{"Status", "Location", "Retryafter", "Etag", "Preferenceapplied"} {
			if got := response.Header.Values("Ce-" + name); got != nil {
				t.Errorf("%s: header Ce-%s = %q; want none", x.name, name, got)
			}
		}
		got, err := open(t, clientOnly).Request(within(t), peer, request("{}"))
		if err != nil {
			t.Errorf("%s: Request = %v; want the answer", x.name, err)
			continue
		}
		want := &transport.Envelope{Headers: map[string]string{"tenant": "a"}}
		if x.reply.Set(want); x.reply.Status == 200 {
			delete(want.Headers, "status")
		}
		if !maps.Equal(got.Headers, want.Headers) || string(got.Body) != x.body {
			t.Errorf("%s: Request = %q with headers %v; want %q with %v", x.name, got.Body, got.Headers, x.body, want.Headers)
		}
	}
}

func TestALocationLeadsWhereTheRequestCameFrom(t *testing.T) {
	t.Parallel()
	mounted := func(c *http.Caller, prefix string) nethttp.Handler {
		mux := nethttp.NewServeMux()
		mux.Handle(prefix+"/", nethttp.StripPrefix(prefix, c.Handler()))
		return mux
	}
	for _, x := range []struct {
		name, advertise, prefix, host string
		tls                           bool
		header                        nethttp.Header
		want                          string
	}{
		{name: "by the name that was asked for", host: "orders:81", want: "http://orders:81" + at},
		{name: "over TLS", host: "orders", tls: true, want: "https://orders" + at},
		{name: "under a prefix", prefix: "/api", host: "orders", want: "http://orders/api" + at},
		{name: "as advertised, behind a proxy", advertise: "https://Shop.example.com/x", host: "shop.example.com", want: "https://Shop.example.com/x" + at},
		{name: "by another name than advertised", advertise: "https://shop.example.com/x", host: "orders", want: "http://orders" + at},
		{name: "whatever a stranger claims", host: "orders", want: "http://orders" + at,
			header: nethttp.Header{"X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"evil.example"}, "Forwarded": {"host=evil.example;proto=https"}}},
		{name: "without a name", want: at},
	} {
		c := open(t, http.Options{Advertise: x.advertise})
		answer(t, c, endpoint(quote, replying(accepted, "{}")))
		r := httptest.NewRequestWithContext(within(t), "POST", x.prefix+"/orders/v1/get-quote", strings.NewReader("{}"))
		if r.Host = x.host; x.header != nil {
			r.Header = x.header
		}
		if x.tls {
			r.TLS = &tls.ConnectionState{}
		}
		w := httptest.NewRecorder()
		mounted(c, x.prefix).ServeHTTP(w, r)
		if got := w.Header().Get("Location"); got != x.want {
			t.Errorf("%s: Location = %q; want %q", x.name, got, x.want)
		}
	}
}

func TestALocationUnderAPrefixComesBackAsThePathItWas(t *testing.T) {
	t.Parallel()
	mux := nethttp.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	c := open(t, clientOnly)
	mux.Handle("/api/", nethttp.StripPrefix("/api", c.Handler()))
	answer(t, c, endpoint(quote, replying(accepted, "{}")))
	got, err := open(t, clientOnly).Request(within(t), server.URL+"/api", request("{}"))
	if err != nil || got.Headers["location"] != at {
		t.Errorf("Request = %v, %v; want location %s", got, err, at)
	}
}

func TestAStrangersReplyIsUnderstood(t *testing.T) {
	t.Parallel()
	for head, want := range map[string]map[string]string{
		"202 Accepted\r\nLocation: /jobs/7\r\nRetry-After: 5":                   {"status": "202", "location": "/jobs/7", "retryafter": "5"},
		"201 Created\r\nLocation: get-quote/7":                                  {"status": "201", "location": "/orders/v1/get-quote/7"},
		"200 OK\r\nLocation: https://example.com/a|b":                           {"location": "https://example.com/a|b"},
		"200 OK\r\nETag: W/\"ab\"":                                              {"etag": "ab"},
		"304 Not Modified\r\nETag: \"7\"\r\nContent-Length: 9":                  {"status": "304", "etag": "7"},
		"202 Accepted\r\nPreference-Applied: wait=5\r\nPreference-Applied: b":   {"status": "202", "preferenceapplied": "wait=5, b"},
		"202 Accepted\r\nRetry-After: 9999999":                                  {"status": "202", "retryafter": "86400"},
		"202 Accepted\r\nce-status: 500\r\nce-etag: x\r\nce-tenant: a":          {"status": "202", "tenant": "a"},
		"200 OK\r\nETag: \"" + strings.Repeat("x", 9<<10) + "\"":                nil,
		"200 OK\r\nLocation: mailto:a@b\r\nETag: \"\"\r\nRetry-After: soon":     nil,
		"200 OK\r\nLocation: http://%zz\r\nETag: unquoted\r\nRetry-After: -1":   nil,
		"200 OK\r\nETag: \"a b\"\r\nLocation: \xff\r\nPreference-Applied: \xff": {"location": "/orders/v1/%FF"}, // escaped, as it has to be
	} {
		peer, _ := scripted(t, func(c net.Conn, _ *bufio.Reader) {
			_, _ = fmt.Fprintf(c, "HTTP/1.1 %s\r\nConnection: close\r\n\r\n", head)
		})
		got, err := open(t, clientOnly).Request(within(t), peer, request("{}"))
		if err != nil {
			t.Errorf("%.200q: Request = %v; want an answer", head, err)
			continue
		}
		if !maps.Equal(got.Headers, want) {
			t.Errorf("%.200q: headers %v; want %v", head, got.Headers, want)
		}
	}
}

func TestAnInvalidReplyIsADefectOfTheHandler(t *testing.T) {
	t.Parallel()
	large := map[string]string{"location": "/" + strings.Repeat("x", 8000)} // which is told twice
	for _, name := range strings.Split("abcdef", "") {
		large[name] = strings.Repeat("x", 8000)
	}
	for _, answer := range []*transport.Envelope{
		{Headers: map[string]string{"status": "404"}},
		{Headers: map[string]string{"status": "304"}, Body: []byte("{}")},
		{Headers: map[string]string{"location": "//elsewhere"}},
		{Headers: map[string]string{"etag": `"7"`}},
		{Headers: map[string]string{"retryafter": "soon"}},
		{Headers: large},
	} {
		_, peer := serve(t, endpoint(quote, func(context.Context, *transport.Envelope) (*transport.Envelope, error) { return answer, nil }))
		what := fmt.Sprintf("%.150s", fmt.Sprint(answer.Headers))
		response, body := curl(t, "POST", peer+"/orders/v1/get-quote", "{}")
		if response.StatusCode != nethttp.StatusInternalServerError || !strings.Contains(body, `"code":"internal"`) || response.Header.Get("Location") != "" {
			t.Errorf("an answer with headers %s: %d %s, Location %.80q; want 500 and nothing of it", what, response.StatusCode, body, response.Header.Get("Location"))
		}
		_, err := open(t, clientOnly).Request(within(t), peer, request("{}"))
		if e, _ := errors.AsType[*transport.Error](err); e == nil || e.Code != transport.Internal || e.NotSent {
			t.Errorf("an answer with headers %s: Request = %v; want internal", what, err)
		}
	}
}

func TestPreferencesAndConditionsReachTheHandlerAsTheyAre(t *testing.T) {
	t.Parallel()
	_, peer := serve(t, endpoint(quote, told))
	for _, x := range []struct {
		headers []string
		want    string
	}{
		{[]string{"Prefer", "respond-async, wait=20"}, "headers=map[prefer:respond-async, wait=20]"},
		{[]string{"Prefer", "respond-async", "Prefer", "wait=20"}, "headers=map[prefer:respond-async, wait=20]"},
		{[]string{"If-None-Match", `W/"7", "8"`}, `headers=map[ifnonematch:W/"7", "8"]`},
		{[]string{"If-None-Match", "*", "Prefer", "wait=1"}, "headers=map[ifnonematch:* prefer:wait=1]"},
		{[]string{"Prefer", "wait=1", "ce-prefer", "wait=2"}, "headers=map[prefer:wait=1]"},
		{[]string{"ce-prefer", "wait=2"}, "headers=map[prefer:wait=2]"},
		{[]string{"Prefer", "ü", "If-None-Match", strings.Repeat("x", 9<<10)}, "headers=map[]"},
	} {
		if response, body := curl(t, "POST", peer+"/orders/v1/get-quote", "{}", x.headers...); response.StatusCode != nethttp.StatusOK || !strings.Contains(body, x.want) {
			t.Errorf("%.60q: got %d %q; want %q", x.headers, response.StatusCode, body, x.want)
		}
	}
	e := request("{}")
	e.Headers = map[string]string{"prefer": "wait=3", "ifnonematch": `"7"`}
	if got, err := open(t, clientOnly).Request(within(t), peer, e); err != nil || !strings.Contains(string(got.Body), `headers=map[ifnonematch:"7" prefer:wait=3]`) {
		t.Errorf("Request = %v, %v; want the headers as they were sent", got, err)
	}
}
