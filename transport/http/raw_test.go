package http_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/parley-io/parley/transport"
)

// curl sends a request as a client that knows nothing of Parley; headers are key, value, key, value.
func curl(t testing.TB, method, url, body string, headers ...string) (*nethttp.Response, string) {
	t.Helper()
	r, err := nethttp.NewRequestWithContext(within(t), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	response, err := (&nethttp.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatalf("%s %s = %v; want an answer", method, url, err)
	}
	defer func() { _ = response.Body.Close() }()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s %s: body = %v; want it whole", method, url, err)
	}
	return response, string(got)
}

// told answers with what the handler was told, line by line.
func told(ctx context.Context, e *transport.Envelope) (*transport.Envelope, error) {
	deadline, _ := ctx.Deadline()
	return &transport.Envelope{ContentType: "text/plain", Body: fmt.Appendf(nil, "id=%s source=%s type=%s attempt=%d trace=%s headers=%v left=%v body=%s",
		e.ID, e.Source, e.ContentType, e.Attempt, e.Trace, e.Headers, time.Until(deadline).Round(5*time.Second), e.Body)}, nil
}

func TestAnybodyCanCallWithABodyAlone(t *testing.T) {
	t.Parallel()
	_, peer := serve(t, endpoint(quote, told))
	const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for _, x := range []struct {
		name    string
		headers []string
		want    string // a part of what the handler was told
	}{
		{"without content type", nil, `type=application/json attempt=0 trace= headers=map[] left=30s body={"a":1}`},
		{"as curl -d says", []string{"Content-Type", "application/x-www-form-urlencoded"}, "type=application/json"},
		{"as text", []string{"Content-Type", "text/plain; charset=utf-8"}, "type=application/json"},
		{"with a charset", []string{"Content-Type", "application/json; charset=utf-8"}, "type=application/json "},
		{"as protobuf", []string{"Content-Type", "application/protobuf"}, "type=application/protobuf "},
		{"from a page of the same origin", []string{"Content-Type", "text/plain", "Sec-Fetch-Site", "same-origin"}, "type=application/json"},
		{"from a page that asked first", []string{"Content-Type", "application/json", "Sec-Fetch-Site", "cross-site"}, "type=application/json"},
		{"with an idempotency key", []string{"Idempotency-Key", "k-1"}, "id=k-1 "},
		{"with a quoted idempotency key", []string{"Idempotency-Key", `"k-1"`}, "id=k-1 "},
		{"with an operation id", []string{"Operation-Id", ` "k-1" `}, "id=k-1 "},
		{"with one key by both names", []string{"Operation-Id", "k-1", "Idempotency-Key", `"k-1"`}, "id=k-1 "},
		{"with both ids", []string{"Idempotency-Key", "k-1", "ce-id", "m%25-1"}, "id=m%-1 "},
		{"as an event", []string{"CE-ID", "m-1", "ce-source", "/shop", "ce-specversion", "1.0", "ce-type", "com.example.other", "ce-tenant", "a%20b"}, "id=m-1 source=/shop type=application/json attempt=0 trace= headers=map[tenant:a b]"},
		{"again", []string{"Retry-Attempt", "2"}, "attempt=3 "},
		{"traced", []string{"traceparent", traceparent, "tracestate", "a=b", "tracestate", "c=d"}, "trace=" + traceparent + " headers=map[tracestate:a=b,c=d]"},
		{"within a time", []string{"Request-Timeout-Ms", "10000"}, "left=10s"},
		{"within too much time", []string{"Request-Timeout-Ms", "9000000"}, "left=30s"},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			response, body := curl(t, "POST", peer+"/orders/v1/get-quote", `{"a":1}`, x.headers...)
			if response.StatusCode != nethttp.StatusOK || !strings.Contains(body, x.want) {
				t.Errorf("got %d %q; want 200 with %q", response.StatusCode, body, x.want)
			}
		})
	}
}

func TestAnIDIsMadeAndReturned(t *testing.T) {
	t.Parallel()
	_, peer := serve(t, endpoint(quote, told))
	response, body := curl(t, "POST", peer+"/orders/v1/get-quote", `{}`)
	id := response.Header.Get("Parley-Message-Id")
	if len(id) != 36 || id[14] != '7' || !strings.Contains(body, "id="+id+" ") {
		t.Errorf("Parley-Message-Id = %q, the handler was told %q; want the same UUIDv7", id, body)
	}
	if response, _ := curl(t, "POST", peer+"/orders/v1/get-quote", `{}`, "ce-id", "m-1"); response.Header.Get("Parley-Message-Id") != "" {
		t.Errorf("Parley-Message-Id = %q; want none for a request that has an id", response.Header.Get("Parley-Message-Id"))
	}
}

func TestABadRequestIsToldWhatIsWrong(t *testing.T) {
	t.Parallel()
	ran := make(chan string, 100)
	noted := func(_ context.Context, e *transport.Envelope) (*transport.Envelope, error) {
		ran <- e.ID
		return e, nil
	}
	_, peer := serve(t, endpoint(quote, noted), transport.Endpoint{Address: "stock.v1.get", Method: "GET", Path: "/stock/{sku}", Answer: noted,
		Bind: func(b []byte, _ map[string][]string) ([]byte, error) { return b, nil }})
	const path = "/orders/v1/get-quote"
	for _, x := range []struct {
		name, method, path string
		body               string
		headers            []string
		status             int
		want               []string // parts of the problem
	}{
		{"unknown address", "POST", "/orders/v1/get-quota", "{}", nil, 404, []string{`"code":"unimplemented"`, "nobody answers orders.v1.get-quota here"}},
		{"unknown path", "GET", "/favicon.ico", "", nil, 404, []string{`"code":"not-found"`, "/favicon.ico"}},
		{"no address", "POST", "/Orders", "", nil, 404, []string{`"code":"not-found"`}},
		{"wrong method", "GET", path, "", nil, 405, []string{`"code":"unimplemented"`, "only POST"}},
		{"wrong method of a REST route", "DELETE", "/stock/7", "", nil, 405, []string{"only GET, HEAD"}},
		{"a query beside a body", "POST", path + "?sku=7", "{}", nil, 400, []string{"a query is not read here", "orders.v1.get-quote takes its fields in the body"}},
		{"a malformed query", "GET", "/stock/7?a=%zz", "", nil, 400, []string{"the query is malformed"}},
		{"too large", "POST", path, strings.Repeat("x", 1<<20+1), nil, 413, []string{`"code":"invalid-argument"`, "above the limit of 1048576 bytes"}},
		{"compressed", "POST", path, "x", []string{"Content-Encoding", "gzip"}, 415, []string{"send the body as it is"}},
		{"a structured event", "POST", path, "{}", []string{"Content-Type", "application/cloudevents+json; charset=utf-8"}, 415, []string{"binary mode"}},
		{"a page of another site", "POST", path, "{}", []string{"Content-Type", "text/plain", "Sec-Fetch-Site", "cross-site"}, 403, []string{`"code":"permission-denied"`, "another origin"}},
		{"a form of another site", "POST", path, "{}", []string{"Content-Type", "multipart/form-data", "Sec-Fetch-Site", "cross-site"}, 403, []string{"another origin"}},
		{"an old browser's page of another site", "POST", path, "{}", []string{"Origin", "http://evil.example"}, 403, []string{"another origin"}},
		{"another version of CloudEvents", "POST", path, "{}", []string{"ce-specversion", "0.3"}, 400, []string{"specversion"}},
		{"an attribute twice", "POST", path, "{}", []string{"ce-id", "a", "ce-id", "b"}, 400, []string{"ce-id", "2 times"}},
		{"a malformed escape", "POST", path, "{}", []string{"ce-subject", "%zz"}, 400, []string{"ce-subject", "percent-encoding"}},
		{"a malformed time", "POST", path, "{}", []string{"ce-time", "yesterday"}, 400, []string{"RFC 3339"}},
		{"a malformed name", "POST", path, "{}", []string{"ce-not_a-name", "x"}, 400, []string{"want a name of 1 to 64 characters"}},
		{"an id with a line break", "POST", path, "{}", []string{"ce-id", "a%0Ab"}, 400, []string{"visible ASCII"}},
		{"a key that is no id", "POST", path, "{}", []string{"Idempotency-Key", "two words"}, 400, []string{"Idempotency-Key"}},
		{"an empty key", "POST", path, "{}", []string{"Idempotency-Key", `""`}, 400, []string{"Idempotency-Key"}},
		{"a long key", "POST", path, "{}", []string{"Idempotency-Key", strings.Repeat("k", 129)}, 400, []string{"1 to 128"}},
		{"two keys", "POST", path, "{}", []string{"Idempotency-Key", "a", "Idempotency-Key", "b"}, 400, []string{"one key"}},
		{"two operation ids", "POST", path, "{}", []string{"Operation-Id", "a", "Operation-Id", "a"}, 400, []string{"Operation-Id", "one key"}},
		{"an operation id that is no id", "POST", path, "{}", []string{"Operation-Id", "two words"}, 400, []string{"Operation-Id"}},
		{"a key and another operation id", "POST", path, "{}", []string{"Idempotency-Key", "a", "Operation-Id", "b"}, 400, []string{`Operation-Id: got \"a\" and \"b\"`}},
		{"a malformed time to wait", "POST", path, "{}", []string{"Request-Timeout-Ms", "5s"}, 400, []string{"want milliseconds"}},
		{"a malformed attempt", "POST", path, "{}", []string{"Retry-Attempt", "-1"}, 400, []string{"Retry-Attempt"}},
		{"no time left", "POST", path, "{}", []string{"Request-Timeout-Ms", "0"}, 504, []string{`"code":"deadline-exceeded"`, "not begun"}},
		{"less than no time left", "POST", path, "{}", []string{"Request-Timeout-Ms", "-5"}, 504, []string{"not begun"}},
		{"hardly any time left", "POST", path, "{}", []string{"Request-Timeout-Ms", "1"}, 504, []string{"not begun"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			response, body := curl(t, x.method, peer+x.path, x.body, x.headers...)
			if response.StatusCode != x.status {
				t.Errorf("status = %d (%s); want %d", response.StatusCode, body, x.status)
			}
			for _, want := range x.want {
				if !strings.Contains(body, want) {
					t.Errorf("body = %s; want it to say %q", body, want)
				}
			}
			if got := response.Header.Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("Content-Type = %q; want a problem", got)
			}
			if got := response.Header.Get("Parley-Not-Begun"); got != "1" {
				t.Errorf("Parley-Not-Begun = %q; want 1: no handler saw the request", got)
			}
			if allow := response.Header.Get("Allow"); (allow != "") != (x.status == 405) {
				t.Errorf("Allow = %q with status %d; want it with 405 only", allow, x.status)
			}
		})
	}
	t.Cleanup(func() {
		select {
		case id := <-ran:
			t.Errorf("a handler ran for %q; want none", id)
		default:
		}
	})
}

func TestABodyOfUnknownLengthIsReadAndBounded(t *testing.T) {
	t.Parallel()
	_, peer := serve(t, endpoint(quote, told))
	for size, want := range map[int]string{1000: " 200 ", 1<<20 + 1: " 413 "} {
		host, err := url.Parse(peer)
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", host.Host)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprintf(c, "POST /orders/v1/get-quote HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", size, strings.Repeat("x", size))
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil || !strings.Contains(line, want) {
			t.Errorf("%d bytes in chunks: %q, %v; want%s", size, line, err, want)
		}
		_ = c.Close()
	}
}

func TestAnAnswerWithoutBodyIs204(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]*transport.Envelope{"nil": nil, "empty": {}} {
		_, peer := serve(t, endpoint(quote, func(context.Context, *transport.Envelope) (*transport.Envelope, error) { return answer, nil }))
		response, body := curl(t, "POST", peer+"/orders/v1/get-quote", "{}")
		if response.StatusCode != nethttp.StatusNoContent || body != "" || response.Header.Get("Content-Type") != "" {
			t.Errorf("%s: got %d %q of type %q; want 204", name, response.StatusCode, body, response.Header.Get("Content-Type"))
		}
		got, err := open(t, clientOnly).Request(within(t), peer, request("{}"))
		if err != nil || len(got.Body) != 0 {
			t.Errorf("%s: Request = %v, %v; want an empty answer", name, got, err)
		}
	}
}
